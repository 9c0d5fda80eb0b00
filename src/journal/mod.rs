//! The journal: the append-only, durable, ordered list of events, and the only truth.
//!
//! It knows ids, times and a few names to filter by; the body of an event is text that it keeps and gives back
//! unchanged. What events mean, and when one may be shown, is for others.
//!
//! # The contract
//!
//! - **Ids** count from 1 and are never used twice, without a hole but in front of [`RESTORED`]: that event begins a new
//!   *epoch* of ids, at the next multiple of 2^32, because the journal that was lost may have given out some after those
//!   that are left. An append whose first id is not the one that is due after [`Journal::last_id`] is refused whole
//!   ([`Error::OutOfOrder`], a BUG of the caller).
//! - **The chain**: each record has a value that stands for its body and for every record before it
//!   ([`Hash`](struct@Hash)), kept in the same transaction. Retention keeps the value of the last record that it removed,
//!   so that the rest can be proven.
//! - An append is **all or nothing**: after a failure, or a crash in its middle, none of its records is there.
//! - **Committed** means: it survives the end of this process, however violent (`kill -9`), because the kernel has it.
//!   Readers see it. A build step or a gate may start on this.
//! - **Durable** means: it survives the loss of power, because the disk has it. Everything that leaves the house
//!   (an answer, a broadcast, a deploy) waits for this. [`Journal::durable`] says how far it reaches.
//! - Records become durable in the order of their ids. What the loss of power takes is always a tail of what was
//!   committed and never anything durable.
//! - **A sync that fails is final.** The kernel may have dropped the pages that it could not write, and a second sync
//!   would then report success about nothing. The watermark says [`Watermark::Failed`] for ever, appends are refused,
//!   and the process must end; the next one begins with what the disk really has.
//! - A full disk is not final: the append fails with [`Error::Full`], nothing is lost, a later one may succeed.
//! - An append that failed with [`Error::Io`] may still be found after a crash that follows at once: the error can
//!   come after the bytes. The next append that succeeds puts an end to that.
//!
//! Two keep it: [`SqliteJournal`] for real, [`MemoryJournal`] with switches for faults in tests.

mod chain;
mod error;
mod filter;
pub mod lock;
mod memory;
mod sqlite;

#[cfg(test)]
pub(crate) mod contract;

pub use chain::{BadHead, Chain, Hash, Head};
pub use error::Error;
pub use filter::{BadPattern, Filter, KindPattern};
pub use memory::MemoryJournal;
pub use sqlite::{Found, FoundCheckpoint, Importer, Inspector, Options, SqliteJournal, SyncFile};

use crate::domain::EventId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::watch;

/// Key of the text in [`Journal::meta_get`] that tells this journal from every other: 32 hex digits, made once.
pub const META_INSTANCE: &str = "instance";

/// Key of the text that a clean stop leaves: the last id. It is gone while the journal is open.
pub const META_CLEAN_STOP: &str = "clean_stop";

/// The kind of event with which an epoch of ids begins.
pub const RESTORED: &str = "journal_restored";

/// One event as the journal keeps it. Clones share their texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub id: EventId,
    /// When it happened, in microseconds since 1970 (UTC). Order is by id, never by time.
    pub at_us: i64,
    /// Its kind, such as `gate_done`.
    pub kind: Arc<str>,
    /// The pipeline that it belongs to.
    pub pipeline: Option<Arc<str>>,
    /// The tier that it is about.
    pub tier: Option<Arc<str>>,
    /// The run that it is about.
    pub run: Option<u64>,
    /// The JSON text, exactly as it is sent.
    pub body: Arc<str>,
}

/// What the events up to one come to, so that those before may go: the fold of the journal begins with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last event that is folded in.
    pub id: EventId,
    /// When it was made, in microseconds since 1970 (UTC).
    pub at_us: i64,
    /// The release that made it.
    pub release: Arc<str>,
    /// The version of its text's form.
    pub format: u32,
    /// The text, which the journal keeps and gives back unchanged.
    pub body: Arc<str>,
}

/// How far the journal is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watermark {
    /// Every event up to and with this one. It only grows.
    Durable(EventId),
    /// A sync failed, for ever.
    Failed(Error),
}

