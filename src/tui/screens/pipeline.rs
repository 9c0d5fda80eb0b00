//! One pipeline: its tiers in order, its versions, and everything about the one that is selected.

use super::super::look::{Look, Spot};
use super::super::picture::Picture;
use super::pen::{Line, Pen};
use super::{detail, way};
use crate::domain::{TierName, VersionLabel};
use crate::printable;
use crate::server::view::PipelineView;
use crate::words::{Tone, brief};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Versions that are listed.
pub(crate) const VERSIONS: usize = crate::tui::VERSIONS;

/// What can be selected here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Whole,
    Tier(TierName),
    Version(VersionLabel),
}

pub(crate) fn items(p: &PipelineView) -> Vec<Item> {
    let tiers = p.tiers.iter().map(|tier| Item::Tier(tier.name.clone()));
    let versions = p.versions.iter().take(VERSIONS).map(|one| Item::Version(one.version.clone()));
    [Item::Whole].into_iter().chain(tiers).chain(versions).collect()
}

/// What is selected; what is gone gives way to the whole.
pub(crate) fn selected(p: &PipelineView, look: &Look) -> usize {
    let wanted = match (&look.version, &look.tier) {
        (Some(version), _) => Item::Version(version.clone()),
        (None, Some(tier)) => Item::Tier(tier.clone()),
        (None, None) => Item::Whole,
    };
    items(p).iter().position(|item| *item == wanted).unwrap_or(0)
}

pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look) {
    let Some(p) = look.pipeline.as_ref().and_then(|name| picture.pipeline(name)) else {
        let text =
            if picture.view.is_some() { "This pipeline is not there (any more)." } else { "Waiting …" };
        pen.text(area.x + 2, area.y + 1, area.width.saturating_sub(2), text, pen.tone(Tone::Quiet));
        return;
    };
    let all = items(p);
    let at = selected(p, look);
    let (list, below) = if area.width >= 100 {
        let left = area.width * 2 / 5;
        let right = Rect { x: area.x + left + 1, width: area.width - left - 1, ..area };
        (Rect { width: left, ..area }, right)
    } else {
        let needed = all.len() as u16 + 1;
        let high = needed.min(area.height * 2 / 5).max(4.min(area.height));
        let below = Rect { y: area.y + high, height: area.height - high, ..area };
        (Rect { height: high, ..area }, below)
    };
    rows(pen, list, p, &all, at);
    if below.height < 2 {
        return;
    }
    let body = Rect { x: below.x + 1, y: below.y + 1, width: below.width - 1, height: below.height - 1 };
    let title = match &all[at] {
        Item::Whole => p.name.to_string(),
        Item::Tier(tier) => format!("{} / {tier}", p.name),
        Item::Version(version) => format!("{} {version}", p.name),
    };
    pen.rule(Rect { height: 1, ..below }, &title);
    look.page = usize::from(body.height);
    look.scroll_limit = match &all[at] {
        Item::Whole => {
            let lines = detail::pipeline(pen, p, body.width);
            pen.lines(body, &lines, look.scroll)
        }
        Item::Tier(name) => {
            let tier = p.tiers.iter().find(|tier| tier.name == *name);
            let lines = tier.map(|tier| detail::tier(pen, p, tier, body.width)).unwrap_or_default();
            pen.lines(body, &lines, look.scroll)
        }
        Item::Version(version) => way::whole(pen, body, p, version, picture, look.scroll),
    };
    look.scroll = look.scroll.min(look.scroll_limit);
}

fn rows(pen: &mut Pen<'_>, area: Rect, p: &PipelineView, all: &[Item], at: usize) {
    let fit = usize::from(area.height);
    let first = (at + 2).saturating_sub(fit).min((all.len()).saturating_sub(fit));
    let wide = p.tiers.iter().map(|tier| printable::width(&printable::line(tier.name.as_str())));
    let wide = wide.max().unwrap_or(0).clamp(4, 20);
    for (row, item) in all.iter().enumerate().skip(first).take(fit) {
        let place = Rect { y: area.y + (row - first) as u16, height: 1, ..area };
        let line = match item {
            Item::Whole => {
                let (sign, word) = brief::build(p);
                let (sign, tone) = pen.sign(sign, &word);
                // How far the build is counts more than the end of a long name.
                let room = usize::from(area.width).saturating_sub(printable::width(&sign) + 3).max(8);
                let name = printable::line(p.name.as_str());
                let name = printable::truncate_width(&name, room);
                Line::of(format!(" {name}"), pen.tone(Tone::Strong)).add(format!("  {sign}"), tone)
            }
            Item::Tier(name) => {
                let Some(tier) = p.tiers.iter().find(|tier| tier.name == *name) else { continue };
                let brief = brief::tier(p, tier, pen.clock);
                let (sign, tone) = pen.sign(brief.sign, "");
                let gap = wide.saturating_sub(printable::width(&printable::line(name.as_str())));
                let comes = match brief.comes.trim() {
                    "" => String::new(),
                    comes => format!(" ← {comes}"),
                };
                Line::of(format!("   {sign}"), tone)
                    .add(format!("{name}{} ", " ".repeat(gap)), Style::new())
                    .add(format!("{:<11}", brief.word), tone)
                    .add(brief.there, Style::new())
                    .add(comes, tone)
            }
            Item::Version(label) => {
                let Some(version) = p.versions.iter().find(|one| one.version == *label) else { continue };
                let (sign, _, tone) = way::stage(version.stage);
                Line::of(format!("   {} ", pen.palette.sign(sign)), pen.tone(tone))
                    .add(format!("{label}  "), Style::new())
                    .add(format!("{}  ", pen.clock.age(version.at)), pen.tone(Tone::Quiet))
                    .add(version.subject.as_str(), pen.tone(Tone::Quiet))
            }
        };
        pen.line(place, &line);
        if row == at {
            pen.select(place);
        }
        let spot = match item {
            Item::Whole => Spot::Tier(p.name.clone(), None),
            Item::Tier(tier) => Spot::Tier(p.name.clone(), Some(tier.clone())),
            Item::Version(version) => Spot::Version(p.name.clone(), version.clone()),
        };
        pen.spot(place, spot);
    }
}
