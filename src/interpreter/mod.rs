//! Turning an effect into real work: preparing a commit, build steps, gates, deploys on nodes. What is to be done
//! comes as a [`Work`]; what came of it goes back as a [`Report`]. What comes next is not decided here.
//!
//! [`LocalInterpreter`] gives each effect one task, which ends in exactly one command. Below it one file answers for one
//! part of the work: [`places`] for what lies where, `environment` for what a step is told, `process` for running it,
//! `fencing` for what keeps it from the rest of the machine, `verdict` for what its end means; `prepare`, `gate` and `deploy` put these together, [`cargo`], `boot`, `backup`
//! and [`dry_run`] for the kinds of gates that need more than that.

pub mod cargo;
pub mod dry_run;
mod piece;
pub mod places;
mod backup;
mod boot;
mod bounded;
mod deploy;
mod disguises;
pub(crate) mod environment;
pub(crate) mod expand;
pub(crate) mod fencing;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod gate;
mod health;
mod last_words;
mod local;
mod missing;
mod prepare;
mod probe;
mod probe_gate;
mod probe_stream;
mod process;
mod question;
mod remote_run;
mod run_log;
mod said;
pub(crate) mod secrets;
mod task;
#[cfg(test)]
mod tests;
mod upload;
mod verdict;
mod visit;
mod workspace;

use crate::domain::{Command, Effect, RunId, Work};

pub use local::LocalInterpreter;
pub use piece::Piece;
pub use workspace::{remove_ended, sweep};

/// What the interpreter tells the engine, in the order in which it happened.
#[derive(Clone, Debug)]
pub enum Report {
    /// Something that the engine decides on: an end, or something a step said. A command that ends an effect
    /// (`Prepared`, `Collected`, `RunEnded`, `DeployEnded`) comes exactly once for each effect that was begun, and
    /// is the last that is said of it.
    Command(Command),
    /// Bytes that the run's log file holds from `offset` on.
    Output {
        /// The run.
        run: RunId,
        /// Where in the log file.
        offset: u64,
        /// What stands there.
        bytes: Piece,
    },
}

/// Why an effect that is under way is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// It is not wanted any more: its outcome is `canceled`.
    Canceled,
    /// The controller stops: its outcome is `interrupted`.
    Interrupted,
}

/// Who does the work. The real one runs subprocesses; simulations have their own.
pub trait Interpreter: Send + Sync {
    /// Begins an effect; returns at once. What comes of it is reported.
    fn begin(&self, effect: Effect, work: Work);

    /// Ends an effect that was begun; returns at once. Its end is still reported, as whatever it came to.
    fn stop(&self, effect: &Effect, cause: StopCause);

    /// The end of a run is in the journal: it need not be kept anywhere else.
    fn forget(&self, _run: RunId) {}
}
