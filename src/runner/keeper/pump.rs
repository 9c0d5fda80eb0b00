//! What a keeper tells of one run, on its way to whoever wanted it. It waits here, in bounds however long that takes:
//! output that waits is only remembered by its place in the log, and read from there when there is room.

use crate::domain::RunId;
use crate::runner::{Bytes, Exit, Report};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

/// Most that is read from the log at once.
const PIECE: u64 = 64 << 10;
/// How long a consumer that takes nothing is waited for before chunks are left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that was told.
pub(super) enum Item {
    /// The log has these bytes there.
    Bytes(u64, Bytes),
    /// The log has so many bytes there.
    Range(u64, u64),
    /// A line.
    Line(u32, Vec<u8>),
    /// A warning.
    Warning(u32, String),
    /// The end.
    Exited(Exit),
}

/// What waits.
#[derive(Default)]
pub(super) struct Pending {
    items: Mutex<VecDeque<Item>>,
    added: Notify,
}

impl Pending {
    pub(super) fn put(&self, item: Item) {
        let mut items = self.items();
        match (items.back_mut(), &item) {
            // One place for both, and no bytes.
            (Some(last), Item::Bytes(..) | Item::Range(..))
                if last.end() == item.begin() && last.end().is_some() =>
            {
                let begin = last.begin().expect("BUG: what has an end has a beginning");
                let end = item.end().expect("BUG: it is output");
                *last = Item::Range(begin, end - begin);
            }
            _ => items.push_back(item),
        }
        drop(items);
        self.added.notify_one();
    }

    async fn next(&self) -> Item {
        loop {
            if let Some(item) = self.items().pop_front() {
                return item;
            }
            self.added.notified().await;
        }
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Item {
    fn begin(&self) -> Option<u64> {
        match self {
            Item::Bytes(offset, _) | Item::Range(offset, _) => Some(*offset),
            _ => None,
        }
    }

    fn end(&self) -> Option<u64> {
        match self {
            Item::Bytes(offset, bytes) => Some(offset + bytes.len() as u64),
            Item::Range(offset, length) => Some(offset + length),
            _ => None,
        }
    }
}

/// Passes on what comes, until the end. A consumer that has gone hears nothing, and the end is waited for all the same.
pub(super) async fn pass_on(run: RunId, log: PathBuf, pending: Arc<Pending>, reports: Sender<Report>) {
    let mut to = Consumer { run, log, reports, is_stalled: false };
    loop {
        match pending.next().await {
            Item::Bytes(offset, bytes) => to.output(offset, bytes).await,
            Item::Range(offset, length) => to.range(offset, length).await,
            Item::Line(number, line) => to.tell(Report::StepLine { run, line, number }).await,
            Item::Warning(number, message) => to.tell(Report::Warning { run, message, number }).await,
            Item::Exited(exit) => return to.tell(Report::Exited { run, exit }).await,
        }
    }
}

struct Consumer {
    run: RunId,
    log: PathBuf,
    reports: Sender<Report>,
    /// It took nothing for too long: chunks go only where there is room at once.
    is_stalled: bool,
}

impl Consumer {
    async fn tell(&mut self, report: Report) {
        // One that has gone needs nothing.
        let _ = self.reports.send(report).await;
        self.is_stalled = false;
    }

    async fn range(&mut self, offset: u64, length: u64) {
        let (mut at, end) = (offset, offset + length);
        while at < end && !self.reports.is_closed() {
            let (log, wanted) = (self.log.clone(), PIECE.min(end - at));
            let read = tokio::task::spawn_blocking(move || read_at(&log, at, wanted)).await;
            let Ok(Ok(bytes)) = read else { return };
            if bytes.is_empty() {
                return;
            }
            let length = bytes.len() as u64;
            self.output(at, bytes.into()).await;
            if self.is_stalled {
                // It is in the log; whoever looks finds it there.
                return;
            }
            at += length;
        }
    }

    async fn output(&mut self, offset: u64, bytes: Bytes) {
        let report = Report::Output { run: self.run, offset, bytes };
        if self.is_stalled {
            self.is_stalled = self.reports.try_send(report).is_err();
            return;
        }
        self.is_stalled = self.reports.send_timeout(report, PATIENCE).await.is_err();
    }
}

fn read_at(log: &Path, at: u64, wanted: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
    let read = File::open(log)?.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::channel;

    #[tokio::test]
    async fn output_that_waits_is_one_place_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "0123456789").unwrap();
        let pending = Arc::new(Pending::default());
        pending.put(Item::Bytes(2, Bytes::from_static(b"23")));
        pending.put(Item::Range(4, 3));
        pending.put(Item::Line(0, b"said".to_vec()));
        pending.put(Item::Bytes(7, Bytes::from_static(b"7")));
        assert_eq!(pending.items().len(), 3);
        let exit = Exit::without_process(crate::runner::How::Code(0));
        pending.put(Item::Exited(exit));
        let (sender, mut reports) = channel(8);
        pass_on(RunId(1), log, pending, sender).await;
        let mut told = Vec::new();
        while let Some(report) = reports.recv().await {
            told.push(match report {
                Report::Output { offset, bytes, .. } => {
                    format!("{offset} {}", String::from_utf8_lossy(&bytes))
                }
                Report::StepLine { .. } => "line".into(),
                Report::Exited { .. } => "end".into(),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(told, ["2 23456", "line", "7 7", "end"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_consumer_that_takes_nothing_loses_chunks_and_nothing_else() {
        let pending = Arc::new(Pending::default());
        pending.put(Item::Line(0, b"first".to_vec()));
        pending.put(Item::Bytes(0, Bytes::from_static(b"x")));
        pending.put(Item::Line(1, b"second".to_vec()));
        pending.put(Item::Exited(Exit::without_process(crate::runner::How::Code(0))));
        let (sender, mut reports) = channel(1);
        let passing = tokio::spawn(pass_on(RunId(1), "/nowhere".into(), pending, sender));
        tokio::time::sleep(PATIENCE * 2).await;
        let mut kinds = Vec::new();
        while let Some(report) = reports.recv().await {
            kinds.push(std::mem::discriminant(&report));
        }
        passing.await.unwrap();
        assert_eq!(kinds.len(), 3);
    }
}
