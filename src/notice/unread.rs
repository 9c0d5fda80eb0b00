//! A journal that cannot be read for now: how long to wait before it is tried again, and who hears of it. What is to be
//! told waits in it, and nothing of that is lost.

use super::codes;
use super::patience::Patience;
use super::tally::Tally;
use crate::clock::chance;
use crate::domain::{EventId, Time};
use crate::journal;
use std::time::Duration;

/// The longest pause: however long the journal was away, notices go on soon after.
const LONGEST: Duration = Duration::from_secs(10);

/// Tries in a row that failed.
#[derive(Debug, Default)]
pub(super) struct Unread(Patience);

impl Unread {
    /// Shows one more, `now`, with the event that waits, and says how long to wait. The first one in a row is worth an
    /// error in the log.
    pub(super) fn pause(
        &mut self,
        error: &journal::Error,
        event: EventId,
        now: Time,
        tally: &Tally,
    ) -> Duration {
        let pause = self.0.pause(None, chance()).min(LONGEST);
        let message = format!("failed to {error}");
        tally.unread(event, now, &message);
        let (code, failures) = (codes::JOURNAL, self.0.failures());
        if failures == 1 {
            let help = error.help().unwrap_or_default();
            tracing::error!(code, help, "no notice is told until the journal can be read again: {message}");
        } else {
            tracing::debug!(code, failures, "no notice is told yet: {message}");
        }
        pause
    }

    /// It was read.
    pub(super) fn is_over(&mut self, tally: &Tally) {
        if self.0.failures() > 0 {
            self.0 = Patience::default();
            tally.read_again();
            tracing::info!("the journal can be read again, and notices are told");
        }
    }
}
