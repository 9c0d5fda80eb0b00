//! Deploys as people write them.

use super::{Exec, Percent, Script};
use crate::domain::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a version reaches a node: what is put in place, and what activates it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Deploy {
    /// Artifacts that are put in place first. Default: none.
    #[serde(default)]
    pub(in crate::definition) upload: Vec<Upload>,
    /// What activates the version. Default: nothing; it is there once it is uploaded.
    pub(in crate::definition) run: Option<Script>,
    /// Batches of nodes: a number, or a share of all nodes such as `"25%"`; the last entry repeats until all are done.
    #[schemars(length(min = 1), extend("default" = [1]))]
    pub(in crate::definition) waves: Option<Vec<Wave>>,
    /// So many nodes may fail, over the whole tier, and the version still pass.
    #[schemars(range(min = 0, max = 100_000), extend("default" = 0))]
    pub(in crate::definition) max_failures: Option<i64>,
    /// When a node counts as healthy. Default: as soon as `run` has passed.
    pub(in crate::definition) health: Option<Health>,
    /// What happens to the nodes already changed when it fails.
    #[schemars(extend("default" = "rollback"))]
    pub(in crate::definition) on_failure: Option<OnFailure>,
    /// What happens to a node's step that was under way when the controller crashed.
    #[schemars(extend("default" = "fail"))]
    pub(in crate::definition) on_crash: Option<OnCrash>,
    /// Whether what the step leaves running on this machine lives on.
    #[schemars(extend("default" = false))]
    pub(in crate::definition) leave_running: Option<bool>,
    /// A guard on the node goes back by itself, unless told in this time (10 s at least) that the node still answers. Default: none.
    #[schemars(with = "Option<Span>")]
    pub(in crate::definition) confirm_within: Option<String>,
    #[serde(flatten)]
    pub(in crate::definition) exec: Exec,
}

/// An artifact and where it goes.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Upload {
    /// A path or glob among the build's artifacts.
    #[schemars(required, length(min = 1))]
    pub(in crate::definition) artifact: Option<String>,
    /// A file, or a folder when it ends with `/`. `$NAME` is replaced from the step's environment.
    #[schemars(required, length(min = 1), example = &"/opt/shop/$TIDEGATE_VERSION/")]
    pub(in crate::definition) to: Option<String>,
}

/// The size of one batch of nodes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::definition) enum Wave {
    /// So many nodes.
    Count(#[schemars(range(min = 1, max = 100_000))] i64),
    /// So many per cent of all nodes, rounded up.
    Share(#[schemars(with = "Percent")] String),
}

/// What happens to the nodes already changed when a promotion fails.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum OnFailure {
    /// They go back to the tier's current version.
    Rollback,
    /// They stay as they are, and are named.
    Stop,
}

/// What happens to a node's step that was under way when the controller crashed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum OnCrash {
    /// It counts as failed.
    Fail,
    /// It is started again.
    Rerun,
}

/// When a node counts as healthy: say `http`, `tcp` or `run`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Health {
    /// A URL that answers with 2xx or 3xx, asked on the node. `$NAME` is replaced from the step's environment. Default:
    /// `tcp` or `run` says it.
    #[schemars(example = &"http://127.0.0.1:$PORT/health")]
    pub(in crate::definition) http: Option<String>,
    /// `host:port` that accepts connections. Default: `http` or `run` says it.
    #[schemars(example = &"127.0.0.1:$PORT")]
    pub(in crate::definition) tcp: Option<String>,
    /// A command that exits with 0. Default: `http` or `tcp` says it.
    pub(in crate::definition) run: Option<Script>,
    /// Pause between questions.
    #[schemars(with = "Option<Span>", extend("default" = "1s"))]
    pub(in crate::definition) every: Option<String>,
    /// How long it must stay good without a break.
    #[schemars(with = "Option<Span>", extend("default" = "0s"))]
    pub(in crate::definition) healthy_for: Option<String>,
    /// By when, counted from the end of `run`.
    #[schemars(with = "Option<Span>", extend("default" = "60s"))]
    pub(in crate::definition) within: Option<String>,
}
