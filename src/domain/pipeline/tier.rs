//! Tiers: when a version may enter, and the hosts that it reaches.

use super::window::Window;
use super::{Check, Deploy, Gate, Phase};
use crate::domain::id::{GateName, NodeName, TierName};
use crate::domain::role::Role;
use crate::domain::span::Span;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// Unique within the pipeline.
    pub name: TierName,
    /// The name that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<TierName>,
    /// The tiers that a version passes first; empty: a first tier.
    #[serde(default)]
    pub after: Vec<TierName>,
    /// When a version may enter.
    pub promote: Promote,
    /// The hosts; never empty when there is a deploy.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// How a version reaches a node; none: the tier only checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    /// The checks.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// Keys that this release knows but does not execute: they keep the tier shut.
    #[serde(default)]
    pub unsupported: Vec<String>,
}

impl Tier {
    /// The gate of that name.
    pub fn gate(&self, name: &GateName) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.name == *name)
    }

    /// The node of that name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// Whether it needs what a build makes: the deploy uploads it, a gate starts it, or a command speaks of the folder
    /// where it is. What a command does beyond its own text cannot be seen.
    pub fn needs_artifacts(&self) -> bool {
        self.returns_artifacts() || self.gates.iter().any(needs_artifacts)
    }

    /// The same for what a way back runs: the deploy, and the gates after it.
    pub fn returns_artifacts(&self) -> bool {
        let deploys = self.deploy.as_ref().is_some_and(|deploy| {
            !deploy.upload.is_empty() || deploy.run.as_ref().is_some_and(|run| run.names_artifacts())
        });
        deploys || self.gates.iter().filter(|gate| gate.phase == Phase::Verify).any(needs_artifacts)
    }
}

fn needs_artifacts(gate: &Gate) -> bool {
    match &gate.check {
        Check::BootSmoke { .. } => true,
        Check::Command { run } => run.names_artifacts(),
        _ => false,
    }
}

/// When a version may enter a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Promote {
    /// By itself, or by a person's word.
    pub mode: Mode,
    /// Unbroken time as current in each tier of `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Span>,
    /// Whose confirmation it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Which of several waiting versions goes first.
    pub pick: Pick,
    /// How many of `after` it must have passed.
    pub require: Require,
    /// Times at which it may enter; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<Window>,
    /// Times at which it may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
}

/// By itself, or by a person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A version enters as soon as nothing stands against it.
    Auto,
    /// Somebody must say `promote`.
    Manual,
}

/// Whose confirmation a version needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirm {
    /// Distinct people.
    pub count: u32,
    /// Roles of which they must have at least one, or a higher one; empty: operator.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Whether the word does not count of who asked for the build, or has a part in its commit.
    #[serde(default)]
    pub not_author: bool,
    /// How long one confirmation stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
}

/// Which of several waiting versions goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The newest that nothing stands against.
    Newest,
    /// The oldest; the newer wait behind it.
    Every,
}

/// How many tiers of `after` a version must have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// Each.
    All,
    /// One.
    Any,
}

/// A time at which versions may not enter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Freeze {
    /// First moment.
    pub from: DateTime<Utc>,
    /// First moment after it.
    pub to: DateTime<Utc>,
    /// Why, for people.
    #[serde(default)]
    pub why: String,
}

/// A host of a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Unique within the tier.
    pub name: NodeName,
    /// The name that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<NodeName>,
    /// `user@host` or an alias of the ssh config; none: this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// Environment of what is run for this node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}
