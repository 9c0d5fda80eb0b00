//! A build under way: steps that may begin, and its end (rules 2, 4 to 6).

use super::{Flow, Way};
use crate::domain::Blocker;
use crate::domain::Time;
use crate::domain::decide::elapsed_s;
use crate::domain::event::Event;
use crate::domain::id::*;
use crate::domain::pipeline::{OnNewer, Pipeline};
use crate::domain::promotion::queue_blockers;
use crate::domain::state::{Attempts, Build, PipelineState};

pub(super) fn proceed(flow: &mut Flow<'_>, p: &PipelineState) {
    let Some(build) = &p.build else {
        // Whether it may begin is asked by whoever begins it; here it is noted that it waits.
        let kept = queue_blockers(p, flow.room.disk_full).contains(&Blocker::DiskFull);
        flow.next.short_of_disk |= kept && !p.queue.is_empty();
        return;
    };
    let Some(definition) = p.known.get(&build.digest) else { return };
    let running = build.steps.values().any(|a| a.running.is_some());
    if let Some(deadline) = deadline(definition, build) {
        flow.wake_at(deadline);
    }
    if !goes_on(p, build, flow.room.now) {
        if !running {
            flow.say(end(p, build, flow.room.now));
        }
        return;
    }
    if let Some((step, words)) = failed(definition, build) {
        // What runs already may finish; nothing new begins.
        if !running {
            flow.say(failure(build, flow.room.now, format!("step `{step}`: {words}")));
        }
        return;
    }
    let none = Attempts::default();
    for step in &definition.build.steps {
        let tried = build.steps.get(&step.name).unwrap_or(&none);
        let ready = tried.running.is_none()
            && tried.outcome.is_none()
            && step.needs.iter().all(|need| build.steps.get(need).is_some_and(Attempts::passed));
        if !ready || !flow.has_come(tried.not_before) {
            continue;
        }
        if let Some(run_id) = flow.run_in_slot(Way::On) {
            flow.say(Event::StepStart {
                run_id,
                sha: build.request.sha.clone(),
                version: build.version.clone(),
                step: step.name.clone(),
            });
        }
    }
}

/// Whether nothing ends the build before its time.
pub(in crate::domain) fn goes_on(p: &PipelineState, build: &Build, now: Time) -> bool {
    let deadline = p.known.get(&build.digest).and_then(|d| deadline(d, build));
    !build.canceled && overtaken_by(p, build).is_none() && deadline.is_none_or(|moment| now < moment)
}

fn deadline(definition: &Pipeline, build: &Build) -> Option<Time> {
    definition.build.timeout.map(|timeout| build.at + timeout.delta())
}

/// The newer commit of the same ref that ends this build, with `on_newer = "abort"`. Where another ref stands at what is
/// being built, nothing does.
pub(in crate::domain) fn overtaken_by<'a>(p: &'a PipelineState, build: &Build) -> Option<&'a Sha> {
    let name = build.request.ref_name.as_ref()?;
    if p.known.get(&build.digest)?.build.on_newer == OnNewer::Finish {
        return None;
    }
    let queued = p.queue.iter().rev().find(|r| r.ref_name.as_ref() == Some(name)).map(|r| &r.sha);
    let taken = p.refs.get(name).and_then(|head| head.taken.as_ref());
    let newer = queued.or(taken.filter(|taken| **taken != build.request.sha))?;
    (!p.stands_elsewhere(name, &build.request.sha)).then_some(newer)
}

/// Whether every step passed, so that only the artifacts are to be stored.
pub(in crate::domain) fn is_complete(definition: &Pipeline, build: &Build) -> bool {
    definition.build.steps.iter().all(|s| build.steps.get(&s.name).is_some_and(Attempts::passed))
}

fn failed<'a>(definition: &'a Pipeline, build: &Build) -> Option<(&'a StepName, String)> {
    definition.build.steps.iter().find_map(|step| {
        let tried = build.steps.get(&step.name)?;
        let outcome = tried.outcome.as_ref().filter(|o| !o.passed())?;
        let run = tried.last.filter(|_| outcome.log_ref.is_some());
        Some((&step.name, super::with_log(outcome.message.as_deref().unwrap_or("it failed"), run)))
    })
}

fn end(p: &PipelineState, build: &Build, now: Time) -> Event {
    let by_sha = overtaken_by(p, build).cloned();
    if by_sha.is_none() && !build.canceled {
        return failure(build, now, "it took longer than the build's `timeout`".into());
    }
    Event::BuildAborted {
        sha_aborted: build.request.sha.clone(),
        request: build.request.id,
        by_sha: if build.canceled { None } else { by_sha },
    }
}

fn failure(build: &Build, now: Time, cause: String) -> Event {
    let elapsed_s = elapsed_s(build, now);
    Event::BuildFailed { sha: build.request.sha.clone(), version: build.version.clone(), elapsed_s, cause }
}
