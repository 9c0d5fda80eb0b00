//! Why something does not go on now.

use super::id::{NodeName, Sha, TierName, VersionLabel};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One typed reason why something does not go on now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Blocker {
    /// It has not passed a tier that comes before.
    NotPromoted {
        /// The tier to pass first.
        tier: TierName,
    },
    /// It is not built here, and what a build makes is needed.
    NotBuilt {
        /// Its commit, where nothing builds it: somebody must ask for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha: Option<Sha>,
    },
    /// It has not been current for long enough in the tiers before.
    Soak {
        /// When it will have been.
        until: Option<DateTime<Utc>>,
    },
    /// People must confirm it.
    ConfirmMissing {
        /// Confirmations given.
        have: u32,
        /// Confirmations needed.
        need: u32,
    },
    /// Somebody must say `promote`.
    Manual,
    /// It is outside the windows.
    Window {
        /// When the next one opens; none: none ever does.
        opens: Option<DateTime<Utc>>,
    },
    /// It is within a freeze.
    Freeze {
        /// When it ends.
        until: DateTime<Utc>,
        /// Why.
        why: String,
    },
    /// Somebody holds the tier or the pipeline.
    Hold {
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// The version is blocked everywhere.
    VersionBlocked,
    /// Another version is inside.
    TierBusy {
        /// Which.
        version: VersionLabel,
    },
    /// Another version goes first (`pick = "every"`), or is newer and current.
    Behind {
        /// Which.
        version: VersionLabel,
    },
    /// It was rejected here.
    Rejected {
        /// Why.
        cause: String,
    },
    /// A gate failed.
    GateFailed {
        /// The gate's name.
        gate: String,
    },
    /// A program is not there.
    MissingTool {
        /// Its name.
        tool: String,
    },
    /// A node does not answer.
    Unreachable {
        /// Its name.
        node: NodeName,
    },
    /// It is not known what runs on a node.
    NotVerified {
        /// Its name.
        node: NodeName,
    },
    /// Another controller deploys to the node.
    NodeLocked {
        /// Who.
        by: String,
    },
    /// There is no room on the disk.
    DiskFull,
    /// The definition uses a key that this release does not execute.
    Unsupported {
        /// Which.
        key: String,
    },
    /// The newest backup is too old, or there is none.
    BackupStale {
        /// Its age, such as `26h`; `none`: there is no backup.
        age: String,
    },
    /// A gate says that it cannot judge.
    StepSays {
        /// Why.
        reason: String,
        /// The way out.
        help: String,
    },
}

impl Blocker {
    /// Its tag: `tier_busy`.
    pub fn kind(&self) -> &'static str {
        match self {
            Blocker::NotPromoted { .. } => "not_promoted",
            Blocker::NotBuilt { .. } => "not_built",
            Blocker::Soak { .. } => "soak",
            Blocker::ConfirmMissing { .. } => "confirm_missing",
            Blocker::Manual => "manual",
            Blocker::Window { .. } => "window",
            Blocker::Freeze { .. } => "freeze",
            Blocker::Hold { .. } => "hold",
            Blocker::VersionBlocked => "version_blocked",
            Blocker::TierBusy { .. } => "tier_busy",
            Blocker::Behind { .. } => "behind",
            Blocker::Rejected { .. } => "rejected",
            Blocker::GateFailed { .. } => "gate_failed",
            Blocker::MissingTool { .. } => "missing_tool",
            Blocker::Unreachable { .. } => "unreachable",
            Blocker::NotVerified { .. } => "not_verified",
            Blocker::NodeLocked { .. } => "node_locked",
            Blocker::DiskFull => "disk_full",
            Blocker::Unsupported { .. } => "unsupported",
            Blocker::BackupStale { .. } => "backup_stale",
            Blocker::StepSays { .. } => "step_says",
        }
    }

    /// The moment at which time alone lifts it, where that is known.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        match self {
            Blocker::Soak { until } => *until,
            Blocker::Window { opens } => *opens,
            Blocker::Freeze { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// The same without what merely moves with time, so that a countdown is not a change.
    pub fn without_times(&self) -> Blocker {
        match self {
            Blocker::Soak { .. } => Blocker::Soak { until: None },
            Blocker::Window { .. } => Blocker::Window { opens: None },
            other => other.clone(),
        }
    }
}
