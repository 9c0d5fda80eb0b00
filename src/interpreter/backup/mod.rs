//! Gates that fetch a backup: from the node into a file of ours, looked at, checked by the gate's own command, and moved
//! into the store. Its bytes are on the disk only, never in memory at once and never in the log.
//!
//! `fetch` is for nodes of this machine, `there` for those that are reached by ssh.
//!
//! A backup says nothing about the version, so one that is not good never fails the gate: it blocks it. One that is not
//! good is not kept, so that it takes the place of no good one.

mod fetch;
mod there;

use super::bounded::after;
use super::environment::{Env, argv};
use super::gate::{GateRun, furnish, gate_environment, working_dir};
use super::places::Folder;
use super::process::{self, Order};
use super::run_log::RunLog;
use super::said::Ear;
use super::secrets::Secrets;
use super::task::Task;
use super::verdict::{self, Evidence};
use super::{Report, workspace};
use crate::artifact::{self, Stored};
use crate::domain::pipeline::{Check, Node, Script};
use crate::domain::{Blocker, Classification, Command, Outcome, Span};
use crate::printable;
use crate::runner::Exit;
use fetch::What;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The variable with the place of the backup.
pub(super) const BACKUP: &str = "TIDEGATE_BACKUP";

/// Runs the gate in a folder of its own, which is gone afterwards.
pub(super) async fn run(task: &Task, gate: &GateRun, began: Instant) -> Outcome {
    let folder = task.places.gate(gate.run);
    let mut outcome = match furnish(task, gate, &folder, began).await {
        Err(unready) => unready,
        Ok(secrets) => {
            let mut outcome = match with_log(task, gate, &folder, &secrets, began).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    let is_full = error.kind() == io::ErrorKind::StorageFull;
                    verdict::infrastructure(&format!("write the log: {error}"), is_full)
                }
            };
            outcome.message = outcome.message.map(|message| secrets.hide_text(&message));
            outcome
        }
    };
    outcome.elapsed_ms = verdict::millis(began);
    workspace::remove(task, gate.run, &folder).await;
    outcome
}

async fn with_log(
    task: &Task,
    gate: &GateRun,
    folder: &Folder,
    secrets: &Secrets,
    began: Instant,
) -> io::Result<Outcome> {
    let limit = process::output_limit(task, &gate.gate.exec);
    let mut log = RunLog::create(task, gate.run, limit, secrets.clone())?;
    let mut outcome = match Backup::new(task, gate, folder, secrets, began) {
        Ok(mut backup) => backup.take(&mut log).await,
        Err(message) => Err(verdict::infrastructure(&message, false).into()),
    }
    .map_or_else(|bad: Box<Outcome>| *bad, |()| Outcome::of(Classification::Ok));
    if let Some(message) = outcome.message.as_ref().filter(|_| !outcome.passed()) {
        log.line(&format!("tidegate: {message}")).await?;
    }
    let log = log.finish()?;
    outcome.log_ref = Some(task.places.log_ref(gate.run));
    outcome.log_bytes = Some(log.bytes);
    outcome.log_sha256 = Some(log.sha256);
    outcome.log_truncated |= log.truncated;
    Ok(outcome)
}

/// Why a backup is not kept.
type Bad = Box<Outcome>;

/// A backup that is being taken.
struct Backup<'a> {
    task: &'a Task,
    gate: &'a GateRun,
    node: &'a Node,
    what: What<'a>,
    verify: Option<&'a Script>,
    shrink: Option<u8>,
    secrets: &'a Secrets,
    env: Env,
    dir: PathBuf,
    /// Where it comes to lie before it is kept.
    target: PathBuf,
    began: Instant,
    deadline: Option<tokio::time::Instant>,
}

