//! One version's way: where it came from, where it stands in each tier, and what happened to it, with times.

use super::super::look::Look;
use super::super::picture::{Picture, is_of};
use super::pen::{Line, Pen, wrapped};
use crate::domain::event::Event;
use crate::domain::{Envelope, PipelineName, TierName, Time, VersionLabel};
use crate::printable;
use crate::server::view::{PipelineView, StageView, StandingView};
use crate::words::{self, Sign, Tone};
use chrono::Local;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::borrow::Cow;
use std::sync::Arc;

/// A build's end in a sign and a word.
pub(crate) fn stage(stage: StageView) -> (Sign, &'static str, Tone) {
    match stage {
        StageView::Building => (Sign::Runs, "is built", Tone::Wait),
        StageView::Built => (Sign::Fine, "built", Tone::Good),
        StageView::Failed => (Sign::Failed, "build failed", Tone::Bad),
        StageView::Aborted => (Sign::Nothing, "build ended before it was done", Tone::Quiet),
        StageView::Adopted => (Sign::Fine, "adopted", Tone::Good),
    }
}

/// The events of a version that are known, oldest first.
pub(crate) fn events<'a>(
    picture: &'a Picture,
    p: &PipelineName,
    version: &VersionLabel,
) -> Cow<'a, [Arc<Envelope>]> {
    let key = (p.clone(), version.clone());
    if let Some(way) = picture.ways.events(&key) {
        return Cow::Borrowed(way);
    }
    // Nobody rested on it yet, or it is a recording.
    picture.history.events().filter(|envelope| is_of(envelope, &key)).cloned().collect()
}

/// How a version went through a tier, as far as is known.
#[derive(Default)]
struct Passage {
    entered: Option<Time>,
    left: Option<Time>,
}

fn passage(events: &[Arc<Envelope>], tier: &TierName) -> Passage {
    let mut found = Passage::default();
    for envelope in events.iter().filter(|envelope| envelope.fact.event.tier() == Some(tier)) {
        match &envelope.fact.event {
            Event::PromoteStart { .. } => found = Passage { entered: Some(envelope.at), left: None },
            Event::PromoteComplete { .. } | Event::PromoteFailed { .. } => found.left = Some(envelope.at),
            _ => {}
        }
    }
    found
}

/// A moment as it stands in lists.
pub(crate) fn clock(at: Time, now: Time) -> String {
    let local = at.with_timezone(&Local);
    let form = if (now - at).abs() < chrono::TimeDelta::hours(20) { "%H:%M:%S" } else { "%m-%d %H:%M" };
    local.format(form).to_string()
}

/// Draws everything about a version from a line on; gives how many lines there are beyond what fits.
pub(crate) fn whole(
    pen: &mut Pen<'_>,
    area: Rect,
    p: &PipelineView,
    label: &VersionLabel,
    picture: &Picture,
    skip: usize,
) -> usize {
    let events = events(picture, &p.name, label);
    let head = standing(pen, p, label, &events, area.width);
    // Of many events only those in sight are worded.
    pen.rows(area, head.len() + events.len(), skip, |pen, row| match row.checked_sub(head.len()) {
        None => head[row].clone(),
        Some(at) => happened(pen, &events[at], false),
    })
}

