//! Between events and the journal: how it keeps them, and the fold of all of it at the start.

use crate::domain::{Envelope, State, apply};
use crate::journal::{self, Journal, Record};
use crate::wire::{self, DecodeError};
use std::fmt;

/// An event as the journal keeps it.
pub fn record(envelope: &Envelope) -> Record {
    let event = &envelope.fact.event;
    Record {
        id: envelope.id,
        at_us: envelope.at.timestamp_micros(),
        kind: event.kind().into(),
        pipeline: envelope.fact.pipeline.as_ref().map(|name| name.as_str().into()),
        tier: event.tier().map(|tier| tier.as_str().into()),
        run: event.run().map(|run| run.0),
        body: wire::encode(envelope).into(),
    }
}

/// Why the journal cannot be folded.
#[derive(Debug)]
pub enum ReplayError {
    /// It cannot be read.
    Journal(journal::Error),
    /// An event in it is not what this or an older release wrote.
    Event {
        /// Its number.
        id: u64,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// What the events that are gone came to cannot be read.
    Checkpoint {
        /// The release that wrote it.
        release: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl ReplayError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ReplayError::Journal(error) => error.code(),
            ReplayError::Event { .. } => "TG-ENGINE-002",
            ReplayError::Checkpoint { .. } => "TG-ENGINE-003",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            ReplayError::Journal(error) => error.help().unwrap_or_default().into(),
            ReplayError::Checkpoint { release, .. } => {
                format!("run release {release} again, or restore a backup made before the upgrade")
            }
            ReplayError::Event { .. } => {
                "the journal was written by another program or is damaged; restore it from a backup".into()
            }
        }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Journal(error) => error.fmt(f),
            ReplayError::Event { id, error } => {
                write!(f, "event {id} of the journal cannot be read: {error}")
            }
            ReplayError::Checkpoint { release, detail } => {
                write!(f, "the journal's checkpoint, written by release {release}, cannot be read: {detail}")
            }
        }
    }
}

impl std::error::Error for ReplayError {}

/// Folds the whole journal, from its checkpoint on if it has one. Blocks; call it where that is fine. An event of a kind
/// that this release does not know is passed over: it changes nothing that this release keeps.
pub fn replay(journal: &dyn Journal) -> Result<State, ReplayError> {
    let mut state = super::checkpoint::begin(journal)?;
    let mut bad = None;
    let read = journal.for_each(state.last, &mut |record| {
        match wire::decode(&record.body) {
            Ok(envelope) => apply(&mut state, &envelope),
            Err(DecodeError::UnknownKind(_)) => state.last = record.id,
            Err(error) => {
                bad = Some(ReplayError::Event { id: record.id.0, error });
                return Err(journal::Error::Closed);
            }
        }
        Ok(())
    });
    match (bad, read) {
        (Some(bad), _) => Err(bad),
        (None, Err(error)) => Err(ReplayError::Journal(error)),
        (None, Ok(())) => Ok(state),
    }
}
