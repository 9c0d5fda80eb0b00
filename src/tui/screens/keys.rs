//! The last line: the keys that do something for what is selected, or the search and what it found.

use super::super::here;
use super::super::input::Input;
use super::super::jump;
use super::super::look::{Look, Over, Screen};
use super::super::picture::Picture;
use super::dialog;
use super::pen::{Line, Pen};
use crate::printable;
use crate::words;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::collections::BTreeSet;

/// So many of what can be done are most pressing.
const PRESSING: usize = 2;

pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &Look, replay: bool) {
    if let Some(Over::Jump(line)) = &look.over {
        return leads(pen, area, picture, line);
    }
    if look.searching || !look.search.text.is_empty() {
        return search(pen, area, look);
    }
    // Each with its rank: where room is short, the last of them go.
    let mut keys: Vec<_> = own(picture, look).into_iter().zip([0, 3, 3, 3, 3]).collect();
    let acts = matches!(look.screen(), Screen::Board | Screen::Waiting | Screen::Pipeline);
    if replay {
        let all = [("Space", "stop/go"), (". ,", "step"), ("[ ]", "seek"), ("+ -", "speed")];
        keys.extend(all.map(|key| (key, 2)));
    } else if acts {
        let verbs = here::verbs(picture, look);
        keys.extend((!verbs.is_empty()).then_some((("a", "do …"), 1)));
        // The most pressing ones go before what could be looked at besides.
        let rank = |at: usize| if at < PRESSING { 2 } else { 5 };
        let verbs = verbs.into_iter().enumerate();
        keys.extend(verbs.map(|(at, verb)| ((dialog::key_of(verb), verb.name()), rank(at))));
    }
    if *look.screen() == Screen::Board && !picture.pipelines().is_empty() {
        keys.insert(keys.iter().position(|(_, rank)| *rank > 4).unwrap_or(keys.len()), (("s", "sort"), 4));
    }
    let rest = [("/", "search"), ("?", "help"), ("q", "quit")];
    let wide = |(key, word): &(&str, &str)| printable::width(key) + printable::width(word) + 3;
    let mut room = usize::from(area.width).saturating_sub(1 + rest.iter().map(wide).sum::<usize>());
    let mut by_rank: Vec<usize> = (0..keys.len()).collect();
    by_rank.sort_by_key(|at| keys[*at].1);
    let fit = by_rank.into_iter().take_while(|at| {
        let fits = wide(&keys[*at].0) <= room;
        room = room.saturating_sub(wide(&keys[*at].0));
        fits
    });
    let fit: BTreeSet<usize> = fit.collect();
    let mut line = Line::of(" ", Style::new());
    for (key, word) in fit.into_iter().map(|at| keys[at].0) {
        line = line.add(key, pen.palette.accent()).add(format!(" {word}  "), Style::new());
    }
    for (key, word) in rest {
        line = line.add(key, pen.palette.accent()).add(format!(" {word}  "), Style::new());
    }
    pen.line(area, &line);
}

/// What the screen itself has keys for, as far as they do something.
fn own(picture: &Picture, look: &Look) -> Vec<(&'static str, &'static str)> {
    let has_run = || here::run(picture, look).is_some();
    let has_version = || here::version(picture, look).is_some();
    let (log, way) = (("o", "log"), ("v", "way"));
    let mut keys = Vec::new();
    match look.screen() {
        Screen::Board => {
            let is_any = look.pipeline.is_some();
            keys.extend(is_any.then_some(("Enter", "open")));
            keys.extend(has_run().then_some(log));
            keys.extend(has_version().then_some(way));
        }
        Screen::Waiting => {
            keys.extend(look.waits.is_some().then_some(("Enter", "open")));
            keys.extend(has_version().then_some(way));
        }
        Screen::Runs => {
            let run = look.run.and_then(|run| picture.runs.all.get(&run));
            keys.extend(run.is_some().then_some(("Enter", "whole log")));
            keys.extend(run.is_some_and(|run| run.version.is_some()).then_some(way));
        }
        Screen::History => {
            let (has_way, has_log) = look.opens;
            keys.push(("f", "kinds"));
            keys.extend(has_way.then_some(("Enter", "its way")));
            keys.extend(has_log.then_some(if has_way { log } else { ("Enter", "its log") }));
        }
        Screen::Pipeline => {
            keys.push(("Esc", "back"));
            keys.extend((look.version.is_none() && has_run()).then_some(log));
            keys.extend(has_version().then_some(way));
        }
        Screen::Log(run) => {
            keys.push(("Esc", "back"));
            let goes_on = picture.runs.all.get(run).is_none_or(|run| run.end.is_none());
            let is_away = look.line.is_some();
            keys.extend(is_away.then_some(("G", if goes_on { "follow" } else { "end" })));
        }
        Screen::Way(..) | Screen::File(_) | Screen::Help => keys.push(("Esc", "back")),
    }
    keys
}

/// The line that leads somewhere, and beside it what could stand there.
fn leads(pen: &mut Pen<'_>, area: Rect, picture: &Picture, line: &Input) {
    let written = printable::width(&printable::line(&line.text)) as u16 + 4;
    let room = Rect { width: written.max(16).min(area.width), ..area };
    dialog::written(pen, room, " :", line);
    let all = jump::completions(&line.text, picture);
    let words: Vec<&str> = all.iter().filter_map(|one| one.rsplit(' ').next()).take(20).collect();
    let text = printable::line(&words.join("  ")).into_owned();
    let left = usize::from(area.right().saturating_sub(room.right() + 1));
    let text = printable::truncate_width(&text, left);
    pen.text(room.right() + 1, area.y, left as u16, &text, pen.tone(words::Tone::Quiet));
}

fn search(pen: &mut Pen<'_>, area: Rect, look: &Look) {
    let is_log = matches!(look.screen(), Screen::Log(_));
    let found = match look.hits {
        _ if look.search.text.is_empty() => String::new(),
        (_, 0) => "no hit".to_owned(),
        (Some(nth), count) => format!("hit {nth} of {count}"),
        (None, count) => words::counted(count, "hit"),
    };
    let found = if is_log { found } else { String::new() };
    if look.searching {
        let wide = printable::width(&found) as u16;
        let room = Rect { width: area.width.saturating_sub(wide + 2), ..area };
        dialog::written(pen, room, " / ", &look.search);
        pen.text(room.right() + 1, area.y, wide, &found, pen.palette.accent());
        return;
    }
    let (accent, plain) = (pen.palette.accent(), Style::new());
    let mut rest = Line::default();
    if is_log {
        rest = rest.add(format!("   {found}"), accent);
        if look.hits.1 > 0 && !look.only_hits {
            rest = rest.add("  n", accent).add(" next  ", plain).add("N", accent).add(" back", plain);
        }
        let only = if look.only_hits { " all" } else { " only" };
        rest = rest.add("  f", accent).add(only, plain).add("  Esc", accent).add(" leaves", plain);
    } else {
        rest = rest.add("   Esc", accent).add(" shows all", plain);
    }
    let text = printable::line(&look.search.text);
    let room = usize::from(area.width).saturating_sub(rest.width() + 3).max(6);
    let text = printable::truncate_width(&text, room);
    let mut line = Line::of(format!(" / {text}"), accent);
    line.pieces.extend(rest.pieces);
    pen.line(area, &line);
}
