//! A file that is refused: everything that is wrong with it, and the ways out.

use super::super::look::Look;
use super::super::picture::Picture;
use super::pen::{Line, Pen, wrapped};
use crate::domain::{Diagnostic, Severity};
use crate::printable;
use crate::server::view::RejectedFileView;
use crate::words::{self, Sign, Tone};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Every file that is refused, those of no pipeline first.
pub(crate) fn all(picture: &Picture) -> impl Iterator<Item = &RejectedFileView> {
    let of_none = picture.view.iter().flat_map(|view| &view.rejected);
    of_none.chain(picture.pipelines().iter().flat_map(|p| &p.rejected))
}

/// What is wrong with it, each problem with its place and its way out.
pub(crate) fn problems(pen: &Pen<'_>, file: &RejectedFileView, width: u16) -> Vec<Line> {
    let say = |indent: usize, text: &str, style: Style| -> Vec<Line> {
        let gap = " ".repeat(indent);
        let rows = wrapped(text, usize::from(width).saturating_sub(indent));
        rows.into_iter().map(|row| Line::of(format!("{gap}{row}"), style)).collect()
    };
    let mut lines = Vec::new();
    for one in &file.diagnostics {
        let tone = pen.tone(if one.severity == Severity::Error { Tone::Bad } else { Tone::Wait });
        let place = format!("line {}, column {}", one.line, one.column);
        lines.extend(say(0, &format!("{place}: {} [{}]", one.message, one.code), tone));
        if let Some((text, mark)) = marked(one, usize::from(width).saturating_sub(2)) {
            lines.push(Line::of(format!("  {text}"), Style::new()));
            lines.push(Line::of(format!("  {mark}"), tone));
        }
        if let Some(help) = &one.help {
            lines.extend(say(2, &format!("help: {help}"), Style::new()));
        }
    }
    lines
}

/// The line, and below it carets under what is meant; none where both do not fit.
fn marked(one: &Diagnostic, width: usize) -> Option<(String, String)> {
    let text = one.text.as_ref()?;
    let begin = one.column as usize - 1;
    let end = if one.end_line > one.line { usize::MAX } else { one.end_column as usize - 1 };
    let of = |from: usize, upto: usize| {
        let part: String = text.chars().skip(from).take(upto.saturating_sub(from)).collect();
        printable::line(&part).into_owned()
    };
    let (before, meant) = (of(0, begin), of(begin, end));
    let mark = " ".repeat(printable::width(&before)) + &"^".repeat(printable::width(&meant).max(1));
    let line = printable::line(text).into_owned();
    let fits = printable::width(&line).max(mark.len()) <= width;
    // What begins with spaces is moved to the margin.
    let margin = line.bytes().take_while(|byte| *byte == b' ').count().min(mark.len() - 1);
    fits.then(|| (line[margin..].to_owned(), mark[margin..].to_owned()))
}

pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look, name: &str) {
    pen.rule(Rect { height: 1, ..area }, name);
    let body = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(1),
        height: area.height.saturating_sub(1),
    };
    let Some(file) = all(picture).find(|file| file.file == name) else {
        let text = "This file is not refused any more.";
        pen.text(body.x, body.y, body.width, text, pen.tone(Tone::Good));
        return;
    };
    let count = words::counted(file.diagnostics.len(), "problem");
    let goes_on = match &file.pipeline {
        Some(_) => "the last good definition stays in force",
        None => "no pipeline comes of it until it is mended",
    };
    let since = pen.clock.age(file.at);
    let sign = pen.palette.sign(Sign::Failed);
    let head = wrapped(&format!("{sign} refused for {since}, {count}: {goes_on}"), usize::from(body.width));
    let bad = pen.tone(Tone::Bad);
    let mut lines: Vec<Line> = head.into_iter().map(|row| Line::of(row, bad)).collect();
    lines.push(Line::default());
    lines.extend(problems(pen, file, body.width));
    look.page = usize::from(body.height);
    look.scroll_limit = pen.lines(body, &lines, look.scroll);
    look.scroll = look.scroll.min(look.scroll_limit);
}
