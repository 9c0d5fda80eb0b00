//! What an edit of a definition changes, and what the next version would do with it. Nothing is guessed: it is the same
//! `decide`, `apply` and `proceed` that a controller lives by, on a copy of the state in which every run passes and
//! nothing takes time.

mod next;
mod trial;

pub use next::{Ends, NextVersion, TierPlan};

use super::Time;
use super::blocker::Blocker;
use super::command::Command;
use super::event::{Event, VoidReason};
use super::id::*;
use super::pipeline::{Pipeline, Schedule};
use super::promotion::waiting_when;
use super::scope::Scope;
use super::state::{PipelineState, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use trial::Trial;

/// What an edit changes and what the next version would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The digest of the definition that is planned with.
    pub digest: Digest,
    /// What it changes against what is in force.
    pub edit: Edit,
    /// What the next version would do.
    pub next: NextVersion,
    /// When the clock asks for a build by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Scheduled>,
}

/// A schedule, and when it comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scheduled {
    /// When, and what is built.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// The next time; none: it never comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
}

/// What an edit changes against what is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Edit {
    /// The digest in force; none: the pipeline is not loaded.
    pub in_force: Option<Digest>,
    /// What differs, for people; empty: nothing.
    pub changes: Vec<String>,
    /// The keys of the file that differ, where both files have what they belong to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyChange>,
    /// What is under way and finishes with the definition that it began with.
    pub under_way: Vec<UnderWay>,
    /// What waits in front of the tiers, before and after the edit.
    pub waiting: Vec<WaitingChange>,
    /// Confirmations that would no longer count.
    pub voided: Vec<Voided>,
}

/// A key of a pipeline file that an edit changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyChange {
    /// Where it stands, as in `tier.prod.promote.soak`.
    pub key: String,
    /// Its value as TOML; none: it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its value as TOML; none: it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A version that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnderWay {
    /// The version.
    pub version: VersionLabel,
    /// The tier; none: it is being built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// The definition that it finishes with.
    pub digest: Digest,
    /// Whether the tier is on its way back to that version.
    pub going_back: bool,
}

/// A version that waits in front of a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingChange {
    /// The tier.
    pub tier: TierName,
    /// The version.
    pub version: VersionLabel,
    /// What stands in its way now; none: it does not wait there now.
    pub before: Option<Vec<Blocker>>,
    /// What would stand in its way; none: it would no longer wait there.
    pub after: Option<Vec<Blocker>>,
    /// Whether it would enter at once.
    pub enters: bool,
}

/// Confirmations that no longer count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Voided {
    /// The tier.
    pub tier: TierName,
    /// The version.
    pub version: VersionLabel,
}

impl Plan {
    /// Whether the next version would have to wait for something, or never get to the end.
    pub fn would_block(&self) -> bool {
        let kept = !self.next.waits_for.is_empty();
        kept || self.next.tiers.iter().any(|tier| !tier.waits_for.is_empty() || tier.ends != Ends::Passes)
    }
}

/// What a plan needs of a state: a copy that others may go on without.
#[derive(Clone, Debug)]
pub struct Ground {
    state: State,
    file: String,
}

impl Ground {
    /// What concerns a definition whose file has this name. Folders are not compared: whoever edits a file may see it
    /// elsewhere than the controller does.
    pub fn of(state: &State, file: &str, definition: &Pipeline) -> Ground {
        Ground::seen_by(&Scope::default(), state, file, definition)
    }

    /// The same for somebody to whom only some pipelines are there: the others do not concern it.
    pub fn seen_by(scope: &Scope, state: &State, file: &str, definition: &Pipeline) -> Ground {
        let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let sees = |name: &PipelineName| scope.sees(name.as_str());
        let held = state.pipelines.get(&definition.name).and_then(|p| p.in_force.as_ref());
        let seen = state.pipelines.iter().filter(|(name, _)| sees(name));
        let mut in_force = seen.filter_map(|(_, p)| p.in_force.as_ref());
        let found = held.or_else(|| in_force.find(|in_force| last(&in_force.file) == last(file)));
        let file = found.map_or(file, |in_force| &in_force.file).to_owned();
        let concerns =
            |name: &PipelineName, p: &PipelineState| sees(name) && concerns(definition, &file, name, p);
        Ground { state: trial::excerpt(state, concerns), file }
    }

    /// The text that is in force for a definition.
    pub fn text(&self, definition: &Pipeline) -> Option<&str> {
        let p = before(&self.state, definition)?;
        Some(&p.in_force.as_ref()?.text)
    }
}

/// Whether a pipeline concerns a definition: it is the same one, it is moved, or its file is replaced.
fn concerns(definition: &Pipeline, file: &str, name: &PipelineName, p: &PipelineState) -> bool {
    *name == definition.name
        || Some(name) == definition.was.as_ref()
        || p.in_force.as_ref().is_some_and(|in_force| in_force.file == file)
}

/// A definition is too large to be planned with: following a version through it takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl TooLarge {
    /// The stable code.
    pub const CODE: &'static str = "TG-PLAN-003";
    /// The way out.
    pub const HELP: &'static str = "make several pipelines of it: `tidegate check` has no such limit";
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("follow a version through so many tiers, gates and nodes")
    }
}

