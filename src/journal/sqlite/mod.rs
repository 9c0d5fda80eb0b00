//! The journal in SQLite: two threads that take turns at writing and syncing, a few connections that read.
//!
//! # How it is durable
//!
//! The database is in WAL mode with `synchronous=NORMAL`. SQLite's documentation of that pragma says what this gives:
//! the write-ahead log is synced before each checkpoint, the database file after it, and the header of the log when
//! the log begins anew, so that the file is always consistent; but a commit does not sync, and the newest commits may
//! be rolled back by a loss of power. They are not by the end of the process: on commit the kernel has every byte. So
//! a SQLite commit is what the contract calls *committed*.
//!
//! *Durable* is made here, by what `synchronous=FULL` would do within each commit and no more: one sync of the `-wal`
//! file after the commit's last frame. It happens beside the writing, over and over while there is something committed
//! and not synced, without timers: whatever was committed during one sync shares the next. What was committed before a
//! sync began is durable when it ends, because each commit is either still in the log, or was copied into the database
//! by a checkpoint that synced the database before the log could be written over.
//!
//! Of the two threads one has the *pen*, the writing connection. Having committed, and with no sync under way, it
//! leaves the pen to the other and syncs: so nobody has to be woken between a commit and its sync, and the next commit
//! does not wait for the disk.
//!
//! - **Frames and power loss.** Frames carry chained checksums over the whole log, so that recovery takes the longest
//!   whole prefix of commits: what is lost is a tail. Under FULL, SQLite pads a commit to a sector only on devices
//!   without power-safe overwrite, which its unix VFS by default assumes they have; so NORMAL with our sync is not weaker.
//! - **A second descriptor** of the log is safe. SQLite's locks are on the database and on `-shm`; it takes none on
//!   `-wal`, so that closing ours drops none. (The database and `-shm` must never be opened here while SQLite has them.)
//! - **The log's birth.** Opening writes a transaction, so that the log exists; then the log, the folder and its parent
//!   are synced.
//! - **The log's identity.** While the writing connection is open SQLite neither removes nor replaces the log: it
//!   starts again at its beginning, in place. If its path leads elsewhere, somebody meddled: SQLite goes on writing to
//!   a file that nobody will find again. That counts as a failed sync; opening the new file would be a lie.
//! - **Checkpoints** are ours too (`wal_autocheckpoint=0`), by whoever has the pen, between transactions: SQLite's own
//!   run in a hook that swallows errors, and a sync that failed in there must not be forgotten.
//! - **After a crash** the log may hold commits that were never synced, and the kernel may have forgotten that it could
//!   not write them. So opening copies the log into the database by a checkpoint, which writes and syncs all of it
//!   again, before the first watermark is given out.
//! - **The chain** is a column of the events and no table of its own, so that an append touches no page more. Only
//!   opening a file of an earlier layout walks over what is there: see `chain`.
//! - **After a failed sync** nothing is checkpointed any more, not even on close: the log on disk may be older than the
//!   memory that describes it.

mod chain;
mod importer;
mod inspect;
mod read;
mod schema;
mod sync;
mod writer;

#[cfg(test)]
mod tests;

pub use importer::Importer;
pub use inspect::{Found, FoundCheckpoint, Inspector};
pub use sync::SyncFile;

use super::lock::StateLock;
use super::{
    Chain, Checkpoint, Error, Filter, Journal, META_CLEAN_STOP, META_INSTANCE, Page, Record, Watermark,
};
use crate::domain::EventId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use read::Readers;
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use sync::{Commits, WalFile};
use tokio::sync::{oneshot, watch};
use writer::{Request, Writer};

/// Name of the file in the state folder.
const FILE: &str = "journal.db";

/// What may be different from how the controller uses it.
pub struct Options {
    /// Syncs the write-ahead log; tests put failures and delays in its place.
    pub sync: SyncFile,
    /// Frames (of 4 KiB) in the log from which on it is copied into the database.
    pub checkpoint_frames: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: Box::new(sync::fdatasync), checkpoint_frames: 1_000 }
    }
}

