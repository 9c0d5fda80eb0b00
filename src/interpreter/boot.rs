//! Gates that start a built artifact: whether it answers in time, and goes on answering for a while. Then it is stopped;
//! its output is the gate's log. What it was asked goes into the outcome, not into the log, which is the program's.

use super::bounded::after;
use super::cargo;
use super::environment::{Env, argv, pairs};
use super::expand::expand;
use super::gate::{GateRun, furnish, gate_environment, working_dir};
use super::process::{self, Order};
use super::question::{Good, Question, Reply};
use super::said::Ear;
use super::secrets::Secrets;
use super::task::Task;
use super::verdict::{self, Evidence};
use super::{upload, workspace};
use crate::domain::event::{Artifact, StepSaid};
use crate::domain::pipeline::{Check, Probe};
use crate::domain::{Classification, Outcome, Span};
use crate::printable;
use crate::runner::tool::{self, Tool};
use crate::runner::{self, Exit, How};
use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The variable with the port.
const PORT: &str = "PORT";
/// Pause between questions until it answers, and while it is kept up.
const SOON: Duration = Duration::from_millis(50);
/// A question that had less time than this, and all of that, says less than the one before it.
const FAIR: Duration = Duration::from_secs(1);
const STEADY: Duration = Duration::from_millis(200);
/// Bytes of what a probe command says that are kept.
const PROBE_OUTPUT: usize = 4096;

/// Runs the gate in a folder of its own, which is gone afterwards.
pub(super) async fn run(task: &Task, gate: &GateRun, began: Instant) -> Outcome {
    let folder = task.places.gate(gate.run);
    let mut outcome = match furnish(task, gate, &folder, began).await {
        Err(unready) => unready,
        Ok(secrets) => match Boot::new(task, gate, &secrets) {
            Err(message) => verdict::infrastructure(&message, false),
            Ok(boot) => {
                let mut outcome = boot.carry_out(began, secrets.clone()).await;
                outcome.message = outcome.message.map(|message| secrets.hide_text(&message));
                outcome
            }
        },
    };
    outcome.elapsed_ms = verdict::millis(began);
    workspace::remove(task, gate.run, &folder).await;
    outcome
}

/// A program that is to be started, and what it is asked.
struct Boot<'a> {
    task: &'a Task,
    gate: &'a GateRun,
    argv: Vec<OsString>,
    dir: PathBuf,
    env: Env,
    asker: Asker,
    within: Span,
    healthy_for: Span,
    mask: Vec<Vec<u8>>,
    /// When it answered first.
    answered: OnceLock<Duration>,
}

/// What was seen of a program that did not end by itself.
enum Seen {
    Healthy,
    /// It never answered, or no more. For people.
    Ill(String),
}

impl<'a> Boot<'a> {
    /// The error reads after "failed to".
    fn new(task: &'a Task, gate: &'a GateRun, secrets: &Secrets) -> Result<Self, String> {
        let Check::BootSmoke { artifact, args, probe, within, healthy_for } = &gate.gate.check else {
            return Err(format!("boot a gate of kind `{}`", gate.gate.check.kind()));
        };
        let folder = task.places.gate(gate.run);
        let mut env = gate_environment(task, gate, &folder, None, &[], secrets);
        // A port that the whole pipeline or a node declares is that of the version in service.
        if !gate.gate.exec.env.contains_key(PORT) {
            let port = free_port().map_err(|error| format!("find a free port: {error}"))?;
            env.insert(PORT.into(), port.to_string().into());
        }
        let program = folder.artifacts().join(&only(artifact, &gate.artifacts)?.path);
        let mut argv = vec![program.into_os_string()];
        for arg in args {
            argv.push(argument(arg, &env, secrets)?);
        }
        let dir = working_dir(&folder, &gate.gate.exec)?;
        let asker = Asker::new(probe, &env, &dir)?;
        let (within, healthy_for, mask) = (*within, *healthy_for, secrets.words());
        Ok(Self { task, gate, argv, dir, env, asker, within, healthy_for, mask, answered: OnceLock::new() })
    }

