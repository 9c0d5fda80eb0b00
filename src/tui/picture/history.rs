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
    /// The stream was not whole here, since that moment.
    Mark(Time, Odd),
}

/// Why the stream was not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// It was cut off: how often in a row, and for how long in all.
    Cut(u32, chrono::TimeDelta),
    /// It left out so many after an event, which the journal says again.
    Lagged(u64, EventId),
    /// What came before an event is no longer kept.
    Gap(EventId),
    /// The journal is another one.
    Anew,
    /// Something came that cannot be read here.
    Unreadable,
}

impl Odd {
    /// One of the same kind follows at once: both in one.
    fn with(&self, next: &Odd) -> Option<Odd> {
        match (self, next) {
            (Odd::Cut(times, long), Odd::Cut(more, longer)) => Some(Odd::Cut(times + more, *long + *longer)),
            (Odd::Lagged(missed, after), Odd::Lagged(more, _)) => Some(Odd::Lagged(missed + more, *after)),
            (Odd::Gap(_), Odd::Gap(oldest)) => Some(Odd::Gap(*oldest)),
            (Odd::Anew, Odd::Anew) | (Odd::Unreadable, Odd::Unreadable) => Some(next.clone()),
            _ => None,
        }
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        match self {
            Odd::Cut(times, long) => {
                let away = crate::words::span(*long);
                let times = if *times > 1 { format!(", {times} times in a row") } else { String::new() };
                format!("cut off for {away}{times}; what was missed follows from the journal")
            }
            Odd::Lagged(missed, after) => {
                format!("the stream fell behind by {missed} after event {after}; the journal says them again")
            }
            Odd::Gap(oldest) => format!("events before {oldest} are no longer kept"),
            Odd::Anew => "the controller has another journal than before: all is begun anew".into(),
            Odd::Unreadable => "something came that this release cannot read; the state is asked for".into(),
        }
    }
}

/// Events, oldest first.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) entries: VecDeque<Entry>,
    /// Nothing comes before the first.
    pub(crate) complete: bool,
    /// Older ones are asked for.
    pub(crate) asking: bool,
    /// The number of the first entry: entries are numbered one by one, so that a place in it can be kept.
    pub(crate) first: i64,
}

impl History {
    pub(crate) fn push(&mut self, envelope: Arc<Envelope>) {
        self.add(Entry::Event(envelope));
    }

    /// Says that the stream was not whole; marks of one kind between which nothing happened are one.
    pub(crate) fn mark(&mut self, at: Time, odd: Odd) {
        if let Some(Entry::Mark(_, last)) = self.entries.back_mut()
            && let Some(both) = last.with(&odd)
        {
            *last = both;
            return;
        }
        self.add(Entry::Mark(at, odd));
    }

    fn add(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        if self.entries.len() > LIMIT {
            self.entries.pop_front();
            self.first += 1;
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
            self.first -= 1;
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

    #[test]
    fn a_stream_that_comes_and_goes_does_not_fill_it() {
        let mut history = History::default();
        history.push(event(1));
        for second in 0..1_000 {
            let at = Time::from_timestamp(1_795_424_400 + second, 0).unwrap();
            history.mark(at, Odd::Cut(1, chrono::TimeDelta::seconds(3)));
        }
        assert_eq!(history.entries.len(), 2);
        let Some(Entry::Mark(_, odd)) = history.entries.back() else { panic!("no mark") };
        assert_eq!(
            odd.text(),
            "cut off for 50m 0s, 1000 times in a row; what was missed follows from the journal"
        );
        history.mark(Time::from_timestamp(1_795_424_400, 0).unwrap(), Odd::Lagged(3, EventId(1)));
        assert_eq!(history.entries.len(), 3, "another kind is another mark");
    }
}
