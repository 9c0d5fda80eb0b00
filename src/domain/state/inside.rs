//! What goes on in a tier: a version inside, a way back, a redeploy, an adoption; and what is on its nodes.

use super::*;
use crate::domain::event::PromotionEnd;
use crate::domain::outcome::Failure;

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
#[serde(default)]
pub struct NodeTry {
    /// Tries that ended and count.
    pub tries: u32,
    /// The run that is under way.
    pub running: Option<RunId>,
    /// The run that began last.
    pub last: Option<RunId>,
    /// How it came out; none: not yet.
    pub result: Option<Result<(), Failure>>,
    /// What the last try that failed said, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Who holds the lock that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_by: Option<String>,
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

impl GoingBack {
    /// Whether a node or gate of it is being tried now.
    pub(super) fn is_under_way(&self) -> bool {
        self.nodes.values().any(|n| n.running.is_some()) || self.gates.values().any(|g| g.running.is_some())
    }
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

/// A way back that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WentBack {
    /// The version that was left.
    pub from: VersionLabel,
    /// The version that it went back to.
    pub to: VersionLabel,
    /// Why.
    pub cause: String,
    /// When it began.
    pub at: Time,
}

/// A version that is built to be adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopting {
    /// The version.
    pub version: VersionLabel,
    /// Its commit.
    pub sha: Sha,
    /// Who adopts it.
    pub by: String,
    /// Why; empty: they did not say.
    pub why: String,
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
