//! Text from outside, made safe for a terminal: ref names, commit messages, log output, names in files.
//!
//! The promise: what comes out moves no cursor, changes no title, clipboard or colour (except, in a [`Stream`] that
//! was asked for colours, plain SGR sequences rebuilt from checked numbers), and looks in the order in which it is
//! stored. What was neutralised stays visible as an escape (`\x1b`, `\u{202e}`), because a reader must be able to see
//! that somebody tried.
//!
//! It does not know where the text came from, does not mask secrets, and is not for HTML.

#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod stream;
mod unsafe_char;

pub use stream::Stream;

use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar;
use unsafe_char::{Marks, is_unsafe};

/// `text` as one line: newlines and carriage returns are shown as `\n` and `\r`, tabs stay, everything that a terminal
/// or the eye could be misled by becomes a visible escape.
pub fn line(text: &str) -> Cow<'_, str> {
    clean(text, false)
}

/// Like [`line()`], but newlines stay newlines, and `\r\n` is one newline.
pub fn block(text: &str) -> Cow<'_, str> {
    clean(text, true)
}

/// JSON that means the same: what [`line()`] would neutralise within its strings stands as `\u` and four digits, and so do
/// combining marks that pile up. Newlines between values stay.
pub fn json(text: &str) -> String {
    let mut marks = Marks::default();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_plain = matches!(c, '\n' | '\t') || !is_unsafe(c);
        if marks.allows(c) && is_plain {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("BUG: writing to a string failed");
            }
        }
    }
    out
}

fn clean(text: &str, keep_newlines: bool) -> Cow<'_, str> {
    let mut marks = Marks::default();
    let is_plain = |c: char| c == '\t' || (c == '\n' && keep_newlines) || !is_unsafe(c);
    let Some(first) = text.char_indices().find(|&(_, c)| !is_plain(c) || !marks.allows(c)).map(|(at, _)| at)
    else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    let mut marks = Marks::default();
    for c in text[..first].chars() {
        marks.allows(c);
    }
    let mut rest = text[first..].chars().peekable();
    while let Some(c) = rest.next() {
        let allowed = marks.allows(c);
        if c == '\r' && keep_newlines && rest.peek() == Some(&'\n') {
            continue;
        }
        if !is_plain(c) {
            push_escape(&mut out, c);
        } else if allowed {
            out.push(c);
        } else if marks.just_exceeded() {
            out.push('…');
        }
    }
    Cow::Owned(out)
}

/// The visible form of one character.
fn push_escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\0'..='\u{7f}' => write!(out, "\\x{:02x}", u32::from(c)).expect("BUG: writing to a string failed"),
        _ => write!(out, "\\u{{{:x}}}", u32::from(c)).expect("BUG: writing to a string failed"),
    }
}

/// The columns that `text` takes on a terminal. Meant for text that went through [`line()`].
pub fn width(text: &str) -> usize {
    let mut last = 0;
    text.chars().map(|c| char_width(c, &mut last)).sum()
}

/// `text` cut to at most `columns` columns, with `…` in the last of them if something was cut.
/// Meant for text that went through [`line()`].
pub fn truncate_width(text: &str, columns: usize) -> Cow<'_, str> {
    let (mut used, mut last, mut cut_at) = (0, 0, 0);
    for (at, c) in text.char_indices() {
        let wide = char_width(c, &mut last);
        if used + wide > columns {
            return if columns == 0 {
                Cow::Borrowed("")
            } else {
                Cow::Owned(format!("{}…", &text[..cut_at]))
            };
        }
        used += wide;
        // The last place before which the text still leaves a column for the ellipsis.
        if used < columns {
            cut_at = at + c.len_utf8();
        }
    }
    Cow::Borrowed(text)
}

/// The columns that `c` adds after a character of width `last`. A tab counts as one, the emoji selector widens what
/// stands before it.
fn char_width(c: char, last: &mut usize) -> usize {
    if c == '\u{fe0f}' {
        let adds = usize::from(*last == 1);
        *last += adds;
        return adds;
    }
    let wide = c.width().unwrap_or(1);
    if wide > 0 {
        *last = wide;
    }
    wide
}

#[cfg(test)]
mod tests;