/// A piece of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The records that the filter let pass, in order.
    pub records: Vec<Record>,
    /// The first id that was looked at, passing or not. Later than asked for when retention removed what was there.
    pub first: Option<EventId>,
    /// The last id that was looked at: where the next page goes on. As asked for when there was nothing more.
    pub scanned: EventId,
}

/// The list itself. Every method may be called from any task or thread.
///
/// Work is ordered by the *call*, not by when the returned future is first polled: dropping the future of an append
/// does not undo the append.
pub trait Journal: Send + Sync {
    /// Adds records at the end, in one transaction. Resolves when they are committed. Nothing to add is fine.
    fn append(&self, records: Vec<Record>) -> BoxFuture<'static, Result<(), Error>>;

    /// The watermark, live. Its value at once is what was durable when the journal was opened, or more.
    fn durable(&self) -> watch::Receiver<Watermark>;

    /// The last committed id; 0 in a new journal.
    fn last_id(&self) -> EventId;

    /// The first id that retention has left; 1 in a new journal.
    fn oldest_id(&self) -> EventId;

    /// The chain of what is committed.
    fn chain(&self) -> Chain;

    /// The committed records after an id that a filter lets pass, at most `limit` (at least one, once any is due).
    /// A page also ends when enough was looked at or copied, so that its cost is bounded even if nothing passes;
    /// [`Page::scanned`] says where to go on, and equals `after` only when there was nothing after it.
    fn read(&self, after: EventId, limit: usize, filter: &Filter) -> BoxFuture<'static, Result<Page, Error>>;

    /// The last committed id below another; 0: none is left. In front of an epoch ids are far apart.
    fn last_below(&self, id: EventId) -> BoxFuture<'static, Result<EventId, Error>>;

    /// Every record after an id, to the end, in the calling thread: for the fold at start. Ends at the first error.
    fn for_each(
        &self,
        after: EventId,
        each: &mut dyn FnMut(Record) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Removes what is older than an id, but never the last record (ids must go on from it), nor anything that is after
    /// the checkpoint, which takes the place of the one before in the same transaction that removes the first records.
    /// The rest goes bit by bit, so that an append never waits long. Gives the oldest id left.
    fn forget_before(
        &self,
        id: EventId,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'static, Result<EventId, Error>>;

    /// The checkpoint, if anything was ever removed. In the calling thread: for the fold at start.
    fn checkpoint(&self) -> Result<Option<Checkpoint>, Error>;

    /// A small text kept beside the events.
    fn meta_get(&self, key: &str) -> BoxFuture<'static, Result<Option<String>, Error>>;

    /// Sets such a text. Resolves when committed; it is durable when any later append is.
    fn meta_set(&self, key: &str, value: &str) -> BoxFuture<'static, Result<(), Error>>;

    /// Bytes on disk, everything counted.
    fn size_bytes(&self) -> Result<u64, Error>;

    /// Finishes what was asked for, makes it durable, says that the stop was clean, and lets go of the files. Whatever
    /// is asked afterwards fails with [`Error::Closed`]. Closing twice is fine.
    fn close(&self) -> BoxFuture<'static, Result<(), Error>>;

    /// Resolves when an id is durable, or when it is certain that it never will be.
    fn sync(&self, id: EventId) -> BoxFuture<'static, Result<(), Error>> {
        let mut durable = self.durable();
        async move {
            let reached = durable
                .wait_for(|mark| match mark {
                    Watermark::Durable(upto) => *upto >= id,
                    Watermark::Failed(_) => true,
                })
                .await;
            match reached.as_deref() {
                Ok(Watermark::Durable(_)) => Ok(()),
                Ok(Watermark::Failed(error)) => Err(error.clone()),
                Err(_) => Err(Error::Closed),
            }
        }
        .boxed()
    }
}

/// The id that is due after another, for an event of a kind.
pub fn due_after(last: EventId, kind: &str) -> EventId {
    if kind == RESTORED { last.next_epoch() } else { EventId(last.0 + 1) }
}

/// Checks that records go on from `last` as they must; gives the new last id.
fn in_order(last: EventId, records: &[Record]) -> Result<EventId, Error> {
    records.iter().try_fold(last, |last, record| {
        let expected = due_after(last, &record.kind);
        if record.id == expected { Ok(expected) } else { Err(Error::OutOfOrder { expected, got: record.id }) }
    })
}
