//! Build steps and gates that run a command: a workspace, a process in it, an outcome. Whether there is another try, and what a
//! blocked gate means, is decided elsewhere.

use super::backup;
use super::boot;
use super::cargo;
use super::dry_run;
use super::environment::{About, Env, argv, environment};
use super::places::Folder;
use super::probe_gate;
use super::process::{self, Order};
use super::said::Ear;
use super::secrets::{self, Secrets};
use super::task::Task;
use super::verdict::{self, Evidence};
use super::workspace::{self, Unready};
use crate::domain::event::{Artifact, DeployMode};
use crate::domain::pipeline::{Check, Exec, Gate, Node, Step};
use crate::domain::state::Backup;
use crate::domain::{EventId, Outcome, RunId, Span, TierName, VersionLabel};
use crate::runner::Exit;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

/// A gate's run.
pub(super) struct GateRun {
    pub(super) run: RunId,
    pub(super) version: VersionLabel,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) previous: Option<VersionLabel>,
    pub(super) tier: TierName,
    pub(super) nodes: Vec<Node>,
    pub(super) gate: Box<Gate>,
    pub(super) mode: DeployMode,
    /// The backup that it has to do with.
    pub(super) backup: Option<Box<Backup>>,
}

/// Runs a build step in the build's workspace, which the first step makes and all share.
pub(super) async fn step(
    task: &Task,
    run: RunId,
    version: &VersionLabel,
    request: EventId,
    step: &Step,
) -> Outcome {
    let began = Instant::now();
    if let Some(outcome) = go_on(task, run, &step.exec, |secrets| Ear::new(false, secrets), began).await {
        return outcome;
    }
    let folder = task.places.build(request);
    let ready = async {
        workspace::provide(task, &folder, &[]).await?;
        secrets::provide(task, run, &step.exec).await
    };
    let secrets = match ready.await {
        Ok(secrets) => secrets,
        Err(unready) => return not_ready(unready, &step.exec, began),
    };
    let about = About {
        run,
        version,
        tier: None,
        node: None,
        mode: None,
        previous: None,
        base: &task.shop.inherited,
        folder: Some(&folder),
        on: None,
        exec: &step.exec,
        secrets: &secrets,
    };
    let env = environment(task, &[], &about);
    let ear = Ear::new(false, secrets.clone());
    let command = Command { argv: argv(&step.run), env, ear, mask: secrets.words(), lasts: true };
    execute(task, run, &folder, &step.exec, command, began).await
}

/// Runs a gate in a folder of its own, which is gone afterwards.
pub(super) async fn gate(task: &Task, gate: &GateRun) -> Outcome {
    let began = Instant::now();
    match &gate.gate.check {
        Check::Command { run } => command(task, gate, argv(run), false, began).await,
        Check::HttpProbe { .. } | Check::TcpProbe { .. } => probe_gate::run(task, gate, began).await,
        Check::BootSmoke { .. } => boot::run(task, gate, began).await,
        Check::Backup { .. } => backup::run(task, gate, began).await,
        Check::MigrationDryRun { .. } => dry_run::run(task, gate, began).await,
        Check::CargoTest { .. }
        | Check::CargoClippy { .. }
        | Check::CargoFmt { .. }
        | Check::CargoDeny { .. } => {
            let argv = cargo::argv(&gate.gate.check, &task.places.gate(gate.run).checkout())
                .expect("BUG: these kinds run cargo");
            command(task, gate, argv, true, began).await
        }
    }
}

/// What is executed.
pub(super) struct Command {
    pub(super) argv: Vec<OsString>,
    pub(super) env: Env,
    pub(super) ear: Ear,
    pub(super) mask: Vec<Vec<u8>>,
    /// It outlives the controller.
    pub(super) lasts: bool,
}

async fn command(
    task: &Task,
    gate: &GateRun,
    argv: Vec<OsString>,
    is_cargo: bool,
    began: Instant,
) -> Outcome {
    let folder = task.places.gate(gate.run);
    let ear = |secrets| if is_cargo { Ear::of_ours(secrets) } else { Ear::new(true, secrets) };
    if let Some(outcome) = go_on(task, gate.run, &gate.gate.exec, ear, began).await {
        workspace::remove(task, gate.run, &folder).await;
        return outcome;
    }
    let outcome = match furnish(task, gate, &folder, began).await {
        Err(unready) => unready,
        Ok(secrets) => {
            let target =
                task.places.cache_for(gate.gate.exec.sandbox.as_ref()).join("target").into_os_string();
            let preset = [("CARGO_TARGET_DIR", target)];
            let preset = if is_cargo { &preset[..] } else { &[] };
            let env = gate_environment(task, gate, &folder, None, preset, &secrets);
            let mask = secrets.words();
            let command = Command { argv, env, ear: ear(secrets), mask, lasts: true };
            execute(task, gate.run, &folder, &gate.gate.exec, command, began).await
        }
    };
    workspace::remove(task, gate.run, &folder).await;
    outcome
}

