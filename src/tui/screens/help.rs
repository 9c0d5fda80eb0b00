//! The keys, from their table, and what each sign means.

use super::super::keys::{Place, TABLE};
use super::super::look::Look;
use super::super::picture::Picture;
use super::Source;
use super::pen::{Line, Pen};
use crate::printable;
use crate::words::{Sign, Tone};
use ratatui::layout::Rect;
use ratatui::style::Style;

pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look, source: &Source<'_>) {
    let replay = source.played.is_some();
    let mut lines = Vec::new();
    if let Some(who) = &picture.who {
        let text = format!("  You are {} at {}, release {}", super::who_is(who), source.address, who.release);
        lines.push(Line::of(text, pen.tone(Tone::Strong)));
        lines.push(Line::default());
    }
    let place = Place { replay, log: !replay };
    for binding in TABLE.iter().filter(|binding| place.has(binding.scope)) {
        let gap = 8_usize.saturating_sub(printable::width(binding.shown));
        lines.push(
            Line::of(format!("  {}{}", binding.shown, " ".repeat(gap)), pen.palette.accent())
                .add(binding.about, Style::new()),
        );
    }
    lines.push(Line::default());
    lines.push(Line::of("  What the signs mean", pen.tone(Tone::Strong)));
    for (sign, about) in Sign::ALL {
        let (sign, tone) = pen.sign(sign, "");
        lines.push(Line::of(format!("  {sign}      "), tone).add(about, Style::new()));
    }
    lines.push(Line::default());
    lines.push(Line::of("  A click selects, another one opens; the wheel moves.", pen.tone(Tone::Quiet)));
    pen.rule(Rect { height: 1, ..area }, "help");
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    look.page = usize::from(body.height);
    look.scroll_limit = pen.lines(body, &lines, look.scroll);
    look.scroll = look.scroll.min(look.scroll_limit);
}
