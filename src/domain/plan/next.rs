//! The way of the next version, tier by tier. Where it stands still, what stands in its way is noted and then done: time
//! passes, somebody gives their word. What nobody can lift ends the plan there.

use super::trial::{NEXT, Trial};
use crate::domain::Time;
use crate::domain::blocker::Blocker;
use crate::domain::command::{Command, Deed, News, Push};
use crate::domain::event::Event;
use crate::domain::id::*;
use crate::domain::pipeline::{Phase, Pipeline, Tier};
use crate::domain::promotion::waiting;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version stands still at most so often.
const STOPS_LIMIT: usize = 500;

/// What the next version would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NextVersion {
    /// Everything that its build would have to wait for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Blocker>,
    /// The build's steps, in rounds: those of one round run side by side.
    pub steps: Vec<Vec<StepName>>,
    /// The tiers, in the order of the file.
    pub tiers: Vec<TierPlan>,
}

/// What the next version would do in a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierPlan {
    /// The tier.
    pub tier: TierName,
    /// Everything that it would have to wait for.
    pub waits_for: Vec<Blocker>,
    /// Gates before the deploy, in rounds.
    pub check: Vec<Vec<GateName>>,
    /// Nodes, in waves.
    pub waves: Vec<Vec<NodeName>>,
    /// Gates after the deploy, in rounds.
    pub verify: Vec<Vec<GateName>>,
    /// How it comes out, if every run passes.
    pub ends: Ends,
}

/// How a version comes out of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// It passes.
    Passes,
    /// It waits for something that neither time nor a person's word lifts.
    Shut,
    /// It does not come so far.
    NotReached,
}

/// Follows the next version to its end.
pub(super) fn version(trial: &mut Trial, definition: &Pipeline) -> NextVersion {
    let tiers = definition.tiers.iter().map(TierPlan::empty).collect();
    // There being room is waited for first of all.
    let waits_for = if trial.make_room() { vec![Blocker::DiskFull] } else { Vec::new() };
    let mut next = NextVersion { waits_for, steps: Vec::new(), tiers };
    // What is under way goes first.
    trial.rest();
    push(trial, definition);
    for _ in 0..STOPS_LIMIT {
        for round in trial.rest() {
            next.note(&round);
        }
        if !trial.may_look() || !go_on(trial, definition, &mut next) {
            break;
        }
    }
    next
}

fn push(trial: &mut Trial, definition: &Pipeline) {
    let request = EventId(trial.last().0 + 1);
    trial.looks_at(request);
    let push = Push {
        pipeline: definition.name.clone(),
        // No commit has this name.
        sha: "f".repeat(40).into(),
        ref_name: None,
        old: None,
        news: News::Told,
        author: String::new(),
        subject: String::new(),
        emails: Vec::new(),
        ref_taken: true,
        touched: true,
        tag_missing: false,
    };
    trial.tell(&Command::Push { by: None, why: None, again: true, pushes: vec![push] });
}

impl TierPlan {
    fn empty(tier: &Tier) -> TierPlan {
        TierPlan {
            tier: tier.name.clone(),
            waits_for: Vec::new(),
            check: Vec::new(),
            waves: Vec::new(),
            verify: Vec::new(),
            ends: Ends::NotReached,
        }
    }
}

impl NextVersion {
    fn tier(&mut self, name: &TierName) -> Option<&mut TierPlan> {
        self.tiers.iter_mut().find(|tier| tier.tier == *name)
    }

