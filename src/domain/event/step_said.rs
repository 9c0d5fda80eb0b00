//! What a step may say from inside.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a step says through `$TIDEGATE_EVENTS`: one JSON object a line, tagged by `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepSaid {
    /// How far it is.
    Progress {
        /// From 0 to 100.
        #[schemars(range(min = 0, max = 100))]
        percent: f64,
        /// What it does now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A remark about a place in a file.
    Annotation {
        /// How bad it is.
        level: Level,
        /// Path relative to the workspace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// Line, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
        /// The remark.
        message: String,
    },
    /// A number.
    Metric {
        /// What it measures.
        name: String,
        /// The number.
        value: f64,
        /// In which unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
    },
    /// A value for people and later steps.
    Output {
        /// Its name.
        key: String,
        /// The value.
        value: String,
    },
    /// A gate says that it cannot judge.
    Blocked {
        /// Why.
        reason: String,
        /// The way out.
        #[serde(default)]
        help: String,
    },
    /// A backup was fetched.
    BackupFetched {
        /// Where it came from, free text.
        source: String,
        /// Its size in bytes.
        byte_size: u64,
    },
    /// The controller's own remark: whether a deploy or backup waits for its node's lock.
    NodeLocked {
        /// Who holds it; none: the run has it and goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The runner's own remark, such as a bad line or a process that was left behind.
    Warning {
        /// The remark.
        message: String,
    },
}

/// How bad a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Notice,
    /// To be looked at.
    Warning,
    /// Wrong.
    Error,
}
