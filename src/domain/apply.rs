//! How each event changes the state: the one fold that live running, restart and every screen share.
//!
//! `apply` never refuses: what is in the journal happened. An event that fits nothing it knows changes nothing but
//! the counters, so that a journal of another release still folds.

use super::Time;
use super::event::{Action, DeployMode, Envelope, Event, PromotionEnd};
use super::id::*;
use super::outcome::{Classification, Failure, Outcome, Status};
use super::state::*;

/// Folds one event into the state.
pub fn apply(state: &mut State, envelope: &Envelope) {
    state.last = envelope.id;
    let at = envelope.at;
    count_runs(state, envelope);
    match &envelope.fact.event {
        Event::PipelineRejected { file, diagnostics } => {
            if diagnostics.is_empty() {
                state.rejected.remove(file);
            } else {
                let rejected = RejectedFile {
                    at,
                    pipeline: envelope.fact.pipeline.clone(),
                    diagnostics: diagnostics.clone(),
                };
                state.rejected.insert(file.clone(), rejected);
            }
        }
        Event::PipelineLoaded { digest, file, text, definition, .. } => {
            let in_force = InForce {
                digest: digest.clone(),
                file: file.clone(),
                text: text.clone(),
                at,
                definition: definition.clone(),
            };
            super::reload::load(state, in_force, envelope.id);
        }
        event => {
            let Some(name) = &envelope.fact.pipeline else { return };
            let Some(pipeline) = state.pipelines.get_mut(name) else { return };
            let by = envelope.fact.by.as_deref().unwrap_or("tidegate");
            let why = envelope.fact.why.as_deref().unwrap_or_default();
            let moment = Moment { id: envelope.id, at, by, why };
            apply_to_pipeline(pipeline, event, &moment);
        }
    }
}

/// When an event happened and who caused it.
struct Moment<'a> {
    id: EventId,
    at: Time,
    by: &'a str,
    why: &'a str,
}

impl Moment<'_> {
    fn hold(&self, of_rollback: bool) -> Hold {
        Hold { by: self.by.into(), why: self.why.into(), at: self.at, of_rollback }
    }
}

/// Keeps the run counter, the slots in use, and the index of what runs.
fn count_runs(state: &mut State, envelope: &Envelope) {
    let Some(pipeline) = &envelope.fact.pipeline else { return };
    let (run, version, task) = match &envelope.fact.event {
        Event::StepStart { run_id, version, step, .. } => (*run_id, version, Task::Step(step.clone())),
        Event::GateStart { run_id, version, tier, name, .. } => {
            (*run_id, version, Task::Gate(tier.clone(), name.clone()))
        }
        Event::DeployStart { run_id, version, tier, node, mode } => {
            (*run_id, version, Task::Deploy(tier.clone(), node.clone(), *mode))
        }
        Event::StepDone { run_id, .. } | Event::GateDone { run_id, .. } => {
            if state.running.remove(run_id).is_some() {
                state.busy_slots -= 1;
            }
            return;
        }
        Event::DeployOk { run_id, .. } | Event::DeployFailed { run_id, .. } => {
            state.running.remove(run_id);
            return;
        }
        _ => return,
    };
    state.last_run = state.last_run.max(run);
    if !matches!(task, Task::Deploy(..)) {
        state.busy_slots += 1;
        if let Some(pipeline) = state.pipelines.get_mut(pipeline) {
            pipeline.last_slot = run;
        }
    }
    state.running.insert(run, Place { pipeline: pipeline.clone(), version: version.clone(), task });
}

