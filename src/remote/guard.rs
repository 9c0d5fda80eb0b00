//! A guard on the node: it goes back by itself unless it is told in time that the node still answers.

use super::Client;
use super::exchange::exchange;
use super::link::{Link, seconds};
use super::payload::Payload;
use super::trouble::{Kind, Trouble};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// What a guard needs to know. Not in `Debug`: secrets may be in its environment.
pub struct Guard {
    /// Who may disarm it, as in [`super::Claim::owner`].
    pub owner: String,
    /// The version that it goes back to.
    pub version: String,
    /// How long it waits to be told, once the deploy's connection is silent.
    pub within: Duration,
    /// How long going back may take.
    pub limit: Duration,
    /// Where its command runs: below the home folder.
    pub folder: OsString,
    /// What the deploy replaces: absolute.
    pub files: Vec<PathBuf>,
    /// What goes back; empty: nothing is to be run.
    pub argv: Vec<OsString>,
    /// The environment of that.
    pub env: BTreeMap<OsString, OsString>,
}

/// What a guard said when it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// It is off.
    InTime,
    /// It goes back already.
    Late,
}

impl Link {
    /// Arms the guard. An earlier one must be off: a link that holds the lock has seen to that.
    pub async fn arm(&self, guard: &Guard) -> Result<(), Trouble> {
        let (payload, _) = Payload::new()
            .set("name", self.name())
            .set("owner", &guard.owner)
            .set("turn", self.turn())
            .set("version", &guard.version)
            .set("within", seconds(guard.within))
            .set("limit", seconds(guard.limit))
            .set("folder", &guard.folder)
            .set("count", guard.files.len().to_string())
            .environment(&guard.env);
        let files = guard.files.iter().map(|file| file.as_os_str());
        let words: Vec<&OsStr> = files.chain(guard.argv.iter().map(OsString::as_os_str)).collect();
        let said = self.exchange(payload.arguments(words).script(include_str!("guard.sh"))).await?;
        match said.first().map(String::as_str) {
            Some("armed") => {
                self.beat(Some(guard.within));
                Ok(())
            }
            other => {
                let what = other.and_then(|said| said.strip_prefix("no ")).unwrap_or("room");
                Err(Trouble::unfit(self.host(), what))
            }
        }
    }

    /// From now on the guard waits no longer than it was told: the change is over.
    pub fn let_guard_count(&self) {
        self.beat(None);
    }
}

/// Tells the guard that the node answers, over a connection of its own: one that was there before the change proves
/// nothing. `owner`, `turn`: whose it is, and of which connection, as [`Link::turn`] has it. `env` as for [`Link::open`].
pub async fn confirm(
    client: &Client,
    host: &str,
    owner: &str,
    turn: &str,
    env: &[(OsString, OsString)],
) -> Result<Confirmed, Trouble> {
    let payload = Payload::new().set("owner", owner).set("turn", turn).script(include_str!("confirm.sh"));
    let said = exchange(client, &client.alone(host), host, env, payload).await?;
    match said.first().map(String::as_str) {
        Some("confirmed") => Ok(Confirmed::InTime),
        Some("late") => Ok(Confirmed::Late),
        _ => Err(Trouble::new(Kind::Refused, format!("`{host}` did not say whether the guard is off"))),
    }
}
