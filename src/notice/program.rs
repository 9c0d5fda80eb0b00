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
use tokio_util::sync::CancellationToken;
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
    /// Tells one that has not begun yet.
    gone: CancellationToken,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.gone.cancel();
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
        let folder = Places::new(&self.state, &rule.home).notice(letter.id, u64::MAX - run.0);
        let mut env = env;
        env.insert("TIDEGATE_EVENT".into(), event_file(&folder).into());
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
            fence: Default::default(),
            limits: Default::default(),
        };
        let runner = self.runner.clone();
        let gone = CancellationToken::new();
        let _watched = Watched { runner: runner.clone(), run, gone: gone.clone() };
        let ended = self.under_way.spawn(carry_out(runner, start, folder, letter.body.clone(), gone));
        ended.await.unwrap_or_else(|_| Sent::later("the program could not be watched"))
    }
}

/// Where the event is.
fn event_file(folder: &Path) -> PathBuf {
    folder.join("event.json")
}

/// Writes the event down, as a line.
fn prepare(folder: &Path, event: &str) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = event_file(folder);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(format!("{event}\n").as_bytes())
}

/// Prepares, runs, and leaves nothing behind, whichever of these fails.
async fn carry_out(
    runner: Arc<dyn Runner>,
    start: Start,
    folder: PathBuf,
    event: Arc<str>,
    gone: CancellationToken,
) -> Sent {
    let place = folder.clone();
    let sent = match blocking(move || prepare(&place, &event)).await {
        Err(error) => Sent::later(format!("failed to write `{}`: {error}", event_file(&folder).display())),
        Ok(()) if gone.is_cancelled() => Sent::later("nobody waits for it any more"),
        Ok(()) => watch(&runner, start, &gone).await,
    };
    blocking(move || match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(code = codes::LEFTOVERS, "failed to remove `{}`: {error}", folder.display());
        }
        _ => {}
    })
    .await;
    sent
}

/// Runs it to its end.
async fn watch(runner: &Arc<dyn Runner>, start: Start, gone: &CancellationToken) -> Sent {
    let (sender, mut reports) = mpsc::channel(16);
    let (run, log) = (start.run, start.log.clone());
    runner.start(start, sender);
    if gone.is_cancelled() {
        // It was told to end before it began.
        runner.stop(run, StopCause::Canceled);
    }
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
    match exit {
        Some(runner::Exit { how: How::Code(0), .. }) => Sent::Taken,
        Some(exit) => Sent::later(format!("{}{}", ended(&exit.how), blocking(move || end_of(&log)).await)),
        None => Sent::later("the runner is gone"),
    }
}

/// Disks may be slow: nobody else waits for them.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    tokio::task::spawn_blocking(work).await.expect("BUG: the files of a notice's program panicked")
}

fn ended(how: &How) -> String {
    match how {
        How::Code(code) => format!("it ended with exit status {code}"),
        How::Signal(signal) => format!("it was ended by signal {signal}"),
        How::Stopped(StopCause::Timeout) => "it did not end in time".into(),
        How::Stopped(_) | How::Lost => "it was ended".into(),
        How::LimitPassed(passed) => format!("it was killed: {passed}"),
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

    #[tokio::test]
    async fn what_cannot_be_prepared_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path());
        let place = Places::new(&state, &"shop".into()).notice(EventId(7), 1);
        // Where the event should be written is a folder.
        fs::create_dir_all(event_file(&place)).unwrap();
        let start = Start {
            run: RunId(1),
            argv: vec!["true".into()],
            env: Vec::new(),
            dir: folder.path().into(),
            log: place.join("log"),
            events: place.join("said"),
            timeout: None,
            grace: GRACE,
            output_limit: MOST_OUTPUT,
            leave_running: false,
            append: false,
            mask: Vec::new(),
            fence: Default::default(),
            limits: Default::default(),
        };
        let runner: Arc<dyn Runner> = Arc::new(runner::LocalRunner::new());
        let gone = CancellationToken::new();
        let sent = carry_out(runner.clone(), start.clone(), place.clone(), "{}".into(), gone.clone()).await;
        let Sent::Later { why, .. } = sent else { panic!("{sent:?}") };
        assert!(why.starts_with("failed to write `"), "{why}");
        assert!(!place.exists());
        // And so does one for which nobody waits any more.
        gone.cancel();
        let ran = folder.path().join("ran");
        let start = Start { argv: vec!["touch".into(), ran.clone().into()], ..start };
        carry_out(runner, start, place.clone(), "{}".into(), gone).await;
        assert!(!place.exists() && !ran.exists());
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
