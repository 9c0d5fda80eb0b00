//! What is true now: a fold over the journal. This file holds the shapes and small questions about them; how events
//! change them is `apply`'s, what follows from them is `proceed`'s.

mod micros;
mod refs;

pub use refs::{OwedLook, RefHead};

use super::Time;
use super::blocker::Blocker;
use super::diagnostic::Diagnostic;
use super::event::{Artifact, DeployMode, PromotionEnd};
use super::id::*;
use super::outcome::{Failure, Outcome};
use super::pipeline::{Pipeline, Tier};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Everything that is true now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last event that is folded in.
    pub last: EventId,
    /// The highest run number given out.
    pub last_run: RunId,
    /// Build steps and gates that run now: what `jobs` bounds.
    pub busy_slots: u32,
    /// By name, removed ones included.
    pub pipelines: BTreeMap<PipelineName, PipelineState>,
    /// Files that do not load, by the file's name.
    pub rejected: BTreeMap<String, RejectedFile>,
    /// Runs that have begun and not ended.
    pub running: BTreeMap<RunId, Place>,
}

/// A file that does not load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RejectedFile {
    /// Since when.
    pub at: Time,
    /// The pipeline that goes on with its last good definition, if there is one.
    pub pipeline: Option<PipelineName>,
    /// Everything that is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Where a run belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The version.
    pub version: VersionLabel,
    /// What runs.
    pub task: Task,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// A build step.
    Step(StepName),
    /// A gate of a tier.
    Gate(TierName, GateName),
    /// A version on its way to a node of a tier.
    Deploy(TierName, NodeName, DeployMode),
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineState {
    /// What its folders are called: the name that it had at first. A rename moves no folder.
    pub home: PipelineName,
    /// What it was called, each from which event on, oldest first: its events carry the name of their time.
    #[serde(default)]
    pub names: Vec<(EventId, PipelineName)>,
    /// The definition in force; none: the pipeline is removed.
    pub in_force: Option<InForce>,
    /// Every definition that something still depends on.
    pub known: BTreeMap<Digest, Arc<Pipeline>>,
    /// Who holds the whole pipeline.
    pub hold: Option<Hold>,
    /// What was last seen on each ref.
    pub refs: BTreeMap<RefName, RefHead>,
    /// Refs that are still to be looked at because a forge told of them.
    #[serde(default)]
    pub looks: BTreeMap<RefName, OwedLook>,
    /// Builds that have not begun, oldest first.
    pub queue: VecDeque<Request>,
    /// The build under way.
    pub build: Option<Build>,
    /// Every version that a build began for.
    pub versions: BTreeMap<VersionLabel, Version>,
    /// The versions that are built, by the number of their request: from oldest to newest.
    pub built: BTreeMap<EventId, VersionLabel>,
    /// The version of each commit.
    pub by_sha: BTreeMap<Sha, VersionLabel>,
    /// Labels of forgotten versions, with their commits: none of them is ever given to another commit (rule 4). Those
    /// that name their commit are left out.
    #[serde(default)]
    pub spent: BTreeMap<VersionLabel, Sha>,
    /// Versions that may enter no tier.
    pub blocked: BTreeMap<VersionLabel, Hold>,
    /// By name, removed ones included.
    pub tiers: BTreeMap<TierName, TierState>,
    /// When it was last given a slot, as a run number: who has waited longest goes first.
    pub last_slot: RunId,
}

/// A definition in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InForce {
    /// Its digest.
    pub digest: Digest,
    /// The file's name.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// Since when.
    pub at: Time,
    /// What it means.
    pub definition: Arc<Pipeline>,
}

/// Who stops something, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub at: Time,
    /// Whether a rollback put it.
    pub of_rollback: bool,
}

/// A build that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The number of its `rebuild_requested`.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// The commit.
    pub sha: Sha,
    /// The ref that was pushed.
    pub ref_name: Option<RefName>,
    /// Name of the commit's author.
    pub author: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Addresses of author and committer.
    pub emails: Vec<String>,
    /// Who asked.
    pub by: Option<String>,
}

/// A build under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// What was asked for.
    pub request: Request,
    /// What it will be called.
    pub version: VersionLabel,
    /// The definition that it is built by.
    pub digest: Digest,
    /// Since when.
    pub at: Time,
    /// How far each step is.
    pub steps: BTreeMap<StepName, Attempts>,
    /// Whether a person ended it.
    pub canceled: bool,
}

