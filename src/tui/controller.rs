//! The seam to the controller: what the screens ask of it, and what it says. The command line has the real one, the tests
//! of `feed` a scripted one.

use super::act::Request;
use crate::domain::{Envelope, EventId, PipelineName, RunId};
use crate::server::view::StateView;
use crate::server::{Done, OnePipeline, WhoView};

/// Why the controller does not do or say something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code.
    pub code: String,
    /// What is so.
    pub message: String,
    /// The way out; empty: there is none.
    pub help: String,
    /// Nothing answered at all.
    pub absent: bool,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// Where it begins, in bytes.
    pub from: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The file goes on after it.
    pub more: bool,
}

/// Which part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWanted {
    /// At most so many bytes at its end.
    Last(u64),
    /// Everything from this byte on.
    From(u64),
}

/// A controller as the screens know it. Every call blocks.
pub trait Controller: Send + Sync + 'static {
    /// Everything, with at most so many versions of each pipeline.
    fn state(&self, versions: usize) -> Result<StateView, Refusal>;

    /// One pipeline; none: it is gone.
    fn pipeline(&self, name: &PipelineName, versions: usize) -> Result<Option<OnePipeline>, Refusal>;

    /// Events after one and up to another, oldest first; only of this pipeline if one is named.
    fn past(
        &self,
        after: EventId,
        upto: EventId,
        pipeline: Option<&PipelineName>,
    ) -> Result<Vec<Envelope>, Refusal>;

    /// Who asks, as the controller knows them.
    fn who(&self) -> Result<WhoView, Refusal>;

    /// A part of what a run wrote; none: it has no log, or none any more.
    fn log(&self, run: RunId, wanted: LogWanted) -> Result<Option<LogPart>, Refusal>;

    /// Hears everything after an event, until the connection ends or `hear` says false. `hear` gets each frame as JSON, and
    /// nothing as a sign of life.
    fn listen(&self, since: EventId, hear: &mut dyn FnMut(&str) -> bool) -> Result<(), Refusal>;

    /// Does something by hand.
    fn act(&self, request: &Request) -> Result<Done, Refusal>;
}
