//! One tier as it is shown: what is current, what is inside and how far, what waits and why.

use super::backup::BackupView;
use super::node::{NodeTryView, NodeView, node_try_views, node_views};
use super::{HoldView, ProgressView};
use crate::domain::event::PromotionEnd;
use crate::domain::pipeline::{Confirm, Gate, Mode, Phase, Tier, wave_sizes};
use crate::domain::state::{
    Attempts, Confirmation, Current, GoingBack, Inside, PipelineState, Redeploy, TierState, WentBack,
};
use crate::domain::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierView {
    /// Its name.
    pub name: TierName,
    /// The definition in force has it no longer: what is inside finishes.
    pub removed: bool,
    /// The tiers that a version passes first.
    pub after: Vec<TierName>,
    /// By itself, or by a person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whose confirmation a version needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Whether something is deployed here.
    pub deploys: bool,
    /// The version that last passed, or that it was rolled back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<CurrentView>,
    /// The version that `rollback` would choose now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<VersionLabel>,
    /// The version inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<InsideView>,
    /// The way back, while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<GoingBackView>,
    /// A redeploy, while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeploy: Option<RedeployView>,
    /// The last way back, until another version passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub went_back: Option<WentBackView>,
    /// The version that is built to be adopted here: it becomes current then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopting: Option<VersionLabel>,
    /// Those in front of it, oldest first.
    pub waiting: Vec<WaitingView>,
    /// What is where.
    pub nodes: Vec<NodeView>,
    /// How many of its nodes are changed together, wave after wave, by the definition in force. None where nothing is
    /// deployed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<usize>,
    /// The backups that its gates fetched and that are kept, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backups: Vec<BackupView>,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldView>,
    /// Known keys that this release does not execute and that keep it shut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
}

/// A tier's current version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurrentView {
    /// The version.
    pub version: VersionLabel,
    /// The definition under which it passed.
    pub digest: Digest,
    /// Since when.
    pub since: Time,
}

/// The version inside a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InsideView {
    /// The version.
    pub version: VersionLabel,
    /// The definition that it finishes with.
    pub digest: Digest,
    /// Since when.
    pub at: Time,
    /// Whether a person's word let it in.
    pub by_hand: bool,
    /// In the order of the definition.
    pub gates: Vec<GateView>,
    /// In the order of the definition.
    pub nodes: Vec<NodeTryView>,
    /// How many of them are changed together, wave after wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<usize>,
    /// Who ends it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// What keeps it from going on, as it was last said: then nothing of it runs but what is tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
}

/// A gate of a version that is inside or that a tier goes back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateView {
    /// Its name.
    pub name: GateName,
    /// Its kind.
    pub gate: String,
    /// Before or after the deploy.
    pub phase: Phase,
    /// Whether it can stop anything.
    pub required: bool,
    /// How far it is.
    #[serde(flatten)]
    pub progress: ProgressView,
}

/// A tier on its way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoingBackView {
    /// The version that is left.
    pub from: VersionLabel,
    /// The version that it goes back to.
    pub to: VersionLabel,
    /// Why.
    pub cause: String,
    /// How the promotion of `from` ends; none: it had passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<PromotionEnd>,
    /// Whether some nodes could not go back: they are tried again, the tier is free but held.
    pub failed: bool,
    /// The nodes that go back, newest change first.
    pub nodes: Vec<NodeTryView>,
    /// The verify gates.
    pub gates: Vec<GateView>,
}

/// A way back that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WentBackView {
    /// The version that was left.
    pub from: VersionLabel,
    /// The version that it went back to.
    pub to: VersionLabel,
    /// Who or what began it, and why.
    pub cause: String,
    /// When it began.
    pub at: Time,
}

impl From<&WentBack> for WentBackView {
    fn from(back: &WentBack) -> WentBackView {
        let (from, to, cause) = (back.from.clone(), back.to.clone(), back.cause.clone());
        WentBackView { from, to, cause, at: back.at }
    }
}

/// A redeploy under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RedeployView {
    /// The version.
    pub version: VersionLabel,
    /// The nodes, in order.
    pub nodes: Vec<NodeTryView>,
}

/// A version that waits in front of a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingView {
    /// The version.
    pub version: VersionLabel,
    /// Everything that stands in its way; empty: it may enter.
    pub blockers: Vec<Blocker>,
    /// Whether a person lets it in.
    pub by_hand: bool,
    /// The earliest moment at which time alone lifts something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Whose word it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed_by: Vec<String>,
    /// The same, with when each was given and until when it counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmations: Vec<ConfirmationView>,
}

