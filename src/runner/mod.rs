//! Subprocesses: spawn, capture, stop, report. Nothing here knows tiers, gates or policy.
//!
//! The room speaks messages only: a [`Start`] goes in, [`Report`]s come out of a channel, [`Runner::stop`] asks for an
//! end. So the same runner can sit in this process or, later, in one of its own that outlives the controller.
//!
//! # How a step is run
//! Each run has one plain thread (`local`, `run`): it spawns the process into a group of its own, with stdin
//! from `/dev/null` and one pipe for stdout and stderr (so that their order is kept), and then waits in one `poll` for
//! output, for the process's end (a pidfd), and for a wish to stop. What it reads goes to the log file in gathers of up
//! to 64 KiB, into the SHA-256, and on as a reference-counted [`Report::Output`].
//!
//! Why a thread and not a stream: `tokio-process-stream` hands out chunks of at most 4 KiB through two buffers, and
//! `benches/runner.rs` shows what that costs on bulk output. It carries the output of short tool commands in [`tool`],
//! where neither the order of two pipes nor gigabytes matter and its stream of two pipes is just what is wanted.
//!
//! # How a step ends
//! A step is over when its process has ended, even if something it started still holds the pipe. The dead process is
//! left unreaped (`waitid` with `WNOWAIT`) until all signals were sent, so that no reused id can be hit. What it left
//! behind is found and ended (`strays`, `kin`), which needs no cgroup: this process is a child subreaper, so every
//! orphan becomes its child, and each run's processes carry a mark that survives `setsid`, double forks and `env -i`.
//! A cgroup for each run, where one is delegated (`cgroup`), is a second way to the same list (`kin::Kin`), and ends all of
//! it at once.
//!
//! # What a step is kept from
//! [`Fence`] and [`Limits`] come with the [`Start`]; `fence` and `limits` say how they are kept. A run with neither costs
//! nothing for them.

pub mod fake;
pub mod keeper;
pub mod tool;
mod birth;
mod capture;
mod cgroup;
mod control;
mod drain;
mod events_file;
mod fence;
mod kin;
mod leader;
mod limits;
mod local;
mod log;
mod mask;
mod outbox;
mod run;
mod spares;
mod spawn;
mod strays;
mod threads;
#[cfg(test)]
mod tests;

use crate::domain::RunId;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

pub use cgroup::{Absent, Cgroups, Controllers, Ground as CgroupGround};
pub use fence::{Account, Fence, Ground, Landlock};
pub use keeper::{Keeper, KeptRunner, keeper_of};
pub use limits::{Disk, Limit, Limits, Passed};
pub use local::LocalRunner;
pub use mask::Words;
pub use strays::end_abandoned;
/// Reference-counted bytes, as in [`Report::Output`].
pub use tokio_util::bytes::Bytes;

/// Name of the environment variable that tells a step's processes apart where the mark of `kin` is lost.
pub const RUN_ID_VARIABLE: &str = "TIDEGATE_RUN_ID";

/// Order to start one run.
#[derive(Clone, Serialize, Deserialize)]
pub struct Start {
    /// Who it is for; at most one process at a time per run.
    pub run: RunId,
    /// Program and arguments, never empty. A program without `/` is looked up in the `PATH` of [`Start::env`].
    #[serde(with = "keeper::text::many")]
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    #[serde(with = "keeper::text::pairs")]
    pub env: Vec<(OsString, OsString)>,
    /// Working directory.
    #[serde(with = "keeper::text")]
    pub dir: PathBuf,
    /// The log file. Created (0600) with its parent folders, emptied unless `append`.
    #[serde(with = "keeper::text")]
    pub log: PathBuf,
    /// The file for typed events from inside, created empty (0600). The caller names it in `env`.
    #[serde(with = "keeper::text")]
    pub events: PathBuf,
    /// How long the process may live, by the monotonic clock.
    pub timeout: Option<Duration>,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Bytes kept in the log file, what was in it before `append` included. The rest is read and thrown away.
    pub output_limit: u64,
    /// What the process leaves running lives on when it ends by itself, and is only named.
    pub leave_running: bool,
    /// The log file exists already: output goes after its end, and offsets go on from there.
    pub append: bool,
    /// Byte strings that become `***` in the log and in chunks. Empty strings are ignored.
    #[serde(with = "keeper::text::many")]
    pub mask: Vec<Vec<u8>>,
    /// What keeps it from the rest of the machine.
    pub fence: Fence,
    /// What it may use.
    pub limits: Limits,
}

