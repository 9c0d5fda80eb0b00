//! What the interpreter reports: versions read, artifacts stored, runs ended, things said; and the controller's own
//! begin and end (rules 4, 33, 34).

use super::Decision;
use crate::domain::Time;
use crate::domain::event::{Artifact, DeployMode, Event, Fact, StepSaid};
use crate::domain::id::*;
use crate::domain::outcome::{Classification, Failure, Outcome, Status};
use crate::domain::outliving::outlives;
use crate::domain::pipeline::Exec;
use crate::domain::state::{Attempts, Build, PipelineState, Place, Request, State, Task};

pub(super) fn prepared(state: &State, request: EventId, label: &Result<Option<String>, String>) -> Decision {
    let Some((pipeline, p)) = state.asked_for(request) else { return Decision::already() };
    let front = p.queue.front().filter(|r| r.id == request && p.build.is_none());
    let (Some(front), Some(in_force)) = (front, &p.in_force) else { return Decision::already() };
    let read = label.as_ref().ok().and_then(Option::as_deref);
    let adopted = p.adopted_of(&front.sha).filter(|_| !front.anew);
    let version = adopted.cloned().unwrap_or_else(|| own_label(p, unused_label(p, read, &front.sha), front));
    let start = Event::BuildStart {
        sha: front.sha.clone(),
        version: version.clone(),
        request,
        digest: in_force.digest.clone(),
    };
    let mut facts = vec![Fact::of(pipeline, start)];
    if let Err(cause) = label {
        let sha = front.sha.clone();
        let failed = Event::BuildFailed { sha, version, elapsed_s: 0, cause: cause.clone() };
        facts.push(Fact::of(pipeline, failed));
    }
    Decision::done(facts)
}

/// The label as read, or `0.0.0`; with the commit added where no file says one or another commit has it (rule 4).
fn unused_label(p: &PipelineState, read: Option<&str>, sha: &Sha) -> VersionLabel {
    let free = |label: &VersionLabel| !p.is_taken(label, sha);
    let plain = VersionLabel::from(read.unwrap_or("0.0.0"));
    if read.is_some() && free(&plain) {
        return plain;
    }
    let separator = if plain.as_str().contains('+') { '.' } else { '+' };
    let with = |digits: usize| {
        let short = &sha.as_str()[..digits.min(sha.as_str().len())];
        VersionLabel::from(format!("{plain}{separator}g{short}"))
    };
    (7..sha.as_str().len()).map(with).find(free).unwrap_or_else(|| with(sha.as_str().len()))
}

/// A label of its own for a version whose commit is built already: with the time at which that was asked for, and where
/// that is not enough its number. What is built keeps its label.
fn own_label(p: &PipelineState, label: VersionLabel, request: &Request) -> VersionLabel {
    let is_used = |label: &VersionLabel| {
        let known = p.versions.get(label).is_some_and(|known| p.built.contains_key(&known.order));
        known || request.anew && (p.versions.contains_key(label) || p.spent.contains_key(label))
    };
    if !is_used(&label) {
        return label;
    }
    let separator = if label.as_str().contains('+') { '.' } else { '+' };
    let dated = VersionLabel::from(format!("{label}{separator}{}", request.at.format("%Y%m%d.%H%M")));
    if is_used(&dated) || p.is_taken(&dated, &request.sha) {
        return format!("{dated}.{}", request.id).into();
    }
    dated
}

pub(super) fn collected(
    state: &State,
    request: EventId,
    artifacts: &Result<Vec<Artifact>, String>,
    now: Time,
) -> Decision {
    let asked = state.asked_for(request);
    let build = asked.and_then(|(name, p)| Some((name, p.build.as_ref()?)));
    let Some((pipeline, build)) = build.filter(|(_, b)| b.request.id == request) else {
        return Decision::already();
    };
    let (sha, version) = (build.request.sha.clone(), build.version.clone());
    let elapsed_s = elapsed_s(build, now);
    let event = match artifacts {
        Ok(artifacts) => Event::BuildOk { sha, version, elapsed_s, artifacts: artifacts.clone() },
        Err(cause) => Event::BuildFailed { sha, version, elapsed_s, cause: cause.clone() },
    };
    Decision::done(vec![Fact::of(pipeline, event)])
}

/// Whole seconds since the build began.
pub(in crate::domain) fn elapsed_s(build: &Build, now: Time) -> u64 {
    (now - build.at).num_seconds().max(0) as u64
}

