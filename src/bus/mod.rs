//! The live broadcast: what enters the journal, and the chunks of logs that do not, to whoever listens now.
//!
//! It stores nothing: a ring of [`CAPACITY`] envelopes, and whoever is slower than that is told how many it missed.
//! A publisher never waits for a subscriber. What a subscriber sees in which order, and how the past from the journal
//! and the present from here become one sequence, is in [`Subscription`].

mod subscription;

#[cfg(test)]
mod tests;

pub use subscription::{Item, Subscription, gap_after};

use crate::domain::EventId;
use crate::journal::{Filter, Journal, Record, Watermark};
use axum::extract::ws::Utf8Bytes;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Envelopes that a subscriber may be behind before it misses one.
pub const CAPACITY: usize = 256;

/// One envelope, encoded once for all who get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its number in the journal; none for chunks of logs.
    pub id: Option<EventId>,
    /// Its kind, such as `gate_done`.
    pub kind: Arc<str>,
    /// The pipeline that it belongs to.
    pub pipeline: Option<Arc<str>>,
    /// The tier that it is about.
    pub tier: Option<Arc<str>>,
    /// The run that it is about.
    pub run: Option<u64>,
    /// A chunk of a log, which `logs=false` leaves out.
    pub is_log: bool,
    /// The JSON text. A WebSocket sends it as it is: clones share the bytes.
    pub text: Utf8Bytes,
}

impl From<&Record> for Frame {
    fn from(record: &Record) -> Self {
        Self {
            id: Some(record.id),
            kind: record.kind.clone(),
            pipeline: record.pipeline.clone(),
            tier: record.tier.clone(),
            run: record.run,
            is_log: false,
            text: Utf8Bytes::from(&*record.body),
        }
    }
}

/// Where a subscription begins, and what of it is wanted.
#[derive(Debug, Clone)]
pub struct Start {
    /// Replay what came after this id, then go live without gap or duplicate. `None`: live only.
    pub since: Option<EventId>,
    /// Which envelopes.
    pub filter: Filter,
    /// Chunks of logs too.
    pub logs: bool,
}

impl Start {
    /// Everything from now on.
    pub fn live() -> Self {
        Self { since: None, filter: Filter::default(), logs: true }
    }

    /// Everything after an id; 0 is everything there is.
    pub fn since(id: EventId) -> Self {
        Self { since: Some(id), ..Self::live() }
    }
}

/// The subscriber asks for what comes after an id that no event has yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Future {
    /// What it asked for.
    pub since: EventId,
    /// The last id there is.
    pub last: EventId,
}

impl Future {
    /// The stable code.
    pub const CODE: &str = "TG-EVENTS-001";
}

impl fmt::Display for Future {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "go on after event {}: it is from the future, the last one is {}", self.since, self.last)
    }
}

impl std::error::Error for Future {}

/// An envelope on its way, with its place in the journal.
#[derive(Debug, Clone)]
struct Entry {
    frame: Arc<Frame>,
    /// The last event published before it, or itself.
    place: EventId,
}

/// The broadcast. Clones are the same one.
#[derive(Clone)]
pub struct Bus {
    journal: Arc<dyn Journal>,
    live: Arc<Mutex<Live>>,
}

struct Live {
    /// `None` once closed.
    sender: Option<broadcast::Sender<Entry>>,
    /// The last event published, or known to be durable when the bus was made.
    last: EventId,
}

impl Bus {
    /// A bus for the events of a journal. Made before the first event is published.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        let last = match &*journal.durable().borrow() {
            Watermark::Durable(id) => *id,
            Watermark::Failed(_) => journal.last_id(),
        };
        let sender = broadcast::Sender::new(CAPACITY);
        Self { journal, live: Arc::new(Mutex::new(Live { sender: Some(sender), last })) }
    }

    /// Sends an envelope to all who listen. Events must be durable, and come in the order of their ids. Never waits.
    pub fn publish(&self, frame: Arc<Frame>) {
        let mut live = self.lock();
        if let Some(id) = frame.id {
            assert!(id > live.last, "BUG: event {id} is published after {}", live.last);
            live.last = id;
        }
        let entry = Entry { frame, place: live.last };
        if let Some(sender) = &live.sender {
            // Nobody listening is fine.
            let _ = sender.send(entry);
        }
    }

    /// How many listen now.
    pub fn subscribers(&self) -> usize {
        self.lock().sender.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// Envelopes that the slowest of those who listen has not taken yet; at [`CAPACITY`] the next one makes it miss one.
    pub fn backlog(&self) -> usize {
        self.lock().sender.as_ref().map_or(0, broadcast::Sender::len)
    }

    /// Begins to listen. On a closed bus the past still comes, and then the end.
    pub fn subscribe(&self, start: Start) -> Result<Subscription, Future> {
        let (receiver, published) = {
            let live = self.lock();
            let receiver = match &live.sender {
                Some(sender) => sender.subscribe(),
                None => broadcast::channel(1).1,
            };
            (receiver, live.last)
        };
        if let Some(since) = start.since {
            let last = self.journal.last_id().max(published);
            if since > last {
                return Err(Future { since, last });
            }
        }
        Ok(Subscription::new(self.journal.clone(), receiver, start, published))
    }

    /// Sends no more. Subscribers get what was sent, and then [`Item::Ended`].
    pub fn close(&self) {
        self.lock().sender = None;
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("subscribers", &self.subscribers()).finish_non_exhaustive()
    }
}
