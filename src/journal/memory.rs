//! The journal's twin in memory, for tests: the same contract, and switches that make it fail or wait.
//!
//! Nothing in it takes time: an append is committed when the call returns, and durable at once unless held back.

use super::{
    Chain, Checkpoint, Error, Filter, Head, Journal, META_CLEAN_STOP, META_INSTANCE, Page, Record, Watermark,
    in_order,
};
use crate::domain::EventId;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Most records that one page looks at, so that tests meet pages that end without a match.
const SCAN_LIMIT: usize = 1_000;

/// A journal that forgets everything when it is dropped.
#[derive(Debug)]
pub struct MemoryJournal {
    inner: Mutex<Inner>,
    durable: watch::Sender<Watermark>,
}

#[derive(Debug, Default)]
struct Inner {
    records: VecDeque<Record>,
    /// The value of each record.
    heads: VecDeque<Head>,
    chain: Chain,
    checkpoint: Option<Checkpoint>,
    meta: BTreeMap<String, String>,
    fail_next: VecDeque<Error>,
    fail_next_reads: VecDeque<Error>,
    fail_next_meta: VecDeque<Error>,
    is_held: bool,
    is_closed: bool,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        let mut inner = Inner::default();
        let instance = "0".repeat(32);
        let first = Head::first(&instance);
        inner.chain = Chain { before: first, head: first };
        inner.meta.insert(META_INSTANCE.to_owned(), instance);
        Self { inner: Mutex::new(inner), durable: watch::Sender::new(Watermark::Durable(EventId(0))) }
    }
}

impl MemoryJournal {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next `count` appends fail with this error and keep nothing.
    pub fn fail_next_appends(&self, count: usize, error: Error) {
        self.lock().fail_next.extend(std::iter::repeat_n(error, count));
    }

    /// Whether the next append fails.
    pub fn refuses(&self) -> bool {
        !self.lock().fail_next.is_empty()
    }

    /// The next `count` pages cannot be read, for this reason.
    pub fn fail_next_reads(&self, count: usize, error: Error) {
        self.lock().fail_next_reads.extend(std::iter::repeat_n(error, count));
    }

    /// The next `count` values beside the events cannot be read, for this reason.
    pub fn fail_next_meta(&self, count: usize, error: Error) {
        self.lock().fail_next_meta.extend(std::iter::repeat_n(error, count));
    }

    /// From now on what is committed does not become durable by itself.
    pub fn hold_durability(&self) {
        self.lock().is_held = true;
    }

    /// What is committed becomes durable, now and from now on.
    pub fn release_durability(&self) {
        let mut inner = self.lock();
        inner.is_held = false;
        self.advance(inner.chain.head.id);
    }

    /// What is committed up to an id becomes durable; the rest goes on being held back.
    pub fn release_upto(&self, id: EventId) {
        let inner = self.lock();
        self.advance(id.min(inner.chain.head.id));
    }

    /// A sync fails: for ever.
    pub fn fail_sync(&self, detail: &str) {
        self.durable.send_replace(Watermark::Failed(Error::Sync { detail: detail.into() }));
    }