pub(super) fn run_ended(state: &State, run: RunId, outcome: &Outcome) -> Vec<Fact> {
    let Some(place) = state.running.get(&run) else { return Vec::new() };
    let Some(p) = state.pipelines.get(&place.pipeline) else { return Vec::new() };
    let event = match &place.task {
        Task::Step(step) => step_done(p, place, run, step, outcome),
        Task::Gate(tier, gate) => gate_done(p, place, run, tier, gate, outcome),
        Task::Deploy(..) => None,
    };
    event.map(|event| Fact::of(&place.pipeline, event)).into_iter().collect()
}

fn step_done(
    p: &PipelineState,
    place: &Place,
    run: RunId,
    step: &StepName,
    outcome: &Outcome,
) -> Option<Event> {
    let build = p.build.as_ref()?;
    let exec = p.known.get(&build.digest)?.build.steps.iter().find(|s| s.name == *step).map(|s| &s.exec);
    let attempts = build.steps.get(step).cloned().unwrap_or_default();
    let outcome = settled(outcome, &attempts);
    Some(Event::StepDone {
        run_id: run,
        sha: build.request.sha.clone(),
        version: place.version.clone(),
        step: step.clone(),
        will_retry: exec.is_some_and(|exec| will_retry(exec, 0, &attempts, &outcome)),
        outcome,
    })
}

fn gate_done(
    p: &PipelineState,
    place: &Place,
    run: RunId,
    tier: &TierName,
    name: &GateName,
    outcome: &Outcome,
) -> Option<Event> {
    let t = p.tiers.get(tier)?;
    let inside = t.inside.as_ref().filter(|i| i.version == place.version);
    let (digest, gates) = match (inside, &t.going_back) {
        (Some(inside), _) => (&inside.digest, &inside.gates),
        (None, Some(back)) => (&back.digest, &back.gates),
        (None, None) => return None,
    };
    let gate = p.tier_of(digest, tier)?.gate(name)?;
    let attempts = gates.get(name).cloned().unwrap_or_default();
    let outcome = settled(outcome, &attempts);
    let ending = inside.is_some_and(|i| i.ending.is_some());
    Some(Event::GateDone {
        run_id: run,
        tier: tier.clone(),
        version: place.version.clone(),
        gate: gate.check.kind().into(),
        name: name.clone(),
        phase: gate.phase,
        will_retry: !ending && will_retry(&gate.exec, gate.flaky_tries, &attempts, &outcome),
        outcome,
    })
}

/// A pass after a bad try is recorded as flaky, never silently.
fn settled(outcome: &Outcome, attempts: &Attempts) -> Outcome {
    let mut outcome = outcome.clone();
    if outcome.classification == Classification::Ok && attempts.failed_before {
        outcome.classification = Classification::Flaky;
    }
    outcome
}

/// Whether another try follows. One that was interrupted is always made again (rule 33); one that somebody ended never.
fn will_retry(exec: &Exec, flaky_tries: u32, attempts: &Attempts, outcome: &Outcome) -> bool {
    match outcome.classification {
        Classification::Interrupted => true,
        Classification::Canceled => false,
        _ if outcome.passed() => false,
        class => {
            let flaky = outcome.status == Status::Fail && attempts.tries + 1 < flaky_tries;
            flaky || retry_allows(exec, class, attempts.tries)
        }
    }
}

fn retry_allows(exec: &Exec, class: Classification, tries: u32) -> bool {
    exec.retry.as_ref().is_some_and(|r| tries < r.times && (r.on.is_empty() || r.on.contains(&class)))
}

pub(super) fn deploy_ended(
    state: &State,
    run: RunId,
    result: &Result<u64, (Failure, String)>,
    log_ref: Option<&str>,
) -> Vec<Fact> {
    let Some(place) = state.running.get(&run) else { return Vec::new() };
    let (Some(p), Task::Deploy(tier, node, mode)) = (state.pipelines.get(&place.pipeline), &place.task)
    else {
        return Vec::new();
    };
    let (tier, node, mode) = (tier.clone(), node.clone(), *mode);
    let version = place.version.clone();
    let log_ref = log_ref.map(str::to_owned);
    let event = match result {
        Ok(elapsed_ms) => {
            Event::DeployOk { run_id: run, tier, node, version, mode, elapsed_ms: *elapsed_ms, log_ref }
        }
        Err((failure, message)) => {
            let will_retry = deploy_will_retry(p, &tier, &node, mode, *failure);
            let (failure, message) = (*failure, message.clone());
            Event::DeployFailed {
                run_id: run,
                tier,
                node,
                version,
                mode,
                failure,
                message,
                log_ref,
                will_retry,
            }
        }
    };
    vec![Fact::of(&place.pipeline, event)]
}

