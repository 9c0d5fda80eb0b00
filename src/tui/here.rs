//! What there is where somebody looks: the run and the version that keys open, and what can be done.

use super::act::{self, Verb};
use super::look::{Look, Screen};
use super::picture::{Picture, Run};
use crate::domain::{PipelineName, RunId, VersionLabel};
use crate::server::view::{NodeProgress, PipelineView, Progress, TierView};
use crate::words::{Tone, brief};

/// The pipeline that is selected, and the tier of it if one is.
pub(super) fn place<'a>(
    picture: &'a Picture,
    look: &Look,
) -> Option<(&'a PipelineView, Option<&'a TierView>)> {
    let p = picture.pipeline(look.pipeline.as_ref()?)?;
    let tier = look.tier.as_ref().and_then(|name| p.tiers.iter().find(|tier| tier.name == *name));
    Some((p, tier))
}

/// The version that is looked at among others of its place.
pub(super) fn looked_at(look: &Look) -> Option<&VersionLabel> {
    let waits = look.waits.as_ref().filter(|_| *look.screen() == Screen::Waiting);
    look.version.as_ref().or_else(|| waits?.version.as_ref())
}

/// The run that goes on in what is selected; of a version that was turned away the one that failed; else the last there.
pub(super) fn run(picture: &Picture, look: &Look) -> Option<RunId> {
    let (p, tier) = place(picture, look)?;
    let runs = || picture.runs.all.iter().rev().filter(|(_, run)| run.pipeline.as_ref() == Some(&p.name));
    let Some(tier) = tier else {
        let steps = p.build.as_ref().map(|build| build.steps.as_slice()).unwrap_or_default();
        let on = steps.iter().find(|step| step.progress.status == Progress::Running);
        let on = on.and_then(|step| step.progress.run_id);
        return on.or_else(|| runs().find(|(_, run)| run.is_build).map(|(id, _)| *id));
    };
    let here = || runs().filter(|(_, run)| run.tier.as_ref() == Some(&tier.name));
    let turned_away = || {
        let (version, _) = brief::rejected_last(p, tier)?;
        let of_it =
            || here().filter(|(_, run)| run.version.as_ref().is_some_and(|it| it.as_str() == version));
        let failed = |run: &Run| matches!(run.end, Some((_, _, Tone::Bad)));
        of_it().find(|(_, run)| failed(run)).or_else(|| of_it().next()).map(|(id, _)| *id)
    };
    in_tier(tier).or_else(turned_away).or_else(|| here().next().map(|(id, _)| *id))
}

/// The run that goes on in a tier, or that was the last inside it.
fn in_tier(tier: &TierView) -> Option<RunId> {
    let inside = tier.inside.as_ref();
    let gates = inside.map(|inside| inside.gates.as_slice()).unwrap_or_default();
    let redeploy = tier.redeploy.as_ref().map(|redeploy| redeploy.nodes.as_slice()).unwrap_or_default();
    let back = tier.going_back.as_ref().map(|back| back.nodes.as_slice()).unwrap_or_default();
    let nodes = inside.map(|inside| inside.nodes.as_slice()).unwrap_or_default();
    let nodes = || nodes.iter().chain(redeploy).chain(back);
    let gate = gates.iter().find(|gate| gate.progress.status == Progress::Running);
    let node = nodes().find(|node| node.status == NodeProgress::Running);
    let running = gate.and_then(|gate| gate.progress.run_id).or(node.and_then(|node| node.run_id));
    let last_gate = gates.iter().filter_map(|gate| gate.progress.last_run_id).max();
    let last_node = nodes().filter_map(|node| node.last_run_id).max();
    running.or(last_gate.max(last_node))
}

/// The version that is selected, or that what is selected shows.
pub(super) fn version(picture: &Picture, look: &Look) -> Option<(PipelineName, VersionLabel)> {
    let (p, tier) = place(picture, look)?;
    let shown = || match tier {
        Some(tier) => brief::shown(p, tier),
        None => p.versions.first().map(|one| one.version.clone()),
    };
    Some((p.name.clone(), looked_at(look).cloned().or_else(shown)?))
}

/// What is worth doing with what is selected, the most pressing first.
pub(super) fn verbs(picture: &Picture, look: &Look) -> Vec<Verb> {
    const PRESSING: [Verb; 9] = [
        Verb::Confirm,
        Verb::Promote,
        Verb::Retry,
        Verb::Resume,
        Verb::Deny,
        Verb::Cancel,
        Verb::Rollback,
        Verb::Redeploy,
        Verb::Hold,
    ];
    let Some((p, tier)) = place(picture, look) else { return Vec::new() };
    let version = looked_at(look);
    PRESSING.into_iter().filter(|verb| act::helps(*verb, p, tier, version)).collect()
}
