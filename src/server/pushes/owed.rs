//! Looks that are owed: to forges, where a delivery was taken and git could not say in time where the ref stands, and to
//! schedules whose time has come (`scheduled`). That is in the journal before the forge is answered, so a crash loses none;
//! whoever begins next looks again.
//!
//! For each pipeline there is one look under way at most, which takes all its refs that are owed at that moment. What is
//! told meanwhile is owed once for each ref, however often it is told. Where looking fails it is tried again, more and
//! more seldom, up to once an hour, until it succeeds or the pipeline is built from another repository. Where only room in the
//! queue is missing it is tried every few seconds.
//!
//! Known race: a crash after what followed was journaled and before `look_done` was. Then it is looked at once more, and
//! the ref stands where it was last seen.

use super::look::{Delivered, LookError};
use super::{AT_ONCE, Pushes};
use crate::domain::state::{OwedLook, PipelineState};
use crate::domain::{Actor, Command, EventId, PipelineName, RefName, Rejection, Role, Sha};
use crate::engine::Refusal;
use crate::printable;
use futures_util::StreamExt;
use futures_util::stream::iter;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The first pause after a look that failed, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));

/// What is known of looks that are owed, beside what the journal says.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// The newest `look_owed` of each pipeline whose look has begun.
    begun: Mutex<BTreeMap<PipelineName, EventId>>,
    /// Another one is owed.
    news: Notify,
}

impl Owed {
    fn begun(&self) -> MutexGuard<'_, BTreeMap<PipelineName, EventId>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pushes {
    /// Has it journaled that a ref is to be looked at for these pipelines. From then on nothing but a look lets it go.
    ///
    /// # Errors
    /// The engine did not take it.
    pub(in crate::server) async fn owe(
        &self,
        by: &Actor,
        pipelines: &[PipelineName],
        ref_name: &RefName,
        sha: &str,
    ) -> Result<(), Refusal> {
        let pipelines = {
            let begun = self.owed.begun();
            pipelines.iter().map(|name| (name.clone(), begun.get(name).copied())).collect()
        };
        let command =
            Command::OweLooks { by: by.clone(), pipelines, ref_name: ref_name.clone(), sha: Sha::from(sha) };
        self.engine.ask(command).await?;
        self.owed.news.notify_one();
        Ok(())
    }

    /// Looks at what is owed, whoever owed it, until it is told to end.
    pub(in crate::server) async fn pay(self, end: CancellationToken) {
        let mut payer = Payer { pushes: self, looks: JoinSet::new(), pipelines: BTreeMap::new() };
        tokio::select! {
            () = end.cancelled() => {}
            () = payer.work() => {}
        }
    }

    /// Looks at everything that is owed for a pipeline, and says what is done.
    async fn look_at_owed(&self, pipeline: &PipelineName) -> Result<(), LookError> {
        let Some(candidate) = self.candidates(None).into_iter().find(|it| it.name == *pipeline) else {
            return Ok(());
        };
        let owed = self.begin_owed(pipeline);
        let looks = iter(owed).map(async |(ref_name, look)| {
            // Git is not asked what follows while nothing can.
            if !self.has_room_for(pipeline, &ref_name) {
                return Err(Refusal::Rejected(Rejection::QueueFull(pipeline.clone())).into());
            }
            let by = Actor { name: look.by, role: Role::Trigger, email: None };
            let told = Delivered { ref_name: &ref_name, after: None, before: None };
            let answer = self.look(&by, &candidate, &told).await?;
            let reason = answer.ignored.into_iter().next().map(|ignored| ignored.reason);
            let (pipeline, owed) = (pipeline.clone(), look.id);
            self.engine.ask(Command::LookDone { pipeline, ref_name, owed, reason }).await?;
            Ok(())
        });
        let looks: Vec<Result<(), LookError>> = looks.buffer_unordered(AT_ONCE).collect().await;
        looks.into_iter().collect()
    }

    /// Whether what is found at a ref of a pipeline may wait to be built, or take the place of what waits.
    fn has_room_for(&self, pipeline: &PipelineName, ref_name: &RefName) -> bool {
        self.engine.read(|state| {
            let takes = |p: &PipelineState| {
                p.has_room() || p.queue.iter().any(|asked| asked.ref_name.as_ref() == Some(ref_name))
            };
            state.pipeline(pipeline).is_none_or(takes)
        })
    }

