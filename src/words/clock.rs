//! Ages and spans as they are shown, and when what is shown changes by time alone.

use super::span;
use crate::domain::{Blocker, Time};
use crate::server::view::ConfirmationView;
use chrono::TimeDelta;
use std::cell::Cell;

/// The time that is shown, and when it is to be shown again.
pub struct Clock {
    pub(crate) now: Time,
    wake: Cell<Option<TimeDelta>>,
}

impl Clock {
    /// Shows this time.
    pub fn at(now: Time) -> Clock {
        Clock { now, wake: Cell::new(None) }
    }

    /// After how long something drawn is another text; none: never.
    pub(crate) fn wake(&self) -> Option<TimeDelta> {
        self.wake.get()
    }

    /// Something is drawn that shows how far away a moment is.
    pub(crate) fn sees(&self, moment: Time) {
        let seconds = (moment - self.now).num_seconds().abs();
        let after = if seconds < 3_600 { TimeDelta::seconds(1) } else { TimeDelta::seconds(20) };
        self.wake.set(Some(self.wake.get().map_or(after, |wake| wake.min(after))));
    }

    /// How long ago, in the largest unit: `3h`.
    pub(crate) fn age(&self, then: Time) -> String {
        let seconds = (self.now - then).num_seconds().max(0);
        let (text, after) = match seconds {
            0..60 => (format!("{seconds}s"), 1),
            60..3_600 => (format!("{}m", seconds / 60), 60 - seconds % 60),
            3_600..86_400 => (format!("{}h", seconds / 3_600), 60),
            _ => (format!("{}d", seconds / 86_400), 60),
        };
        let after = TimeDelta::seconds(after);
        self.wake.set(Some(self.wake.get().map_or(after, |wake| wake.min(after))));
        text
    }

    /// How long since then: `3h 20m`.
    pub(crate) fn since(&self, then: Time) -> String {
        self.sees(then);
        span(self.now - then)
    }

    /// What stands in a version's way, with how long it still does.
    pub(crate) fn blocker(&self, one: &Blocker) -> String {
        one.until().into_iter().for_each(|until| self.sees(until));
        super::blocker(one, self.now)
    }

    /// The same with whose words are there, and how long they count.
    pub(crate) fn blocker_with(&self, one: &Blocker, words: &[ConfirmationView]) -> String {
        let ends = words.iter().filter_map(|word| word.until);
        one.until().into_iter().chain(ends).for_each(|until| self.sees(until));
        super::blocker_with(one, words, self.now)
    }

    /// How long until then; none: it has come.
    pub(crate) fn until(&self, then: Time) -> Option<String> {
        self.sees(then);
        (then > self.now).then(|| span(then - self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_say_when_they_change() {
        let now = Time::from_timestamp(1_795_424_400, 0).unwrap();
        let clock = Clock::at(now);
        assert_eq!(clock.wake(), None);
        assert_eq!(clock.age(now - TimeDelta::minutes(200)), "3h");
        assert_eq!(clock.wake(), Some(TimeDelta::seconds(60)));
        assert_eq!(clock.age(now - TimeDelta::seconds(70)), "1m");
        assert_eq!(clock.wake(), Some(TimeDelta::seconds(50)));
        clock.sees(now + TimeDelta::seconds(10));
        assert_eq!(clock.wake(), Some(TimeDelta::seconds(1)));
    }
}
