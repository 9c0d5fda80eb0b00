//! The screens, each a pure function of what is known and what is looked at. Around each: one line that says where the
//! picture comes from and how old it is, one with the screens, and at the bottom what was said last and the keys.

pub(crate) mod board;
mod detail;
mod dialog;
pub(crate) mod file;
mod help;
pub(crate) mod history;
mod keys;
pub(crate) mod logs;
mod pen;
pub(crate) mod pipeline;
pub(crate) mod waiting;
mod way;

use super::look::{Look, Over, Screen, Spot, TABS};
use super::palette::Palette;
use super::picture::{Link, Picture};
use crate::printable;
use crate::server::WhoView;
use crate::words::{self, Clock, Tone, brief};
use pen::{Line, Pen};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The smallest terminal that is drawn on.
pub(crate) const SMALLEST: (u16, u16) = (60, 16);

/// What of a recording is shown.
pub(crate) struct Played {
    pub(crate) speed: f64,
    pub(crate) playing: bool,
    /// Events that are folded in, and how many there are.
    pub(crate) at: (usize, usize),
}

/// Where the picture comes from.
pub(crate) struct Source<'a> {
    pub(crate) address: &'a str,
    pub(crate) played: Option<Played>,
    /// The time of this machine, which the age of a cut goes by.
    pub(crate) here: crate::domain::Time,
}

/// Draws everything.
pub(crate) fn draw(
    buffer: &mut Buffer,
    picture: &Picture,
    look: &mut Look,
    palette: Palette,
    clock: &Clock,
    source: &Source<'_>,
) {
    let area = buffer.area;
    let mut pen = Pen { buffer, palette, clock, spots: Vec::new() };
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!(
            "{}x{} is too small: {}x{} at least; q quits",
            area.width, area.height, SMALLEST.0, SMALLEST.1
        );
        pen.text(area.x, area.y, area.width, &text, Style::new());
        look.spots.clear();
        if let Some(Over::Dialog(dialog)) = &mut look.over {
            dialog.seen = false;
        }
        return;
    }
    header(&mut pen, Rect { height: 1, ..area }, picture, source);
    tabs(&mut pen, Rect { y: area.y + 1, height: 1, ..area }, picture, look);
    let note = note(picture, look, clock);
    let low = 1 + u16::from(note.is_some());
    let body = Rect { y: area.y + 2, height: area.height - 2 - low, ..area };
    match look.screen().clone() {
        Screen::Board => board::draw(&mut pen, body, picture, look),
        Screen::Waiting => waiting::draw(&mut pen, body, picture, look),
        Screen::Runs => logs::list(&mut pen, body, picture, look),
        Screen::History => history::draw(&mut pen, body, picture, look),
        Screen::Pipeline => pipeline::draw(&mut pen, body, picture, look),
        Screen::Way(p, version) => way::draw(&mut pen, body, picture, look, (&p, &version)),
        Screen::Log(run) => logs::log(&mut pen, body, picture, look, run),
        Screen::File(name) => file::draw(&mut pen, body, picture, look, &name),
        Screen::Help => help::draw(&mut pen, body, picture, look, source),
    }
    if let Some((text, tone)) = note {
        let style = pen.tone(tone);
        pen.text(area.x, area.bottom() - 2, area.width, &format!(" {text}"), style);
    }
    let low = Rect { y: area.bottom() - 1, height: 1, ..area };
    keys::draw(&mut pen, low, picture, look, source.played.is_some());
    dialog::draw(&mut pen, body, picture, look);
    look.spots = std::mem::take(&mut pen.spots);
}