    async fn carry_out(&self, began: Instant, secrets: Secrets) -> Outcome {
        let (task, run, exec) = (self.task, self.gate.run, &self.gate.gate.exec);
        let order = Order {
            run,
            argv: self.argv.clone(),
            folder: Some(task.places.gate(run)),
            writes: Vec::new(),
            dir: self.dir.clone(),
            events: task.places.events(run),
            timeout: exec.timeout.map(Span::duration),
            leave_running: false,
            append: false,
            mask: self.mask.clone(),
            lasts: false,
        };
        let mut ear = Ear::new(true, secrets);
        let (exit, seen) = {
            let running = process::run(task, order, exec, &self.env, &mut ear);
            tokio::pin!(running);
            tokio::select! {
                biased;
                exit = &mut running => (exit, None),
                seen = self.watch() => {
                    let asked = Instant::now();
                    task.shop.runner.stop(run, runner::StopCause::Canceled);
                    let exit = running.await;
                    self.say_if_slow(asked).await;
                    (exit, Some(seen))
                }
            }
        };
        if let Some(after) = self.answered.get() {
            let (name, unit) = ("answered_after".to_owned(), Some("ms".to_owned()));
            let value = after.as_secs_f64() * 1000.0;
            task.say(run, StepSaid::Metric { name, value: value.round(), unit }).await;
        }
        let cargo: Option<&cargo::Verdict> = None;
        let evidence = Evidence { places: &task.places, run, exec, began, blocked: ear.blocked(), cargo };
        let by_exit = verdict::of_exit(&exit, &evidence);
        self.outcome(&exit, seen, by_exit)
    }

    /// What the end means. `by_exit` has the log, and is right where others ended it or nothing could be judged.
    fn outcome(&self, exit: &Exit, seen: Option<Seen>, by_exit: Outcome) -> Outcome {
        let was_up = self.task.stop.asked().is_none() || matches!(seen, Some(Seen::Healthy));
        let judged = match (&exit.how, seen) {
            _ if by_exit.classification == Classification::StepSays => return by_exit,
            (How::Stopped(runner::StopCause::Canceled), Some(seen)) if was_up => match seen {
                Seen::Healthy => Outcome::of(Classification::Ok),
                Seen::Ill(message) => unhealthy(&message),
            },
            (How::Code(_) | How::Signal(_), _) => unhealthy(&self.ended(&by_exit)),
            (How::NotStarted { message, missing_program: false, errno }, _) if cannot_start(*errno) => {
                unhealthy(&format!("it cannot be started: failed to {message}"))
            }
            _ => return by_exit,
        };
        Outcome {
            status: judged.status,
            classification: judged.classification,
            blockers: Vec::new(),
            message: judged.message,
            ..by_exit
        }
    }

    /// How it ended by itself, which it must not.
    fn ended(&self, by_exit: &Outcome) -> String {
        let when = match self.answered.get() {
            None => "before it answered".to_owned(),
            Some(after) => format!(
                "after it had answered, while it was kept up for {} (the first answer came after {after:.1?})",
                self.healthy_for
            ),
        };
        let how = match (&by_exit.signal, by_exit.exit_code) {
            (Some(signal), _) => format!("ended by {signal}"),
            (None, Some(0)) => "ended with status 0; a program must stay in the foreground".to_owned(),
            (None, status) => format!("ended with status {}", status.unwrap_or_default()),
        };
        let last = by_exit.message.as_deref().and_then(|said| said.split_once(": "));
        let last = last.map(|(_, last)| format!(": {last}")).unwrap_or_default();
        format!("{how} {when}{last}")
    }

    /// Asks until it is clear what the program is. Whoever stops the gate, or its timeout, ends the program and so this.
    async fn watch(&self) -> Seen {
        let began = Instant::now();
        let until = after(Some(self.within.duration()));
        let mut last = None;
        loop {
            let (left, asked) = (left_until(until), Instant::now());
            let reply = self.asker.ask(left).await;
            if reply.is_good {
                break;
            }
            let is_cut_off = left < FAIR && asked.elapsed() >= left;
            let said = last.filter(|_| is_cut_off).unwrap_or(reply.said);
            if left_until(until) <= SOON {
                let (within, asker) = (self.within, &self.asker);
                return Seen::Ill(format!("no answer within {within}; at last {asker}: {said}"));
            }
            last = Some(said);
            sleep(SOON).await;
        }
        let _ = self.answered.set(began.elapsed());
        let until = after(Some(self.healthy_for.duration()));
        loop {
            let left = left_until(until);
            if left.is_zero() {
                return Seen::Healthy;
            }
            sleep(left.min(STEADY)).await;
            let reply = self.asker.ask(Duration::MAX).await;
            if !reply.is_good {
                let (asker, after) = (&self.asker, self.answered.get().copied().unwrap_or_default());
                let said = reply.said;
                return Seen::Ill(format!(
                    "it answered after {after:.1?}, and then no more: {asker}: {said}"
                ));
            }
        }
    }