/// How far something is that may be tried several times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempts {
    /// Tries that ended and count.
    pub tries: u32,
    /// Whether one of them judged, and badly.
    pub failed_before: bool,
    /// The try that runs now.
    pub running: Option<RunId>,
    /// How the last try ended; none while another follows.
    pub outcome: Option<Outcome>,
    /// How often in a row it could not judge.
    pub blocked_times: u32,
    /// Not before then is it tried again.
    pub not_before: Option<Time>,
}

impl Attempts {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.outcome.as_ref().is_some_and(Outcome::passed)
    }
}

/// A version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The commit.
    pub sha: Sha,
    /// The ref that was pushed.
    pub ref_name: Option<RefName>,
    /// Name of the commit's author.
    pub author: String,
    /// First line of the commit's message.
    pub subject: String,
    /// Addresses of author and committer.
    pub emails: Vec<String>,
    /// Who asked for it.
    pub by: Option<String>,
    /// The number of its latest request: its place among the versions.
    pub order: EventId,
    /// How far it is.
    pub stage: Stage,
    /// The event by which it was built, or last moved to the front.
    pub done: EventId,
    /// What tiers deploy.
    pub artifacts: Vec<Artifact>,
    /// When that began.
    pub at: Time,
}

/// How far a version's build is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Under way.
    Building,
    /// Done.
    Built,
    /// Failed, and why.
    Failed(String),
    /// Ended before it was done.
    Aborted,
}

/// One tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TierState {
    /// The last version that passed, or that it was rolled back to.
    pub current: Option<Current>,
    /// What was current before, oldest first, without what was left by a rollback.
    pub past: Vec<Current>,
    /// The version inside.
    pub inside: Option<Inside>,
    /// The way back, while it lasts.
    pub going_back: Option<GoingBack>,
    /// A redeploy, while it lasts.
    pub redeploy: Option<Redeploy>,
    /// What each version has to do with this tier; absent: nothing yet.
    pub standings: BTreeMap<VersionLabel, Standing>,
    /// What is where.
    pub nodes: BTreeMap<NodeName, NodeState>,
    /// Who holds the tier.
    pub hold: Option<Hold>,
    /// The event that first brought it: it takes what comes from then on (rule 30).
    pub born: EventId,
    /// Names that it had before: definitions of that time know it by them.
    pub formerly: Vec<TierName>,
}

/// A tier's current version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// The version.
    pub version: VersionLabel,
    /// The definition under which it passed.
    pub digest: Digest,
    /// Since when it is current.
    pub since: Time,
}

/// What a version has to do with a tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// How it came out; none: it waits, or is inside, or cannot come here yet.
    pub verdict: Option<Verdict>,
    /// What was last said to stand in its way.
    pub said: Option<Vec<Blocker>>,
    /// Why it stepped back, and until when.
    pub stepped_back: Option<SteppedBack>,
    /// Whose word it has.
    pub confirmations: Vec<Confirmation>,
    /// Who lets it in by hand.
    pub promoted: Option<ByHand>,
    /// The gates that it passed, and under which definition.
    pub gates: BTreeMap<GateName, Digest>,
    /// The longest unbroken time that it was current here, ended ones only.
    #[serde(with = "micros")]
    pub longest_current: chrono::TimeDelta,
}

/// How a version came out of a tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It passed, by that event.
    Passed(EventId),
    /// It is rejected, for that reason.
    Rejected(String),
    /// That one took its place.
    Superseded(VersionLabel),
}

/// Why a version left a tier again without a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SteppedBack {
    /// How often in a row.
    pub times: u32,
    /// Not before then does it try again.
    pub not_before: Time,
    /// What stood in the way.
    pub blockers: Vec<Blocker>,
}

/// One person's word for one version in one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Who.
    pub by: String,
    /// When.
    pub at: Time,
    /// The definition in force then.
    pub digest: Digest,
}

/// Who lets a version in by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// Who.
    pub by: String,
    /// Whether freezes and missing tiers are lifted too.
    pub lift: bool,
}

/// The version inside a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// The version.
    pub version: VersionLabel,
    /// The definition that it finishes with.
    pub digest: Digest,
    /// Since when.
    pub at: Time,
    /// Whether a person's word let it in.
    pub by_hand: bool,
    /// How far each gate is.
    pub gates: BTreeMap<GateName, Attempts>,
    /// How far each node is.
    pub nodes: BTreeMap<NodeName, NodeTry>,
    /// Nodes on which a deploy began, in that order.
    pub touched: Vec<NodeName>,
    /// Who ends it, and why.
    pub ending: Option<Ending>,
}