impl fmt::Debug for Start {
    /// Leaves out arguments, environment and masks: secrets live there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("run", &self.run)
            .field("program", &self.argv.first())
            .field("dir", &self.dir)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// Why a run is stopped before its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopCause {
    /// Somebody or something no longer wants it.
    Canceled,
    /// The controller is ending.
    Interrupted,
    /// It took longer than [`Start::timeout`].
    Timeout,
}

/// What happened to a run. For each [`Start`] exactly one [`Report::Exited`] comes, as the last.
#[derive(Clone, Debug)]
pub enum Report {
    /// The process exists. Left out when it could not be started.
    Started {
        /// Whose.
        run: RunId,
        /// Process id, and id of its group.
        pid: u32,
    },
    /// More of the log. Chunks come in order; when the consumer did not take reports for a second, chunks are left out
    /// until it does (the log file has them), which shows as a hole in the offsets.
    Output {
        /// Whose.
        run: RunId,
        /// Where in the log file these bytes are.
        offset: u64,
        /// What the log file holds there: at most 64 KiB of reads, after masking.
        bytes: Bytes,
    },
    /// A whole line, without its end, that the step appended to the events file; the last may have had none.
    StepLine {
        /// Whose.
        run: RunId,
        /// At most 64 KiB, unchecked.
        line: Vec<u8>,
        /// Of this and the warnings of the run, counted from 0: who heard it already knows it again.
        number: u32,
    },
    /// Something that a person should know and that fails nothing.
    Warning {
        /// Whose.
        run: RunId,
        /// A sentence without a full stop; may hold names from outside.
        message: String,
        /// As of a line.
        number: u32,
    },
    /// The run is over: the log is complete and nothing of it lives on that `exit` does not name.
    Exited {
        /// Whose.
        run: RunId,
        /// How it ended.
        exit: Exit,
    },
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// In which way.
    pub how: How,
    /// Size of the log file.
    pub log_bytes: u64,
    /// SHA-256 of the log file in hex; empty when there is no log file.
    pub log_sha256: String,
    /// The step wrote more than [`Start::output_limit`], or the log could not be written to its end.
    pub log_truncated: bool,
    /// From the start of the process to its end.
    pub elapsed: Duration,
    /// What outlived the process: ended by the runner, or left alone as `leave_running` says.
    pub strays: Vec<Stray>,
}

impl Exit {
    /// Of a run without a process, or of one of which nothing else is known.
    pub fn without_process(how: How) -> Exit {
        Exit {
            how,
            log_bytes: 0,
            log_sha256: String::new(),
            log_truncated: false,
            elapsed: Duration::ZERO,
            strays: Vec::new(),
        }
    }
}

/// A process that a step left behind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stray {
    /// Its id while it lived.
    pub pid: u32,
    /// Its name as the kernel knows it, at most 15 bytes. Text from outside.
    pub name: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// By itself, with this exit status.
    Code(i32),
    /// By a signal that the runner did not send.
    Signal(i32),
    /// By the runner, whatever status the process had in the end.
    Stopped(StopCause),
    /// By the runner, because it used more than [`Start::limits`] grant.
    LimitPassed(Passed),
    /// No process came to be.
    NotStarted {
        /// What the system said, 0 when it was not the system.
        errno: i32,
        /// For people: reads after "failed to".
        message: String,
        /// The program, or the interpreter that its first line names, is not there.
        missing_program: bool,
    },
    /// The log could not be written, and the process was ended for it.
    LogFailed {
        /// For people: reads after "failed to".
        message: String,
    },
    /// Nobody can say: whoever watched it is gone, and so is the process by now.
    Lost,
}

/// The seam: whoever can run steps.
pub trait Runner: Send + Sync {
    /// Starts a run and returns at once. All that happens to it goes to `reports`; when that is full the runner waits,
    /// and never holds more than a few hundred kilobytes of output meanwhile. A closed channel does not end the run.
    fn start(&self, start: Start, reports: mpsc::Sender<Report>);

    /// Asks for the end of a run: SIGTERM to its group, SIGKILL after the grace. A run that is over, or unknown, or asked
    /// already, is left alone; the first cause counts.
    fn stop(&self, run: RunId, cause: StopCause);

    /// Goes on with a run that an earlier process of the controller began, as if it had been started here, from its first
    /// line and the first byte of output that was not told to that one. Gives what is hidden in what it says. None: it
    /// was never started, or is told about already.
    fn take_up(&self, _run: RunId, _reports: mpsc::Sender<Report>) -> Option<Vec<Vec<u8>>> {
        None
    }

    /// The end of a run is kept elsewhere: nobody will ask for it again.
    fn forget(&self, _run: RunId) {}
}
