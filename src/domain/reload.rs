//! What a definition that comes into force changes in the state: names that go on, and definitions that are let go.

use super::id::{EventId, PipelineName, TierName};
use super::pipeline::{Pipeline, Schedule};
use super::state::{InForce, PipelineState, Place, ScheduleState, State, Task, TierState};

/// Puts a definition in force: takes over what had the names in `was`, and lets go of definitions nobody needs.
pub(super) fn load(state: &mut State, in_force: InForce, id: EventId) {
    let names: Vec<PipelineName> =
        std::iter::once(&in_force.definition.name).chain(&in_force.definition.was).cloned().collect();
    state.keeping_holdings(&names, |state| put_in_force(state, in_force, id));
}

fn put_in_force(state: &mut State, in_force: InForce, id: EventId) {
    let definition = in_force.definition.clone();
    state.rejected.remove(&in_force.file);
    if let Some(was) = definition
        .was
        .as_ref()
        .filter(|was| !state.pipelines.contains_key(&definition.name) && **was != definition.name)
        && let Some(mut moved) = state.pipelines.remove(was)
    {
        if moved.names.is_empty() {
            // It is from a release that did not note them.
            moved.names.push((EventId(0), was.clone()));
        }
        moved.names.push((id, definition.name.clone()));
        rename_running(state, was, &definition.name);
        state.pipelines.insert(definition.name.clone(), moved);
    }
    if !state.pipelines.contains_key(&definition.name) {
        let mut new = PipelineState::empty(free_home(state, &definition.name, id));
        new.names.push((id, definition.name.clone()));
        state.pipelines.insert(definition.name.clone(), new);
    }
    let p = state.pipelines.get_mut(&definition.name).expect("BUG: it was put there just now");
    for tier in &definition.tiers {
        if let Some(was) = &tier.was
            && !p.tiers.contains_key(&tier.name)
            && let Some(mut moved) = p.tiers.remove(was)
        {
            moved.formerly.push(was.clone());
            p.tiers.insert(tier.name.clone(), moved);
            let running = state.running.values_mut().filter(|place| place.pipeline == definition.name);
            running.for_each(|place| rename_tier(place, was, &tier.name));
        }
        let t = p.tiers.entry(tier.name.clone());
        let t = t.or_insert_with(|| TierState { born: id, ..TierState::default() });
        for node in &tier.nodes {
            if let Some(was) = &node.was
                && !t.nodes.contains_key(&node.name)
                && let Some(moved) = t.nodes.remove(was)
            {
                t.nodes.insert(node.name.clone(), moved);
            }
        }
    }
    if p.definition().is_some_and(|before| before.source.repo != definition.source.repo) {
        // What a forge told is about the repository of before.
        p.looks.clear();
    }
    // What nobody looked for meanwhile, or nobody wanted, stood there before.
    p.is_looked_over &= p.definition().is_some_and(|before| {
        let (before, now) = (&before.source, &definition.source);
        now.poll.is_some() && before.repo == now.repo && before.refs == now.refs
    });
    follow_schedules(p, &in_force);
    p.known.insert(in_force.digest.clone(), definition);
    p.in_force = Some(in_force);
    super::confirmation::carry_over(p);
    p.let_go_of_definitions();
}

/// A schedule that was in force until now goes on; one that is new, or comes back with its file, begins now.
fn follow_schedules(p: &mut PipelineState, in_force: &InForce) {
    let mut before = std::mem::take(&mut p.schedules);
    let was_in_force = |it: &Schedule| p.definition().is_some_and(|d| executed(d).contains(it));
    before.retain(|it| was_in_force(&it.schedule));
    for schedule in executed(&in_force.definition) {
        if p.schedules.iter().any(|other| other.schedule == *schedule) {
            continue;
        }
        let known = before.iter().find(|it| it.schedule == *schedule).cloned();
        p.schedules.push(known.unwrap_or_else(|| ScheduleState::new(schedule.clone(), in_force.at)));
    }
}

/// The schedules of a definition. The first releases knew them and did not execute them.
fn executed(definition: &Pipeline) -> &[Schedule] {
    match definition.unsupported.iter().any(|key| key == "schedule") {
        true => &[],
        false => &definition.schedule,
    }
}

/// The pipeline's name, unless the folders of that name belong to one that was called so before.
fn free_home(state: &State, name: &PipelineName, id: EventId) -> PipelineName {
    match state.is_home(name) {
        true => format!("{name}@{id}").into(),
        false => name.clone(),
    }
}

fn rename_tier(place: &mut Place, was: &TierName, name: &TierName) {
    match &mut place.task {
        Task::Gate(tier, _) | Task::Deploy(tier, _, _) if tier == was => *tier = name.clone(),
        _ => {}
    }
}

fn rename_running(state: &mut State, was: &PipelineName, name: &PipelineName) {
    for place in state.running.values_mut().filter(|place| place.pipeline == *was) {
        place.pipeline = name.clone();
    }
}
