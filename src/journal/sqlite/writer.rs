//! Writing: whoever has the pen takes what waits, up to a limit, into one transaction, commits, answers, and leaves the
//! pen to the other thread when there is something to sync.

use super::{Shared, chain, schema};
use crate::domain::EventId;
use crate::journal::lock::StateLock;
use crate::journal::{Checkpoint, Error, Head, META_CLEAN_STOP, Record, in_order};
use rusqlite::{Connection, params};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Most requests in one transaction.
const GROUP_LIMIT: usize = 256;

/// Records removed by one transaction of retention, so that appends never wait long behind it.
const FORGET_CHUNK: u64 = 2_000;

/// Free pages (of 4 KiB) given back to the disk at once, for the same reason.
const GIVE_BACK_PAGES: u32 = 256;

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
        /// What the events up to one come to.
        checkpoint: Checkpoint,
        /// Told the oldest id left.
        reply: Reply<EventId>,
    },
    /// Stop, cleanly.
    Close {
        /// Told when the files are closed.
        reply: Reply<()>,
    },
}

/// The pen.
pub(super) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Request>,
    /// Let go after the connection is closed.
    lock: StateLock,
    /// Frames in the log, as SQLite said at the last commit.
    frames: Arc<AtomicU32>,
    checkpoint_frames: u32,
    /// Frames at which the next checkpoint is due.
    checkpoint_at: u32,
    forgetting: Option<Forgetting>,
    /// Something is committed, nobody syncs, and it was promised that we do.
    must_sync: bool,
}

/// What is being forgotten.
struct Forgetting {
    /// The oldest id to keep.
    before: EventId,
    /// Still to be written, with the first records that go.
    checkpoint: Option<Checkpoint>,
    /// All records are gone; what they took is being given back to the disk.
    removed: bool,
    reply: Reply<EventId>,
}

/// Why a turn at the pen ends.
enum Turn {
    /// There is something to sync.
    Sync,
    /// Closed by request.
    Close(Reply<()>),
    /// Nobody can ask any more.
    Abandon,
}

/// Starts the two threads. They end when the writer was told to close or nobody can ask any more.
pub(super) fn start(writer: Writer, shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, Error> {
    let pen = Arc::new(Mutex::new(Some(writer)));
    ["journal-a", "journal-b"]
        .into_iter()
        .map(|name| {
            let (pen, shared) = (pen.clone(), shared.clone());
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || take_turns(&pen, &shared))
                .map_err(|error| Error::io("start the journal's threads", &error))
        })
        .collect()
}

fn take_turns(pen: &Mutex<Option<Writer>>, shared: &Shared) {
    loop {
        // After a panic of the other thread the connection is of no use any more, and nobody is answered.
        let Ok(mut held) = pen.lock() else { return };
        let Some(writer) = held.as_mut() else { return };
        let turn = writer.turn();
        if matches!(turn, Turn::Sync) {
            drop(held);
            shared.commits.sync(shared);
            continue;
        }
        let writer = held.take().expect("BUG: the writer was there");
        drop(held);
        let result = writer.finish(matches!(turn, Turn::Close(_)));
        if let Turn::Close(reply) = turn {
            let _ = reply.send(result);
        }
        return;
    }
}

