//! The state as a checkpoint of the journal: what its events come to, so that old ones may go.
//!
//! The text is the state as JSON. Its form has a number; a field that a later release adds has a default, so that the
//! number changes only when an older text cannot be read any more.

use super::{Engine, Refusal, ReplayError};
use crate::domain::{EventId, State, Time};
use crate::journal::{self, Checkpoint, Journal, Watermark};

/// The form of the text that this release writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// So many of the newest events stay, whatever their age: they may be on their way to the bus.
const NEWEST_KEPT: u64 = 2_000;

fn encode(state: &State, at: Time) -> Checkpoint {
    Checkpoint {
        id: state.last,
        at_us: at.timestamp_micros(),
        release: env!("CARGO_PKG_VERSION").into(),
        format: FORMAT,
        body: serde_json::to_string(state).expect("BUG: a state that cannot be written as JSON").into(),
    }
}

/// The state that a checkpoint stands for.
///
/// # Errors
/// [`ReplayError::Checkpoint`]: a newer release wrote it, or it is damaged.
pub fn state_at(checkpoint: &Checkpoint) -> Result<State, ReplayError> {
    let unreadable =
        |detail: String| ReplayError::Checkpoint { release: checkpoint.release.as_ref().into(), detail };
    if checkpoint.format > FORMAT {
        let found = checkpoint.format;
        return Err(unreadable(format!("its form is {found}, this release knows {FORMAT}")));
    }
    let state: State =
        serde_json::from_str(&checkpoint.body).map_err(|error| unreadable(error.to_string()))?;
    if state.last != checkpoint.id {
        let found = state.last;
        return Err(unreadable(format!("it says event {}, and holds {found}", checkpoint.id)));
    }
    Ok(state.of_older_release())
}

/// Where the fold of a journal begins: its checkpoint, or nothing.
pub(super) fn begin(journal: &dyn Journal) -> Result<State, ReplayError> {
    let Some(checkpoint) = journal.checkpoint().map_err(ReplayError::Journal)? else {
        return Ok(State::default());
    };
    match state_at(&checkpoint) {
        // Everything is still there: the checkpoint is not needed.
        Err(error) if journal.oldest_id() == EventId(1) => {
            tracing::warn!(code = error.code(), "{error}; folding the whole journal");
            Ok(State::default())
        }
        other => other,
    }
}

impl Engine {
    /// Removes events older than `before` from the journal, keeping what they come to. What builds that wait or are
    /// under way began with stays, and the newest events do. Gives the oldest event left.
    ///
    /// # Errors
    /// The journal refuses; what was not removed is still there.
    pub async fn forget_before(&self, before: EventId, now: Time) -> Result<EventId, Refusal> {
        let state = self.read(State::clone);
        let durable = match &*self.journal.durable().borrow() {
            Watermark::Durable(upto) => *upto,
            Watermark::Failed(error) => return Err(Refusal::NotKept(error.clone())),
        };
        let newest = newest_kept(&*self.journal, durable).await.map_err(Refusal::NotKept)?;
        let before = still_needed(&state).into_iter().chain([before, newest]).min().unwrap_or_default();
        let oldest = self.journal.oldest_id();
        if before <= oldest {
            return Ok(oldest);
        }
        let encoded = tokio::task::spawn_blocking(move || encode(&state, now)).await;
        let checkpoint = encoded.map_err(|_| Refusal::Ended)?;
        self.journal.forget_before(before, checkpoint).await.map_err(Refusal::NotKept)
    }
}

/// The oldest of the newest events that stay.
async fn newest_kept(journal: &dyn Journal, durable: EventId) -> Result<EventId, journal::Error> {
    let (mut top, mut left) = (durable, NEWEST_KEPT);
    loop {
        let begin = top.epoch();
        let there = top.0 - begin.0;
        if there >= left || begin == EventId(0) {
            return Ok(EventId(top.0.saturating_sub(left)));
        }
        // The rest of them are of the epoch before.
        left -= there + 1;
        top = journal.last_below(begin).await?;
        if top == EventId(0) {
            return Ok(begin);
        }
    }
}

/// The oldest request whose build has not ended.
fn still_needed(state: &State) -> Option<EventId> {
    let of = |p: &crate::domain::state::PipelineState| {
        p.queue.iter().chain(p.build.iter().map(|build| &build.request)).map(|request| request.id).min()
    };
    state.pipelines.values().filter_map(of).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_events_stay_over_an_epoch_too() {
        use crate::journal::contract::{record, records, restored};
        const EPOCH: u64 = 1 << 32;
        let journal = crate::journal::MemoryJournal::new();
        journal.append(records(1..=5_000)).await.unwrap();
        let newest = async || newest_kept(&journal, journal.last_id()).await.unwrap().0;
        assert_eq!(newest().await, 3_000);
        journal.append(vec![restored(5_000)]).await.unwrap();
        assert_eq!(newest().await, 3_001);
        journal.append((1..=9).map(|id| record(EPOCH + id)).collect()).await.unwrap();
        assert_eq!(newest().await, 3_010);
        journal.append((10..=2_500).map(|id| record(EPOCH + id)).collect()).await.unwrap();
        assert_eq!(newest().await, EPOCH + 500);
    }

    #[test]
    fn a_checkpoint_of_a_later_form_or_of_another_event_is_refused() {
        let now = chrono::DateTime::UNIX_EPOCH;
        let state = State { last: EventId(7), ..State::default() };
        let good = encode(&state, now);
        assert_eq!(state_at(&good).unwrap(), state);
        for bad in [
            Checkpoint { format: FORMAT + 1, ..good.clone() },
            Checkpoint { id: EventId(8), ..good.clone() },
            Checkpoint { body: "{}".into(), ..good },
        ] {
            let error = state_at(&bad).unwrap_err();
            assert_eq!(error.code(), "TG-ENGINE-003", "{error}");
            assert!(!error.help().is_empty());
        }
    }
}
