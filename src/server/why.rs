//! `GET /api/pipelines/{p}/tiers/{t}/why`: what a version waits for on its way to a tier, tier by tier.

use super::Server;
use super::asking::Parameters;
use super::problem::Problem;
use super::state::settled;
use super::view::{
    ConfirmationView, CurrentView, GoingBackView, HoldView, InsideView, StandingView, StandstillView,
    WentBackView, confirmation_views, going_back_view, inside_view, standing_view,
};
use crate::domain::pipeline::{Confirm, Pipeline, Tier};
use crate::domain::state::{GoingBack, PipelineState, Request, Stage, TierState, Version};
use crate::domain::{
    Blocker, EventId, GateName, PipelineName, Rejection, RunId, Sha, TierName, Time, VersionLabel, promotion,
};
use crate::engine::Standstill;
use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// What a version waits for on its way to a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// The last event that is folded in.
    pub id: EventId,
    /// When it was looked at.
    pub at: Time,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The tier.
    pub tier: TierName,
    /// The version.
    pub version: VersionLabel,
    /// Whether it has passed the tier.
    pub passed: bool,
    /// The tier's current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<CurrentView>,
    /// The tier's last way back, until another version passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub went_back: Option<WentBackView>,
    /// How far its build is; none: it is built, or was adopted and nobody builds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Unbuilt>,
    /// What was asked for later and is not built, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newer: Vec<Unbuilt>,
    /// Why nothing new begins now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<StandstillView>,
    /// The tiers before it and itself, in the order of the definition.
    pub chain: Vec<WhyTier>,
}

/// Something that is not built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unbuilt {
    /// The commit.
    pub sha: Sha,
    /// What it is called; none: its build has not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionLabel>,
    /// How far it is.
    pub stage: UnbuiltStage,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What keeps it from beginning, or from going on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
}

/// How far something is that is not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnbuiltStage {
    /// It waits to be built.
    Queued,
    /// Its build is under way.
    Building,
    /// Its build failed.
    Failed,
    /// Its build was ended.
    Aborted,
}

/// One tier on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyTier {
    /// The tier.
    pub tier: TierName,
    /// Where the version stands in it; none: it has not come to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingView>,
    /// What stands in its way there; empty: nothing, or it is through.
    pub blockers: Vec<Blocker>,
    /// Who holds the tier itself; a hold of the pipeline stands only among the blockers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldView>,
    /// How far it is, while it is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<InsideView>,
    /// How far the tier is on its way back from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<GoingBackView>,
    /// The earliest moment at which time alone lifts one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// The gates that could not judge it when it was inside last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unjudged: Vec<Unjudged>,
    /// Whose confirmation it needs there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Whose word it has there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmations: Vec<ConfirmationView>,
}

/// A gate that could not judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unjudged {
    /// The gate.
    pub gate: GateName,
    /// Its last run there, whose log says more.
    pub run_id: RunId,
}

impl WhyView {
    /// Of a state, at that time. None: there is no such pipeline, tier or version, or nothing was ever built.
    pub fn of(
        state: &crate::domain::State,
        pipeline: &PipelineName,
        tier: &TierName,
        version: Option<&VersionLabel>,
        now: Time,
    ) -> Option<WhyView> {
        explain(state, pipeline.clone(), tier.clone(), version.cloned(), now, None).ok()
    }
}

impl WhyTier {
    /// Whether the version may still come through the tier by itself.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.standing, None | Some(StandingView::Waiting | StandingView::Inside))
    }
}

