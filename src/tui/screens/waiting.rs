//! What waits, over all pipelines: for a person first, then for time and other things; and what is held or refused.

use super::super::look::{Look, Spot};
use super::super::picture::Picture;
use super::file;
use super::pen::{Line, Pen};
use crate::domain::{PipelineName, TierName, VersionLabel};
use crate::printable;
use crate::words::{Clock, Sign, Tone, brief};
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::collections::BTreeMap;

/// What waits where: by this a row is known again while others come and go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waits {
    /// None: it is a file of no pipeline.
    pub(crate) pipeline: Option<PipelineName>,
    pub(crate) tier: Option<TierName>,
    /// The version that waits; none: it is something else that does.
    pub(crate) version: Option<VersionLabel>,
    /// The file that is refused; none: it is something else.
    pub(crate) file: Option<String>,
    what: String,
    /// Tells those apart that are alike in all of this.
    nth: usize,
}

/// One thing that waits.
pub(crate) struct Row {
    pub(crate) sign: Sign,
    pub(crate) waits: Waits,
    /// For what.
    why: Vec<String>,
}

pub(crate) fn rows(picture: &Picture, look: &Look, clock: &Clock) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in file::all(picture) {
        let (what, nth) = ("refused".to_owned(), 0);
        let (pipeline, name) = (file.pipeline.clone(), file.file.clone());
        let waits = Waits { pipeline, tier: None, version: None, file: Some(name), what, nth };
        let count = crate::words::counted(file.diagnostics.len(), "problem");
        let first = file.diagnostics.first();
        let first = first.map(|it| format!(": line {}, column {}: {}", it.line, it.column, it.message));
        let why = vec![format!("{count}{}", first.unwrap_or_default())];
        rows.push(Row { sign: Sign::Failed, waits, why });
    }
    for p in picture.pipelines() {
        let row = |sign, tier: Option<&TierName>, what: String, why: Vec<String>| {
            let (pipeline, tier) = (Some(p.name.clone()), tier.cloned());
            Row { sign, waits: Waits { pipeline, tier, version: None, file: None, what, nth: 0 }, why }
        };
        if let Some(hold) = &p.hold {
            let why = if hold.why.is_empty() { Vec::new() } else { vec![hold.why.clone()] };
            rows.push(row(Sign::Held, None, format!("held by {}", hold.by), why));
        }
        for request in &p.queue {
            let why: Vec<String> = request.blockers.iter().map(|it| clock.blocker(it)).collect();
            let sha = crate::words::short(&request.sha);
            rows.push(row(Sign::Waits, None, format!("{sha} to be built"), why));
        }
        for tier in &p.tiers {
            let name = Some(&tier.name);
            if let Some(hold) = &tier.hold {
                let why = if hold.why.is_empty() { Vec::new() } else { vec![hold.why.clone()] };
                rows.push(row(Sign::Held, name, format!("held by {}", hold.by), why));
            }
            if let Some(back) = tier.going_back.as_ref().filter(|back| back.failed) {
                let why = vec![back.cause.clone()];
                rows.push(row(Sign::Failed, name, format!("could not go back to {}", back.to), why));
            }
            for waiting in tier.waiting.iter().rev() {
                let sign = if brief::waits_for_a_person(waiting) { Sign::Person } else { Sign::Waits };
                let why = waiting.blockers.iter();
                let why = why.map(|it| clock.blocker_with(it, &waiting.confirmations)).collect();
                let mut row = row(sign, name, waiting.version.to_string(), why);
                row.waits.version = Some(waiting.version.clone());
                rows.push(row);
            }
            if let Some((version, cause)) = brief::rejected(p, tier) {
                rows.push(row(Sign::Failed, name, format!("{version} rejected"), vec![cause.to_owned()]));
            }
        }
    }
    let mut alike = BTreeMap::new();
    for Waits { pipeline, tier, file, what, nth, .. } in rows.iter_mut().map(|row| &mut row.waits) {
        let of = (pipeline.clone(), tier.clone(), file.clone(), what.clone());
        let before: &mut usize = alike.entry(of).or_default();
        (*nth, *before) = (*before, *before + 1);
    }
    rows.retain(|row| {
        let Waits { pipeline, tier, file, what, .. } = &row.waits;
        let pipeline = pipeline.as_ref().map(PipelineName::as_str).unwrap_or_default();
        let tier = tier.as_ref().map(TierName::as_str).unwrap_or_default();
        let file = file.as_deref().unwrap_or_default();
        look.finds(&format!("{pipeline} {tier} {file} {what} {}", row.why.join(" ")))
    });
    // Whom a person can help comes before what is lost.
    let rank = |sign: Sign| if sign == Sign::Person { 0 } else { 1 + sign as usize };
    rows.sort_by_key(|row| rank(row.sign));
    rows
}

