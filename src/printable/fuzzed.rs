//! What must hold for text on its way to a terminal, whatever it is.

use super::unsafe_char::is_unsafe;
use super::{Stream, block, json, line, truncate_width, width};

/// The first two bytes say where the rest is cut; it goes through all that a terminal is shown.
pub fn shown_text(bytes: &[u8]) {
    let Some(([first, second], rest)) = bytes.split_first_chunk() else { return };
    for colours in [false, true] {
        let whole = streamed(&[rest], colours);
        let (a, b) = (usize::from(*first) % (rest.len() + 1), usize::from(*second) % (rest.len() + 1));
        let (from, to) = (a.min(b), a.max(b));
        let pieces = streamed(&[&rest[..from], &rest[from..to], &rest[to..]], colours);
        assert_eq!(whole, pieces, "where a log was cut shows");
        is_safe(&without_colours(&whole), true);
        assert!(colours || !whole.contains('\x1b'));
    }
    let text = String::from_utf8_lossy(rest);
    let once = line(&text);
    is_safe(&once, false);
    is_safe(&block(&text), true);
    assert_eq!(line(&once), once, "what is safe is changed again");
    let columns = usize::from(*first) % 64;
    assert!(width(&truncate_width(&once, columns)) <= columns);
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
        let again = json(&text);
        is_safe(&again, true);
        // Blanks between values may be of a kind that is shown as an escape, which is no JSON any more.
        let plain = serde_json::to_string(&value).expect("BUG: a value is JSON");
        let again = serde_json::from_str::<serde_json::Value>(&json(&plain)).expect("it is JSON still");
        assert_eq!(again, value, "what was made safe means something else");
    }
}

fn streamed(pieces: &[&[u8]], colours: bool) -> String {
    let (mut stream, mut out) = (Stream::new(colours), String::new());
    pieces.iter().for_each(|piece| stream.push(piece, &mut out));
    stream.finish(&mut out);
    out
}

/// Leaves out what a stream may let through: `ESC [ numbers m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(part.len());
        assert_eq!(part[end..].chars().next(), Some('m'), "a sequence that is no colour: {text:?}");
        out.push_str(&part[end + 1..]);
    }
    out
}

fn is_safe(text: &str, lines: bool) {
    let bad = text.chars().find(|&c| is_unsafe(c) && c != '\t' && !(lines && c == '\n'));
    assert!(bad.is_none(), "{bad:?} reaches the terminal in {text:?}");
}
