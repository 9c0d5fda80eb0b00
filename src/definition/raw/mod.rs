//! A pipeline file as people write it. These types are the source of `schemas/pipeline.schema.json`: their comments
//! are what editors show. Whatever may be left out is optional here; what follows from that is `lower`'s subject.

mod deploy;
mod gate;
mod terms;
mod tier;

pub(super) use deploy::{Deploy, Health, OnCrash, OnFailure, Upload, Wave};
pub(super) use gate::{Engine, Gate, GateCommon, Phase};
pub(super) use terms::{Clock, Exec, Limits, Moment, Name, Percent, Retry, Script, Variable};
pub(super) use tier::{Confirm, Freeze, Mode, Node, Pick, Promote, Require, Tier, Window};

use crate::domain::Span;
use crate::domain::pipeline::Forge;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One pipeline: where commits come from, how they become versions, and the tiers that versions pass. Keys that begin
/// with `x-` are ignored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(title = "tidegate pipeline")]
pub(in crate::definition) struct File {
    /// What identifies the pipeline, over edits of its file and restarts. Default: the name of the file without `.toml`.
    #[schemars(with = "Option<Name>")]
    pub(in crate::definition) name: Option<String>,
    /// The name that the pipeline had before: its history goes on under the new one. Default: none.
    #[schemars(with = "Option<Name>")]
    pub(in crate::definition) was: Option<String>,
    /// One line for people. Default: none.
    pub(in crate::definition) description: Option<String>,
    /// Where commits come from.
    #[schemars(required)]
    pub(in crate::definition) source: Option<Source>,
    /// How the label of a version is found. Default: the first of `Cargo.toml`, `package.json`, `pyproject.toml`,
    /// `VERSION`, else `0.0.0`.
    pub(in crate::definition) version: Option<Version>,
    /// Environment of every step. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Variable, String>")]
    pub(in crate::definition) env: BTreeMap<String, String>,
    /// Secrets, by the name of the environment variable that the steps which list them get. Their values are masked
    /// everywhere. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Variable, Secret>")]
    pub(in crate::definition) secrets: BTreeMap<String, Secret>,
    /// How a commit becomes a version. Default: it is not built; every commit is a version.
    pub(in crate::definition) build: Option<Build>,
    /// The tiers, in order. A version passes one after the other, unless `after` says otherwise.
    #[schemars(required, length(min = 1))]
    pub(in crate::definition) tier: Option<Vec<Tier>>,
    /// Who is told of what. Default: none.
    #[serde(default)]
    pub(in crate::definition) notify: Vec<Notify>,
    /// Builds by the clock. Default: none.
    #[serde(default)]
    pub(in crate::definition) schedule: Vec<Schedule>,
    /// Tests of the pipeline itself. Default: none.
    #[serde(default)]
    pub(in crate::definition) test: Vec<Test>,
}

/// Where commits come from.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Source {
    /// The repository: a path, or any URL that git understands. A relative path counts from the folder in which
    /// `tidegate` runs.
    #[schemars(required, length(min = 1), example = &"/srv/git/shop.git")]
    pub(in crate::definition) repo: Option<String>,
    /// Globs on the full ref or its short name; `*` stops at `/`, `**` does not. Default: the repository's HEAD branch.
    #[schemars(example = ["main"])]
    pub(in crate::definition) refs: Option<Vec<String>>,
    /// Only pushes that touch one of these count, against the last commit taken from the same ref. Default: all.
    #[schemars(example = ["shop/**"])]
    pub(in crate::definition) paths: Option<Vec<String>>,
    /// How often to look for pushes by itself, in case a hook got lost: at least `"1s"`; `"0s"` is never. Default: `"5m"`
    /// for a URL, never for a path.
    #[schemars(with = "Option<Span>")]
    pub(in crate::definition) poll: Option<String>,
    /// Whether submodules are fetched.
    #[schemars(extend("default" = false))]
    pub(in crate::definition) submodules: Option<bool>,
    /// Whether LFS objects are fetched.
    #[schemars(extend("default" = false))]
    pub(in crate::definition) lfs: Option<bool>,
}

/// How the label of a version is found.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Version {
    /// Where it is read.
    #[schemars(required)]
    pub(in crate::definition) from: Option<VersionFrom>,
    /// The file that holds it, with `from = "file"`. Default: none; then it must be said.
    #[schemars(example = &"VERSION")]
    pub(in crate::definition) file: Option<String>,
    /// What prints it, with `from = "command"`; run in a checkout. Default: none; then it must be said.
    pub(in crate::definition) command: Option<Script>,
}

/// Where the label of a version is read.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum VersionFrom {
    /// `version` in `Cargo.toml`, of the package or the workspace.
    Cargo,
    /// `version` in `package.json`.
    Npm,
    /// `version` in `pyproject.toml`.
    Pyproject,
    /// The text of the file that `file` names.
    File,
    /// A tag at the commit; a push without one is ignored.
    Tag,
    /// What `command` prints.
    Command,
    /// What `git describe --tags` says.
    Describe,
}

/// Where a secret's value is read, at the start of each step that lists it: say one.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Secret {
    /// A file of the controller's machine; one line end at its end does not count. Default: `env` or `command` says it.
    pub(in crate::definition) file: Option<String>,
    /// A variable of the controller's environment. Default: `file` or `command` says it.
    pub(in crate::definition) env: Option<String>,
    /// A program and its arguments that print it. Default: `file` or `env` says it.
    #[schemars(length(min = 1))]
    pub(in crate::definition) command: Option<Vec<String>>,
}

