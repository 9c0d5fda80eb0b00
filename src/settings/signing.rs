//! How good the secret of a webhook is, and the key inside of one with which GitLab signs ("Standard Webhooks": `whsec_`
//! and the key in base64). Whoever could guess it could tell of pushes in the forge's name.

use super::tokens::Secret;
use crate::domain::pipeline::Forge;

/// What a secret begins with that signs with a time; the rest is the key in base64.
const SIGNING: &str = "whsec_";

/// Bytes that such a key has at least, as "Standard Webhooks" has it.
pub(super) const KEY_BYTES: usize = 24;

/// Characters that any other secret has at least.
pub(super) const CHARACTERS: usize = 16;

/// The key of a secret that signs with a time; empty where it cannot be read. None: it is another kind of secret.
pub fn signing_key(secret: &Secret) -> Option<Vec<u8>> {
    secret.expose().strip_prefix(SIGNING).map(|digits| unbase64(digits).unwrap_or_default())
}

/// Whether nobody guesses it.
pub(super) fn is_good(forge: Forge, secret: &Secret) -> bool {
    match signing_key(secret).filter(|_| forge == Forge::Gitlab) {
        Some(key) => key.len() >= KEY_BYTES,
        None => secret.expose().len() >= CHARACTERS,
    }
}

/// Base64 (RFC 4648, section 4), with or without its `=`.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    (digits.len() % 4 != 1).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_it_is_written() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")]
        {
            assert_eq!(unbase64(text).unwrap(), bytes.as_bytes(), "{text}");
        }
        assert_eq!(unbase64("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        assert!(unbase64("Z").is_none() && unbase64("Zm9-").is_none());
    }

    #[test]
    fn a_secret_without_a_key_or_with_a_short_one_is_not_good() {
        let good = |forge, text: &str| is_good(forge, &Secret::of(text).unwrap());
        assert!(good(Forge::Gitlab, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        for bad in [
            "whsec_",
            "whsec_====",
            "whsec_Zm9v",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa",
            "whsec_not-base-64-but-long-enough-to-be-a-key",
        ] {
            assert!(!good(Forge::Gitlab, bad), "{bad}");
        }
        for forge in Forge::ALL {
            assert!(good(forge, "8d5f3c1e0a7b4d29") && !good(forge, "8d5f3c1e0a7b4d2"), "{forge}");
        }
    }
}
