//! The loop: one command at a time is decided, journaled, folded and said; then everything follows that follows.
//!
//! Races that are known: a run may end by itself while it is being stopped (whatever its end was is what is
//! journaled); a deploy may lose its reason between the commit of its start and the moment when that is durable (it is
//! then ended as canceled without having begun).

mod flight;
mod follow;
mod waking;

use super::dirty::Dirty;
use super::publish::{self, Outgoing};
use super::{Message, Options, Parts, Receipt, Refusal};
use crate::domain::event::DeployMode;
use crate::domain::outliving::outlives;
use crate::domain::state::Task as RunTask;
use crate::domain::*;
use crate::interpreter::{Report, StopCause};
use crate::journal::{self, Record, Watermark};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// How many frames and answers may wait for durability before the loop waits for them.
const OUTBOX: usize = 1024;

/// The first and the longest pause before the journal is tried again after it refused.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// With a moment to wait for, the clock is looked at this often, so that a step of it is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(300);

/// How long a stop with nothing running waits for a journal that refuses, so that ends that it has not got are kept.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause before a full disk is asked again, while something waits for it.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// What the loop lets others know of itself.
pub(super) struct Signs {
    /// Whether it takes commands.
    pub(super) ready: watch::Sender<bool>,
    /// Why the journal takes nothing, while it does not.
    pub(super) refusing: watch::Sender<Option<journal::Error>>,
    /// Counts builds that ended.
    pub(super) builds: watch::Sender<u64>,
    /// Counts backups that are kept.
    pub(super) backups: watch::Sender<u64>,
    /// Whether something waits for room on the disk.
    pub(super) short: watch::Sender<bool>,
    /// Counts times of schedules that came.
    pub(super) due: watch::Sender<u64>,
}

struct Loop {
    state: Arc<RwLock<State>>,
    parts: PartsInUse,
    options: Options,
    signs: Signs,
    outbox: mpsc::Sender<Outgoing>,
    /// What the interpreter was told to begin and has not ended, by pipeline.
    in_flight: HashMap<PipelineName, HashSet<Effect>>,
    /// What it was told to stop.
    stopping: HashSet<Effect>,
    /// Deploys that begin as soon as that event is durable.
    deploys: VecDeque<(EventId, Effect)>,
    /// When to look at a pipeline again.
    wakes: BTreeMap<PipelineName, Time>,
    /// What the clock said the last time: when it is put back, what was waited for may be another moment now.
    seen: Time,
    /// Pipelines in which something waits for a slot.
    starved: BTreeSet<PipelineName>,
    /// Pipelines in which something waits for room on the disk.
    short_of_disk: BTreeSet<PipelineName>,
    /// Set while something waits for room on the disk: when it is asked again.
    disk_again: Option<Instant>,
    /// Pipelines to be looked at.
    dirty: Dirty,
    /// Reports that could not be kept yet.
    backlog: VecDeque<Command>,
    /// Set while the journal refuses: when it is tried again.
    trouble: Option<Instant>,
    /// How long it is left alone the next time that it refuses.
    pause: Duration,
    /// Set while draining: when what still runs is ended.
    draining: Option<Instant>,
    /// Set while draining: when, with nothing running, a journal that refuses is not waited for any more.
    patience: Option<Instant>,
    /// Whether what runs was told to end because the controller stops.
    interrupted: bool,
    /// Set while draining: what outlives the controller is not waited for.
    leaves: bool,
}

struct PartsInUse {
    journal: Arc<dyn journal::Journal>,
    clock: Arc<dyn crate::clock::Clock>,
    disk: Arc<dyn crate::disk::Disk>,
    interpreter: Arc<dyn crate::interpreter::Interpreter>,
}

/// Runs the engine until it has drained, or cannot go on.
pub(super) async fn run(
    state: Arc<RwLock<State>>,
    parts: Parts,
    options: Options,
    mut messages: mpsc::Receiver<Message>,
    signs: Signs,
) -> Result<(), journal::Error> {
    let (outbox, queue) = mpsc::channel(OUTBOX);
    let mut publisher = tokio::spawn(publish::run(queue, parts.journal.clone(), parts.bus.clone()));
    let mut durable = parts.journal.durable();
    let mut reports = parts.reports;
    let seen = parts.clock.now();
    let mut this = Loop {
        seen,
        state,
        parts: PartsInUse {
            journal: parts.journal,
            clock: parts.clock,
            disk: parts.disk,
            interpreter: parts.interpreter,
        },
        signs,
        options,
        outbox,
        in_flight: HashMap::new(),
        stopping: HashSet::new(),
        deploys: VecDeque::new(),
        wakes: BTreeMap::new(),
        starved: BTreeSet::new(),
        short_of_disk: BTreeSet::new(),
        disk_again: None,
        dirty: Dirty::default(),
        backlog: VecDeque::new(),
        trouble: None,
        pause: PAUSES.0,
        draining: None,
        patience: None,
        interrupted: false,
        leaves: false,
    };
    this.begin().await?;
    loop {
        if this.has_drained() {
            break;
        }
        tokio::select! {
            biased;
            // It ends before us only when a sync failed: nothing is trusted from then on, and nobody need ask first.
            said = &mut publisher => return said.unwrap_or(Err(journal::Error::Closed)),
            changed = durable.changed(), if !this.deploys.is_empty() => {
                if changed.is_err() {
                    break;
                }
                this.begin_durable_deploys().await?;
            }
            Some(report) = reports.recv() => this.report(report).await?,
            Some(message) = messages.recv() => this.message(message).await?,
            () = this.sleep() => this.wake().await?,
        }
        if let Watermark::Failed(error) = &*durable.borrow() {
            return Err(error.clone());
        }
    }
    drop(this);
    match publisher.await {
        Ok(said) => said,
        Err(_) => Err(journal::Error::Closed),
    }
}

