//! The board: a row for each pipeline, in it a cell for each tier.

use super::super::look::{Look, Spot};
use super::super::picture::Picture;
use super::detail;
use super::pen::{Line, Pen};
use crate::printable;
use crate::server::view::PipelineView;
use crate::words::{Clock, Sign, Tone, brief};
use ratatui::layout::Rect;

/// Rows of one pipeline.
const ROWS: u16 = 2;

/// The pipelines that are shown, in their order.
pub(crate) fn order<'a>(picture: &'a Picture, look: &Look, clock: &Clock) -> Vec<&'a PipelineView> {
    let found = |p: &&PipelineView| {
        let tiers = p.tiers.iter().map(|tier| tier.name.as_str());
        let versions = p.tiers.iter().filter_map(|tier| Some(tier.current.as_ref()?.version.as_str()));
        let text: Vec<&str> = [p.name.as_str()].into_iter().chain(tiers).chain(versions).collect();
        look.finds(&text.join(" "))
    };
    let mut all: Vec<&PipelineView> = picture.pipelines().iter().filter(found).collect();
    if look.by_attention {
        // What has no tier that wants anything keeps its place by name.
        all.sort_by_cached_key(|p| brief::attention(p, clock));
    }
    all
}

/// Draws it.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look) {
    let sorting = Clock::at(pen.clock.now);
    let all = order(picture, look, &sorting);
    if all.is_empty() {
        let text = match (&picture.view, look.search.text.is_empty()) {
            (None, _) => "Waiting for the controller …",
            (_, false) => "No pipeline has these words. Esc shows all.",
            _ => "No pipeline is loaded yet: put a TOML file into the controller's folder of pipelines.",
        };
        let lines: Vec<Line> = super::pen::wrapped(text, usize::from(area.width).saturating_sub(4))
            .into_iter()
            .map(|line| Line::of(format!("  {line}"), pen.tone(Tone::Quiet)))
            .collect();
        pen.lines(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, &lines, 0);
        return;
    }
    let at = selected(&all, look);
    let p = all[at];
    let wide = area.width >= 110;
    let tall = area.height >= 16;
    let (list, below) = match (wide, tall) {
        (true, _) => {
            let left = area.width * 3 / 5;
            let right = Rect { x: area.x + left + 1, width: area.width - left - 1, ..area };
            (Rect { width: left, ..area }, Some(right))
        }
        (false, true) => {
            // As much as the pipelines need, at most half.
            let needed = (all.len() as u16).saturating_mul(ROWS);
            let high = needed.clamp(ROWS, area.height / 2);
            let top = Rect { height: high, ..area };
            (top, Some(Rect { y: area.y + high, height: area.height - high, ..area }))
        }
        (false, false) => (area, None),
    };
    rows(pen, list, &all, at, look);
    let Some(below) = below.filter(|area| area.height > 1) else { return };
    let tier = look.tier.as_ref().and_then(|name| p.tiers.iter().find(|tier| tier.name == *name));
    let title = tier.map_or_else(|| p.name.to_string(), |tier| format!("{} / {}", p.name, tier.name));
    pen.rule(Rect { height: 1, ..below }, &title);
    let body = Rect { x: below.x + 1, y: below.y + 1, width: below.width - 1, height: below.height - 1 };
    let lines = match tier {
        Some(tier) => detail::tier(pen, p, tier, body.width),
        None => detail::pipeline(pen, p, body.width),
    };
    pen.lines(body, &lines, 0);
}

/// The place of what is selected; what is gone gives way to the first.
pub(crate) fn selected(all: &[&PipelineView], look: &mut Look) -> usize {
    let at = look.pipeline.as_ref().and_then(|name| all.iter().position(|p| p.name == *name));
    let at = at.unwrap_or_else(|| {
        look.tier = None;
        0
    });
    let p = all[at];
    look.pipeline = Some(p.name.clone());
    let known = look.tier.as_ref().is_some_and(|name| p.tiers.iter().any(|tier| tier.name == *name));
    if look.tier.is_some() && !known {
        look.tier = None;
    }
    at
}

