//! When a question that was not answered is asked again: soon at first, then ever later, so that a refusal that stays is
//! no storm of questions.

use crate::domain::Time;
use chrono::TimeDelta;

/// The first pause; each failure doubles it.
const FIRST: TimeDelta = TimeDelta::milliseconds(500);

/// So often it is doubled at most: to eight seconds.
const DOUBLED: u32 = 4;

/// How often a question failed in a row, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    failures: u32,
    failed: Option<Time>,
}

impl Retry {
    /// No answer came.
    pub(crate) fn failed(&mut self, now: Time) {
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(now);
    }

    /// Until when it is not asked again; none: nothing failed.
    pub(crate) fn until(&self, now: Time) -> Option<Time> {
        let doubled = 1 << self.failures.saturating_sub(1).min(DOUBLED);
        // A clock that was set back must not make it wait for long.
        self.failed.map(|failed| failed.min(now) + FIRST * doubled)
    }

    /// Whether it is too early yet.
    pub(crate) fn waits(&self, now: Time) -> bool {
        self.until(now).is_some_and(|until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_some_seconds_and_no_further() {
        let now = Time::from_timestamp(1_795_424_400, 0).unwrap();
        let mut retry = Retry::default();
        assert!(!retry.waits(now), "nothing failed");
        let pauses: Vec<i64> = (0..8)
            .map(|_| {
                retry.failed(now);
                (retry.until(now).unwrap() - now).num_milliseconds()
            })
            .collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000]);
        assert!(retry.waits(now) && !retry.waits(now + TimeDelta::seconds(8)));
    }
}