    /// Notes what of a round is the version's.
    fn note(&mut self, round: &[Event]) {
        let is_next = |version: &VersionLabel| *version == NEXT;
        let mut steps = Vec::new();
        for event in round {
            match event {
                Event::StepStart { version, step, .. } if is_next(version) => steps.push(step.clone()),
                Event::PromoteComplete { tier, version, .. } if is_next(version) => {
                    self.tier(tier).into_iter().for_each(|tier| tier.ends = Ends::Passes);
                }
                _ => {}
            }
        }
        self.steps.extend(Some(steps).filter(|steps| !steps.is_empty()));
        for tier in &mut self.tiers {
            let gates = |phase: Phase| -> Vec<GateName> {
                let started = round.iter().filter_map(|event| match event {
                    Event::GateStart { tier: at, version, name, phase: of, .. }
                        if *at == tier.tier && is_next(version) && *of == phase =>
                    {
                        Some(name.clone())
                    }
                    _ => None,
                });
                started.collect()
            };
            let nodes: Vec<NodeName> = round
                .iter()
                .filter_map(|event| match event {
                    Event::DeployStart { tier: at, version, node, .. }
                        if *at == tier.tier && is_next(version) =>
                    {
                        Some(node.clone())
                    }
                    _ => None,
                })
                .collect();
            let (check, verify) = (gates(Phase::Check), gates(Phase::Verify));
            tier.check.extend(Some(check).filter(|round| !round.is_empty()));
            tier.waves.extend(Some(nodes).filter(|round| !round.is_empty()));
            tier.verify.extend(Some(verify).filter(|round| !round.is_empty()));
        }
    }
}

/// Lifts what keeps the version; whether anything was lifted.
fn go_on(trial: &mut Trial, definition: &Pipeline, next: &mut NextVersion) -> bool {
    let mut any = false;
    let mut moments: Vec<Time> = Vec::new();
    for tier in &definition.tiers {
        let Some(blockers) = blockers_of(trial, tier, &NEXT.into()) else { continue };
        if let Some(plan) = next.tier(&tier.name) {
            plan.ends = Ends::Shut;
            for blocker in &blockers {
                if !plan.waits_for.iter().any(|known| known.without_times() == blocker.without_times()) {
                    plan.waits_for.push(blocker.clone());
                }
            }
        }
        any |= lift(trial, tier, &NEXT.into(), &blockers, &mut moments, definition.tiers.len() + 8);
    }
    // Time passes only when nothing else helps.
    any || moments.into_iter().min().is_some_and(|moment| trial.wait_until(moment))
}

/// What keeps a version that waits in front of a tier.
fn blockers_of(trial: &Trial, tier: &Tier, version: &VersionLabel) -> Option<Vec<Blocker>> {
    let all = waiting(trial.pipeline()?, tier, trial.now);
    all.into_iter().find(|one| one.version == *version).map(|one| one.blockers)
}

fn lift(
    trial: &mut Trial,
    tier: &Tier,
    version: &VersionLabel,
    blockers: &[Blocker],
    moments: &mut Vec<Time>,
    depth: usize,
) -> bool {
    if blockers.iter().any(|blocker| matches!(blocker, Blocker::Unsupported { .. })) || depth == 0 {
        return false;
    }
    let (name, version) = (tier.name.clone(), version.clone());
    let mut any = false;
    let times = blockers.iter().filter_map(Blocker::until).collect::<Vec<_>>();
    for blocker in blockers {
        any |= match blocker {
            Blocker::ConfirmMissing { have, need } => confirm(trial, &name, &version, need - have),
            // A person's word would lift soak and windows, too: they are waited for first.
            Blocker::Manual if times.is_empty() => {
                let deed = Deed::Promote { tier: name.clone(), version: version.clone(), lift: false };
                trial.by_hand("person-1", deed)
            }
            Blocker::Hold { .. } => {
                let of_tier = trial.by_hand("person-1", Deed::Resume { tier: Some(name.clone()) });
                trial.by_hand("person-1", Deed::Resume { tier: None }) || of_tier
            }
            Blocker::Behind { version: other } => match blockers_of(trial, tier, other) {
                Some(before) => lift(trial, tier, other, &before, moments, depth - 1),
                None => false,
            },
            Blocker::TierBusy { .. } => trial.wait(),
            _ => false,
        };
    }
    moments.extend(times);
    any
}

/// So many people give their word who have not given it; whether any did.
fn confirm(trial: &mut Trial, tier: &TierName, version: &VersionLabel, missing: u32) -> bool {
    // Not every person of an earlier round has lapsed when another one is needed.
    let people = (1..=200).map(|number| format!("person-{number}"));
    let deed = || Deed::Confirm { tier: tier.clone(), version: version.clone() };
    people.filter(|person| trial.by_hand(person, deed())).take(missing as usize).count() > 0
}
