//! What lies over a screen: the menu of what can be done, and the dialog before it is.

use super::super::act::{Verb, deeds};
use super::super::keys::{Intent, TABLE};
use super::super::look::{Dialog, Look, Over, Spot, Stage};
use super::super::picture::Picture;
use super::pen::{Line, Pen, wrapped};
use crate::printable;
use crate::words::Tone;
use ratatui::layout::Rect;
use ratatui::style::Style;

pub(crate) fn draw(pen: &mut Pen<'_>, screen: Rect, picture: &Picture, look: &mut Look) {
    match &mut look.over {
        Some(Over::Menu(chosen)) => {
            let chosen = *chosen;
            menu(pen, screen, picture, look, chosen);
        }
        Some(Over::Dialog(dialog)) => {
            ask(pen, screen, dialog);
            dialog.seen = true;
        }
        None => {}
    }
}

/// A box in the middle, cleared; gives its inside.
fn frame(pen: &mut Pen<'_>, screen: Rect, title: &str, width: u16, height: u16) -> Rect {
    let width = width.min(screen.width);
    let height = (height + 2).min(screen.height);
    let (x, y) = (screen.x + (screen.width - width) / 2, screen.y + (screen.height - height) / 2);
    let area = Rect { x, y, width, height };
    for row in area.rows() {
        for column in row.columns() {
            if let Some(cell) = pen.buffer.cell_mut((column.x, column.y)) {
                cell.reset();
            }
        }
    }
    let style = pen.palette.accent();
    let bar = "─".repeat(usize::from(width).saturating_sub(2));
    pen.text(x, y, width, &format!("┌{bar}┐"), style);
    pen.text(x, y + height - 1, width, &format!("└{bar}┘"), style);
    for row in 1..height.saturating_sub(1) {
        pen.text(x, y + row, 1, "│", style);
        pen.text(x + width - 1, y + row, 1, "│", style);
    }
    let wide = (printable::width(&printable::line(title)) + 2).min(usize::from(width).saturating_sub(4));
    pen.text(x + 2, y, wide as u16, &format!(" {title} "), pen.tone(Tone::Strong));
    Rect { x: x + 2, y: y + 1, width: width.saturating_sub(4), height: height.saturating_sub(2) }
}

fn key_of(verb: Verb) -> &'static str {
    let binding = TABLE.iter().find(|binding| binding.intent == Intent::Do(verb));
    binding.map_or("", |binding| binding.shown)
}

fn menu(pen: &mut Pen<'_>, screen: Rect, picture: &Picture, look: &Look, chosen: usize) {
    let Some(p) = look.pipeline.as_ref().and_then(|name| picture.pipeline(name)) else { return };
    let tier = look.tier.as_ref().and_then(|name| p.tiers.iter().find(|tier| tier.name == *name));
    let place = tier.map_or_else(|| p.name.to_string(), |tier| format!("{}/{}", p.name, tier.name));
    let inside = frame(pen, screen, &format!("do with {place}"), 76, Verb::ALL.len() as u16);
    for (row, verb) in Verb::ALL.into_iter().enumerate().take(usize::from(inside.height)) {
        let area = Rect { y: inside.y + row as u16, height: 1, ..inside };
        let found = deeds(verb, p, tier, look.version.as_ref());
        let line = match &found {
            Ok(deeds) => Line::of(format!("{} ", key_of(verb)), pen.palette.accent())
                .add(format!("{:<9} ", verb.name()), pen.tone(Tone::Strong))
                .add(deeds.first().map(|deed| deed.will.clone()).unwrap_or_default(), Style::new()),
            Err(why) => {
                let quiet = pen.tone(Tone::Quiet);
                Line::of(format!("{} {:<9} cannot: {why}", key_of(verb), verb.name()), quiet)
            }
        };
        pen.line(area, &line);
        if row == chosen {
            pen.select(area);
        }
        pen.spot(area, Spot::Menu(verb));
    }
}

