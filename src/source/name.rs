//! Names of objects: told to be hex before git sees them.

use super::error::Error;

/// Checks 7 to 64 hex digits and gives them in lower case.
pub(super) fn object_name(text: &str) -> Result<String, Error> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || !(7..=64).contains(&text.len()) {
        let shown: String = text.chars().take(80).collect();
        return Err(Error::BadObjectName { name: shown });
    }
    if text.bytes().all(|byte| byte == b'0') {
        return Err(Error::ZeroObjectName);
    }
    Ok(text.to_ascii_lowercase())
}

/// Whether the name can be a whole one, of SHA-1 or SHA-256.
pub(super) fn is_full(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hex_gets_to_git() {
        assert_eq!(object_name("ABCDEF1").unwrap(), "abcdef1");
        assert_eq!(object_name(&"a".repeat(64)).unwrap().len(), 64);
        for bad in
            ["", "abcdef", "HEAD", "--help", "abcdefg", "main~1", &"a".repeat(65), "ａbcdef1", "abc def1"]
        {
            assert_eq!(object_name(bad).unwrap_err().code(), "TG-GIT-006", "{bad}");
        }
        for zero in ["0000000", &"0".repeat(40), &"0".repeat(64)] {
            assert_eq!(object_name(zero).unwrap_err().code(), "TG-GIT-007");
        }
    }
}
