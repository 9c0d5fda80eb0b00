//! The loop at the centre: commands in, facts decided, journaled, folded, said, and what should be in flight begun or
//! stopped. One task owns the truth; everything else asks it.
//!
//! - [`Engine`] is the handle that others hold: ask, read, listen.
//! - `task` is the loop, the only writer of the journal.
//! - `publish` sends what is durable, in order, to the bus and to those who asked.
//! - `checkpoint` lets old events go: the state that they come to takes their place.
//! - `replay` folds the journal at the start; from there restart is the same path as running.
//!
//! What is committed may start build steps and gates; everything that leaves the house (answers, broadcasts, deploys)
//! waits until it is durable.

mod checkpoint;
mod dirty;
mod publish;
mod replay;
mod task;

pub use checkpoint::state_at;
pub use replay::{ReplayError, record, replay};

use crate::bus::Bus;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::domain::{Answer, Command, EventId, Rejection, State};
use crate::interpreter::{Interpreter, Report};
use crate::journal::{self, Journal};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How many commands may wait for the engine before those who ask have to wait for room.
const INBOX: usize = 1024;

/// What the engine works with.
pub struct Parts {
    /// Where events are kept.
    pub journal: Arc<dyn Journal>,
    /// Where they are broadcast.
    pub bus: Bus,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whether there is room on the disk.
    pub disk: Arc<dyn Disk>,
    /// Who does the work.
    pub interpreter: Arc<dyn Interpreter>,
    /// Where the interpreter reports.
    pub reports: mpsc::Receiver<Report>,
}

/// How the engine behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Build steps and gates at once.
    pub jobs: u32,
    /// This release, as it stands in `controller_started`.
    pub release: String,
    /// What tells the place where runs are noted that outlive the controller from every other; none: all end with it.
    pub runner: Option<String>,
}

/// A handle on the engine. Clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inbox: mpsc::Sender<Message>,
    state: Arc<RwLock<State>>,
    journal: Arc<dyn Journal>,
    bus: Bus,
    ready: watch::Receiver<bool>,
    disk: Arc<dyn Disk>,
    refusing: watch::Receiver<Option<journal::Error>>,
    builds: watch::Receiver<u64>,
    backups: watch::Receiver<u64>,
    short: watch::Receiver<bool>,
    due: watch::Receiver<u64>,
}

/// Why nothing new begins for now. It passes by itself once its cause does.
#[derive(Clone, Debug, PartialEq)]
pub enum Standstill {
    /// Less than `[retention] min_free` is free on the disk of the state folder.
    DiskFull,
    /// The journal takes nothing.
    Journal(journal::Error),
}

impl Standstill {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Standstill::DiskFull => "TG-DISK-001",
            Standstill::Journal(error) => error.code(),
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Standstill::DiskFull => {
                "make room on the disk of the state folder, or lower `[retention] min_free`; work goes on by itself \
                 after that"
                    .into()
            }
            Standstill::Journal(error) => error.help().unwrap_or_default().into(),
        }
    }

    /// Whether it is want of room on the disk.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Standstill::DiskFull | Standstill::Journal(journal::Error::Full))
    }
}

impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standstill::DiskFull => f.write_str("the disk of the state folder is nearly full"),
            Standstill::Journal(error) => write!(f, "failed to {error}"),
        }
    }
}

/// What a command came to, once it is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The answer.
    pub answer: Answer,
    /// The numbers of the events that it led to at once, in order.
    pub ids: Vec<EventId>,
}

/// Why a command came to nothing.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It was refused.
    Rejected(Rejection),
    /// It could not be kept; it is as if it had never been asked.
    NotKept(journal::Error),
    /// The engine has ended.
    Ended,
}