    /// What is owed for a pipeline now; from here on it has begun.
    fn begin_owed(&self, pipeline: &PipelineName) -> BTreeMap<RefName, OwedLook> {
        let mut begun = self.owed.begun();
        let looks = self.engine.read(|state| state.pipeline(pipeline).map(|p| p.looks.clone()));
        let looks = looks.unwrap_or_default();
        if let Some(newest) = looks.values().map(|look| look.id).max() {
            begun.insert(pipeline.clone(), newest);
        }
        looks
    }
}

/// Who pays what is owed.
struct Payer {
    pushes: Pushes,
    looks: JoinSet<(PipelineName, Result<(), LookError>)>,
    /// Pipelines that are being looked at, or failed.
    pipelines: BTreeMap<PipelineName, Paying>,
}

/// How paying does for one pipeline.
#[derive(Debug, Default)]
struct Paying {
    is_under_way: bool,
    /// Failures in a row.
    failures: u32,
    /// The queue was full the last time, which is said once.
    waits_for_room: bool,
    /// Not before then is it tried again.
    due: Option<Instant>,
}

impl Payer {
    async fn work(&mut self) {
        self.pushes.engine.until_ready().await;
        let mut scheduled = self.pushes.engine.due();
        loop {
            let due = self.begin_due();
            let due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.pushes.owed.news.notified() => {}
                () = times(&mut scheduled) => {}
                () = due => {}
                Some(ended) = self.looks.join_next() => match ended {
                    Ok((pipeline, looked)) => self.ended(pipeline, looked),
                    Err(failed) => std::panic::resume_unwind(failed.into_panic()),
                },
            }
        }
    }

    /// Begins looks that are due, as many as may be under way; when the next one is.
    fn begin_due(&mut self) -> Option<Instant> {
        let owing = self.pushes.engine.read(|state| {
            let owing = state.pipelines.iter().filter(|(_, p)| p.in_force.is_some() && owes(p));
            owing.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        });
        self.pipelines.retain(|name, paying| paying.is_under_way || owing.contains(name));
        let (now, mut next) = (Instant::now(), None::<Instant>);
        for name in owing {
            let paying = self.pipelines.entry(name.clone()).or_default();
            if paying.is_under_way || self.looks.len() >= AT_ONCE {
                continue;
            }
            if let Some(due) = paying.due.filter(|due| *due > now) {
                next = Some(next.map_or(due, |other| other.min(due)));
                continue;
            }
            paying.is_under_way = true;
            let pushes = self.pushes.clone();
            self.looks.spawn(async move {
                let looked = pushes.look_at_owed(&name).await;
                let built = pushes.build_scheduled(&name).await;
                (name, looked.and(built))
            });
        }
        next
    }

    fn ended(&mut self, name: PipelineName, looked: Result<(), LookError>) {
        let paying = self.pipelines.entry(name.clone()).or_default();
        paying.is_under_way = false;
        let Err(error) = looked else {
            *paying = Paying::default();
            return;
        };
        if error.is_for_room() {
            let is_news = !std::mem::replace(&mut paying.waits_for_room, true);
            (paying.failures, paying.due) = (0, Some(Instant::now() + PAUSES.0));
            if is_news {
                let (pipeline, code) = (printable::line(name.as_str()), error.code());
                tracing::warn!(%pipeline, code, "what is owed waits until there is room: failed to {error}");
            }
            return;
        }
        paying.waits_for_room = false;
        let pause = PAUSES.0.saturating_mul(1 << paying.failures.min(16)).min(PAUSES.1);
        paying.failures = paying.failures.saturating_add(1);
        paying.due = Some(Instant::now() + pause);
        let (code, help) = (error.code(), error.help());
        let (pipeline, error) = (name.as_str(), error.to_string());
        let (pipeline, error) = (printable::line(pipeline), printable::line(&error));
        tracing::warn!(
            %pipeline,
            code,
            help,
            "what a forge told of, or a schedule asks for, is looked at again in {pause:?}: failed to {error}"
        );
    }
}

/// Whether a look at its repository is owed.
fn owes(p: &PipelineState) -> bool {
    !p.looks.is_empty() || p.schedules.iter().any(|it| it.owed.is_some())
}

/// Resolves when the time of a schedule has come.
async fn times(scheduled: &mut watch::Receiver<u64>) {
    if scheduled.changed().await.is_err() {
        // The engine has ended: no other time comes.
        std::future::pending().await
    }
}
