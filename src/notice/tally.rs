//! How the notices do, for those who show it: `/metrics`, `/api/state`. Counted since the start of the controller.

use super::rule::Rule;
use crate::domain::{EventId, PipelineName, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How all notices do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Events that receivers took.
    pub delivered: u64,
    /// Tries that failed.
    pub failed_tries: u64,
    /// Events that were given up.
    pub given_up: u64,
    /// Every notice that is in force.
    pub notices: Vec<NoticeState>,
}

/// How one notice does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeState {
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// Its place among the notices of the pipeline, from 1.
    pub number: usize,
    /// Events that its receiver took.
    pub delivered: u64,
    /// Events that were given up.
    pub given_up: u64,
    /// What stands in the way now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// Why a notice does not go on now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// The event that waits.
    pub event: EventId,
    /// Since when.
    pub since: Time,
    /// Tries of it that failed.
    pub tries: u32,
    /// The last error, for people; holds no secret.
    pub error: String,
}

impl Trouble {
    /// One more try, after these with the same event.
    fn after(before: Option<Trouble>, event: EventId, now: Time, error: &str) -> Trouble {
        let before = before.filter(|trouble| trouble.event == event);
        let (since, tries) = before.map_or((now, 0), |trouble| (trouble.since, trouble.tries));
        Trouble { event, since, tries: tries + 1, error: error.into() }
    }
}

/// The counters themselves. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    totals: Notices,
    /// By the number of its queue.
    queues: BTreeMap<u64, NoticeState>,
    /// Why nothing is known of what is to be told.
    unread: Option<Trouble>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A queue has this rule now.
    pub(super) fn enter(&self, queue: u64, rule: &Rule) {
        let mut inner = self.lock();
        let new = NoticeState {
            pipeline: rule.pipeline.clone(),
            number: rule.number,
            delivered: 0,
            given_up: 0,
            trouble: None,
        };
        let entry = inner.queues.entry(queue).or_insert_with(|| new.clone());
        (entry.pipeline, entry.number) = (new.pipeline, new.number);
    }

    /// A queue is gone.
    pub(super) fn leave(&self, queue: u64) {
        self.lock().queues.remove(&queue);
    }

    /// An event was taken.
    pub(super) fn delivered(&self, queue: u64) {
        let mut inner = self.lock();
        inner.totals.delivered += 1;
        if let Some(entry) = inner.queues.get_mut(&queue) {
            entry.delivered += 1;
            entry.trouble = None;
        }
    }

    /// A try failed, and another follows.
    pub(super) fn failed(&self, queue: u64, event: EventId, now: Time, error: &str) {
        let mut inner = self.lock();
        inner.totals.failed_tries += 1;
        if let Some(entry) = inner.queues.get_mut(&queue) {
            let before = entry.trouble.take();
            entry.trouble = Some(Trouble::after(before, event, now, error));
        }
    }

    /// The journal cannot be read for what comes with this event: that is in the way of every notice.
    pub(super) fn unread(&self, event: EventId, now: Time, error: &str) {
        let mut inner = self.lock();
        let before = inner.unread.take();
        inner.unread = Some(Trouble::after(before, event, now, error));
    }

    /// It can be read again.
    pub(super) fn read_again(&self) {
        self.lock().unread = None;
    }

    /// A try failed, and the event is given up.
    pub(super) fn given_up(&self, queue: u64) {
        let mut inner = self.lock();
        inner.totals.failed_tries += 1;
        inner.totals.given_up += 1;
        if let Some(entry) = inner.queues.get_mut(&queue) {
            entry.given_up += 1;
            entry.trouble = None;
        }
    }

    /// As of now.
    pub(super) fn look(&self) -> Notices {
        let inner = self.lock();
        let of_all = |notice: &NoticeState| notice.trouble.clone().or_else(|| inner.unread.clone());
        let each = inner.queues.values();
        let notices = each.map(|notice| NoticeState { trouble: of_all(notice), ..notice.clone() }).collect();
        Notices { notices, ..inner.totals.clone() }
    }
}
