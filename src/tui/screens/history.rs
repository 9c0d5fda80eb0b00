//! What happened, newest at the bottom; searched and filtered.

use super::super::look::{Kinds, Look, Spot, finds};
use super::super::picture::{Entry, Picture, version_of};
use super::pen::{Line, Pen, wrapped};
use super::way;
use crate::domain::{Envelope, Event};
use crate::words::{self, Tone};
use ratatui::layout::Rect;

fn is_of(kinds: Kinds, envelope: &Envelope) -> bool {
    match kinds {
        Kinds::All => true,
        Kinds::People => envelope.fact.by.is_some(),
        Kinds::Bad => words::told(envelope).1 == Tone::Bad,
        Kinds::Ways => matches!(
            envelope.fact.event,
            Event::PromoteStart { .. }
                | Event::PromoteBlocked { .. }
                | Event::PromoteComplete { .. }
                | Event::PromoteFailed { .. }
                | Event::Rollback { .. }
                | Event::RollbackComplete { .. }
                | Event::RollbackFailed { .. }
                | Event::Superseded { .. }
        ),
    }
}

fn text_of(envelope: &Envelope) -> String {
    let (word, _, rest) = words::told(envelope);
    let fact = &envelope.fact;
    let pipeline = fact.pipeline.as_ref().map(ToString::to_string).unwrap_or_default();
    let (by, why) = (fact.by.as_deref().unwrap_or_default(), fact.why.as_deref().unwrap_or_default());
    format!("{pipeline} {word} {rest} {} {by} {why}", fact.event.kind())
}

/// The entries that are shown, oldest first.
pub(crate) fn order<'a>(picture: &'a Picture, look: &mut Look) -> Vec<&'a Entry> {
    let history = &picture.history;
    if look.search.text.is_empty() && look.kinds == Kinds::All {
        return history.entries.iter().collect();
    }
    let place = |number: i64| &history.entries[(number - history.first) as usize];
    let (search, kinds) = (&look.search.text, look.kinds);
    let fits = |number: i64| match place(number) {
        Entry::Event(envelope) => is_of(kinds, envelope) && finds(search, &text_of(envelope)),
        Entry::Mark(_, odd) => finds(search, &odd.text()),
    };
    let list = history.first..history.first + history.entries.len() as i64;
    let found = look.found.numbers(&format!("history, {}, {search}", kinds.name()), list, fits);
    found.iter().map(|number| place(*number)).collect()
}

/// The place of the entry that is selected: the newest, unless one is. One that is not shown (any more) gives way to the
/// one before it, else to the oldest.
pub(crate) fn selected(all: &[&Entry], look: &Look) -> usize {
    let Some(wanted) = look.entry else { return all.len().saturating_sub(1) };
    all.iter().rposition(|entry| matches!(entry, Entry::Event(it) if it.id <= wanted)).unwrap_or(0)
}

pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look) {
    let all = order(picture, look);
    let more = if picture.history.asking { ", older ones are asked for" } else { "" };
    let title = format!("{}, {}{more}", look.kinds.name(), words::counted(all.len(), "event"));
    pen.rule(Rect { height: 1, ..area }, &title);
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if all.is_empty() {
        look.opens = (false, false);
        let text = "Nothing that is kept here fits. f shows other kinds, Esc leaves a search.";
        pen.text(body.x + 2, body.y, body.width.saturating_sub(2), text, pen.tone(Tone::Quiet));
        return;
    }
    let at = selected(&all, look);
    look.opens = match all[at] {
        Entry::Event(one) => (version_of(&one.fact.event).is_some(), one.fact.event.run().is_some()),
        Entry::Mark(..) => (false, false),
    };
    let about = match all[at] {
        Entry::Event(envelope) => about(envelope),
        Entry::Mark(_, odd) => odd.text(),
    };
    let about = wrapped(&about, usize::from(body.width).saturating_sub(2));
    let below = (about.len() as u16).min(body.height / 3);
    let list = Rect { height: body.height - below, ..body };
    let fit = usize::from(list.height).max(1);
    look.page = fit;
    // The selected one is in the middle unless an end is near.
    let first = at.saturating_sub(fit / 2).min(all.len().saturating_sub(fit));
    for (place, entry) in all.iter().enumerate().skip(first).take(fit) {
        let area = Rect { y: list.y + (place - first) as u16, height: 1, ..list };
        match entry {
            Entry::Event(envelope) => {
                let line = way::happened(pen, envelope, true);
                pen.line(area, &line);
                pen.spot(area, Spot::Entry(envelope.id));
            }
            Entry::Mark(moment, odd) => {
                let line =
                    Line::of(format!("{} ", way::clock(*moment, pen.clock.now)), pen.tone(Tone::Quiet))
                        .add(format!("── {} ──", odd.text()), pen.palette.accent());
                pen.line(area, &line);
            }
        }
        if place == at {
            pen.select(area);
        }
    }
    let quiet = pen.tone(Tone::Quiet);
    for (row, line) in about.iter().take(usize::from(below)).enumerate() {
        pen.text(body.x + 1, list.bottom() + row as u16, body.width - 1, line, quiet);
    }
}

/// Everything that an event says, in one text.
fn about(envelope: &Envelope) -> String {
    let (word, _, rest) = words::told(envelope);
    let by = envelope.fact.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    let why = envelope.fact.why.as_ref().map(|why| format!(": \u{201c}{why}\u{201d}")).unwrap_or_default();
    let at = envelope.at.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S%.3f");
    format!("event {} at {at}, {}{by}{why}. {word} {rest}", envelope.id, envelope.fact.event.kind())
}