fn apply_to_pipeline(p: &mut PipelineState, event: &Event, moment: &Moment<'_>) {
    match event {
        Event::RebuildRequested { sha, ref_name, author, subject, emails } => {
            let request = Request {
                id: moment.id,
                at: moment.at,
                sha: sha.clone(),
                ref_name: ref_name.clone(),
                author: author.clone(),
                subject: subject.clone(),
                emails: emails.clone(),
                by: (moment.by != "tidegate").then(|| moment.by.to_owned()),
            };
            rebuild_requested(p, request);
        }
        Event::PushIgnored { sha, ref_name: Some(name), .. } => {
            let taken = p.refs.get(name).and_then(|head| head.taken.clone());
            p.refs.insert(name.clone(), RefHead { seen: sha.clone(), taken });
        }
        Event::BuildAborted { request, .. } => {
            p.queue.retain(|r| r.id != *request);
            if p.build.as_ref().is_some_and(|b| b.request.id == *request) {
                end_build(p, Stage::Aborted, moment.id);
            }
        }
        Event::BuildStart { sha, version, request, digest } => {
            build_start(p, sha, version, *request, digest, moment.at)
        }
        Event::BuildOk { version, artifacts, .. } => {
            if let Some(v) = p.versions.get_mut(version) {
                v.artifacts = artifacts.clone();
            }
            end_build(p, Stage::Built, moment.id);
        }
        Event::BuildFailed { cause, .. } => end_build(p, Stage::Failed(cause.clone()), moment.id),
        Event::StepStart { run_id, step, .. } => {
            if let Some(build) = &mut p.build {
                let attempts = build.steps.entry(step.clone()).or_default();
                attempts.running = Some(*run_id);
                attempts.not_before = None;
            }
        }
        Event::StepDone { step, outcome, will_retry, .. } => {
            let wait = p.build.as_ref().and_then(|b| {
                let definition = p.known.get(&b.digest)?;
                let step = definition.build.steps.iter().find(|s| s.name == *step)?;
                Some(step.exec.retry.as_ref()?.wait.delta())
            });
            if let Some(build) = &mut p.build {
                let attempts = build.steps.entry(step.clone()).or_default();
                attempt_ended(attempts, outcome, *will_retry, moment.at + wait.unwrap_or_default());
            }
        }
        Event::VersionBlocked { version } => {
            p.blocked.insert(version.clone(), moment.hold(false));
        }
        Event::VersionUnblocked { version } => {
            p.blocked.remove(version);
        }
        Event::PipelineRemoved { .. } => p.in_force = None,
        Event::HoldSet { tier: None, of_rollback } => p.hold = Some(moment.hold(*of_rollback)),
        Event::HoldLifted { tier: None } => p.hold = None,
        Event::ManualAction { action: Action::Cancel, tier: None, .. } => {
            if let Some(build) = &mut p.build {
                build.canceled = true;
            }
        }
        other => apply_to_tier(p, other, moment),
    }
}

/// A commit that is built already becomes newest again; any other is queued.
fn rebuild_requested(p: &mut PipelineState, request: Request) {
    if let Some(name) = &request.ref_name {
        let head = RefHead { seen: request.sha.clone(), taken: Some(request.sha.clone()) };
        p.refs.insert(name.clone(), head);
    }
    let built = p.by_sha.get(&request.sha).filter(|label| p.is_built(label)).cloned();
    let Some(label) = built else {
        p.queue.push_back(request);
        return;
    };
    if let Some(version) = p.versions.get_mut(&label) {
        p.built.remove(&version.order);
        p.built.insert(request.id, label.clone());
        version.order = request.id;
        version.done = request.id;
        version.by = request.by;
    }
    for tier in p.tiers.values_mut() {
        let is_current = tier.current.as_ref().is_some_and(|c| c.version == label);
        let is_inside = tier.busy_with() == Some(&label);
        if let Some(standing) = tier.standings.get_mut(&label) {
            let keeps = matches!(standing.verdict, Some(Verdict::Rejected(_))) || is_current || is_inside;
            if is_current {
                standing.verdict = Some(Verdict::Passed(request.id));
            }
            if !keeps {
                *standing = Standing { gates: std::mem::take(&mut standing.gates), ..Standing::default() };
            }
        }
    }
}

fn build_start(
    p: &mut PipelineState,
    sha: &Sha,
    label: &VersionLabel,
    request: EventId,
    digest: &Digest,
    at: Time,
) {
    let Some(position) = p.queue.iter().position(|r| r.id == request) else { return };
    let Some(request) = p.queue.remove(position) else { return };
    let version = Version {
        sha: sha.clone(),
        ref_name: request.ref_name.clone(),
        author: request.author.clone(),
        subject: request.subject.clone(),
        emails: request.emails.clone(),
        by: request.by.clone(),
        order: request.id,
        stage: Stage::Building,
        done: request.id,
        artifacts: Vec::new(),
        at,
    };
    p.versions.insert(label.clone(), version);
    p.by_sha.insert(sha.clone(), label.clone());
    p.build = Some(Build {
        request,
        version: label.clone(),
        digest: digest.clone(),
        at,
        steps: Default::default(),
        canceled: false,
    });
}

fn end_build(p: &mut PipelineState, stage: Stage, id: EventId) {
    let Some(build) = p.build.take() else { return };
    let Some(version) = p.versions.get_mut(&build.version) else { return };
    if stage == Stage::Built {
        p.built.insert(version.order, build.version);
    }
    version.stage = stage;
    version.done = id;
}