/// Why a version is not (yet) through a tier. Without `version`: the newest that is not.
pub(super) async fn why(
    State(server): State<Arc<Server>>,
    Path((pipeline, tier)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<WhyView>, Problem> {
    let parameters = parameters.only(&["version"])?;
    let version = parameters.one("version")?.map(VersionLabel::from);
    let now = server.options.clock.now();
    let (pipeline, tier) = (PipelineName::from(pipeline), TierName::from(tier));
    let standstill = server.engine.standstill();
    let view = settled(&server, |state| explain(state, pipeline, tier, version, now, standstill.as_ref()));
    Ok(Json(view.await??))
}

fn explain(
    state: &crate::domain::State,
    pipeline: PipelineName,
    tier: TierName,
    version: Option<VersionLabel>,
    now: Time,
    standstill: Option<&Standstill>,
) -> Result<WhyView, Problem> {
    let known = state.pipeline(&pipeline).and_then(|p| Some((p, p.definition()?)));
    let (p, definition) = known.ok_or_else(|| Rejection::UnknownPipeline(pipeline.clone()))?;
    if definition.tier(&tier).is_none() {
        return Err(Rejection::UnknownTier(pipeline, tier).into());
    }
    let version = match version {
        Some(version) if p.versions.contains_key(&version) => version,
        Some(version) => return Err(Rejection::UnknownVersion(pipeline, version).into()),
        None => newest_under_way(p, &tier).ok_or_else(|| nothing_to_show(p, standstill))?,
    };
    let mut chain: Vec<WhyTier> =
        way_to(definition, &tier).into_iter().map(|tier| step(p, tier, &version, now)).collect();
    let disk_full = standstill.is_some_and(Standstill::is_disk_full);
    if disk_full {
        chain.iter_mut().filter(|one| one.goes_on()).for_each(|one| one.blockers.push(Blocker::DiskFull));
    }
    Ok(WhyView {
        id: state.last,
        at: now,
        passed: p.has_passed(&tier, &version),
        current: p.tiers.get(&tier).and_then(|t| t.current.as_ref()).map(CurrentView::from),
        went_back: p.tiers.get(&tier).and_then(|t| t.went_back.as_ref()).map(WentBackView::from),
        build: p.versions.get(&version).and_then(|v| unbuilt(p, &version, v, disk_full)),
        newer: newer(p, p.order(&version), disk_full),
        standstill: standstill.map(StandstillView::from),
        pipeline,
        tier,
        version,
        chain,
    })
}

/// Of the versions newer than the tier's current one: the newest that neither passed nor is out, else the newest, which
/// was rolled back or rejected. Else the current one, or the newest there is.
fn newest_under_way(p: &PipelineState, tier: &TierName) -> Option<VersionLabel> {
    let is_under_way =
        |version: &&VersionLabel| p.standing(tier, version).is_none_or(|s| s.verdict.is_none());
    let current = p.tiers.get(tier).and_then(|t| t.current.as_ref()).map(|current| &current.version);
    let order = current.map_or(EventId(0), |version| p.order(version));
    let newer = || p.built.range((Excluded(order), Unbounded)).map(|(_, label)| label).rev();
    let newest = || p.versions.iter().max_by_key(|(_, version)| version.order).map(|(label, _)| label);
    newer().find(is_under_way).or_else(|| newer().next()).or(current).or_else(newest).cloned()
}

/// Nothing was ever built; maybe something will be.
fn nothing_to_show(p: &PipelineState, standstill: Option<&Standstill>) -> Problem {
    match p.queue.front() {
        Some(request) if standstill.is_none() => Problem::first_build_waits(&request.sha),
        _ => Problem::nothing_built(standstill),
    }
}

fn unbuilt(p: &PipelineState, label: &VersionLabel, version: &Version, disk_full: bool) -> Option<Unbuilt> {
    let (stage, cause) = match &version.stage {
        // What that comes to is said tier by tier.
        Stage::Built | Stage::Adopted => return None,
        Stage::Building => (UnbuiltStage::Building, None),
        Stage::Failed(cause) => (UnbuiltStage::Failed, Some(cause.clone())),
        Stage::Aborted => (UnbuiltStage::Aborted, None),
    };
    let is_under_way = stage == UnbuiltStage::Building;
    let blockers = if is_under_way { promotion::build_blockers(p, disk_full) } else { Vec::new() };
    Some(Unbuilt { sha: version.sha.clone(), version: Some(label.clone()), stage, cause, blockers })
}

/// What was asked for after that request and is not built, newest first.
fn newer(p: &PipelineState, than: EventId, disk_full: bool) -> Vec<Unbuilt> {
    let kept = promotion::queue_blockers(p, disk_full);
    let is_newer = |request: &&Request| request.anew || p.adopted_of(&request.sha).is_none();
    let queued = p.queue.iter().filter(|request| request.id > than).filter(is_newer).map(|request| {
        let sha = request.sha.clone();
        let blockers = kept.clone();
        (request.id, Unbuilt { sha, version: None, stage: UnbuiltStage::Queued, cause: None, blockers })
    });
    let begun = p.versions.iter().filter(|(_, version)| version.order > than);
    let begun =
        begun.filter_map(|(label, version)| Some((version.order, unbuilt(p, label, version, disk_full)?)));
    let mut found: Vec<(EventId, Unbuilt)> = queued.chain(begun).collect();
    found.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
    found.into_iter().map(|(_, unbuilt)| unbuilt).collect()
}

/// The tiers that come before one, and itself, in the order of the definition.
fn way_to<'a>(definition: &'a Pipeline, tier: &TierName) -> Vec<&'a Tier> {
    let mut wanted = vec![tier.clone()];
    let mut at = 0;
    while at < wanted.len() {
        let before = definition.tier(&wanted[at]).map(|tier| tier.after.clone()).unwrap_or_default();
        let new: Vec<TierName> = before.into_iter().filter(|name| !wanted.contains(name)).collect();
        wanted.extend(new);
        at += 1;
    }
    definition.tiers.iter().filter(|tier| wanted.contains(&tier.name)).collect()
}