fn deploy_will_retry(
    p: &PipelineState,
    tier: &TierName,
    node: &NodeName,
    mode: DeployMode,
    failure: Failure,
) -> bool {
    let Some(t) = p.tiers.get(tier) else { return false };
    let (digest, nodes) = match mode {
        DeployMode::Deploy => match &t.inside {
            Some(i) if i.ending.is_none() => (&i.digest, &i.nodes),
            _ => return false,
        },
        DeployMode::Rollback => match &t.going_back {
            Some(g) => (&g.digest, &g.nodes),
            None => return false,
        },
        DeployMode::Redeploy => match &t.redeploy {
            Some(r) => (&r.digest, &r.nodes),
            None => return false,
        },
    };
    let Some(deploy) = p.tier_of(digest, tier).and_then(|t| t.deploy.as_ref()) else { return false };
    let tries = nodes.get(node).map_or(0, |n| n.tries);
    let class = match failure {
        Failure::Interrupted => return mode == DeployMode::Rollback || deploy.rerun_on_crash,
        Failure::Canceled => return false,
        Failure::Unreachable | Failure::Auth | Failure::Upload | Failure::ArtifactMissing => {
            Classification::Infrastructure
        }
        Failure::Activate => Classification::CheckFailed,
        Failure::Unhealthy => Classification::Unhealthy,
        Failure::Timeout => Classification::Timeout,
    };
    retry_allows(&deploy.exec, class, tries)
}

pub(super) fn run_said(state: &State, run: RunId, said: &StepSaid, number: Option<u32>) -> Decision {
    let Some(place) = state.running.get(&run) else { return Decision::already() };
    if number.is_some_and(|number| number < place.heard) {
        return Decision::already();
    }
    let event = Event::StepEvent { run_id: run, event: said.clone(), number };
    let mut facts = vec![Fact::of(&place.pipeline, event)];
    if let StepSaid::BackupFetched { source, byte_size } = said {
        facts.push(Fact::of(&place.pipeline, backup_fetched(state, run, place, source, *byte_size, None)));
    }
    Decision::done(facts)
}

pub(super) fn backup_kept(state: &State, run: RunId, source: &str, byte_size: u64, sha256: &str) -> Decision {
    let Some(place) = state.running.get(&run) else { return Decision::already() };
    let event = backup_fetched(state, run, place, source, byte_size, Some(sha256.into()));
    Decision::done(vec![Fact::of(&place.pipeline, event)])
}

fn backup_fetched(
    state: &State,
    run: RunId,
    place: &Place,
    source: &str,
    byte_size: u64,
    sha256: Option<String>,
) -> Event {
    let (tier, name) = match &place.task {
        Task::Gate(tier, name) => (Some(tier), Some(name)),
        Task::Deploy(tier, ..) => (Some(tier), None),
        Task::Step(_) => (None, None),
    };
    let p = state.pipelines.get(&place.pipeline);
    let digest = tier.and_then(|tier| p?.tiers.get(tier)?.digest_of(&place.version));
    let gate = digest.and_then(|digest| p?.tier_of(digest, tier?)?.gate(name?));
    Event::BackupFetched {
        source: source.into(),
        byte_size,
        run_id: Some(run),
        tier: tier.cloned(),
        version: Some(place.version.clone()),
        gate: gate.map(|gate| gate.check.kind().into()),
        name: name.cloned(),
        phase: gate.map(|gate| gate.phase),
        sha256,
    }
}

/// Whatever runs according to the journal does not run any more (rule 33), but for what outlives a controller, where the
/// one before had it noted in the same place.
pub(super) fn started(state: &State, release: &str, runner: Option<&str>) -> Decision {
    let is_noted = runner.is_some() && runner == state.runner.as_deref();
    let kept: Vec<RunId> =
        state.running.keys().filter(|run| is_noted && outlives(state, **run)).copied().collect();
    let event = Event::ControllerStarted {
        release: release.into(),
        runner: runner.map(str::to_owned),
        kept: kept.clone(),
    };
    let mut facts = vec![Fact { pipeline: None, by: None, why: None, event }];
    for (run, place) in state.running.iter().filter(|(run, _)| !kept.contains(run)) {
        facts.extend(match place.task {
            Task::Deploy(..) => {
                let message = "the controller stopped while it was under way".to_owned();
                deploy_ended(state, *run, &Err((Failure::Interrupted, message)), None)
            }
            _ => run_ended(state, *run, &Outcome::of(Classification::Interrupted)),
        });
    }
    Decision::done(facts)
}

pub(super) fn stopping(release: &str) -> Decision {
    let event = Event::ControllerStopping { release: release.into() };
    Decision::done(vec![Fact { pipeline: None, by: None, why: None, event }])
}
