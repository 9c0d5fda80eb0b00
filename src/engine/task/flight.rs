//! What should be in flight and what is: what is missing begins, what is not wanted any more is stopped.

use super::*;

impl Loop {
    /// Begins what should be in flight for a pipeline and is not, and stops what is and should not be.
    pub(super) async fn reconcile(
        &mut self,
        name: &PipelineName,
        now: Time,
        disk_full: bool,
    ) -> Result<(), journal::Error> {
        let open = self.draining.is_none();
        let flying = self.in_flight.get(name).cloned().unwrap_or_default();
        let (wanted, unwanted) = self.look(|state| {
            let runs = state.running.iter().filter(|(_, place)| place.pipeline == *name);
            let runs = runs.map(|(run, _)| Effect::Run(*run));
            let preparation = state.pipelines.get(name).filter(|_| open);
            let preparation = preparation.and_then(|p| preparations(p, name, now));
            let preparation =
                preparation.filter(|effect| !disk_full || !matches!(effect, Effect::Prepare(..)));
            // A pipeline may have got another name while something of it runs.
            let flies = |effect: &Effect| self.in_flight.values().any(|flying| flying.contains(effect));
            let missing = runs.chain(preparation).filter(|effect| !flies(effect));
            let unwanted = flying.iter().filter(|effect| !is_wanted(state, effect, now));
            (missing.collect::<Vec<_>>(), unwanted.cloned().collect::<Vec<_>>())
        });
        for effect in wanted {
            self.in_flight.entry(name.clone()).or_default().insert(effect.clone());
            if self.waits_for_durability(&effect) {
                let last = self.look(|state| state.last);
                self.deploys.push_back((last, effect));
            } else {
                self.begin_effect(effect);
            }
        }
        for effect in unwanted {
            if self.stopping.insert(effect.clone()) {
                self.parts.interpreter.stop(&effect, StopCause::Canceled);
            }
        }
        if !self.deploys.is_empty() {
            self.begin_durable_deploys().await?;
        }
        Ok(())
    }

    pub(super) fn waits_for_durability(&self, effect: &Effect) -> bool {
        let Effect::Run(run) = effect else { return false };
        self.look(|state| {
            let place = state.running.get(run);
            place.is_some_and(|place| {
                matches!(
                    place.task,
                    RunTask::Deploy(_, _, DeployMode::Deploy | DeployMode::Rollback | DeployMode::Redeploy)
                )
            })
        })
    }

    pub(super) fn begin_effect(&self, effect: Effect) {
        let work = self.look(|state| work(state, &effect));
        let Some(work) = work else {
            tracing::error!(?effect, "BUG: an effect that cannot be described");
            return;
        };
        self.parts.interpreter.begin(effect, work);
    }

    pub(super) async fn begin_durable_deploys(&mut self) -> Result<(), journal::Error> {
        let upto = match &*self.parts.journal.durable().borrow() {
            Watermark::Durable(upto) => *upto,
            Watermark::Failed(error) => return Err(error.clone()),
        };
        while let Some((_, effect)) = self.deploys.pop_front_if(|(id, _)| *id <= upto) {
            if self.stopping.contains(&effect) || self.interrupted {
                let Effect::Run(run) = effect else { continue };
                let why = if self.interrupted { Failure::Interrupted } else { Failure::Canceled };
                let result = Err((why, "it was ended before it began".to_owned()));
                let ended = Command::DeployEnded { run, result, log_ref: None };
                self.note_end(&ended).await?;
                self.backlog.push_back(ended);
            } else {
                self.begin_effect(effect);
            }
        }
        if self.trouble.is_none() && !self.backlog.is_empty() {
            Box::pin(self.work_off()).await?;
        }
        Ok(())
    }
}
