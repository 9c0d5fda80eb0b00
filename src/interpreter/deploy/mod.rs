//! Putting a version on a node: uploads, the deploy's command, health; one run and one log for all. Here is what is alike
//! for all nodes and what is done for a node of this machine; [`there`] is for nodes that are reached by ssh. What a
//! failed deploy means for the tier is decided elsewhere.

mod guard;
mod progress;
mod there;

use super::StopCause;
use super::bounded::{Cut, after};
use super::environment::{About, Env, argv, environment};
use super::gate::working_dir;
use super::health::{self, Ill, Patient, Where};
use super::places::Folder;
use super::process::{self, Order};
use super::run_log::RunLog;
use super::said::Ear;
use super::secrets::{self, Secrets};
use super::task::Task;
use super::upload::{self, Item, PlaceError, Placed};
use super::verdict::{self, Evidence};
use super::workspace::{self, Unready};
use crate::domain::event::{Artifact, DeployMode};
use crate::domain::pipeline::{Deploy, Exec, Health, Node, Probe, Script, Tier};
use crate::domain::{Classification, Failure, Fallback, RunId, VersionLabel};
use crate::printable;
use crate::runner::{self, Exit, How};
use std::ffi::OsString;
use std::time::{Duration, Instant};
use there::There;
use tokio::sync::mpsc;

/// A deploy's run.
pub(super) struct DeployRun {
    pub(super) run: RunId,
    pub(super) version: VersionLabel,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) previous: Option<VersionLabel>,
    pub(super) tier: Box<Tier>,
    pub(super) node: Node,
    pub(super) mode: DeployMode,
    pub(super) fallback: Option<Box<Fallback>>,
}

/// What failed, and its message.
pub(super) type Failed = (Failure, String);

/// Puts the version on the node. Gives the milliseconds that it took, and where the log is, if there is one.
pub(super) async fn deploy(task: &Task, job: &DeployRun) -> (Result<u64, Failed>, Option<String>) {
    let began = Instant::now();
    let Some(deploy) = &job.tier.deploy else {
        let message = "the tier has no deploy in the definition that this version goes by".to_owned();
        return (Err((Failure::Unreachable, message)), None);
    };
    let begun = process::take_up(task, job.run);
    let secrets = match (secrets::provide(task, job.run, &deploy.exec).await, &begun) {
        (Ok(secrets), _) => secrets,
        // What runs has them; what comes after it does without.
        (Err(_), Some((mask, _))) => Secrets::of_words(mask.clone()),
        (Err(unready), None) => return (Err(untouched(unready, &deploy.exec)), None),
    };
    let limit = process::output_limit(task, &deploy.exec);
    let log = match &begun {
        Some(_) => Ok(RunLog::go_on(task, job.run, limit, secrets.clone())),
        None => RunLog::create(task, job.run, limit, secrets.clone()),
    };
    let mut log = match log {
        Ok(log) => log,
        Err(error) => {
            let help = match error.kind() {
                std::io::ErrorKind::StorageFull => {
                    "; the disk of the controller's state folder is full: make room, then `retry`"
                }
                _ => "",
            };
            let message = format!("failed to write the log, so nothing was begun: {error}{help}");
            return (Err((Failure::ArtifactMissing, message)), None);
        }
    };
    let folder = task.places.deploy(&job.tier.name, &job.node.name, job.run);
    let deadline = after(deploy.exec.timeout.map(|timeout| timeout.duration()));
    let work = Work { task, job, deploy, folder: &folder, secrets: &secrets, deadline };
    let result = match begun {
        Some(begun) => work.go_on_here(begun, &mut log).await,
        None => work.put(&mut log).await,
    };
    if let Err((_, message)) = &result {
        // The outcome says the same: a log that cannot be written loses nothing.
        let _ = log.line(&format!("tidegate: {message}")).await;
    }
    clean_up(task, job, deploy, &folder, result.is_ok()).await;
    let result = result
        .map(|()| verdict::millis(began))
        .map_err(|(failure, message)| (failure, printable::line(&secrets.hide_text(&message)).into_owned()));
    (result, Some(task.places.log_ref(job.run)))
}

/// Removes the workspace. What a deploy leaves running may still need it: then it stays until a later one took its
/// place.
async fn clean_up(task: &Task, job: &DeployRun, deploy: &Deploy, folder: &Folder, succeeded: bool) {
    if !deploy.leave_running || deploy.run.is_none() {
        workspace::remove(task, job.run, folder).await;
    }
    if succeeded {
        let all = task.places.deploys(&job.tier.name, &job.node.name);
        for other in workspace::folders_in(&all) {
            if other != *folder {
                workspace::remove(task, job.run, &other).await;
            }
        }
    }
}