impl Loop {
    fn now(&self) -> Time {
        self.parts.clock.now()
    }

    fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first thing said; then everything that should be in flight begins.
    async fn begin(&mut self) -> Result<(), journal::Error> {
        let Options { release, runner, .. } = self.options.clone();
        self.mark(self.look(|state| state.pipelines.keys().cloned().collect::<Vec<_>>()));
        self.take(Command::Started { release, runner }).await?;
        self.signs.ready.send_replace(self.trouble.is_none());
        Ok(())
    }

    async fn message(&mut self, message: Message) -> Result<(), journal::Error> {
        match message {
            Message::Ask(command, reply) => self.ask(command, reply).await,
            Message::Ping(reply) => {
                // Who asked may have gone.
                let _ = reply.send(());
                Ok(())
            }
            Message::Drain { time, leaves } => {
                self.signs.ready.send_replace(false);
                self.leaves = leaves && self.options.runner.is_some();
                if self.draining.is_none() {
                    self.draining = Some(Instant::now() + time);
                    self.patience = Some(Instant::now() + time.min(PATIENCE));
                    let release = self.options.release.clone();
                    return self.take(Command::Stopping { release }).await;
                }
                // A second word means: at once.
                self.draining = Some(Instant::now());
                Ok(())
            }
        }
    }

    /// A command of somebody who waits.
    async fn ask(
        &mut self,
        command: Command,
        reply: oneshot::Sender<Result<Receipt, Refusal>>,
    ) -> Result<(), journal::Error> {
        let now = self.now();
        let decision = match self.look(|state| decide(state, &command, now)) {
            Ok(decision) => decision,
            Err(rejection) => {
                // Who asked may have gone.
                let _ = reply.send(Err(Refusal::Rejected(rejection)));
                return Ok(());
            }
        };
        let answer = decision.answer;
        match self.commit(decision.facts, now).await {
            Ok(ids) => {
                if self.trouble.is_some() && !ids.is_empty() {
                    // The journal takes events again: what waits need not wait for its time.
                    self.trouble = Some(Instant::now());
                }
                let last = self.look(|state| state.last);
                let receipt = Receipt { answer, ids };
                self.send(Outgoing::Answer(last, receipt, reply)).await?;
                self.follow().await
            }
            Err(error) => {
                let _ = reply.send(Err(Refusal::NotKept(error.clone())));
                self.in_trouble(error)
            }
        }
    }

    async fn report(&mut self, report: Report) -> Result<(), journal::Error> {
        match report {
            Report::Output { run, offset, bytes } => {
                let Some(place) = self.look(|state| state.running.get(&run).cloned()) else {
                    return Ok(());
                };
                let at = self.now();
                self.send(Outgoing::Chunk { at, run, place, offset, bytes }).await
            }
            Report::Command(command) => {
                self.note_end(&command).await?;
                if self.interrupted && is_preparation(&command) {
                    // It did not fail: it is asked for again after the restart.
                    return Ok(());
                }
                self.take(command).await
            }
        }
    }

    /// What ends an effect takes it out of flight.
    async fn note_end(&mut self, command: &Command) -> Result<(), journal::Error> {
        let effect = match command {
            Command::RunEnded { run, .. } | Command::DeployEnded { run, .. } => {
                self.send(Outgoing::Ended(*run)).await?;
                Effect::Run(*run)
            }
            Command::Prepared { request, .. } => Effect::Prepare(*request),
            Command::Collected { request, .. } => Effect::Collect(*request),
            _ => return Ok(()),
        };
        self.stopping.remove(&effect);
        let flying = self.in_flight.iter_mut();
        let touched = flying.filter_map(|(name, flying)| flying.remove(&effect).then(|| name.clone()));
        let touched: Vec<PipelineName> = touched.collect();
        self.mark(touched);
        Ok(())
    }

    /// A command that nobody waits for and that must not be lost.
    async fn take(&mut self, command: Command) -> Result<(), journal::Error> {
        self.backlog.push_back(command);
        if self.trouble.is_none() {
            self.work_off().await?;
        }
        Ok(())
    }

