//! Definition files that load, do not load, or are gone (rules 27 to 32).

use super::Decision;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::event::{Event, Fact};
use crate::domain::id::*;
use crate::domain::pipeline::{Pipeline, Tier};
use crate::domain::state::{PipelineState, State};
use std::sync::Arc;

pub(super) fn load(
    state: &State,
    file: &str,
    digest: &Digest,
    text: &str,
    definition: &Arc<Pipeline>,
) -> Decision {
    let known = state.pipelines.get(&definition.name);
    let in_force = known.and_then(|p| p.in_force.as_ref());
    let unchanged = in_force.is_some_and(|f| f.file == file && *f.definition == **definition);
    let was_rejected = state.rejected.contains_key(file);
    if unchanged && !was_rejected {
        return Decision::already();
    }
    let before = definition.was.as_ref().and_then(|was| state.pipelines.get(was));
    let mut changes = match known.or(before) {
        Some(p) => changes(p, definition),
        None => vec![format!("pipeline `{}` is new", definition.name)],
    };
    if let (Some(_), Some(was), Some(_)) = (known, &definition.was, before) {
        changes.push(format!("`was` moves nothing: `{}` was known before beside `{was}`", definition.name));
    }
    let moves = known.is_none() && before.is_some();
    let mut facts = removed_by_another_name(state, file, definition, moves);
    facts.push(Fact::of(
        &definition.name,
        Event::PipelineLoaded {
            digest: digest.clone(),
            changes,
            file: file.into(),
            text: text.into(),
            definition: definition.clone(),
        },
    ));
    Decision::done(facts)
}

/// A file that now holds a pipeline of another name no longer holds the one that it held, unless that one `moves` to the
/// new name.
fn removed_by_another_name(state: &State, file: &str, definition: &Pipeline, moves: bool) -> Vec<Fact> {
    let held = state.held_in(file).into_iter();
    let goes_on = |name: &PipelineName| moves && Some(name) == definition.was.as_ref();
    let others = held.filter(|(name, _)| **name != definition.name && !goes_on(name));
    others.filter_map(|(name, p)| removal(name, p)).collect()
}

pub(super) fn reject(state: &State, file: &str, diagnostics: &[Diagnostic]) -> Decision {
    if state.rejected.get(file).is_some_and(|r| r.diagnostics == diagnostics) {
        return Decision::already();
    }
    let held = state.held_in(file);
    let event = Event::PipelineRejected { file: file.into(), diagnostics: diagnostics.to_vec() };
    let pipeline = held.first().map(|(name, _)| (*name).clone());
    Decision::done(vec![Fact { pipeline, by: None, why: None, event }])
}

pub(super) fn remove(state: &State, file: &str) -> Decision {
    let held = state.held_in(file);
    let mut facts = Vec::new();
    if state.rejected.contains_key(file) {
        let event = Event::PipelineRejected { file: file.into(), diagnostics: Vec::new() };
        let pipeline = held.first().map(|(name, _)| (*name).clone());
        facts.push(Fact { pipeline, by: None, why: None, event });
    }
    facts.extend(held.into_iter().filter_map(|(name, p)| removal(name, p)));
    if facts.is_empty() { Decision::already() } else { Decision::done(facts) }
}

fn removal(name: &PipelineName, p: &PipelineState) -> Option<Fact> {
    let in_force = p.in_force.as_ref()?;
    let mut changes = vec![format!("pipeline `{name}` is removed")];
    for tier in &in_force.definition.tiers {
        changes.extend(what_finishes(p, tier));
        changes.extend(what_no_longer_waits(p, tier));
    }
    Some(Fact::of(name, Event::PipelineRemoved { digest: in_force.digest.clone(), changes }))
}

fn what_finishes(p: &PipelineState, tier: &Tier) -> Option<String> {
    let inside = p.tiers.get(&tier.name)?.inside.as_ref()?;
    Some(format!("version `{}` inside tier `{}` finishes", inside.version, tier.name))
}

