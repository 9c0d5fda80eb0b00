//! The forms in which a secret may turn up: as it is, line by line, and as other programs write it. Which of them are
//! long enough to be hidden is decided here too, for hiding `1` would destroy every log.

use std::fmt::Write as _;

/// A value that is shorter, in bytes, is not hidden.
pub(super) const SHORTEST: usize = 6;
/// A line of a value that is shorter is hidden only as part of the whole.
pub(super) const SHORTEST_LINE: usize = 8;
/// Columns after which `base64` of coreutils and of OpenSSL begin a new line.
const WRAPPED_AT: [usize; 2] = [76, 64];

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Everything that is hidden for a value, in no order and each once; nothing for one that is too short.
pub(super) fn of(value: &[u8]) -> Vec<Vec<u8>> {
    if value.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = forms(value);
    for width in WRAPPED_AT {
        let whole = base64(value, 0, STANDARD).tail;
        forms.extend(whole.chunks(width).filter(|line| line.len() >= SHORTEST_LINE).map(<[u8]>::to_vec));
    }
    for line in lines(value).filter(|line| line.len() >= SHORTEST_LINE) {
        forms.extend(self::forms(line));
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Whether a value has lines that are hidden only as part of the whole and say more than a bracket does.
pub(super) fn has_short_lines(value: &[u8]) -> bool {
    let says_something = |line: &[u8]| line.iter().any(u8::is_ascii_alphanumeric);
    value.contains(&b'\n') && lines(value).any(|line| line.len() < SHORTEST_LINE && says_something(line))
}

fn lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = value.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| line.len() < value.len())
}

fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec(), hex(value, false), hex(value, true)];
    for is_upper in [true, false] {
        forms.extend(KEPT.iter().map(|kept| percent(value, kept, is_upper, b"%20")));
        forms.push(percent(value, KEPT[0], is_upper, b"+"));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        forms.extend(JSON.iter().map(|style| json(text, style).into_bytes()));
    }
    for alphabet in [STANDARD, URL_SAFE] {
        for before in 0..3 {
            let Base64 { inner, tail, padding } = base64(value, before, alphabet);
            forms.push([&tail[..], &b"=="[..padding]].concat());
            forms.extend([inner, tail]);
        }
    }
    forms
}

fn hex(value: &[u8], is_upper: bool) -> Vec<u8> {
    let mut hex = String::with_capacity(2 * value.len());
    for byte in value {
        let written = if is_upper { write!(hex, "{byte:02X}") } else { write!(hex, "{byte:02x}") };
        written.expect("BUG: a string takes all");
    }
    hex.into_bytes()
}

/// What stays as it is beside letters and digits: by RFC 3986 (as curl does), of `encodeURIComponent`, of Python's
/// `quote`, of forms, and of `encodeURI`.
const KEPT: [&[u8]; 5] = [b"-._~", b"-_.!~*'()", b"-._~/", b"*-._", b"-_.!~*'();/?:@&=+$,#"];

fn percent(value: &[u8], kept: &[u8], is_upper: bool, space: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || kept.contains(byte) {
            escaped.push(*byte);
        } else if *byte == b' ' {
            escaped.extend_from_slice(space);
        } else {
            escaped.push(b'%');
            escaped.extend(hex(&[*byte], is_upper));
        }
    }
    escaped
}

/// What a program that writes JSON escapes beside what it must.
struct Style {
    /// `/` as `\/`.
    slash: bool,
    /// `<`, `>` and `&` by their numbers.
    html: bool,
    /// All that is not ASCII by its number.
    beyond_ascii: bool,
    /// Numbers in upper case.
    is_upper: bool,
}

const JSON: [Style; 6] = [
    Style { slash: false, html: false, beyond_ascii: false, is_upper: false },
    Style { slash: true, html: false, beyond_ascii: false, is_upper: false },
    Style { slash: false, html: true, beyond_ascii: false, is_upper: false },
    Style { slash: false, html: false, beyond_ascii: true, is_upper: false },
    Style { slash: false, html: false, beyond_ascii: true, is_upper: true },
    Style { slash: true, html: false, beyond_ascii: true, is_upper: false },
];

/// The inside of a JSON string.
fn json(text: &str, style: &Style) -> String {
    let mut json = String::with_capacity(text.len());
    let number = |json: &mut String, unit: u16| {
        let written =
            if style.is_upper { write!(json, "\\u{unit:04X}") } else { write!(json, "\\u{unit:04x}") };
        written.expect("BUG: a string takes all");
    };
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '/' if style.slash => json.push_str("\\/"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\x08' => json.push_str("\\b"),
            '\x0c' => json.push_str("\\f"),
            '<' | '>' | '&' if style.html => number(&mut json, c as u16),
            c if c < ' ' || (c > '~' && style.beyond_ascii) => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| number(&mut json, *unit));
            }
            c => json.push(c),
        }
    }
    json
}

/// A value as part of a text in base64.
struct Base64 {
    /// The characters that the value alone determines, whatever stands around it.
    inner: Vec<u8>,
    /// The same to its end, when nothing follows it.
    tail: Vec<u8>,
    /// How many `=` follow then.
    padding: usize,
}

