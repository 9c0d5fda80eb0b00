//! What a command comes to: facts to be journaled and an answer, or a refusal. Pure; what then follows by itself is
//! `proceed`'s.

mod adopt;
mod confirm;
mod deeds;
mod definitions;
mod look;
mod prune;
mod push;
mod reports;
mod rollback;
mod schedule;

pub(super) use reports::elapsed_s;

use super::Time;
use super::command::{Answer, Command};
use super::event::{Event, Fact};
use super::rejection::Rejection;
use super::state::State;

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is journaled, in this order, all or nothing.
    pub facts: Vec<Fact>,
    /// What the asker is told once it is durable.
    pub answer: Answer,
}

impl Decision {
    fn done(facts: Vec<Fact>) -> Decision {
        Decision { facts, answer: Answer::Done }
    }

    fn already() -> Decision {
        Decision { facts: Vec::new(), answer: Answer::Already }
    }
}

/// Decides a command against the state at that moment.
pub fn decide(state: &State, command: &Command, now: Time) -> Result<Decision, Rejection> {
    Ok(match command {
        Command::Load { file, digest, text, definition } => {
            definitions::load(state, file, digest, text, definition)
        }
        Command::Reject { file, diagnostics } => definitions::reject(state, file, diagnostics),
        Command::Remove { file } => definitions::remove(state, file),
        Command::Push { by, why, again, pushes } => {
            push::decide(state, by.as_ref(), why.as_deref(), *again, pushes)?
        }
        Command::OweLooks { by, pipelines, ref_name, sha } => look::owe(state, by, pipelines, ref_name, sha)?,
        Command::LookDone { pipeline, ref_name, owed, reason } => {
            look::done(state, pipeline, ref_name, *owed, reason.as_deref())
        }
        Command::LookedOver { pipeline, digest } => look::over(state, pipeline, digest),
        Command::Scheduled { pipeline, owed, found } => schedule::found(state, pipeline, *owed, found)?,
        Command::ForgetRefs { pipeline, gone } => look::forget(state, pipeline, gone),
        Command::ByHand { actor, why, pipeline, deed } => {
            deeds::decide(state, actor, why.as_deref(), pipeline, deed, now)?
        }
        Command::Prepared { request, label } => reports::prepared(state, *request, label),
        Command::Collected { request, artifacts } => reports::collected(state, *request, artifacts, now),
        Command::RunEnded { run, outcome } => Decision::done(reports::run_ended(state, *run, outcome)),
        Command::DeployEnded { run, result, log_ref } => {
            Decision::done(reports::deploy_ended(state, *run, result, log_ref.as_deref()))
        }
        Command::RunSaid { run, said, number } => reports::run_said(state, *run, said, *number),
        Command::BackupKept { run, source, byte_size, sha256 } => {
            reports::backup_kept(state, *run, source, *byte_size, sha256)
        }
        Command::Prune { keep } => prune::decide(state, *keep, now),
        Command::Started { release, runner } => reports::started(state, release, runner.as_deref()),
        Command::Stopping { release } => reports::stopping(release),
        Command::AccessRefused { by, code, method, route, count, from } => {
            let (code, method, route) = (code.clone(), method.clone(), route.clone());
            let event = Event::AccessRefused { code, method, route, count: *count, from: from.clone() };
            Decision::done(vec![Fact { pipeline: None, by: by.clone(), why: None, event }])
        }
    })
}
