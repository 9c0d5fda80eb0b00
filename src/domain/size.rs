//! Numbers of bytes as people write them: `"512KiB"`, `"100MiB"`, `"2GiB"`.

/// One whole number with one unit: `B`, `kB`, `MB`, `GB`, `TB` (powers of 1,000), `KiB`, `MiB`, `GiB`, `TiB`
/// (powers of 1,024). The reason for a refusal reads after "expected a size, but".
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "" => return Err("it lacks a unit, such as \"100MiB\"".into()),
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        other => return Err(format!("`{other}` is not a unit; use KiB, MiB or GiB")),
    };
    if number.is_empty() {
        return Err("it must be digits and a unit, such as \"100MiB\"".into());
    }
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.ok_or_else(|| "it is larger than any disk".into())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn reads_what_people_write_and_nothing_else() {
        for (text, bytes) in [("0B", 0), ("10kB", 10_000), ("512KiB", 524_288), ("2 GiB", 2_147_483_648)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "5", "MiB", "-1MiB", "1.5GiB", "5 mib", "99999999999TiB"] {
            assert!(parse_size(text).is_err(), "{text:?} must be refused");
        }
    }
}
