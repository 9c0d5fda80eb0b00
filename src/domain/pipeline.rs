//! A pipeline as the engine knows it: lowered from its file, every default filled in, every name resolved.
//! How users write it, and what is wrong with what they wrote, is `definition`'s subject.

use super::id::{GateName, NodeName, PipelineName, StepName, TierName};
use super::outcome::Classification;
use super::role::Role;
use super::span::Span;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One pipeline, lowered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pipeline {
    /// What identifies it.
    pub name: PipelineName,
    /// The name that it had before: its history goes on under the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<PipelineName>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where commits come from.
    pub source: Source,
    /// How the label of a version is found.
    pub version: VersionRule,
    /// Environment of every step.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Secrets by the name of their environment variable.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretSource>,
    /// How a commit becomes a version.
    pub build: Build,
    /// In the order of the file.
    pub tiers: Vec<Tier>,
    /// Who is told of what.
    #[serde(default)]
    pub notify: Vec<Notify>,
    /// Builds by the clock.
    #[serde(default)]
    pub schedule: Vec<Schedule>,
    /// The pipeline's own tests.
    #[serde(default)]
    pub tests: Vec<TestCase>,
    /// Keys that this release knows but does not execute and that concern every tier.
    #[serde(default)]
    pub unsupported: Vec<String>,
}

impl Pipeline {
    /// The tier of that name.
    pub fn tier(&self, name: &TierName) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == *name)
    }
}

/// Where commits come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// A path or any URL that git understands.
    pub repo: String,
    /// Globs on the full ref or its short name. Empty: the repository's default branch.
    #[serde(default)]
    pub refs: Vec<String>,
    /// Globs on changed paths. Empty: every push counts.
    #[serde(default)]
    pub paths: Vec<String>,
    /// How often to look for lost pushes; none: never.
    #[serde(default)]
    pub poll: Option<Span>,
    /// Whether submodules are fetched.
    #[serde(default)]
    pub submodules: bool,
    /// Whether LFS objects are fetched.
    #[serde(default)]
    pub lfs: bool,
}

/// How the label of a version is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum VersionRule {
    /// The first of `Cargo.toml`, `package.json`, `pyproject.toml`, `VERSION`.
    Default,
    /// `Cargo.toml`.
    Cargo,
    /// `package.json`.
    Npm,
    /// `pyproject.toml`.
    Pyproject,
    /// The text of a file.
    File {
        /// Path in the repository.
        file: String,
    },
    /// A tag at the commit; a push without one is ignored.
    Tag,
    /// What a command prints.
    Command {
        /// Run in a checkout.
        command: Script,
    },
    /// `git describe --tags`.
    Describe,
}

/// Where a secret's value is read, at the start of each step that lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// A file of the controller's machine.
    File(String),
    /// A variable of the controller's environment.
    Env(String),
    /// What a command prints.
    Command(Vec<String>),
}

/// A command: text for the shell, or a program with arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Script {
    /// Run by `/bin/sh -c`.
    Shell(String),
    /// Executed as it is.
    Argv(Vec<String>),
}

/// How a commit becomes a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// What a newer push to the same ref does to a build under way.
    pub on_newer: OnNewer,
    /// Limit for all steps together.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Paths and globs of what is kept for the tiers.
    #[serde(default)]
    pub artifacts: Vec<String>,
    /// The steps; `needs` is resolved.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// What a newer push does to a build under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnNewer {
    /// The build is ended.
    Abort,
    /// The build goes on.
    Finish,
}

/// One build step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Unique within the build.
    pub name: StepName,
    /// What is run.
    pub run: Script,
    /// Steps that must have passed before.
    #[serde(default)]
    pub needs: Vec<StepName>,
    /// How it is run.
    #[serde(flatten)]
    pub exec: Exec,
}