/// Notes the end of one try. An interrupted try does not count: it is simply made again.
fn attempt_ended(attempts: &mut Attempts, outcome: &Outcome, will_retry: bool, not_before: Time) {
    attempts.running = None;
    if outcome.classification != Classification::Interrupted {
        attempts.tries += 1;
    }
    if will_retry {
        attempts.failed_before |= outcome.status == Status::Fail;
        attempts.outcome = None;
        attempts.not_before = (outcome.classification != Classification::Interrupted).then_some(not_before);
        return;
    }
    attempts.not_before = None;
    if outcome.status == Status::Blocked {
        attempts.blocked_times += 1;
        attempts.not_before = Some(not_before);
    } else {
        attempts.blocked_times = 0;
    }
    attempts.outcome = Some(outcome.clone());
}

/// How long after the `times`th time that something could not be judged it is tried again: 1, 2, 4 … 60 minutes.
pub(super) fn backoff(times: u32) -> chrono::TimeDelta {
    chrono::TimeDelta::minutes(1 << times.saturating_sub(1).min(6)).min(chrono::TimeDelta::minutes(60))
}

fn apply_to_tier(p: &mut PipelineState, event: &Event, moment: &Moment<'_>) {
    let Some(name) = tier_of(event).cloned() else { return };
    match event {
        Event::PromoteStart { version, digest, by_hand, .. } => {
            promote_start(p, &name, version, digest, *by_hand, moment.at);
        }
        Event::GateDone { version, name: gate, outcome, will_retry, .. } => {
            gate_done(p, &name, version, gate, outcome, *will_retry, moment.at);
        }
        Event::DeployFailed { node, mode, failure, will_retry, .. } => {
            deploy_failed(p, &name, node, *mode, *failure, *will_retry, moment.at);
        }
        Event::Rollback { from, to, cause, .. } => rollback(p, &name, from, to, cause, moment.at),
        Event::ManualConfirm { version, .. } => {
            let digest = p.in_force.as_ref().map(|f| f.digest.clone());
            if let Some(digest) = digest {
                let word = Confirmation { by: moment.by.into(), at: moment.at, digest };
                p.tiers.entry(name).or_default().standing(version).confirmations.push(word);
            }
        }
        Event::ManualAction { action, version, node, lift, .. } => {
            manual_action(p, &name, *action, version.as_ref(), node.as_ref(), *lift, moment);
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
                attempts.outcome = None;
                attempts.not_before = None;
            }
        }
        Event::DeployStart { run_id, node, version, mode, .. } => {
            if let Some(tried) = t.node_try(*mode, node) {
                tried.running = Some(*run_id);
                tried.result = None;
                tried.not_before = None;
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
        }
        Event::ConfirmVoided { version, .. } => t.standing(version).confirmations.clear(),
        Event::HoldSet { of_rollback, .. } => t.hold = Some(moment.hold(*of_rollback)),
        Event::HoldLifted { .. } => t.hold = None,
        _ => {}
    }
}