/// Why what is inside is being ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// For people: who and why.
    pub cause: String,
    /// Whether nodes go back whatever `on_failure` says.
    pub rollback: bool,
}

/// How far one node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeTry {
    /// Tries that ended and count.
    pub tries: u32,
    /// The run that is under way.
    pub running: Option<RunId>,
    /// How it came out; none: not yet.
    pub result: Option<Result<(), Failure>>,
    /// Whether an earlier try may have changed it.
    pub changed: bool,
    /// Not before then is it tried again.
    pub not_before: Option<Time>,
}

/// A tier on its way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoingBack {
    /// The version that is left.
    pub from: VersionLabel,
    /// The version that it goes back to.
    pub to: VersionLabel,
    /// The definition under which that one passed.
    pub digest: Digest,
    /// The definition of the version that is left: it knows nodes that the other may not.
    pub from_digest: Digest,
    /// Why.
    pub cause: String,
    /// How the promotion of `from` ends; none: it had passed.
    pub end: Option<PromotionEnd>,
    /// The nodes that go back, newest change first.
    pub order: Vec<NodeName>,
    /// How far each is.
    pub nodes: BTreeMap<NodeName, NodeTry>,
    /// How far each verify gate is.
    pub gates: BTreeMap<GateName, Attempts>,
    /// Whether `rollback_failed` was said: what failed is tried again, and the tier is free but held.
    pub failed: bool,
}

/// A redeploy under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Redeploy {
    /// The current version.
    pub version: VersionLabel,
    /// The definition that it is put there by.
    pub digest: Digest,
    /// Which nodes, in order.
    pub order: Vec<NodeName>,
    /// How far each is.
    pub nodes: BTreeMap<NodeName, NodeTry>,
}

/// What is on a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// The version; none: nothing yet, or not known.
    pub version: Option<VersionLabel>,
    /// Since when.
    pub at: Time,
    /// What is being put there now.
    pub changing: Option<VersionLabel>,
    /// What last went wrong; none: it was right.
    pub failure: Option<Failure>,
}

impl State {
    /// The pipeline of that name, if it was ever loaded.
    pub fn pipeline(&self, name: &PipelineName) -> Option<&PipelineState> {
        self.pipelines.get(name)
    }
}

impl PipelineState {
    /// A pipeline of which nothing is known yet.
    pub(super) fn empty(home: PipelineName) -> PipelineState {
        PipelineState {
            home,
            names: Vec::new(),
            in_force: None,
            known: BTreeMap::new(),
            hold: None,
            refs: BTreeMap::new(),
            looks: BTreeMap::new(),
            queue: VecDeque::new(),
            build: None,
            versions: BTreeMap::new(),
            built: BTreeMap::new(),
            by_sha: BTreeMap::new(),
            spent: BTreeMap::new(),
            blocked: BTreeMap::new(),
            tiers: BTreeMap::new(),
            last_slot: RunId(0),
        }
    }

    /// The definition in force.
    pub fn definition(&self) -> Option<&Arc<Pipeline>> {
        self.in_force.as_ref().map(|f| &f.definition)
    }

    /// A tier as the definition in force has it.
    pub fn tier_in_force(&self, tier: &TierName) -> Option<&Tier> {
        self.definition().and_then(|d| d.tier(tier))
    }

    /// A tier as that definition has it.
    pub fn tier_of(&self, digest: &Digest, tier: &TierName) -> Option<&Tier> {
        let definition = self.known.get(digest)?;
        let formerly = self.tiers.get(tier).map(|t| t.formerly.as_slice()).unwrap_or_default();
        definition.tier(tier).or_else(|| formerly.iter().rev().find_map(|name| definition.tier(name)))
    }

    /// A version's place among the versions; the start of time for one that is not known.
    pub fn order(&self, version: &VersionLabel) -> EventId {
        self.versions.get(version).map_or(EventId(0), |v| v.order)
    }

    /// Whether that label is, or was, another commit's.
    pub fn is_taken(&self, label: &VersionLabel, sha: &Sha) -> bool {
        let owner = self.versions.get(label).map(|version| &version.sha).or_else(|| self.spent.get(label));
        owner.is_some_and(|owner| owner != sha)
    }

