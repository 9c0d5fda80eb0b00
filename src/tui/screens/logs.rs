//! Runs, those that go on first, and what they wrote.

use super::super::look::{Look, Spot, finds};
use super::super::picture::{Picture, Run};
use super::pen::{Line, Pen};
use crate::domain::RunId;
use crate::printable;
use crate::words::{self, Sign, Tone};
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::collections::VecDeque;

/// The runs that are listed: those that go on, then the others, newest first.
pub(crate) fn order<'a>(picture: &'a Picture, look: &Look) -> Vec<(RunId, &'a Run)> {
    let text = |run: &Run| {
        let pipeline = run.pipeline.as_ref().map(ToString::to_string).unwrap_or_default();
        let version = run.version.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{pipeline} {version} {}", run.what)
    };
    let found = picture.runs.all.iter().rev().filter(|(_, run)| look.finds(&text(run)));
    let (mut on, over): (Vec<_>, Vec<_>) =
        found.map(|(id, run)| (*id, run)).partition(|(_, run)| run.end.is_none());
    on.extend(over);
    on
}

/// The run that is selected.
pub(crate) fn selected(all: &[(RunId, &Run)], look: &Look) -> usize {
    look.run.and_then(|run| all.iter().position(|(id, _)| *id == run)).unwrap_or(0)
}

fn row(pen: &Pen<'_>, id: RunId, run: &Run) -> Line {
    let (sign, tone) = match &run.end {
        None => pen.sign(Sign::Runs, "runs"),
        Some((_, word, Tone::Good)) => pen.sign(Sign::Fine, word),
        Some((_, word, Tone::Bad)) => pen.sign(Sign::Failed, word),
        Some((_, word, _)) => pen.sign(Sign::Waits, word),
    };
    let gap = 13_usize.saturating_sub(printable::width(&sign));
    // What ran counts more than the end of a long name.
    let pipeline = run.pipeline.as_ref().map(|name| {
        let name = printable::line(name.as_str());
        format!("{} ", printable::truncate_width(&name, 18))
    });
    let pipeline = pipeline.unwrap_or_default();
    let version = run.version.as_ref().map(|version| format!("{version} ")).unwrap_or_default();
    let time = match (run.began, &run.end) {
        (Some(began), Some((end, ..))) => format!("took {}", took(*end - began)),
        (Some(began), None) => format!("for {}", pen.clock.since(began)),
        (None, _) => String::new(),
    };
    Line::of(format!(" {sign}{}", " ".repeat(gap)), tone)
        .add(pipeline, pen.tone(Tone::Strong))
        .add(version, Style::new())
        .add(format!("{}  ", run.what), Style::new())
        .add(format!("{time}  run {id}"), pen.tone(Tone::Quiet))
}

/// How long something took.
pub(crate) fn took(span: chrono::TimeDelta) -> String {
    words::took(u64::try_from(span.num_milliseconds()).unwrap_or(0))
}

/// Draws the list, and the end of the log that is selected.
pub(crate) fn list(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look) {
    let all = order(picture, look);
    if all.is_empty() {
        let text = "Nothing has run since the picture begins, or nothing has these words.";
        pen.text(area.x + 2, area.y + 1, area.width.saturating_sub(2), text, pen.tone(Tone::Quiet));
        return;
    }
    let at = selected(&all, look);
    look.run = Some(all[at].0);
    let (list, tail) = if area.width >= 120 {
        let left = area.width * 2 / 5;
        (Rect { width: left, ..area }, Rect { x: area.x + left + 1, width: area.width - left - 1, ..area })
    } else {
        let high = (all.len() as u16).min(area.height / 2).max(3.min(area.height));
        (Rect { height: high, ..area }, Rect { y: area.y + high, height: area.height - high, ..area })
    };
    let fit = usize::from(list.height);
    look.page = fit;
    let first = (at + 1).saturating_sub(fit).min(all.len().saturating_sub(fit));
    for (place, (id, run)) in all.iter().enumerate().skip(first).take(fit) {
        let area = Rect { y: list.y + (place - first) as u16, height: 1, ..list };
        let line = row(pen, *id, run);
        pen.line(area, &line);
        if place == at {
            pen.select(area);
        }
        pen.spot(area, Spot::Run(*id));
    }
    if tail.height > 1 {
        pen.rule(Rect { height: 1, ..tail }, &format!("run {}", all[at].0));
        let body = Rect { y: tail.y + 1, height: tail.height - 1, ..tail };
        end_of(pen, body, picture, all[at].0);
    }
}

/// What is there of a log; else why nothing is.
fn lines_of(picture: &Picture, run: RunId) -> Result<&VecDeque<String>, &'static str> {
    if picture.link == super::super::picture::Link::Recorded {
        return Err("A journal has no logs: `tidegate logs` with its number may show it.");
    }
    match picture.logs.tail(run) {
        Some(tail) if tail.absent => Err("It has no log (any more), or wrote nothing yet."),
        Some(tail) if !tail.lines.is_empty() => Ok(&tail.lines),
        Some(_) => Err("It wrote nothing yet."),
        None => Err("Waiting for the log …"),
    }
}

fn end_of(pen: &mut Pen<'_>, area: Rect, picture: &Picture, run: RunId) {
    match lines_of(picture, run) {
        Err(why) => pen.text(area.x + 1, area.y, area.width.saturating_sub(1), why, pen.tone(Tone::Quiet)),
        Ok(lines) => {
            let skip = lines.len().saturating_sub(usize::from(area.height));
            for (row, line) in lines.iter().skip(skip).enumerate() {
                pen.text(area.x, area.y + row as u16, area.width, line, Style::new());
            }
        }
    }
}

