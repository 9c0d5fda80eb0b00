//! How a version reaches a node, and when the node counts as healthy.

use super::{Exec, Script};
use crate::domain::span::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a version reaches a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deploy {
    /// Artifacts that are put in place first.
    #[serde(default)]
    pub upload: Vec<Upload>,
    /// What activates the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Script>,
    /// Sizes of the batches; the last repeats.
    pub waves: Vec<Wave>,
    /// Nodes that may fail, over the whole tier.
    #[serde(default)]
    pub max_failures: u32,
    /// When a node counts as healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What happens to changed nodes when it fails.
    pub on_failure: OnFailure,
    /// Whether a node's step may simply be started again after a crash of the controller.
    #[serde(default)]
    pub rerun_on_crash: bool,
    /// Whether what the step leaves running lives on.
    #[serde(default)]
    pub leave_running: bool,
    /// The node goes back by itself unless told in time that it still answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<Span>,
    /// How it is run.
    #[serde(flatten)]
    pub exec: Exec,
}

/// An artifact and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upload {
    /// A path or glob among the build's artifacts.
    pub artifact: String,
    /// A file, or a folder when it ends with `/`; `$NAME` is replaced from the step's environment.
    pub to: String,
}

/// The size of one batch of nodes: a number, or a share such as `"25%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wave {
    /// So many nodes, at least one.
    Count(u32),
    /// So many per cent of all nodes, rounded up.
    Percent(u8),
}

/// How many nodes each wave has: entries of `waves` in turn, the last repeated until all nodes are in; per cent of all
/// nodes, rounded up (rule 13).
pub fn wave_sizes(waves: &[Wave], nodes: usize) -> Vec<usize> {
    let mut entries = waves.iter().chain(std::iter::repeat(waves.last().unwrap_or(&Wave::Count(1))));
    let (mut sizes, mut rest) = (Vec::new(), nodes);
    while rest > 0 {
        let size = match entries.next().unwrap_or(&Wave::Count(1)) {
            Wave::Count(count) => *count as usize,
            Wave::Percent(percent) => (nodes * *percent as usize).div_ceil(100),
        };
        let size = size.clamp(1, rest);
        sizes.push(size);
        rest -= size;
    }
    sizes
}

/// What happens to changed nodes when a promotion fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They go back to the tier's current version.
    Rollback,
    /// They stay as they are.
    Stop,
}

/// When a node counts as healthy: good without a break for `healthy_for`, reached within `within`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Pause between questions.
    pub every: Span,
    /// How long it must stay good.
    pub healthy_for: Span,
    /// By when.
    pub within: Span,
}

/// A question that is answered with good or bad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// GET of a URL: good is an answer of 2xx or 3xx.
    Http(String),
    /// `host:port` accepts a connection.
    Tcp(String),
    /// A command exits with 0.
    Run(Script),
}