/// The value after `before` other bytes (or any multiple of three more).
fn base64(value: &[u8], before: usize, alphabet: &[u8; 64]) -> Base64 {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.iter().copied()).collect();
    let encoded: Vec<u8> = bytes
        .chunks(3)
        .flat_map(|group| {
            let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - group.len()));
            let digit = move |at: usize| alphabet[(bits >> (18 - 6 * at)) as usize & 63];
            (0..=group.len()).map(digit).collect::<Vec<u8>>()
        })
        .collect();
    let (first, last) = ((8 * before).div_ceil(6), 8 * bytes.len() / 6);
    Base64 {
        inner: encoded[first..last].to_vec(),
        tail: encoded[first..].to_vec(),
        padding: (3 - bytes.len() % 3) % 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Words;

    const VALUE: &str = "p\u{e4}ss/w<rd \"7\"+x";

    fn hidden(value: &str, text: &str) -> String {
        let words = Words::new(&of(value.as_bytes())).expect("something to hide");
        let hidden = words.hide(text.as_bytes()).unwrap_or_else(|| text.as_bytes().to_vec());
        String::from_utf8(hidden).unwrap()
    }

    fn encoded(text: &str, alphabet: &[u8; 64]) -> String {
        let Base64 { tail, padding, .. } = base64(text.as_bytes(), 0, alphabet);
        String::from_utf8(tail).unwrap() + &"=="[..padding]
    }

    #[test]
    fn base64_is_base64() {
        for (text, wanted) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encoded(text, STANDARD), wanted, "the examples of RFC 4648");
        }
    }

    #[test]
    fn every_writing_of_others_is_hidden() {
        for text in [
            "p\u{e4}ss/w<rd \"7\"+x",
            "p%C3%A4ss%2Fw%3Crd%20%227%22%2Bx",
            "p%c3%a4ss%2fw%3crd%20%227%22%2bx",
            "p%C3%A4ss%2Fw%3Crd+%227%22%2Bx",
            "p%C3%A4ss/w%3Crd%20%227%22%2Bx",
            "p%C3%A4ss/w%3Crd%20%227%22+x",
            r#"p\u00e4ss/w<rd \"7\"+x"#,
            r#"p\u00E4ss/w<rd \"7\"+x"#,
            r#"päss\/w<rd \"7\"+x"#,
            r#"p\u00e4ss\/w<rd \"7\"+x"#,
            r#"päss/w\u003crd \"7\"+x"#,
            "70c3a473732f773c7264202237222b78",
            "70C3A473732F773C7264202237222B78",
        ] {
            assert_eq!(hidden(VALUE, &format!("a {text} b")), "a *** b", "{text}");
        }
    }

    #[test]
    fn base64_is_hidden_wherever_the_value_stands_in_it() {
        for value in ["sesame-open-wide", "sesame-open-wide1", "sesame-open-wide12", ">>>???>>>"] {
            for alphabet in [STANDARD, URL_SAFE] {
                assert_eq!(hidden(value, &encoded(value, alphabet)), "***");
                assert_eq!(hidden(value, encoded(value, alphabet).trim_end_matches('=')), "***");
                for (before, after) in
                    [("u:", ""), ("us:", ""), ("use:", ""), ("u:", "\n"), ("", ":of a user")]
                {
                    let text = encoded(&format!("{before}{value}{after}"), alphabet);
                    let hidden = hidden(value, &text);
                    // What is left is of the neighbours, and at most a character at either end of both.
                    let most = (before.len() + after.len()) * 4 / 3 + 4 + "***".len();
                    assert!(hidden.contains("***") && hidden.len() <= most, "{text} became {hidden}");
                }
            }
        }
    }

    #[test]
    fn lines_are_hidden_alone_and_short_ones_are_not() {
        let key = "-----BEGIN-----\r\nabcdefgh\nx\"y";
        assert_eq!(hidden(key, "line abcdefgh, x\"y"), "line ***, x\"y");
        assert_eq!(hidden(key, &format!("all {key}")), "all ***");
        assert_eq!(hidden(key, &encoded("1abcdefgh2", STANDARD)).matches("***").count(), 1);
        assert!(has_short_lines(key.as_bytes()) && !has_short_lines(b"{\n  \"a\": \"long enough\"\n}"));
        assert!(!has_short_lines(b"one"));
        assert!(of(b"12345").is_empty() && of(b"").is_empty());
    }

    #[test]
    fn base64_of_a_long_value_is_hidden_in_each_of_its_lines() {
        let value: String = (0..300).map(|number| char::from(b'a' + (number * 7 % 26) as u8)).collect();
        let whole = encoded(&value, STANDARD);
        for width in WRAPPED_AT {
            let lines: Vec<&str> =
                whole.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect();
            let hidden = hidden(&value, &lines.join("\n"));
            assert_eq!(hidden.lines().count(), lines.len());
            assert!(hidden.lines().all(|line| line.trim_end_matches('=') == "***"), "{hidden}");
        }
    }

    #[test]
    fn nothing_that_is_hidden_is_short() {
        for value in ["123456", "abcdefg", "\u{e4}\u{f6}\u{fc}"] {
            assert!(of(value.as_bytes()).iter().all(|word| word.len() >= SHORTEST), "{value}");
        }
    }
}
