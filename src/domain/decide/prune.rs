//! Which versions may be forgotten (rule 26): those beyond the newest so many that nothing needs any more.

use super::Decision;
use crate::domain::Time;
use crate::domain::event::{Event, Fact};
use crate::domain::id::*;
use crate::domain::promotion::waiting;
use crate::domain::state::{PipelineState, Stage, State};
use std::collections::BTreeSet;

/// Most versions that one event names.
const AT_ONCE: usize = 500;

/// Forgets what is beyond the newest `keep` of each pipeline. Asked again it forgets the next, until nothing is left to.
pub(super) fn decide(state: &State, keep: usize, now: Time) -> Decision {
    let facts = state.pipelines.iter().filter_map(|(name, p)| {
        let versions = forgettable(state, name, p, keep, now);
        (!versions.is_empty()).then(|| Fact::of(name, Event::VersionsPruned { versions }))
    });
    let facts: Vec<Fact> = facts.collect();
    if facts.is_empty() { Decision::already() } else { Decision::done(facts) }
}

/// The oldest first.
fn forgettable(
    state: &State,
    name: &PipelineName,
    p: &PipelineState,
    keep: usize,
    now: Time,
) -> Vec<VersionLabel> {
    // What waits in a removed pipeline goes on waiting when it is back, and without its definition nobody can tell what
    // that is. Nothing comes to it any more, so what is kept does not grow.
    if p.versions.len() <= keep || p.in_force.is_none() {
        return Vec::new();
    }
    let mut newest: Vec<_> = p.versions.iter().map(|(label, version)| (version.order, label)).collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let needed = needed(state, name, p, now);
    let beyond = newest.into_iter().skip(keep).map(|(_, label)| label).rev();
    beyond.filter(|label| !needed.contains(*label)).take(AT_ONCE).cloned().collect()
}

/// What is current, inside, waiting, on its way back, on a node, being built, running, or where `rollback` would lead;
/// and what a person blocked: their word must not be forgotten with the version.
fn needed<'a>(
    state: &'a State,
    name: &PipelineName,
    p: &'a PipelineState,
    now: Time,
) -> BTreeSet<VersionLabel> {
    let mut needed = BTreeSet::new();
    let running = state.running.values().filter(|place| place.pipeline == *name);
    needed.extend(running.map(|place| place.version.clone()));
    needed.extend(p.build.iter().map(|build| build.version.clone()));
    needed.extend(p.queue.iter().filter_map(|request| p.by_sha.get(&request.sha).cloned()));
    let building = p.versions.iter().filter(|(_, version)| version.stage == Stage::Building);
    needed.extend(building.map(|(label, _)| label.clone()));
    needed.extend(p.blocked.keys().cloned());
    for t in p.tiers.values() {
        needed.extend(t.current.iter().chain(t.rollback_target(&p.blocked)).map(|c| c.version.clone()));
        needed.extend(t.inside.iter().map(|inside| inside.version.clone()));
        needed.extend(t.going_back.iter().flat_map(|back| [back.from.clone(), back.to.clone()]));
        needed.extend(t.redeploy.iter().map(|redeploy| redeploy.version.clone()));
        needed.extend(t.adopting.iter().map(|adopting| adopting.version.clone()));
        needed.extend(t.nodes.values().flat_map(|node| [&node.version, &node.changing]).flatten().cloned());
    }
    let is_removed = |name: &&TierName| p.tier_in_force(name).is_none();
    for name in p.tiers.keys().filter(is_removed) {
        needed.extend(waited(p, name));
    }
    for tier in p.definition().iter().flat_map(|definition| &definition.tiers) {
        needed.extend(waiting(p, tier, now).into_iter().map(|waiting| waiting.version));
    }
    needed
}

/// What waits in front of a tier that was removed: what was said to stand in its way, and what people said for it, is
/// still there, without a verdict. Nothing comes to such a tier any more.
fn waited<'a>(p: &'a PipelineState, tier: &TierName) -> impl Iterator<Item = VersionLabel> + use<'a> {
    let standings = p.tiers.get(tier).into_iter().flat_map(|t| &t.standings);
    standings.filter(|(_, standing)| standing.verdict.is_none()).map(|(label, _)| label.clone())
}
