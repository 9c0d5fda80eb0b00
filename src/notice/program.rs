//! A notice that runs something: one subprocess, started through the runner, whose exit status says whether the event
//! was taken.
//!
//! It works in the folder of the pipeline files, so that `./notify.sh` is the script beside them. The event, and what it
//! writes, are in a folder of its own below `work/`, which is gone when it has ended.

use super::codes;
use super::patience::Sent;
use super::{letter::Letter, rule::Rule};
use crate::domain::RunId;
use crate::domain::pipeline::Script;
use crate::interpreter::environment::{Env, argv, pairs};
use crate::interpreter::places::Places;
use crate::interpreter::secrets::Secrets;
use crate::printable;
use crate::runner::{self, How, Report, Runner, Start, StopCause};
use crate::settings::StateDir;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// How long one may take unless the notice says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of output that are kept.
const MOST_OUTPUT: u64 = 1 << 20;
/// Bytes of output that a warning shows, from its end.
const MOST_SHOWN: u64 = 400;

/// Numbers of runs that no journal gives out: from the end of the numbers there are.
static LAST_RUN: AtomicU64 = AtomicU64::new(u64::MAX);

/// What programs of notices have in common.
#[derive(Clone)]
pub(super) struct Programs {
    pub(super) runner: Arc<dyn Runner>,
    pub(super) state: StateDir,
    /// The folder of the pipeline files.
    pub(super) pipelines: PathBuf,
    /// Programs under way: they end by themselves once they were told to.
    pub(super) under_way: TaskTracker,
}

/// Ends a program whose result nobody waits for any more.
struct Watched {
    runner: Arc<dyn Runner>,
    run: RunId,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // One that is over is left alone.
        self.runner.stop(self.run, StopCause::Canceled);
    }
}

impl Programs {
    /// Runs it to its end. When the future is dropped, the program is ended.
    pub(super) async fn run(
        &self,
        script: &Script,
        rule: &Rule,
        letter: &Letter,
        env: Env,
        secrets: &Secrets,
    ) -> Sent {
        let run = RunId(LAST_RUN.fetch_sub(1, Ordering::Relaxed));
        let folder = Places::new(&self.state, &rule.pipeline).notice(letter.id, u64::MAX - run.0);
        let event = event_file(&folder);
        if let Err(error) = prepare(&folder, &letter.body) {
            return Sent::later(format!("failed to write `{}`: {error}", event.display()));
        }
        let mut env = env;
        env.insert("TIDEGATE_EVENT".into(), event.into());
        let start = Start {
            run,
            argv: argv(script),
            env: pairs(&env),
            dir: self.pipelines.clone(),
            log: folder.join("log"),
            events: folder.join("said"),
            timeout: Some(rule.notice.timeout.map_or(PATIENCE, |span| span.duration())),
            grace: GRACE,
            output_limit: MOST_OUTPUT,
            leave_running: false,
            append: false,
            mask: secrets.words(),
        };
        let runner = self.runner.clone();
        let _watched = Watched { runner: runner.clone(), run };
        let ended = self.under_way.spawn(carry_out(runner, start, folder));
        ended.await.unwrap_or_else(|_| Sent::later("the program could not be watched"))
    }
}

/// Where the event is.
fn event_file(folder: &Path) -> PathBuf {
    folder.join("event.json")
}

fn prepare(folder: &Path, event: &str) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = event_file(folder);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(event.as_bytes())
}

async fn carry_out(runner: Arc<dyn Runner>, start: Start, folder: PathBuf) -> Sent {
    let (sender, mut reports) = mpsc::channel(16);
    let log = start.log.clone();
    runner.start(start, sender);
    let mut exit = None;
    while let Some(report) = reports.recv().await {
        match report {
            Report::Exited { exit: ended, .. } => exit = Some(ended),
            Report::Warning { message, .. } => {
                tracing::debug!("a program of a notice: {}", printable::line(&message));
            }
            Report::Started { .. } | Report::Output { .. } | Report::StepLine { .. } => {}
        }
    }
    let sent = match exit {
        Some(runner::Exit { how: How::Code(0), .. }) => Sent::Taken,
        Some(exit) => Sent::later(format!("{}{}", ended(&exit.how), end_of(&log))),
        None => Sent::later("the runner is gone"),
    };
    if let Err(error) = fs::remove_dir_all(&folder) {
        tracing::warn!(code = codes::LEFTOVERS, "failed to remove `{}`: {error}", folder.display());
    }
    sent
}

fn ended(how: &How) -> String {
    match how {
        How::Code(code) => format!("it ended with exit status {code}"),
        How::Signal(signal) => format!("it was ended by signal {signal}"),
        How::Stopped(StopCause::Timeout) => "it did not end in time".into(),
        How::Stopped(_) => "it was ended".into(),
        How::NotStarted { message, .. } | How::LogFailed { message } => {
            format!("failed to {}", printable::line(message))
        }
    }
}

/// The end of what it wrote, as one line; secrets are hidden in the file already.
fn end_of(log: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(MOST_SHOWN)))?;
        let mut bytes = Vec::new();
        file.take(MOST_SHOWN).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    match text.trim() {
        "" => String::new(),
        text => format!(", after it said: {}", printable::line(&text.replace('\n', " | "))),
    }
}

/// Ends the programs, and removes the folders, that an earlier process of the controller left when it was killed. To be
/// called before any notice is told. Blocks.
pub(super) fn sweep(state: &StateDir) {
    for folder in left(&state.work()) {
        let mut variable = b"TIDEGATE_EVENT=".to_vec();
        variable.extend(event_file(&folder).as_os_str().as_encoded_bytes());
        for stray in runner::end_abandoned(&variable, GRACE) {
            let (pid, name) = (stray.pid, printable::line(&stray.name).into_owned());
            tracing::warn!(pid, name, "ended a process that a notice of before had left");
        }
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(code = codes::LEFTOVERS, "failed to remove `{}`: {error}", folder.display());
        }
    }
}

fn left(work: &Path) -> Vec<PathBuf> {
    let inside =
        |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    inside(work).flat_map(|pipeline| inside(&pipeline.join("notices")).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventId;

    #[test]
    fn the_end_of_a_long_log_is_shown_as_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(end_of(&log), "");
        fs::write(&log, format!("{}\nlast\x1b[2J\nwords\n", "x".repeat(5000))).unwrap();
        let end = end_of(&log);
        assert!(end.ends_with("| words") && end.len() < 600 && !end.contains(['\n', '\x1b']), "{end}");
    }

    #[test]
    fn what_was_left_is_found_below_every_pipeline() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path());
        let one = Places::new(&state, &"shop".into()).notice(EventId(7), 1);
        prepare(&one, "{}").unwrap();
        assert_eq!(left(&state.work()), std::slice::from_ref(&one));
        sweep(&state);
        assert!(!one.exists());
    }
}
