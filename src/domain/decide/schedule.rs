//! What a schedule asked for: the head of its ref is built, also if that commit is built already. Then it is built once
//! more as a version of its own, because a version is built once, and what tiers hold of it stays what it is.

use super::Decision;
use super::push::{being_built, dropped, requested};
use crate::domain::command::{Answer, Push, Pushed};
use crate::domain::event::{Event, Fact};
use crate::domain::id::*;
use crate::domain::rejection::Rejection;
use crate::domain::state::{PipelineState, State};

/// As whom the clock acts.
const SCHEDULE: &str = "schedule";

/// Git said where the ref stands, or why nothing is there to be built. What follows and that it is done are journaled
/// together, so that no crash builds twice for one time.
pub(super) fn found(
    state: &State,
    pipeline: &PipelineName,
    owed: EventId,
    found: &Result<Box<Push>, String>,
) -> Result<Decision, Rejection> {
    let p = state.pipelines.get(pipeline).filter(|p| p.in_force.is_some());
    let schedule = p.and_then(|p| {
        let is_it = p.schedules.iter().find(|it| it.owed.as_ref().is_some_and(|run| run.id == owed))?;
        Some((p, &is_it.schedule))
    });
    // Done already, out of force, or another time took its place.
    let Some((p, schedule)) = schedule else { return Ok(Decision::already()) };
    let fact = |event| Fact {
        by: Some(SCHEDULE.into()),
        why: Some(schedule.cron.clone()),
        ..Fact::of(pipeline, event)
    };
    let done = |reason: Option<&str>| fact(Event::ScheduleDone { owed, reason: reason.map(str::to_owned) });
    let push = match found {
        Ok(push) => push,
        Err(reason) => return Ok(Decision::done(vec![done(Some(reason))])),
    };
    let seen = push.ref_name.as_ref().and_then(|name| p.refs.get(name)).map(|head| &head.seen);
    if seen != push.old.as_ref() {
        let overtaken = Pushed::Overtaken { pipeline: pipeline.clone() };
        return Ok(Decision { facts: Vec::new(), answer: Answer::Pushed(vec![overtaken]) });
    }
    let ignored = |reason: &str| {
        // The next look at the ref finds nothing new there.
        let noted = (seen != Some(&push.sha)).then(|| {
            let (sha, ref_name) = (push.sha.clone(), push.ref_name.clone());
            fact(Event::PushIgnored { sha, ref_name, reason: reason.into() })
        });
        let facts = noted.into_iter().chain([done(Some(reason))]).collect();
        let (pipeline, reason) = (pipeline.clone(), reason.to_owned());
        Decision { facts, answer: Answer::Pushed(vec![Pushed::Ignored { pipeline, reason }]) }
    };
    if being_built(p, &push.sha).is_some() {
        return Ok(ignored("that commit is being built already"));
    }
    if push.tag_missing {
        return Ok(ignored("the version comes from a tag, and no tag points at that commit"));
    }
    let is_anew = is_done(p, &push.sha);
    // It stays owed, and is asked again.
    if !p.has_room() && dropped(p, push).next().is_none() {
        return Err(Rejection::QueueFull(pipeline.clone()));
    }
    let mut facts = vec![fact(requested(push, None, is_anew))];
    facts.extend(dropped(p, push).map(fact));
    facts.push(done(None));
    let taken = Pushed::Taken { pipeline: pipeline.clone(), fact: 0, version: None };
    Ok(Decision { facts, answer: Answer::Pushed(vec![taken]) })
}

/// Whether there is a version of it to which a build must do nothing.
fn is_done(p: &PipelineState, sha: &Sha) -> bool {
    p.newest_of(sha).is_some()
}