impl Refusal {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Rejected(rejection) => rejection.code(),
            Refusal::NotKept(error) => error.code(),
            Refusal::Ended => "TG-ENGINE-001",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Refusal::Rejected(rejection) => rejection.help(),
            Refusal::NotKept(error) => error.help().unwrap_or_default().into(),
            Refusal::Ended => "ask again when the controller is back".into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Rejected(rejection) => rejection.fmt(f),
            Refusal::NotKept(error) => write!(f, "failed to {error}"),
            Refusal::Ended => f.write_str("the controller is stopping"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What reaches the engine's task.
enum Message {
    /// A command of somebody who waits for the answer.
    Ask(Command, oneshot::Sender<Result<Receipt, Refusal>>),
    /// Nothing new begins any more; what runs has so long to end.
    Drain {
        /// So long.
        time: Duration,
        /// What outlives the controller is left running.
        leaves: bool,
    },
    /// Somebody wants to know whether the loop goes round.
    Ping(oneshot::Sender<()>),
}

/// Begins the engine on a state that was folded from the journal. The future is its task: it ends after a drain, or
/// with the error that makes going on impossible (then the process must end, and begin again from disk).
pub fn start(
    state: State,
    parts: Parts,
    options: Options,
) -> (Engine, impl Future<Output = Result<(), journal::Error>>) {
    let (inbox, messages) = mpsc::channel(INBOX);
    let state = Arc::new(RwLock::new(state));
    let (say_ready, ready) = watch::channel(false);
    let (say_refusing, refusing) = watch::channel(None);
    let (say_builds, builds) = watch::channel(0);
    let (say_backups, backups) = watch::channel(0);
    let (say_short, short) = watch::channel(false);
    let (say_due, due) = watch::channel(0);
    let engine = Engine {
        inbox,
        state: state.clone(),
        journal: parts.journal.clone(),
        bus: parts.bus.clone(),
        ready,
        disk: parts.disk.clone(),
        refusing,
        builds,
        backups,
        short,
        due,
    };
    let signs = task::Signs {
        ready: say_ready,
        refusing: say_refusing,
        builds: say_builds,
        backups: say_backups,
        short: say_short,
        due: say_due,
    };
    (engine, task::run(state, parts, options, messages, signs))
}

impl Engine {
    /// Asks for something. Answers when what follows from it is durable.
    pub async fn ask(&self, command: Command) -> Result<Receipt, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Message::Ask(command, reply)).await.map_err(|_| Refusal::Ended)?;
        answer.await.unwrap_or(Err(Refusal::Ended))
    }

    /// Looks at the state. The look is short: the engine waits meanwhile. What is shown to others must be
    /// [`settled`](Engine::settled) first.
    pub fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when everything that can be read up to now is durable.
    pub async fn settled(&self) -> Result<(), Refusal> {
        let last = self.read(|state| state.last);
        self.journal.sync(last).await.map_err(Refusal::NotKept)
    }

    /// Resolves when the loop has come round to answer: it hangs nowhere.
    ///
    /// # Errors
    /// It has ended.
    pub async fn ping(&self) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Message::Ping(reply)).await.map_err(|_| Refusal::Ended)?;
        answer.await.map_err(|_| Refusal::Ended)
    }

    /// The past.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The present.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Whether the start is behind it and commands are taken.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Why nothing new begins for now; none: whatever may begin does.
    pub fn standstill(&self) -> Option<Standstill> {
        let refusing = self.refusing.borrow().clone().map(Standstill::Journal);
        refusing.or_else(|| self.disk.is_full().then_some(Standstill::DiskFull))
    }

    /// Whether something waits for room on the disk, for those who can make some.
    pub fn short_of_disk(&self) -> watch::Receiver<bool> {
        self.short.clone()
    }

    /// Counts backups that are kept, for those who remove what a new one took the place of.
    pub fn backups(&self) -> watch::Receiver<u64> {
        self.backups.clone()
    }

    /// Counts builds that ended, for those who tidy up after them.
    pub fn builds(&self) -> watch::Receiver<u64> {
        self.builds.clone()
    }

    /// Counts times of schedules that came, for those who build for them.
    pub fn due(&self) -> watch::Receiver<u64> {
        self.due.clone()
    }

    /// Resolves when the engine is ready, or has ended.
    pub async fn until_ready(&self) {
        // An error means that the engine has ended: there is nothing to wait for.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// Begins nothing new from now on, and ends when what runs has ended or the time is over.
    pub async fn drain(&self, time: Duration) {
        self.end(time, false).await;
    }

    /// The same, and what outlives the controller is left running.
    pub async fn leave(&self, time: Duration) {
        self.end(time, true).await;
    }

    async fn end(&self, time: Duration, leaves: bool) {
        // An error means that the engine has ended already.
        let _ = self.inbox.send(Message::Drain { time, leaves }).await;
    }
}