/// How a commit becomes a version.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(in crate::definition) struct Build {
    /// What a newer push to the same ref does to a build under way.
    #[schemars(extend("default" = "abort"))]
    pub(in crate::definition) on_newer: Option<OnNewer>,
    /// Limit for all steps together. Default: none.
    #[schemars(with = "Option<Span>")]
    pub(in crate::definition) timeout: Option<String>,
    /// Paths and globs of what is kept, by content, for the tiers to deploy. Default: none.
    #[serde(default)]
    #[schemars(example = ["target/release/shop", "migrations/**"])]
    pub(in crate::definition) artifacts: Vec<String>,
    /// The steps. Default: none; what is kept is what the commit holds.
    #[serde(default)]
    pub(in crate::definition) step: Vec<Step>,
}

/// What a newer push to the same ref does to a build under way.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum OnNewer {
    /// The build is ended.
    Abort,
    /// The build goes on; the newer one waits.
    Finish,
}

/// One build step.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Step {
    /// Unique within the build.
    #[schemars(with = "Name")]
    pub(in crate::definition) name: Option<String>,
    /// What is run.
    #[schemars(required)]
    pub(in crate::definition) run: Option<Script>,
    /// Steps that must have passed before. Default: the step above; naming them makes a graph.
    pub(in crate::definition) needs: Option<Vec<String>>,
    /// When another try follows a bad one. Default: never.
    pub(in crate::definition) retry: Option<Retry>,
    #[serde(flatten)]
    pub(in crate::definition) exec: Exec,
}

/// Who is told of what: say `url`, `run` or `forge`. A notice is told of every event of the pipeline that fits, in order
/// and at least once, beginning with the load that brought the notice; whoever does not answer is tried again for a
/// day, and holds up nobody else.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Notify {
    /// Kinds of events; a `*` at the end stands for any rest. Default: with `forge` those that make a status.
    #[schemars(length(min = 1), example = ["promote_failed", "rollback*"])]
    pub(in crate::definition) kinds: Option<Vec<String>>,
    /// Only events about these tiers; one about no tier, such as `build_failed`, then does not fit. Default: all.
    #[serde(default)]
    pub(in crate::definition) tiers: Vec<String>,
    /// Where the event is posted as JSON, the same object that `/events` sends, with its number in the header
    /// `X-Tidegate-Event-Id`. `$NAME` is replaced from the environment of the notice: `[env]`, its `secrets`,
    /// `TIDEGATE_PIPELINE`, and `TIDEGATE_TIER`, `TIDEGATE_VERSION` and `TIDEGATE_SHA` where the event has them. A 2xx
    /// is success; a redirect is not followed and, like a 4xx other than 401, 403, 404, 408, 425 and 429,
    /// not tried again.
    /// With `forge`: where its API is, needed where `source.repo` does not tell. Default: `run` or `forge` says what is
    /// done.
    pub(in crate::definition) url: Option<String>,
    /// What is run, in the folder of the pipeline files, with the environment described at `url` and the event as JSON in
    /// the file `$TIDEGATE_EVENT`. Exit 0 is success; what it started ends with it. Default: `url` or `forge` says what
    /// is done.
    pub(in crate::definition) run: Option<Script>,
    /// The forge whose commit status is set, with the token that is the one entry of `secrets`. The status
    /// `tidegate/PIPELINE` is pending from `build_start`, success by `build_ok`, failure by `build_failed`, error by
    /// `build_aborted`; `tidegate/PIPELINE/TIER` is pending from `promote_start`, success by `promote_complete` and
    /// `rollback_complete`, failure by `promote_failed` and `rollback`, error where it was canceled or by
    /// `rollback_failed`. On GitLab pending is `running`, failure `failed`, and error `canceled` or `failed`.
    /// Default: `url` or `run` says what is done.
    pub(in crate::definition) forge: Option<Forge>,
    /// The repository's name on the forge. Default: from `source.repo`.
    #[schemars(example = &"acme/shop")]
    pub(in crate::definition) project: Option<String>,
    /// Limit of one try of `run`. A post has ten seconds.
    #[schemars(with = "Option<Span>", extend("default" = "1m"))]
    pub(in crate::definition) timeout: Option<String>,
    /// Names of the secrets that it gets. Default: none.
    #[serde(default)]
    pub(in crate::definition) secrets: Vec<String>,
}

/// Builds by the clock: at each time the head of a branch or tag is built and goes the way of a push, also if its commit
/// is built already. Then it is built once more, as a version of its own: `0.8.12+20261123.0200`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Schedule {
    /// Minute, hour, day of the month, month, day of the week, as in a crontab: `*`, numbers, `jan`, `mon`, ranges, lists,
    /// steps (`*/15`, `0-30/10`). If both kinds of day are named, one of them is enough.
    #[schemars(required, example = &"0 3 * * mon-fri")]
    pub(in crate::definition) cron: Option<String>,
    /// IANA name of the time zone.
    #[schemars(extend("default" = "UTC"), example = &"Europe/Berlin")]
    pub(in crate::definition) zone: Option<String>,
    /// The branch or tag that is built. Default: the first of `refs` in `[source]` that is no glob, else the repository's
    /// HEAD branch.
    #[serde(rename = "ref")]
    #[schemars(example = &"main")]
    pub(in crate::definition) ref_name: Option<String>,
}

/// A test of the pipeline itself.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Test {
    /// What it shows.
    #[schemars(required, length(min = 1))]
    pub(in crate::definition) name: Option<String>,
    /// What happens. Default: everything goes well.
    #[serde(default)]
    #[schemars(example = ["gate smoke in staging fails"])]
    pub(in crate::definition) given: Vec<String>,
    /// What must follow.
    #[schemars(required, length(min = 1), example = ["rollback in staging", "no promote_start in prod"])]
    pub(in crate::definition) expect: Option<Vec<String>>,
}
