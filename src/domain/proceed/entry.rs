//! In front of a tier: what waits is told what stands in its way, and the next version enters (rules 7 to 11).

use super::Flow;
use crate::domain::Blocker;
use crate::domain::event::Event;
use crate::domain::id::*;
use crate::domain::promotion::{Waiting, choose};
use crate::domain::state::PipelineState;

pub(super) fn proceed(flow: &mut Flow<'_>, p: &PipelineState, name: &TierName) {
    let Some(tier) = p.tier_in_force(name) else { return };
    let Some(in_force) = &p.in_force else { return };
    let all = flow.waiting(p, tier);
    match choose(&all, &tier.promote).filter(|_| flow.room.open) {
        Some(next) => flow.say(Event::PromoteStart {
            tier: name.clone(),
            version: next.version.clone(),
            digest: in_force.digest.clone(),
            by_hand: next.by_hand,
        }),
        None => say(flow, p, name, &all),
    }
}

/// Says what stands in the way of those that wait, where that changed.
pub(super) fn say_blockers(flow: &mut Flow<'_>, p: &PipelineState, name: &TierName) {
    let Some(tier) = p.tier_in_force(name) else { return };
    let all = flow.waiting(p, tier);
    say(flow, p, name, &all);
}

fn say(flow: &mut Flow<'_>, p: &PipelineState, name: &TierName, all: &[Waiting]) {
    for waiting in all {
        if let Some(moment) = waiting.changes {
            flow.wake_at(moment);
        }
        let said = p.standing(name, &waiting.version).and_then(|s| s.said.as_deref()).unwrap_or_default();
        if !same(said, &waiting.blockers) {
            flow.say(Event::PromoteBlocked {
                tier: name.clone(),
                version: waiting.version.clone(),
                blockers: waiting.blockers.clone(),
                stepped_back: false,
            });
        }
    }
}

/// Whether two sets of blockers are the same, times aside (rule 11).
pub(super) fn same(some: &[Blocker], other: &[Blocker]) -> bool {
    let has =
        |set: &[Blocker], blocker: &Blocker| set.iter().any(|b| b.without_times() == blocker.without_times());
    some.len() == other.len() && some.iter().all(|b| has(other, b)) && other.iter().all(|b| has(some, b))
}
