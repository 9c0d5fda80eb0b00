//! Gates: what is checked, and when.

use super::{Exec, Probe, Script};
use crate::domain::id::{GateName, NodeName};
use crate::domain::span::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A check that a version must pass in a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Unique within the tier.
    pub name: GateName,
    /// Before or after the deploy.
    pub phase: Phase,
    /// Gates of the same phase that must have passed before.
    #[serde(default)]
    pub needs: Vec<GateName>,
    /// Whether its outcome counts.
    pub required: bool,
    /// Tries after which a fail that passes is recorded as flaky; 0: one try.
    #[serde(default)]
    pub flaky_tries: u32,
    /// How it is run.
    #[serde(flatten)]
    pub exec: Exec,
    /// What it checks.
    #[serde(flatten)]
    pub check: Check,
}

/// Before or after the deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the deploy.
    Check,
    /// After it.
    Verify,
}

/// What a gate checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Check {
    /// A command that exits with 0.
    Command {
        /// What is run.
        run: Script,
    },
    /// `cargo test`.
    CargoTest {
        /// Further arguments.
        args: Vec<String>,
    },
    /// `cargo clippy`, warnings denied.
    CargoClippy {
        /// Further arguments.
        args: Vec<String>,
    },
    /// `cargo fmt --check`.
    CargoFmt {
        /// Further arguments.
        args: Vec<String>,
    },
    /// `cargo deny check`.
    CargoDeny {
        /// Further arguments.
        args: Vec<String>,
    },
    /// A URL answers.
    HttpProbe {
        /// `$NAME` is replaced from the step's environment.
        url: String,
        /// The status that it must answer with; none: any 2xx.
        status: Option<u16>,
        /// Text that the body must contain.
        contains: Option<String>,
        /// How long to go on asking until it answers so; none: ask once.
        within: Option<Span>,
        /// Pause between questions.
        every: Span,
    },
    /// An address accepts connections.
    TcpProbe {
        /// `host:port`; `$NAME` is replaced from the step's environment.
        tcp: String,
        /// How long to go on asking; none: ask once.
        within: Option<Span>,
        /// Pause between questions.
        every: Span,
    },
    /// A built artifact is started, answers, stays up, and is stopped.
    BootSmoke {
        /// Path of the artifact.
        artifact: String,
        /// Arguments; `$PORT` is a free port.
        args: Vec<String>,
        /// What is asked.
        probe: Probe,
        /// By when it must answer.
        within: Span,
        /// How long it must stay good.
        healthy_for: Span,
    },
    /// A backup is fetched from a node and kept.
    Backup {
        /// The node.
        node: NodeName,
        /// A command whose output is the backup.
        run: Option<Script>,
        /// Or a file on the node.
        path: Option<String>,
        /// A command that checks it.
        verify: Option<Script>,
        /// Per cent by which it may be smaller than the last one.
        shrink: Option<u8>,
        /// How many are kept.
        keep: u32,
    },
    /// The newest backup is restored into a scratch database and migrated.
    MigrationDryRun {
        /// `postgres`, `sqlite` or `command`.
        engine: String,
        /// What migrates.
        migrate: Script,
        /// What restores, for engine `command`.
        restore: Option<Script>,
        /// The server for the scratch database, for engine `postgres`; `$NAME` is replaced from the step's environment.
        /// None: one that is started for it and thrown away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        /// The gate whose backup is restored; none: the only one that there is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backup: Option<GateName>,
        /// How old the backup may be; none: of any age.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_age: Option<Span>,
        /// How long migrating may take.
        within: Option<Span>,
    },
}

impl Check {
    /// The kind's name, as in events: `cargo_test`.
    pub fn kind(&self) -> &'static str {
        match self {
            Check::Command { .. } => "command",
            Check::CargoTest { .. } => "cargo_test",
            Check::CargoClippy { .. } => "cargo_clippy",
            Check::CargoFmt { .. } => "cargo_fmt",
            Check::CargoDeny { .. } => "cargo_deny",
            Check::HttpProbe { .. } => "http_probe",
            Check::TcpProbe { .. } => "tcp_probe",
            Check::BootSmoke { .. } => "boot_smoke",
            Check::Backup { .. } => "backup",
            Check::MigrationDryRun { .. } => "migration_dry_run",
        }
    }
}
