//! The board: a row for each pipeline, in it a cell for each tier.

use super::super::look::{Look, Spot};
use super::super::picture::Picture;
use super::pen::{Line, Pen};
use super::{detail, file};
use crate::printable;
use crate::server::view::{PipelineView, TierView};
use crate::words::brief::{self, Brief};
use crate::words::{Clock, Sign, Tone};
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
            _ if file::all(picture).next().is_some() => {
                "No pipeline is loaded: its file is refused. 2 shows it, and Enter there what is wrong."
            }
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
            // What the cells need and the other side can spare.
            let (most, wanted) = measure(pen, &all);
            let columns = Columns::of(u16::MAX, &all, most, wanted);
            let needed = (most as u16).saturating_mul(wanted + 1).saturating_add(columns.name.min(40));
            let left = needed.clamp(area.width * 3 / 5, (area.width * 3 / 5).max(area.width - 64));
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

/// How the columns of the tiers lie in a list of rows.
struct Columns {
    /// Of the names.
    name: u16,
    /// Of one cell, its gap included.
    cell: u16,
    /// Cells beside each other.
    cells: usize,
    /// Of the mark of those that are not shown; 0: all are.
    mark: u16,
}

/// Narrower cells are no cells: a sign, a word and the beginning of a name.
const CELL: u16 = 15;

/// Wider ones than what is in them, or than this, look lost.
const WIDE: u16 = 28;

impl Columns {
    /// `wanted`: the widest cell that there is.
    fn of(width: u16, shown: &[&PipelineView], most: usize, wanted: u16) -> Columns {
        let names = shown.iter().map(|p| printable::width(&printable::line(p.name.as_str())));
        let name = names.max().unwrap_or(0).clamp(14, usize::from(width) / 3) as u16 + 2;
        let room = width.saturating_sub(name);
        let fit = |room: u16| usize::from((room / CELL).max(1)).min(most);
        // Where one row has more tiers than fit, all leave room for the mark.
        let mark = if fit(room) < most { 6 + most.to_string().len() as u16 } else { 0 };
        let room = room.saturating_sub(mark);
        let cells = fit(room);
        Columns { name, cell: (room / cells as u16).min(WIDE.max(wanted + 1)), cells, mark }
    }
}

/// The most tiers of a pipeline, and the columns of the widest cell.
fn measure(pen: &Pen<'_>, all: &[&PipelineView]) -> (usize, u16) {
    let clock = Clock::at(pen.clock.now);
    let tiers = all.iter().flat_map(|p| p.tiers.iter().map(move |tier| (*p, tier)));
    let widths = tiers.map(|(p, tier)| {
        let brief = brief::tier(p, tier, &clock);
        head(pen, tier, &brief).width().max(below(pen, tier, &brief, u16::MAX).width())
    });
    let most = all.iter().map(|p| p.tiers.len()).max().unwrap_or(1).max(1);
    (most, widths.max().unwrap_or(0).min(60) as u16)
}

/// The first line of a cell: what is cut is the end of the name.
fn head(pen: &Pen<'_>, tier: &TierView, brief: &Brief) -> Line {
    let (sign, tone) = pen.sign(brief.sign, brief.word);
    Line::of(sign, tone).add(" ", tone).add(tier.name.as_str(), pen.tone(Tone::Strong))
}

/// The second: what is there, and what comes. Where room is short, what is there gives way, and then the label of what
/// comes, but never how far it is.
fn below(pen: &Pen<'_>, tier: &TierView, brief: &Brief, width: u16) -> Line {
    let plain = ratatui::style::Style::new();
    let tone = pen.tone(brief.sign.tone());
    let (there, comes) = (brief.there.as_str(), brief.comes.trim());
    let line = Line::of("  ", plain);
    if comes.is_empty() {
        return match there.is_empty() {
            true => line.add("nothing", pen.tone(Tone::Quiet)),
            false => line.add(there, plain),
        };
    }
    // What comes counts more than since when the old one is there.
    let version = tier.current.as_ref().filter(|_| !there.is_empty()).map(|it| it.version.to_string());
    let both = version.map(|version| line.clone().add(version, plain).add(format!(" ← {comes}"), tone));
    let width = usize::from(width);
    if let Some(both) = both.filter(|both| both.width() <= width) {
        return both;
    }
    let (label, rest) = comes.split_once(' ').map_or((comes, String::new()), |(a, b)| (a, format!(" {b}")));
    let room = width.saturating_sub(4 + printable::width(&printable::line(&rest))).max(3);
    let label = printable::line(label).into_owned();
    line.add(format!("← {}{rest}", printable::truncate_width(&label, room)), tone)
}