    fn advance(&self, upto: EventId) {
        self.durable.send_if_modified(|mark| match mark {
            Watermark::Durable(reached) if *reached < upto => {
                *reached = upto;
                true
            }
            _ => false,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> Option<Error> {
        match &*self.durable.borrow() {
            Watermark::Failed(error) => Some(error.clone()),
            Watermark::Durable(_) => None,
        }
    }

    fn append_now(&self, records: Vec<Record>) -> Result<(), Error> {
        let mut inner = self.open()?;
        if let Some(error) = self.failed() {
            return Err(error);
        }
        if let Some(error) = inner.fail_next.pop_front() {
            return Err(error);
        }
        in_order(inner.chain.head.id, &records)?;
        for record in &records {
            let head = inner.chain.head.then(record.id, &record.body);
            inner.heads.push_back(head);
            inner.chain.head = head;
        }
        inner.records.extend(records);
        if !inner.is_held {
            self.advance(inner.chain.head.id);
        }
        Ok(())
    }

    fn open(&self) -> Result<MutexGuard<'_, Inner>, Error> {
        let inner = self.lock();
        if inner.is_closed { Err(Error::Closed) } else { Ok(inner) }
    }

    fn read_now(&self, after: EventId, limit: usize, filter: &Filter) -> Result<Page, Error> {
        let mut inner = self.open()?;
        if let Some(error) = inner.fail_next_reads.pop_front() {
            return Err(error);
        }
        let mut page = Page { scanned: after, ..Page::default() };
        for record in inner.after(after).take(SCAN_LIMIT) {
            page.first.get_or_insert(record.id);
            page.scanned = record.id;
            if filter.matches(&record.kind, record.pipeline.as_deref(), record.tier.as_deref(), record.run) {
                page.records.push(record.clone());
                if page.records.len() >= limit.max(1) {
                    break;
                }
            }
        }
        Ok(page)
    }

    fn forget_now(&self, id: EventId, checkpoint: Checkpoint) -> Result<EventId, Error> {
        let mut inner = self.open()?;
        let id = id.min(EventId(checkpoint.id.0 + 1));
        if id <= inner.oldest() {
            return Ok(inner.oldest());
        }
        inner.checkpoint = Some(checkpoint);
        while inner.records.len() > 1 && inner.records.front().is_some_and(|record| record.id < id) {
            inner.records.pop_front();
            inner.chain.before = inner.heads.pop_front().expect("BUG: a record without its value");
        }
        Ok(inner.oldest())
    }
}

impl Inner {
    fn oldest(&self) -> EventId {
        self.records.front().map_or(EventId(1), |record| record.id)
    }

    fn after(&self, after: EventId) -> impl Iterator<Item = &Record> {
        self.records.range(self.records.partition_point(|record| record.id <= after)..)
    }
}

impl Journal for MemoryJournal {
    fn append(&self, records: Vec<Record>) -> BoxFuture<'static, Result<(), Error>> {
        ready(self.append_now(records)).boxed()
    }

    fn durable(&self) -> watch::Receiver<Watermark> {
        self.durable.subscribe()
    }

    fn last_id(&self) -> EventId {
        self.lock().chain.head.id
    }

    fn oldest_id(&self) -> EventId {
        self.lock().oldest()
    }

    fn chain(&self) -> Chain {
        self.lock().chain
    }

    fn read(&self, after: EventId, limit: usize, filter: &Filter) -> BoxFuture<'static, Result<Page, Error>> {
        ready(self.read_now(after, limit, filter)).boxed()
    }

    fn last_below(&self, id: EventId) -> BoxFuture<'static, Result<EventId, Error>> {
        let last = self.open().map(|inner| {
            let below = inner.records.partition_point(|record| record.id < id);
            below.checked_sub(1).map_or(EventId(0), |at| inner.records[at].id)
        });
        ready(last).boxed()
    }

    fn for_each(
        &self,
        after: EventId,
        each: &mut dyn FnMut(Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Copied first: the callback may ask this journal something.
        let records: Vec<Record> = self.open()?.after(after).cloned().collect();
        records.into_iter().try_for_each(each)
    }

    fn forget_before(
        &self,
        id: EventId,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'static, Result<EventId, Error>> {
        ready(self.forget_now(id, checkpoint)).boxed()
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        Ok(self.open()?.checkpoint.clone())
    }

    fn meta_get(&self, key: &str) -> BoxFuture<'static, Result<Option<String>, Error>> {
        let get = self.open().and_then(|mut inner| match inner.fail_next_meta.pop_front() {
            Some(error) => Err(error),
            None => Ok(inner.meta.get(key).cloned()),
        });
        ready(get).boxed()
    }

    fn meta_set(&self, key: &str, value: &str) -> BoxFuture<'static, Result<(), Error>> {
        let set = self.open().map(|mut inner| drop(inner.meta.insert(key.to_owned(), value.to_owned())));
        ready(set).boxed()
    }

    fn size_bytes(&self) -> Result<u64, Error> {
        Ok(self.open()?.records.iter().map(|record| record.body.len() as u64).sum())
    }

    fn close(&self) -> BoxFuture<'static, Result<(), Error>> {
        let mut inner = self.lock();
        if !inner.is_closed {
            inner.is_closed = true;
            let last = inner.chain.head.id;
            inner.meta.insert(META_CLEAN_STOP.to_owned(), last.to_string());
            self.advance(last);
        }
        ready(self.failed().map_or(Ok(()), Err)).boxed()
    }
}
