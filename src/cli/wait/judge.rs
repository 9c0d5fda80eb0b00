//! How far a version is, from what the controller shows.

use super::Which;
use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use crate::domain::{Blocker, Sha, TierName};
use crate::server::view::{
    GateView, InsideView, NodeProgress, PipelineView, Progress, StageView, StandingView, TierView,
    VersionView,
};
use serde_json::{Value, json};

/// The code of what is said where a pipeline has no such version.
pub(super) const NO_VERSION: &str = "TG-ASK-004";

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is at its good end.
    Passed,
    /// It is at its bad end.
    Failed,
    /// It goes on only if a person does something.
    Blocked,
    /// It goes on by itself.
    UnderWay,
}

/// How a version stands in a tier.
struct InTier {
    tier: TierName,
    verdict: Verdict,
    /// In words.
    how: String,
    /// What stands in its way.
    blockers: Vec<Blocker>,
}

/// How a build stands that is not done.
struct OfBuild {
    verdict: Verdict,
    /// In words.
    how: String,
    /// What keeps it.
    blockers: Vec<Blocker>,
}

/// How a version stands.
pub(super) struct Judgement {
    /// Before it is built, or because it is not: how that stands.
    build: Option<OfBuild>,
    tiers: Vec<InTier>,
}

impl Judgement {
    /// The whole in one word.
    pub(super) fn verdict(&self) -> Verdict {
        if let Some(build) = &self.build {
            return build.verdict;
        }
        let any = |verdict| self.tiers.iter().any(|one| one.verdict == verdict);
        let order = [Verdict::Failed, Verdict::UnderWay, Verdict::Blocked];
        order.into_iter().find(|verdict| any(*verdict)).unwrap_or(Verdict::Passed)
    }

    /// A line for each tier, or for the build.
    pub(super) fn in_words(&self) -> Vec<String> {
        match &self.build {
            Some(build) => vec![build.how.clone()],
            None => self.tiers.iter().map(|one| format!("{}: {}", one.tier, one.how)).collect(),
        }
    }

    /// What stands in the way, tier by tier; of a build that is not done first.
    pub(super) fn blockers(&self) -> impl Iterator<Item = (Option<&TierName>, &Blocker)> {
        let build = self.build.iter().flat_map(|build| &build.blockers).map(|blocker| (None, blocker));
        build.chain(
            self.tiers.iter().flat_map(|one| one.blockers.iter().map(|blocker| (Some(&one.tier), blocker))),
        )
    }

    /// Tier by tier, as data.
    pub(super) fn json(&self) -> Value {
        let one = |one: &InTier| json!({"tier": one.tier, "is": one.how, "blockers": one.blockers});
        self.tiers.iter().map(one).collect()
    }

    /// Of a build that is not done, as data.
    pub(super) fn build_json(&self) -> Option<Value> {
        self.build.as_ref().map(|build| json!({"is": build.how, "blockers": build.blockers}))
    }
}

/// The commit that is meant.
pub(super) fn commit(pipeline: &PipelineView, which: &Which) -> Result<Sha, Trouble> {
    let asked = || pipeline.queue.iter().rev().chain(pipeline.build.iter().map(|build| &build.request));
    let found = match which {
        Which::Newest => {
            let newest = asked().find(|request| !request.adopted).map(|request| &request.sha);
            newest.or(pipeline.versions.first().map(|it| &it.sha))
        }
        Which::Request(id) => {
            let version = pipeline.versions.iter().find(|version| version.order == *id).map(|it| &it.sha);
            asked().find(|request| request.id == *id).map(|request| &request.sha).or(version)
        }
        Which::Named(name) => {
            let is_hex = name.len() >= 7 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
            let begins = |sha: &Sha| is_hex && sha.as_str().starts_with(&name.to_ascii_lowercase());
            let building = pipeline.build.iter().find(|build| build.version == *name.as_str());
            let labelled = pipeline.versions.iter().find(|version| version.version == *name.as_str());
            building
                .map(|build| &build.request.sha)
                .or(labelled.map(|version| &version.sha))
                .or_else(|| asked().map(|request| &request.sha).find(|sha| begins(sha)))
                .or_else(|| pipeline.versions.iter().map(|version| &version.sha).find(|sha| begins(sha)))
        }
    };
    found.cloned().ok_or_else(|| {
        let message = match which {
            Which::Named(name) => format!("pipeline `{}` has no version `{name}`", pipeline.name),
            _ => format!("pipeline `{}` has no version that could be waited for", pipeline.name),
        };
        let help = format!("`tidegate status {}` lists its versions", pipeline.name);
        Trouble::new(NO_VERSION, message, help, Exit::Usage)
    })
}

/// The tiers that count: all, or one with those that come before it.
pub(super) fn tiers(pipeline: &PipelineView, tier: Option<&str>) -> Result<Vec<TierName>, Trouble> {
    let there: Vec<&TierView> = pipeline.tiers.iter().filter(|tier| !tier.removed).collect();
    let Some(name) = tier else { return Ok(there.iter().map(|tier| tier.name.clone()).collect()) };
    if !there.iter().any(|tier| tier.name == name) {
        let all: Vec<String> = there.iter().map(|tier| format!("`{}`", tier.name)).collect();
        let message = format!("pipeline `{}` has no tier `{name}`", pipeline.name);
        return Err(Trouble::new(
            "TG-ASK-002",
            message,
            format!("its tiers are {}", all.join(", ")),
            Exit::Usage,
        ));
    }
    let mut wanted = vec![TierName::from(name)];
    let mut at = 0;
    while let Some(next) = wanted.get(at).cloned() {
        let before = there.iter().filter(|tier| tier.name == next).flat_map(|tier| tier.after.iter());
        let new: Vec<TierName> = before.filter(|name| !wanted.contains(name)).cloned().collect();
        wanted.extend(new);
        at += 1;
    }
    Ok(there.iter().map(|tier| tier.name.clone()).filter(|name| wanted.contains(name)).collect())
}

