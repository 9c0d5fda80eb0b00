//! The one thread that writes: takes what waits, up to a limit, into one transaction, commits, and answers.

use super::{Shared, schema};
use crate::domain::EventId;
use crate::journal::lock::StateLock;
use crate::journal::{Error, META_CLEAN_STOP, Record, in_order};
use rusqlite::{Connection, params};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Most requests in one transaction.
const GROUP_LIMIT: usize = 256;

/// Records removed by one transaction of retention, so that appends never wait long behind it.
const FORGET_CHUNK: u64 = 2_000;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What can be asked of the writer.
pub(super) enum Request {
    /// Add records.
    Append {
        /// In order, the first right after the last one there is.
        records: Vec<Record>,
        /// Told when they are committed.
        reply: Reply<()>,
    },
    /// Set a text.
    MetaSet {
        /// Its name.
        key: String,
        /// The text.
        value: String,
        /// Told when it is committed.
        reply: Reply<()>,
    },
    /// Remove old records.
    Forget {
        /// The oldest id to keep.
        before: EventId,
        /// Told the oldest id left.
        reply: Reply<EventId>,
    },
    /// Stop, cleanly.
    Close {
        /// Told when the files are closed.
        reply: Reply<()>,
    },
}

pub(super) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    /// `None` once it was waited for.
    syncer: Option<JoinHandle<()>>,
    /// Let go after the connection is closed.
    lock: StateLock,
    /// Frames in the log, as SQLite said at the last commit.
    frames: Arc<AtomicU32>,
    checkpoint_frames: u32,
    /// Frames at which the next checkpoint is due.
    checkpoint_at: u32,
    forgetting: Option<(EventId, Reply<EventId>)>,
}

impl Writer {
    pub(super) fn new(
        mut connection: Connection,
        shared: Arc<Shared>,
        syncer: JoinHandle<()>,
        lock: StateLock,
        checkpoint_frames: u32,
    ) -> Result<Self, Error> {
        let frames = Arc::new(AtomicU32::new(0));
        let seen = frames.clone();
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
                seen.store(pages.max(0).cast_unsigned(), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| Error::sqlite("set up the journal", &error))?;
        Ok(Self {
            connection,
            shared,
            syncer: Some(syncer),
            lock,
            frames,
            checkpoint_frames,
            checkpoint_at: checkpoint_frames,
            forgetting: None,
        })
    }

