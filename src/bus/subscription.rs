//! What one subscriber sees: the past from the journal, then the present from the bus, as one sequence.
//!
//! A subscriber that came with `since` sees every durable event after it that its filter lets pass, once, in order.
//! This follows from one rule: it keeps the id that it has *passed*, and every envelope on the bus carries its *place*,
//! the last event published up to it. What is placed before the id passed is old and dropped. What is placed right
//! there is next. What is placed beyond it shows a hole, and the hole is filled from the journal first. So a chunk of a
//! log, too, is shown at its place among the events or not at all.
//!
//! Known races, and what becomes of them:
//! - *Events are published while the past is read.* The journal is read to the durable end; then the subscriber joins
//!   the bus anew, and looks at the end again: what came in between is read from the journal, what comes later is on
//!   the bus. Nothing that it could miss on the bus before that counts as a lag.
//! - *Durable, but not yet published.* Such an event can come from the journal first; when it comes from the bus it is
//!   old. Chunks placed before it are dropped.
//! - *Behind by more than the bus holds.* [`Item::Lagged`] counts every envelope that was lost; the events among them
//!   then come from the journal, before the oldest envelope still on the bus.
//! - *Retention removes what was to be read.* [`Item::Gap`], and on from the oldest event left.
//! - *The id was given out by a journal that was lost*, and this one was restored from a backup before it: [`Item::Gap`] as
//!   well, and on from where the new epoch of ids begins. To whoever passed no more than the backup has, nothing is missing.
//!
//! A subscriber without `since` gets what the bus holds, and no more.

use super::{Entry, Frame, Start};
use crate::domain::EventId;
use crate::journal::{self, Filter, Journal, Page, Record, Watermark};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::sync::watch;

/// Most records read at once.
const PAGE: usize = 500;

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An envelope.
    Event(Arc<Frame>),
    /// The subscriber fell behind, and so many envelopes are lost, filters not considered. Passes every filter.
    Lagged {
        /// How many.
        missed: u64,
        /// The last id sent before, or where the subscription began.
        after: EventId,
    },
    /// Events are missing: retention has removed them, or they were lost before a backup was restored. Passes every filter.
    Gap {
        /// The oldest event left.
        oldest: EventId,
    },
    /// The past cannot be read. The end comes next.
    Failed(journal::Error),
    /// There will be nothing more.
    Ended,
}

/// One subscriber's sequence.
pub struct Subscription {
    journal: Arc<dyn Journal>,
    durable: watch::Receiver<Watermark>,
    live: broadcast::Receiver<Entry>,
    filter: Filter,
    logs: bool,
    phase: Phase,
    /// The last id that was sent, or looked at and not wanted.
    passed: EventId,
    /// The last id that was sent.
    sent: EventId,
    /// Read from the journal, wanted, and next to be sent.
    ready: VecDeque<Record>,
    /// The oldest event left, to be said before what is ready.
    gap: Option<EventId>,
    /// From the bus, waiting until the hole in front of it is filled.
    held: Option<Entry>,
    /// Under way. Kept, so that dropping [`Subscription::next`] loses no work.
    reading: Option<BoxFuture<'static, Result<Piece, journal::Error>>>,
}

/// What was read of the journal.
struct Piece {
    page: Page,
    /// Events that are missing in front of it.
    gap: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Reading the journal to its durable end.
    Replay,
    /// On the bus; holes are filled from the journal.
    Joined,
    /// On the bus, as it comes.
    Live,
    /// At the end.
    Ended,
}