/// Where a version comes from and where it stands.
fn standing(
    pen: &Pen<'_>,
    p: &PipelineView,
    label: &VersionLabel,
    events: &[Arc<Envelope>],
    width: u16,
) -> Vec<Line> {
    let quiet = pen.tone(Tone::Quiet);
    let mut lines = Vec::new();
    let now = pen.clock.now;
    match p.versions.iter().find(|one| one.version == *label) {
        Some(version) => {
            let (sign, word, tone) = stage(version.stage);
            let (sign, style) = (pen.palette.sign(sign), pen.tone(tone));
            let sha: String = version.sha.as_str().chars().take(10).collect();
            lines.push(
                Line::of(format!("{sign} {label} {word}"), style)
                    .add(format!("  {sha}, begun {} ago", pen.clock.age(version.at)), quiet),
            );
            lines.push(Line::of(format!("{}: {}", version.author, version.subject), Style::new()));
            if let Some(cause) = &version.cause {
                let rows = wrapped(cause, usize::from(width));
                lines.extend(rows.into_iter().map(|row| Line::of(row, pen.tone(Tone::Bad))));
            }
            if let Some(hold) = &version.blocked {
                let text = format!("is blocked by {}: {}", hold.by, hold.why);
                lines.push(Line::of(text, pen.tone(Tone::Bad)));
            }
            lines.push(Line::default());
            let wide = p.tiers.iter().map(|tier| printable::width(&printable::line(tier.name.as_str())));
            let wide = wide.max().unwrap_or(0).min(20);
            for tier in &p.tiers {
                let waiting = tier.waiting.iter().find(|one| one.version == *label);
                let standing = version.tiers.get(&tier.name);
                let (word, tone) =
                    words::standing(standing, waiting.is_some_and(|one| one.blockers.is_empty()));
                let sign = match (standing, tone) {
                    (None, _) => Sign::Nothing,
                    (Some(StandingView::Inside), _) => Sign::Runs,
                    (Some(StandingView::Waiting), _) => Sign::Waits,
                    (Some(StandingView::Superseded { .. }), _) => Sign::Nothing,
                    (_, Tone::Bad) => Sign::Failed,
                    _ => Sign::Fine,
                };
                let gap = wide.saturating_sub(printable::width(&printable::line(tier.name.as_str())));
                let passage = passage(events, &tier.name);
                let times = match (passage.entered, passage.left) {
                    (Some(entered), Some(left)) => {
                        format!("  in {}, took {}", clock(entered, now), super::logs::took(left - entered))
                    }
                    (Some(entered), None) => {
                        format!("  in {}, for {}", clock(entered, now), pen.clock.since(entered))
                    }
                    _ => String::new(),
                };
                lines.push(
                    Line::of(
                        format!("{} {}{}", pen.palette.sign(sign), tier.name, " ".repeat(gap)),
                        pen.tone(tone),
                    )
                    .add(format!("  {word}"), pen.tone(tone))
                    .add(times, quiet),
                );
                for blocker in waiting.map(|one| one.blockers.as_slice()).unwrap_or_default() {
                    lines.push(Line::of(format!("    {}", pen.clock.blocker(blocker)), pen.tone(Tone::Wait)));
                }
            }
        }
        None => lines.push(Line::of(format!("{label} is not among the newest versions"), quiet)),
    }
    lines.push(Line::default());
    if events.is_empty() {
        lines.push(Line::of("what happened to it is not here yet", quiet));
    }
    lines
}

/// An event in one line.
pub(crate) fn happened(pen: &Pen<'_>, envelope: &Envelope, with_pipeline: bool) -> Line {
    let (word, tone, rest) = words::told(envelope);
    let gap = 11_usize.saturating_sub(printable::width(word));
    let pipeline = envelope.fact.pipeline.as_ref().filter(|_| with_pipeline);
    let pipeline = pipeline.map(|name| format!("{name} ")).unwrap_or_default();
    Line::of(format!("{} ", clock(envelope.at, pen.clock.now)), pen.tone(Tone::Quiet))
        .add(format!("{word}{} ", " ".repeat(gap)), pen.tone(tone))
        .add(pipeline, pen.tone(Tone::Strong))
        .add(rest, Style::new())
}

/// Draws the screen of one version.
pub(crate) fn draw(
    pen: &mut Pen<'_>,
    area: Rect,
    picture: &Picture,
    look: &mut Look,
    of: (&PipelineName, &VersionLabel),
) {
    let (name, version) = of;
    pen.rule(Rect { height: 1, ..area }, &format!("{name} {version}: its way"));
    let body = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(1),
        height: area.height.saturating_sub(1),
    };
    let Some(p) = picture.pipeline(name) else { return };
    look.page = usize::from(body.height);
    look.scroll_limit = whole(pen, body, p, version, picture, look.scroll);
    look.scroll = look.scroll.min(look.scroll_limit);
}
