//! From bytes to a tree: all errors of TOML itself, not only the first.

use super::codes::Code;
use super::places::Lines;
use super::report::Report;
use crate::domain::Severity;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, Error};

/// The largest pipeline file that is read, in bytes. A thousand tiers need a tenth of it.
pub(super) const LIMIT: usize = 1 << 20;

/// How often a text is parsed again without the lines that were wrong.
const PASSES: usize = 20;

/// More errors of TOML itself than this help nobody.
const SHOWN: usize = 12;

/// The text of a file: UTF-8, without a byte-order mark, not larger than [`LIMIT`].
pub(super) fn decode(bytes: &[u8]) -> Result<&str, (String, &'static str)> {
    if bytes.len() > LIMIT {
        let message = format!("the file has {} bytes; a pipeline file has at most 1 MiB", bytes.len());
        return Err((message, "split what it describes into several pipelines"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        (format!("the file is not UTF-8 text (line {line})"), "save it as UTF-8")
    })
}

/// What could be made of a text.
pub(super) enum Parsed {
    /// Everything.
    Whole,
    /// Something, after lines were left out: what is there may be judged, what is missing may not.
    Partly(String),
    /// Too little to say anything more.
    Hardly,
}

/// Finds all errors of TOML itself.
pub(super) fn find_errors(text: &str, report: &mut Report) -> Parsed {
    let lines = Lines::of(text);
    let mut rest = text.to_owned();
    let mut found: BTreeMap<usize, (Range<usize>, String)> = BTreeMap::new();
    for _ in 0..PASSES {
        let errors = DeTable::parse_recoverable(&rest).1;
        // With more than are told nothing else is judged either.
        if errors.is_empty() || found.len() > SHOWN {
            break;
        }
        let fresh: Vec<usize> = errors.iter().map(|error| note(error, text, &lines, &mut found)).collect();
        for line in fresh {
            blank(&mut rest, lines.range(line));
        }
    }
    if found.is_empty() {
        return Parsed::Whole;
    }
    // What follows an open list reads as part of it: its errors are no news.
    if let Some(open) = found.iter().find(|(_, (_, message))| message.contains("unclosed array")) {
        let line = *open.0;
        found.retain(|other, _| *other <= line);
    }
    let mut in_header = found.values().any(|(_, message)| message.contains("unclosed array"));
    for (line, (at, message)) in found.iter().take(SHOWN) {
        let written = text[lines.range(*line)].trim();
        // A list that stands in a line of its own is no header.
        let is_header =
            written.starts_with('[') && !written.contains(',') && !message.contains("duplicate key");
        in_header |= written.starts_with('[');
        let help = match super::shape::header(written).filter(|_| is_header) {
            Some(meant) => format!("write `{meant}`"),
            None => mistake(written).unwrap_or_else(|| help(message).to_owned()),
        };
        let (message, help) = match twice(text, at, message, &lines) {
            Some((key, before)) => {
                let way = if written.starts_with('[') { &*help } else { "keep one of them" };
                (format!("`{key}` is said a second time"), format!("line {before} says it already: {way}"))
            }
            None => (message.clone(), help),
        };
        report.at(Code::Syntax, Severity::Error, at.clone(), message).help(help);
    }
    if in_header || found.len() > SHOWN { Parsed::Hardly } else { Parsed::Partly(rest) }
}

/// The tree of a text without errors of its own.
pub(super) fn parse(text: &str) -> Spanned<DeTable<'_>> {
    DeTable::parse_recoverable(text).0
}

fn note(
    error: &Error,
    text: &str,
    lines: &Lines<'_>,
    found: &mut BTreeMap<usize, (Range<usize>, String)>,
) -> usize {
    let mut at = error.span().unwrap_or(text.len()..text.len());
    at.start = at.start.min(text.trim_end().len());
    at.end = at.end.clamp(at.start, text.len());
    let line = lines.line(at.start);
    // An error that goes on over lines is shown where it begins.
    at.end = at.end.min(lines.range(line).end.max(at.start));
    found.entry(line).or_insert((at, said(error.message())));
    line
}

/// Leaves a line out without moving anything else.
fn blank(text: &mut String, line: Range<usize>) {
    let spaces = " ".repeat(line.len());
    text.replace_range(line, &spaces);
}

/// The parser's words, on one line.
fn said(message: &str) -> String {
    message.trim().replace('\n', "; ")
}

/// A key that the parser finds for the second time, and the line of the first.
fn twice(text: &str, at: &Range<usize>, message: &str, lines: &Lines<'_>) -> Option<(String, usize)> {
    let key = text.get(at.clone()).map(str::trim).filter(|_| message.contains("duplicate key"))?;
    let is_it = |line: &&str| match line.trim_start().strip_prefix(key) {
        Some(rest) => rest.trim_start().starts_with(['=', '.']),
        None => line.trim().trim_matches(['[', ']']).trim() == key,
    };
    let before: Vec<&str> = text[..at.start].lines().take(lines.line(at.start)).collect();
    let found = before.iter().rposition(is_it)?;
    Some((key.to_owned(), found + 1))
}

/// What somebody who is used to another language writes.
fn mistake(written: &str) -> Option<String> {
    if written.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}', '\u{201e}']) {
        return Some("these are quotes of a book: write straight ones, as in name = \"shop\"".into());
    }
    let (key, value) = written.split_once([':', '='])?;
    let key = key.trim();
    let is_key =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_key {
        return None;
    }
    let value = value.trim();
    if written.as_bytes().get(key.len()) == Some(&b':') || written[key.len()..].trim_start().starts_with(':')
    {
        return Some(format!("write `=` between a key and its value: {key} = {value}"));
    }
    let is_quoted_once = value.starts_with('\'') && value.matches('\'').count() > 2;
    is_quoted_once.then(|| format!("text with an apostrophe stands in double quotes: {key} = \"…\""))
}

fn help(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "say each key once; several tiers, gates, nodes and steps are written `[[tier]]`, with two brackets"
    } else if message.contains("table") && message.contains("expected `]") {
        "close the brackets: a table is headed `[name]`, one of several `[[name]]`"
    } else if message.contains("string") || message.contains("quote") {
        "text stands in quotes: name = \"shop\""
    } else if message.contains("array") || message.contains("`]`") {
        "a list stands in brackets, its entries separated by commas: refs = [\"main\", \"release/*\"]"
    } else {
        "write it as TOML: key = \"text\", key = 3, key = [\"a\", \"b\"], or a [table]"
    }
}