impl Subscription {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        live: broadcast::Receiver<Entry>,
        start: Start,
        published: EventId,
    ) -> Self {
        let begin = start.since.unwrap_or(published);
        Self {
            durable: journal.durable(),
            journal,
            live,
            filter: start.filter,
            logs: start.logs,
            phase: if start.since.is_some() { Phase::Replay } else { Phase::Live },
            passed: begin,
            sent: begin,
            ready: VecDeque::new(),
            gap: None,
            held: None,
            reading: None,
        }
    }

    /// The next item; waits for it. Dropping the future loses nothing. After [`Item::Ended`] always that again.
    pub async fn next(&mut self) -> Item {
        loop {
            if let Some(oldest) = self.gap.take() {
                return Item::Gap { oldest };
            }
            if let Some(record) = self.ready.pop_front() {
                self.sent = record.id;
                return Item::Event(Arc::new(Frame::from(&record)));
            }
            let step = match self.phase {
                Phase::Replay => self.replay().await,
                Phase::Joined | Phase::Live => self.follow().await,
                Phase::Ended => Some(Item::Ended),
            };
            if let Some(item) = step {
                return item;
            }
        }
    }

    /// The next item if it is there already, so that many can be sent at once.
    pub fn next_now(&mut self) -> Option<Item> {
        while self.is_on_the_bus() {
            let next = match self.live.try_recv() {
                Ok(entry) => self.place(entry),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Lagged(missed)) => Some(self.lagged(missed)),
                Err(TryRecvError::Closed) => Some(self.end()),
            };
            if next.is_some() {
                return next;
            }
        }
        // Unconstrained: else the runtime would sometimes say that nothing is there, for the sake of fairness.
        tokio::task::unconstrained(self.next()).now_or_never()
    }

    /// One step through the journal to its end, or the change to the bus when it is there.
    async fn replay(&mut self) -> Option<Item> {
        match self.durable_end() {
            Ok(end) if self.passed < end => return self.read_towards(end).await,
            // Anew: what the bus held until now is old, and what was lost on it was no lag.
            Ok(_) => self.live = self.live.resubscribe(),
            Err(error) => return Some(self.fail(error)),
        }
        match self.durable_end() {
            Ok(end) if self.passed >= end => self.phase = Phase::Joined,
            Ok(_) => {}
            Err(error) => return Some(self.fail(error)),
        }
        None
    }

    /// One step on the bus.
    async fn follow(&mut self) -> Option<Item> {
        if let Some(held) = self.held.take() {
            let before = held.before();
            if self.passed < before {
                self.held = Some(held);
                return self.read_towards(before).await;
            }
            return self.place(held);
        }
        match self.live.recv().await {
            Ok(entry) => self.place(entry),
            Err(RecvError::Lagged(missed)) => Some(self.lagged(missed)),
            Err(RecvError::Closed) => Some(self.end()),
        }
    }

    /// Whether what comes next comes from the bus, and not from the journal first.
    fn is_on_the_bus(&self) -> bool {
        matches!(self.phase, Phase::Joined | Phase::Live)
            && self.held.is_none()
            && self.gap.is_none()
            && self.ready.is_empty()
    }

    /// Takes an envelope from the bus: shows it, drops it, or holds it until the hole in front of it is filled.
    fn place(&mut self, entry: Entry) -> Option<Item> {
        if self.phase == Phase::Joined {
            if entry.is_old(self.passed) {
                return None;
            }
            if self.passed < entry.before() {
                self.held = Some(entry);
                return None;
            }
            self.passed = entry.place;
        }
        self.show(entry.frame)
    }

    fn lagged(&self, missed: u64) -> Item {
        Item::Lagged { missed, after: self.sent }
    }

    fn end(&mut self) -> Item {
        self.phase = Phase::Ended;
        Item::Ended
    }

    fn show(&mut self, frame: Arc<Frame>) -> Option<Item> {
        let is_wanted = (self.logs || !frame.is_log)
            && self.filter.matches(&frame.kind, frame.pipeline.as_deref(), frame.tier.as_deref(), frame.run);
        if !is_wanted {
            return None;
        }
        if let Some(id) = frame.id {
            self.sent = id;
        }
        Some(Item::Event(frame))
    }

    /// Reads one page, of which nothing beyond `end` is shown.
    async fn read_towards(&mut self, end: EventId) -> Option<Item> {
        let (journal, passed, filter) = (&self.journal, self.passed, &self.filter);
        let reading =
            self.reading.get_or_insert_with(|| read(journal.clone(), passed, filter.clone()).boxed());
        let result = reading.await;
        self.reading = None;
        match result {
            Ok(piece) => {
                self.take(piece, end);
                None
            }
            Err(error) => Some(self.fail(error)),
        }
    }

    fn take(&mut self, Piece { page, gap }: Piece, end: EventId) {
        let Some(first) = page.first else {
            // Published, so it must have been there. Not worth waiting for ever.
            tracing::error!(after = self.passed.0, end = end.0, "the journal ends before what was published");
            self.passed = end;
            return;
        };
        if gap {
            self.gap = Some(first);
            self.passed = EventId(first.0 - 1);
        }
        self.passed = self.passed.max(page.scanned.min(end));
        self.ready.extend(page.records.into_iter().filter(|record| record.id <= end));
    }

    fn fail(&mut self, error: journal::Error) -> Item {
        self.phase = Phase::Ended;
        Item::Failed(error)
    }

    /// The last durable id, as of now.
    fn durable_end(&self) -> Result<EventId, journal::Error> {
        match &*self.durable.borrow() {
            Watermark::Durable(id) => Ok(*id),
            Watermark::Failed(error) => Err(error.clone()),
        }
    }
}

/// Reads one page after an id, and looks whether what is missing in front of it is missed.
async fn read(journal: Arc<dyn Journal>, passed: EventId, filter: Filter) -> Result<Piece, journal::Error> {
    let page = journal.read(passed, PAGE, &filter).await?;
    let gap = match page.first {
        Some(first) if first.0 > passed.0 + 1 => is_missed(&*journal, passed, first).await?,
        _ => false,
    };
    Ok(Piece { page, gap })
}

/// Whether there were events after one and before another that are not there.
async fn is_missed(journal: &dyn Journal, passed: EventId, first: EventId) -> Result<bool, journal::Error> {
    let before = match journal.last_below(first).await? {
        EventId(0) => journal.chain().before.id,
        before => before,
    };
    Ok(passed != before)
}

/// The first event after an id, if some after it are missing.
///
/// # Errors
/// The journal cannot be read.
pub async fn gap_after(journal: &dyn Journal, since: EventId) -> Result<Option<EventId>, journal::Error> {
    let first = journal.read(since, 1, &Filter::default()).await?.first;
    match first {
        Some(first) if first.0 > since.0 + 1 => Ok(is_missed(journal, since, first).await?.then_some(first)),
        _ => Ok(None),
    }
}

impl Entry {
    /// Whether a subscriber that has passed an id has passed this too.
    fn is_old(&self, passed: EventId) -> bool {
        if self.frame.id.is_some() { self.place <= passed } else { self.place < passed }
    }

    /// The last event before it.
    fn before(&self) -> EventId {
        if self.frame.id.is_some() { EventId(self.place.0 - 1) } else { self.place }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("phase", &self.phase)
            .field("passed", &self.passed)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
