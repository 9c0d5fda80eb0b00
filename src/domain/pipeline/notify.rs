//! Notices: who is told of what.

use super::{Forge, Script};
use crate::domain::id::TierName;
use crate::domain::span::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kinds of events that say something about a commit: what a forge is told of unless `kinds` is said.
pub const STATUS_KINDS: [&str; 10] = [
    "build_start",
    "build_ok",
    "build_failed",
    "build_aborted",
    "promote_start",
    "promote_complete",
    "promote_failed",
    "rollback",
    "rollback_complete",
    "rollback_failed",
];

/// Who is told of what. Exactly one of `run`, `forge` and, without `forge`, `url` is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notify {
    /// Kinds of events, `*` allowed at the end.
    pub kinds: Vec<String>,
    /// Tiers; empty: all, and what is about no tier.
    #[serde(default)]
    pub tiers: Vec<TierName>,
    /// Where the event is posted as JSON; with `forge`, where its API begins.
    #[serde(default)]
    pub url: Option<String>,
    /// What is run, with the event as JSON in a file.
    #[serde(default)]
    pub run: Option<Script>,
    /// The forge whose commit status is set.
    #[serde(default)]
    pub forge: Option<Forge>,
    /// The repository's name on the forge, such as `acme/shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Limit of one try of `run`; none: a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Names of the secrets that it gets. With `forge` one, the token.
    #[serde(default)]
    pub secrets: Vec<String>,
}
