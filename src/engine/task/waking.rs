//! What time alone brings: moments that were waited for, a journal that is tried again, the end of draining.

use super::*;

impl Loop {
    /// Sleeps until something is due by time alone; for ever when nothing is.
    pub(super) async fn sleep(&self) {
        let mut due: Option<Instant> = self.trouble;
        if !self.interrupted {
            let patience = self.patience.filter(|_| self.trouble.is_some() && self.has_landed());
            due = [due, self.draining, patience].into_iter().flatten().min();
        }
        if self.trouble.is_none() {
            due = [due, self.disk_again].into_iter().flatten().min();
        }
        if self.trouble.is_none()
            && let Some(wake) = self.wakes.values().min()
        {
            let left = (*wake - self.now()).to_std().unwrap_or_default().min(LONGEST_SLEEP);
            due = [due, Some(Instant::now() + left)].into_iter().flatten().min();
        }
        match due {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn wake(&mut self) -> Result<(), journal::Error> {
        let instant = Instant::now();
        let is_late = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= instant);
        let is_tired = self.trouble.is_some() && self.has_landed() && is_late(self.patience);
        if is_late(self.draining) || is_tired {
            self.interrupt();
        }
        if let Some(at) = self.trouble {
            if at <= instant {
                self.trouble = None;
                self.work_off().await?;
            }
            if self.trouble.is_none() {
                tracing::info!("the journal takes events again");
                self.signs.refusing.send_replace(None);
                self.signs.ready.send_replace(self.draining.is_none());
            }
            return Ok(());
        }
        let now = self.now();
        let due: Vec<PipelineName> =
            self.wakes.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.wakes.remove(&name);
            self.mark([name]);
        }
        self.follow().await
    }

    /// The time for draining is over: what still runs is ended.
    pub(super) fn interrupt(&mut self) {
        if std::mem::replace(&mut self.interrupted, true) {
            return;
        }
        for effect in self.in_flight.values().flatten().filter(|effect| !self.is_left(effect)) {
            self.parts.interpreter.stop(effect, StopCause::Interrupted);
        }
    }

    /// Whether nothing is in flight that is waited for.
    fn has_landed(&self) -> bool {
        self.in_flight.values().flatten().all(|effect| self.is_left(effect))
    }

    /// Whether it goes on when the controller has ended.
    fn is_left(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Run(run) => self.leaves && self.look(|state| outlives(state, *run)),
            Effect::Prepare(_) | Effect::Collect(_) => false,
        }
    }

    pub(super) fn has_drained(&self) -> bool {
        self.draining.is_some() && self.has_landed() && (self.backlog.is_empty() || self.interrupted)
    }
}
