//! Looks at refs: those that are owed to a forge, from its answer until git has said where the ref stands (rule 1); the
//! first that saw all there are; and refs that are not there any more.

use super::Decision;
use crate::domain::command::{Actor, Answer};
use crate::domain::event::{Event, Fact};
use crate::domain::id::*;
use crate::domain::rejection::Rejection;
use crate::domain::state::{PipelineState, State};

/// One is owed for each of these pipelines. One that is owed for the ref already and has not begun is as good. Where as
/// many as may are owed, none is for another ref, for none of them: nobody is told that they were heard who was not.
pub(super) fn owe(
    state: &State,
    by: &Actor,
    pipelines: &[(PipelineName, Option<EventId>)],
    ref_name: &RefName,
    sha: &Sha,
) -> Result<Decision, Rejection> {
    let is_full = |name: &PipelineName| {
        let p = state.pipelines.get(name).filter(|p| p.in_force.is_some());
        p.is_some_and(|p| !p.has_room_for_a_look() && !p.looks.contains_key(ref_name))
    };
    if let Some((full, _)) = pipelines.iter().find(|(name, _)| is_full(name)) {
        return Err(Rejection::QueueFull(full.clone()));
    }
    let is_owed = |name: &PipelineName, begun: Option<EventId>| {
        let look = state.pipelines.get(name).and_then(|p| p.looks.get(ref_name));
        look.is_some_and(|look| begun.is_none_or(|begun| look.id > begun))
    };
    let in_force =
        pipelines.iter().filter(|(name, _)| state.pipelines.get(name).is_some_and(|p| p.in_force.is_some()));
    let facts = in_force.filter(|(name, begun)| !is_owed(name, *begun)).map(|(name, _)| Fact {
        by: Some(by.name.clone()),
        ..Fact::of(name, Event::LookOwed { ref_name: ref_name.clone(), sha: sha.clone() })
    });
    Ok(Decision { facts: facts.collect(), answer: Answer::Done })
}

/// It came to its end. One that took its place meanwhile is owed still.
pub(super) fn done(
    state: &State,
    pipeline: &PipelineName,
    ref_name: &RefName,
    owed: EventId,
    reason: Option<&str>,
) -> Decision {
    let look = state.pipelines.get(pipeline).and_then(|p| p.looks.get(ref_name));
    if look.is_none_or(|look| look.id != owed) {
        return Decision::already();
    }
    let reason = reason.map(str::to_owned);
    Decision::done(vec![Fact::of(pipeline, Event::LookDone { ref_name: ref_name.clone(), owed, reason })])
}

/// Everything was looked at: worth a word once under each source. A look under a definition that is no longer in force
/// says nothing about the one that is.
pub(super) fn over(state: &State, pipeline: &PipelineName, digest: &Digest) -> Decision {
    let is_first = |p: &PipelineState| {
        !p.is_looked_over && p.in_force.as_ref().is_some_and(|in_force| in_force.digest == *digest)
    };
    match state.pipelines.get(pipeline).is_some_and(is_first) {
        true => Decision::done(vec![Fact::of(pipeline, Event::LookedOver)]),
        false => Decision::already(),
    }
}

/// Refs that are gone are forgotten, unless they were seen elsewhere since.
pub(super) fn forget(state: &State, pipeline: &PipelineName, gone: &[(RefName, Sha)]) -> Decision {
    let known = state.pipelines.get(pipeline).map(|p| &p.refs);
    let is_so = |(name, seen): &&(RefName, Sha)| {
        known.and_then(|refs| refs.get(name)).is_some_and(|head| head.seen == *seen)
    };
    let refs: Vec<RefName> = gone.iter().filter(is_so).map(|(name, _)| name.clone()).collect();
    match refs.is_empty() {
        true => Decision::already(),
        false => Decision::done(vec![Fact::of(pipeline, Event::RefsForgotten { refs })]),
    }
}
