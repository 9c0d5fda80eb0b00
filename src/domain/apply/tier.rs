//! How a tier changes: what enters, its gates and nodes, how it ends.

use super::{Moment, adopt, attempt_ended, backoff, by_hand};
use crate::domain::Time;
use crate::domain::event::{Action, DeployMode, Event, PromotionEnd};
use crate::domain::id::*;
use crate::domain::outcome::{Classification, Failure, Outcome, Status};
use crate::domain::state::*;
use std::collections::BTreeMap;

pub(super) fn apply(p: &mut PipelineState, event: &Event, moment: &Moment<'_>) {
    let Some(name) = event.tier().cloned() else { return };
    match event {
        Event::PromoteStart { version, digest, by_hand, .. } => {
            promote_start(p, &name, version, digest, *by_hand, moment.at);
        }
        Event::GateDone { version, name: gate, outcome, will_retry, .. } => {
            gate_done(p, &name, version, gate, outcome, *will_retry, moment.at);
        }
        Event::DeployFailed { node, mode, failure, will_retry, message, .. } => {
            deploy_failed(p, &name, node, *mode, *failure, *will_retry, moment.at);
            let tried = p.tiers.get_mut(&name).and_then(|t| t.node_try(*mode, node));
            if let Some(tried) = tried.filter(|_| !message.is_empty()) {
                tried.said = Some(message.clone());
            }
        }
        Event::Rollback { from, to, cause, .. } => rollback(p, &name, from, to, cause, moment.at),
        Event::ManualConfirm { version, by_email, .. } => {
            let digest = p.in_force.as_ref().map(|f| f.digest.clone());
            if let Some(digest) = digest {
                let email = by_email.clone();
                let word = Confirmation { by: moment.by.into(), email, at: moment.at, digest };
                p.tiers.entry(name).or_default().standing(version).confirmations.push(word);
            }
        }
        Event::ManualAction {
            action: Action::Adopt,
            version: Some(version),
            sha: Some(sha),
            pending,
            emails,
            ..
        } => match pending {
            true => adopt::begin(p, &name, version, (sha, emails), moment),
            false => adopt::apply(p, &name, version, (sha, emails), moment),
        },
        Event::ManualAction { action, version, node, lift, .. } => {
            by_hand::apply(p, &name, *action, version.as_ref(), node.as_ref(), *lift, moment);
        }
        _ => apply_in_tier(p.tiers.entry(name).or_default(), event, moment),
    }
}

/// The events that touch nothing but their own tier.
fn apply_in_tier(t: &mut TierState, event: &Event, moment: &Moment<'_>) {
    let at = moment.at;
    match event {
        Event::GateStart { run_id, version, name, .. } => {
            if let Some(attempts) = t.gate_attempts(version, name) {
                attempts.running = Some(*run_id);
                attempts.last = Some(*run_id);
                attempts.outcome = None;
                attempts.not_before = None;
                attempts.locked_by = None;
            }
        }
        Event::DeployStart { run_id, node, version, mode, .. } => {
            if let Some(tried) = t.node_try(*mode, node) {
                tried.running = Some(*run_id);
                tried.last = Some(*run_id);
                tried.result = None;
                tried.not_before = None;
                tried.locked_by = None;
            }
            if let (DeployMode::Deploy, Some(inside)) = (mode, &mut t.inside)
                && !inside.touched.contains(node)
            {
                inside.touched.push(node.clone());
            }
            let state = t.nodes.entry(node.clone()).or_insert(NodeState {
                version: None,
                at,
                changing: None,
                failure: None,
            });
            state.changing = Some(version.clone());
        }
        Event::DeployOk { node, version, mode, .. } => {
            if let Some(tried) = t.node_try(*mode, node) {
                tried.running = None;
                tried.result = Some(Ok(()));
                tried.changed = true;
            }
            let state = NodeState { version: Some(version.clone()), at, changing: None, failure: None };
            t.nodes.insert(node.clone(), state);
            end_redeploy_when_done(t);
        }
        Event::PromoteBlocked { version, blockers, stepped_back, .. } => {
            promote_blocked(t, version, blockers, *stepped_back, at);
        }
        Event::PromoteComplete { version, .. } => promote_complete(t, version, moment),
        Event::PromoteFailed { version, cause, .. } => {
            if t.inside.as_ref().is_some_and(|i| i.version == *version) {
                t.inside = None;
            }
            t.reject(version, cause);
            if let Some(back) = t.going_back.as_mut().filter(|g| g.from == *version) {
                back.end = None;
                if !back.failed {
                    t.going_back = None;
                }
            }
        }
        Event::RollbackComplete { .. } => {
            if t.going_back.as_ref().is_some_and(|g| g.end.is_none()) {
                t.going_back = None;
            } else if let Some(back) = &mut t.going_back {
                back.failed = false;
            }
        }
        Event::RollbackFailed { .. } => rollback_failed(t, at),
        Event::Superseded { version, by_version, .. } => {
            let standing = t.standing(version);
            standing.verdict = Some(Verdict::Superseded(by_version.clone()));
            standing.said = None;
            standing.promoted = None;
            standing.stepped_back = None;
            standing.confirmations.clear();
        }
        Event::ConfirmVoided { version, whose, .. } => {
            let words = &mut t.standing(version).confirmations;
            words.retain(|word| !whose.is_empty() && !whose.contains(&word.by));
        }
        Event::HoldSet { of_rollback, .. } => t.hold = Some(moment.hold(*of_rollback)),
        Event::HoldLifted { .. } => t.hold = None,
        _ => {}
    }
}

