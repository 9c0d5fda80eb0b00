//! The words about codes as `docs/codes` has them: `## CODE: title`, what it means and why, a paragraph that begins with
//! `Way out:`, and perhaps an example in a fence.

use serde::Serialize;
use std::sync::LazyLock;

const TEXTS: [&str; 7] = [
    include_str!("../../../docs/codes/definition.md"),
    include_str!("../../../docs/codes/commands.md"),
    include_str!("../../../docs/codes/changes.md"),
    include_str!("../../../docs/codes/http.md"),
    include_str!("../../../docs/codes/git.md"),
    include_str!("../../../docs/codes/controller.md"),
    include_str!("../../../docs/codes/work.md"),
];

/// What there is to say of one code.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Entry {
    /// The code, such as `TG-DEF-012`.
    pub(in crate::cli) code: &'static str,
    /// What it is, in one line.
    pub(in crate::cli) title: &'static str,
    /// What it means and why it is so; paragraphs have an empty line between them.
    pub(in crate::cli) meaning: String,
    /// What to do.
    pub(in crate::cli) way_out: String,
    /// Lines to copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) example: Option<String>,
}

static BOOK: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut all: Vec<Entry> = TEXTS.iter().flat_map(|text| text.split("\n## ").skip(1)).map(entry).collect();
    all.sort_by_key(|entry| entry.code);
    all
});

/// All of them, by code.
pub(super) fn all() -> &'static [Entry] {
    &BOOK
}

/// The one that is asked for, in capitals or not, with or without `TG-` and leading zeros.
pub(in crate::cli) fn find(asked: &str) -> Option<&'static Entry> {
    let wanted = spelled(asked);
    BOOK.iter().find(|entry| entry.code == wanted)
}

/// A code as it is written here.
pub(super) fn spelled(asked: &str) -> String {
    let whole = asked.trim().to_uppercase().replace('_', "-");
    let bare = whole.strip_prefix("TG-").unwrap_or(&whole);
    match bare.rsplit_once('-') {
        Some((room, number)) if number.len() < 3 => format!("TG-{room}-{number:0>3}"),
        _ => format!("TG-{bare}"),
    }
}

fn entry(text: &'static str) -> Entry {
    let (head, body) = text.split_once('\n').expect("BUG: a code without words");
    let (code, title) = head.split_once(": ").expect("BUG: a code without a title");
    let (prose, example) = match body.split_once("\n```") {
        Some((prose, rest)) => {
            let inside = rest.split_once('\n').map_or("", |(_, inside)| inside);
            let inside = inside.split("\n```").next().unwrap_or_default();
            (prose, Some(inside.to_owned()))
        }
        None => (body, None),
    };
    let (meaning, way_out) = prose.split_once("\nWay out: ").expect("BUG: a code without a way out");
    let paragraphs = |text: &str| text.trim().split("\n\n").map(one_line).collect::<Vec<_>>().join("\n\n");
    Entry { code, title, meaning: paragraphs(meaning), way_out: paragraphs(way_out), example }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
