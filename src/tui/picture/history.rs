//! What happened, as far as it is kept here: a bounded ring of events, with marks where the picture was cut.

use crate::domain::{Envelope, EventId, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most entries that are kept.
pub(crate) const LIMIT: usize = 10_000;

/// One entry.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// Something happened.
    Event(Arc<Envelope>),
    /// The stream was not whole here.
    Mark(Time, String),
}

/// Events, oldest first.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) entries: VecDeque<Entry>,
    /// Nothing comes before the first.
    pub(crate) complete: bool,
    /// Older ones are asked for.
    pub(crate) asking: bool,
    /// How many were dropped at the front since the beginning, so that a place in it can be kept.
    pub(crate) dropped: u64,
}

impl History {
    pub(crate) fn push(&mut self, envelope: Arc<Envelope>) {
        self.add(Entry::Event(envelope));
    }

    pub(crate) fn mark(&mut self, at: Time, text: String) {
        self.add(Entry::Mark(at, text));
    }

    fn add(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        if self.entries.len() > LIMIT {
            self.entries.pop_front();
            self.dropped += 1;
            self.complete = false;
        }
    }

    /// Older events come before the first.
    pub(crate) fn older(&mut self, events: Vec<Arc<Envelope>>, complete: bool) {
        self.asking = false;
        let oldest = self.oldest();
        let fits = |envelope: &Arc<Envelope>| oldest.is_none_or(|oldest| envelope.id < oldest);
        let older: Vec<_> = events.into_iter().filter(fits).collect();
        let room = LIMIT.saturating_sub(self.entries.len());
        self.complete = complete && older.len() <= room;
        for envelope in older.into_iter().rev().take(room) {
            self.entries.push_front(Entry::Event(envelope));
        }
    }

    /// The first event that is kept.
    pub(crate) fn oldest(&self) -> Option<EventId> {
        self.events().next().map(|envelope| envelope.id)
    }

    /// Whether there is room for older ones and there may be some.
    pub(crate) fn may_grow(&self) -> bool {
        !self.complete && !self.asking && self.entries.len() < LIMIT
    }

    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Envelope>> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Event(envelope) => Some(envelope),
            Entry::Mark(..) => None,
        })
    }

    /// Whether an event is among the newest.
    pub(crate) fn has(&self, id: EventId) -> bool {
        self.events().rev().take_while(|envelope| envelope.id >= id).any(|envelope| envelope.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Event, Fact};

    fn event(id: u64) -> Arc<Envelope> {
        let fact = Fact { pipeline: None, by: None, why: None, event: Event::LookedOver };
        Arc::new(Envelope { id: EventId(id), at: Time::from_timestamp(1_795_424_400, 0).unwrap(), fact })
    }

    #[test]
    fn it_is_bounded_and_grows_backwards_once() {
        let mut history = History::default();
        (100..200).for_each(|id| history.push(event(id)));
        history.older((50..150).map(event).collect(), false);
        assert_eq!((history.oldest(), history.entries.len()), (Some(EventId(50)), 150));
        history.older((1..50).map(event).collect(), true);
        assert!(history.complete && history.has(EventId(1)) && history.has(EventId(199)));
        (200..20_000).for_each(|id| history.push(event(id)));
        assert_eq!(history.entries.len(), LIMIT);
        assert!(!history.complete && !history.has(EventId(5)) && !history.may_grow());
    }
}
