//! A pipeline as the engine knows it: lowered from its file, every default filled in, every name resolved.
//! How users write it, and what is wrong with what they wrote, is `definition`'s subject.

mod cron;
mod deploy;
mod forge;
mod gate;
mod notify;
mod sandbox;
mod schedule;
mod tier;
mod window;

pub use cron::Cron;
pub use deploy::{Deploy, Health, OnFailure, Probe, Upload, Wave, wave_sizes};
pub use forge::Forge;
pub use gate::{Check, Gate, Phase};
pub use notify::{Notify, STATUS_KINDS};
pub use sandbox::Sandbox;
pub use schedule::{Schedule, Times};
pub use tier::{Confirm, Freeze, Mode, Node, Pick, Promote, Require, Tier};
pub use window::{Window, Windows};

use crate::domain::cores::Cores;
use crate::domain::id::{PipelineName, StepName, TierName};
use crate::domain::outcome::Classification;
use crate::domain::span::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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

    /// The fences that anything in it is run in.
    pub fn sandboxes(&self) -> BTreeSet<&Sandbox> {
        let gates = self.tiers.iter().flat_map(|tier| &tier.gates).map(|gate| &gate.exec);
        let deploys = self.tiers.iter().filter_map(|tier| tier.deploy.as_ref()).map(|deploy| &deploy.exec);
        let all = self.build.steps.iter().map(|step| &step.exec).chain(gates).chain(deploys);
        all.filter_map(|exec| exec.sandbox.as_ref()).collect()
    }

    /// The accounts that anything in it is run as, beside the controller's own.
    pub fn accounts(&self) -> BTreeSet<&str> {
        self.sandboxes().into_iter().filter_map(Sandbox::account).collect()
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

impl Script {
    /// Whether its text speaks of the folder in which a version's artifacts are.
    pub fn names_artifacts(&self) -> bool {
        const FOLDER: &str = "TIDEGATE_ARTIFACTS";
        match self {
            Script::Shell(text) => text.contains(FOLDER),
            Script::Argv(words) => words.iter().any(|word| word.contains(FOLDER)),
        }
    }
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
    /// Isolation; none: it is as free as the controller's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
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
    /// Memory of all its processes together, in bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Processes and threads at once.
    #[serde(default)]
    pub pids: Option<u32>,
    /// Processor time: so many cores at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cores>,
    /// Bytes by which its workspace may grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u64>,
    /// Size of the log, in bytes.
    #[serde(default)]
    pub output: Option<u64>,
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