impl<'a> Backup<'a> {
    /// The error reads after "failed to".
    fn new(
        task: &'a Task,
        gate: &'a GateRun,
        folder: &Folder,
        secrets: &'a Secrets,
        began: Instant,
    ) -> Result<Self, String> {
        let Check::Backup { node, run, path, verify, shrink, .. } = &gate.gate.check else {
            return Err(format!("fetch a backup for a gate of kind `{}`", gate.gate.check.kind()));
        };
        let found = gate.nodes.iter().find(|one| one.name == *node);
        let node = found.ok_or_else(|| format!("find node `{node}` in tier `{}`", gate.tier))?;
        let what = match (run, path) {
            (Some(script), _) => What::Output(script),
            (None, Some(path)) => What::File(path),
            (None, None) => return Err("fetch a backup: neither `run` nor `path` says what it is".into()),
        };
        Ok(Self {
            task,
            gate,
            node,
            what,
            verify: verify.as_ref(),
            shrink: *shrink,
            secrets,
            env: gate_environment(task, gate, folder, Some(node), &[], secrets),
            dir: working_dir(folder, &gate.gate.exec)?,
            target: folder.path().join("backup"),
            began,
            deadline: after(gate.gate.exec.timeout.map(Span::duration)),
        })
    }

    async fn take(&mut self, log: &mut RunLog<'_>) -> Result<(), Bad> {
        self.fetch(log).await?;
        let size = self.size()?;
        let source = self.secrets.hide_text(&fetch::source(self.node, self.what));
        self.say(log, &format!("{size} bytes from {source}")).await?;
        self.compare(size)?;
        let checked = match self.verify {
            Some(script) => Some(self.check(script).await?),
            None => None,
        };
        let stored = self.keep(checked).await?;
        self.say(log, &format!("kept as sha256 {}", stored.sha256)).await?;
        let (run, sha256) = (self.gate.run, stored.sha256);
        let kept = Command::BackupKept { run, source, byte_size: stored.size, sha256 };
        // When nobody listens any more, nobody needs to know.
        let _ = self.task.shop.reports.send(Report::Command(kept)).await;
        Ok(())
    }

    async fn say(&self, log: &mut RunLog<'_>, text: &str) -> Result<(), Bad> {
        let written = log.line(&format!("tidegate: {text}")).await;
        written.map_err(|error| failed("write the log", &error))
    }

    async fn fetch(&self, log: &mut RunLog<'_>) -> Result<(), Bad> {
        let mut outcome = match &self.node.ssh {
            None => {
                let argv = fetch::argv(self.what, &self.target);
                self.step(argv, &self.env, vec![self.target.clone()]).await
            }
            Some(host) => there::fetch(self, host, log).await?,
        };
        if outcome.passed() {
            return Ok(());
        }
        if matches!(outcome.classification, Classification::CheckFailed | Classification::Killed) {
            let said = outcome.message.take().unwrap_or_default();
            if said.contains("No space left on device") {
                outcome.blockers = vec![Blocker::DiskFull];
            }
            outcome.message = Some(format!("the backup could not be fetched: {said}"));
            (outcome.classification, outcome.status) =
                (Classification::Infrastructure, Classification::Infrastructure.status());
        }
        Err(outcome.into())
    }

    fn size(&self) -> Result<u64, Bad> {
        let found = fs::symlink_metadata(&self.target);
        let found = found.map_err(|error| failed("find what was fetched", &error))?;
        match found.len() {
            0 => Err(blocked("the backup is empty".into(), "see what makes it on the node".into())),
            size => Ok(size),
        }
    }

    /// Compares its size with that of the last one.
    fn compare(&self, size: u64) -> Result<(), Bad> {
        let (Some(shrink), Some(last)) = (self.shrink, &self.gate.backup) else { return Ok(()) };
        if !has_shrunk(last.byte_size, size, shrink) {
            return Ok(());
        }
        let before = last.byte_size;
        let reason = format!(
            "the backup has {size} bytes and the last one had {before}: it is smaller by more than `shrink` = {shrink}%"
        );
        let help = "if that is right, raise `shrink` in the pipeline until one is taken; the next is compared with that";
        Err(blocked(reason, help.into()))
    }

