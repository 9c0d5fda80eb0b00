//! Gates as people write them: keys that all kinds share, and those of each kind.

use super::{Exec, Name, Percent, Retry, Script};
use crate::domain::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// A check that a version must pass in a tier.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::definition) enum Gate {
    /// A command that exits with 0.
    Command {
        #[serde(flatten)]
        common: GateCommon,
        /// What is run.
        #[schemars(required)]
        run: Option<Script>,
    },
    /// `cargo test`. Tests that fail are `test_failure`, by name; code that does not compile is `compile_error`. What the
    /// compiler remarks becomes annotations.
    CargoTest {
        #[serde(flatten)]
        common: GateCommon,
        /// Further arguments; those after `"--"` go to the tests. Default: none.
        #[serde(default)]
        #[schemars(example = ["--workspace"])]
        args: Vec<String>,
    },
    /// `cargo clippy -- -D warnings`: every warning fails it as `lint`. What it remarks becomes annotations.
    CargoClippy {
        #[serde(flatten)]
        common: GateCommon,
        /// Further arguments. With a `"--"` among them, what follows it takes the place of `-D warnings`. Default: none.
        #[serde(default)]
        #[schemars(example = ["--workspace", "--all-targets"])]
        args: Vec<String>,
    },
    /// `cargo fmt --check`. Files that are not formatted fail it as `lint`, by name.
    CargoFmt {
        #[serde(flatten)]
        common: GateCommon,
        /// Further arguments; those after `"--"` go to rustfmt. Default: none.
        #[serde(default)]
        args: Vec<String>,
    },
    /// `cargo deny check`. What it finds fails it as `check_failed`; advisories that cannot be fetched block it.
    CargoDeny {
        #[serde(flatten)]
        common: GateCommon,
        /// Further arguments of `check`; with `"check"` among them, all of those of `cargo deny`. Default: none.
        #[serde(default)]
        args: Vec<String>,
    },
    /// A URL answers.
    HttpProbe {
        #[serde(flatten)]
        common: GateCommon,
        /// What is asked. `$NAME` is replaced from the step's environment.
        #[schemars(required, example = &"http://a1.internal:8080/health")]
        url: Option<String>,
        /// The status that it must answer with. Default: any 2xx.
        #[schemars(range(min = 100, max = 599))]
        status: Option<i64>,
        /// Text that the body must contain. Default: any body will do.
        contains: Option<String>,
        /// How long to go on asking until it answers so. Default: it is asked once.
        #[schemars(with = "Option<Span>")]
        within: Option<String>,
        /// Pause between questions.
        #[schemars(with = "Option<Span>", extend("default" = "1s"))]
        every: Option<String>,
    },
    /// An address accepts connections.
    TcpProbe {
        #[serde(flatten)]
        common: GateCommon,
        /// `host:port`. `$NAME` is replaced from the step's environment.
        #[schemars(required, example = &"db.internal:5432")]
        tcp: Option<String>,
        /// How long to go on asking. Default: it is asked once.
        #[schemars(with = "Option<Span>")]
        within: Option<String>,
        /// Pause between questions.
        #[schemars(with = "Option<Span>", extend("default" = "1s"))]
        every: Option<String>,
    },
    /// A built artifact is started, answers, stays up, and is stopped. Say `http`, `tcp` or `probe`.
    BootSmoke {
        #[serde(flatten)]
        common: GateCommon,
        /// Path of the artifact.
        #[schemars(required)]
        artifact: Option<String>,
        /// Its arguments. `$PORT` is a free port, in its environment too, unless this gate's `env` says another; a secret
        /// is only in its environment. Default: none.
        #[serde(default)]
        args: Vec<String>,
        /// A URL that answers with 2xx or 3xx. Default: `tcp` or `probe` says it.
        #[schemars(example = &"http://127.0.0.1:$PORT/health")]
        http: Option<String>,
        /// `host:port` that accepts connections. Default: `http` or `probe` says it.
        tcp: Option<String>,
        /// A command that exits with 0. Default: `http` or `tcp` says it.
        probe: Option<Script>,
        /// By when it must answer.
        #[schemars(with = "Option<Span>", extend("default" = "30s"))]
        within: Option<String>,
        /// How long it must then go on answering.
        #[schemars(with = "Option<Span>", extend("default" = "5s"))]
        healthy_for: Option<String>,
    },
    /// A backup is fetched from a node, checked and kept, anew each time that a version enters the tier. Say `run` or
    /// `path`. What cannot be fetched, is empty, or is refused by `verify` blocks the gate; it is tried again after 1, 2, 4 … 60
    /// minutes.
    Backup {
        #[serde(flatten)]
        common: GateCommon,
        /// The node.
        #[schemars(required)]
        node: Option<String>,
        /// A command whose output is the backup. Default: `path` is the backup.
        run: Option<Script>,
        /// A file on the node, from the top: `/var/backups/shop.dump`. Default: `run` makes the backup.
        path: Option<String>,
        /// A command that checks it here, with its place as `TIDEGATE_BACKUP`; it must only read it. Default: it is only seen
        /// whether it is empty.
        verify: Option<Script>,
        /// The gate is blocked when the backup is smaller than the last one by more than this. Default: any size will do.
        #[schemars(with = "Option<Percent>")]
        shrink: Option<String>,
        /// How many of this gate are kept, the newest.
        #[schemars(range(min = 1, max = 10_000), extend("default" = 7))]
        keep: Option<i64>,
    },
    /// The newest backup is restored into a scratch database, and the migrations run on it, in the gate's own checkout. One
    /// that cannot be restored blocks the gate; migrations that exit with other than 0 fail it. It waits for the `backup`
    /// gate of the same tier and phase whose backup it restores, as if `needs` named it.
    MigrationDryRun {
        #[serde(flatten)]
        common: GateCommon,
        /// What the database is.
        #[schemars(required)]
        engine: Option<Engine>,
        /// What migrates, with `DATABASE_URL` of the scratch database: for `postgres` with `PGHOST`, `PGUSER` and
        /// `PGDATABASE` too, for `sqlite` with the file as `TIDEGATE_DATABASE`.
        #[schemars(required)]
        migrate: Option<Script>,
        /// What restores, with `engine = "command"`: the backup is `TIDEGATE_BACKUP`, and `TIDEGATE_SCRATCH` is an empty folder for
        /// it and `migrate`. Default: none; then it must be said.
        restore: Option<Script>,
        /// The PostgreSQL server on which the scratch database is made, and dropped at the end. `$NAME` is replaced from the
        /// gate's environment, its secrets too. Default: a server of its own is started from the programs that are
        /// installed, reached by a socket only, and thrown away.
        #[schemars(example = &"postgres://ci:$CI_PASSWORD@db.internal/postgres")]
        server: Option<String>,
        /// The name of the `backup` gate whose newest backup is restored: one of this tier if it has one of that name, else of
        /// any. Default: the only one of this tier, or of all.
        #[schemars(with = "Option<Name>")]
        backup: Option<String>,
        /// The gate is blocked when the newest backup is older. Default: any age will do.
        #[schemars(with = "Option<Span>", example = &"24h")]
        max_age: Option<String>,
        /// How long migrating may take; it is ended and fails as `timeout` when it takes longer. Default: as long as `timeout`
        /// lets it.
        #[schemars(with = "Option<Span>")]
        within: Option<String>,
    },
}

