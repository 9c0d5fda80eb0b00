//! One pipeline as it is shown: its definition, what is built, its versions.

use super::node::locked;
use super::{HoldView, RejectedFileView, ScheduleView, TierView, Versions, rejected};
use crate::domain::event::Artifact;
use crate::domain::state::{
    Attempts, Build, PipelineState, Request, Stage, Standing, State, TierState, Verdict, Version,
};
use crate::domain::*;
use crate::source::Location;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineView {
    /// What identifies it.
    pub name: PipelineName,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The definition in force; none: the pipeline is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<DefinitionView>,
    /// Its file as it is now does not load: the definition in force is an older one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedFileView>,
    /// Who holds the whole pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldView>,
    /// Builds by the clock. None while the pipeline is removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleView>,
    /// The build under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildView>,
    /// Builds that have not begun, oldest first.
    pub queue: Vec<RequestView>,
    /// In the order of the definition; then those that it no longer has but in which something goes on.
    pub tiers: Vec<TierView>,
    /// Newest first, at most as many as were asked for.
    pub versions: Vec<VersionView>,
    /// There are more: ask again with `before` this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_before: Option<EventId>,
}

/// A definition in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DefinitionView {
    /// Its digest.
    pub digest: Digest,
    /// The file's name.
    pub file: String,
    /// Since when it is in force.
    pub at: Time,
    /// The repository, without a password.
    pub repo: String,
    /// Globs on refs; empty: the default branch.
    pub refs: Vec<String>,
    /// Known keys that this release does not execute and that keep every tier shut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
}

/// A build that somebody asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestView {
    /// The number of its `rebuild_requested`.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// The commit.
    pub sha: Sha,
    /// The ref that was pushed.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub ref_name: Option<RefName>,
    /// Name of the commit's author.
    pub author: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The commit is built already, and is built once more, as a version of its own.
    #[serde(default, skip_serializing_if = "crate::domain::outcome::is_false")]
    pub anew: bool,
    /// Its version was adopted, and keeps its place before everything else: nothing newer comes of it.
    #[serde(default, skip_serializing_if = "crate::domain::outcome::is_false")]
    pub adopted: bool,
    /// What keeps it from beginning, or from going on; empty: it begins next, or goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
}

/// A build under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BuildView {
    /// What was asked for.
    pub request: RequestView,
    /// What it will be called.
    pub version: VersionLabel,
    /// The definition that it is built by.
    pub digest: Digest,
    /// Since when.
    pub at: Time,
    /// Whether a person ended it and its processes are being ended.
    pub canceled: bool,
    /// In the order of the definition.
    pub steps: Vec<StepView>,
}

/// A build step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Its name.
    pub name: StepName,
    /// How far it is.
    #[serde(flatten)]
    pub progress: ProgressView,
}

/// How far something is that may be tried several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressView {
    /// Where it stands.
    pub status: Progress,
    /// The try that runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The try that began last: `/api/runs/{id}/log` has what it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_id: Option<RunId>,
    /// Tries that ended.
    pub tries: u32,
    /// How the last try ended, when no other follows at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Not before then is it tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// What the try that runs now waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
}

/// Where a step or gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It has not begun, or waits for another try.
    Waiting,
    /// It runs.
    Running,
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// It could not be judged.
    Blocked,
}

impl ProgressView {
    /// Of attempts; none: nothing began yet.
    pub fn of(attempts: Option<&Attempts>) -> ProgressView {
        let empty = Attempts::default();
        let attempts = attempts.unwrap_or(&empty);
        let status = match &attempts.outcome {
            _ if attempts.running.is_some() => Progress::Running,
            None => Progress::Waiting,
            Some(outcome) => match outcome.status {
                Status::Pass => Progress::Pass,
                Status::Fail => Progress::Fail,
                Status::Blocked => Progress::Blocked,
            },
        };
        ProgressView {
            status,
            run_id: attempts.running,
            last_run_id: attempts.last,
            tries: attempts.tries,
            outcome: attempts.outcome.clone(),
            not_before: attempts.not_before,
            blockers: locked(attempts.running, attempts.locked_by.as_ref()),
        }
    }
}

/// A version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// Its label.
    pub version: VersionLabel,
    /// The commit.
    pub sha: Sha,
    /// The ref that was pushed.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub ref_name: Option<RefName>,
    /// Name of the commit's author.
    pub author: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The number of its latest request: the higher, the newer.
    pub order: EventId,
    /// When its build began.
    pub at: Time,
    /// How far it is.
    pub stage: StageView,
    /// Why the build failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What tiers deploy.
    pub artifacts: Vec<Artifact>,
    /// Who keeps it from entering any tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<HoldView>,
    /// Where it stands in each tier that it has come to.
    pub tiers: BTreeMap<TierName, StandingView>,
}

/// How far a version's build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageView {
    /// Under way.
    Building,
    /// Done.
    Built,
    /// Failed.
    Failed,
    /// Ended before it was done.
    Aborted,
    /// It was there before and was adopted; nobody has built it here.
    Adopted,
}

/// Where a version stands in a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum StandingView {
    /// In front of it.
    Waiting,
    /// In it.
    Inside,
    /// In it no longer: its promotion failed, and the tier is on its way back.
    GoingBack {
        /// The version that the tier goes back to.
        to: VersionLabel,
        /// Why.
        cause: String,
    },
    /// Through it.
    Passed {
        /// Whether it is the tier's current version.
        current: bool,
    },
    /// Rejected until `retry`.
    Rejected {
        /// Why.
        cause: String,
    },
    /// A newer one passed.
    Superseded {
        /// Which.
        by_version: VersionLabel,
    },
}

