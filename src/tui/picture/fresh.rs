//! What of the picture is behind the stream, and what to ask for next: one question at a time, at most about four a
//! second, everything at once where much is behind.

use crate::domain::{EventId, PipelineName, Time};
use chrono::TimeDelta;
use std::collections::BTreeMap;

/// The pause between questions.
const PAUSE: TimeDelta = TimeDelta::milliseconds(250);

/// More pipelines than that are asked for all at once.
const SINGLE_LIMIT: usize = 3;

/// What no event tells of (troubles, room on the disk) is looked at so often.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// Everything.
    State,
    /// One pipeline.
    Pipeline(PipelineName),
}

/// What is behind.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// Everything is.
    all: bool,
    /// These are, since an event.
    dirty: BTreeMap<PipelineName, EventId>,
    /// A question is not answered yet.
    asking: bool,
    /// When one was asked last.
    asked: Option<Time>,
}

impl Fresh {
    /// A pipeline is behind this event.
    pub(crate) fn dirty(&mut self, name: &PipelineName, event: EventId) {
        self.dirty.insert(name.clone(), event);
    }

    /// Everything may be behind.
    pub(crate) fn everything(&mut self) {
        self.all = true;
    }

    /// An answer came, up to an event: of one pipeline, or of all.
    pub(crate) fn answered(&mut self, of: Option<&PipelineName>, upto: EventId) {
        self.asking = false;
        match of {
            Some(name) => {
                if self.dirty.get(name).is_some_and(|event| *event <= upto) {
                    self.dirty.remove(name);
                }
            }
            None => self.dirty.retain(|_, event| *event > upto),
        }
    }

    /// No answer came.
    pub(crate) fn unanswered(&mut self) {
        self.asking = false;
        self.all = true;
    }

    /// What to ask for now.
    pub(crate) fn next(&mut self, now: Time) -> Option<Fetch> {
        if self.wakes(now).is_none_or(|moment| moment > now) {
            return None;
        }
        self.asking = true;
        self.asked = Some(now);
        let one = self.dirty.keys().next().filter(|_| !self.all && self.dirty.len() <= SINGLE_LIMIT);
        Some(match one {
            Some(name) => Fetch::Pipeline(name.clone()),
            None => {
                self.all = false;
                Fetch::State
            }
        })
    }

    /// When there is something to ask for; none: not before an answer comes.
    pub(crate) fn wakes(&self, now: Time) -> Option<Time> {
        if self.asking {
            return None;
        }
        let Some(asked) = self.asked else { return Some(now) };
        let pause = if self.all || !self.dirty.is_empty() { PAUSE } else { LOOK_AGAIN };
        // A clock that was set back must not make it wait for long.
        Some(if asked > now { now } else { asked + pause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_timestamp_millis(1_795_424_400_000 + millis).unwrap()
    }

    #[test]
    fn one_question_is_asked_at_a_time_and_not_too_often() {
        let mut fresh = Fresh::default();
        assert_eq!(fresh.next(at(0)), Some(Fetch::State));
        fresh.dirty(&"shop".into(), EventId(7));
        assert_eq!(fresh.next(at(1_000)), None, "no answer yet");
        fresh.answered(None, EventId(6));
        assert_eq!(fresh.next(at(1_000)), Some(Fetch::Pipeline("shop".into())));
        fresh.answered(Some(&"shop".into()), EventId(6));
        assert_eq!(fresh.next(at(1_100)), None, "too soon");
        assert_eq!(fresh.wakes(at(1_100)), Some(at(1_250)));
        assert_eq!(fresh.next(at(1_250)), Some(Fetch::Pipeline("shop".into())), "the answer was older");
        fresh.answered(Some(&"shop".into()), EventId(7));
        assert_eq!(fresh.next(at(2_000)), None);
        assert_eq!(fresh.next(at(40_000)), Some(Fetch::State), "what no event tells of");
    }

    #[test]
    fn many_are_asked_for_at_once() {
        let mut fresh = Fresh { asked: Some(at(0)), ..Fresh::default() };
        for name in ["a", "b", "c", "d"] {
            fresh.dirty(&name.into(), EventId(3));
        }
        assert_eq!(fresh.next(at(1_000)), Some(Fetch::State));
        fresh.answered(None, EventId(3));
        assert!(fresh.dirty.is_empty());
    }
}
