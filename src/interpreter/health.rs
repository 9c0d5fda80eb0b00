//! Waiting until a node is healthy: good answers without a break for a while, reached in time.

use super::StopCause;
use super::bounded::Cut;
use super::environment::{Env, argv};
use super::places::Folder;
use super::process::{self, Order};
use super::question::{Good, Question, Reply};
use super::remote_run::Remote;
use super::run_log::RunLog;
use super::said::Ear;
use super::secrets::Secrets;
use super::task::Task;
use crate::domain::RunId;
use crate::domain::pipeline::{Deploy, Health, Probe, Script};
use crate::runner::{self, How};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The shortest pause between questions.
const SHORTEST: Duration = Duration::from_millis(10);

/// Why it is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ill {
    /// Nobody waits for it any more.
    Cut(Cut),
    /// It did not become or stay good in time. For people.
    Unhealthy(String),
}

/// From where it is asked.
pub(super) enum Where<'a> {
    /// This machine; a command runs in that folder.
    Here(&'a Folder, PathBuf),
    /// A node that is reached by ssh.
    There(&'a Remote<'a>),
}

/// The node that is asked about.
pub(super) struct Patient<'a> {
    pub(super) task: &'a Task,
    pub(super) run: RunId,
    pub(super) deploy: &'a Deploy,
    pub(super) env: &'a Env,
    pub(super) on: Where<'a>,
    pub(super) deadline: Option<Instant>,
    pub(super) secrets: &'a Secrets,
}

impl Patient<'_> {
    /// Whether the connection to it is gone.
    fn is_lost(&self) -> bool {
        matches!(&self.on, Where::There(remote) if remote.link.lost().is_some())
    }
}

/// Asks until the node has been good for long enough, or it is too late for that.
pub(super) async fn wait(patient: &Patient<'_>, health: &Health, log: &mut RunLog<'_>) -> Result<(), Ill> {
    let asker = Asker::new(patient, &health.probe).map_err(Ill::Unhealthy)?;
    let until = super::bounded::after(Some(health.within.duration()));
    let mut last = None;
    let mut good_since = None;
    loop {
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        let reply = asker.ask(left).await.map_err(Ill::Cut)?;
        if last.as_ref() != Some(&reply) {
            // A log that cannot be written does not make the node any less healthy.
            let _ = log.line(&format!("tidegate: health: {asker}: {}", reply.said)).await;
        }
        let now = Instant::now();
        let pause = health.every.duration().max(SHORTEST);
        let rest = if reply.is_good {
            let good_for = now - *good_since.get_or_insert(now);
            match health.healthy_for.duration().checked_sub(good_for) {
                None | Some(Duration::ZERO) => return Ok(()),
                Some(rest) => rest.min(pause),
            }
        } else {
            good_since = None;
            pause
        };
        if until.is_some_and(|until| now + rest > until) {
            return Err(Ill::Unhealthy(too_late(&asker, &reply, health)));
        }
        if !reply.is_good && patient.is_lost() {
            return Err(Ill::Unhealthy(format!("nobody can ask any more; at last {asker}: {}", reply.said)));
        }
        last = Some(reply);
        patient.task.stop.bound(patient.deadline, sleep(rest)).await.map_err(Ill::Cut)?;
    }
}

fn too_late(asker: &Asker<'_>, reply: &Reply, health: &Health) -> String {
    let (for_, within) = (health.healthy_for, health.within);
    format!("not healthy for {for_} within {within}; at last {asker}: {}", reply.said)
}

/// Who asks, and how.
enum Asker<'a> {
    Question(&'a Patient<'a>, Question),
    Command(&'a Patient<'a>, &'a Script),
}

impl<'a> Asker<'a> {
    fn new(patient: &'a Patient<'a>, probe: &'a Probe) -> Result<Self, String> {
        let question = match probe {
            Probe::Http(url) => Question::http(url, patient.env, Good::SuccessOrRedirect, None),
            Probe::Tcp(address) => Question::tcp(address, patient.env),
            Probe::Run(script) => return Ok(Self::Command(patient, script)),
        };
        let question = question.map_err(|error| format!("failed to {error}"))?;
        Ok(Self::Question(patient, question))
    }

    async fn ask(&self, left: Duration) -> Result<Reply, Cut> {
        match self {
            Self::Question(patient, question) => {
                let forward = match &patient.on {
                    Where::Here(..) => None,
                    Where::There(remote) => Some(remote.forward()),
                };
                patient.task.stop.bound(patient.deadline, question.ask(forward, left)).await
            }
            Self::Command(patient, script) => command(patient, script, left).await,
        }
    }
}

impl std::fmt::Display for Asker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Question(_, question) => question.fmt(f),
            Self::Command(..) => f.write_str("the health command"),
        }
    }
}

/// Runs the command as part of the deploy's run, so that its output is in the same log and it is ended like a step.
async fn command(patient: &Patient<'_>, script: &Script, left: Duration) -> Result<Reply, Cut> {
    let to_deadline = patient.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = Some(to_deadline.map_or(left, |rest| rest.min(left)));
    let events = patient.task.places.probe_events(patient.run);
    let mut ear = Ear::new(false, patient.secrets.clone());
    let exec = &patient.deploy.exec;
    let exit = match &patient.on {
        Where::Here(folder, dir) => {
            let order = Order {
                run: patient.run,
                argv: argv(script),
                folder: Some((*folder).clone()),
                writes: Vec::new(),
                dir: dir.clone(),
                events,
                timeout,
                // What the deploy left running has the same run in its environment: a question must not end it.
                leave_running: patient.deploy.leave_running,
                append: true,
                mask: patient.secrets.words(),
                lasts: false,
            };
            process::run(patient.task, order, exec, patient.env, &mut ear).await
        }
        Where::There(remote) => match remote.run(&argv(script), patient.env, events, timeout, &mut ear).await
        {
            Ok(exit) => exit,
            Err(trouble) => return Ok(Reply { is_good: false, said: trouble.message }),
        },
    };
    let said = match exit.how {
        How::Code(0) => return Ok(Reply { is_good: true, said: "exited with status 0".into() }),
        How::Code(status) => format!("exited with status {status}"),
        How::Signal(number) => format!("ended by signal {number}"),
        How::Stopped(runner::StopCause::Canceled) => return Err(Cut::Stopped(StopCause::Canceled)),
        How::Stopped(runner::StopCause::Interrupted) | How::Lost => {
            return Err(Cut::Stopped(StopCause::Interrupted));
        }
        How::Stopped(runner::StopCause::Timeout) if to_deadline.is_some_and(|rest| rest <= left) => {
            return Err(Cut::Late);
        }
        How::Stopped(runner::StopCause::Timeout) => "did not end in time".into(),
        How::LimitPassed(passed) => format!("was killed: {passed}"),
        How::NotStarted { message, .. } | How::LogFailed { message } => format!("failed to {message}"),
    };
    Ok(Reply { is_good: false, said })
}