/// The journal of a state folder. Dropping it without [`Journal::close`] finishes what was asked for, but does not
/// count as a clean stop.
#[derive(Debug)]
pub struct SqliteJournal {
    shared: Arc<Shared>,
    /// `None` once dropped.
    requests: Option<mpsc::Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads have in common.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// The last committed id.
    last: AtomicU64,
    /// The oldest id left.
    oldest: AtomicU64,
    /// The chain between the two; those are read without waiting for this.
    chain: Mutex<Chain>,
    commits: Commits,
    durable: watch::Sender<Watermark>,
    readers: Readers,
}

impl Shared {
    fn last_id(&self) -> EventId {
        EventId(self.last.load(Ordering::Acquire))
    }

    fn oldest_id(&self) -> EventId {
        EventId(self.oldest.load(Ordering::Acquire))
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The failed sync, if one did.
    fn failed(&self) -> Option<Error> {
        match &*self.durable.borrow() {
            Watermark::Failed(error) => Some(error.clone()),
            Watermark::Durable(_) => None,
        }
    }

    /// From now on nothing is trusted. The first reason stays.
    fn fail(&self, error: Error) {
        self.durable.send_if_modified(|mark| match mark {
            Watermark::Failed(_) => false,
            Watermark::Durable(_) => {
                tracing::error!(code = error.code(), "failed to {error}");
                *mark = Watermark::Failed(error);
                true
            }
        });
    }
}

impl SqliteJournal {
    /// Opens the journal of a state folder, making both if need be, and locks the folder.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::open_locked(StateLock::acquire(folder)?, Options::default())
    }

    /// Opens the journal of a folder that is already ours. The lock is let go when the journal is closed or dropped.
    pub fn open_locked(lock: StateLock, options: Options) -> Result<Self, Error> {
        schema::check_library()?;
        let path = lock.folder().join(FILE);
        schema::check_header(&path)?;
        let mut connection = schema::open_writer(&path)?;
        let is_new = schema::migrate(&mut connection, &path, schema::MIGRATIONS)?;
        let (oldest, last) = ends(&connection)?;
        if !is_new && meta(&connection, META_CLEAN_STOP)? != Some(last.to_string()) {
            schema::check_pages(&connection)?;
        }
        chain::check_stop(&connection)?;
        begin(&mut connection)?;
        let mut wal = WalFile::open(&path, options.sync)?;
        wal.sync()?;
        let chain = chain::complete(&mut connection, chain::CHUNK)?;
        writer::checkpoint_at_open(&connection)?;
        let shared = Arc::new(Shared {
            readers: Readers::new(path.clone()),
            path,
            last: AtomicU64::new(last.0),
            oldest: AtomicU64::new(oldest.0),
            chain: Mutex::new(chain),
            commits: Commits::new(wal),
            durable: watch::Sender::new(Watermark::Durable(last)),
        });
        let (requests, inbox) = mpsc::channel();
        let writer = Writer::new(connection, shared.clone(), inbox, lock, options.checkpoint_frames)?;
        Ok(Self { threads: writer::start(writer, &shared)?, shared, requests: Some(requests) })
    }

    /// Asks the writer for something; what it answers comes out of the future. Asked when called, not when polled.
    fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let (reply, answer) = oneshot::channel();
        if let Some(requests) = &self.requests {
            // A writer that is gone drops the reply, which is answer enough.
            let _ = requests.send(request(reply));
        }
        async move { answer.await.unwrap_or(Err(Error::Closed)) }.boxed()
    }

    /// Runs a query on a thread for blocking work.
    fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Shared, &Connection) -> Result<T, Error> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let shared = self.shared.clone();
        async move {
            let work = move || shared.readers.with(|connection| query(&shared, connection));
            tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closed))
        }
        .boxed()
    }
}