/// How a step, gate or deploy is executed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exec {
    /// Folder below the workspace; none: the workspace itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Limit of one try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// When another try follows a bad one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Environment of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Names of the secrets that it gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// From SIGTERM to SIGKILL; none: ten seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
    /// Isolation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Limits of resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// When another try follows a bad one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// Further tries after the first.
    pub times: u32,
    /// Pause before each.
    pub wait: Span,
    /// Classes of outcome that are worth another try. Empty: every bad one but `canceled`.
    #[serde(default)]
    pub on: Vec<Classification>,
}

/// Limits of resources of one step. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Memory, in bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Processes at once.
    #[serde(default)]
    pub pids: Option<u32>,
    /// Size of the log, in bytes.
    #[serde(default)]
    pub output: Option<u64>,
}

/// One tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// Unique within the pipeline.
    pub name: TierName,
    /// The name that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<TierName>,
    /// The tiers that a version passes first; empty: a first tier.
    #[serde(default)]
    pub after: Vec<TierName>,
    /// When a version may enter.
    pub promote: Promote,
    /// The hosts; never empty when there is a deploy.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// How a version reaches a node; none: the tier only checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    /// The checks.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// Keys that this release knows but does not execute: they keep the tier shut.
    #[serde(default)]
    pub unsupported: Vec<String>,
}

impl Tier {
    /// The gate of that name.
    pub fn gate(&self, name: &GateName) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.name == *name)
    }

    /// The node of that name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }
}

/// When a version may enter a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Promote {
    /// By itself, or by a person's word.
    pub mode: Mode,
    /// Unbroken time as current in each tier of `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Span>,
    /// Whose confirmation it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Which of several waiting versions goes first.
    pub pick: Pick,
    /// How many of `after` it must have passed.
    pub require: Require,
    /// Times at which it may enter; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<Window>,
    /// Times at which it may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
}

/// By itself, or by a person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A version enters as soon as nothing stands against it.
    Auto,
    /// Somebody must say `promote`.
    Manual,
}

/// Whose confirmation a version needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirm {
    /// Distinct people.
    pub count: u32,
    /// Roles of which they must have at least one; empty: operator.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Whether the author's own word does not count.
    #[serde(default)]
    pub not_author: bool,
    /// How long one confirmation stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
}

/// Which of several waiting versions goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The newest that nothing stands against.
    Newest,
    /// The oldest; the newer wait behind it.
    Every,
}

/// How many tiers of `after` a version must have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// Each.
    All,
    /// One.
    Any,
}

/// A recurring time at which versions may enter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Days of the week, from 0 for Monday to 6; empty: every day. A window over midnight belongs to the day it opens on.
    #[serde(default)]
    pub days: Vec<u8>,
    /// Minutes after midnight at which it opens.
    pub from: u16,
    /// Minutes after midnight at which it closes; not above `from`: on the next day.
    pub to: u16,
    /// IANA name of the time zone.
    pub zone: String,
}

/// A time at which versions may not enter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Freeze {
    /// First moment.
    pub from: DateTime<Utc>,
    /// First moment after it.
    pub to: DateTime<Utc>,
    /// Why, for people.
    #[serde(default)]
    pub why: String,
}

/// A host of a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Unique within the tier.
    pub name: NodeName,
    /// The name that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<NodeName>,
    /// `user@host` or an alias of the ssh config; none: this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// Environment of what is run for this node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

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

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notify {
    /// Kinds of events, `*` allowed at the end.
    pub kinds: Vec<String>,
    /// Tiers; empty: all.
    #[serde(default)]
    pub tiers: Vec<TierName>,
    /// Where the event is posted as JSON.
    #[serde(default)]
    pub url: Option<String>,
    /// What is run with the event as JSON on its input.
    #[serde(default)]
    pub run: Option<Script>,
    /// The forge whose commit status is set.
    #[serde(default)]
    pub forge: Option<String>,
    /// Names of the secrets that it gets.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// Builds by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// Five fields.
    pub cron: String,
    /// IANA name of the time zone.
    pub zone: String,
    /// What is built.
    #[serde(rename = "ref")]
    pub ref_name: String,
}

/// A test of the pipeline itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// What happens.
    pub given: Vec<String>,
    /// What must follow.
    pub expect: Vec<String>,
}