/// A deploy under way.
struct Work<'a> {
    task: &'a Task,
    job: &'a DeployRun,
    deploy: &'a Deploy,
    folder: &'a Folder,
    secrets: &'a Secrets,
    deadline: Option<tokio::time::Instant>,
}

impl Work<'_> {
    async fn put(&self, log: &mut RunLog<'_>) -> Result<(), Failed> {
        let Some(host) = &self.job.node.ssh else {
            return self.put_here(log).await;
        };
        let there = There::reach(self, host, log).await?;
        let result = there.put(log).await;
        there.leave().await;
        result
    }

    /// What the run's processes are told. `base`: before anything that is declared. `folder`: on this machine.
    fn environment(&self, base: &[(OsString, OsString)], folder: Option<&Folder>) -> Env {
        let about = About {
            run: self.job.run,
            version: &self.job.version,
            tier: Some(&self.job.tier.name),
            node: Some(&self.job.node.name),
            mode: Some(self.job.mode),
            previous: Some(self.job.previous.as_ref()),
            base,
            folder,
            on: Some(&self.job.node),
            exec: &self.deploy.exec,
            secrets: self.secrets,
        };
        environment(self.task, &[], &about)
    }

    async fn put_here(&self, log: &mut RunLog<'_>) -> Result<(), Failed> {
        let env = self.environment(&self.task.shop.inherited, Some(self.folder));
        let items = upload::plan(&self.deploy.upload, &self.job.artifacts, &env)?;
        self.provide().await?;
        if self.deploy.leave_running {
            workspace::keep(self.folder);
        }
        for item in items {
            self.upload(item, log).await?;
        }
        if let Some(script) = &self.deploy.run {
            self.activate(script, &env).await?;
        }
        self.wait_here(&env, log).await
    }

    /// Goes on with a command that an earlier process of the controller started.
    async fn go_on_here(
        &self,
        (mask, reports): (Vec<Vec<u8>>, mpsc::Receiver<runner::Report>),
        log: &mut RunLog<'_>,
    ) -> Result<(), Failed> {
        let began = Instant::now();
        let mut ear = Ear::new(false, Secrets::of_words(mask));
        let exit = process::go_on(self.task, self.job.run, reports, &mut ear).await;
        self.judge(&exit, began)?;
        let env = self.environment(&self.task.shop.inherited, Some(self.folder));
        self.wait_here(&env, log).await
    }

    /// Waits until the version is healthy, where that is asked for.
    async fn wait_here(&self, env: &Env, log: &mut RunLog<'_>) -> Result<(), Failed> {
        let Some(health) = &self.deploy.health else { return Ok(()) };
        let dir = match &health.probe {
            Probe::Run(_) => working_dir(self.folder, &self.deploy.exec)
                .map_err(|message| (Failure::Unhealthy, format!("failed to {message}")))?,
            _ => self.folder.checkout(),
        };
        self.wait_until_healthy(health, env, Where::Here(self.folder, dir), log).await
    }

    async fn provide(&self) -> Result<(), Failed> {
        let ready =
            workspace::provide_for_deploy(self.task, self.folder, &self.job.artifacts, self.needs_checkout());
        match self.bound(ready).await? {
            Ok(()) => Ok(()),
            Err(Unready::Cut(cut)) => Err(self.cut(cut)),
            Err(Unready::Artifact(message)) => {
                Err((Failure::ArtifactMissing, format!("failed to {message}")))
            }
            Err(Unready::Failed { message, .. }) => {
                Err((Failure::ArtifactMissing, format!("failed to {message}; the node was not touched")))
            }
        }
    }

    fn needs_checkout(&self) -> bool {
        let asks_by_command = self.deploy.health.as_ref().is_some_and(|h| matches!(h.probe, Probe::Run(_)));
        self.deploy.run.is_some() || asks_by_command
    }

    fn cut(&self, cut: Cut) -> Failed {
        of_cut(cut, &self.deploy.exec)
    }

    /// Does the work unless the deploy is stopped or too late.
    async fn bound<T>(&self, work: impl Future<Output = T>) -> Result<T, Failed> {
        self.task.stop.bound(self.deadline, work).await.map_err(|cut| self.cut(cut))
    }

    fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(tokio::time::Instant::now()))
    }

    async fn upload(&self, item: Item, log: &mut RunLog<'_>) -> Result<(), Failed> {
        let words = format!("{} to {}", item.artifact.path, item.to.display());
        let from = self.folder.artifacts().join(&item.artifact.path);
        let (stop, deadline, marker) = (self.task.stop.clone(), self.deadline, self.job.run.to_string());
        // Not cut from outside: the file must not change after we have said that it failed.
        let placing = move || upload::place(&item, &from, &marker, &|| stop.cut(deadline));
        let placed = tokio::task::spawn_blocking(placing).await;
        match placed.unwrap_or_else(|_| Err(PlaceError::Io("copy it: the copying broke".into()))) {
            Ok(placed) => {
                let note = if placed == Placed::Unchanged { " (unchanged)" } else { "" };
                let _ = log.line(&format!("tidegate: upload {words}{note}")).await;
                Ok(())
            }
            Err(PlaceError::Cut(cut)) => Err(self.cut(cut)),
            Err(PlaceError::Io(message)) => Err((Failure::Upload, format!("failed to {message}"))),
        }
    }

    async fn activate(&self, script: &Script, env: &Env) -> Result<(), Failed> {
        let exec = &self.deploy.exec;
        let dir = working_dir(self.folder, exec)
            .map_err(|message| (Failure::Activate, format!("failed to {message}")))?;
        let order = Order {
            run: self.job.run,
            argv: argv(script),
            folder: Some(self.folder.clone()),
            writes: Vec::new(),
            dir,
            events: self.task.places.events(self.job.run),
            timeout: self.left(),
            leave_running: self.deploy.leave_running,
            append: true,
            mask: self.secrets.words(),
            lasts: true,
        };
        let began = Instant::now();
        let mut ear = Ear::new(false, self.secrets.clone());
        let exit = process::run(self.task, order, exec, env, &mut ear).await;
        self.judge(&exit, began)
    }

    /// What the end of the deploy's command means.
    fn judge(&self, exit: &Exit, began: Instant) -> Result<(), Failed> {
        let failure = match exit.how {
            How::Code(0) => return Ok(()),
            How::Stopped(runner::StopCause::Canceled) => Failure::Canceled,
            How::Stopped(runner::StopCause::Interrupted) | How::Lost => Failure::Interrupted,
            How::Stopped(runner::StopCause::Timeout) => Failure::Timeout,
            _ => Failure::Activate,
        };
        let (places, exec) = (&self.task.places, &self.deploy.exec);
        let evidence = Evidence { places, run: self.job.run, exec, began, blocked: &[], cargo: None };
        let outcome = verdict::of_exit(exit, &evidence);
        Err((failure, outcome.message.unwrap_or_else(|| class_in_words(outcome.classification))))
    }

    async fn wait_until_healthy(
        &self,
        health: &Health,
        env: &Env,
        on: Where<'_>,
        log: &mut RunLog<'_>,
    ) -> Result<(), Failed> {
        let patient = Patient {
            task: self.task,
            run: self.job.run,
            deploy: self.deploy,
            env,
            on,
            deadline: self.deadline,
            secrets: self.secrets,
        };
        match health::wait(&patient, health, log).await {
            Ok(()) => {
                let _ = log.line(&format!("tidegate: healthy for {}", health.healthy_for)).await;
                Ok(())
            }
            Err(Ill::Cut(cut)) => Err(self.cut(cut)),
            Err(Ill::Unhealthy(message)) => Err((Failure::Unhealthy, message)),
        }
    }
}

/// Why nothing was begun.
fn untouched(unready: Unready, exec: &Exec) -> Failed {
    match unready {
        Unready::Cut(cut) => of_cut(cut, exec),
        // The nearest that the node was not changed and that it is a matter of what we may.
        Unready::Artifact(message) | Unready::Failed { message, .. } => {
            (Failure::Auth, format!("failed to {message}; the node was not touched"))
        }
    }
}

fn of_cut(cut: Cut, exec: &Exec) -> Failed {
    let failure = match cut {
        Cut::Stopped(StopCause::Canceled) => Failure::Canceled,
        Cut::Stopped(StopCause::Interrupted) => Failure::Interrupted,
        Cut::Late => Failure::Timeout,
    };
    (failure, verdict::of_cut(cut, exec).message.unwrap_or_default())
}

fn class_in_words(class: Classification) -> String {
    format!("its command ended as {class:?}").to_lowercase()
}
