//! What one notice still has to be told, and telling it: one task, one event at a time, in order. The queue is the
//! journal between the last event that was done and the last that is due.

use super::codes;
use super::patience::{Patience, Sent, is_over};
use super::rule::Rule;
use super::sending::Sending;
use super::tally::Tally;
use crate::clock::chance;
use crate::domain::{EventId, Time};
use crate::journal::{Journal, Page, Record};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Most records read at once.
const PAGE: usize = 16;
/// Pause after the journal could not be read.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a try that is under way may still take when the controller stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a queue is to do.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// The notice as it is now.
    pub(super) rule: Arc<Rule>,
    /// The last durable event that it is to be told of.
    pub(super) due: EventId,
}

/// One queue at work.
pub(super) struct Queue {
    /// Which one.
    pub(super) number: u64,
    /// Closed: the notice is gone.
    pub(super) orders: watch::Receiver<Orders>,
    /// The last event that is done with. Read by the courier.
    pub(super) done: Arc<AtomicU64>,
    /// Said whenever that changes.
    pub(super) progress: Arc<Notify>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) sending: Arc<Sending>,
    pub(super) tally: Tally,
    /// When this controller began to tell.
    pub(super) began: Time,
    pub(super) stop: CancellationToken,
}

/// How dealing with one event came out.
enum Dealt {
    /// It was taken, or given up.
    Done,
    /// The notice is another one now: look again.
    Changed,
    /// There is nothing more to do.
    Over,
}

impl Queue {
    /// Tells what is due until the notice is gone or the controller stops.
    pub(super) async fn work(mut self) {
        let mut patience = Patience::default();
        loop {
            let orders = self.orders.borrow_and_update().clone();
            if self.done() >= orders.due {
                let stop = self.stop.clone();
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = self.orders.changed() => if changed.is_err() { break },
                }
                continue;
            }
            match self.journal.read(self.done(), PAGE, &orders.rule.filter).await {
                Ok(page) => match self.deal_with(&orders, page, &mut patience).await {
                    Dealt::Done => {}
                    Dealt::Changed => patience = Patience::default(),
                    Dealt::Over => break,
                },
                Err(error) => {
                    tracing::warn!(code = codes::JOURNAL, "{}: failed to {error}", orders.rule);
                    let stop = self.stop.clone();
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
        self.tally.leave(self.number);
    }

    fn done(&self) -> EventId {
        EventId(self.done.load(Ordering::Acquire))
    }

    fn advance(&self, to: EventId) {
        if self.done() < to {
            self.done.store(to.0, Ordering::Release);
            self.progress.notify_one();
        }
    }

    /// Tells a page, as far as it is due: what comes after may not be durable yet.
    async fn deal_with(&mut self, orders: &Orders, page: Page, patience: &mut Patience) -> Dealt {
        let after = self.done();
        if let Some((from, to)) = gap(after, page.first, orders.due) {
            let help = "retention was shorter than the receiver was away";
            tracing::warn!(
                code = codes::GAP,
                help,
                "{}: the events from {from} to {to} are gone before they could be told",
                orders.rule
            );
        }
        let rule = &orders.rule;
        let is_wanted = |r: &&Record| rule.wants(r.id, &r.kind, r.pipeline.as_deref(), r.tier.as_deref());
        let due = page.records.iter().filter(|record| record.id <= orders.due);
        for record in due.filter(is_wanted) {
            match self.tell(&orders.rule, record, patience).await {
                Dealt::Done => self.advance(record.id),
                other => return other,
            }
        }
        // Nothing there any more: what is due has gone.
        let looked_at = if page.first.is_none() { orders.due } else { page.scanned.min(orders.due) };
        self.advance(looked_at);
        Dealt::Done
    }

    /// Tells one event, as often as it takes.
    async fn tell(&mut self, rule: &Arc<Rule>, record: &Record, patience: &mut Patience) -> Dealt {
        loop {
            let sent = {
                let sending = self.sending.clone();
                let mut try_it = pin!(sending.send(rule, record));
                let stop = self.stop.clone();
                tokio::select! {
                    sent = &mut try_it => sent,
                    dealt = self.another_rule(rule) => return dealt,
                    () = stop.cancelled() => match tokio::time::timeout(LAST_WORDS, try_it).await {
                        Ok(Sent::Taken) => Sent::Taken,
                        // It is told again by the next controller.
                        _ => return Dealt::Over,
                    },
                }
            };
            let pause = match sent {
                Sent::Taken => {
                    *patience = Patience::default();
                    self.tally.delivered(self.number);
                    return Dealt::Done;
                }
                Sent::Never { why, help } => {
                    self.give_up(rule, record, &why, help);
                    return Dealt::Done;
                }
                Sent::Later { why, after } => {
                    let now = self.sending.clock.now();
                    if is_over(at(record), self.began, now) {
                        self.give_up(rule, record, &why, "it was tried for a day; mend the receiver");
                        return Dealt::Done;
                    }
                    let pause = patience.pause(after, chance());
                    self.tally.failed(self.number, record.id, now, &why);
                    self.say_failure(rule, record, &why, pause, patience.failures());
                    pause
                }
            };
            let stop = self.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                dealt = self.another_rule(rule) => return dealt,
                () = stop.cancelled() => return Dealt::Over,
            }
        }
    }

    /// Resolves when the notice is gone or another one; that more is due is no reason.
    async fn another_rule(&mut self, rule: &Arc<Rule>) -> Dealt {
        loop {
            if self.orders.changed().await.is_err() {
                return Dealt::Over;
            }
            if !Arc::ptr_eq(&self.orders.borrow_and_update().rule, rule) {
                return Dealt::Changed;
            }
        }
    }

    fn give_up(&self, rule: &Rule, record: &Record, why: &str, help: &str) {
        self.tally.given_up(self.number);
        let (id, kind) = (record.id, &record.kind);
        tracing::warn!(code = codes::GIVEN_UP, help, "{rule}: gave up event {id} (`{kind}`): {why}");
    }

    /// The first failure in a row is worth a warning; the rest would only repeat it.
    fn say_failure(&self, rule: &Rule, record: &Record, why: &str, pause: Duration, failures: u32) {
        let (id, kind, code) = (record.id, &record.kind, codes::TRIED_AGAIN);
        if failures == 1 {
            tracing::warn!(code, "{rule}: event {id} (`{kind}`) is tried again in {pause:.1?}: {why}");
        } else {
            tracing::debug!(
                code,
                failures,
                "{rule}: event {id} (`{kind}`) is tried again in {pause:.1?}: {why}"
            );
        }
    }
}

fn at(record: &Record) -> Time {
    Time::from_timestamp_micros(record.at_us).unwrap_or_default()
}

/// The events that retention took: those between the last that is done and the first that is left; none is left: all that
/// are due.
fn gap(done: EventId, first: Option<EventId>, due: EventId) -> Option<(u64, u64)> {
    let first = first.map_or(due.0 + 1, |first| first.0);
    (first > done.0 + 1).then(|| (done.0 + 1, first - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retention_took_is_named() {
        let gap = |done, first: Option<u64>, due| gap(EventId(done), first.map(EventId), EventId(due));
        assert_eq!(gap(7, Some(1), 9), None, "nothing was taken");
        assert_eq!(gap(7, Some(8), 9), None, "only what is done");
        assert_eq!(gap(7, Some(9), 12), Some((8, 8)));
        assert_eq!(gap(7, Some(900), 1000), Some((8, 899)));
        assert_eq!(gap(7, None, 9), Some((8, 9)), "all of it");
        assert_eq!(gap(9, None, 9), None);
    }
}
