//! Reports on their way out through a bounded channel, so that a slow consumer costs neither memory nor the step.
//! Leaves to [`super::run`] what is reported.

use super::{Bytes, Report};
use crate::domain::RunId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// How long a full channel holds the step's output back before chunks are left out.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon a full channel is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(2);

/// The reports of one run that wait for room. Chunks of output are the only ones that may ever be left out, and they
/// are when the consumer took nothing for [`PATIENCE`].
pub(super) struct Outbox {
    pub(super) run: RunId,
    channel: Sender<Report>,
    waiting: VecDeque<Report>,
    /// Since when the channel is full.
    full_since: Option<Instant>,
    /// The consumer stalled: chunks go only where there is room at once.
    stalled: bool,
    /// Of lines and warnings so far.
    said: u32,
}

impl Outbox {
    pub(super) fn new(run: RunId, channel: Sender<Report>) -> Self {
        Self { run, channel, waiting: VecDeque::new(), full_since: None, stalled: false, said: 0 }
    }

    /// Sends a chunk of output, or keeps it for a while.
    pub(super) fn output(&mut self, offset: u64, bytes: Bytes) {
        let report = Report::Output { run: self.run, offset, bytes };
        if self.stalled && !self.waiting.is_empty() {
            return;
        }
        self.put(report);
        if self.stalled {
            self.waiting.retain(|report| !matches!(report, Report::Output { .. }));
        }
    }

    /// Sends a report that must arrive, or keeps it until it can.
    pub(super) fn put(&mut self, report: Report) {
        self.waiting.push_back(report);
        self.flush();
    }

    pub(super) fn warn(&mut self, message: String) {
        let number = self.count();
        self.put(Report::Warning { run: self.run, message, number });
    }

    /// Sends a line that the step said.
    pub(super) fn line(&mut self, line: Vec<u8>) {
        let number = self.count();
        self.put(Report::StepLine { run: self.run, line, number });
    }

    fn count(&mut self) -> u32 {
        let number = self.said;
        self.said += 1;
        number
    }

    /// Sends what the channel takes without waiting.
    pub(super) fn flush(&mut self) {
        while let Some(report) = self.waiting.pop_front() {
            match self.channel.try_send(report) {
                Ok(()) => (self.stalled, self.full_since) = (false, None),
                Err(TrySendError::Closed(_)) => self.waiting.clear(),
                Err(TrySendError::Full(report)) => {
                    self.waiting.push_front(report);
                    self.lose_patience();
                    return;
                }
            }
        }
        self.full_since = None;
    }

    fn lose_patience(&mut self) {
        let since = *self.full_since.get_or_insert_with(Instant::now);
        if !self.stalled && since.elapsed() >= PATIENCE {
            self.stalled = true;
            self.waiting.retain(|report| !matches!(report, Report::Output { .. }));
        }
    }

    /// Whether something waits for room.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether reading more output must wait for the consumer.
    pub(super) fn holds_output(&self) -> bool {
        self.is_behind() && !self.stalled
    }

    /// Waits until output may be read on: for the consumer, or until it counts as stalled.
    pub(super) fn wait_for_room(&mut self) {
        while self.holds_output() {
            std::thread::sleep(RETRY);
            self.flush();
        }
    }

    /// Sends the last report, after all that waits, however long the consumer takes.
    pub(super) fn finish(mut self, last: Report) {
        self.waiting.push_back(last);
        for report in self.waiting {
            if self.channel.blocking_send(report).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::channel;

    fn chunk(outbox: &mut Outbox, offset: u64) {
        outbox.output(offset, Bytes::from_static(b"x"));
    }

    #[test]
    fn a_stalled_consumer_loses_chunks_and_nothing_else() {
        let (sender, mut receiver) = channel(1);
        let mut outbox = Outbox::new(RunId(1), sender);
        chunk(&mut outbox, 0);
        chunk(&mut outbox, 1);
        assert!(outbox.holds_output());
        outbox.warn("kept".into());
        outbox.wait_for_room();
        for offset in 2..1000 {
            chunk(&mut outbox, offset);
        }
        assert_eq!(outbox.waiting.len(), 1);
        assert!(matches!(receiver.try_recv(), Ok(Report::Output { offset: 0, .. })));
        outbox.flush();
        assert!(!outbox.is_behind());
        assert!(matches!(receiver.try_recv(), Ok(Report::Warning { .. })));
        chunk(&mut outbox, 1000);
        assert!(matches!(receiver.try_recv(), Ok(Report::Output { offset: 1000, .. })));
    }

    #[test]
    fn a_closed_channel_holds_nothing() {
        let (sender, receiver) = channel(1);
        drop(receiver);
        let mut outbox = Outbox::new(RunId(1), sender);
        chunk(&mut outbox, 0);
        assert!(!outbox.is_behind());
        outbox.finish(Report::Warning { run: RunId(1), message: String::new(), number: 0 });
    }
}
