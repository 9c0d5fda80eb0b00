//! The step's process: restores, migrates on the clock, and leaves nothing, whether it comes to its end or is told to stop.
//! What the programs write goes straight into the log; what came of it is the last line of the events file.

use super::order::{self, Engine, Order};
use super::postgres::{self, Scratch};
use super::{outside, sqlite};
use crate::domain::event::{Level, StepSaid};
use crate::domain::{Classification, Span};
use crate::interpreter::backup::BACKUP;
use crate::interpreter::cargo::Verdict;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status of a dry run that did not pass, of one that was told to stop, and those by which shells say that a
/// program is not there or cannot be executed.
const FAILED: i32 = 1;
const STOPPED: i32 = 143;
const NO_PROGRAM: [i32; 2] = [126, 127];

/// Why a dry run ends before its end, or with a bad one.
pub(super) enum End {
    /// That is what it came to.
    Judged(Verdict),
    /// A shell of the gate says so itself: its status is passed on.
    Shell(i32),
    /// Somebody said so.
    Stopped,
}

/// Where the migrations find the scratch database: variables that are set, and those that must not be there.
#[derive(Default)]
pub(super) struct Place {
    pub(super) set: Vec<(String, std::ffi::OsString)>,
    pub(super) unset: Vec<&'static str>,
}

/// Does the dry run in the current folder; the exit status. `folder` is the gate's. The error is of what hindered this
/// program itself.
pub fn run(folder: &Path) -> io::Result<i32> {
    let order = Order::of_environment()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(carry_out(folder, order))
}