/// That there are more tiers on a side: how many, with the sign of one that wants somebody.
fn more(pen: &Pen<'_>, p: &PipelineView, hidden: &[TierView], left: bool) -> Option<Line> {
    let first = hidden.first()?;
    let signs = hidden.iter().map(|tier| brief::tier(p, tier, pen.clock).sign);
    let worst = signs.filter(|sign| matches!(sign, Sign::Failed | Sign::Person)).min();
    let (count, accent) = (hidden.len(), pen.palette.accent());
    let sign = worst.map_or_else(|| ("  ".into(), accent), |sign| pen.sign(sign, ""));
    let text = if left { format!("◂ {count}") } else { format!("+{count} ▸") };
    let mut line = Line::of(sign.0, sign.1).add(text, accent);
    let nearest = if left { hidden.last().unwrap_or(first) } else { first };
    line.spot = Some(Spot::Tier(p.name.clone(), Some(nearest.name.clone())));
    Some(line)
}

fn rows(pen: &mut Pen<'_>, area: Rect, all: &[&PipelineView], at: usize, look: &mut Look) {
    let fit = usize::from(area.height / ROWS).max(1);
    look.page = fit;
    let first = (at + 1).saturating_sub(fit).min(all.len().saturating_sub(fit));
    let shown: Vec<&PipelineView> = all.iter().skip(first).take(fit).copied().collect();
    let (most, wanted) = measure(pen, &shown);
    let columns = Columns::of(area.width, &shown, most, wanted);
    for (row, p) in shown.into_iter().enumerate() {
        let y = area.y + row as u16 * ROWS;
        let place = Rect { y, height: ROWS.min(area.bottom() - y), ..area };
        one(pen, place, p, &columns, look, first + row == at);
    }
}

/// One pipeline.
fn one(pen: &mut Pen<'_>, area: Rect, p: &PipelineView, columns: &Columns, look: &Look, is_here: bool) {
    let (sign, word) = brief::build(p);
    let name = Rect { width: columns.name - 1, ..area };
    let mark = if is_here { ">" } else { " " };
    pen.line(name, &Line::of(format!("{mark}{}", p.name), pen.tone(Tone::Strong)));
    let build = pen.sign(sign, &word);
    let quiet = if matches!(sign, Sign::Fine | Sign::Nothing) { pen.tone(Tone::Quiet) } else { build.1 };
    let second = |place: Rect| (place.height > 1).then_some(Rect { y: place.y + 1, height: 1, ..place });
    if let Some(place) = second(name) {
        pen.line(place, &Line::of(format!(" {}", build.0), quiet));
    }
    if is_here && look.tier.is_none() {
        pen.select(Rect { height: 1, ..name });
    }
    pen.spot(name, Spot::Tier(p.name.clone(), None));
    let chosen = look.tier.as_ref().filter(|_| is_here);
    let chosen = chosen.and_then(|tier| p.tiers.iter().position(|it| it.name == *tier)).unwrap_or(0);
    let from = (chosen + 1).saturating_sub(columns.cells);
    let upto = (from + columns.cells).min(p.tiers.len());
    for (column, tier) in p.tiers[from..upto].iter().enumerate() {
        let x = area.x + columns.name + column as u16 * columns.cell;
        let width = columns.cell.min(area.right().saturating_sub(x)).saturating_sub(1);
        let place = Rect { x, width, ..area };
        let brief = brief::tier(p, tier, pen.clock);
        let line = head(pen, tier, &brief);
        pen.line(place, &line);
        if let Some(place) = second(place) {
            let line = below(pen, tier, &brief, place.width);
            pen.line(place, &line);
        }
        if is_here && look.tier.as_ref() == Some(&tier.name) {
            pen.select(Rect { height: 1, ..place });
        }
        pen.spot(place, Spot::Tier(p.name.clone(), Some(tier.name.clone())));
    }
    let x = area.x + columns.name + columns.cells as u16 * columns.cell;
    let end = Rect { x, width: columns.mark.min(area.right().saturating_sub(x)), ..area };
    if let Some(line) = more(pen, p, &p.tiers[upto..], false) {
        pen.line(end, &line);
    }
    if let (Some(line), Some(place)) = (more(pen, p, &p.tiers[..from], true), second(end)) {
        pen.line(place, &line);
    }
}
