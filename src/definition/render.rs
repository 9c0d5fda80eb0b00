//! Diagnostics as people read them: what, where with the line and a caret, and the way out.

use super::places::Lines;
use crate::domain::{Diagnostic, Severity};
use crate::printable;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::collections::HashMap;
use std::ops::Range;

/// Draws diagnostics. `source_of` gives the text of a file, if it can be had; `width` is that of the terminal, in
/// columns.
pub fn render<'a>(
    diagnostics: &'a [Diagnostic],
    source_of: &dyn Fn(&str) -> Option<&'a str>,
    color: bool,
    width: usize,
) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(width.max(40));
    let mut sources: HashMap<&str, Option<Lines<'a>>> = HashMap::new();
    let mut out = String::new();
    for diagnostic in diagnostics {
        let lines = sources.entry(&diagnostic.file).or_insert_with(|| {
            // A byte-order mark is not part of the first line's columns.
            source_of(&diagnostic.file).map(|text| Lines::of(text.trim_start_matches('\u{feff}')))
        });
        out.push_str(&one(diagnostic, lines.as_ref(), &renderer));
        out.push_str("\n\n");
    }
    out
}

/// A text without characters that could act on a terminal, each replaced by one that stands for it.
fn tame(text: &str) -> String {
    let acts = |c: char| {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{feff}');
        matches!(c, '\u{80}'..='\u{9f}') || hidden
    };
    text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect()
}

fn one(diagnostic: &Diagnostic, lines: Option<&Lines<'_>>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = printable::line(&diagnostic.message).into_owned();
    let file = printable::line(&diagnostic.file).into_owned();
    let title = level.primary_title(message).id(diagnostic.code.clone());
    // Only the line that is drawn is handed on: a file may be large, and its problems many.
    let shown = lines.map(|lines| {
        let from = lines.byte(diagnostic.line, diagnostic.column);
        let number = lines.line(from);
        let mut line = lines.range(number);
        line.end -= usize::from(lines.text()[line.clone()].ends_with('\r'));
        let to = lines.byte(diagnostic.end_line, diagnostic.end_column).min(line.end).max(from);
        let part = |range: Range<usize>| tame(&lines.text()[range]);
        let start = part(line.start..from).len();
        let end = start + part(from..to).len();
        (part(line.start..line.end.max(from)), start..end, number + 1)
    });
    let mut group: Group<'_> = match &shown {
        Some((line, caret, number)) => {
            let caret = AnnotationKind::Primary.span(caret.clone());
            let snippet = Snippet::source(line.as_str()).line_start(*number).path(file);
            title.element(snippet.annotation(caret))
        }
        None => {
            let origin =
                Origin::path(file).line(diagnostic.line as usize).char_column(diagnostic.column as usize);
            title.element(origin)
        }
    };
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(printable::line(help).into_owned()));
    }
    renderer.render(&[group])
}