async fn carry_out(folder: &Path, order: Order) -> io::Result<i32> {
    let events = std::env::var_os("TIDEGATE_EVENTS");
    let events = events.map(|path| File::options().append(true).open(path)).transpose()?;
    let stop = CancellationToken::new();
    let mut session =
        Session { folder: folder.to_owned(), order, events, scratch: Scratch::None, stop: stop.clone() };
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let (mut signal, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    let done = session.work().await;
    session.clean_up().await;
    Ok(match done {
        Ok(()) => 0,
        Err(End::Shell(status)) => status,
        Err(End::Stopped) => STOPPED,
        Err(End::Judged(verdict)) => {
            session.append(&verdict.to_line());
            FAILED
        }
    })
}

/// A dry run under way.
pub(super) struct Session {
    /// The gate's folder.
    pub(super) folder: PathBuf,
    pub(super) order: Order,
    events: Option<File>,
    /// What has to be removed at the end.
    pub(super) scratch: Scratch,
    stop: CancellationToken,
}

impl Session {
    async fn work(&mut self) -> Result<(), End> {
        let began = Instant::now();
        let place = match self.order.engine.clone() {
            Engine::Postgres { server } => postgres::restore(self, server.as_deref()).await?,
            Engine::Sqlite => sqlite::restore(self).await?,
            Engine::Command { restore } => self.restore_by_command(&restore).await?,
        };
        let took = began.elapsed();
        self.tell("restore", took);
        self.say(&format!("restored in {}", in_words(took)));
        self.migrate(&place).await
    }

    async fn restore_by_command(&mut self, restore: &[String]) -> Result<Place, End> {
        let scratch = self.folder.join("scratch");
        fs::create_dir(&scratch).map_err(|error| failed("make the scratch folder", &error))?;
        let place =
            Place { set: vec![("TIDEGATE_SCRATCH".into(), scratch.into_os_string())], unset: Vec::new() };
        let status = self.run(self.script(restore, &place), &restore[0]).await?;
        match status.code() {
            Some(0) => Ok(place),
            Some(status) if NO_PROGRAM.contains(&status) => Err(End::Shell(status)),
            _ => Err(not_restored(&format!("`restore` {}", ended(status)))),
        }
    }

    async fn migrate(&mut self, place: &Place) -> Result<(), End> {
        let mut command = self.script(&self.order.migrate.clone(), place);
        // In a group of its own, so that all of it can be ended when it takes too long.
        command.process_group(0);
        let program = self.order.migrate[0].clone();
        let began = Instant::now();
        let mut child = spawn(command, &program)?;
        let within = self.order.within;
        let late = async {
            match within {
                Some(within) => tokio::time::sleep(within.duration()).await,
                None => std::future::pending().await,
            }
        };
        let (stop, grace) = (self.stop.clone(), self.order.grace.duration());
        let status = tokio::select! {
            biased;
            status = child.wait() => status.map_err(|error| failed("wait for the migrations", &error))?,
            () = stop.cancelled() => {
                end(&mut child, grace / 2).await;
                return Err(End::Stopped);
            }
            () = late => {
                end(&mut child, grace).await;
                return Err(self.too_late(began.elapsed()));
            }
        };
        let took = began.elapsed();
        self.tell("migrate", took);
        match (status.code(), status.signal()) {
            (Some(0), _) => {
                let limit = within.map(|within| format!(" (`within` = {within})")).unwrap_or_default();
                self.say(&format!("migrated in {}{limit}", in_words(took)));
                Ok(())
            }
            (Some(status), _) if NO_PROGRAM.contains(&status) => Err(End::Shell(status)),
            (_, Some(signal)) => {
                let verdict = Verdict::of(Classification::Killed, None);
                Err(End::Judged(Verdict { signal: Some(signal), ..verdict }))
            }
            _ => {
                let message = format!("`migrate` {}", ended(status));
                let verdict = Verdict::of(Classification::CheckFailed, Some(message));
                Err(End::Judged(Verdict { as_logged: true, ..verdict }))
            }
        }
    }

    fn too_late(&mut self, took: Duration) -> End {
        self.tell("migrate", took);
        let within = self.order.within.unwrap_or(Span::seconds(0));
        let message = format!("migrating took longer than `within` = {within}, and was ended");
        self.say(&message);
        End::Judged(Verdict::of(Classification::Timeout, Some(message)))
    }

    /// A program, told nothing that is for us alone.
    pub(super) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_remove(order::VARIABLE).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A command of the pipeline.
    fn script(&self, words: &[String], place: &Place) -> Command {
        let mut command = self.program(&words[0]);
        command.args(&words[1..]);
        for name in &place.unset {
            command.env_remove(name);
        }
        command.envs(place.set.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The copy of the backup.
    pub(super) fn backup(&self) -> PathBuf {
        std::env::var_os(BACKUP).map_or_else(|| self.folder.join(order::COPY), PathBuf::from)
    }

    /// Runs a program to its end, what it writes into the log. `name`: what is missing if it is not there.
    pub(super) async fn run(&self, command: Command, name: &str) -> Result<ExitStatus, End> {
        if self.stop.is_cancelled() {
            return Err(End::Stopped);
        }
        let mut child = spawn(command, name)?;
        tokio::select! {
            biased;
            status = child.wait() => status.map_err(|error| failed(&format!("wait for `{name}`"), &error)),
            () = self.stop.cancelled() => {
                // It has our group, so it was told already.
                let _ = tokio::time::timeout(self.order.grace.duration() / 2, child.wait()).await;
                Err(End::Stopped)
            }
        }
    }

    /// Waits, unless somebody wants the end.
    pub(super) async fn pause(&self, time: Duration) -> Result<(), End> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(End::Stopped),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// A line of our own in the log.
    pub(super) fn say(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        // Nobody reads any more: then nobody misses it.
        let _ = stdout.write_all(format!("tidegate: {text}\n").as_bytes()).and_then(|()| stdout.flush());
    }

    /// Something that fails nothing and that a person should know.
    pub(super) fn warn(&mut self, message: String) {
        self.event(&StepSaid::Annotation { level: Level::Warning, file: None, line: None, message });
    }

    fn tell(&mut self, name: &str, took: Duration) {
        let value = (took.as_secs_f64() * 1000.0).round();
        self.event(&StepSaid::Metric { name: name.into(), value, unit: Some("ms".into()) });
    }

    fn event(&mut self, said: &StepSaid) {
        self.append(&serde_json::to_string(said).expect("BUG: an event is JSON"));
    }

    fn append(&mut self, line: &str) {
        if let Some(events) = &mut self.events {
            // In one piece: others may append too. The log says it anyway.
            let _ = events.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// Removes the scratch database, or the server that was started for it.
    async fn clean_up(&mut self) {
        let scratch = std::mem::replace(&mut self.scratch, Scratch::None);
        if let Err(message) = scratch.remove(self).await {
            self.warn(message);
        }
        if let Err(error) = outside::remove(&self.folder) {
            self.warn(format!("failed to remove the scratch folder: {error}"));
        }
    }
}

fn spawn(mut command: Command, name: &str) -> Result<Child, End> {
    command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(name, None),
        _ => failed(&format!("start `{name}`"), &error),
    })
}

/// Ends a child that has a group of its own, with its group.
async fn end(child: &mut Child, grace: Duration) {
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let signal = |signal: Signal| {
        // It may be gone.
        let _ = group.map(|group| kill_process_group(group, signal));
    };
    signal(Signal::TERM);
    let _ = tokio::time::timeout(grace, child.wait()).await;
    signal(Signal::KILL);
    let _ = child.wait().await;
}

/// It could not be judged for a reason of the machine. Reads after "failed to".
pub(super) fn failed(what: &str, error: &io::Error) -> End {
    blocked(format!("failed to {what}: {error}"))
}

pub(super) fn blocked(message: String) -> End {
    End::Judged(Verdict::of(Classification::Infrastructure, Some(message)))
}

/// The backup could not be restored: the log's end says why.
pub(super) fn not_restored(how: &str) -> End {
    let message = format!("the backup could not be restored: {how}");
    let verdict = Verdict::of(Classification::Infrastructure, Some(message));
    End::Judged(Verdict { as_logged: true, ..verdict })
}

/// A program is not there.
pub(super) fn missing(tool: &str, message: Option<String>) -> End {
    let verdict = Verdict::of(Classification::MissingTool, message);
    End::Judged(Verdict { missing: Some(tool.to_owned()), ..verdict })
}

/// How a program ended, after its name.
pub(super) fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

fn in_words(took: Duration) -> String {
    format!("{took:.1?}")
}
