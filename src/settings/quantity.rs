//! Durations and sizes as people write them: `"90s"`, `"20m"`, `"24h"`, `"7d"`; `"100MiB"`, `"2GiB"`.

use serde::Deserialize;
use std::time::Duration;

/// A duration in a file.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

/// A size in a file, in bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bytes(pub(super) u64);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self).ok_or_else(|| {
            format!("`{text}` is not a duration: write it like `500ms`, `90s`, `20m`, `24h`, `7d`")
        })
    }
}

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_bytes(&text)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a size: write it like `512KiB`, `100MiB`, `2GiB`"))
    }
}

/// One whole number with one unit: `ms`, `s`, `m`, `h`, `d`. `None` for anything else, and for what does not fit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// One whole number with one unit: `B`, `KiB`, `MiB`, `GiB`, `TiB`, or `kB`, `MB`, `GB`, `TB` in powers of 1,000.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((digits.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_one_number_with_one_unit() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("20m", 1_200), ("24h", 86_400), ("7d", 604_800), ("2 m", 120)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("5ms"), Some(Duration::from_millis(5)));
        for text in
            ["", "5", "s", "-1s", "1.5h", "1h30m", "5 S", "99999999999999999999d", "9999999999999999d", "٣s"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for (text, bytes) in [("0B", 0), ("512KiB", 524_288), ("2GiB", 2 << 30), ("1 MB", 1_000_000)] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "5", "1k", "99999999TiB", "1gib"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
