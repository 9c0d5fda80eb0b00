//! An event with whose it is, who caused it, and when.

use super::Event;
use crate::domain::id::{EventId, PipelineName};

/// A fact about to be journaled: an event, whose it is, and who caused it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The pipeline that it belongs to; none: the controller as a whole.
    pub pipeline: Option<PipelineName>,
    /// The person or token that caused it.
    pub by: Option<String>,
    /// Why, in that person's words.
    pub why: Option<String>,
    /// What happens.
    pub event: Event,
}

impl Fact {
    /// Something that follows by itself.
    pub fn of(pipeline: &PipelineName, event: Event) -> Fact {
        Fact { pipeline: Some(pipeline.clone()), by: None, why: None, event }
    }
}

/// A fact with its number and time: what the journal holds and the state is folded from.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Its number in the journal.
    pub id: EventId,
    /// When it was journaled, in whole microseconds.
    pub at: crate::domain::Time,
    /// The fact.
    pub fact: Fact,
}
