//! How each event changes the state: the one fold that live running, restart and every screen share.
//!
//! `apply` never refuses: what is in the journal happened. An event that fits nothing it knows changes nothing but
//! the counters, so that a journal of another release still folds.

mod adopt;
mod backup;
mod build;
mod by_hand;
mod prune;
mod restored;
mod schedule;
mod tier;

pub(super) use adopt::place_before_all;

use crate::domain::Time;
use crate::domain::event::StepSaid;
use crate::domain::event::{Action, Envelope, Event};
use crate::domain::id::*;
use crate::domain::outcome::{Classification, Outcome, Status};
use crate::domain::state::*;

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
            crate::domain::reload::load(state, in_force, envelope.id);
        }
        Event::PipelineRemoved { .. } => {
            let Some(name) = &envelope.fact.pipeline else { return };
            let remove = |state: &mut State| {
                if let Some(pipeline) = state.pipelines.get_mut(name) {
                    pipeline.in_force = None;
                }
            };
            state.keeping_holdings(std::slice::from_ref(name), remove);
        }
        Event::JournalRestored { taken_at, .. } => restored::apply(state, *taken_at, at),
        Event::StepEvent { run_id, event: StepSaid::NodeLocked { by }, .. } => {
            node_locked(state, *run_id, by.as_ref())
        }
        Event::StepEvent { run_id, number: Some(number), .. } => {
            if let Some(place) = state.running.get_mut(run_id) {
                place.heard = number.saturating_add(1);
            }
        }
        Event::ControllerStarted { runner, kept, .. } => {
            state.runner.clone_from(runner);
            for run in kept {
                if let Some(place) = state.running.get_mut(run) {
                    place.taken_up = true;
                }
            }
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

/// Keeps whether a deploy, or a gate that fetches a backup, waits for its node's lock.
fn node_locked(state: &mut State, run: RunId, by: Option<&String>) {
    let Some(Place { pipeline, version, task, .. }) = state.running.get(&run) else { return };
    let Some(p) = state.pipelines.get_mut(pipeline) else { return };
    let locked_by = match task {
        Task::Deploy(tier, node, mode) => {
            let tried = p.tiers.get_mut(tier).and_then(|t| t.node_try(*mode, node));
            tried.map(|tried| &mut tried.locked_by)
        }
        Task::Gate(tier, gate) => {
            let attempts = p.tiers.get_mut(tier).and_then(|t| t.gate_attempts(version, gate));
            attempts.map(|attempts| &mut attempts.locked_by)
        }
        Task::Step(_) => None,
    };
    if let Some(locked_by) = locked_by {
        *locked_by = by.cloned();
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
    let (pipeline, version) = (pipeline.clone(), version.clone());
    state.running.insert(run, Place { pipeline, version, task, taken_up: false, heard: 0 });
}

fn apply_to_pipeline(p: &mut PipelineState, event: &Event, moment: &Moment<'_>) {
    match event {
        Event::RebuildRequested { sha, ref_name, author, subject, emails, by_email, anew } => {
            let request = Request {
                id: moment.id,
                at: moment.at,
                sha: sha.clone(),
                ref_name: ref_name.clone(),
                author: author.clone(),
                subject: subject.clone(),
                emails: emails.clone(),
                by: (moment.by != "tidegate").then(|| moment.by.to_owned()),
                by_email: by_email.clone(),
                anew: *anew,
            };
            build::rebuild_requested(p, request);
        }
        Event::PushIgnored { sha, ref_name: Some(name), .. } => {
            let taken = p.refs.get(name).and_then(|head| head.taken.clone());
            p.refs.insert(name.clone(), RefHead { seen: sha.clone(), taken });
        }
        Event::LookOwed { ref_name, .. } => {
            p.looks.insert(ref_name.clone(), OwedLook { id: moment.id, by: moment.by.to_owned() });
        }
        Event::LookDone { ref_name, owed, .. } => {
            if p.looks.get(ref_name).is_some_and(|look| look.id == *owed) {
                p.looks.remove(ref_name);
            }
        }
        Event::LookedOver => p.is_looked_over = true,
        Event::ScheduleDue { .. } | Event::ScheduleDone { .. } => schedule::apply(p, event, moment),
        Event::RefsForgotten { refs } => p.refs.retain(|name, _| !refs.contains(name)),
        Event::BuildAborted { request, sha_aborted, .. } => {
            if !p.builds_anew(*request) {
                adopt::give_up(p, sha_aborted);
            }
            p.queue.retain(|r| r.id != *request);
            if p.build.as_ref().is_some_and(|b| b.request.id == *request) {
                build::end(p, Stage::Aborted, moment.id);
            }
        }
        Event::BuildStart { sha, version, request, digest } => {
            build::start(p, sha, version, *request, digest, moment.at)
        }
        Event::BuildOk { version, artifacts, .. } => {
            if let Some(v) = p.versions.get_mut(version) {
                v.artifacts = artifacts.clone();
            }
            build::end(p, Stage::Built, moment.id);
        }
        Event::BuildFailed { cause, sha, .. } => {
            if !p.build.as_ref().is_some_and(|build| build.request.anew) {
                adopt::give_up(p, sha);
            }
            build::end(p, Stage::Failed(cause.clone()), moment.id);
        }
        Event::StepStart { run_id, step, .. } => {
            if let Some(build) = &mut p.build {
                let attempts = build.steps.entry(step.clone()).or_default();
                attempts.running = Some(*run_id);
                attempts.last = Some(*run_id);
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
        Event::VersionsPruned { versions } => prune::apply(p, versions),
        Event::HoldSet { tier: None, of_rollback } => p.hold = Some(moment.hold(*of_rollback)),
        Event::HoldLifted { tier: None } => p.hold = None,
        Event::ManualAction { action: Action::Cancel, tier: None, .. } => {
            if let Some(build) = &mut p.build {
                build.canceled = true;
            }
        }
        Event::BackupFetched { .. } => backup::apply(p, event, moment),
        other => tier::apply(p, other, moment),
    }
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
