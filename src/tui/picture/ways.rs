//! The ways of versions that were looked at: their events as far as they are known, few of them, each bounded.

use super::History;
use super::retry::Retry;
use super::version_of;
use crate::domain::{Envelope, EventId, PipelineName, Time, VersionLabel};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most ways that are kept.
pub(crate) const WAYS: usize = 30;

/// Most events of one that are kept, the newest.
pub(crate) const EVENTS: usize = 5_000;

/// A version of a pipeline.
pub(crate) type Key = (PipelineName, VersionLabel);

/// The events of one version.
#[derive(Default)]
struct Way {
    /// Oldest first.
    events: Vec<Arc<Envelope>>,
    /// It was asked for, and that question was not given up.
    asked: bool,
    retry: Retry,
    /// Counts use, so that the one that nobody looks at goes first.
    used: u64,
}

/// The ways that are kept.
#[derive(Default)]
pub(crate) struct Ways {
    all: BTreeMap<Key, Way>,
    turn: u64,
}

impl Ways {
    /// The events of one, oldest first; none: nobody looked at it yet.
    pub(crate) fn events(&self, key: &Key) -> Option<&[Arc<Envelope>]> {
        self.all.get(key).map(|way| way.events.as_slice())
    }

    /// Somebody looks at it: whether it is to be asked for, and up to which event. What the history has of it is taken
    /// over, and what happens to it from now on is kept, too.
    pub(crate) fn wanted(&mut self, key: &Key, history: &History, now: Time) -> Option<EventId> {
        self.turn += 1;
        if !self.all.contains_key(key) {
            if self.all.len() >= WAYS {
                let oldest = self.all.iter().min_by_key(|(_, way)| way.used).map(|(key, _)| key.clone());
                oldest.map(|key| self.all.remove(&key));
            }
            let events = history.events().filter(|envelope| is_of(envelope, key)).cloned().collect();
            self.all.insert(key.clone(), Way { events, ..Way::default() });
        }
        let way = self.all.get_mut(key).expect("BUG: a way that was just put there is gone");
        way.used = self.turn;
        if way.asked || way.retry.waits(now) {
            return None;
        }
        way.asked = true;
        // What is in the history is here already.
        Some(history.oldest().map_or(EventId(u64::MAX), |oldest| EventId(oldest.0.saturating_sub(1))))
    }

    /// When one that was not answered is asked for again; none: it was answered, or is asked for.
    pub(crate) fn wakes(&self, key: &Key, now: Time) -> Option<Time> {
        self.all.get(key).filter(|way| !way.asked).and_then(|way| way.retry.until(now))
    }

    /// A question was not answered.
    pub(crate) fn unanswered(&mut self, key: &Key, now: Time) {
        if let Some(way) = self.all.get_mut(key) {
            way.asked = false;
            way.retry.failed(now);
        }
    }

    /// Older events came.
    pub(crate) fn older(&mut self, key: &Key, events: Vec<Arc<Envelope>>) {
        let Some(way) = self.all.get_mut(key) else { return };
        way.retry = Retry::default();
        way.events.splice(0..0, events);
        way.events.sort_by_key(|envelope| envelope.id);
        way.events.dedup_by_key(|envelope| envelope.id);
        way.trim();
    }

    /// Something happened.
    pub(crate) fn happened(&mut self, envelope: &Arc<Envelope>) {
        let Some((pipeline, version)) = envelope.fact.pipeline.as_ref().zip(version_of(&envelope.fact.event))
        else {
            return;
        };
        if self.all.is_empty() {
            return;
        }
        let Some(way) = self.all.get_mut(&(pipeline.clone(), version.clone())) else { return };
        if way.events.last().is_none_or(|last| last.id < envelope.id) {
            way.events.push(envelope.clone());
            way.trim();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Way {
    fn trim(&mut self) {
        // Now and then, so that not each event moves all of them.
        if self.events.len() > EVENTS + EVENTS / 10 {
            self.events.drain(..self.events.len() - EVENTS);
        }
    }
}

/// Whether an event is about a version of a pipeline.
pub(crate) fn is_of(envelope: &Envelope, (pipeline, version): &Key) -> bool {
    envelope.fact.pipeline.as_ref() == Some(pipeline) && version_of(&envelope.fact.event) == Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Event, Fact};

    fn event(id: u64, version: &str) -> Arc<Envelope> {
        let event = Event::VersionBlocked { version: version.into() };
        let fact = Fact::of(&"shop".into(), event);
        Arc::new(Envelope { id: EventId(id), at: now(), fact })
    }

    fn now() -> Time {
        Time::from_timestamp(1_795_424_400, 0).unwrap()
    }

    fn key(version: &str) -> Key {
        ("shop".into(), version.into())
    }

    fn ids(ways: &Ways, version: &str) -> Vec<u64> {
        ways.events(&key(version)).unwrap().iter().map(|envelope| envelope.id.0).collect()
    }

    #[test]
    fn what_is_known_of_it_what_is_told_of_it_and_what_happens_are_one_way() {
        let mut history = History::default();
        for (id, version) in [(7, "1"), (8, "2"), (9, "1")] {
            history.push(event(id, version));
        }
        let mut ways = Ways::default();
        assert_eq!(ways.wanted(&key("1"), &history, now()), Some(EventId(6)), "only what came before");
        assert_eq!(ways.wanted(&key("1"), &history, now()), None, "one question");
        ways.happened(&event(10, "1"));
        ways.happened(&event(11, "2"));
        ways.older(&key("1"), [2, 4, 9, 10].map(|id| event(id, "1")).to_vec());
        ways.happened(&event(10, "1"));
        assert_eq!(ids(&ways, "1"), [2, 4, 7, 9, 10], "nothing twice");
    }

    #[test]
    fn a_question_that_failed_is_asked_again_after_a_pause() {
        let (mut ways, history) = (Ways::default(), History::default());
        assert!(ways.wanted(&key("1"), &history, now()).is_some());
        ways.unanswered(&key("1"), now());
        assert!(ways.wanted(&key("1"), &history, now()).is_none(), "not at once");
        let again = ways.wakes(&key("1"), now()).unwrap();
        assert!(ways.wanted(&key("1"), &history, again).is_some());
    }

    #[test]
    fn few_are_kept_and_each_is_bounded() {
        let (mut ways, history) = (Ways::default(), History::default());
        for version in 0..100 {
            ways.wanted(&key(&version.to_string()), &history, now());
        }
        assert_eq!(ways.len(), WAYS);
        assert!(ways.events(&key("99")).is_some() && ways.events(&key("1")).is_none());
        (0..20_000).for_each(|id| ways.happened(&event(id, "99")));
        let kept = ids(&ways, "99");
        assert!(kept.len() <= EVENTS * 11 / 10 && kept.last() == Some(&19_999), "{} are kept", kept.len());
    }
}