impl PipelineView {
    /// The view of a pipeline at a moment.
    pub fn of(
        state: &State,
        name: &PipelineName,
        p: &PipelineState,
        now: Time,
        versions: Versions,
        disk_full: bool,
    ) -> PipelineView {
        let kept = promotion::queue_blockers(p, disk_full);
        let mut newest: Vec<(&VersionLabel, &Version)> = p.versions.iter().collect();
        newest.retain(|(_, v)| versions.before.is_none_or(|before| v.order < before));
        newest.sort_by_key(|(_, v)| std::cmp::Reverse(v.order));
        let more = newest.len() > versions.limit;
        newest.truncate(versions.limit);
        PipelineView {
            name: name.clone(),
            description: p.definition().and_then(|d| d.description.clone()),
            definition: p.in_force.as_ref().map(|in_force| DefinitionView {
                digest: in_force.digest.clone(),
                file: in_force.file.clone(),
                at: in_force.at,
                repo: shown_repo(&in_force.definition.source.repo),
                refs: in_force.definition.source.refs.clone(),
                unsupported: in_force.definition.unsupported.clone(),
            }),
            rejected: rejected(state, Some(name)),
            hold: p.hold.as_ref().map(HoldView::from),
            schedules: schedules(p, now),
            build: p.build.as_ref().map(|build| build_view(p, build, disk_full)),
            queue: p.queue.iter().map(|request| request_view(p, request, kept.clone())).collect(),
            tiers: TierView::all(p, now, disk_full),
            older_before: newest.last().filter(|_| more).map(|(_, v)| v.order),
            versions: newest.into_iter().map(|(label, v)| version_view(p, label, v)).collect(),
        }
    }
}

fn schedules(p: &PipelineState, now: Time) -> Vec<ScheduleView> {
    let in_force = p.schedules.iter().filter(|_| p.in_force.is_some());
    in_force.map(|it| ScheduleView::of(it, now)).collect()
}

/// A repository without a password.
pub(crate) fn shown_repo(repo: &str) -> String {
    Location::parse(repo).map(|location| location.shown()).unwrap_or_default()
}

fn request_view(p: &PipelineState, request: &Request, blockers: Vec<Blocker>) -> RequestView {
    RequestView {
        id: request.id,
        at: request.at,
        sha: request.sha.clone(),
        ref_name: request.ref_name.clone(),
        author: request.author.clone(),
        subject: request.subject.clone(),
        by: request.by.clone(),
        anew: request.anew,
        adopted: !request.anew && p.adopted_of(&request.sha).is_some(),
        blockers,
    }
}

fn build_view(p: &PipelineState, build: &Build, disk_full: bool) -> BuildView {
    let steps = p.known.get(&build.digest).map(|d| d.build.steps.as_slice()).unwrap_or_default();
    BuildView {
        request: request_view(p, &build.request, promotion::build_blockers(p, disk_full)),
        version: build.version.clone(),
        digest: build.digest.clone(),
        at: build.at,
        canceled: build.canceled,
        steps: steps
            .iter()
            .map(|step| StepView {
                name: step.name.clone(),
                progress: ProgressView::of(build.steps.get(&step.name)),
            })
            .collect(),
    }
}

pub(crate) fn version_view(p: &PipelineState, label: &VersionLabel, v: &Version) -> VersionView {
    let (stage, cause) = match &v.stage {
        Stage::Building => (StageView::Building, None),
        Stage::Built => (StageView::Built, None),
        Stage::Failed(cause) => (StageView::Failed, Some(cause.clone())),
        Stage::Aborted => (StageView::Aborted, None),
        Stage::Adopted => (StageView::Adopted, None),
    };
    VersionView {
        version: label.clone(),
        sha: v.sha.clone(),
        ref_name: v.ref_name.clone(),
        author: v.author.clone(),
        subject: v.subject.clone(),
        by: v.by.clone(),
        order: v.order,
        at: v.at,
        stage,
        cause,
        artifacts: v.artifacts.clone(),
        blocked: p.blocked.get(label).map(HoldView::from),
        tiers: p
            .tiers
            .iter()
            .filter_map(|(name, t)| Some((name.clone(), standing_view(t, label)?)))
            .collect(),
    }
}

/// Where a version stands in a tier; none: it has not come to it.
pub(crate) fn standing_view(t: &TierState, version: &VersionLabel) -> Option<StandingView> {
    if t.inside.as_ref().is_some_and(|inside| inside.version == *version) {
        return Some(StandingView::Inside);
    }
    if let Some(back) = t.going_back.as_ref().filter(|back| back.from == *version && back.end.is_some()) {
        return Some(StandingView::GoingBack { to: back.to.clone(), cause: back.cause.clone() });
    }
    let current = t.current.as_ref().is_some_and(|current| current.version == *version);
    let standing: Option<&Standing> = t.standings.get(version);
    Some(match standing.and_then(|s| s.verdict.as_ref()) {
        Some(Verdict::Passed(_)) => StandingView::Passed { current },
        Some(Verdict::Rejected(cause)) => StandingView::Rejected { cause: cause.clone() },
        Some(Verdict::Superseded(by)) => StandingView::Superseded { by_version: by.clone() },
        None if current => StandingView::Passed { current },
        None => {
            standing?;
            StandingView::Waiting
        }
    })
}
