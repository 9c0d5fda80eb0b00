//! The version inside a tier: check gates, nodes by waves, verify gates, and how it ends (rules 13 to 17).

use super::{Flow, Gates, Way};
use crate::domain::Blocker;
use crate::domain::event::{DeployMode, Event, PromotionEnd};
use crate::domain::id::*;
use crate::domain::pipeline::{Deploy, OnFailure, Phase, Tier, Wave, wave_sizes};
use crate::domain::promotion::older_that_wait;
use crate::domain::state::{Inside, NodeTry, PipelineState, TierState};
use std::collections::BTreeMap;

/// What happens inside one tier.
struct Scene<'a> {
    p: &'a PipelineState,
    name: &'a TierName,
    t: &'a TierState,
    inside: &'a Inside,
    tier: &'a Tier,
}

pub(super) fn proceed(flow: &mut Flow<'_>, p: &PipelineState, name: &TierName, t: &TierState) {
    let Some(inside) = &t.inside else { return };
    let Some(tier) = p.tier_of(&inside.digest, name) else { return };
    let scene = Scene { p, name, t, inside, tier };
    let gates_run = inside.gates.values().any(|a| a.running.is_some());
    let nodes_run = inside.nodes.values().any(|n| n.running.is_some());
    if let Some(ending) = &inside.ending {
        if !gates_run && !nodes_run {
            scene.fail(flow, ending.cause.clone(), PromotionEnd::Canceled, ending.rollback);
        }
        return;
    }
    // What else of the pipeline waits for the disk is not this version's matter.
    let others = std::mem::take(&mut flow.next.short_of_disk);
    let before = flow.next.facts.len();
    let is_blocked = scene.go_on(flow, nodes_run);
    // What gates that are blocked wait for has been said, and may be the disk although there is room by now: saying
    // something else here would be answered there, and so on without end.
    if !is_blocked && flow.next.facts.len() == before {
        scene.say_disk(flow);
    }
    flow.next.short_of_disk |= others;
}

/// How the verify gates of a version stand.
enum Verified {
    /// All that count have passed.
    Yes,
    /// One has yet to judge, or has ended the promotion.
    No,
    /// One could not judge, which has been said.
    Blocked,
}