    /// Works until it is told to close or nobody can ask any more.
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<Request>) {
        let closed = loop {
            let Some(first) = self.next(inbox) else { break None };
            match self.work(first, inbox) {
                Some(reply) => break Some(reply),
                None => self.checkpoint_if_due(),
            }
        };
        let is_clean = closed.is_some();
        let result = self.finish(is_clean);
        if let Some(reply) = closed {
            let _ = reply.send(result);
        }
    }

    /// The next request. While there is something to forget, does that in between.
    fn next(&mut self, inbox: &mpsc::Receiver<Request>) -> Option<Request> {
        while self.forgetting.is_some() {
            match inbox.try_recv() {
                Ok(request) => return Some(request),
                Err(mpsc::TryRecvError::Disconnected) => return None,
                Err(mpsc::TryRecvError::Empty) => self.forget_some(),
            }
            self.checkpoint_if_due();
        }
        inbox.recv().ok()
    }

    /// Takes the first request and those that wait behind it, as far as they fit into one transaction. Gives the reply
    /// to a request to close.
    fn work(&mut self, first: Request, inbox: &mpsc::Receiver<Request>) -> Option<Reply<()>> {
        let mut group = Vec::new();
        for request in std::iter::once(first).chain(inbox.try_iter().take(GROUP_LIMIT - 1)) {
            match request {
                Request::Forget { before, reply } => self.forget(before, reply),
                Request::Close { reply } => {
                    self.write(group);
                    return Some(reply);
                }
                write => group.push(write),
            }
        }
        self.write(group);
        None
    }

    /// Writes a group in one transaction and answers it. Appends that are out of order are refused one by one; any
    /// other failure is everybody's.
    fn write(&mut self, group: Vec<Request>) {
        if group.is_empty() {
            return;
        }
        let start = self.shared.last_id();
        let result = match self.shared.failed() {
            Some(error) => Err(error),
            None => self.transaction(|writer| writer.insert(start, &group)),
        };
        let mut refused = match result {
            Ok((last, refused)) => {
                self.committed(last);
                refused
            }
            Err(error) => group.iter().map(|_| Err(error.clone())).collect(),
        }
        .into_iter();
        for request in group {
            let answer = refused.next().expect("BUG: an answer for each request");
            match request {
                Request::Append { reply, .. } | Request::MetaSet { reply, .. } => drop(reply.send(answer)),
                Request::Forget { .. } | Request::Close { .. } => unreachable!("BUG: not a write"),
            }
        }
    }

    /// Puts a group into the open transaction. Gives the new last id, and an answer for each request.
    fn insert(&self, start: EventId, group: &[Request]) -> Result<(EventId, Vec<Result<(), Error>>), Error> {
        let mut last = start;
        let mut answers = Vec::with_capacity(group.len());
        for request in group {
            answers.push(match request {
                Request::Append { records, .. } => match in_order(last, records) {
                    Ok(new) => {
                        self.insert_records(records)?;
                        last = new;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Request::MetaSet { key, value, .. } => self.insert_meta(key, value),
                Request::Forget { .. } | Request::Close { .. } => Ok(()),
            });
        }
        Ok((last, answers))
    }

    fn insert_records(&self, records: &[Record]) -> Result<(), Error> {
        let failed = |error| Error::sqlite("append to the journal", &error);
        let mut statement = self
            .connection
            .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .map_err(failed)?;
        for record in records {
            statement
                .execute(params![
                    record.id.0.cast_signed(),
                    record.at_us,
                    &*record.kind,
                    record.pipeline.as_deref(),
                    record.tier.as_deref(),
                    record.run.map(u64::cast_signed),
                    &*record.body,
                ])
                .map_err(failed)?;
        }
        Ok(())
    }

    fn insert_meta(&self, key: &str, value: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute([key, value]))
            .map(drop)
            .map_err(|error| Error::sqlite("write to the journal", &error))
    }

    /// Runs work in a transaction. A failure leaves nothing of it.
    fn transaction<T>(&mut self, work: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        let result = self.statement("BEGIN IMMEDIATE").and_then(|()| {
            let done = work(self)?;
            self.statement("COMMIT")?;
            Ok(done)
        });
        if let Err(error) = &result {
            // Some failures have already rolled back.
            if !self.connection.is_autocommit()
                && let Err(error) = self.statement("ROLLBACK")
            {
                self.shared.fail(Error::Sync { detail: format!("no way back: {error}").into() });
            }
            if matches!(error, Error::Sync { .. }) {
                self.shared.fail(error.clone());
            }
        }
        result
    }

    fn statement(&self, sql: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|error| Error::sqlite("write to the journal", &error))
    }

    /// A transaction is committed: the sync may begin.
    fn committed(&self, last: EventId) {
        self.shared.last.store(last.0, Ordering::Release);
        self.shared.commits.committed(last);
    }

    fn forget(&mut self, before: EventId, reply: Reply<EventId>) {
        if let Some((_, earlier)) = self.forgetting.take() {
            // Overtaken: what it asked for is told as far as it came.
            let _ = earlier.send(Ok(self.shared.oldest_id()));
        }
        let before = before.min(self.shared.last_id());
        self.forgetting = Some((before, reply));
    }

    /// Removes one chunk of what is to be forgotten, and answers after the last one.
    fn forget_some(&mut self) {
        let Some((before, reply)) = self.forgetting.take() else { return };
        let oldest = self.shared.oldest_id();
        let upto = EventId(before.0.min(oldest.0 + FORGET_CHUNK));
        if upto <= oldest {
            let _ = reply.send(Ok(oldest));
            return;
        }
        let removed = match self.shared.failed() {
            Some(error) => Err(error),
            None => self.transaction(|writer| writer.remove_before(upto)),
        };
        match removed {
            Ok(()) => {
                self.shared.oldest.store(upto.0, Ordering::Release);
                self.committed(self.shared.last_id());
                self.forgetting = Some((before, reply));
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn remove_before(&self, id: EventId) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM events WHERE id < ?1")
            .and_then(|mut statement| statement.execute([id.0.cast_signed()]))
            .map(drop)
            .map_err(|error| Error::sqlite("remove old events", &error))
    }

    fn checkpoint_if_due(&mut self) {
        let frames = self.frames.load(Ordering::Relaxed);
        if frames < self.checkpoint_at || self.shared.failed().is_some() {
            return;
        }
        let is_whole = match checkpoint(&self.connection, "PASSIVE") {
            Ok(is_whole) => is_whole,
            Err(error @ Error::Sync { .. }) => return self.shared.fail(error),
            Err(error) => {
                // The log keeps everything, and grows: tried again some frames later.
                tracing::warn!(code = error.code(), "failed to checkpoint the journal: {error}");
                false
            }
        };
        // A whole one lets the next commit begin at the front of the log; else a reader stood in the way.
        self.checkpoint_at = self.checkpoint_frames + if is_whole { 0 } else { frames };
    }

    /// The end: everything synced, the files closed, the folder free.
    fn finish(mut self, is_clean: bool) -> Result<(), Error> {
        if let Some((_, reply)) = self.forgetting.take() {
            let _ = reply.send(Ok(self.shared.oldest_id()));
        }
        self.shared.commits.over();
        if self.syncer.take().is_some_and(|syncer| syncer.join().is_err()) {
            self.shared.fail(Error::Sync { detail: "the sync thread panicked".into() });
        }
        self.shared.readers.close();
        let result = match self.shared.failed() {
            Some(error) => Err(error),
            None if is_clean => self.seal(),
            None => Ok(()),
        };
        if !is_clean || result.is_err() {
            // Else SQLite checkpoints as it closes, from a log that may not be what it believes.
            let _ = schema::never_checkpoint(&self.connection);
        }
        let Self { connection, lock, .. } = self;
        drop(connection);
        drop(lock);
        result
    }

    /// Says that the stop is clean, and moves all of the log into the database.
    fn seal(&mut self) -> Result<(), Error> {
        let last = self.shared.last_id().to_string();
        self.transaction(|writer| writer.insert_meta(META_CLEAN_STOP, &last))?;
        checkpoint(&self.connection, "TRUNCATE").map(drop)
    }
}

/// Copies the log into the database and syncs both. True when all of it was copied.
fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, Error> {
    connection
        .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        })
        .map_err(|error| Error::sqlite("checkpoint the journal", &error))
}

/// The checkpoint that makes an opened journal durable whatever became of the process before. A full disk, or a reader
/// outside that stands in the way, leave it at the sync of the log that went before.
pub(super) fn checkpoint_at_open(connection: &Connection) -> Result<(), Error> {
    match checkpoint(connection, "PASSIVE") {
        Ok(_) | Err(Error::Full | Error::Busy) => Ok(()),
        Err(error) => Err(error),
    }
}
