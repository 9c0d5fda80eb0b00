//! The tasks that work beside the engine and the server. Each ends when what it follows ends; one that panics would be
//! missed by nobody until something does not happen, so its end is the controller's: whoever supervises that starts it
//! again, and everything goes on where the journal ends.

use std::collections::HashMap;
use tokio::task::{Id, JoinSet};

/// Tasks at work. Dropped, it ends them.
#[derive(Debug, Default)]
pub(super) struct Background {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Background {
    /// Begins one. The name says for people what it does.
    pub(super) fn begin(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }

    /// What the first one did that panicked; never resolves while none does. Nothing is lost when this is dropped before.
    pub(super) async fn broken(&mut self) -> &'static str {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if let Err(failed) = ended
                && failed.is_panic()
            {
                return self.names.get(&failed.id()).copied().unwrap_or("something");
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn one_that_panics_is_named_and_one_that_ends_is_not() {
        let mut background = Background::default();
        background.begin("counting", async {});
        background.begin("waiting", std::future::pending());
        assert!(timeout(Duration::from_secs(60), background.broken()).await.is_err(), "all is well");
        background.begin("reading", async { panic!("nobody saw it coming") });
        assert_eq!(background.broken().await, "reading");
    }
}
