//! One thing that is wrong with a definition file: what, where, and the way out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that is wrong with a definition file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// Stable code, such as `TG-DEF-012`.
    pub code: String,
    /// Whether it keeps the file from loading.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last.
    pub end_column: u32,
    /// What is wrong.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The first line as it stands in the file, to be shown with what is meant of it marked; none where it is empty, longer
    /// than 200 characters, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Nobody reads more of a line than this, in characters.
const TEXT_LIMIT: usize = 200;

impl Diagnostic {
    /// A line to be shown, if it is one.
    pub fn shown(line: &str) -> Option<String> {
        let line = line.trim_end();
        let is_short = line.chars().nth(TEXT_LIMIT).is_none();
        (is_short && !line.trim_start().is_empty()).then(|| line.to_owned())
    }
}

/// Whether a diagnostic keeps a file from loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but something will not be as one might think.
    Warning,
}
