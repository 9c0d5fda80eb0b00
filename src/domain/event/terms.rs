//! The words that events use: artifacts, modes, ends, actions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file that a build made, kept by its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// Path relative to the workspace.
    pub path: String,
    /// SHA-256 of the content, hex.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
}

/// Why a version is put on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeployMode {
    /// It was promoted.
    Deploy,
    /// The tier goes back to it.
    Rollback,
    /// A person asked for it once more.
    Redeploy,
}

impl DeployMode {
    /// As in `TIDEGATE_MODE`.
    pub fn as_str(self) -> &'static str {
        match self {
            DeployMode::Deploy => "deploy",
            DeployMode::Rollback => "rollback",
            DeployMode::Redeploy => "redeploy",
        }
    }
}

/// What became of the nodes when a promotion failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromotionEnd {
    /// None was changed.
    Rejected,
    /// They went back, or are being sent back.
    RolledBack,
    /// They stay as they are.
    Stopped,
    /// A person ended it.
    Canceled,
}

/// Why confirmations no longer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// Their time is over.
    Expired,
    /// The tier's part of the definition changed.
    Edited,
}

/// What a person does by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Lets a version in.
    Promote,
    /// Sends a tier back.
    Rollback,
    /// Lets a rejected version wait again, or tries at once what would be tried later.
    Retry,
    /// Runs the current version's deploy again.
    Redeploy,
    /// Ends a build, or what is inside.
    Cancel,
    /// Says what a tier runs already.
    Adopt,
}
