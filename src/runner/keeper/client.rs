//! The runner of a controller whose steps are kept by another process. It goes on with what an earlier controller began,
//! and comes again when the connection is lost, or the other process.

use super::frame::{self, Ask, Kept, Tell};
use super::launch::{self, Launch, Reached, Unreached, folder};
use super::pump::{self, Item, Pending};
use crate::domain::RunId;
use crate::runner::{Bytes, Exit, How, Report, Runner, Start, StopCause, spawn};
use rustix::net::Shutdown;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

/// Between two tries to reach a keeper.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(2)];

/// Runs steps as children of the keeper of a state folder.
#[derive(Clone)]
pub struct KeptRunner(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    launch: Launch,
    id: String,
    runtime: Handle,
    table: Mutex<Table>,
}

struct Table {
    /// None while there is no way to it.
    stream: Option<UnixStream>,
    /// Why nothing can be started, while nothing can.
    broken: Option<Unreached>,
    /// Runs whose end has not come.
    links: HashMap<RunId, Link>,
    /// Those of an earlier controller that nobody asked for yet.
    unclaimed: HashMap<RunId, Kept>,
    /// Those whose end has come, and is not kept elsewhere yet.
    ended: HashSet<RunId>,
    /// The controller ends.
    is_over: bool,
}

/// A run whose end has not come.
struct Link {
    pending: Arc<Pending>,
    /// Until something is heard of it, so that it can be asked for again. None: it was begun by an earlier controller.
    start: Option<Start>,
    /// The order has left this process: it may have been carried out.
    is_sent: bool,
    /// Who wanted its end.
    stop: Option<StopCause>,
    /// Lines and warnings that came.
    said: u32,
    /// Bytes of the log that came; none: it is not known yet what an earlier controller had.
    logged: Option<u64>,
}

impl KeptRunner {
    /// Reaches the keeper of a state folder, or starts it. Blocks. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// There is none, and none can be started.
    pub fn reach(state: &Path) -> Result<KeptRunner, Unreached> {
        // A program that was replaced by a newer one can still be started by this name.
        Self::reach_by(state, Path::new("/proc/self/exe"))
    }

    /// The same, where this process is not tidegate itself.
    ///
    /// # Errors
    /// As above.
    pub fn reach_by(state: &Path, tidegate: &Path) -> Result<KeptRunner, Unreached> {
        let arguments = ["runner", "--state"].map(OsString::from);
        let arguments = arguments.into_iter().chain([state.as_os_str().to_owned()]).collect();
        Self::launched(&folder(state), Launch { program: tidegate.to_owned(), arguments })
    }

    pub(super) fn launched(folder: &Path, launch: Launch) -> Result<KeptRunner, Unreached> {
        let unusable = |error: io::Error| Unreached::of("use its folder", error);
        launch::prepare(folder).map_err(unusable)?;
        let id = launch::id(folder).map_err(unusable)?;
        let mut reached = launch::find(folder);
        // Without any records nothing was left, and nobody need wait for the start of a process.
        if reached.is_none() && launch::has_records(folder).map_err(unusable)? {
            reached = Some(launch::reach(folder, &launch)?);
        }
        let kept = reached.iter().flat_map(|reached| &reached.kept);
        let table = Table {
            stream: None,
            broken: None,
            links: HashMap::new(),
            unclaimed: kept.map(|kept| (kept.run, kept.clone())).collect(),
            ended: HashSet::new(),
            is_over: false,
        };
        let inner = Inner {
            folder: folder.to_owned(),
            launch,
            id,
            runtime: Handle::current(),
            table: Mutex::new(table),
        };
        let runner = KeptRunner(Arc::new(inner));
        let listener = runner.clone();
        let greeted = reached.map(|reached| runner.greet(reached)).transpose();
        let stream = greeted.map_err(|error| Unreached::of("listen to it", error))?;
        std::thread::Builder::new()
            .name("runner".into())
            .spawn(move || listener.listen(stream))
            .map_err(|error| Unreached::of("listen to it", error))?;
        Ok(runner)
    }