/// How the version of a commit stands.
pub(super) fn judge(pipeline: &PipelineView, sha: &Sha, tiers: &[TierName]) -> Judgement {
    if let Some(build) = building(pipeline, sha) {
        return Judgement { build: Some(build), tiers: Vec::new() };
    }
    let ended = |how: String| Some(OfBuild { verdict: Verdict::Failed, how, blockers: Vec::new() });
    let Some(version) = pipeline.versions.iter().find(|version| version.sha == *sha) else {
        let how = "its build was dropped: a newer commit took its place, or somebody ended it";
        return Judgement { build: ended(how.into()), tiers: Vec::new() };
    };
    let build = match version.stage {
        StageView::Built | StageView::Adopted => None,
        StageView::Building => Some(OfBuild::kept("it is being built".into(), &[])),
        StageView::Failed => {
            let cause = version.cause.as_deref().unwrap_or("no reason is known");
            ended(format!("its build failed: {cause}"))
        }
        StageView::Aborted => ended("its build was ended".into()),
    };
    let wanted = pipeline.tiers.iter().filter(|tier| tiers.contains(&tier.name));
    Judgement { build, tiers: wanted.map(|tier| in_tier(tier, version)).collect() }
}

fn building(pipeline: &PipelineView, sha: &Sha) -> Option<OfBuild> {
    if let Some(request) = pipeline.queue.iter().find(|request| request.sha == *sha) {
        return Some(OfBuild::kept("it waits to be built".into(), &request.blockers));
    }
    let build = pipeline.build.as_ref().filter(|build| build.request.sha == *sha)?;
    Some(OfBuild::kept(format!("it is being built, as {}", build.version), &build.request.blockers))
}

impl OfBuild {
    /// One that goes on by itself, unless something keeps it that somebody must lift.
    fn kept(how: String, blockers: &[Blocker]) -> OfBuild {
        let is_kept = blockers.iter().any(needs_somebody);
        let verdict = if is_kept { Verdict::Blocked } else { Verdict::UnderWay };
        OfBuild { verdict, how, blockers: blockers.to_vec() }
    }
}

fn in_tier(tier: &TierView, version: &VersionView) -> InTier {
    let one = |verdict, how: String, blockers| InTier { tier: tier.name.clone(), verdict, how, blockers };
    // Rolled back by hand it is rejected at once; the end is when the tier is where it goes.
    if tier.going_back.as_ref().is_some_and(|back| back.from == version.version && !back.failed) {
        return one(Verdict::UnderWay, "goes back".into(), Vec::new());
    }
    match version.tiers.get(&tier.name) {
        Some(StandingView::Passed { .. }) => return one(Verdict::Passed, "passed".into(), Vec::new()),
        Some(StandingView::Rejected { cause }) => {
            return one(Verdict::Failed, format!("rejected: {cause}"), Vec::new());
        }
        Some(StandingView::Superseded { by_version }) => {
            return one(Verdict::Failed, format!("{by_version} took its place"), Vec::new());
        }
        Some(StandingView::Inside) => {
            let inside = tier.inside.as_ref().filter(|inside| inside.version == version.version);
            return match inside.and_then(kept_inside) {
                Some((how, blockers)) => one(Verdict::Blocked, how, blockers),
                None => one(Verdict::UnderWay, "inside".into(), Vec::new()),
            };
        }
        Some(StandingView::GoingBack { .. }) => {
            return one(Verdict::UnderWay, "goes back".into(), Vec::new());
        }
        Some(StandingView::Waiting) | None => {}
    }
    match tier.waiting.iter().find(|waiting| waiting.version == version.version) {
        Some(waiting) if waiting.blockers.iter().any(needs_somebody) => {
            one(Verdict::Blocked, "waits".into(), waiting.blockers.clone())
        }
        Some(_) => one(Verdict::UnderWay, "waits".into(), Vec::new()),
        // What it has to pass first decides.
        None => one(Verdict::Blocked, "has not come there".into(), Vec::new()),
    }
}

/// What keeps a version inside, once nothing of it runs any more: something is said to stand in its way only when every
/// gate and node that can go on has ended.
fn kept_inside(inside: &InsideView) -> Option<(String, Vec<Blocker>)> {
    let gate_runs = inside.gates.iter().any(|gate| gate.progress.status == Progress::Running);
    let node_runs = inside.nodes.iter().any(|node| node.status == NodeProgress::Running);
    if gate_runs || node_runs || inside.blockers.is_empty() {
        return None;
    }
    let is_blocked = |gate: &&GateView| gate.progress.status == Progress::Blocked && gate.required;
    let how = match inside.gates.iter().find(is_blocked) {
        Some(gate) => format!("gate `{}` cannot judge", gate.name),
        None => "inside".into(),
    };
    Some((how, inside.blockers.clone()))
}

/// Whether neither time nor another version's end lifts it.
fn needs_somebody(blocker: &Blocker) -> bool {
    !matches!(
        blocker,
        Blocker::Soak { until: Some(_) }
            | Blocker::Window { opens: Some(_) }
            | Blocker::Freeze { .. }
            | Blocker::TierBusy { .. }
            | Blocker::Behind { .. }
            | Blocker::NotPromoted { .. }
            | Blocker::NotBuilt { sha: None }
    )
}
