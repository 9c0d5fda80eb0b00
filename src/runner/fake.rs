//! A runner without processes, for the tests of others: a script says what each run reports.

use super::{Bytes, Exit, How, Report, Runner, Start, StopCause};
use crate::domain::RunId;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

/// What one run does: what it writes and says, and how it ends.
#[derive(Clone, Debug)]
pub struct Script {
    acts: Vec<Act>,
    /// None: it goes on until it is stopped.
    how: Option<How>,
}

#[derive(Clone, Debug)]
enum Act {
    Output(Bytes),
    Line(Vec<u8>),
    Warning(String),
}

impl Script {
    /// Ends with this exit status.
    pub fn exits(code: i32) -> Self {
        Self::ends(How::Code(code))
    }

    /// Ends in this way.
    pub fn ends(how: How) -> Self {
        Self { acts: Vec::new(), how: Some(how) }
    }

    /// Goes on until it is stopped.
    pub fn hangs() -> Self {
        Self { acts: Vec::new(), how: None }
    }

    /// Writes this first.
    #[must_use]
    pub fn output(mut self, bytes: impl Into<Bytes>) -> Self {
        self.acts.push(Act::Output(bytes.into()));
        self
    }

    /// Appends this line to the events file.
    #[must_use]
    pub fn line(mut self, line: impl Into<Vec<u8>>) -> Self {
        self.acts.push(Act::Line(line.into()));
        self
    }

    /// Is warned about.
    #[must_use]
    pub fn warning(mut self, message: impl Into<String>) -> Self {
        self.acts.push(Act::Warning(message.into()));
        self
    }
}

type Playwright = dyn Fn(&Start) -> Script + Send + Sync;

/// A runner that plays scripts. It writes no file. Inside a runtime each run is a task of it, in no real time; outside,
/// a thread.
#[derive(Clone)]
pub struct FakeRunner {
    play: Arc<Playwright>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    starts: Vec<Start>,
    stops: Vec<(RunId, StopCause)>,
    running: HashMap<RunId, oneshot::Sender<StopCause>>,
}

impl FakeRunner {
    /// A runner whose runs do what `play` says for their start.
    pub fn new(play: impl Fn(&Start) -> Script + Send + Sync + 'static) -> Self {
        Self { play: Arc::new(play), state: Arc::default() }
    }

    /// All starts so far, in their order.
    pub fn starts(&self) -> Vec<Start> {
        self.state().starts.clone()
    }

    /// All stops that were asked for so far, in their order, of runs unknown or over too.
    pub fn stops(&self) -> Vec<(RunId, StopCause)> {
        self.state().stops.clone()
    }

    /// The runs that have not ended, in the order of their numbers.
    pub fn running(&self) -> Vec<RunId> {
        let mut running: Vec<RunId> = self.state().running.keys().copied().collect();
        running.sort_unstable();
        running
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn act(
        self,
        run: RunId,
        script: Script,
        stopped: oneshot::Receiver<StopCause>,
        reports: Sender<Report>,
    ) {
        let (mut written, mut hash) = (0, Sha256::new());
        let pid = u32::try_from(run.0).unwrap_or(u32::MAX);
        let mut all = vec![Report::Started { run, pid }];
        if matches!(script.how, Some(How::NotStarted { .. })) {
            all.clear();
        }
        for act in script.acts {
            all.push(match act {
                Act::Output(bytes) => {
                    let offset = written;
                    written += bytes.len() as u64;
                    hash.update(&bytes);
                    Report::Output { run, offset, bytes }
                }
                Act::Line(line) => Report::StepLine { run, line, number: 0 },
                Act::Warning(message) => Report::Warning { run, message, number: 0 },
            });
        }
        for report in all {
            // Nobody listens any more: as with real processes, that does not end the run.
            let _ = reports.send(report).await;
        }
        let how = match script.how {
            Some(how) => how,
            None => stopped.await.map_or(How::Stopped(StopCause::Interrupted), How::Stopped),
        };
        self.state().running.remove(&run);
        let log_sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let exit = Exit {
            how,
            log_bytes: written,
            log_sha256,
            log_truncated: false,
            elapsed: Duration::ZERO,
            strays: Vec::new(),
        };
        let _ = reports.send(Report::Exited { run, exit }).await;
    }
}

impl Runner for FakeRunner {
    fn start(&self, start: Start, reports: Sender<Report>) {
        let (run, script) = (start.run, (self.play)(&start));
        let (stop, stopped) = oneshot::channel();
        {
            let mut state = self.state();
            state.starts.push(start);
            state.running.insert(run, stop);
        }
        let acting = self.clone().act(run, script, stopped, reports);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(acting)),
            Err(_) => {
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    runtime.expect("BUG: a runtime without drivers needs nothing").block_on(acting);
                });
            }
        }
    }

    fn stop(&self, run: RunId, cause: StopCause) {
        let mut state = self.state();
        state.stops.push((run, cause));
        if let Some(stop) = state.running.remove(&run) {
            // It may just have ended by itself.
            let _ = stop.send(cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::channel;

    fn order(run: u64) -> Start {
        Start {
            run: RunId(run),
            argv: vec!["x".into()],
            env: Vec::new(),
            dir: "/".into(),
            log: "/nowhere".into(),
            events: "/nowhere".into(),
            timeout: None,
            grace: Duration::ZERO,
            output_limit: 0,
            leave_running: false,
            append: false,
            mask: Vec::new(),
            fence: Default::default(),
            limits: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_script_is_played_and_a_hanging_one_is_stopped() {
        let runner = FakeRunner::new(|start| match start.run.0 {
            1 => Script::exits(3).output("a").output("bc").line("{}"),
            _ => Script::hangs(),
        });
        let (sender, mut reports) = channel(1);
        runner.start(order(1), sender.clone());
        assert!(matches!(reports.recv().await, Some(Report::Started { .. })));
        assert!(matches!(reports.recv().await, Some(Report::Output { offset: 0, .. })));
        assert!(matches!(reports.recv().await, Some(Report::Output { offset: 1, .. })));
        assert!(matches!(reports.recv().await, Some(Report::StepLine { .. })));
        let Some(Report::Exited { exit, .. }) = reports.recv().await else { panic!() };
        assert_eq!((exit.how, exit.log_bytes), (How::Code(3), 3));
        runner.start(order(2), sender);
        assert!(matches!(reports.recv().await, Some(Report::Started { .. })));
        assert_eq!(runner.running(), [RunId(2)]);
        runner.stop(RunId(2), StopCause::Canceled);
        let Some(Report::Exited { exit, .. }) = reports.recv().await else { panic!() };
        assert_eq!(exit.how, How::Stopped(StopCause::Canceled));
        assert_eq!((runner.starts().len(), runner.stops().len()), (2, 1));
        assert!(runner.running().is_empty());
    }
}
