//! Nodes as they are shown: how far each is that a version is being put on, and what is on each.

use crate::domain::pipeline::Tier;
use crate::domain::state::{NodeTry, TierState};
use crate::domain::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A node that a version is being put on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeTryView {
    /// Its name.
    pub name: NodeName,
    /// How far it is.
    pub status: NodeProgress,
    /// The run that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The run that began last: `/api/runs/{id}/log` has what it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_id: Option<RunId>,
    /// Tries that ended.
    pub tries: u32,
    /// What failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Not before then is it tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// What the run that is under way waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
}

/// How far a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeProgress {
    /// It has not begun, or waits for another try.
    Waiting,
    /// The version is being put there.
    Running,
    /// It is there.
    Ok,
    /// It could not be put there.
    Failed,
}

/// What is on a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeView {
    /// Its name.
    pub name: NodeName,
    /// The definition in force has it no longer.
    pub removed: bool,
    /// The version; none: nothing yet, or not known.
    pub version: Option<VersionLabel>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// What is being put there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing: Option<VersionLabel>,
    /// What last went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Whether it is left with another version than the tier's current one: nothing that goes on in the tier has put it
    /// there or is about to change it.
    pub behind: bool,
    /// Why the version that is on it is rejected in this tier: a promotion was stopped, and the node stays as it is. Not
    /// while the tier goes back and the node with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

pub(super) fn node_try_views(order: Vec<&NodeName>, tries: &BTreeMap<NodeName, NodeTry>) -> Vec<NodeTryView> {
    let empty = NodeTry::default();
    order
        .into_iter()
        .map(|name| {
            let node = tries.get(name).unwrap_or(&empty);
            let (status, failure) = match node.result {
                _ if node.running.is_some() => (NodeProgress::Running, None),
                None => (NodeProgress::Waiting, None),
                Some(Ok(())) => (NodeProgress::Ok, None),
                Some(Err(failure)) => (NodeProgress::Failed, Some(failure)),
            };
            NodeTryView {
                name: name.clone(),
                status,
                run_id: node.running,
                last_run_id: node.last,
                tries: node.tries,
                failure,
                not_before: node.not_before,
                blockers: locked(node.running, node.locked_by.as_ref()),
            }
        })
        .collect()
}

/// What a run under way waits for: a node's lock.
pub(super) fn locked(running: Option<RunId>, by: Option<&String>) -> Vec<Blocker> {
    let by = by.filter(|_| running.is_some());
    by.map(|by| Blocker::NodeLocked { by: by.clone() }).into_iter().collect()
}

/// The nodes of the definition in its order, then those that it no longer has.
pub(super) fn node_views(t: &TierState, tier: Option<&Tier>) -> Vec<NodeView> {
    let defined: Vec<&NodeName> =
        tier.map(|tier| tier.nodes.iter().map(|node| &node.name).collect()).unwrap_or_default();
    let removed = t.nodes.keys().filter(|name| !defined.contains(name));
    let current = t.current.as_ref().map(|current| &current.version);
    let view = |name: &NodeName, removed: bool| {
        let node = t.nodes.get(name);
        let version = node.and_then(|node| node.version.clone());
        let is_in_hand = is_in_hand(t, name, version.as_ref());
        let rejected = version.as_ref().filter(|_| !is_in_hand).and_then(|version| t.rejected_for(version));
        NodeView {
            name: name.clone(),
            removed,
            behind: !removed && !is_in_hand && current.is_some() && version.as_ref() != current,
            rejected: rejected.map(str::to_owned),
            version,
            at: node.map(|node| node.at),
            changing: node.and_then(|node| node.changing.clone()),
            failure: node.and_then(|node| node.failure),
        }
    };
    let here = defined.iter().map(|name| view(name, false));
    here.chain(removed.map(|name| view(name, true))).collect()
}

/// Whether what goes on in the tier has put there what is on a node, or is about to change it.
fn is_in_hand(t: &TierState, name: &NodeName, version: Option<&VersionLabel>) -> bool {
    let hopes = |tries: &BTreeMap<NodeName, NodeTry>| {
        tries.get(name).is_none_or(|node| !matches!(node.result, Some(Err(_))) || node.running.is_some())
    };
    let inside = t.inside.as_ref().is_some_and(|inside| {
        version == Some(&inside.version) || (inside.nodes.contains_key(name) && hopes(&inside.nodes))
    });
    let back = t.going_back.as_ref().is_some_and(|back| back.order.contains(name) && hopes(&back.nodes));
    let anew = t.redeploy.as_ref().is_some_and(|anew| anew.order.contains(name) && hopes(&anew.nodes));
    inside || back || anew
}