fn rows(pen: &mut Pen<'_>, area: Rect, all: &[&PipelineView], at: usize, look: &mut Look) {
    let fit = usize::from(area.height / ROWS).max(1);
    look.page = fit;
    let first = (at + 1).saturating_sub(fit).min(all.len().saturating_sub(fit));
    let names = all.iter().skip(first).take(fit).map(|p| printable::width(&printable::line(p.name.as_str())));
    let name_wide = names.max().unwrap_or(0).clamp(14, usize::from(area.width) / 3) as u16 + 2;
    let most = all.iter().map(|p| p.tiers.len()).max().unwrap_or(1).max(1) as u16;
    let room = area.width.saturating_sub(name_wide);
    let cell_wide = (room / most).clamp(17.min(room), 28.max(room / most.max(3)));
    let cells = usize::from((room / cell_wide.max(1)).max(1));
    for (row, p) in all.iter().skip(first).take(fit).enumerate() {
        let y = area.y + row as u16 * ROWS;
        let is_here = first + row == at;
        let (sign, word) = brief::build(p);
        let name = Rect { x: area.x, y, width: name_wide - 1, height: ROWS.min(area.bottom() - y) };
        let mark = if is_here { ">" } else { " " };
        pen.line(name, &Line::of(format!("{mark}{}", p.name), pen.tone(Tone::Strong)));
        let build = pen.sign(sign, &word);
        let quiet = if matches!(sign, Sign::Fine | Sign::Nothing) { pen.tone(Tone::Quiet) } else { build.1 };
        if name.height > 1 {
            pen.line(Rect { y: y + 1, ..name }, &Line::of(format!(" {}", build.0), quiet));
        }
        if is_here && look.tier.is_none() {
            pen.select(Rect { height: 1, ..name });
        }
        pen.spot(name, Spot::Tier(p.name.clone(), None));
        let chosen = look.tier.as_ref().filter(|_| is_here);
        let chosen = chosen.and_then(|tier| p.tiers.iter().position(|it| it.name == *tier)).unwrap_or(0);
        let from = (chosen + 1).saturating_sub(cells);
        for (column, tier) in p.tiers.iter().skip(from).take(cells).enumerate() {
            let x = area.x + name_wide + column as u16 * cell_wide;
            let width = cell_wide.min(area.right().saturating_sub(x)).saturating_sub(1);
            let place = Rect { x, y, width, height: name.height };
            let brief = brief::tier(p, tier, pen.clock);
            let (sign, tone) = pen.sign(brief.sign, "");
            let more_left = column == 0 && from > 0;
            let more_right = column + 1 == cells && from + cells < p.tiers.len();
            let head = Line::of(if more_left { "<" } else { "" }, pen.palette.accent())
                .add(sign, tone)
                .add(tier.name.as_str(), pen.tone(Tone::Strong))
                .add(format!(" {}", brief.word), tone)
                .add(if more_right { " >" } else { "" }, pen.palette.accent());
            pen.line(place, &head);
            if place.height > 1 {
                let there = if brief.there.is_empty() { "nothing" } else { &brief.there };
                let plain = ratatui::style::Style::new();
                let text = if brief.there.is_empty() { pen.tone(Tone::Quiet) } else { plain };
                let mut line = Line::of("  ", plain);
                if brief.comes.trim().is_empty() {
                    line = line.add(there, text);
                } else if brief.there.is_empty() {
                    line = line.add(format!("← {}", brief.comes.trim()), tone);
                } else {
                    // What comes counts more than since when the old one is there.
                    let version = tier.current.as_ref().map(|it| it.version.to_string()).unwrap_or_default();
                    line = line.add(version, text).add(format!(" ← {}", brief.comes.trim()), tone);
                }
                pen.line(Rect { y: y + 1, height: 1, ..place }, &line);
            }
            let is_chosen = is_here && look.tier.as_ref() == Some(&tier.name);
            if is_chosen {
                pen.select(Rect { height: 1, ..place });
            }
            pen.spot(place, Spot::Tier(p.name.clone(), Some(tier.name.clone())));
        }
    }
}