    async fn say_if_slow(&self, asked: Instant) {
        let grace = self.gate.gate.exec.grace.map_or(process::GRACE, Span::duration);
        if asked.elapsed() >= grace {
            let message = format!("it did not end within {grace:?} after SIGTERM and was killed");
            self.task.warn(self.gate.run, message).await;
        }
    }
}

fn unhealthy(message: &str) -> Outcome {
    Outcome::of(Classification::Unhealthy).saying(printable::line(message))
}

/// Whether an error of starting is the artifact's own.
fn cannot_start(errno: i32) -> bool {
    matches!(errno, libc::EACCES | libc::ENOEXEC)
}

fn left_until(until: Option<tokio::time::Instant>) -> Duration {
    until.map_or(Duration::MAX, |until| until.saturating_duration_since(tokio::time::Instant::now()))
}

/// A port of this machine that nothing listens at now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The one artifact that is meant. The error reads after "failed to".
fn only<'a>(wanted: &str, artifacts: &'a [Artifact]) -> Result<&'a Artifact, String> {
    let found = upload::matching(wanted, artifacts)?;
    match &found[..] {
        [(only, _)] => Ok(only),
        [] => Err(format!(
            "find an artifact `{wanted}` of this version; is it listed in `artifacts` of `[build]`?"
        )),
        [..] => {
            Err(format!("choose between {} artifacts that `{wanted}` names: name the program", found.len()))
        }
    }
}

/// An argument with its variables. Secrets do not go there: everybody on the machine can read it.
fn argument(arg: &str, env: &Env, secrets: &Secrets) -> Result<OsString, String> {
    let mut open = env.clone();
    for (name, _) in secrets.values() {
        open.remove(name);
    }
    expand(arg, &open).map_err(|error| match expand(arg, env) {
        Ok(_) => format!(
            "put a secret into the argument `{arg}`: the program finds it in its environment, where not everybody can read it"
        ),
        Err(_) => error.to_string(),
    })
}

/// Who asks, and how.
enum Asker {
    Question(Question),
    Command { argv: Vec<OsString>, env: Vec<(OsString, OsString)>, dir: PathBuf },
}

impl Asker {
    fn new(probe: &Probe, env: &Env, dir: &std::path::Path) -> Result<Self, String> {
        let question = match probe {
            Probe::Http(url) => Question::http(url, env, Good::SuccessOrRedirect, None),
            Probe::Tcp(address) => Question::tcp(address, env),
            Probe::Run(script) => {
                return Ok(Self::Command { argv: argv(script), env: pairs(env), dir: dir.to_owned() });
            }
        };
        question.map(Self::Question).map_err(|error| error.to_string())
    }

    async fn ask(&self, left: Duration) -> Reply {
        let (argv, env, dir) = match self {
            Self::Question(question) => return question.ask(None, left).await,
            Self::Command { argv, env, dir } => (argv.clone(), env.clone(), dir.clone()),
        };
        let timeout = left.clamp(Duration::from_millis(100), super::probe::PATIENCE);
        // Not by the runner: the run has its process already.
        let said = match tool::run(Tool { argv, env, dir, timeout, output_limit: PROBE_OUTPUT }).await {
            Ok(output) if output.status.success() => {
                return Reply { is_good: true, said: "exited with status 0".into() };
            }
            Ok(output) => {
                let words = [output.stdout, output.stderr].concat();
                let words = String::from_utf8_lossy(&words).into_owned();
                let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
                let colon = if last.is_empty() { "" } else { ": " };
                format!("ended with {}{colon}{}", output.status, last.trim())
            }
            Err(error) => format!("failed to {error}"),
        };
        Reply { is_good: false, said }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question(question) => question.fmt(f),
            Self::Command { .. } => f.write_str("the probe"),
        }
    }
}