fn ask(pen: &mut Pen<'_>, screen: Rect, dialog: &Dialog) {
    let Some(deed) = dialog.deeds.get(dialog.chosen) else { return };
    let width = 72.min(screen.width);
    let columns = usize::from(width).saturating_sub(4);
    let mut lines: Vec<Line> = Vec::new();
    let plain = Style::new();
    let mut say = |text: &str, style: Style| {
        lines.extend(wrapped(text, columns).into_iter().map(|row| Line::of(row, style)));
    };
    say(&deed.will, plain);
    if let Some(by) = &deed.by {
        say(by, pen.tone(Tone::Quiet));
    }
    if dialog.deeds.len() > 1 {
        let text = format!("{} of {}: ↑ ↓ choose another", dialog.chosen + 1, dialog.deeds.len());
        say(&text, pen.palette.accent());
    }
    say("", plain);
    let mut input = None;
    match &dialog.stage {
        Stage::Asks | Stage::Changed | Stage::WantsWhy => {
            let must = if deed.why_needed { "why (it takes one): " } else { "why: " };
            input = Some((lines.len(), must));
            lines.push(Line::default());
            let odd = match dialog.stage {
                Stage::WantsWhy => Some("Say why first."),
                Stage::Changed => Some("Something has changed: read it again."),
                _ => None,
            };
            lines.extend(odd.map(|odd| Line::of(odd, pen.tone(Tone::Bad))));
            lines.push(Line::of("Enter does it, Esc leaves", pen.palette.accent()));
        }
        Stage::Sent(_) => lines.push(Line::of("The controller is asked …", pen.tone(Tone::Wait))),
        Stage::Refused(refusal) => {
            let sign = pen.palette.sign(crate::words::Sign::Failed);
            let text = format!("{sign} {} [{}]", refusal.message, refusal.code);
            let bad = pen.tone(Tone::Bad);
            lines.extend(wrapped(&text, columns).into_iter().map(|row| Line::of(row, bad)));
            if !refusal.help.is_empty() {
                let help = format!("help: {}", refusal.help);
                lines.extend(wrapped(&help, columns).into_iter().map(|row| Line::of(row, plain)));
            }
            lines.push(Line::of("Enter tries again, Esc leaves", pen.palette.accent()));
        }
    }
    let verb = deed.request.verb.name();
    let tier = deed.request.tier.as_ref().map(|tier| format!("/{tier}")).unwrap_or_default();
    let title = format!("{verb} {}{tier}", deed.request.pipeline);
    let inside = frame(pen, screen, &title, width, lines.len() as u16);
    // What is asked stands at the bottom: where room is short, the end is shown.
    let skip = lines.len().saturating_sub(usize::from(inside.height));
    for (row, line) in lines.iter().skip(skip).enumerate() {
        pen.line(Rect { y: inside.y + row as u16, height: 1, ..inside }, line);
    }
    if let Some((row, label)) = input
        && let Some(row) = row.checked_sub(skip)
    {
        let y = inside.y + row as u16;
        written(pen, Rect { y, height: 1, ..inside }, label, &dialog.why);
    }
}

/// A line that is being written, with its cursor in sight.
pub(crate) fn written(pen: &mut Pen<'_>, area: Rect, label: &str, input: &super::super::input::Input) {
    let accent = pen.palette.accent();
    pen.text(area.x, area.y, area.width, label, accent);
    let used = (printable::width(label) as u16).min(area.width);
    let room = Rect { x: area.x + used, width: area.width - used, ..area };
    let before = printable::line(input.before()).into_owned();
    let mut shown: String = printable::line(&input.text).into_owned();
    let mut cursor = printable::width(&before);
    while cursor + 1 > usize::from(room.width) && !shown.is_empty() {
        let first = shown.remove(0);
        cursor = cursor.saturating_sub(printable::width(&first.to_string()));
    }
    pen.text(room.x, room.y, room.width, &shown, Style::new());
    let at = Rect { x: room.x + cursor as u16, width: 1, ..room };
    pen.select(at.intersection(area));
}
