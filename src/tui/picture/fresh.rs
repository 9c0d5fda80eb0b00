//! What of the picture is behind the stream, and what to ask for next: one question at a time, at most about four a
//! second, everything at once where much is behind.

use super::retry::Retry;
use crate::domain::{EventId, PipelineName, Time};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

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
    /// The pipeline that was asked for last: the next is one after it, so that each has its turn.
    last: Option<PipelineName>,
    /// How it stands with questions that are not answered.
    retry: Retry,
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
        (self.asking, self.retry) = (false, Retry::default());
        match of {
            Some(name) => {
                if self.dirty.get(name).is_some_and(|event| *event <= upto) {
                    self.dirty.remove(name);
                }
            }
            None => self.dirty.retain(|_, event| *event > upto),
        }
    }

    /// No answer came about one pipeline, or about all: what was asked is behind still.
    pub(crate) fn unanswered(&mut self, of: Option<&PipelineName>, now: Time) {
        self.asking = false;
        self.all |= of.is_none();
        self.retry.failed(now);
    }

    /// What to ask for now.
    pub(crate) fn next(&mut self, now: Time) -> Option<Fetch> {
        if self.wakes(now).is_none_or(|moment| moment > now) {
            return None;
        }
        self.asking = true;
        self.asked = Some(now);
        let one = self.turn().filter(|_| !self.all && self.dirty.len() <= SINGLE_LIMIT);
        Some(match one {
            Some(name) => {
                self.last = Some(name.clone());
                Fetch::Pipeline(name)
            }
            None => {
                self.all = false;
                Fetch::State
            }
        })
    }

    /// The pipeline whose turn it is.
    fn turn(&self) -> Option<PipelineName> {
        let after = self.last.as_ref().map_or(Unbounded, Excluded);
        let next = self.dirty.range::<PipelineName, _>((after, Unbounded)).next();
        next.or_else(|| self.dirty.first_key_value()).map(|(name, _)| name.clone())
    }

    /// When there is something to ask for; none: not before an answer comes.
    pub(crate) fn wakes(&self, now: Time) -> Option<Time> {
        if self.asking {
            return None;
        }
        let Some(asked) = self.asked else { return Some(now) };
        let pause = if self.all || !self.dirty.is_empty() { PAUSE } else { LOOK_AGAIN };
        // A clock that was set back must not make it wait for long.
        let due = if asked > now { now } else { asked + pause };
        Some(self.retry.until(now).map_or(due, |until| until.max(due)))
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

    #[test]
    fn each_pipeline_has_its_turn_however_much_happens_in_another() {
        let mut fresh = Fresh { asked: Some(at(0)), ..Fresh::default() };
        fresh.dirty(&"b".into(), EventId(1));
        let mut asked = Vec::new();
        for second in 1..5 {
            fresh.dirty(&"a".into(), EventId(second * 10));
            let Some(Fetch::Pipeline(name)) = fresh.next(at(second as i64 * 1_000)) else { panic!("none") };
            // The answer is always older than what happened meanwhile.
            fresh.dirty(&"a".into(), EventId(second * 10 + 5));
            fresh.answered(Some(&name), EventId(second * 10));
            asked.push(name.to_string());
        }
        assert_eq!(asked, ["a", "b", "a", "a"]);
    }

    #[test]
    fn what_is_refused_is_asked_again_ever_later_and_alone() {
        let mut fresh = Fresh { asked: Some(at(0)), ..Fresh::default() };
        fresh.dirty(&"shop".into(), EventId(3));
        let mut now = at(1_000);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(fresh.next(now), Some(Fetch::Pipeline("shop".into())), "not everything");
            fresh.unanswered(Some(&"shop".into()), now);
            let next = fresh.wakes(now).unwrap();
            pauses.push((next - now).num_milliseconds());
            now = next;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 8_000]);
        fresh.next(now);
        fresh.answered(Some(&"shop".into()), EventId(3));
        fresh.dirty(&"shop".into(), EventId(4));
        assert_eq!(fresh.wakes(now), Some(now + PAUSE), "an answer ends it");
    }
}
