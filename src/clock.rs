//! What time it is: the only place that reads the wall clock for things that end up in the journal.
//!
//! Times are UTC with microseconds; anything finer is cut off, so that a time read back from the journal equals the
//! one that was written. How long something *took* is not asked here: that is measured with `std::time::Instant`.

use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A source of the current time.
pub trait Clock: Send + Sync {
    /// The current time, UTC, in whole microseconds.
    fn now(&self) -> DateTime<Utc>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// The largest step back of the wall clock that is hidden from readers, in microseconds.
const HIDDEN_STEP_BACK_MICROS: i64 = 5_000_000;

/// The machine's clock.
///
/// The order of events is their `id`, never their time; but people read times, and two lines in the wrong order look
/// like a fault. So a small step back (time synchronisation, up to five seconds) is hidden: the answer is one
/// microsecond after the last one until the wall clock has caught up. A larger step is a correction that somebody
/// wanted, and windows, freezes and expiries must follow it: the answer goes back with the wall clock, and the events
/// written from then on say what the wall says.
#[derive(Debug, Default)]
pub struct SystemClock {
    /// The last answer, microseconds since 1970; 0 before the first.
    last_micros: AtomicI64,
}

impl SystemClock {
    /// A clock that has not been asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn answer(&self, wall_micros: i64) -> i64 {
        let mut last = self.last_micros.load(Ordering::Relaxed);
        loop {
            let next = forward(last, wall_micros);
            match self.last_micros.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return next,
                Err(newer) => last = newer,
            }
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        from_micros(self.answer(Utc::now().timestamp_micros()))
    }
}

/// What to answer when the last answer was `last` and the wall says `wall`.
fn forward(last: i64, wall: i64) -> i64 {
    if wall > last || last - wall > HIDDEN_STEP_BACK_MICROS { wall } else { last + 1 }
}

fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A clock that stands still until it is told otherwise. Clones show the same time.
#[derive(Debug, Clone)]
pub struct SimulatedClock {
    micros: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// A clock that shows `start`, cut to microseconds.
    pub fn at(start: DateTime<Utc>) -> Self {
        Self { micros: Arc::new(AtomicI64::new(start.timestamp_micros())) }
    }

    /// Shows `time` from now on, be it earlier or later.
    pub fn set(&self, time: DateTime<Utc>) {
        self.micros.store(time.timestamp_micros(), Ordering::SeqCst);
    }

    /// Moves forward and answers the new time.
    pub fn advance(&self, by: Duration) -> DateTime<Utc> {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let old = self
            .micros
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(by)))
            .unwrap_or_else(|now| now);
        from_micros(old.saturating_add(by))
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> DateTime<Utc> {
        from_micros(self.micros.load(Ordering::SeqCst))
    }
}

/// Any number, to draw pauses with, so that what failed together does not come again together. Without randomness pauses
/// are of middling length.
pub fn chance() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_microseconds_near_the_wall_clock() {
        let before = Utc::now().timestamp_micros();
        let now = SystemClock::new().now();
        assert_eq!(now.timestamp_subsec_nanos() % 1_000, 0);
        assert!(now.timestamp_micros() >= before);
    }

    #[test]
    fn answers_of_one_clock_strictly_increase_across_threads() {
        let clock = Arc::new(SystemClock::new());
        let ask = || {
            let clock = Arc::clone(&clock);
            std::thread::spawn(move || (0..5_000).map(|_| clock.now()).collect::<Vec<_>>())
        };
        let threads: Vec<_> = (0..4).map(|_| ask()).collect();
        let mut all = Vec::new();
        for thread in threads {
            let times = thread.join().unwrap();
            assert!(times.is_sorted_by(|a, b| a < b));
            all.extend(times);
        }
        all.sort();
        assert!(all.is_sorted_by(|a, b| a < b), "no time was given twice");
    }

    #[test]
    fn a_small_step_back_is_hidden_and_a_large_one_followed() {
        let clock = SystemClock::new();
        assert_eq!(clock.answer(10_000_000), 10_000_000);
        assert_eq!(clock.answer(9_000_000), 10_000_001);
        assert_eq!(clock.answer(9_500_000), 10_000_002);
        assert_eq!(clock.answer(10_500_000), 10_500_000, "caught up");
        assert_eq!(clock.answer(5_400_000), 5_400_000, "more than five seconds: a correction");
        assert_eq!(clock.answer(5_400_001), 5_400_001);
    }

    #[test]
    fn a_simulated_clock_stands_still_and_is_shared() {
        let start = DateTime::from_timestamp(1_795_000_000, 123_456_789).unwrap();
        let clock = SimulatedClock::at(start);
        let other = clock.clone();
        assert_eq!(clock.now(), clock.now());
        assert_eq!(clock.now().timestamp_subsec_nanos(), 123_456_000);
        let later = clock.advance(Duration::from_secs(86_400));
        assert_eq!(other.now(), later);
        other.set(start - chrono::TimeDelta::days(1));
        assert!(clock.now() < start);
    }
}