    /// Lets the gate's command check it; its digest before that.
    async fn check(&self, script: &Script) -> Result<String, Bad> {
        let only_read = fs::set_permissions(&self.target, Permissions::from_mode(0o400));
        only_read.map_err(|error| failed("close the backup to writers", &error))?;
        let sha256 = self.bound(artifact::digest_of(&self.target)).await?;
        let mut env = self.env.clone();
        env.insert(BACKUP.into(), self.target.clone().into());
        let outcome = self.step(argv(script), &env, Vec::new()).await;
        if outcome.passed() {
            return Ok(sha256);
        }
        if !matches!(outcome.classification, Classification::CheckFailed | Classification::Killed) {
            return Err(outcome.into());
        }
        let said = outcome.message.as_deref().unwrap_or("it failed");
        let mut refused = *blocked(
            format!("`verify` refuses the backup: {said}"),
            format!("see `tidegate logs {}`", self.gate.run),
        );
        (refused.exit_code, refused.signal) = (outcome.exit_code, outcome.signal.clone());
        Err(refused.into())
    }

    /// Moves it into the store. `checked`: the digest of what `verify` found good.
    async fn keep(&self, checked: Option<String>) -> Result<Stored, Bad> {
        let stored = self.bound(self.task.shop.store.take_file(&self.target)).await?;
        match checked {
            Some(checked) if checked != stored.sha256 => Err(blocked(
                "`verify` changed the backup, so that nobody knows whether it is good".into(),
                "let it work on a copy".into(),
            )),
            _ => Ok(stored),
        }
    }

    /// Work on the file that may be cut short.
    async fn bound<T>(&self, work: impl Future<Output = Result<T, artifact::Error>>) -> Result<T, Bad> {
        let exec = &self.gate.gate.exec;
        match self.task.stop.bound(self.deadline, work).await {
            Ok(done) => done.map_err(|error| {
                let message = format!("{error}; {}", error.help());
                let is_full = message.contains("No space left on device");
                verdict::infrastructure(&message, is_full).into()
            }),
            Err(cut) => Err(verdict::of_cut(cut, exec).into()),
        }
    }

    /// Runs a command as a part of the gate's run. `writes`: what it writes to beside its workspace.
    async fn step(&self, argv: Vec<OsString>, env: &Env, writes: Vec<PathBuf>) -> Outcome {
        let (task, run, exec) = (self.task, self.gate.run, &self.gate.gate.exec);
        let order = Order {
            run,
            argv,
            folder: Some(task.places.gate(run)),
            writes,
            dir: self.dir.clone(),
            events: task.places.events(run),
            timeout: self.left(),
            leave_running: false,
            append: true,
            mask: self.secrets.words(),
            lasts: false,
        };
        let mut ear = Ear::new(true, self.secrets.clone());
        let exit = process::run(task, order, exec, env, &mut ear).await;
        self.judge(&exit, &ear)
    }

    /// What the end of a command means, as for any gate.
    fn judge(&self, exit: &Exit, ear: &Ear) -> Outcome {
        let (places, run, exec) = (&self.task.places, self.gate.run, &self.gate.gate.exec);
        let (began, blocked) = (self.began, ear.blocked());
        verdict::of_exit(exit, &Evidence { places, run, exec, began, blocked, cargo: None })
    }

    fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(tokio::time::Instant::now()))
    }
}

fn has_shrunk(before: u64, now: u64, per_cent: u8) -> bool {
    let lost = u128::from(before.saturating_sub(now));
    lost * 100 > u128::from(before) * u128::from(per_cent)
}

fn failed(what: &str, error: &io::Error) -> Bad {
    let is_full = error.kind() == io::ErrorKind::StorageFull;
    verdict::infrastructure(&format!("{what}: {error}"), is_full).into()
}

fn blocked(reason: String, help: String) -> Bad {
    verdict::says_blocked(&[(printable::line(&reason).into_owned(), help)]).into()
}

#[cfg(test)]
mod tests {
    use super::has_shrunk;

    #[test]
    fn smaller_by_more_than_so_much_is_told_from_just_so_much() {
        assert!(!has_shrunk(1000, 800, 20) && has_shrunk(1000, 799, 20));
        assert!(!has_shrunk(1000, 5000, 1) && !has_shrunk(0, 0, 1) && !has_shrunk(10, 0, 100));
        assert!(has_shrunk(u64::MAX, u64::MAX / 2, 49), "no size is too large to be compared");
    }
}