/// What is said above the keys.
fn note(picture: &Picture, look: &Look, clock: &Clock) -> Option<(String, Tone)> {
    if let Some(said) = &look.said {
        let waits: Vec<String> = said.waits_for.iter().map(|it| clock.blocker(it)).collect();
        let waits = if waits.is_empty() { String::new() } else { format!(": {}", waits.join("; ")) };
        // The name comes last: it may be long.
        let of = if said.of.is_empty() { String::new() } else { format!(" ({})", said.of) };
        return Some((format!("{}{waits}{of}", said.text), Tone::Strong));
    }
    if let Some(note) = &picture.note {
        return Some((note.clone(), Tone::Wait));
    }
    let view = picture.view.as_ref()?;
    if let Some(standstill) = &view.standstill {
        return Some((format!("nothing new begins: {}", standstill.message), Tone::Bad));
    }
    if let Some(trouble) = view.troubles.first() {
        return Some((format!("{} [{}]", trouble.message, trouble.code), Tone::Bad));
    }
    if let Some(file) = view.rejected.first() {
        let count = words::counted(file.diagnostics.len(), "problem");
        let more = if view.rejected.len() > 1 { ", and more files" } else { "" };
        let text = format!("a file is refused, {count}; 2 shows it{more}: {}", file.file);
        return Some((text, Tone::Bad));
    }
    let notice = view.notices.first()?;
    let trouble = notice.trouble.as_ref()?;
    let text = format!("not taken: {} (notice {} of {})", trouble.error, notice.number, notice.pipeline);
    Some((text, Tone::Wait))
}

fn header(pen: &mut Pen<'_>, area: Rect, picture: &Picture, source: &Source<'_>) {
    let (state, tone) = match (&picture.link, &source.played) {
        (Link::Recorded, Some(played)) => {
            let at = pen.clock.now.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S");
            if played.playing {
                pen.clock.sees(pen.clock.now);
            }
            let speed = if played.playing { format!("×{}", played.speed) } else { "stopped".into() };
            let speed = if pen.palette.unicode { speed } else { speed.replace('×', "x") };
            (format!("replay {at} {speed}  {}/{}", played.at.0, played.at.1), Tone::Wait)
        }
        (Link::Connecting | Link::Recorded, _) => ("connecting".into(), Tone::Wait),
        (Link::Live, _) if picture.view.is_none() => ("live, waiting for the state".into(), Tone::Wait),
        (Link::Live, _) => (format!("live, event {}", picture.last), Tone::Good),
        (Link::Cut(since, why), _) => {
            // The age goes by this machine's clock, as the cut does.
            let age = words::span(source.here - *since);
            pen.clock.sees(pen.clock.now);
            (format!("CUT OFF for {age}, trying again: {why}"), Tone::Bad)
        }
    };
    let wide = usize::from(area.width);
    let state_wide = printable::width(&printable::line(&state)).min(wide * 2 / 3);
    let quiet = pen.tone(Tone::Quiet);
    let mut name = Line::of(" tidegate ", pen.tone(Tone::Strong)).add(source.address, quiet);
    if let Some(who) = &picture.who {
        name = name.add(format!("  {}", who_is(who)), quiet);
    }
    pen.line(Rect { width: (wide - state_wide).saturating_sub(3) as u16, ..area }, &name);
    let x = area.x + (wide - state_wide - 1) as u16;
    let style = pen.tone(tone);
    pen.text(x, area.y, state_wide as u16, &state, style);
}

/// Whose token is shown, and what it may do.
fn who_is(who: &WhoView) -> String {
    match (&who.name, who.role) {
        (Some(name), Some(role)) => format!("{role} {name}"),
        _ => "nobody, without a token".into(),
    }
}

fn tabs(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &Look) {
    let mut x = area.x + 1;
    let base = look.stack.first();
    for (at, (screen, name)) in TABS.iter().enumerate() {
        let count = match screen {
            Screen::Waiting => {
                let waiting =
                    picture.pipelines().iter().flat_map(|p| &p.tiers).flat_map(|tier| &tier.waiting);
                waiting.filter(|one| brief::waits_for_a_person(one)).count()
            }
            Screen::Runs => picture.runs.all.values().filter(|run| run.end.is_none()).count(),
            _ => 0,
        };
        let count = if count > 0 { format!(" ({count})") } else { String::new() };
        let text = format!(" {} {name}{count} ", at + 1);
        let wide = text.len() as u16;
        if x + wide > area.right() {
            break;
        }
        let place = Rect { x, width: wide, ..area };
        let is_here = base == Some(screen);
        let style = if is_here { pen.palette.selected() } else { pen.palette.accent() };
        pen.text(x, area.y, wide, &text, style);
        pen.spot(place, Spot::Tab(at));
        x += wide + 1;
    }
    if matches!(look.screen(), Screen::Board) && x + 20 < area.right() {
        let text = if look.by_attention { "attention first" } else { "by name" };
        let at = area.right() - text.len() as u16 - 1;
        pen.text(at, area.y, text.len() as u16, text, pen.tone(Tone::Quiet));
    }
}
