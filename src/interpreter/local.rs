//! The interpreter of this machine: one task for each effect, and a list of those that are under way.

use super::bounded::Stop;
use super::deploy::{DeployRun, deploy};
use super::gate::{GateRun, gate, step};
use super::piece::Room;
use super::places::Places;
use super::task::{Shop, Task, for_runner};
use super::workspace::Workspaces;
use super::{Interpreter, Report, StopCause, environment, prepare};
use crate::artifact::Store;
use crate::domain::{Classification, Command, Effect, Failure, Job, Outcome, RunId, Work};
use crate::remote::Client;
use crate::runner::Runner;
use crate::settings::StateDir;
use crate::source::Git;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

/// Does the work on this machine, as children of this process.
#[derive(Clone)]
pub struct LocalInterpreter {
    shop: Arc<Shop>,
    under_way: Arc<Mutex<HashMap<Effect, Arc<Stop>>>>,
    runtime: Handle,
}

impl LocalInterpreter {
    /// Works below `state` and tells `reports` what comes of it; a consumer that takes nothing holds up the work, never
    /// the steps. `output_limit`: bytes of a run's output that are kept, unless the step says otherwise. Must be called within a tokio runtime, which does the work from then on.
    pub fn new(
        state: StateDir,
        runner: Arc<dyn Runner>,
        git: Git,
        store: Store,
        remote: Client,
        output_limit: u64,
        reports: Sender<Report>,
    ) -> Self {
        let workspaces = Workspaces::new(git);
        let inherited = environment::inherited();
        let shop = Arc::new(Shop {
            state,
            runner,
            lasting: None,
            store,
            workspaces,
            remote,
            inherited,
            output_limit,
            reports,
            private: Arc::new(Vec::new),
            room: Room::default(),
        });
        Self { shop, under_way: Arc::default(), runtime: Handle::current() }
    }

    /// Says what no fenced step may read, beside the state folder and the secrets of its own pipeline: asked before each.
    #[must_use]
    pub fn keeping(mut self, private: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static) -> Self {
        let shop = Arc::get_mut(&mut self.shop).expect("BUG: said before any work");
        shop.private = Arc::new(private);
        self
    }

    /// Has runs that outlive the controller run there.
    #[must_use]
    pub fn lasting_by(mut self, lasting: Arc<dyn Runner>) -> Self {
        let shop = Arc::get_mut(&mut self.shop).expect("BUG: said before any work");
        shop.lasting = Some(lasting);
        self
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Effect, Arc<Stop>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self, stop: Arc<Stop>, work: &Work) -> Task {
        Task {
            places: Places::new(&self.shop.state, &work.home),
            shop: self.shop.clone(),
            stop,
            pipeline: work.pipeline.clone(),
            home: work.home.clone(),
            definition: work.definition.clone(),
            sha: work.sha.clone(),
            ref_name: work.ref_name.clone(),
            taken_up: work.taken_up,
        }
    }
}

impl Interpreter for LocalInterpreter {
    fn begin(&self, effect: Effect, work: Work) {
        let stop = Arc::new(Stop::default());
        match self.under_way().entry(effect.clone()) {
            // It will be answered once, by the one that is under way.
            Entry::Occupied(_) => return,
            Entry::Vacant(place) => drop(place.insert(stop.clone())),
        }
        let task = self.task(stop, &work);
        let me = self.clone();
        self.runtime.spawn(async move {
            let broken = Broken::of(&effect, &work.job);
            let answer = match tokio::spawn(carry_out(task, work.job)).await {
                Ok(answer) => answer,
                Err(error) => broken.answer(&me.shop, &error.to_string()),
            };
            me.under_way().remove(&effect);
            // When the engine is gone, nobody needs the answer.
            let _ = me.shop.reports.send(Report::Command(answer)).await;
        });
    }

    fn stop(&self, effect: &Effect, cause: StopCause) {
        let stop = self.under_way().get(effect).cloned();
        if let Some(stop) = stop {
            stop.ask(cause);
        }
    }

    fn forget(&self, run: RunId) {
        if let Some(lasting) = &self.shop.lasting {
            lasting.forget(run);
        }
    }
}

/// Does the work; the command that ends the effect.
async fn carry_out(task: Task, job: Job) -> Command {
    match job {
        Job::Prepare { request } => {
            Command::Prepared { request, label: prepare::prepare(&task, request).await }
        }
        Job::Collect { request, .. } => {
            Command::Collected { request, artifacts: prepare::collect(&task, request).await }
        }
        Job::Step { run, version, request, step: wanted } => {
            let outcome = step(&task, run, &version, request, &wanted).await;
            Command::RunEnded { run, outcome }
        }
        Job::Gate { run, version, artifacts, previous, tier, nodes, gate: wanted, mode, backup } => {
            let job = GateRun { run, version, artifacts, previous, tier, nodes, gate: wanted, mode, backup };
            let outcome = gate(&task, &job).await;
            Command::RunEnded { run, outcome }
        }
        Job::Deploy { run, version, artifacts, previous, tier, node, mode, fallback } => {
            let job = DeployRun { run, version, artifacts, previous, tier, node, mode, fallback };
            let (result, log_ref) = deploy(&task, &job).await;
            Command::DeployEnded { run, result, log_ref }
        }
    }
}

/// What is answered when the work itself breaks: an effect without an end would hold its pipeline for ever.
enum Broken {
    Command(Command),
    Run(RunId),
    Deploy(RunId),
}

impl Broken {
    fn of(effect: &Effect, job: &Job) -> Broken {
        let cause = "the interpreter broke; its log has more".to_owned();
        match (effect, job) {
            (Effect::Prepare(request), _) => {
                Broken::Command(Command::Prepared { request: *request, label: Err(cause) })
            }
            (Effect::Collect(request), _) => {
                Broken::Command(Command::Collected { request: *request, artifacts: Err(cause) })
            }
            (Effect::Run(run), Job::Deploy { .. }) => Broken::Deploy(*run),
            (Effect::Run(run), _) => Broken::Run(*run),
        }
    }

    /// The answer; a process that is still there is ended.
    fn answer(self, shop: &Shop, error: &str) -> Command {
        let message = format!("tidegate itself failed: {error}; please report this");
        match self {
            Broken::Command(command) => command,
            Broken::Run(run) => {
                for runner in [&shop.runner].into_iter().chain(&shop.lasting) {
                    runner.stop(run, for_runner(StopCause::Canceled));
                }
                let outcome = Outcome::of(Classification::Infrastructure).saying(message);
                Command::RunEnded { run, outcome }
            }
            Broken::Deploy(run) => {
                shop.runner.stop(run, for_runner(StopCause::Canceled));
                Command::DeployEnded { run, result: Err((Failure::Activate, message)), log_ref: None }
            }
        }
    }
}
