//! Guessing: wrong tokens and signatures are counted together, from whomever, and answered with 429 beyond a limit.

use super::problem::Problem;
use axum::http::{StatusCode, header};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens of late. Good ones are never kept out: this only ends guessing and noise.
#[derive(Debug, Default)]
pub(super) struct WrongTokens(Mutex<Option<(Instant, u32)>>);

/// The code of too many of them.
pub(super) const TOO_MANY_WRONG: &str = "TG-AUTH-005";

/// So many wrong tokens are answered as such …
const WRONG_TOKENS_LIMIT: u32 = 60;
/// … within such a time.
const WRONG_TOKENS_TIME: Duration = Duration::from_secs(60);

impl WrongTokens {
    /// One more wrong token.
    pub(super) fn one_more(&self, now: Instant) -> Problem {
        self.counted(now, Problem::no_token())
    }

    /// That problem, or that there were too many of them of late.
    pub(super) fn counted(&self, now: Instant, problem: Problem) -> Problem {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let current = since.filter(|(begin, _)| now.duration_since(*begin) < WRONG_TOKENS_TIME);
        let (begin, count) = current.unwrap_or((now, 0));
        *since = Some((begin, count.saturating_add(1)));
        if count < WRONG_TOKENS_LIMIT {
            return problem;
        }
        let detail = "too many wrong tokens or signatures";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, TOO_MANY_WRONG, detail, "wait a minute")
            .with(header::RETRY_AFTER, "60")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_ends_and_begins_anew_later() {
        let wrong = WrongTokens::default();
        let now = Instant::now();
        for _ in 0..WRONG_TOKENS_LIMIT {
            assert_eq!(wrong.one_more(now).code(), "TG-AUTH-001");
        }
        assert_eq!(wrong.one_more(now).code(), "TG-AUTH-005");
        assert_eq!(wrong.one_more(now + WRONG_TOKENS_TIME).code(), "TG-AUTH-001");
    }
}
