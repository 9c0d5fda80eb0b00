//! One pipeline: its definition in force, what is asked for and built, its versions and tiers.

use super::*;
use crate::domain::pipeline::{Node, Pipeline, Tier};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// As many builds of one pipeline wait at most, and as many refs of it to be looked at. It is days of builds, and more
/// branches than people push in one go; what is beyond it is somebody's mistake, or meant ill.
pub const QUEUE_LIMIT: usize = 256;

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
    /// Whether all refs were looked at under the source in force: one that comes up after that is new.
    #[serde(default)]
    pub is_looked_over: bool,
    /// How far the clock is with each schedule of the definition in force.
    #[serde(default)]
    pub schedules: Vec<ScheduleState>,
    /// Builds that have not begun, oldest first.
    pub queue: VecDeque<Request>,
    /// The build under way.
    pub build: Option<Build>,
    /// Every version that a build began for.
    pub versions: BTreeMap<VersionLabel, Version>,
    /// The versions that are built or were adopted, by the number of their request: from oldest to newest.
    pub built: BTreeMap<EventId, VersionLabel>,
    /// The version of each commit; of those that the clock had built anew the newest that is built or being built.
    pub by_sha: BTreeMap<Sha, VersionLabel>,
    /// Labels of forgotten versions, with their commits: none of them is ever given to another commit (rule 4). Those
    /// that name their commit are left out.
    #[serde(default)]
    pub spent: BTreeMap<VersionLabel, Sha>,
    /// Commits whose versions were built and forgotten, oldest first, each by the first 64 bits of its name: none of them
    /// is built again for a tag or a repeated delivery (rule 3).
    #[serde(default)]
    pub forgotten: VecDeque<u64>,
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

impl PipelineState {
    /// A pipeline of which nothing is known yet.
    pub(in crate::domain) fn empty(home: PipelineName) -> PipelineState {
        PipelineState {
            home,
            names: Vec::new(),
            in_force: None,
            known: BTreeMap::new(),
            hold: None,
            refs: BTreeMap::new(),
            looks: BTreeMap::new(),
            is_looked_over: false,
            schedules: Vec::new(),
            queue: VecDeque::new(),
            build: None,
            versions: BTreeMap::new(),
            built: BTreeMap::new(),
            by_sha: BTreeMap::new(),
            spent: BTreeMap::new(),
            forgotten: VecDeque::new(),
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

    /// A node as the first of those definitions has it that does, else as the one in force has it.
    pub fn node_of<'a>(
        &'a self,
        tier: &TierName,
        node: &NodeName,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Option<&'a Node> {
        let known = digests.into_iter().filter_map(|digest| self.tier_of(digest, tier));
        known.chain(self.tier_in_force(tier)).find_map(|tier| tier.node(node))
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

    /// Whether a version of that commit was built here and is forgotten.
    pub fn is_forgotten(&self, sha: &Sha) -> bool {
        let begins = beginning(sha);
        !self.by_sha.contains_key(sha) && begins.is_some_and(|begins| self.forgotten.contains(&begins))
    }

    /// Whether that version is built.
    pub fn is_built(&self, version: &VersionLabel) -> bool {
        self.versions.get(version).is_some_and(|v| v.stage == Stage::Built)
    }

    /// Whether that version was adopted: it was there before, whether or not it is built here. One that was to be adopted
    /// and whose build came to nothing is not.
    pub fn is_adopted(&self, version: &VersionLabel) -> bool {
        self.versions.get(version).is_some_and(|v| v.adopted && self.built.contains_key(&v.order))
    }

    /// Whether what a tier needs of that version is there: it is built, or it was adopted and the tier needs nothing
    /// that a build makes.
    pub fn is_ready_for(&self, tier: &Tier, version: &VersionLabel) -> bool {
        self.is_built(version) || self.is_adopted(version) && !tier.needs_artifacts()
    }

    /// The newest version of that commit that is built.
    pub fn built_of(&self, sha: &Sha) -> Option<&VersionLabel> {
        let label = self.by_sha.get(sha)?;
        // While it is built anew, the commit goes by the name of what that will be.
        let is_anew = self.build.as_ref().is_some_and(|b| b.request.anew && b.version == *label);
        let label = if is_anew { self.newest_of(sha)? } else { label };
        self.is_built(label).then_some(label)
    }

    /// The version of that commit that was adopted.
    pub fn adopted_of(&self, sha: &Sha) -> Option<&VersionLabel> {
        let label = self.by_sha.get(sha)?;
        if self.is_adopted(label) {
            return Some(label);
        }
        let of_it = |label: &&VersionLabel| self.versions.get(*label).is_some_and(|v| v.sha == *sha);
        self.built.values().find(|label| of_it(label) && self.is_adopted(label))
    }

    /// The newest version of that commit that is built or was adopted.
    pub(in crate::domain) fn newest_of(&self, sha: &Sha) -> Option<&VersionLabel> {
        let of_it = |label: &&VersionLabel| self.versions.get(*label).is_some_and(|v| v.sha == *sha);
        self.built.values().rev().find(of_it)
    }

    /// Whether that commit waits to be built, or is being built; not counted what builds it anew, as another version.
    pub fn is_being_built(&self, sha: &Sha) -> bool {
        let mut asked = self.queue.iter().chain(self.build.iter().map(|build| &build.request));
        asked.any(|request| request.sha == *sha && !request.anew)
    }

    /// Whether that request, which waits or is being built, builds a commit anew.
    pub(in crate::domain) fn builds_anew(&self, request: EventId) -> bool {
        let mut asked = self.queue.iter().chain(self.build.iter().map(|build| &build.request));
        asked.any(|asked| asked.id == request && asked.anew)
    }

    /// Whether there is room for one more build to wait. Whoever may push names as many refs as they like, and each would
    /// be a build.
    pub fn has_room(&self) -> bool {
        self.queue.len() < QUEUE_LIMIT
    }

    /// Whether there is room for one more ref that is to be looked at.
    pub(in crate::domain) fn has_room_for_a_look(&self) -> bool {
        self.looks.len() < QUEUE_LIMIT
    }

    /// Whether another ref was last seen at that commit.
    pub fn stands_elsewhere(&self, name: &RefName, sha: &Sha) -> bool {
        self.refs.iter().any(|(other, head)| other != name && head.seen == *sha)
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
    pub(in crate::domain) fn let_go_of_definitions(&mut self) {
        let used = self.digests_in_use();
        self.known.retain(|digest, _| used.contains(digest));
    }

    /// The digests that something still depends on.
    fn digests_in_use(&self) -> BTreeSet<Digest> {
        let mut used = BTreeSet::new();
        used.extend(self.in_force.iter().map(|f| f.digest.clone()));
        used.extend(self.build.iter().map(|b| b.digest.clone()));
        for tier in self.tiers.values() {
            used.extend(tier.current.iter().chain(&tier.past).chain(&tier.aside).map(|c| c.digest.clone()));
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

/// The first 64 bits of a commit's name.
pub(in crate::domain) fn beginning(sha: &Sha) -> Option<u64> {
    u64::from_str_radix(sha.as_str().get(..16)?, 16).ok()
}
