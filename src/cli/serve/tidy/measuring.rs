//! When it is measured again how much everything takes: that looks at every file, of which the caches of builds alone may
//! hold a million. So not more often than once a minute, nor for more than a twentieth of the time.

use std::time::Duration;
use tokio::time::Instant;

/// The shortest rest after a measure.
const REST: Duration = Duration::from_secs(60);

/// The rest is at least so many times as long as the measure was.
const SHARE: u32 = 20;

/// When it is measured again.
#[derive(Debug, Default)]
pub(super) struct Measuring {
    /// Something has changed: then.
    due: Option<Instant>,
    /// Not before then.
    rest: Option<Instant>,
}

impl Measuring {
    /// Something has changed: a measure is due, at once or after the rest.
    pub(super) fn wanted(&mut self, now: Instant) {
        self.due.get_or_insert(self.rest.map_or(now, |rest| rest.max(now)));
    }

    /// Resolves when one is due; never when nothing has changed.
    pub(super) async fn due(&self) {
        super::at(self.due).await;
    }

    /// One was made.
    pub(super) fn done(&mut self, began: Instant, ended: Instant) {
        let rest = (ended - began).saturating_mul(SHARE).max(REST);
        (self.due, self.rest) = (None, Some(ended + rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn many_builds_make_one_measure_a_minute_and_slow_ones_fewer() {
        let mut measuring = Measuring::default();
        let begin = Instant::now();
        measuring.wanted(begin);
        measuring.due().await;
        assert_eq!(Instant::now(), begin, "the first at once");
        measuring.done(begin, begin + SECOND);
        for after in 2..50 {
            measuring.wanted(begin + after * SECOND);
        }
        measuring.due().await;
        assert_eq!(Instant::now().duration_since(begin).as_secs(), 61);
        let begin = Instant::now();
        measuring.done(begin, begin + 10 * SECOND);
        measuring.wanted(begin + 11 * SECOND);
        measuring.due().await;
        assert_eq!(Instant::now().duration_since(begin).as_secs(), 210);
        measuring.done(begin, begin);
        assert!(tokio::time::timeout(3600 * SECOND, measuring.due()).await.is_err(), "nothing has changed");
    }
}