impl Journal for SqliteJournal {
    fn append(&self, records: Vec<Record>) -> BoxFuture<'static, Result<(), Error>> {
        self.ask(|reply| Request::Append { records, reply })
    }

    fn durable(&self) -> watch::Receiver<Watermark> {
        self.shared.durable.subscribe()
    }

    fn last_id(&self) -> EventId {
        self.shared.last_id()
    }

    fn oldest_id(&self) -> EventId {
        self.shared.oldest_id()
    }

    fn chain(&self) -> Chain {
        *self.shared.chain()
    }

    fn read(&self, after: EventId, limit: usize, filter: &Filter) -> BoxFuture<'static, Result<Page, Error>> {
        let filter = filter.clone();
        self.query(move |shared, connection| read::page(connection, after, shared.last_id(), limit, &filter))
    }

    fn last_below(&self, id: EventId) -> BoxFuture<'static, Result<EventId, Error>> {
        self.query(move |_, connection| read::last_below(connection, id))
    }

    fn for_each(
        &self,
        after: EventId,
        each: &mut dyn FnMut(Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let chain = self.chain();
        self.shared.readers.with(|connection| {
            let next = EventId(after.0.saturating_add(1));
            let at = chain::below(connection, next)?.unwrap_or(chain.before);
            read::for_each(connection, after, chain.head.id, at.hash, each)
        })
    }

    fn forget_before(
        &self,
        id: EventId,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'static, Result<EventId, Error>> {
        self.ask(|reply| Request::Forget { before: id, checkpoint, reply })
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        self.shared.readers.with(read::checkpoint)
    }

    fn meta_get(&self, key: &str) -> BoxFuture<'static, Result<Option<String>, Error>> {
        let key = key.to_owned();
        self.query(move |_, connection| meta(connection, &key))
    }

    fn meta_set(&self, key: &str, value: &str) -> BoxFuture<'static, Result<(), Error>> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.ask(|reply| Request::MetaSet { key, value, reply })
    }

    fn size_bytes(&self) -> Result<u64, Error> {
        let mut total = 0;
        for path in [self.shared.path.clone(), sync::wal_path(&self.shared.path)] {
            match std::fs::metadata(path) {
                Ok(found) => total += found.len(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("measure the journal", &error)),
            }
        }
        Ok(total)
    }

    fn close(&self) -> BoxFuture<'static, Result<(), Error>> {
        let closed = self.ask(|reply| Request::Close { reply });
        let shared = self.shared.clone();
        async move {
            match closed.await {
                // Closed before: as it went then.
                Err(Error::Closed) => shared.failed().map_or(Ok(()), Err),
                answer => answer,
            }
        }
        .boxed()
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.requests = None;
        // Waited for, so that the files are free when this returns; at most the work asked for and one sync.
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the journal panicked");
            }
        }
    }
}

/// The oldest and the last id.
fn ends(connection: &Connection) -> Result<(EventId, EventId), Error> {
    let sql = "SELECT coalesce((SELECT min(id) FROM events), 1), coalesce((SELECT max(id) FROM events), 0)";
    connection
        .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .map(|(oldest, last)| (EventId(oldest.cast_unsigned()), EventId(last.cast_unsigned())))
        .map_err(|error| Error::sqlite("read the journal", &error))
}

/// The first transaction of this opening: the stop is no longer clean, and a new journal gets its instance id.
fn begin(connection: &mut Connection) -> Result<(), Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Io { tried: "draw an instance id", detail: error.to_string().into() })?;
    let instance: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut write = || {
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM meta WHERE key IN (?1, ?2)", [META_CLEAN_STOP, chain::AT_STOP])?;
        transaction
            .execute("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO NOTHING", [META_INSTANCE, &instance])?;
        // Written even when nothing of the above changed a row, so that there is a log to sync.
        transaction
            .execute("INSERT OR REPLACE INTO meta VALUES ('opened_by', ?1)", [env!("CARGO_PKG_VERSION")])?;
        transaction.commit()
    };
    write().map_err(|error| Error::sqlite("open the journal", &error))
}

fn meta(connection: &Connection, key: &str) -> Result<Option<String>, Error> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
        .map_err(|error| Error::sqlite("read the journal", &error))
}
