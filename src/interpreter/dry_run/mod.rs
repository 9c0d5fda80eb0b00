//! Gates that try migrations: the newest backup is restored into a scratch database, and the version's migrations run on
//! it, on the clock.
//!
//! The step's process is this very program (`tidegate dry-run-gate`, `child`), so that the scratch database and a server that
//! was started for it belong to the run and end with it, whatever becomes of the controller. This file is the gate's
//! side: which backup, a copy of it that was compared with its digest, the order for the child, and what lies
//! outside the gate's folder and must go with it (`outside`).
//!
//! `order` is what the child is told, `postgres` (with `cluster` and `server`), `sqlite` and `child` itself know the
//! engines.

mod child;
mod cluster;
mod order;
pub(super) mod outside;
mod postgres;
mod server;
mod sqlite;
mod text;

pub use child::run as run_child;

use super::backup::BACKUP;
use super::environment::{Env, argv};
use super::expand::expand;
use super::gate::{self, GateRun, gate_environment, not_ready};
use super::places::Folder;
use super::process;
use super::said::Ear;
use super::secrets::{self, Secrets};
use super::task::Task;
use super::workspace::Unready;
use super::{cargo, verdict, workspace};
use crate::artifact;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::event::Artifact;
use crate::domain::pipeline::{Check, Script};
use crate::domain::state::Backup;
use crate::domain::{Blocker, Classification, Outcome, Span, Time};
use order::{Engine, Order};
use sha2::{Digest as _, Sha256};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Instant;

/// The subcommand of this program that is the step's process.
pub const SUBCOMMAND: &str = "dry-run-gate";

/// Runs the gate in a folder of its own, which is gone afterwards.
pub(super) async fn run(task: &Task, gate: &GateRun, began: Instant) -> Outcome {
    let backup = match fresh_enough(gate, SystemClock::new().now()) {
        Ok(backup) => backup,
        Err(outcome) => return *outcome,
    };
    let folder = task.places.gate(gate.run);
    let exec = &gate.gate.exec;
    let ready = async {
        workspace::provide(task, &folder, &gate.artifacts).await?;
        let secrets = secrets::provide(task, gate.run, exec).await?;
        copy(task, &folder, backup).await?;
        Ok(secrets)
    };
    let outcome = match ready.await {
        Err(unready) => not_ready(unready, exec, began),
        Ok(secrets) => match command(task, gate, &folder, &secrets) {
            Ok(command) => gate::execute(task, gate.run, &folder, exec, command, began).await,
            Err(message) => verdict::infrastructure(&secrets.hide_text(&message), false),
        },
    };
    if let Err(error) = outside::remove(folder.path()) {
        task.warn(gate.run, format!("failed to remove the scratch folder: {error}")).await;
    }
    workspace::remove(task, gate.run, &folder).await;
    outcome
}

/// The backup that is restored, unless there is none or it is too old.
fn fresh_enough(gate: &GateRun, now: Time) -> Result<&Backup, Box<Outcome>> {
    let Check::MigrationDryRun { max_age, .. } = &gate.gate.check else {
        let message = format!("try migrations by a gate of kind `{}`", gate.gate.check.kind());
        return Err(verdict::infrastructure(&message, false).into());
    };
    let stale = |age: String, message: String| {
        let mut outcome = Outcome::of(Classification::Infrastructure).saying(message);
        outcome.blockers = vec![Blocker::BackupStale { age }];
        Box::new(outcome)
    };
    let Some(backup) = gate.backup.as_deref() else {
        let message = "there is no backup yet that could be restored: its gate has to have passed once";
        return Err(stale("none".into(), message.into()));
    };
    let age = age(backup, now);
    match max_age {
        Some(most) if age > *most => {
            let (gate, age) = (&backup.gate, in_words(age));
            let message =
                format!("the newest backup, of gate `{gate}`, is {age} old, and `max_age` is {most}");
            Err(stale(age, message))
        }
        _ => Ok(backup),
    }
}

/// How old a backup is, in whole seconds.
fn age(backup: &Backup, now: Time) -> Span {
    Span::seconds(u64::try_from((now - backup.at).num_seconds()).unwrap_or(0))
}

