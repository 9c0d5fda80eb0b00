//! Gates that ask a running version: once, or until it answers well. What they asked and got is their log.

use super::bounded::after;
use super::environment::Env;
use super::gate::{GateRun, gate_environment, not_ready};
use super::process;
use super::question::{Good, Question};
use super::run_log::RunLog;
use super::secrets::{self, Secrets};
use super::task::Task;
use super::verdict;
use crate::domain::pipeline::{Check, Exec};
use crate::domain::{Classification, Outcome, Span};
use crate::printable;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The shortest pause between questions.
const SHORTEST: Duration = Duration::from_millis(10);
/// A question that begins in time may be answered after it, by so much.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Runs the gate. A tier with one node lends it that node's environment.
pub(super) async fn run(task: &Task, gate: &GateRun, began: std::time::Instant) -> Outcome {
    let exec = &gate.gate.exec;
    let secrets = match secrets::provide(task, gate.run, exec).await {
        Ok(secrets) => secrets,
        Err(unready) => return not_ready(unready, exec, began),
    };
    let mut outcome = match judge(task, gate, &secrets).await {
        Ok(outcome) => outcome,
        Err(error) => {
            let is_full = error.kind() == io::ErrorKind::StorageFull;
            verdict::infrastructure(&format!("write the log: {error}"), is_full)
        }
    };
    outcome.message = outcome.message.map(|message| secrets.hide_text(&message));
    outcome.elapsed_ms = verdict::millis(began);
    outcome
}

async fn judge(task: &Task, gate: &GateRun, secrets: &Secrets) -> io::Result<Outcome> {
    let on = match &gate.nodes[..] {
        [only] => Some(only),
        _ => None,
    };
    let exec = &gate.gate.exec;
    let env = gate_environment(task, gate, &task.places.gate(gate.run), on, &[], secrets);
    let asked = match asked(&gate.gate.check, &env) {
        Ok(asked) => asked,
        Err(message) => return Ok(verdict::infrastructure(&message, false)),
    };
    let mut log = RunLog::create(task, gate.run, process::output_limit(task, exec), secrets.clone())?;
    let mut outcome = ask(task, exec, &asked, &mut log).await?;
    let log = log.finish()?;
    outcome.log_ref = Some(task.places.log_ref(gate.run));
    outcome.log_bytes = Some(log.bytes);
    outcome.log_sha256 = Some(log.sha256);
    outcome.log_truncated = log.truncated;
    Ok(outcome)
}

/// What is asked, and how often.
struct Asked {
    question: Question,
    within: Option<Span>,
    every: Span,
}

fn asked(check: &Check, env: &Env) -> Result<Asked, String> {
    let (question, within, every) = match check {
        Check::HttpProbe { url, status, contains, within, every } => {
            let good = status.map_or(Good::Success, Good::Only);
            (Question::http(url, env, good, contains.clone()), within, every)
        }
        Check::TcpProbe { tcp, within, every } => (Question::tcp(tcp, env), within, every),
        other => return Err(format!("ask a question of kind `{}`", other.kind())),
    };
    let question = question.map_err(|error| error.to_string())?;
    Ok(Asked { question, within: *within, every: *every })
}

async fn ask(task: &Task, exec: &Exec, asked: &Asked, log: &mut RunLog<'_>) -> io::Result<Outcome> {
    let Asked { question, within, every } = asked;
    let deadline = after(exec.timeout.map(Span::duration));
    let until = after(within.map(Span::duration));
    let every = every.duration().max(SHORTEST);
    let mut last = None;
    loop {
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        let reply = match task.stop.bound(deadline, question.ask(None, left.max(LAST_ANSWER))).await {
            Ok(reply) => reply,
            Err(cut) => return Ok(verdict::of_cut(cut, exec)),
        };
        if last.as_ref() != Some(&reply) {
            log.line(&format!("{question}: {}", reply.said)).await?;
        }
        if reply.is_good {
            return Ok(Outcome::of(Classification::Ok));
        }
        if until.is_none_or(|until| Instant::now() + every > until) {
            let so_long = within.map(|within| format!(", for {within}")).unwrap_or_default();
            let message = format!("{question}: {}{so_long}", reply.said);
            return Ok(Outcome::of(Classification::Unhealthy).saying(printable::line(&message)));
        }
        last = Some(reply);
        if let Err(cut) = task.stop.bound(deadline, sleep(every)).await {
            return Ok(verdict::of_cut(cut, exec));
        }
    }
}
