//! Diagnostics as people read them: what, where with the line and a caret, and the way out.

use super::places::Lines;
use crate::domain::{Diagnostic, Severity};
use crate::printable;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// Draws diagnostics. `source_of` gives the text of a file, if it can be had; `width` is that of the terminal, in
/// columns.
pub fn render(
    diagnostics: &[Diagnostic],
    source_of: &dyn Fn(&str) -> Option<String>,
    color: bool,
    width: usize,
) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(width.max(40));
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&one(diagnostic, source_of(&diagnostic.file), &renderer));
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

fn one(diagnostic: &Diagnostic, source: Option<String>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = printable::line(&diagnostic.message).into_owned();
    let file = printable::line(&diagnostic.file).into_owned();
    let title = level.primary_title(message).id(diagnostic.code.clone());
    // A byte-order mark is not part of the first line's columns.
    let source = source.map(|text| tame(text.trim_start_matches('\u{feff}')));
    let mut group: Group<'_> = match &source {
        Some(text) => {
            let lines = Lines::of(text);
            let from = lines.byte(diagnostic.line, diagnostic.column);
            let line_end = lines.range(lines.line(from)).end;
            let to = lines.byte(diagnostic.end_line, diagnostic.end_column).clamp(from, line_end.max(from));
            let caret = AnnotationKind::Primary.span(from..to);
            title.element(Snippet::source(text.as_str()).path(file).annotation(caret))
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
