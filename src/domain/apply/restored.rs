//! How a journal that was restored from a backup changes the state: nothing enters anywhere by itself until people have
//! compared what runs with what is believed, because nodes may be ahead of the journal.

use crate::domain::Time;
use crate::domain::state::*;

/// Who puts the holds.
const BY: &str = "restore";

/// Holds every pipeline, and begins new numbers of runs: the journal that was lost may have given some out.
pub(super) fn apply(state: &mut State, taken_at: Time, at: Time) {
    state.last_run = state.last_run.next_epoch();
    // What is noted of runs there is of the journal that was lost.
    state.runner = None;
    for pipeline in state.pipelines.values_mut() {
        let taken = taken_at.format("%Y-%m-%d %H:%M:%S UTC");
        let mut why = format!(
            "restored from a backup of {taken}; compare what runs with what `tidegate status` says, then resume"
        );
        if let Some(Hold { by, why: earlier, .. }) = pipeline.hold.as_ref().filter(|hold| hold.by != BY) {
            why = format!("{why} (it was held by {by} already: {earlier})");
        }
        pipeline.hold = Some(Hold { by: BY.into(), why, at, of_rollback: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Envelope, Event, EventId, Fact, RunId, apply};

    fn restored(state: &mut State) {
        let at = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let last = state.last;
        let event = Event::JournalRestored { last, taken_at: at };
        let fact = Fact { pipeline: None, by: Some(BY.into()), why: None, event };
        apply(state, &Envelope { id: last.next_epoch(), at, fact });
    }

    #[test]
    fn every_pipeline_is_held_and_numbers_begin_anew() {
        let mut state = State { last: EventId(70), last_run: RunId(9), ..State::default() };
        state.pipelines.insert("shop".into(), PipelineState::empty("shop".into()));
        let hold = Hold {
            by: "ann".into(),
            why: "a move".into(),
            at: chrono::DateTime::UNIX_EPOCH,
            of_rollback: false,
        };
        let held = PipelineState { hold: Some(hold), ..PipelineState::empty("shop".into()) };
        state.pipelines.insert("blog".into(), held);
        restored(&mut state);
        assert_eq!((state.last, state.last_run), (EventId(1 << 32), RunId(1 << 32)));
        let hold = |state: &State, name: &str| state.pipelines.get(name).unwrap().hold.clone().unwrap();
        assert!(hold(&state, "shop").why.starts_with("restored from a backup of 2027-01-15 08:00:00 UTC"));
        let blog = hold(&state, "blog");
        assert!(blog.by == BY && blog.why.ends_with("(it was held by ann already: a move)"), "{blog:?}");
        restored(&mut state);
        assert_eq!(state.last_run, RunId(2 << 32));
        assert!(!hold(&state, "shop").why.contains("already"), "its own hold is no earlier one");
    }
}
