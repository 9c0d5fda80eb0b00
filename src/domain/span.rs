//! Lengths of time as people write them: `"90s"`, `"20m"`, `"24h"`, `"1h30m"`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A length of time, whole milliseconds, at most [`Span::MAX`]. Written as text such as `"90s"` or `"1h30m"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// Units in falling size, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// Ten years: longer than anything that a pipeline can sensibly wait for, short enough never to overflow a date.
    pub const MAX: Span = Span(Duration::from_secs(10 * 366 * 86_400));

    /// So many whole seconds.
    pub const fn seconds(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    /// The standard library's form.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The form that is added to dates.
    pub fn delta(self) -> chrono::TimeDelta {
        chrono::TimeDelta::milliseconds(self.0.as_millis() as i64)
    }

    /// Reads `"90s"`, `"1h30m"`, `"250ms"`, `"0s"`; the reason for a refusal reads after "expected a length of time".
    pub fn parse(text: &str) -> Result<Span, String> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err("it is empty; write for example \"90s\", \"20m\" or \"24h\"".into());
        }
        let mut total: u64 = 0;
        let mut smaller_than = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            if number.is_empty() {
                return Err("it must be digits and a unit (ms, s, m, h, d, w), such as \"90s\"".into());
            }
            let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, next) = after.split_at(letters);
            let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(if unit.is_empty() {
                    format!("it lacks a unit: write \"{number}s\", \"{number}m\" or \"{number}h\"")
                } else {
                    format!("`{unit}` is not a unit; use ms, s, m, h, d or w")
                });
            };
            if *millis >= smaller_than {
                return Err("its units must go from large to small, each once, such as \"1h30m\"".into());
            }
            smaller_than = *millis;
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|n| n.checked_mul(*millis))
                .and_then(|n| n.checked_add(total))
                .filter(|n| Duration::from_millis(*n) <= Span::MAX.0)
                .ok_or("it is longer than ten years")?;
            rest = next;
        }
        Ok(Span(Duration::from_millis(total)))
    }
}

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Span::parse(&text).map_err(|reason| format!("expected a length of time, but {reason}"))
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis() as u64;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, millis) in UNITS.iter().skip(2) {
            if rest >= *millis {
                write!(f, "{}{name}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "length of time",
            "description": "A length of time: digits with a unit (ms, s, m, h, d, w), from large to small.",
            "pattern": "^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "minLength": 2,
            "examples": ["90s", "20m", "24h", "1h30m"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_people_write() {
        for (text, millis, canonical) in [
            ("90s", 90_000, "1m30s"),
            ("20m", 1_200_000, "20m"),
            ("24h", 86_400_000, "24h"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("0s", 0, "0s"),
            ("1w", 604_800_000, "168h"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.duration().as_millis(), millis, "{text}");
            assert_eq!(span.to_string(), canonical);
            assert_eq!(Span::parse(canonical).unwrap(), span);
        }
    }

    #[test]
    fn refuses_what_is_not_a_length() {
        for text in ["", "5", "-1s", "1m30", "1e9h", "s", "1x", "30m1h", "1h1h", "99999999999w", "1 h", "٣s"]
        {
            assert!(Span::parse(text).is_err(), "{text:?} must be refused");
        }
    }
}