    /// Takes what waits, and everything that follows from it.
    async fn work_off(&mut self) -> Result<(), journal::Error> {
        while let Some(command) = self.backlog.front() {
            let now = self.now();
            let decided = self.look(|state| decide(state, command, now));
            let facts = decided.map(|decision| decision.facts).unwrap_or_default();
            if let Err(error) = self.commit(facts, now).await {
                return self.in_trouble(error);
            }
            self.backlog.pop_front();
        }
        self.follow().await
    }

    /// Journals facts, folds them, and queues them to be said. Either all of that happens or nothing.
    async fn commit(&mut self, facts: Vec<Fact>, now: Time) -> Result<Vec<EventId>, journal::Error> {
        if facts.is_empty() {
            return Ok(Vec::new());
        }
        let last = self.look(|state| state.last.0);
        let envelopes: Vec<Envelope> = facts
            .into_iter()
            .zip(last + 1..)
            .map(|(fact, id)| Envelope { id: EventId(id), at: now, fact })
            .collect();
        let records: Vec<Record> = envelopes.iter().map(super::record).collect();
        self.append(&records).await?;
        self.pause = PAUSES.0;
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            envelopes.iter().for_each(|envelope| apply(&mut state, envelope));
        }
        for envelope in &envelopes {
            self.mark(envelope.fact.pipeline.clone());
            if let Event::PipelineLoaded { definition, .. } = &envelope.fact.event {
                self.take_over_flights(definition);
            }
            match envelope.fact.event {
                Event::BuildOk { .. } | Event::BuildFailed { .. } => {
                    self.signs.builds.send_modify(|count| *count += 1);
                }
                Event::ScheduleDue { .. } => self.signs.due.send_modify(|count| *count += 1),
                Event::StepDone { run_id, .. }
                | Event::GateDone { run_id, .. }
                | Event::DeployOk { run_id, .. }
                | Event::DeployFailed { run_id, .. } => {
                    self.parts.interpreter.forget(run_id);
                }
                _ => {}
            }
            if matches!(envelope.fact.event, Event::BackupFetched { sha256: Some(_), .. }) {
                self.signs.backups.send_modify(|count| *count += 1);
            }
        }
        for record in records {
            self.send(Outgoing::Event(record)).await?;
        }
        Ok(envelopes.iter().map(|envelope| envelope.id).collect())
    }

    /// Where the disk is full to the last byte, what is kept in reserve makes room once.
    async fn append(&self, records: &[Record]) -> Result<(), journal::Error> {
        match self.parts.journal.append(records.to_vec()).await {
            Err(journal::Error::Full) => {
                self.signs.short.send_if_modified(|short| !std::mem::replace(short, true));
                let refused = Err(journal::Error::Full);
                if self.parts.disk.give_way() {
                    self.parts.journal.append(records.to_vec()).await
                } else {
                    refused
                }
            }
            appended => appended,
        }
    }

    async fn send(&self, outgoing: Outgoing) -> Result<(), journal::Error> {
        // The publisher ends early only when a sync failed: then the watermark says why.
        match self.outbox.send(outgoing).await {
            Ok(()) => Ok(()),
            Err(_) => Err(match &*self.parts.journal.durable().borrow() {
                Watermark::Failed(error) => error.clone(),
                Watermark::Durable(_) => journal::Error::Closed,
            }),
        }
    }

    /// The journal refuses: nothing begins until it takes something again. Some errors cannot pass.
    fn in_trouble(&mut self, error: journal::Error) -> Result<(), journal::Error> {
        if is_final(&error) {
            return Err(error);
        }
        let pause = self.pause;
        tracing::warn!(code = error.code(), error = %error, "the journal refuses; trying again in {pause:?}");
        self.trouble = Some(Instant::now() + pause);
        self.signs.refusing.send_replace(Some(error));
        self.pause = (pause * 2).min(PAUSES.1);
        Ok(())
    }

    /// These pipelines are to be looked at.
    fn mark(&mut self, names: impl IntoIterator<Item = PipelineName>) {
        for name in names {
            let last_slot = self.look(|state| state.pipelines.get(&name).map(|p| p.last_slot));
            self.dirty.insert(name, last_slot);
        }
    }

    fn free_slots(&self) -> u32 {
        self.look(|state| self.options.jobs.saturating_sub(state.busy_slots))
    }
}

/// What comes before the steps of a build, and after them, and did not come about.
fn is_preparation(command: &Command) -> bool {
    matches!(command, Command::Prepared { label: Err(_), .. } | Command::Collected { artifacts: Err(_), .. })
}

/// Whether trying again cannot help: the process must end, and begin again from disk.
fn is_final(error: &journal::Error) -> bool {
    use journal::Error::*;
    matches!(error, Sync { .. } | Corrupt { .. } | Closed | OutOfOrder { .. })
}
