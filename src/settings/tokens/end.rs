//! When a token ends, as people say it. That one that has ended is turned away is the server's.

use super::TokenError;
use crate::domain::Span;
use chrono::{DateTime, Utc};

/// The moment that `90d` or `2027-01-31T00:00:00Z` means; a length of time counts from `now`.
///
/// # Errors
/// It is neither, it is not after `now`, or it is more than ten years away.
pub fn end_of(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, TokenError> {
    let bad = |why| TokenError::BadEnd { given: text.chars().take(80).collect(), why };
    let end = match (Span::parse(text), DateTime::parse_from_rfc3339(text.trim())) {
        (Ok(span), _) => now + span.delta(),
        (_, Ok(moment)) => moment.with_timezone(&Utc),
        _ => return Err(bad("that is neither a length of time nor a moment")),
    };
    check(end, now).map_err(|error| match error {
        TokenError::BadEnd { why, .. } => bad(why),
        other => other,
    })?;
    Ok(end)
}

/// Refuses an end that is over already, and one so far away that nobody means it.
pub(super) fn check(end: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), TokenError> {
    let bad = |why| Err(TokenError::BadEnd { given: end.to_rfc3339(), why });
    match end {
        end if end <= now => bad("that is over already"),
        end if end - now > Span::MAX.delta() => bad("that is more than ten years away"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_length_of_time_or_a_moment_that_is_to_come() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let after = |text| end_of(text, now).unwrap() - now;
        assert_eq!(after("90d").num_days(), 90);
        assert_eq!(after(" 2027-01-15T11:00:00+02:00 ").num_seconds(), 3600);
    }
}
