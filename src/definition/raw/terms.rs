//! What several parts of a pipeline file share: commands, how they are executed, and the forms that text takes.

use crate::domain::{Classification, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A command: text for `/bin/sh -c`, or a program with its arguments, executed as they are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::definition) enum Script {
    /// Run by `/bin/sh -c`.
    Shell(#[schemars(with = "NotEmpty")] String),
    /// A program and its arguments.
    Argv(#[schemars(length(min = 1))] Vec<String>),
}

/// How a step, gate or deploy is executed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(in crate::definition) struct Exec {
    /// Folder below the workspace in which it runs.
    #[schemars(extend("default" = "."))]
    pub(in crate::definition) dir: Option<String>,
    /// Limit of one try. Default: none.
    #[schemars(with = "Option<Span>")]
    pub(in crate::definition) timeout: Option<String>,
    /// Environment of its own; it goes before the pipeline's. Default: none.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Variable, String>")]
    pub(in crate::definition) env: BTreeMap<String, String>,
    /// Names of the secrets that it gets as environment. Default: none.
    #[serde(default)]
    pub(in crate::definition) secrets: Vec<String>,
    /// From SIGTERM to SIGKILL.
    #[schemars(with = "Option<Span>", extend("default" = "10s"))]
    pub(in crate::definition) grace: Option<String>,
    /// Isolation, on the controller's machine: `none`; `landlock`: it writes to its workspace, its cache and its own
    /// temporary folder only, and reads nothing of tidegate's own; `user:NAME`: it runs as that account, for which the
    /// controller has to be root's.
    #[schemars(extend("default" = "none", "pattern" = "^(none|landlock|user:.+)$"))]
    pub(in crate::definition) sandbox: Option<String>,
    /// Limits of resources. Default: of the log only.
    pub(in crate::definition) limits: Option<Limits>,
}

/// When another try follows a bad one.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Retry {
    /// Further tries after the first.
    #[schemars(required, range(min = 0, max = 100))]
    pub(in crate::definition) times: Option<i64>,
    /// Pause before each.
    #[schemars(with = "Option<Span>", extend("default" = "10s"))]
    pub(in crate::definition) wait: Option<String>,
    /// Classes of outcome that are worth another try. Default: every bad one but `canceled`.
    #[serde(default)]
    pub(in crate::definition) on: Vec<Classification>,
}

/// Limits of resources.
#[derive(Debug, Deserialize, JsonSchema)]
pub(in crate::definition) struct Limits {
    /// Memory of all its processes together, on the controller's machine. Default: no limit.
    #[schemars(with = "Option<Size>")]
    pub(in crate::definition) memory: Option<String>,
    /// Processes and threads at once, on the controller's machine. Default: no limit.
    #[schemars(range(min = 1, max = 4_194_304))]
    pub(in crate::definition) pids: Option<i64>,
    /// Processor time, as a number of cores at once, on the controller's machine; it is slowed down to that. Needs a
    /// cgroup with the controller `cpu`: where there is none, the run has a warning that the limit is not kept. Default:
    /// no limit.
    #[schemars(range(min = 0.01, max = 8192))]
    pub(in crate::definition) cpu: Option<f64>,
    /// Bytes by which its workspace may grow, on the controller's machine. Default: no limit.
    #[schemars(with = "Option<Size>")]
    pub(in crate::definition) disk: Option<String>,
    /// Size of the log; what comes after is not kept.
    #[schemars(with = "Option<Size>", extend("default" = "100MiB"))]
    pub(in crate::definition) output: Option<String>,
}

/// Describes text of a certain form in the schema; the text itself is read by `lower`.
macro_rules! form {
    ($(#[$doc:meta])* $name:ident $schema:tt) => {
        $(#[$doc])*
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        pub(in crate::definition) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

form! {
    /// What can be a name.
    Name {
        "type": "string",
        "description": "A name: letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter or digit.",
        "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        "examples": ["staging", "a1"]
    }
}
form! {
    /// What can be the name of an environment variable.
    Variable {
        "type": "string",
        "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"
    }
}
form! {
    /// Text that says something.
    NotEmpty {
        "type": "string",
        "minLength": 1
    }
}
form! {
    /// A number of bytes.
    Size {
        "type": "string",
        "description": "A size: digits and a unit, B, kB, MB, GB, TB (powers of 1,000), KiB, MiB, GiB or TiB (of 1,024).",
        "pattern": "^[0-9]+ ?(B|[kK]B|MB|GB|TB|KiB|MiB|GiB|TiB)$",
        "examples": ["512KiB", "100MiB", "2GiB"]
    }
}
form! {
    /// A share.
    Percent {
        "type": "string",
        "description": "A share in per cent.",
        "pattern": "^[0-9]{1,3}%$",
        "examples": ["25%", "100%"]
    }
}
form! {
    /// A time of the day.
    Clock {
        "type": "string",
        "description": "A time of the day, from 00:00 to 24:00.",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$",
        "examples": ["09:00"]
    }
}
form! {
    /// A moment with its offset from UTC.
    Moment {
        "type": "string",
        "description": "A date and time with its offset from UTC, without quotes.",
        "format": "date-time",
        "examples": ["2026-12-19T00:00:00+01:00"]
    }
}
