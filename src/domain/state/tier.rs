//! One tier, and what each version has to do with it.

use super::*;
use crate::domain::blocker::Blocker;

/// One tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TierState {
    /// The last version that passed, or that it was rolled back to.
    pub current: Option<Current>,
    /// What was current before, oldest first, without what was left by a rollback.
    pub past: Vec<Current>,
    /// What passed after the version that it was sent back to, oldest first: it goes there again only by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Current>,
    /// The version inside.
    pub inside: Option<Inside>,
    /// The way back, while it lasts.
    pub going_back: Option<GoingBack>,
    /// A redeploy, while it lasts.
    pub redeploy: Option<Redeploy>,
    /// The last way back, until another version passes.
    pub went_back: Option<WentBack>,
    /// A version that becomes current here once it is built.
    pub adopting: Option<Adopting>,
    /// What each version has to do with this tier; absent: nothing yet.
    pub standings: BTreeMap<VersionLabel, Standing>,
    /// What is where.
    pub nodes: BTreeMap<NodeName, NodeState>,
    /// What its gates fetched and is kept, oldest first: of each gate the newest so many.
    pub backups: Vec<Backup>,
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
#[serde(default)]
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
    /// The gates that could not judge, and their last runs.
    #[serde(default)]
    pub gates: Vec<(GateName, RunId)>,
}

/// One person's word for one version in one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Who.
    pub by: String,
    /// Their address, where one is known.
    #[serde(default)]
    pub email: Option<String>,
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

impl TierState {
    /// The version that keeps others out now, if one does.
    pub fn busy_with(&self) -> Option<&VersionLabel> {
        let back = self.going_back.as_ref().filter(|g| !g.failed || g.is_under_way()).map(|g| &g.from);
        let redeployed = self.redeploy.as_ref().map(|r| &r.version);
        let adopted = self.adopting.as_ref().map(|a| &a.version);
        self.inside.as_ref().map(|i| &i.version).or(back).or(redeployed).or(adopted)
    }

    /// The definition that a run of that version in this tier goes by: of what is inside, or of the way back.
    pub(in crate::domain) fn digest_of(&self, version: &VersionLabel) -> Option<&Digest> {
        match (&self.inside, &self.going_back) {
            (Some(inside), _) if inside.version == *version => Some(&inside.digest),
            (_, Some(back)) => Some(&back.digest),
            _ => None,
        }
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

    /// A version that passed here and is not the current one, with the definition under which it did.
    pub fn passed_before(&self, version: &VersionLabel) -> Option<&Current> {
        self.past.iter().rev().chain(&self.aside).find(|it| it.version == *version)
    }

    /// Whether that version is rejected here.
    pub fn is_rejected(&self, version: &VersionLabel) -> bool {
        self.rejected_for(version).is_some()
    }

    /// Why that version is rejected here; none: it is not.
    pub fn rejected_for(&self, version: &VersionLabel) -> Option<&str> {
        match self.standings.get(version)?.verdict.as_ref()? {
            Verdict::Rejected(cause) => Some(cause),
            _ => None,
        }
    }

    /// The gate's attempts that a run of that version belongs to: those inside, or those of the way back.
    pub(in crate::domain) fn gate_attempts(
        &mut self,
        version: &VersionLabel,
        name: &GateName,
    ) -> Option<&mut Attempts> {
        match (&mut self.inside, &mut self.going_back) {
            (Some(inside), _) if inside.version == *version => {
                Some(inside.gates.entry(name.clone()).or_default())
            }
            (_, Some(back)) if back.to == *version => Some(back.gates.entry(name.clone()).or_default()),
            _ => None,
        }
    }

    /// The node's tries that a run of that mode belongs to.
    pub(in crate::domain) fn node_try(&mut self, mode: DeployMode, node: &NodeName) -> Option<&mut NodeTry> {
        let nodes = match mode {
            DeployMode::Deploy => &mut self.inside.as_mut()?.nodes,
            DeployMode::Rollback => &mut self.going_back.as_mut()?.nodes,
            DeployMode::Redeploy => &mut self.redeploy.as_mut()?.nodes,
        };
        Some(nodes.entry(node.clone()).or_default())
    }
}