/// The same for people: an hour more or less does not matter after two days.
fn in_words(age: Span) -> String {
    let seconds = age.duration().as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

/// Puts a copy of the backup into the gate's folder, compared with its digest on the way. From then on it may leave the
/// store.
async fn copy(task: &Task, folder: &Folder, backup: &Backup) -> Result<(), Unready> {
    let (path, sha256, size) = (order::COPY.to_owned(), backup.sha256.clone(), backup.byte_size);
    let wanted = [Artifact { path, sha256, size, executable: false }];
    let copying = task.shop.store.materialize(&wanted, folder.path());
    let copied = task.stop.bound(None, copying).await.map_err(Unready::Cut)?;
    copied.map_err(|error| match error {
        artifact::Error::Missing { .. } | artifact::Error::Corrupt { .. } => {
            Unready::Artifact(format!("{error}; let gate `{}` take another backup", backup.gate))
        }
        error => {
            let message = format!("{error}; {}", error.help());
            Unready::Failed { is_full: message.contains("No space left"), message }
        }
    })?;
    let place = folder.path().join(order::COPY);
    let only_read = fs::set_permissions(&place, fs::Permissions::from_mode(0o400));
    let failed =
        |error| Unready::Failed { message: format!("close the backup to writers: {error}"), is_full: false };
    only_read.map_err(failed)
}

/// The step's process. The error reads after "failed to".
fn command(task: &Task, gate: &GateRun, folder: &Folder, secrets: &Secrets) -> Result<gate::Command, String> {
    let mut env = gate_environment(task, gate, folder, None, &[], secrets);
    let order = order(task, gate, &env)?;
    env.insert(BACKUP.into(), folder.path().join(order::COPY).into());
    env.insert(order::VARIABLE.into(), order.to_text().into());
    let words = [OsStr::new(SUBCOMMAND), OsStr::new("--folder"), folder.path().as_os_str()];
    let program = cargo::own_program().into_os_string();
    let argv = std::iter::once(program).chain(words.map(OsString::from)).collect();
    Ok(gate::Command { argv, env, ear: Ear::of_ours(secrets.clone()), mask: secrets.words(), lasts: false })
}

fn order(task: &Task, gate: &GateRun, env: &Env) -> Result<Order, String> {
    let Check::MigrationDryRun { engine, migrate, restore, server, within, .. } = &gate.gate.check else {
        return Err(format!("try migrations by a gate of kind `{}`", gate.gate.check.kind()));
    };
    let engine = match engine.as_str() {
        "postgres" => Engine::Postgres { server: server.as_ref().map(|url| text(url, env)).transpose()? },
        "sqlite" => Engine::Sqlite,
        "command" => Engine::Command {
            restore: words(restore.as_ref().ok_or("restore the backup: `restore` does not say how")?),
        },
        other => return Err(format!("restore a backup of engine `{other}`: this release does not know it")),
    };
    let prefix = scratch_prefix(task, gate);
    Ok(Order {
        engine,
        migrate: words(migrate),
        within: *within,
        grace: gate.gate.exec.grace.unwrap_or(Span::seconds(process::GRACE.as_secs())),
        scratch: format!("{prefix}{}", gate.run),
        prefix,
    })
}

fn text(url: &str, env: &Env) -> Result<String, String> {
    let whole = expand(url, env).map_err(|error| error.to_string())?;
    whole.into_string().map_err(|_| "read `server`: it is not UTF-8".into())
}

fn words(script: &Script) -> Vec<String> {
    argv(script).into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// What the scratch databases of one gate begin with: of this gate of this state folder on this machine, so that what a
/// crash leaves is known by the next run, and nobody else's is.
fn scratch_prefix(task: &Task, gate: &GateRun) -> String {
    let state = task.shop.state.path();
    let (device, inode) = fs::metadata(state).map_or((0, 0), |found| (found.dev(), found.ino()));
    let mut hash = Sha256::new();
    hash.update(state.as_os_str().as_encoded_bytes());
    let (home, tier, name) = (&task.home, &gate.tier, &gate.gate.name);
    hash.update(format!("\n{device} {inode}\n{home}\n{tier}\n{name}"));
    let hex: String = hash.finalize()[..5].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("tidegate_{hex}_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_reads_like_one() {
        for (seconds, words) in [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (93_600, "26h")] {
            assert_eq!(in_words(Span::seconds(seconds)), words);
        }
    }
}
