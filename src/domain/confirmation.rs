//! Confirmations: whose word counts for a version in front of a tier, how long, and what makes it void (rule 12).
//!
//! A word binds a person to what was asked of them: this version, in this tier, under the tier's part of the definition
//! as it was. People are told apart by the name of their token and by their address, so that somebody with two tokens is
//! one person.

use super::Time;
use super::command::Actor;
use super::event::VoidReason;
use super::id::*;
use super::pipeline::{Check, Tier};
use super::role::Role;
use super::state::{Confirmation, PipelineState, Standing, TierState, Version};

/// The words that count at that moment, one a person: neither lapsed nor given under other rules.
pub fn counted<'a>(
    p: &PipelineState,
    tier: &Tier,
    standing: &'a Standing,
    now: Time,
) -> Vec<&'a Confirmation> {
    let mut found: Vec<&Confirmation> = Vec::new();
    for word in &standing.confirmations {
        let is_new = !found.iter().any(|other| is_of(other, &word.by, word.email.as_deref()));
        if is_new && why_void(p, tier, word, now).is_none() {
            found.push(word);
        }
    }
    found
}

/// Words that were given and count no longer, with whose they are: none of that was said yet.
pub fn void(
    p: &PipelineState,
    tier: &Tier,
    standing: &Standing,
    now: Time,
) -> Vec<(VoidReason, Vec<String>)> {
    let of = |reason: VoidReason| {
        let words = standing.confirmations.iter();
        let void = words.filter(|word| why_void(p, tier, word, now) == Some(reason));
        let whose: Vec<String> = void.map(|word| word.by.clone()).collect();
        (!whose.is_empty()).then_some((reason, whose))
    };
    [VoidReason::Edited, VoidReason::Expired].into_iter().filter_map(of).collect()
}

/// When a word lapses; none: never.
pub fn lapses_at(tier: &Tier, word: &Confirmation) -> Option<Time> {
    let expires = tier.promote.confirm.as_ref()?.expires?;
    Some(word.at + expires.delta())
}

/// Whether a word is that person's.
pub fn is_of(word: &Confirmation, name: &str, email: Option<&str>) -> bool {
    word.by == name || is_same(word.email.as_deref(), email)
}

/// The weakest role that may confirm for a tier. What is done by hand takes an operator in any case.
pub fn role_needed(tier: &Tier) -> Role {
    let roles = tier.promote.confirm.iter().flat_map(|rule| rule.roles.iter().copied());
    roles.min().unwrap_or(Role::Operator).max(Role::Operator)
}

/// Whether somebody is an author of a version: they asked for its build, adopted it, or wrote or committed its commit.
pub fn is_author(version: &Version, actor: &Actor) -> bool {
    let email = actor.email.as_deref();
    // Older releases noted only the last one who asked.
    let asked = version.by.as_deref() == Some(&actor.name)
        || version
            .askers
            .iter()
            .any(|asker| asker.name == actor.name || is_same(asker.email.as_deref(), email));
    asked || version.emails.iter().any(|address| is_same(Some(address), email))
}

/// Whether two addresses are one. Mail may tell apart what differs in case only; somebody who counts twice is worse than
/// two who count once.
fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one.to_lowercase() == other.to_lowercase())
}

/// Notes that words still count under the definition that has come into force, where it says the same: names may change
/// one after the other, and each change is understood only beside the definition just before it.
pub(super) fn carry_over(p: &mut PipelineState) {
    let Some(in_force) = p.in_force.clone() else { return };
    for tier in &in_force.definition.tiers {
        let standings = p.tiers.get(&tier.name).into_iter().flat_map(|t| &t.standings);
        let words = standings.flat_map(|(_, standing)| &standing.confirmations);
        let mut known: Vec<Digest> = words.map(|word| word.digest.clone()).collect();
        known.dedup();
        known
            .retain(|digest| p.tier_of(digest, &tier.name).is_some_and(|then| means_the_same(p, then, tier)));
        if known.is_empty() {
            continue;
        }
        let standings = p.tiers.get_mut(&tier.name).into_iter().flat_map(|t| t.standings.values_mut());
        let words = standings.flat_map(|standing| &mut standing.confirmations);
        words
            .filter(|word| known.contains(&word.digest))
            .for_each(|word| word.digest = in_force.digest.clone());
    }
}

fn why_void(p: &PipelineState, tier: &Tier, word: &Confirmation, now: Time) -> Option<VoidReason> {
    let is_kept = p.tier_of(&word.digest, &tier.name).is_some_and(|then| means_the_same(p, then, tier));
    if !is_kept {
        return Some(VoidReason::Edited);
    }
    lapses_at(tier, word).is_some_and(|moment| moment <= now).then_some(VoidReason::Expired)
}

/// Whether a tier's part of two definitions, one after the other, says the same: other names for the same tiers and nodes change nothing, nor
/// does what a release executes of it.
fn means_the_same(p: &PipelineState, then: &Tier, now: &Tier) -> bool {
    if then == now {
        return true;
    }
    let mut then = then.clone();
    then.name = now.name.clone();
    then.was = now.was.clone();
    then.unsupported = now.unsupported.clone();
    for (before, name) in then.after.iter_mut().zip(&now.after) {
        if p.tiers.get(name).is_some_and(|t: &TierState| t.formerly.contains(before)) {
            *before = name.clone();
        }
    }
    for (node, renamed) in then.nodes.iter_mut().zip(&now.nodes) {
        if renamed.was.as_ref() == Some(&node.name) {
            rename_in_gates(&mut then.gates, &node.name, &renamed.name);
            node.name = renamed.name.clone();
        }
        node.was = renamed.was.clone();
    }
    then == *now
}

fn rename_in_gates(gates: &mut [super::pipeline::Gate], was: &NodeName, name: &NodeName) {
    for gate in gates {
        if let Check::Backup { node, .. } = &mut gate.check
            && node == was
        {
            *node = name.clone();
        }
    }
}
