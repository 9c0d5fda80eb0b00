//! The gates that run cargo. Their verdict comes from what the tool itself says in a form for machines, while the log
//! stays what a person would have read.
//!
//! So the step's process is this very program (`tidegate cargo-gate`), which runs cargo: it reads cargo's messages in
//! JSON, writes the text that each carries in its place and everything else unchanged and in order, appends annotations
//! to `$TIDEGATE_EVENTS`, and at the end a `Verdict`. The log is then byte for byte what the step wrote, wherever the
//! runner is. `arguments` knows cargo's command lines, `sieve` tells messages from text, `build`, `fmt` and `deny` know
//! what the tools say, `child` runs cargo.

mod arguments;
mod build;
mod child;
mod deny;
mod failures;
mod fmt;
mod remarks;
mod sieve;
mod trouble;

use crate::domain::Classification;
use crate::domain::pipeline::Check;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub use child::run;
pub(super) use trouble::{ELSEWHERE, NO_CHOICE};

/// The subcommand of this program that is the step's process.
pub const SUBCOMMAND: &str = "cargo-gate";

/// What cargo does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `cargo test`.
    Test,
    /// `cargo clippy`.
    Clippy,
    /// `cargo fmt --check`.
    Fmt,
    /// `cargo deny check`.
    Deny,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Test, Kind::Clippy, Kind::Fmt, Kind::Deny];

    /// The kind with cargo's own name for it.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Cargo's own name for it: `test`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Test => "test",
            Kind::Clippy => "clippy",
            Kind::Fmt => "fmt",
            Kind::Deny => "deny",
        }
    }
}

/// What a failed step of ours means, said by its process as the last line of its events file. Not for others: the file's
/// schema does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub(super) classification: Classification,
    /// One line for people; none: the end of the log has to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// The tool that is not there, as it is called in the PATH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<String>,
    /// The signal that ended cargo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signal: Option<i32>,
    /// Whether the message goes on with what the log says at its end.
    #[serde(default, skip_serializing_if = "crate::domain::outcome::is_false")]
    pub(super) as_logged: bool,
}

/// The line that a verdict is.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Verdict(Verdict),
}

impl Verdict {
    pub(super) fn of(classification: Classification, message: Option<String>) -> Verdict {
        Verdict { classification, message, missing: None, signal: None, as_logged: false }
    }

    /// As a line, without its end.
    pub(super) fn to_line(&self) -> String {
        serde_json::to_string(&Line::Verdict(self.clone())).expect("BUG: a verdict is JSON")
    }

    /// The verdict that a line is.
    pub(super) fn from_line(line: &[u8]) -> Option<Verdict> {
        let Line::Verdict(verdict) = serde_json::from_slice(line).ok()?;
        Some(verdict)
    }
}

/// The command of a gate that runs cargo; none: it runs something else. `root` is the gate's workspace.
pub(super) fn argv(check: &Check, root: &Path) -> Option<Vec<OsString>> {
    let (kind, args) = match check {
        Check::CargoTest { args } => (Kind::Test, args),
        Check::CargoClippy { args } => (Kind::Clippy, args),
        Check::CargoFmt { args } => (Kind::Fmt, args),
        Check::CargoDeny { args } => (Kind::Deny, args),
        _ => return None,
    };
    let mut argv = vec![own_program().into_os_string(), SUBCOMMAND.into(), "--root".into(), root.into()];
    argv.extend([OsStr::new(kind.name()), OsStr::new("--")].map(OsString::from));
    argv.extend(args.iter().map(OsString::from));
    Some(argv)
}

/// This program, also when its file was replaced or removed meanwhile.
pub(super) fn own_program() -> PathBuf {
    let itself = || PathBuf::from("/proc/self/exe");
    std::env::current_exe().ok().filter(|program| program.is_file()).unwrap_or_else(itself)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_a_line_that_nothing_else_is() {
        let verdict = Verdict::of(Classification::Lint, Some("2 lints".into()));
        assert_eq!(Verdict::from_line(verdict.to_line().as_bytes()), Some(verdict));
        assert_eq!(Verdict::from_line(br#"{"kind":"progress","percent":1}"#), None);
        assert_eq!(Verdict::from_line(b"x"), None);
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::named("bench"), None);
    }
}
