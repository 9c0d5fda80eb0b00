//! What became of one try, and how long to wait for the next.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause, unless the receiver asks for a longer one.
const LONGEST: Duration = Duration::from_secs(600);
/// For how long an event is tried.
const ALL: TimeDelta = TimeDelta::days(1);

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The receiver has it.
    Taken,
    /// Not now.
    Later {
        /// For people; holds no secret.
        why: String,
        /// What the receiver asks to wait.
        after: Option<Duration>,
    },
    /// Never: another try would end the same.
    Never {
        /// For people; holds no secret.
        why: String,
        /// The way out.
        help: &'static str,
    },
}

impl Sent {
    /// Not now, for this reason.
    pub(super) fn later(why: impl Into<String>) -> Sent {
        Sent::Later { why: why.into(), after: None }
    }
}

/// Failures in a row of one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// The pause after one more failure: between half and the whole of a time that doubles, so that receivers which
    /// failed together are not asked together; and no less than the receiver wants. `chance` is any number.
    pub(super) fn pause(&mut self, wanted: Option<Duration>, chance: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        let pause = half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX));
        pause.max(wanted.unwrap_or_default())
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

/// Whether the time for an event is over, `now`. `began`: when this controller began to tell.
pub(super) fn is_over(event: DateTime<Utc>, began: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - event.max(began) >= ALL
}

/// What a `Retry-After` asks for: seconds, or a date (RFC 9110, 10.2.3). No longer than a day.
pub(super) fn retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    let wanted = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            (date.to_utc() - now).to_std().unwrap_or_default()
        }
    };
    Some(wanted.min(ALL.to_std().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn pauses_double_up_to_ten_minutes_and_are_drawn() {
        let pauses = |chance| {
            let mut patience = Patience::default();
            (0..14).map(|_| patience.pause(None, chance).as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(u32::MAX)[..4], [1000, 2000, 4000, 8000]);
        assert_eq!(pauses(0)[..4], [500, 1000, 2000, 4000]);
        assert_eq!(pauses(u32::MAX)[13], 600_000);
        let mut tried = Patience::default();
        for _ in 0..1000 {
            tried.pause(None, 7);
        }
        assert_eq!(tried.failures(), 1000);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time() {
        let mut patience = Patience::default();
        assert_eq!(patience.pause(Some(Duration::from_secs(90)), 0), Duration::from_secs(90));
        assert_eq!(retry_after(" 120 ", at(0)), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:02:00 GMT", at(30)), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:02:00 GMT", at(300)), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", at(0)), Some(Duration::from_secs(86_400)));
        assert_eq!(retry_after("soon", at(0)), None);
    }

    #[test]
    fn an_event_has_a_day_from_when_it_could_first_be_told() {
        let day = 86_400;
        assert!(!is_over(at(0), at(0), at(day - 1)));
        assert!(is_over(at(0), at(0), at(day)));
        assert!(!is_over(at(0), at(day), at(day + 5)), "the controller was away");
    }
}