/// Plans with a definition, at a moment and on a disk that may be full.
///
/// # Errors
/// It takes too long.
pub fn plan(
    ground: &Ground,
    digest: &Digest,
    definition: &Arc<Pipeline>,
    now: Time,
    disk_full: bool,
) -> Result<Plan, TooLarge> {
    let (state, file, name) = (&ground.state, ground.file.as_str(), &definition.name);
    let before = before(state, definition);
    let mut trial = Trial::of(state.clone(), name, now, disk_full);
    let load = Command::Load {
        file: file.into(),
        digest: digest.clone(),
        text: String::new(),
        definition: definition.clone(),
    };
    let loaded = trial.tell(&load);
    let changes = loaded.iter().flat_map(changes_in).collect();
    let after = trial.pipeline().map(|p| standing(p, now, disk_full)).unwrap_or_default();
    let at_once = trial.settle();
    let mut edit = Edit {
        in_force: before.and_then(|p| p.in_force.as_ref()).map(|in_force| in_force.digest.clone()),
        changes,
        keys: Vec::new(),
        under_way: before.map(under_way).unwrap_or_default(),
        waiting: Vec::new(),
        voided: Vec::new(),
    };
    let now_waiting = before.map(|p| standing(p, now, disk_full)).unwrap_or_default();
    edit.waiting = compare(now_waiting, after, &at_once, definition);
    edit.voided = at_once.iter().filter_map(voided).collect();
    let next = next::version(&mut trial, definition);
    if trial.is_spent() {
        return Err(TooLarge);
    }
    let scheduled = |schedule: &Schedule| Scheduled { schedule: schedule.clone(), next: schedule.next(now) };
    let schedules = definition.schedule.iter().map(scheduled).collect();
    Ok(Plan { pipeline: name.clone(), digest: digest.clone(), edit, next, schedules })
}

/// What a definition takes the place of.
fn before<'a>(state: &'a State, definition: &Pipeline) -> Option<&'a PipelineState> {
    state.pipelines.get(&definition.name).or_else(|| state.pipelines.get(definition.was.as_ref()?))
}

fn changes_in(event: &Event) -> Vec<String> {
    match event {
        Event::PipelineLoaded { changes, .. } | Event::PipelineRemoved { changes, .. } => changes.clone(),
        _ => Vec::new(),
    }
}

fn voided(event: &Event) -> Option<Voided> {
    match event {
        Event::ConfirmVoided { tier, version, reason: VoidReason::Edited, .. } => {
            Some(Voided { tier: tier.clone(), version: version.clone() })
        }
        _ => None,
    }
}

/// Everything that waits, in the order of the tiers.
type Standing = Vec<(TierName, VersionLabel, Vec<Blocker>)>;

fn standing(p: &PipelineState, now: Time, disk_full: bool) -> Standing {
    let tiers = p.definition().map(|definition| definition.tiers.as_slice()).unwrap_or_default();
    let of_tier = |tier: &super::pipeline::Tier| {
        let name = tier.name.clone();
        waiting_when(p, tier, now, disk_full)
            .into_iter()
            .map(move |one| (name.clone(), one.version, one.blockers))
    };
    tiers.iter().flat_map(of_tier).collect()
}

/// What waits before and after, told apart by tier and version; a tier that was renamed is the same one.
fn compare(before: Standing, after: Standing, at_once: &[Event], new: &Pipeline) -> Vec<WaitingChange> {
    let renamed = |tier: TierName| {
        let now = new.tiers.iter().find(|it| it.was.as_ref() == Some(&tier));
        now.map_or(tier, |it| it.name.clone())
    };
    let mut all: Vec<WaitingChange> = before
        .into_iter()
        .map(|(tier, version, blockers)| WaitingChange {
            tier: renamed(tier),
            version,
            before: Some(blockers),
            after: None,
            enters: false,
        })
        .collect();
    for (tier, version, blockers) in after {
        match all.iter_mut().find(|one| one.tier == tier && one.version == version) {
            Some(known) => known.after = Some(blockers),
            None => {
                all.push(WaitingChange { tier, version, before: None, after: Some(blockers), enters: false })
            }
        }
    }
    for event in at_once {
        if let Event::PromoteStart { tier, version, .. } = event
            && let Some(one) = all.iter_mut().find(|one| one.tier == *tier && one.version == *version)
        {
            one.enters = true;
        }
    }
    all
}

fn under_way(p: &PipelineState) -> Vec<UnderWay> {
    let build = p.build.iter().map(|build| UnderWay {
        version: build.version.clone(),
        tier: None,
        digest: build.digest.clone(),
        going_back: false,
    });
    let inside = p.tiers.iter().filter_map(|(name, t)| {
        let inside = t.inside.as_ref()?;
        let (version, digest) = (inside.version.clone(), inside.digest.clone());
        Some(UnderWay { version, tier: Some(name.clone()), digest, going_back: false })
    });
    let back = p.tiers.iter().filter_map(|(name, t)| {
        let back = t.going_back.as_ref()?;
        let (version, digest) = (back.to.clone(), back.digest.clone());
        Some(UnderWay { version, tier: Some(name.clone()), digest, going_back: true })
    });
    build.chain(inside).chain(back).collect()
}
