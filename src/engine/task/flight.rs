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
            let preparation = preparation.and_then(|p| preparations(p, now));
            let preparation =
                preparation.filter(|effect| !disk_full || !matches!(effect, Effect::Prepare(..)));
            let missing = runs.chain(preparation).filter(|effect| !flying.contains(effect));
            let unwanted = flying.iter().filter(|effect| !is_wanted(state, effect, now));
            (missing.collect::<Vec<_>>(), unwanted.cloned().collect::<Vec<_>>())
        });
        for effect in wanted {
            self.in_flight.entry(name.clone()).or_default().insert(effect.clone());
            if self.waits_for_durability(&effect) {
                let last = self.look(|state| state.last);
                self.deploys.push_back((last, effect));
            } else {
                self.begin_effect(effect).await?;
            }
        }
        for effect in unwanted {
            if self.stopping.insert(effect.clone()) {
                self.parts.interpreter.stop(&effect, StopCause::Canceled);
            }
        }
        if !self.deploys.is_empty() || !self.backlog.is_empty() {
            self.begin_durable_deploys().await?;
        }
        Ok(())
    }

    /// What is in flight for a pipeline is so under its new name.
    pub(super) fn take_over_flights(&mut self, loaded: &Pipeline) {
        let gone = |was: &&PipelineName| self.look(|state| !state.pipelines.contains_key(*was));
        if let Some(was) = loaded.was.as_ref().filter(gone)
            && let Some(flying) = self.in_flight.remove(was)
        {
            self.in_flight.entry(loaded.name.clone()).or_default().extend(flying);
        }
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

    /// Begins it. Where nothing says any more how, it has ended without having begun: what waits for its end must not
    /// wait for ever.
    pub(super) async fn begin_effect(&mut self, effect: Effect) -> Result<(), journal::Error> {
        if let Some(work) = self.look(|state| work(state, &effect)) {
            self.parts.interpreter.begin(effect, work);
            return Ok(());
        }
        tracing::error!(?effect, "BUG: an effect that cannot be described");
        let ended = self.look(|state| end_of_unknown(state, &effect));
        self.note_end(&ended).await?;
        self.backlog.push_back(ended);
        Ok(())
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
                self.begin_effect(effect).await?;
            }
        }
        if self.trouble.is_none() && !self.backlog.is_empty() {
            Box::pin(self.work_off()).await?;
        }
        Ok(())
    }
}

/// The end of what could not be begun, because no definition that is kept says how.
fn end_of_unknown(state: &State, effect: &Effect) -> Command {
    let cause = || "no definition says any more how it is done".to_owned();
    match effect {
        Effect::Prepare(request) => Command::Prepared { request: *request, label: Err(cause()) },
        Effect::Collect(request) => Command::Collected { request: *request, artifacts: Err(cause()) },
        Effect::Run(run) => match state.running.get(run).map(|place| &place.task) {
            Some(RunTask::Deploy(..)) => {
                let result = Err((Failure::Unreachable, cause()));
                Command::DeployEnded { run: *run, result, log_ref: None }
            }
            _ => {
                let outcome = Outcome::of(Classification::Infrastructure).saying(cause());
                Command::RunEnded { run: *run, outcome }
            }
        },
    }
}