    /// Whether that version is built.
    pub fn is_built(&self, version: &VersionLabel) -> bool {
        self.versions.get(version).is_some_and(|v| v.stage == Stage::Built)
    }

    /// What a version has to do with a tier.
    pub fn standing(&self, tier: &TierName, version: &VersionLabel) -> Option<&Standing> {
        self.tiers.get(tier).and_then(|t| t.standings.get(version))
    }

    /// Whether a version stands as passed in a tier.
    pub fn has_passed(&self, tier: &TierName, version: &VersionLabel) -> bool {
        self.standing(tier, version).is_some_and(|s| matches!(s.verdict, Some(Verdict::Passed(_))))
    }

    /// Lets go of definitions that nothing depends on any more.
    pub(super) fn let_go_of_definitions(&mut self) {
        let used = self.digests_in_use();
        self.known.retain(|digest, _| used.contains(digest));
    }

    /// The digests that something still depends on.
    fn digests_in_use(&self) -> BTreeSet<Digest> {
        let mut used = BTreeSet::new();
        used.extend(self.in_force.iter().map(|f| f.digest.clone()));
        used.extend(self.build.iter().map(|b| b.digest.clone()));
        for tier in self.tiers.values() {
            used.extend(tier.current.iter().chain(&tier.past).map(|c| c.digest.clone()));
            used.extend(tier.inside.iter().map(|i| i.digest.clone()));
            used.extend(tier.going_back.iter().flat_map(|g| [g.digest.clone(), g.from_digest.clone()]));
            used.extend(tier.redeploy.iter().map(|r| r.digest.clone()));
            for standing in tier.standings.values() {
                used.extend(standing.gates.values().cloned());
                used.extend(standing.confirmations.iter().map(|c| c.digest.clone()));
            }
        }
        used
    }
}

impl GoingBack {
    /// Whether a node or gate of it is being tried now.
    fn is_under_way(&self) -> bool {
        self.nodes.values().any(|n| n.running.is_some()) || self.gates.values().any(|g| g.running.is_some())
    }
}

impl TierState {
    /// The version that keeps others out now, if one does.
    pub fn busy_with(&self) -> Option<&VersionLabel> {
        let back = self.going_back.as_ref().filter(|g| !g.failed || g.is_under_way()).map(|g| &g.from);
        self.inside.as_ref().map(|i| &i.version).or(back).or(self.redeploy.as_ref().map(|r| &r.version))
    }

    /// What is where, for events.
    pub fn what_is_where(&self) -> BTreeMap<NodeName, Option<VersionLabel>> {
        self.nodes.iter().map(|(name, node)| (name.clone(), node.version.clone())).collect()
    }

    /// The version that `rollback` would choose when nothing is inside: the one that was current before and is
    /// neither rejected nor blocked.
    pub fn rollback_target(&self, blocked: &BTreeMap<VersionLabel, Hold>) -> Option<&Current> {
        let left = self.current.as_ref().map(|c| &c.version);
        self.past.iter().rev().find(|past| {
            Some(&past.version) != left
                && !blocked.contains_key(&past.version)
                && !self.is_rejected(&past.version)
        })
    }

    /// Whether that version is rejected here.
    pub fn is_rejected(&self, version: &VersionLabel) -> bool {
        self.standings.get(version).is_some_and(|s| matches!(s.verdict, Some(Verdict::Rejected(_))))
    }

    /// The gate's attempts that a run of that version belongs to: those inside, or those of the way back.
    pub(super) fn gate_attempts(&mut self, version: &VersionLabel, name: &GateName) -> Option<&mut Attempts> {
        match (&mut self.inside, &mut self.going_back) {
            (Some(inside), _) if inside.version == *version => {
                Some(inside.gates.entry(name.clone()).or_default())
            }
            (_, Some(back)) if back.to == *version => Some(back.gates.entry(name.clone()).or_default()),
            _ => None,
        }
    }

    /// The node's tries that a run of that mode belongs to.
    pub(super) fn node_try(&mut self, mode: DeployMode, node: &NodeName) -> Option<&mut NodeTry> {
        let nodes = match mode {
            DeployMode::Deploy => &mut self.inside.as_mut()?.nodes,
            DeployMode::Rollback => &mut self.going_back.as_mut()?.nodes,
            DeployMode::Redeploy => &mut self.redeploy.as_mut()?.nodes,
        };
        Some(nodes.entry(node.clone()).or_default())
    }
}
