//! Work that may be cut short: by a wish to stop, or by a deadline. What a cut means is the caller's to say.

use super::StopCause;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Whether and why an effect is to end before its own end. The first cause counts.
#[derive(Debug, Default)]
pub(super) struct Stop {
    cause: OnceLock<StopCause>,
    token: CancellationToken,
}

/// What cut work short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Somebody asked.
    Stopped(StopCause),
    /// The deadline passed.
    Late,
}

impl Stop {
    /// Asks for the end.
    pub(super) fn ask(&self, cause: StopCause) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    /// The cause, once somebody asked.
    pub(super) fn asked(&self) -> Option<StopCause> {
        self.cause.get().copied()
    }

    /// Returns as soon as somebody asks.
    pub(super) async fn wait(&self) -> StopCause {
        self.token.cancelled().await;
        self.asked().expect("BUG: the cause is set before the token is cancelled")
    }

    /// Does the work unless it is cut short; work that is done by then counts as done.
    pub(super) async fn bound<T>(
        &self,
        deadline: Option<Instant>,
        work: impl Future<Output = T>,
    ) -> Result<T, Cut> {
        tokio::select! {
            biased;
            cause = self.wait() => Err(Cut::Stopped(cause)),
            done = work => Ok(done),
            () = until(deadline) => Err(Cut::Late),
        }
    }

    /// The same question without waiting, for work that is done in pieces on a thread.
    pub(super) fn cut(&self, deadline: Option<Instant>) -> Option<Cut> {
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.asked().map(Cut::Stopped).or(late.then_some(Cut::Late))
    }
}

/// When a span of time that begins now is over; none: never, or so far off that no clock can say it.
pub(super) fn after(span: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(span?)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn the_first_cause_counts_and_cuts_what_would_never_end() {
        let stop = Stop::default();
        assert_eq!(stop.bound(None, ready(7)).await, Ok(7));
        stop.ask(StopCause::Interrupted);
        stop.ask(StopCause::Canceled);
        assert_eq!(stop.bound(None, pending::<()>()).await, Err(Cut::Stopped(StopCause::Interrupted)));
        assert_eq!(stop.cut(None), Some(Cut::Stopped(StopCause::Interrupted)));
    }

    #[tokio::test]
    async fn a_deadline_cuts() {
        let stop = Stop::default();
        assert_eq!(stop.cut(after(Some(Duration::from_secs(3600)))), None);
        assert_eq!(after(Some(Duration::MAX)), None);
        let deadline = after(Some(Duration::from_millis(1)));
        assert_eq!(stop.bound(deadline, pending::<()>()).await, Err(Cut::Late));
        assert_eq!(stop.cut(deadline), Some(Cut::Late));
    }
}