impl Writer {
    pub(super) fn new(
        mut connection: Connection,
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Request>,
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
            inbox,
            lock,
            frames,
            checkpoint_frames,
            checkpoint_at: checkpoint_frames,
            forgetting: None,
            must_sync: false,
        })
    }

    /// Works until there is something to sync that nobody syncs, or the end.
    fn turn(&mut self) -> Turn {
        while !std::mem::take(&mut self.must_sync) {
            // At the beginning of a turn: while the other thread syncs what was committed in the last one.
            self.checkpoint_if_due();
            let request = match self.forgetting {
                // What is to be forgotten is done while nobody asks for anything else.
                Some(_) => self.inbox.try_recv(),
                None => self.inbox.recv().map_err(|_| TryRecvError::Disconnected),
            };
            match request {
                Ok(first) => {
                    if let Some(reply) = self.work(first) {
                        return Turn::Close(reply);
                    }
                }
                Err(TryRecvError::Empty) => self.forget_some(),
                Err(TryRecvError::Disconnected) => return Turn::Abandon,
            }
        }
        Turn::Sync
    }

    /// Takes the first request and those that wait behind it, as far as they fit into one transaction. Gives the reply
    /// to a request to close.
    fn work(&mut self, first: Request) -> Option<Reply<()>> {
        let mut group = Vec::new();
        let mut request = Some(first);
        while let Some(next) = request {
            match next {
                Request::Forget { before, checkpoint, reply } => self.forget(before, checkpoint, reply),
                Request::Close { reply } => {
                    self.write(group);
                    return Some(reply);
                }
                write => group.push(write),
            }
            request = if group.len() < GROUP_LIMIT { self.inbox.try_recv().ok() } else { None };
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
        let start = self.shared.chain().head;
        let result = match self.shared.failed() {
            Some(error) => Err(error),
            None => self.transaction(|writer| writer.insert(start, &group)),
        };
        let mut refused = match result {
            Ok((head, answers)) => {
                self.committed(head);
                answers
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

    /// Puts a group into the open transaction. Gives the new head, and an answer for each request.
    fn insert(&self, start: Head, group: &[Request]) -> Result<(Head, Vec<Result<(), Error>>), Error> {
        let mut head = start;
        let mut answers = Vec::with_capacity(group.len());
        for request in group {
            answers.push(match request {
                Request::Append { records, .. } => match in_order(head.id, records) {
                    Ok(_) => {
                        head = insert_records(&self.connection, head, records)?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Request::MetaSet { key, value, .. } => self.insert_meta(key, value),
                Request::Forget { .. } | Request::Close { .. } => Ok(()),
            });
        }
        Ok((head, answers))
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

    /// A transaction is committed, and must be synced.
    fn committed(&mut self, head: Head) {
        self.shared.chain().head = head;
        self.shared.last.store(head.id.0, Ordering::Release);
        self.must_sync |= self.shared.commits.committed(head.id);
    }

    fn forget(&mut self, before: EventId, checkpoint: Checkpoint, reply: Reply<EventId>) {
        if let Some(earlier) = self.forgetting.take() {
            // Overtaken: what it asked for is told as far as it came.
            let _ = earlier.reply.send(Ok(self.shared.oldest_id()));
        }
        let before = before.min(self.shared.last_id()).min(EventId(checkpoint.id.0 + 1));
        self.forgetting = Some(Forgetting { before, checkpoint: Some(checkpoint), removed: false, reply });
    }

    /// Removes one chunk of what is to be forgotten, or gives back some of what it took, and answers after the last.
    fn forget_some(&mut self) {
        let Some(mut forgetting) = self.forgetting.take() else { return };
        let oldest = self.shared.oldest_id();
        let upto = EventId(forgetting.before.0.min(oldest.0 + FORGET_CHUNK));
        let done = match self.shared.failed() {
            Some(error) => Err(error),
            None if upto > oldest => {
                let checkpoint = forgetting.checkpoint.take();
                forgetting.removed = true;
                self.transaction(|writer| writer.remove_before(upto, checkpoint.as_ref())).map(Some)
            }
            None if forgetting.removed => self.give_back().map(|more| more.then_some((None, oldest))),
            None => Ok(None),
        };
        match done {
            Ok(Some((before, oldest))) => {
                let head = {
                    let mut chain = self.shared.chain();
                    chain.before = before.unwrap_or(chain.before);
                    chain.head
                };
                self.shared.oldest.store(oldest.0, Ordering::Release);
                self.committed(head);
                self.forgetting = Some(forgetting);
            }
            Ok(None) => drop(forgetting.reply.send(Ok(oldest))),
            Err(error) => drop(forgetting.reply.send(Err(error))),
        }
    }

    /// Gives some free pages back to the disk; false when there are none (a file made by an early release keeps them,
    /// and fills them again).
    fn give_back(&self) -> Result<bool, Error> {
        let failed = |error| Error::sqlite("shrink the journal", &error);
        let free = || self.connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        let before = free().map_err(failed)?;
        if before == 0 {
            return Ok(false);
        }
        self.connection
            .prepare_cached(&format!("PRAGMA incremental_vacuum({GIVE_BACK_PAGES})"))
            .and_then(|mut statement| {
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                Ok(())
            })
            .map_err(failed)?;
        Ok(free().map_err(failed)? < before)
    }

    /// Gives the place in the chain before the oldest record left, if any went, and the id of that record.
    fn remove_before(
        &self,
        id: EventId,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(Option<Head>, EventId), Error> {
        if let Some(checkpoint) = checkpoint {
            write_checkpoint(&self.connection, checkpoint)
                .map_err(|error| Error::sqlite("write a checkpoint of the journal", &error))?;
        }
        let before = chain::below(&self.connection, id)?;
        if let Some(before) = before {
            self.insert_meta(chain::BEFORE, &before.to_string())?;
        }
        self.connection
            .prepare_cached("DELETE FROM events WHERE id < ?1")
            .and_then(|mut statement| statement.execute([id.0.cast_signed()]))
            .map_err(|error| Error::sqlite("remove old events", &error))?;
        Ok((before, super::ends(&self.connection)?.0))
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
        if let Some(forgetting) = self.forgetting.take() {
            let _ = forgetting.reply.send(Ok(self.shared.oldest_id()));
        }
        if self.must_sync {
            self.shared.commits.sync(&self.shared);
        }
        self.shared.commits.wait_idle();
        self.shared.readers.close();
        let result = match self.shared.failed() {
            Some(error) => Err(error),
            None if is_clean => self.seal(),
            None => Ok(()),
        };
        let Self { connection, lock, .. } = self;
        drop(connection);
        drop(lock);
        result
    }

    /// Says that the stop is clean, and moves all of the log into the database.
    fn seal(&mut self) -> Result<(), Error> {
        let head = self.shared.chain().head;
        self.transaction(|writer| {
            writer.insert_meta(META_CLEAN_STOP, &head.id.to_string())?;
            writer.insert_meta(chain::AT_STOP, &head.to_string())
        })?;
        checkpoint(&self.connection, "TRUNCATE")?;
        schema::checkpoint_on_close(&self.connection, true)
    }
}

/// Puts records behind a place in the chain; gives the place after them.
pub(super) fn insert_records(
    connection: &Connection,
    mut head: Head,
    records: &[Record],
) -> Result<Head, Error> {
    let failed = |error| Error::sqlite("append to the journal", &error);
    let mut statement = connection
        .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
        .map_err(failed)?;
    for record in records {
        head = head.then(record.id, &record.body);
        statement
            .execute(params![
                record.id.0.cast_signed(),
                record.at_us,
                &*record.kind,
                record.pipeline.as_deref(),
                record.tier.as_deref(),
                record.run.map(u64::cast_signed),
                &*record.body,
                head.hash.as_bytes(),
            ])
            .map_err(failed)?;
    }
    Ok(head)
}

/// Puts a checkpoint in the place of the one before.
pub(super) fn write_checkpoint(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM checkpoint", [])?;
    let Checkpoint { id, at_us, release, format, body } = checkpoint;
    let row = params![id.0.cast_signed(), at_us, &**release, format, &**body];
    let sql = "INSERT INTO checkpoint (id, at_us, release, format, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.execute(sql, row)?;
    chain::tie_checkpoint(connection)
}

/// Copies the log into the database and syncs both. True when all of it was copied.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, Error> {
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
