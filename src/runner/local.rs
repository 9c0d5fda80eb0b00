//! The runner of this machine: one thread for each run, and a list of those that are under way.

use super::cgroup::Cgroups;
use super::control::Control;
use super::outbox::Outbox;
use super::run::Shared;
use super::spares::Spares;
use super::{Exit, How, Report, Runner, Start, StopCause, run, spawn, threads};
use crate::domain::RunId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::Sender;

/// Runs steps as children of this process.
#[derive(Clone)]
pub struct LocalRunner {
    runs: Arc<Mutex<HashMap<RunId, Arc<Control>>>>,
    spares: Arc<Spares>,
    cgroups: &'static Cgroups,
}

impl LocalRunner {
    /// Makes this process the one to which orphans of its steps are given. A system that refuses (no Linux has) leaves
    /// only those descendants to be found that stay in the step's group.
    pub fn new() -> Self {
        Self::with(Cgroups::of_this_process())
    }

    /// The same, whose runs have no cgroups even where this process may make some.
    pub fn without_cgroups() -> Self {
        Self::with(Cgroups::none())
    }

    fn with(cgroups: &'static Cgroups) -> Self {
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        Self { runs: Arc::default(), spares: Arc::default(), cgroups }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Control>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> Shared<'_> {
        Shared { spares: &self.spares, cgroups: self.cgroups }
    }

    /// Puts the run on the list, so that a stop finds it from now on.
    fn enlist(&self, run: RunId) -> Result<Arc<Control>, How> {
        match self.runs().entry(run) {
            Entry::Occupied(_) => {
                Err(spawn::not_started(0, format!("start run {run}: it is running already"), false))
            }
            Entry::Vacant(place) => {
                let control = Control::new().map_err(|error| {
                    let errno = error.raw_os_error().unwrap_or(0);
                    spawn::not_started(errno, format!("prepare run {run}: {error}"), false)
                })?;
                Ok(Arc::clone(place.insert(Arc::new(control))))
            }
        }
    }

    fn carry_out(&self, start: &Start, control: &Control, reports: Sender<Report>) {
        let mut out = Outbox::new(start.run, reports);
        let exit =
            catch_unwind(AssertUnwindSafe(|| run::carry_out(start, control, &self.shared(), &mut out)));
        let exit = exit.unwrap_or_else(|_| {
            Exit::without_process(How::LogFailed { message: "watch the process: the runner broke".into() })
        });
        self.runs().remove(&start.run);
        out.finish(Report::Exited { run: start.run, exit });
    }
}

impl Default for LocalRunner {
    fn default() -> Self {
        Self::new()
    }
}

impl Runner for LocalRunner {
    fn start(&self, start: Start, reports: Sender<Report>) {
        let run = start.run;
        let control = match self.enlist(run) {
            Ok(control) => control,
            Err(how) => return refuse(run, how, reports),
        };
        let (runner, channel) = (self.clone(), reports.clone());
        let spawned = threads::go(move || runner.carry_out(&start, &control, channel));
        if let Err(error) = spawned {
            self.runs().remove(&run);
            let errno = error.raw_os_error().unwrap_or(0);
            refuse(
                run,
                spawn::not_started(errno, format!("start a thread for run {run}: {error}"), false),
                reports,
            );
        }
    }

    fn stop(&self, run: RunId, cause: StopCause) {
        let control = self.runs().get(&run).cloned();
        if let Some(control) = control {
            control.ask(cause);
        }
    }
}

/// Tells that a run never began, without waiting where waiting is not allowed.
fn refuse(run: RunId, how: How, reports: Sender<Report>) {
    let report = Report::Exited { run, exit: Exit::without_process(how) };
    let Err(tokio::sync::mpsc::error::TrySendError::Full(report)) = reports.try_send(report) else { return };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(async move { reports.send(report).await })),
        Err(_) => drop(reports.blocking_send(report)),
    }
}
