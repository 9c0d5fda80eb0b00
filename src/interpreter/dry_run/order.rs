//! What the child is told. It comes by its environment, where only its user can read it: the server's URL may hold a
//! password.

use crate::domain::Span;
use serde::{Deserialize, Serialize};

/// The variable that holds the order, for the child alone.
pub(super) const VARIABLE: &str = "TIDEGATE_DRY_RUN";

/// Where in the gate's folder the copy of the backup is.
pub(super) const COPY: &str = "backup";

/// The order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) engine: Engine,
    /// The command that migrates.
    pub(super) migrate: Vec<String>,
    /// How long it may take.
    pub(super) within: Option<Span>,
    /// From SIGTERM to SIGKILL for one that took longer.
    pub(super) grace: Span,
    /// What the scratch database is called.
    pub(super) scratch: String,
    /// What those of earlier runs begin with.
    pub(super) prefix: String,
}

/// What the database is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Engine {
    Postgres {
        /// The server's URL; none: one is started.
        server: Option<String>,
    },
    Sqlite,
    Command {
        /// The command that restores.
        restore: Vec<String>,
    },
}

impl Order {
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("BUG: an order is JSON")
    }

    pub(super) fn of_environment() -> std::io::Result<Order> {
        let bad = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
        let text = std::env::var(VARIABLE).map_err(|error| bad(format!("read {VARIABLE}: {error}")))?;
        serde_json::from_str(&text).map_err(|error| bad(format!("read {VARIABLE}: {error}")))
    }
}