/// Fills a gate's own folder and reads its secrets. The error is the gate's outcome.
pub(super) async fn furnish(
    task: &Task,
    gate: &GateRun,
    folder: &Folder,
    began: Instant,
) -> Result<Secrets, Outcome> {
    let exec = &gate.gate.exec;
    let furnished = async {
        workspace::provide(task, folder, &gate.artifacts).await?;
        secrets::provide(task, gate.run, exec).await
    };
    furnished.await.map_err(|unready| not_ready(unready, exec, began))
}

pub(super) fn gate_environment(
    task: &Task,
    gate: &GateRun,
    folder: &Folder,
    on: Option<&Node>,
    preset: &[(&str, OsString)],
    secrets: &Secrets,
) -> Env {
    let about = About {
        run: gate.run,
        version: &gate.version,
        tier: Some(&gate.tier),
        node: on.map(|node| &node.name),
        mode: Some(gate.mode),
        previous: Some(gate.previous.as_ref()),
        base: &task.shop.inherited,
        folder: Some(folder),
        on,
        exec: &gate.gate.exec,
        secrets,
    };
    environment(task, preset, &about)
}

/// Runs it to its end.
pub(super) async fn execute(
    task: &Task,
    run: RunId,
    folder: &Folder,
    exec: &Exec,
    command: Command,
    began: Instant,
) -> Outcome {
    let dir = match working_dir(folder, exec) {
        Ok(dir) => dir,
        Err(message) => return verdict::infrastructure(&message, false),
    };
    let order = Order {
        run,
        argv: command.argv,
        folder: Some(folder.clone()),
        writes: Vec::new(),
        dir,
        events: task.places.events(run),
        timeout: exec.timeout.map(Span::duration),
        leave_running: false,
        append: false,
        mask: command.mask,
        lasts: command.lasts,
    };
    let mut ear = command.ear;
    let exit = process::run(task, order, exec, &command.env, &mut ear).await;
    judged(task, run, exec, &exit, &ear, began)
}

/// Goes on with a run that an earlier process of the controller began. None: it did not come so far as to start it.
async fn go_on(
    task: &Task,
    run: RunId,
    exec: &Exec,
    ear: impl FnOnce(Secrets) -> Ear,
    began: Instant,
) -> Option<Outcome> {
    let (mask, reports) = process::take_up(task, run)?;
    let mut ear = ear(Secrets::of_words(mask));
    let exit = process::go_on(task, run, reports, &mut ear).await;
    Some(judged(task, run, exec, &exit, &ear, began))
}

fn judged(task: &Task, run: RunId, exec: &Exec, exit: &Exit, ear: &Ear, began: Instant) -> Outcome {
    let evidence =
        Evidence { places: &task.places, run, exec, began, blocked: ear.blocked(), cargo: ear.verdict() };
    let mut outcome = verdict::of_exit(exit, &evidence);
    outcome.message = outcome.message.map(|message| ear.hide(&message));
    outcome
}

/// The folder that a step runs in, which lies in its workspace. The error reads after "failed to".
pub(super) fn working_dir(folder: &Folder, exec: &Exec) -> Result<PathBuf, String> {
    let Some(dir) = &exec.dir else { return Ok(folder.checkout()) };
    let stays = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(dir).components().all(stays) {
        return Err(format!("use `dir = \"{dir}\"`: it must be a path below the workspace, without `..`"));
    }
    let whole = folder.checkout().join(dir);
    if whole.is_dir() { Ok(whole) } else { Err(format!("enter `{dir}`: no such folder in the workspace")) }
}

pub(super) fn not_ready(unready: Unready, exec: &Exec, began: Instant) -> Outcome {
    let mut outcome = match unready {
        Unready::Cut(cut) => verdict::of_cut(cut, exec),
        Unready::Artifact(message) => verdict::infrastructure(&message, false),
        Unready::Failed { message, is_full } => verdict::infrastructure(&message, is_full),
    };
    outcome.elapsed_ms = verdict::millis(began);
    outcome
}
