//! How a run ended: the verdict with its evidence.

use super::blocker::Blocker;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Judged, and good.
    Pass,
    /// Judged, and bad.
    Fail,
    /// Could not be judged.
    Blocked,
}

/// Why a run ended as it did; each belongs to one [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Pass.
    Ok,
    /// Pass, but only on a further identical try.
    Flaky,
    /// Fail: tests failed.
    TestFailure,
    /// Fail: it does not compile.
    CompileError,
    /// Fail: a linter complained.
    Lint,
    /// Fail: the check said no (an exit status other than 0).
    CheckFailed,
    /// Fail: a probe found it unhealthy.
    Unhealthy,
    /// Fail: it took longer than its timeout.
    Timeout,
    /// Fail: a signal that we did not send ended it.
    Killed,
    /// Blocked: a program is not there.
    MissingTool,
    /// Blocked: the machine, the network or the repository failed, not the version.
    Infrastructure,
    /// Blocked: somebody ended it.
    Canceled,
    /// Blocked: the controller stopped or crashed meanwhile.
    Interrupted,
    /// Blocked: the step itself said that it cannot judge.
    StepSays,
}

impl Classification {
    /// The status that it belongs to.
    pub fn status(self) -> Status {
        use Classification::*;
        match self {
            Ok | Flaky => Status::Pass,
            TestFailure | CompileError | Lint | CheckFailed | Unhealthy | Timeout | Killed => Status::Fail,
            MissingTool | Infrastructure | Canceled | Interrupted | StepSays => Status::Blocked,
        }
    }
}

/// How one run ended, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The verdict.
    pub status: Status,
    /// Its class.
    pub classification: Classification,
    /// What stands in the way, when it is `blocked`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// The log, as a path below the state folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_ref: Option<String>,
    /// Size of the log file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_bytes: Option<u64>,
    /// SHA-256 of the log file, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_sha256: Option<String>,
    /// Present and true when output past the limit was dropped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub log_truncated: bool,
    /// Exit status, when it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Name of the signal that ended it, such as `SIGKILL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// One line for people: what went wrong and the way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

impl Outcome {
    /// An outcome of that class without evidence.
    pub fn of(classification: Classification) -> Outcome {
        Outcome {
            status: classification.status(),
            classification,
            blockers: Vec::new(),
            log_ref: None,
            log_bytes: None,
            log_sha256: None,
            log_truncated: false,
            exit_code: None,
            signal: None,
            message: None,
            elapsed_ms: 0,
        }
    }

    /// The same with a message.
    pub fn saying(mut self, message: impl Into<String>) -> Outcome {
        self.message = Some(message.into());
        self
    }

    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.status == Status::Pass
    }
}

/// What a node's deploy failed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The node could not be reached, so it was not changed.
    Unreachable,
    /// The node refused us, so it was not changed.
    Auth,
    /// An artifact could not be put in place.
    Upload,
    /// The deploy's command failed.
    Activate,
    /// It did not become or stay healthy.
    Unhealthy,
    /// It took longer than its timeout.
    Timeout,
    /// Somebody ended it.
    Canceled,
    /// The controller stopped or crashed meanwhile.
    Interrupted,
    /// An artifact is not in the store.
    ArtifactMissing,
}

impl Failure {
    /// As it stands in events: `artifact_missing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Failure::Unreachable => "unreachable",
            Failure::Auth => "auth",
            Failure::Upload => "upload",
            Failure::Activate => "activate",
            Failure::Unhealthy => "unhealthy",
            Failure::Timeout => "timeout",
            Failure::Canceled => "canceled",
            Failure::Interrupted => "interrupted",
            Failure::ArtifactMissing => "artifact_missing",
        }
    }

    /// Whether the node may have been changed before it failed.
    pub fn may_have_changed(self) -> bool {
        !matches!(self, Failure::Unreachable | Failure::Auth | Failure::ArtifactMissing)
    }
}

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}