    /// What tells the place where runs are noted from every other.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Lets go of all runs that an earlier controller began, except for these. They are ended.
    pub fn forget_others(&self, wanted: &HashSet<RunId>) {
        let mut table = self.table();
        let unwanted: Vec<RunId> =
            table.unclaimed.keys().filter(|run| !wanted.contains(run)).copied().collect();
        for run in unwanted {
            table.unclaimed.remove(&run);
            table.ask(&Ask::Forget { run });
        }
    }

    /// Leaves everything to the keeper. What runs goes on; if nothing does, the keeper ends, and that is waited for. Blocks
    /// for a moment.
    pub fn leave(&self) {
        let idle = {
            let mut table = self.table();
            table.is_over = true;
            table.ask(&Ask::Retire);
            if let Some(stream) = table.stream.take() {
                // The other side hangs up then, which the thread that listens hears.
                let _ = rustix::net::shutdown(&stream, Shutdown::Write);
            }
            table.links.is_empty() && table.unclaimed.is_empty()
        };
        if idle {
            launch::wait_until_gone(&self.0.folder);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a connection: what was under way goes on by it. Gives what is to be listened to.
    fn greet(&self, reached: Reached) -> io::Result<UnixStream> {
        let listened = reached.stream.try_clone()?;
        let known: HashSet<RunId> = reached.kept.iter().map(|kept| kept.run).collect();
        let mut table = self.table();
        table.stream = Some(reached.stream);
        table.broken = None;
        let mut asks = Vec::new();
        let mut lost = Vec::new();
        for (run, link) in &table.links {
            match &link.start {
                _ if known.contains(run) => {
                    asks.push(Ask::TakeUp { run: *run, said: link.said, logged: link.logged });
                }
                // It was not noted, so nothing was begun.
                Some(start) => asks.push(Ask::Start(Box::new(start.clone()))),
                None => lost.push(*run),
            }
            asks.extend(link.stop.map(|cause| Ask::Stop { run: *run, cause }));
        }
        for run in known {
            let Table { links, unclaimed, ended, .. } = &*table;
            if !links.contains_key(&run) && !unclaimed.contains_key(&run) && !ended.contains(&run) {
                asks.push(Ask::Forget { run });
            }
        }
        asks.iter().for_each(|ask| table.ask(ask));
        lost.into_iter().for_each(|run| table.end(run, How::Lost));
        Ok(listened)
    }

    /// Hears what is told, and comes again when the connection is lost, until the controller ends. Comes for the first time
    /// where there is no connection yet.
    fn listen(&self, mut stream: Option<UnixStream>) {
        loop {
            if let Some(stream) = &mut stream {
                while let Ok(Some((tell, bytes))) = frame::read(stream) {
                    self.table().hear(tell, bytes);
                }
            }
            let was_there = stream.is_some();
            stream = self.come();
            match (&stream, was_there) {
                (None, _) => return,
                (Some(_), true) => tracing::warn!("the process that runs steps was gone, and is there again"),
                (Some(_), false) => {}
            }
        }
    }

    /// A connection; none: the controller ends.
    fn come(&self) -> Option<UnixStream> {
        let mut pauses = PAUSES.into_iter().chain(std::iter::repeat(PAUSES[PAUSES.len() - 1]));
        loop {
            {
                let mut table = self.table();
                table.stream = None;
                if table.is_over {
                    return None;
                }
            }
            let reached = launch::reach(&self.0.folder, &self.0.launch);
            if self.table().is_over {
                return None;
            }
            let greeted = reached.and_then(|reached| {
                self.greet(reached).map_err(|error| Unreached::of("listen to it", error))
            });
            match greeted {
                Ok(stream) => return Some(stream),
                Err(unreached) => {
                    tracing::error!(code = Unreached::CODE, "failed to {unreached}");
                    self.table().break_with(unreached);
                }
            }
            std::thread::sleep(pauses.next().expect("BUG: it has no end"));
        }
    }
}

impl Table {
    /// One that does not take it is come to again.
    fn ask(&mut self, ask: &Ask) {
        let Some(stream) = &mut self.stream else { return };
        if let Ask::Start(start) = ask
            && let Some(link) = self.links.get_mut(&start.run)
        {
            link.is_sent = true;
        }
        if frame::write(stream, ask, b"").is_err() {
            let _ = rustix::net::shutdown(&*stream, Shutdown::Both);
            self.stream = None;
        }
    }

    fn hear(&mut self, tell: Tell, bytes: Bytes) {
        let run = match &tell {
            Tell::Welcome { .. } => return,
            Tell::Output { run, .. }
            | Tell::Line { run, .. }
            | Tell::Warning { run, .. }
            | Tell::Exited { run, .. } => *run,
        };
        let Some(link) = self.links.get_mut(&run) else { return };
        link.start = None;
        match tell {
            Tell::Output { offset, length, .. } => {
                let end = offset + length;
                if link.logged.is_some_and(|logged| end <= logged) {
                    return;
                }
                link.logged = Some(end);
                let is_whole = bytes.len() as u64 == length;
                link.pending.put(if is_whole {
                    Item::Bytes(offset, bytes)
                } else {
                    Item::Range(offset, length)
                });
            }
            Tell::Line { number, line, .. } if number >= link.said => {
                link.said = number + 1;
                link.pending.put(Item::Line(number, line));
            }
            Tell::Warning { number, message, .. } if number >= link.said => {
                link.said = number + 1;
                link.pending.put(Item::Warning(number, message));
            }
            Tell::Exited { exit, .. } => {
                link.pending.put(Item::Exited(exit));
                self.links.remove(&run);
                self.ended.insert(run);
            }
            Tell::Welcome { .. } | Tell::Line { .. } | Tell::Warning { .. } => {}
        }
    }

    /// Nothing can be started, nor what waited for that.
    fn break_with(&mut self, unreached: Unreached) {
        let waiting: Vec<RunId> =
            self.links.iter().filter(|(_, link)| !link.is_sent).map(|(run, _)| *run).collect();
        for run in waiting {
            self.end(run, spawn::not_started(0, unreached.to_string(), false));
        }
        self.broken = Some(unreached);
    }

    fn end(&mut self, run: RunId, how: How) {
        if let Some(link) = self.links.remove(&run) {
            link.pending.put(Item::Exited(Exit::without_process(how)));
        }
    }
}

impl Runner for KeptRunner {
    fn start(&self, start: Start, reports: Sender<Report>) {
        let (run, log) = (start.run, start.log.clone());
        let pending = Arc::new(Pending::default());
        let mut table = self.table();
        let refused = match &table.broken {
            Some(unreached) => Some(unreached.to_string()),
            None if table.links.contains_key(&run) => Some(format!("start run {run}: it is running already")),
            None => None,
        };
        if let Some(message) = refused {
            pending.put(Item::Exited(Exit::without_process(spawn::not_started(0, message, false))));
        } else {
            let logged =
                Some(if start.append { std::fs::metadata(&log).map_or(0, |log| log.len()) } else { 0 });
            let ask = Ask::Start(Box::new(start.clone()));
            let link = Link {
                pending: pending.clone(),
                start: Some(start),
                is_sent: false,
                stop: None,
                said: 0,
                logged,
            };
            table.links.insert(run, link);
            table.ask(&ask);
        }
        drop(table);
        self.0.runtime.spawn(pump::pass_on(run, log, pending, reports));
    }

    fn stop(&self, run: RunId, cause: StopCause) {
        let mut table = self.table();
        if let Some(link) = table.links.get_mut(&run) {
            link.stop.get_or_insert(cause);
            table.ask(&Ask::Stop { run, cause });
        }
    }

    fn take_up(&self, run: RunId, reports: Sender<Report>) -> Option<Vec<Vec<u8>>> {
        let mut table = self.table();
        let kept = table.unclaimed.remove(&run)?;
        let pending = Arc::new(Pending::default());
        let link =
            Link { pending: pending.clone(), start: None, is_sent: true, stop: None, said: 0, logged: None };
        table.links.insert(run, link);
        table.ask(&Ask::TakeUp { run, said: 0, logged: None });
        drop(table);
        self.0.runtime.spawn(pump::pass_on(run, kept.log, pending, reports));
        Some(kept.mask)
    }

    fn forget(&self, run: RunId) {
        let mut table = self.table();
        if table.ended.remove(&run) {
            table.ask(&Ask::Forget { run });
        }
    }
}