/// The lines that the search finds, by their numbers since the beginning.
pub(crate) fn hits(picture: &Picture, look: &mut Look, run: RunId) -> Vec<u64> {
    let search = &look.search.text;
    let Some(tail) = picture.logs.tail(run).filter(|_| !search.is_empty()) else { return Vec::new() };
    let lines = &tail.lines;
    let Some(last) = lines.len().checked_sub(1) else { return Vec::new() };
    let first = tail.dropped as i64;
    let place = |number: i64| &lines[(number - first) as usize];
    // The last line may go on: it is read each time.
    let of = format!("run {run} from {}, {search}", tail.from);
    let all = look.found.numbers(&of, first..first + last as i64, |number| finds(search, place(number)));
    let all = all.iter().map(|number| *number as u64);
    let open = lines.back().filter(|line| finds(search, line)).map(|_| tail.dropped + last as u64);
    all.chain(open).collect()
}

/// A line in which the words of a search stand out.
fn marked(text: &str, search: &str, mark: Style) -> Line {
    let plain = Style::new();
    if search.is_empty() {
        return Line::of(text, plain);
    }
    // A small letter may be longer than its capital: each is known by where that stands.
    let small = text.char_indices().flat_map(|(at, c)| c.to_lowercase().map(move |small| (at, small)));
    let small: Vec<(usize, char)> = small.collect();
    let mut is_hit = vec![false; text.len()];
    for word in search.to_lowercase().split_whitespace() {
        let word: Vec<char> = word.chars().collect();
        for here in small.windows(word.len()).filter(|here| here.iter().map(|(_, c)| c).eq(&word)) {
            here.iter().for_each(|(at, _)| is_hit[*at] = true);
        }
    }
    let mut line = Line::default();
    let mut piece = (String::new(), false);
    for (at, c) in text.char_indices() {
        if is_hit[at] != piece.1 && !piece.0.is_empty() {
            line = line.add(std::mem::take(&mut piece.0), if piece.1 { mark } else { plain });
        }
        piece.1 = is_hit[at];
        piece.0.push(c);
    }
    line.add(piece.0, if piece.1 { mark } else { plain })
}

/// A line of a log; the words of the search stand out, and most in the line that it has come to.
fn log_line(pen: &mut Pen<'_>, area: Rect, look: &Look, number: u64, text: &str) {
    let mark = if look.hit == Some(number) { pen.palette.selected() } else { pen.palette.accent() };
    let line = marked(text, &look.search.text, mark);
    pen.line(area, &line);
}

/// Draws one log.
pub(crate) fn log(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look, run: RunId) {
    let head = Rect { height: 1, ..area };
    pen.rule(head, "");
    let follow = if look.line.is_none() { "follows" } else { "stands; End follows" };
    let (name, over) = match picture.runs.all.get(&run) {
        Some(one) => (row(pen, run, one), one.end.is_some()),
        None => (Line::of(format!(" run {run}"), pen.tone(Tone::Strong)), false),
    };
    let name = if over { name } else { name.add(format!("  {follow}"), pen.palette.accent()) };
    pen.line(head, &name.add(" ", Style::new()));
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let high = usize::from(body.height);
    look.page = high;
    let lines = match lines_of(picture, run) {
        Ok(lines) => lines,
        Err(why) => {
            pen.text(body.x + 1, body.y, body.width.saturating_sub(1), why, pen.tone(Tone::Quiet));
            return;
        }
    };
    let tail = picture.logs.tail(run);
    let dropped = tail.map_or(0, |tail| tail.dropped);
    let found = hits(picture, look, run);
    look.hit = look.hit.filter(|hit| found.binary_search(hit).is_ok());
    let nth = look.hit.and_then(|hit| found.binary_search(&hit).ok()).map(|at| at + 1);
    look.hits = (nth, found.len());
    let at = |row: usize| Rect { y: body.y + row as u16, height: 1, ..body };
    if look.only_hits && !look.search.text.is_empty() {
        look.scroll_limit = found.len().saturating_sub(high);
        look.scroll = look.scroll.min(look.scroll_limit);
        let skip = look.scroll_limit - look.scroll;
        for (row, number) in found.iter().skip(skip).take(high).enumerate() {
            log_line(pen, at(row), look, *number, &lines[(number - dropped) as usize]);
        }
        if found.is_empty() {
            let text = "No line that is kept here has these words. f shows all of them.";
            pen.text(body.x + 1, body.y, body.width.saturating_sub(1), text, pen.tone(Tone::Quiet));
        }
        return;
    }
    // The line after the last that is shown, counted since the beginning, so that it stands while others come.
    let all = dropped + lines.len() as u64;
    let end = look.line.map_or(all, |line| line.clamp(dropped + (high as u64).min(all - dropped), all));
    if look.line.is_some() {
        // At its end it follows, but not away from what was found.
        look.line = if end == all && look.hit.is_none() { None } else { Some(end) };
    }
    let skip = (end - dropped) as usize - high.min((end - dropped) as usize);
    for (row, line) in lines.iter().enumerate().skip(skip).take(high) {
        log_line(pen, at(row - skip), look, dropped + row as u64, line);
    }
    look.scroll_limit = lines.len().saturating_sub(high);
}