fn what_no_longer_waits(p: &PipelineState, tier: &Tier) -> Vec<String> {
    // The moment matters only to blockers, which are not asked here.
    let waiting = crate::domain::promotion::waiting(p, tier, chrono::DateTime::UNIX_EPOCH);
    waiting
        .iter()
        .map(|w| format!("version `{}` no longer waits for tier `{}`", w.version, tier.name))
        .collect()
}

/// What differs between what was in force and a new definition, for people.
fn changes(p: &PipelineState, new: &Pipeline) -> Vec<String> {
    let Some(old) = p.definition() else {
        return vec![format!("pipeline `{}` is back", new.name)];
    };
    let mut found = Vec::new();
    if old.name != new.name {
        found.push(format!("pipeline `{}` is now `{}`", old.name, new.name));
    }
    let mut differs = |what: &str, changed: bool| {
        if changed {
            found.push(format!("{what} changed"));
        }
    };
    differs("description", old.description != new.description);
    differs("source", old.source != new.source);
    differs("version rule", old.version != new.version);
    differs("environment", old.env != new.env);
    differs("secrets", old.secrets != new.secrets);
    differs("build", old.build != new.build);
    differs("notices", old.notify != new.notify);
    differs("schedule", old.schedule != new.schedule);
    differs("tests", old.tests != new.tests);
    for tier in &new.tiers {
        let before = old.tier(&tier.name).or_else(|| tier.was.as_ref().and_then(|was| old.tier(was)));
        match before {
            None => found.push(format!("tier `{}` is new", tier.name)),
            Some(before) => found.extend(tier_changes(before, tier)),
        }
    }
    let kept = |name: &TierName| new.tiers.iter().any(|t| t.name == *name || t.was.as_ref() == Some(name));
    for gone in old.tiers.iter().filter(|t| !kept(&t.name)) {
        found.push(format!("tier `{}` is removed", gone.name));
        found.extend(what_finishes(p, gone));
        found.extend(what_no_longer_waits(p, gone));
    }
    found
}

fn tier_changes(old: &Tier, new: &Tier) -> Vec<String> {
    let name = &new.name;
    let mut found = Vec::new();
    if old.name != new.name {
        found.push(format!("tier `{}` is now `{name}`", old.name));
    }
    let mut differs = |what: &str, changed: bool| {
        if changed {
            found.push(format!("tier `{name}`: {what} changed"));
        }
    };
    differs("what it comes after", old.after != new.after);
    differs("promotion rule", old.promote != new.promote);
    differs("deploy", old.deploy != new.deploy);
    for node in &new.nodes {
        match old.node(&node.name).or_else(|| node.was.as_ref().and_then(|was| old.node(was))) {
            None => {
                found.push(format!("tier `{name}`: node `{}` is new, and waits for a version", node.name))
            }
            Some(before) if before != node => {
                found.push(format!("tier `{name}`: node `{}` changed", node.name));
            }
            Some(_) => {}
        }
    }
    let node_kept =
        |gone: &NodeName| new.nodes.iter().any(|n| n.name == *gone || n.was.as_ref() == Some(gone));
    let nodes_gone = old.nodes.iter().filter(|n| !node_kept(&n.name));
    found.extend(nodes_gone.map(|n| format!("tier `{name}`: node `{}` is removed", n.name)));
    for gate in &new.gates {
        match old.gate(&gate.name) {
            None => found.push(format!("tier `{name}`: gate `{}` is new", gate.name)),
            Some(before) if before != gate => {
                found.push(format!("tier `{name}`: gate `{}` changed", gate.name));
            }
            Some(_) => {}
        }
    }
    let gates_gone = old.gates.iter().filter(|g| new.gate(&g.name).is_none());
    found.extend(gates_gone.map(|g| format!("tier `{name}`: gate `{}` is removed", g.name)));
    found
}