fn step(p: &PipelineState, tier: &Tier, version: &VersionLabel, now: Time) -> WhyTier {
    let empty = TierState::default();
    let t = p.tiers.get(&tier.name).unwrap_or(&empty);
    let standing = standing_view(t, version);
    let mut again = None;
    let blockers = match &standing {
        Some(StandingView::Passed { .. }) => Vec::new(),
        Some(StandingView::Inside) => blocked_inside(t),
        Some(StandingView::GoingBack { .. }) => Vec::new(),
        Some(StandingView::Rejected { cause }) => {
            let rejected = Blocker::Rejected { cause: cause.clone() };
            [rejected].into_iter().chain(promotion::holds(p, t)).collect()
        }
        Some(StandingView::Superseded { by_version }) => {
            vec![Blocker::Behind { version: by_version.clone() }]
        }
        Some(StandingView::Waiting) | None => {
            let waiting = promotion::waiting(p, tier, now).into_iter().find(|w| w.version == *version);
            again = waiting.as_ref().and_then(|w| w.until);
            waiting.map_or_else(|| promotion::blockers(p, tier, version, now), |w| w.blockers)
        }
    };
    let inside = t.inside.as_ref().filter(|_| standing == Some(StandingView::Inside));
    let is_left = matches!(standing, Some(StandingView::GoingBack { .. }));
    let waits = matches!(standing, Some(StandingView::Waiting));
    let left = |back: &&GoingBack| is_left || !back.failed && back.from == *version;
    WhyTier {
        tier: tier.name.clone(),
        until: again.or_else(|| promotion::lifts_at(&blockers)),
        hold: t.hold.as_ref().map(HoldView::from),
        confirm: tier.promote.confirm.clone(),
        confirmations: confirmation_views(p, t, tier, version, now),
        inside: inside.map(|inside| inside_view(p, &tier.name, inside)),
        going_back: t.going_back.as_ref().filter(left).map(|back| going_back_view(p, &tier.name, back)),
        unjudged: if waits { unjudged(t, version) } else { Vec::new() },
        standing,
        blockers,
    }
}

/// The gates that could not judge a version when it was inside last.
fn unjudged(t: &TierState, version: &VersionLabel) -> Vec<Unjudged> {
    let back = t.standings.get(version).and_then(|standing| standing.stepped_back.as_ref());
    let gates = back.map(|back| back.gates.as_slice()).unwrap_or_default();
    gates.iter().map(|(gate, run_id)| Unjudged { gate: gate.clone(), run_id: *run_id }).collect()
}

/// What the gates inside say that keeps them from judging.
fn blocked_inside(t: &TierState) -> Vec<Blocker> {
    let gates = t.inside.iter().flat_map(|inside| inside.gates.values());
    gates.filter_map(|attempts| attempts.outcome.as_ref()).flat_map(|o| o.blockers.clone()).collect()
}