/// Keys of every gate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(in crate::definition) struct GateCommon {
    /// Unique within the tier. Default: the kind.
    #[schemars(with = "Option<Name>")]
    pub(in crate::definition) name: Option<String>,
    /// Before the deploy, or after it.
    #[schemars(extend("default" = "check"))]
    pub(in crate::definition) phase: Option<Phase>,
    /// Gates of the same phase that must have passed before. Default: none.
    #[serde(default)]
    pub(in crate::definition) needs: Vec<String>,
    /// Whether its outcome counts; one that does not is shown and stops nothing.
    #[schemars(extend("default" = true))]
    pub(in crate::definition) required: Option<bool>,
    /// A fail that passes on an identical further try is recorded as `flaky`, never silently. Default: it fails.
    pub(in crate::definition) flaky: Option<Flaky>,
    /// When another try follows a bad one. Default: never.
    pub(in crate::definition) retry: Option<Retry>,
    #[serde(flatten)]
    pub(in crate::definition) exec: Exec,
}

/// Before the deploy, or after it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum Phase {
    /// Before the deploy.
    Check,
    /// After it.
    Verify,
}

/// A fail that passes on an identical further try.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Flaky {
    /// So many tries in all.
    #[schemars(required, range(min = 2, max = 100))]
    pub(in crate::definition) tries: Option<i64>,
}

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::definition) enum Engine {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
    /// Another, restored by `restore`.
    Command,
}