impl Scene<'_> {
    /// Whether verify gates are blocked.
    fn go_on(&self, flow: &mut Flow<'_>, nodes_run: bool) -> bool {
        if !self.checked(flow) {
            return false;
        }
        let mut behind = Vec::new();
        if let Some(deploy) = &self.tier.deploy {
            match self.deployed(flow, deploy, nodes_run) {
                Some(nodes) => behind = nodes,
                None => return false,
            }
        }
        match self.verified(flow) {
            Verified::Yes => self.complete(flow, behind),
            Verified::No => {}
            Verified::Blocked => return true,
        }
        false
    }

    /// What was last said to stand in the way.
    fn said(&self) -> &[Blocker] {
        let standing = self.p.standing(self.name, &self.inside.version);
        standing.and_then(|s| s.said.as_deref()).unwrap_or_default()
    }

    /// Says that it is the disk that keeps this version, or no longer does.
    fn say_disk(&self, flow: &mut Flow<'_>) {
        let full = flow.next.short_of_disk;
        if full == self.said().contains(&Blocker::DiskFull) {
            return;
        }
        self.say_blocked(flow, if full { vec![Blocker::DiskFull] } else { Vec::new() });
    }

    fn say_blocked(&self, flow: &mut Flow<'_>, blockers: Vec<Blocker>) {
        flow.say(Event::PromoteBlocked {
            tier: self.name.clone(),
            version: self.inside.version.clone(),
            blockers,
            stepped_back: false,
        });
    }

    fn gates(&self, flow: &mut Flow<'_>, phase: Phase) -> Gates {
        let gates = &self.tier.gates;
        flow.gates(Way::On, self.name, &self.inside.version, gates, phase, &self.inside.gates)
    }

    /// Whether every check gate that counts has passed; says so when that cannot be any more.
    fn checked(&self, flow: &mut Flow<'_>) -> bool {
        if !self.inside.touched.is_empty() {
            return true;
        }
        let gates = self.gates(flow, Phase::Check);
        if gates.running {
            return false;
        }
        if let Some(cause) = gates.cause() {
            self.fail(flow, cause, PromotionEnd::Rejected, false);
            return false;
        }
        if !gates.blocked.is_empty() {
            flow.say(Event::PromoteBlocked {
                tier: self.name.clone(),
                version: self.inside.version.clone(),
                blockers: gates.blockers(),
                stepped_back: true,
            });
            return false;
        }
        true
    }

    /// Begins the next wave. The nodes that are behind once all are done; none while it goes on or when it failed.
    fn deployed(&self, flow: &mut Flow<'_>, deploy: &Deploy, running: bool) -> Option<Vec<NodeName>> {
        let nodes = &self.inside.nodes;
        let failed: Vec<NodeName> =
            self.tier.nodes.iter().map(|n| &n.name).filter(|n| is_failed(nodes, n)).cloned().collect();
        if failed.len() as u32 > deploy.max_failures {
            if !running {
                let cause = self.deploy_cause(&failed);
                self.fail(flow, cause, PromotionEnd::Stopped, false);
            }
            return None;
        }
        let order: Vec<NodeName> = self.tier.nodes.iter().map(|n| n.name.clone()).collect();
        match wave_under_way(&deploy.waves, &order, nodes) {
            // A rollout that has begun goes on: half of it would be worse than all.
            Some(_) if self.inside.touched.is_empty() && !flow.has_disk() => None,
            Some(wave) => {
                start_nodes(flow, self.name, &self.inside.version, DeployMode::Deploy, wave, nodes);
                None
            }
            None => Some(failed),
        }
    }

    fn deploy_cause(&self, failed: &[NodeName]) -> String {
        let names: Vec<String> = failed
            .iter()
            .map(|node| match self.t.nodes.get(node).and_then(|n| n.failure) {
                Some(failure) => format!("`{node}` ({})", failure.as_str()),
                None => format!("`{node}`"),
            })
            .collect();
        let what = if names.len() == 1 { "node" } else { "nodes" };
        let why = super::first_words(failed, &self.inside.nodes);
        format!("{what} {} failed{why}", names.join(", "))
    }

    /// How the verify gates stand; a blocked one is tried again while the version stays inside.
    fn verified(&self, flow: &mut Flow<'_>) -> Verified {
        let gates = self.gates(flow, Phase::Verify);
        if gates.running {
            return Verified::No;
        }
        if let Some(cause) = gates.cause() {
            self.fail(flow, cause, PromotionEnd::Stopped, false);
            return Verified::No;
        }
        if gates.blocked.is_empty() {
            return Verified::Yes;
        }
        for gate in gates.blocked.iter().map(|(gate, _)| gate) {
            let not_before = self.inside.gates.get(gate).and_then(|a| a.not_before);
            if flow.has_come(not_before)
                && let Some(gate) = self.tier.gate(gate)
            {
                flow.start_gate(Way::On, self.name, &self.inside.version, gate);
            }
        }
        let mut blockers = gates.blockers();
        if flow.next.short_of_disk && !blockers.contains(&Blocker::DiskFull) {
            blockers.push(Blocker::DiskFull);
        }
        if !super::entry::same(self.said(), &blockers) {
            self.say_blocked(flow, blockers);
        }
        Verified::Blocked
    }

    fn complete(&self, flow: &mut Flow<'_>, behind: Vec<NodeName>) {
        let version = &self.inside.version;
        flow.say(Event::PromoteComplete { tier: self.name.clone(), version: version.clone(), nodes: behind });
        for older in self
            .p
            .tier_in_force(self.name)
            .map(|tier| older_that_wait(self.p, tier, version))
            .unwrap_or_default()
        {
            flow.say(Event::Superseded {
                tier: self.name.clone(),
                version: older,
                by_version: version.clone(),
            });
        }
        let hold = self.t.hold.as_ref().filter(|hold| hold.of_rollback && self.inside.by_hand);
        if hold.is_some() {
            flow.say(Event::HoldLifted { tier: Some(self.name.clone()) });
        }
    }

    /// Ends the promotion: what was changed goes back where there is something to go back to, or stays.
    fn fail(&self, flow: &mut Flow<'_>, cause: String, end: PromotionEnd, rollback: bool) {
        let inside = self.inside;
        let changed = inside.touched.iter().any(|node| inside.nodes.get(node).is_some_and(|n| n.changed));
        let on_failure = self.tier.deploy.as_ref().map(|d| d.on_failure);
        let goes_back = changed && (rollback || on_failure == Some(OnFailure::Rollback));
        if let Some(current) = self.t.current.as_ref().filter(|_| goes_back) {
            flow.say(Event::Rollback {
                tier: self.name.clone(),
                from: inside.version.clone(),
                to: current.version.clone(),
                cause,
            });
            return;
        }
        let end = match end {
            PromotionEnd::Stopped if !changed => PromotionEnd::Rejected,
            other => other,
        };
        flow.say(Event::PromoteFailed {
            tier: self.name.clone(),
            version: inside.version.clone(),
            end,
            cause,
            nodes: self.t.what_is_where(),
        });
    }
}

fn is_failed(nodes: &BTreeMap<NodeName, NodeTry>, node: &NodeName) -> bool {
    nodes.get(node).is_some_and(|n| matches!(n.result, Some(Err(_))))
}

/// The first wave that is not done, if there is one (rule 13).
pub(super) fn wave_under_way<'a>(
    waves: &[Wave],
    order: &'a [NodeName],
    nodes: &BTreeMap<NodeName, NodeTry>,
) -> Option<&'a [NodeName]> {
    let mut rest = order;
    for size in wave_sizes(waves, order.len()) {
        let (wave, after) = rest.split_at(size);
        if wave.iter().any(|node| nodes.get(node).is_none_or(|n| n.result.is_none())) {
            return Some(wave);
        }
        rest = after;
    }
    None
}

/// Begins the nodes of a wave that have not begun.
pub(super) fn start_nodes(
    flow: &mut Flow<'_>,
    tier: &TierName,
    version: &VersionLabel,
    mode: DeployMode,
    wave: &[NodeName],
    nodes: &BTreeMap<NodeName, NodeTry>,
) {
    for node in wave {
        let tried = nodes.get(node);
        if tried.is_some_and(|n| n.running.is_some() || n.result.is_some()) {
            continue;
        }
        if !flow.has_come(tried.and_then(|n| n.not_before)) {
            continue;
        }
        if let Some(run_id) = flow.run_outside_slots() {
            let (tier, node, version) = (tier.clone(), node.clone(), version.clone());
            flow.say(Event::DeployStart { run_id, tier, node, version, mode });
        }
    }
}