/// One person's word for a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmationView {
    /// Whose.
    pub by: String,
    /// When it was given.
    pub at: Time,
    /// Until when it counts; none: until the tier's part of the definition changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl TierView {
    /// All tiers of a pipeline.
    pub fn all(p: &PipelineState, now: Time, disk_full: bool) -> Vec<TierView> {
        let when = (now, disk_full);
        let empty = TierState::default();
        let defined = p.definition().map(|d| d.tiers.as_slice()).unwrap_or_default();
        let in_force = defined.iter().map(|tier| {
            TierView::of(p, &tier.name, p.tiers.get(&tier.name).unwrap_or(&empty), Some(tier), when)
        });
        let is_left = |name: &TierName, t: &TierState| {
            !defined.iter().any(|tier| tier.name == *name) && (t.current.is_some() || t.busy_with().is_some())
        };
        let left = p.tiers.iter().filter(|(name, t)| is_left(name, t));
        in_force.chain(left.map(|(name, t)| TierView::of(p, name, t, None, when))).collect()
    }

    fn of(
        p: &PipelineState,
        name: &TierName,
        t: &TierState,
        tier: Option<&Tier>,
        when: (Time, bool),
    ) -> TierView {
        TierView {
            name: name.clone(),
            removed: tier.is_none(),
            after: tier.map(|tier| tier.after.clone()).unwrap_or_default(),
            mode: tier.map(|tier| tier.promote.mode),
            confirm: tier.and_then(|tier| tier.promote.confirm.clone()),
            deploys: tier.is_some_and(|tier| tier.deploy.is_some()),
            current: t.current.as_ref().map(CurrentView::from),
            rollback_to: t.rollback_target(&p.blocked).map(|past| past.version.clone()),
            inside: t.inside.as_ref().map(|inside| inside_view(p, name, inside)),
            going_back: t.going_back.as_ref().map(|back| going_back_view(p, name, back)),
            redeploy: t.redeploy.as_ref().map(redeploy_view),
            went_back: t.went_back.as_ref().map(WentBackView::from),
            adopting: t.adopting.as_ref().map(|adopting| adopting.version.clone()),
            waiting: tier.map(|tier| waiting_views(p, t, tier, when)).unwrap_or_default(),
            nodes: node_views(t, tier),
            waves: waves(tier),
            backups: t.backups.iter().rev().map(BackupView::from).collect(),
            hold: t.hold.as_ref().map(HoldView::from),
            unsupported: tier.map(|tier| tier.unsupported.clone()).unwrap_or_default(),
        }
    }
}

fn waves(tier: Option<&Tier>) -> Vec<usize> {
    let deploy = tier.and_then(|tier| Some((tier.deploy.as_ref()?, tier.nodes.len())));
    deploy.map(|(deploy, nodes)| wave_sizes(&deploy.waves, nodes)).unwrap_or_default()
}

impl From<&Current> for CurrentView {
    fn from(current: &Current) -> CurrentView {
        CurrentView { version: current.version.clone(), digest: current.digest.clone(), since: current.since }
    }
}

pub(crate) fn inside_view(p: &PipelineState, name: &TierName, inside: &Inside) -> InsideView {
    let tier = p.tier_of(&inside.digest, name);
    let order = tier.map(|tier| tier.nodes.iter().map(|node| &node.name).collect()).unwrap_or_default();
    InsideView {
        version: inside.version.clone(),
        digest: inside.digest.clone(),
        at: inside.at,
        by_hand: inside.by_hand,
        gates: gate_views(tier, &inside.gates, |_| true),
        nodes: node_try_views(order, &inside.nodes),
        waves: waves(tier),
        ending: inside.ending.as_ref().map(|ending| ending.cause.clone()),
        blockers: p.standing(name, &inside.version).and_then(|s| s.said.clone()).unwrap_or_default(),
    }
}

pub(crate) fn going_back_view(p: &PipelineState, name: &TierName, back: &GoingBack) -> GoingBackView {
    GoingBackView {
        from: back.from.clone(),
        to: back.to.clone(),
        cause: back.cause.clone(),
        end: back.end,
        failed: back.failed,
        nodes: node_try_views(back.order.iter().collect(), &back.nodes),
        gates: gate_views(p.tier_of(&back.digest, name), &back.gates, |gate| gate.phase == Phase::Verify),
    }
}

fn redeploy_view(redeploy: &Redeploy) -> RedeployView {
    RedeployView {
        version: redeploy.version.clone(),
        nodes: node_try_views(redeploy.order.iter().collect(), &redeploy.nodes),
    }
}

fn gate_views(
    tier: Option<&Tier>,
    attempts: &BTreeMap<GateName, Attempts>,
    wanted: impl Fn(&Gate) -> bool,
) -> Vec<GateView> {
    let gates = tier.map(|tier| tier.gates.as_slice()).unwrap_or_default();
    let wanted = gates.iter().filter(|gate| wanted(gate));
    wanted
        .map(|gate| GateView {
            name: gate.name.clone(),
            gate: gate.check.kind().to_owned(),
            phase: gate.phase,
            required: gate.required,
            progress: ProgressView::of(attempts.get(&gate.name)),
        })
        .collect()
}

/// `when`: the moment, and whether the disk is full.
fn waiting_views(
    p: &PipelineState,
    t: &TierState,
    tier: &Tier,
    (now, disk_full): (Time, bool),
) -> Vec<WaitingView> {
    promotion::waiting_when(p, tier, now, disk_full)
        .into_iter()
        .map(|w| {
            let confirmations = confirmation_views(p, t, tier, &w.version, now);
            WaitingView {
                confirmed_by: confirmations.iter().map(|word| word.by.clone()).collect(),
                confirmations,
                version: w.version,
                blockers: w.blockers,
                by_hand: w.by_hand,
                until: w.until,
            }
        })
        .collect()
}

/// The words that count for a version.
pub(crate) fn confirmation_views(
    p: &PipelineState,
    t: &TierState,
    tier: &Tier,
    version: &VersionLabel,
    now: Time,
) -> Vec<ConfirmationView> {
    let words = t.standings.get(version).map(|standing| confirmation::counted(p, tier, standing, now));
    let view = |word: &Confirmation| ConfirmationView {
        by: word.by.clone(),
        at: word.at,
        until: confirmation::lapses_at(tier, word),
    };
    words.into_iter().flatten().map(view).collect()
}
