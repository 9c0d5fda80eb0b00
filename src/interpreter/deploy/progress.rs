//! How far uploads to a node are, said now and then.

use crate::domain::RunId;
use crate::domain::event::StepSaid;
use crate::interpreter::task::Task;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is smaller than so many bytes is there before anybody asks.
const WORTH_TELLING: u64 = 8 * 1024 * 1024;
/// How often it is looked at, and by how many per cent it must have grown to be told.
const LOOK: Duration = Duration::from_millis(500);
const STEP: u64 = 10;

/// The uploads of one deploy.
pub(super) struct Progress {
    total: u64,
    done: AtomicU64,
}

impl Progress {
    /// Of uploads of so many bytes together.
    pub(super) fn new(total: u64) -> Progress {
        Progress { total, done: AtomicU64::new(0) }
    }

    /// So many bytes more are done, or need not be.
    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn percent(&self) -> u64 {
        self.done.load(Ordering::Relaxed).saturating_mul(100).checked_div(self.total).unwrap_or(100).min(100)
    }

    /// Tells it until it is dropped.
    pub(super) async fn tell(&self, task: &Task, run: RunId) {
        if self.total < WORTH_TELLING {
            return std::future::pending().await;
        }
        let mut told = 0;
        loop {
            tokio::time::sleep(LOOK).await;
            let percent = self.percent();
            if percent >= told + STEP {
                told = percent;
                let note = Some("uploading".to_owned());
                task.say(run, StepSaid::Progress { percent: percent as f64, note }).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_says_more_than_all() {
        let progress = Progress::new(200);
        progress.add(50);
        assert_eq!(progress.percent(), 25);
        progress.add(500);
        assert_eq!(progress.percent(), 100);
        assert_eq!(Progress::new(0).percent(), 100);
    }
}
