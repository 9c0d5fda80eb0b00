//! What waits, over all pipelines: for a person first, then for time and other things; and what is held or refused.

use super::super::look::{Look, Spot};
use super::super::picture::Picture;
use super::pen::{Line, Pen};
use crate::domain::{PipelineName, TierName};
use crate::words::{self, Sign, Tone, brief};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// One thing that waits.
pub(crate) struct Row {
    pub(crate) sign: Sign,
    pub(crate) pipeline: PipelineName,
    pub(crate) tier: Option<TierName>,
    /// What, and for what.
    what: String,
    why: Vec<String>,
}

pub(crate) fn rows(picture: &Picture, look: &Look, now: crate::domain::Time) -> Vec<Row> {
    let mut rows = Vec::new();
    for p in picture.pipelines() {
        let row = |sign, tier: Option<&TierName>, what: String, why: Vec<String>| Row {
            sign,
            pipeline: p.name.clone(),
            tier: tier.cloned(),
            what,
            why,
        };
        for file in &p.rejected {
            let first = file.diagnostics.first();
            let why = first.map(|it| format!("{}:{}: {}", it.line, it.column, it.message));
            rows.push(row(
                Sign::Failed,
                None,
                format!("{} is refused", file.file),
                why.into_iter().collect(),
            ));
        }
        if let Some(hold) = &p.hold {
            let why = if hold.why.is_empty() { Vec::new() } else { vec![hold.why.clone()] };
            rows.push(row(Sign::Held, None, format!("held by {}", hold.by), why));
        }
        for request in &p.queue {
            let why: Vec<String> = request.blockers.iter().map(|it| words::blocker(it, now)).collect();
            let sha: String = request.sha.as_str().chars().take(7).collect();
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
                let why = why.map(|it| words::blocker_with(it, &waiting.confirmations, now)).collect();
                rows.push(row(sign, name, waiting.version.to_string(), why));
            }
            if let Some((version, cause)) = brief::rejected(p, tier) {
                rows.push(row(Sign::Failed, name, format!("{version} rejected"), vec![cause.to_owned()]));
            }
        }
    }
    rows.retain(|row| {
        let tier = row.tier.as_ref().map(TierName::as_str).unwrap_or_default();
        look.finds(&format!("{} {tier} {} {}", row.pipeline, row.what, row.why.join(" ")))
    });
    // Whom a person can help comes before what is lost.
    let rank = |sign: Sign| if sign == Sign::Person { 0 } else { 1 + sign as usize };
    rows.sort_by_key(|row| rank(row.sign));
    rows
}

/// The row that is selected.
pub(crate) fn selected(rows: &[Row], look: &Look) -> usize {
    let fits = |row: &Row| Some(&row.pipeline) == look.pipeline.as_ref() && row.tier == look.tier;
    rows.iter().position(fits).unwrap_or(0)
}

pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, picture: &Picture, look: &mut Look) {
    let rows = rows(picture, look, pen.clock.now);
    if rows.is_empty() {
        let text = if look.search.text.is_empty() {
            "Nothing waits, is held or was rejected."
        } else {
            "Nothing that waits has these words. Esc shows all."
        };
        pen.text(area.x + 2, area.y + 1, area.width.saturating_sub(2), text, pen.tone(Tone::Quiet));
        return;
    }
    for p in picture.pipelines() {
        let times = p.tiers.iter().flat_map(|tier| &tier.waiting).flat_map(|one| &one.blockers);
        times.filter_map(crate::domain::Blocker::until).for_each(|until| pen.clock.sees(until));
    }
    let at = selected(&rows, look).min(rows.len() - 1);
    let fit = usize::from(area.height / 2).max(1);
    look.page = fit;
    let first = (at + 1).saturating_sub(fit).min(rows.len().saturating_sub(fit));
    for (row, one) in rows.iter().enumerate().skip(first).take(fit) {
        let y = area.y + ((row - first) * 2) as u16;
        let place = Rect { y, height: 2.min(area.bottom() - y), ..area };
        let tier = one.tier.as_ref().map(|tier| format!("/{tier}")).unwrap_or_default();
        let (sign, tone) = pen.sign(one.sign, "");
        let head = Line::of(format!(" {sign}"), tone)
            .add(format!("{}{tier}", one.pipeline), pen.tone(Tone::Strong))
            .add(format!("  {}", one.what), Style::new());
        pen.line(place, &head);
        if place.height > 1 {
            let why = if one.why.is_empty() { "enters next".into() } else { one.why.join("; ") };
            let why = if one.tier.is_none() && one.why.is_empty() { String::new() } else { why };
            pen.line(Rect { y: y + 1, height: 1, ..place }, &Line::of(format!("   {why}"), tone));
        }
        if row == at {
            pen.select(Rect { height: 1, ..place });
        }
        pen.spot(place, Spot::Tier(one.pipeline.clone(), one.tier.clone()));
    }
}