impl TierState {
    /// The standing of a version, made if there is none.
    fn standing(&mut self, version: &VersionLabel) -> &mut Standing {
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
    fn make_current(&mut self, next: Current) {
        if let Some(left) = self.current.take() {
            let standing = self.standing(&left.version);
            standing.longest_current = standing.longest_current.max(next.since - left.since);
            if left.version != next.version {
                self.past.retain(|p| p.version != left.version);
                self.past.push(left);
            }
        }
        self.past.retain(|p| p.version != next.version);
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
    let is_check = definition.is_some_and(|g| g.phase == super::pipeline::Phase::Check);
    let wait = definition.and_then(|g| g.exec.retry.as_ref()).map(|r| r.wait.delta()).unwrap_or_default();
    let Some(t) = p.tiers.get_mut(tier) else { return };
    if let (true, true, Some(digest)) = (outcome.passed(), is_check, digest) {
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
    blockers: &[super::Blocker],
    stepped_back: bool,
    at: Time,
) {
    let standing = t.standing(version);
    standing.said = Some(blockers.to_vec());
    if !stepped_back {
        return;
    }
    let times = standing.stepped_back.as_ref().map_or(0, |s| s.times) + 1;
    standing.stepped_back =
        Some(SteppedBack { times, not_before: at + backoff(times), blockers: blockers.to_vec() });
    if let Some(inside) = t.inside.take()
        && inside.version != *version
    {
        t.inside = Some(inside);
    }
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
        let Some(left) = t.current.clone() else { return };
        let Some(target) = t.past.iter().rev().find(|c| c.version == *to).cloned() else { return };
        if let Some(position) = t.past.iter().position(|c| c.version == *to) {
            t.past.truncate(position);
        }
        t.current = Some(Current { since: at, ..target });
        let soaked = at - left.since;
        let standing = t.standing(&left.version);
        standing.longest_current = standing.longest_current.max(soaked);
        t.reject(&left.version, cause);
        let mut nodes: Vec<_> = t.nodes.iter().filter(|(_, n)| n.version.as_ref() != Some(to)).collect();
        nodes.sort_by_key(|(_, n)| std::cmp::Reverse(n.at));
        (left.digest, None, nodes.into_iter().map(|(name, _)| name.clone()).collect())
    };
    let digest = t.current.as_ref().map_or_else(|| from_digest.clone(), |c| c.digest.clone());
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

fn rollback_failed(t: &mut TierState, at: Time) {
    let Some(back) = &mut t.going_back else { return };
    back.failed = true;
    for tried in back.nodes.values_mut().filter(|n| matches!(n.result, Some(Err(_)))) {
        tried.not_before = Some(at + backoff(tried.tries));
    }
}

fn manual_action(
    p: &mut PipelineState,
    tier: &TierName,
    action: Action,
    version: Option<&VersionLabel>,
    node: Option<&NodeName>,
    lift: bool,
    moment: &Moment<'_>,
) {
    let (by, why) = (moment.by, moment.why);
    let in_force = p.in_force.clone();
    let t = p.tiers.entry(tier.clone()).or_default();
    match (action, version) {
        (Action::Promote, Some(version)) => {
            let standing = t.standing(version);
            standing.promoted = Some(ByHand { by: by.into(), lift });
            if matches!(standing.verdict, Some(Verdict::Superseded(_))) {
                standing.verdict = None;
            }
        }
        (Action::Retry, version) => retry(t, version, moment.at),
        (Action::Cancel | Action::Rollback, _) => {
            if let Some(inside) = &mut t.inside {
                let cause = ended_by(action, by, why);
                inside.ending = Some(Ending { cause, rollback: action == Action::Rollback });
            }
        }
        (Action::Redeploy, Some(version)) => {
            let Some(in_force) = in_force else { return };
            let Some(definition) = in_force.definition.tier(tier) else { return };
            let wanted = |n: &&super::pipeline::Node| node.is_none_or(|wanted| n.name == *wanted);
            t.redeploy = Some(Redeploy {
                version: version.clone(),
                digest: in_force.digest.clone(),
                order: definition.nodes.iter().filter(wanted).map(|n| n.name.clone()).collect(),
                nodes: Default::default(),
            });
        }
        _ => {}
    }
}

/// What is said of something that a person ended.
fn ended_by(action: Action, by: &str, why: &str) -> String {
    let what = if action == Action::Rollback { "rolled back" } else { "canceled" };
    if why.is_empty() { format!("{what} by {by}") } else { format!("{what} by {by}: {why}") }
}

/// What was rejected waits again; what would be tried later is tried now.
fn retry(t: &mut TierState, version: Option<&VersionLabel>, at: Time) {
    if let Some(version) = version {
        let standing = t.standing(version);
        if matches!(standing.verdict, Some(Verdict::Rejected(_))) {
            standing.verdict = None;
        }
        if let Some(back) = &mut standing.stepped_back {
            back.not_before = at;
        }
        standing.said = None;
    }
    if let Some(inside) = &mut t.inside {
        for attempts in inside.gates.values_mut().filter(|a| a.blocked_times > 0) {
            attempts.not_before = Some(at);
        }
    }
    if let Some(back) = &mut t.going_back {
        for tried in back.nodes.values_mut().filter(|n| matches!(n.result, Some(Err(_)))) {
            tried.not_before = Some(at);
        }
        for attempts in back.gates.values_mut().filter(|a| a.running.is_none() && !a.passed()) {
            attempts.outcome = None;
            attempts.not_before = None;
        }
    }
}

/// The tier that an event is about.
fn tier_of(event: &Event) -> Option<&TierName> {
    match event {
        Event::GateStart { tier, .. }
        | Event::GateDone { tier, .. }
        | Event::DeployStart { tier, .. }
        | Event::DeployOk { tier, .. }
        | Event::DeployFailed { tier, .. }
        | Event::PromoteStart { tier, .. }
        | Event::PromoteBlocked { tier, .. }
        | Event::PromoteComplete { tier, .. }
        | Event::PromoteFailed { tier, .. }
        | Event::Rollback { tier, .. }
        | Event::RollbackComplete { tier, .. }
        | Event::RollbackFailed { tier, .. }
        | Event::Superseded { tier, .. }
        | Event::ManualConfirm { tier, .. }
        | Event::ConfirmDenied { tier, .. }
        | Event::ConfirmVoided { tier, .. } => Some(tier),
        Event::ManualAction { tier, .. } | Event::HoldSet { tier, .. } | Event::HoldLifted { tier, .. } => {
            tier.as_ref()
        }
        _ => None,
    }
}
