//! What lies over a screen: the menu of what can be done, and the dialog before it is.

use super::super::act::{Deed, Verb, deeds};
use super::super::here;
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
            ask(pen, screen, picture, dialog);
            dialog.seen = true;
        }
        // The last line has it.
        Some(Over::Jump(_)) | None => {}
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

pub(super) fn key_of(verb: Verb) -> &'static str {
    let binding = TABLE.iter().find(|binding| binding.intent == Intent::Do(verb));
    binding.map_or("", |binding| binding.shown)
}

/// A verb in the menu: its row, and all of it for whoever has chosen it.
fn choice(pen: &Pen<'_>, picture: &Picture, verb: Verb, found: &Result<Vec<Deed>, String>) -> (Line, String) {
    let quiet = pen.tone(Tone::Quiet);
    let name = format!("{:<9} ", verb.name());
    let all = match found {
        Err(why) => {
            let line = Line::of(format!("{} {name}cannot: {why}", key_of(verb)), quiet);
            return (line, format!("cannot: {why}"));
        }
        Ok(all) => all,
    };
    let Some(deed) = all.first() else { return (Line::default(), String::new()) };
    let line = Line::of(format!("{} ", key_of(verb)), pen.palette.accent());
    match picture.may_not(deed.role) {
        Some(why) => {
            let line = Line::of(format!("{} {name}{why}", key_of(verb)), quiet);
            (line, format!("{why}. {}", deed.will))
        }
        None => {
            let line = line.add(name, pen.tone(Tone::Strong)).add(deed.brief(), Style::new());
            (line, deed.will.clone())
        }
    }
}

fn menu(pen: &mut Pen<'_>, screen: Rect, picture: &Picture, look: &Look, chosen: usize) {
    let Some((p, tier)) = here::place(picture, look) else { return };
    let place = tier.map_or_else(|| p.name.to_string(), |tier| format!("{}/{}", p.name, tier.name));
    let width = screen.width.min(100);
    let version = here::looked_at(look);
    let all: Vec<(Verb, Line, String)> = Verb::ALL
        .into_iter()
        .map(|verb| {
            let (line, whole) = choice(pen, picture, verb, &deeds(verb, p, tier, version));
            (verb, line, whole)
        })
        .collect();
    // All of what is chosen stands below: names may be long.
    let columns = usize::from(width).saturating_sub(4);
    let about = all.iter().map(|(.., whole)| wrapped(whole, columns));
    let most = about.clone().map(|rows| rows.len()).max().unwrap_or(0) as u16;
    let about = about.clone().nth(chosen).unwrap_or_default();
    let inside = frame(pen, screen, &format!("do with {place}"), width, all.len() as u16 + 1 + most);
    // Where room is short the list moves on with what is chosen, and the text is whole.
    let low = (about.len() as u16).max(most.min(inside.height.saturating_sub(all.len() as u16 + 1)));
    let high = inside.height.saturating_sub(low + 1).max(1).min(all.len() as u16);
    let first = (chosen + 1).saturating_sub(usize::from(high));
    for (row, (verb, line, _)) in all.iter().enumerate().skip(first).take(usize::from(high)) {
        let area = Rect { y: inside.y + (row - first) as u16, height: 1, ..inside };
        pen.line(area, line);
        if row == chosen {
            pen.select(area);
        }
        pen.spot(area, Spot::Menu(*verb));
    }
    let y = inside.y + high + 1;
    for (row, text) in about.iter().enumerate().take(usize::from(inside.bottom().saturating_sub(y))) {
        pen.text(inside.x, y + row as u16, inside.width, text, Style::new());
    }
}

fn ask(pen: &mut Pen<'_>, screen: Rect, picture: &Picture, dialog: &Dialog) {
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
    let at = lines.len();
    let mut say = |text: &str, style: Style| {
        lines.extend(wrapped(text, columns).into_iter().map(|row| Line::of(row, style)));
    };
    if let Some(why) = picture.may_not(deed.role) {
        say(&format!("{} {why}", pen.palette.sign(crate::words::Sign::Failed)), pen.tone(Tone::Bad));
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
    // What comes is told as far as there is room for it: what is asked counts more.
    let room = usize::from(screen.height).saturating_sub(lines.len() + 2);
    let brings = deed.brings.iter().flat_map(|text| wrapped(text, columns));
    let mut brings: Vec<Line> = brings.map(|row| Line::of(row, pen.tone(Tone::Quiet))).collect();
    if brings.len() > room {
        brings.truncate(room.saturating_sub(1));
        brings.extend((room > 0).then(|| Line::of("…", pen.tone(Tone::Quiet))));
    }
    input = input.map(|(row, label)| (row + brings.len(), label));
    lines.splice(at..at, brings);
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