impl TierState {
    /// The standing of a version, made if there is none.
    pub(super) fn standing(&mut self, version: &VersionLabel) -> &mut Standing {
        self.standings.entry(version.clone()).or_default()
    }

    fn reject(&mut self, version: &VersionLabel, cause: &str) {
        let standing = self.standing(version);
        standing.verdict = Some(Verdict::Rejected(cause.into()));
        standing.said = None;
        standing.promoted = None;
        standing.stepped_back = None;
        standing.confirmations.clear();
    }

    /// Makes a version current, and remembers what was.
    pub(super) fn make_current(&mut self, next: Current) {
        if let Some(left) = self.current.take() {
            let standing = self.standing(&left.version);
            standing.longest_current = standing.longest_current.max(next.since - left.since);
            if left.version != next.version {
                self.past.retain(|p| p.version != left.version);
                self.past.push(left);
            }
        }
        self.past.retain(|p| p.version != next.version);
        self.aside.retain(|p| p.version != next.version);
        self.went_back = None;
        self.current = Some(next);
    }
}

fn promote_start(
    p: &mut PipelineState,
    tier: &TierName,
    version: &VersionLabel,
    digest: &Digest,
    by_hand: bool,
    at: Time,
) {
    let passed: Vec<GateName> = p
        .standing(tier, version)
        .map(|s| s.gates.iter().filter(|(_, d)| *d == digest).map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let t = p.tiers.entry(tier.clone()).or_default();
    let standing = t.standing(version);
    standing.verdict = None;
    standing.said = None;
    let gates = passed
        .into_iter()
        .map(|name| {
            let outcome = Some(Outcome::of(Classification::Ok));
            (name, Attempts { outcome, ..Attempts::default() })
        })
        .collect();
    t.going_back = None;
    t.inside = Some(Inside {
        version: version.clone(),
        digest: digest.clone(),
        at,
        by_hand,
        gates,
        nodes: Default::default(),
        touched: Vec::new(),
        ending: None,
    });
}

fn gate_done(
    p: &mut PipelineState,
    tier: &TierName,
    version: &VersionLabel,
    gate: &GateName,
    outcome: &Outcome,
    will_retry: bool,
    at: Time,
) {
    let inside = p.tiers.get(tier).and_then(|t| t.inside.as_ref()).filter(|i| i.version == *version);
    let digest = inside.map(|i| i.digest.clone());
    let definition = digest.as_ref().and_then(|d| p.tier_of(d, tier)).and_then(|t| t.gate(gate));
    let is_check = definition.is_some_and(|g| g.phase == crate::domain::pipeline::Phase::Check);
    // A backup is of the moment: whoever comes in again takes a new one.
    let is_of_the_moment =
        definition.is_some_and(|g| matches!(g.check, crate::domain::pipeline::Check::Backup { .. }));
    let wait = definition.and_then(|g| g.exec.retry.as_ref()).map(|r| r.wait.delta()).unwrap_or_default();
    let Some(t) = p.tiers.get_mut(tier) else { return };
    if let (true, true, Some(digest)) = (outcome.passed(), is_check && !is_of_the_moment, digest) {
        t.standing(version).gates.insert(gate.clone(), digest);
    }
    if let Some(attempts) = t.gate_attempts(version, gate) {
        let pause = if will_retry { wait } else { backoff(attempts.blocked_times + 1) };
        attempt_ended(attempts, outcome, will_retry, at + pause);
    }
}

fn deploy_failed(
    p: &mut PipelineState,
    tier: &TierName,
    node: &NodeName,
    mode: DeployMode,
    failure: Failure,
    will_retry: bool,
    at: Time,
) {
    let Some(t) = p.tiers.get(tier) else { return };
    let digest = match mode {
        DeployMode::Deploy => t.inside.as_ref().map(|i| &i.digest),
        DeployMode::Rollback => t.going_back.as_ref().map(|g| &g.digest),
        DeployMode::Redeploy => t.redeploy.as_ref().map(|r| &r.digest),
    };
    let deploy = digest.and_then(|d| p.tier_of(d, tier)).and_then(|t| t.deploy.as_ref());
    let wait = deploy.and_then(|d| d.exec.retry.as_ref()).map(|r| r.wait.delta()).unwrap_or_default();
    let Some(t) = p.tiers.get_mut(tier) else { return };
    // A way back that has failed goes on trying, less and less often.
    let is_again = mode == DeployMode::Rollback && t.going_back.as_ref().is_some_and(|back| back.failed);
    if let Some(tried) = t.node_try(mode, node) {
        tried.running = None;
        tried.changed |= failure.may_have_changed();
        if failure != Failure::Interrupted || !will_retry {
            tried.tries += 1;
        }
        if will_retry {
            tried.not_before = (failure != Failure::Interrupted).then_some(at + wait);
        } else {
            tried.result = Some(Err(failure));
            tried.not_before = is_again.then(|| at + backoff(tried.tries));
        }
    }
    if let Some(state) = t.nodes.get_mut(node) {
        if failure.may_have_changed() {
            state.version = None;
        }
        state.changing = None;
        state.failure = Some(failure);
        state.at = at;
    }
    end_redeploy_when_done(t);
}

fn end_redeploy_when_done(t: &mut TierState) {
    let done = t
        .redeploy
        .as_ref()
        .is_some_and(|r| r.order.iter().all(|node| r.nodes.get(node).is_some_and(|n| n.result.is_some())));
    if done {
        t.redeploy = None;
    }
}

fn promote_blocked(
    t: &mut TierState,
    version: &VersionLabel,
    blockers: &[crate::domain::Blocker],
    stepped_back: bool,
    at: Time,
) {
    let standing = t.standing(version);
    standing.said = Some(blockers.to_vec());
    if !stepped_back {
        return;
    }
    let times = standing.stepped_back.as_ref().map_or(0, |s| s.times) + 1;
    let not_before = at + backoff(times);
    let inside = t.inside.take_if(|inside| inside.version == *version);
    let gates = inside.map(|inside| unjudged(&inside.gates)).unwrap_or_default();
    t.standing(version).stepped_back =
        Some(SteppedBack { times, not_before, blockers: blockers.to_vec(), gates });
}

/// The gates that could not judge, with their last runs.
fn unjudged(gates: &BTreeMap<GateName, Attempts>) -> Vec<(GateName, RunId)> {
    let is_unjudged = |attempts: &Attempts| {
        attempts.outcome.as_ref().is_some_and(|outcome| outcome.status == Status::Blocked)
    };
    let unjudged = gates.iter().filter(|(_, attempts)| is_unjudged(attempts));
    unjudged.filter_map(|(name, attempts)| Some((name.clone(), attempts.last?))).collect()
}

fn promote_complete(t: &mut TierState, version: &VersionLabel, moment: &Moment<'_>) {
    let Some(inside) = t.inside.take() else { return };
    let standing = t.standing(version);
    standing.verdict = Some(Verdict::Passed(moment.id));
    standing.said = None;
    standing.promoted = None;
    standing.stepped_back = None;
    standing.confirmations.clear();
    t.make_current(Current { version: version.clone(), digest: inside.digest, since: moment.at });
}

/// The way back begins. With a version inside it is that one's promotion that goes back to the current version;
/// without, it is the current version that is left, and rejected.
fn rollback(
    p: &mut PipelineState,
    tier: &TierName,
    from: &VersionLabel,
    to: &VersionLabel,
    cause: &str,
    at: Time,
) {
    let left = nodes_left(p, tier, to);
    let t = p.tiers.entry(tier.clone()).or_default();
    let inside = t.inside.take().filter(|i| i.version == *from);
    let (from_digest, end, order) = if let Some(inside) = inside {
        let changed =
            |node: &&NodeName| inside.nodes.get(*node).is_some_and(|n| n.changed || n.running.is_some());
        let order = inside.touched.iter().rev().filter(changed).cloned().collect();
        let canceled = inside.ending.as_ref().is_some_and(|e| !e.rollback);
        let end = if canceled { PromotionEnd::Canceled } else { PromotionEnd::RolledBack };
        (inside.digest, Some(end), order)
    } else {
        let Some(current) = t.current.clone() else { return };
        let Some(target) = t.passed_before(to).cloned() else { return };
        // What was current between them stays within reach.
        if let Some(position) = t.past.iter().position(|c| c.version == *to) {
            let passed_over = t.past.split_off(position);
            t.aside.retain(|it| !passed_over.iter().any(|over| over.version == it.version));
            t.aside.extend(passed_over);
        }
        t.aside.retain(|it| it.version != *to);
        t.current = Some(Current { since: at, ..target });
        let soaked = at - current.since;
        let standing = t.standing(&current.version);
        standing.longest_current = standing.longest_current.max(soaked);
        t.reject(&current.version, cause);
        (current.digest, None, left)
    };
    let digest = t.current.as_ref().map_or_else(|| from_digest.clone(), |c| c.digest.clone());
    t.went_back = Some(WentBack { from: from.clone(), to: to.clone(), cause: cause.into(), at });
    t.going_back = Some(GoingBack {
        from: from.clone(),
        to: to.clone(),
        digest,
        from_digest,
        cause: cause.into(),
        end,
        order,
        nodes: Default::default(),
        gates: Default::default(),
        failed: false,
    });
}

/// The nodes on which another version is, the one that was changed last first. Those that no definition of this way back
/// knows any more are nobody's to change.
fn nodes_left(p: &PipelineState, tier: &TierName, to: &VersionLabel) -> Vec<NodeName> {
    let Some(t) = p.tiers.get(tier) else { return Vec::new() };
    let target = t.passed_before(to);
    let digests: Vec<&Digest> = target.into_iter().chain(&t.current).map(|c| &c.digest).collect();
    let others = t.nodes.iter().filter(|(_, node)| node.version.as_ref() != Some(to));
    let known = others.filter(|(name, _)| p.node_of(tier, name, digests.iter().copied()).is_some());
    let mut nodes: Vec<_> = known.collect();
    nodes.sort_by_key(|(_, node)| std::cmp::Reverse(node.at));
    nodes.into_iter().map(|(name, _)| name.clone()).collect()
}

fn rollback_failed(t: &mut TierState, at: Time) {
    let Some(back) = &mut t.going_back else { return };
    back.failed = true;
    for tried in back.nodes.values_mut().filter(|n| matches!(n.result, Some(Err(_)))) {
        tried.not_before = Some(at + backoff(tried.tries));
    }
}
