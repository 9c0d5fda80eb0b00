//! What the screens are told: by the controller, by a recording, by the terminal.

use super::controller::{LogPart, Refusal};
use crate::domain::{Envelope, EventId, PipelineName, RunId, VersionLabel};
use crate::server::view::StateView;
use crate::server::{Done, OnePipeline, WhoView};
use crate::wire::Live;
use std::sync::Arc;

/// One thing that is told.
#[derive(Clone, Debug)]
pub enum Message {
    /// Everything as it is at an event.
    State(Box<StateView>),
    /// One pipeline as it is at an event.
    Pipeline(Box<OnePipeline>),
    /// There is no such pipeline.
    NoPipeline(PipelineName),
    /// Something happened.
    Event(Arc<Envelope>),
    /// A piece of a log, and whose it is.
    Chunk(Option<PipelineName>, Live),
    /// The stream left out so many envelopes after an event; they are said again from the journal.
    Lagged(u64, EventId),
    /// What came before this event is no longer kept.
    Gap(EventId),
    /// The stream ended, or cannot be had.
    Cut(String),
    /// The stream is there (again).
    Back,
    /// The journal is another one than before: everything begins anew.
    Anew,
    /// Something came that this release cannot read.
    Unreadable,
    /// A question was not answered.
    Unanswered(Want, Refusal),
    /// Older events, oldest first, of those before an event; `true`: there are none before them.
    Past(Vec<Arc<Envelope>>, bool),
    /// The events of one version that are known.
    Way(PipelineName, VersionLabel, Vec<Arc<Envelope>>),
    /// A part of a log; none: there is no log.
    Log(RunId, Option<LogPart>),
    /// Who looks.
    Who(Box<WhoView>),
    /// What came of something done by hand.
    Answer(super::act::Request, Result<Done, Refusal>),
}

/// What the screens want of the controller.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// Everything.
    State,
    /// One pipeline.
    Pipeline(PipelineName),
    /// Events before this one.
    Past(EventId),
    /// The events of a version, which was asked for by the first of these, up to the second.
    Way(PipelineName, VersionLabel, EventId, EventId),
    /// A part of a log.
    Log(RunId, super::controller::LogWanted),
    /// Who looks.
    Who,
    /// Something done by hand.
    Act(super::act::Request),
}