/// The row that is selected.
pub(crate) fn selected(rows: &[Row], look: &Look) -> usize {
    let is_there = |row: &Row| row.waits.pipeline == look.pipeline && row.waits.tier == look.tier;
    // What is of no pipeline is nowhere.
    let is_it = |row: &Row| {
        (row.waits.pipeline.is_none() || is_there(row)) && Some(&row.waits) == look.waits.as_ref()
    };
    rows.iter().position(is_it).or_else(|| rows.iter().position(is_there)).unwrap_or(0)
}

pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look) {
    let rows = rows(picture, look, pen.clock);
    if rows.is_empty() {
        let text = if look.search.text.is_empty() {
            "Nothing waits, is held or was rejected."
        } else {
            "Nothing that waits has these words. Esc shows all."
        };
        pen.text(area.x + 2, area.y + 1, area.width.saturating_sub(2), text, pen.tone(Tone::Quiet));
        return;
    }
    let at = selected(&rows, look).min(rows.len() - 1);
    // What keys do is done to the row that is shown as selected.
    look.wait(&rows[at].waits.clone());
    let fit = usize::from(area.height / 2).max(1);
    look.page = fit;
    let first = (at + 1).saturating_sub(fit).min(rows.len().saturating_sub(fit));
    for (row, one) in rows.iter().enumerate().skip(first).take(fit) {
        let y = area.y + ((row - first) * 2) as u16;
        let place = Rect { y, height: 2.min(area.bottom() - y), ..area };
        let Waits { pipeline, tier, file, what, .. } = &one.waits;
        let pipeline = pipeline.as_ref().map(PipelineName::as_str);
        let pipeline = pipeline.or(file.as_deref()).unwrap_or_default();
        let what = match (file, &one.waits.pipeline) {
            (Some(file), Some(_)) => format!("{what}: {file}"),
            _ => what.clone(),
        };
        let place_name = tier.as_ref().map(|tier| format!("/{tier}")).unwrap_or_default();
        let (sign, tone) = pen.sign(one.sign, "");
        // Which version it is counts more than the end of long names.
        let named = printable::line(&format!("{pipeline}{place_name}")).into_owned();
        let taken = printable::width(&sign) + printable::width(&printable::line(&what)) + 4;
        let named = printable::truncate_width(&named, usize::from(area.width).saturating_sub(taken).max(16));
        let head = Line::of(format!(" {sign}"), tone)
            .add(named, pen.tone(Tone::Strong))
            .add(format!("  {what}"), Style::new());
        pen.line(place, &head);
        if place.height > 1 {
            let why = if one.why.is_empty() { "enters next".into() } else { one.why.join("; ") };
            let why = if tier.is_none() && one.why.is_empty() { String::new() } else { why };
            pen.line(Rect { y: y + 1, height: 1, ..place }, &Line::of(format!("   {why}"), tone));
        }
        if row == at {
            pen.select(Rect { height: 1, ..place });
        }
        pen.spot(place, Spot::Waits(one.waits.clone()));
    }
}
