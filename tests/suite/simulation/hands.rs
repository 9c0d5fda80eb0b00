//! An interpreter that only pretends: it notes what it is told to begin and to stop, and ends things when the story
//! says so.

use std::sync::{Arc, Mutex};
use tidegate::domain::*;
use tidegate::interpreter::{Interpreter, Report, StopCause};
use tokio::sync::mpsc;

/// Something under way.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) effect: Effect,
    pub(crate) work: Work,
    pub(crate) stopped: Option<StopCause>,
}

#[derive(Default)]
struct Inner {
    items: Vec<Item>,
    begun: Vec<(Effect, Work)>,
}

/// The pretender. One for each life of the controller.
#[derive(Clone)]
pub(crate) struct Hands {
    inner: Arc<Mutex<Inner>>,
    reports: mpsc::Sender<Report>,
}

impl Interpreter for Hands {
    fn begin(&self, effect: Effect, work: Work) {
        let mut inner = self.inner.lock().unwrap();
        assert!(!inner.begun.iter().any(|(begun, _)| *begun == effect), "begun twice: {effect:?}");
        inner.begun.push((effect.clone(), work.clone()));
        inner.items.push(Item { effect, work, stopped: None });
    }

    fn stop(&self, effect: &Effect, cause: StopCause) {
        let mut inner = self.inner.lock().unwrap();
        for item in inner.items.iter_mut().filter(|item| item.effect == *effect) {
            item.stopped = Some(cause);
        }
    }
}

impl Hands {
    pub(crate) fn new() -> (Hands, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(4096);
        (Hands { inner: Arc::default(), reports }, receiver)
    }

    /// What was begun since the last look.
    pub(crate) fn begun(&self) -> Vec<(Effect, Work)> {
        self.inner.lock().unwrap().begun.clone()
    }

    pub(crate) fn under_way(&self) -> Vec<Item> {
        self.inner.lock().unwrap().items.clone()
    }

    /// Ends something, and says so.
    pub(crate) fn end(&self, item: &Item, with: impl FnOnce(&Item) -> Command) {
        let command = with(item);
        self.inner.lock().unwrap().items.retain(|other| other.effect != item.effect);
        self.reports.try_send(Report::Command(command)).expect("the engine takes reports");
    }
}

/// How an item ends when all is well, or when it was stopped.
pub(crate) fn well(item: &Item) -> Command {
    ended(item, None, None)
}

/// How an item ends: with that class or failure, unless it was stopped.
pub(crate) fn ended(item: &Item, class: Option<Classification>, failure: Option<Failure>) -> Command {
    let stopped = item.stopped.map(|cause| match cause {
        StopCause::Canceled => (Classification::Canceled, Failure::Canceled),
        StopCause::Interrupted => (Classification::Interrupted, Failure::Interrupted),
    });
    match &item.work.job {
        Job::Prepare { request } => Command::Prepared {
            request: *request,
            label: match class {
                Some(_) => Err("cannot be read".into()),
                None => Ok(Some(format!("1.0.{}", &item.work.sha.as_str()[1..3]))),
            },
        },
        Job::Collect { request, .. } => Command::Collected {
            request: *request,
            artifacts: if class.is_some() { Err("nothing there".into()) } else { Ok(Vec::new()) },
        },
        Job::Step { run, .. } | Job::Gate { run, .. } => {
            let class = stopped.map(|(class, _)| class).or(class).unwrap_or(Classification::Ok);
            let mut outcome = Outcome::of(class);
            if class == Classification::Infrastructure && run.0.is_multiple_of(2) {
                // It is the disk, which may have room again by now.
                outcome.blockers = vec![Blocker::DiskFull];
            }
            Command::RunEnded { run: *run, outcome }
        }
        Job::Deploy { run, .. } => {
            let failure = stopped.map(|(_, failure)| failure).or(failure);
            let result = failure.map_or(Ok(7), |failure| Err((failure, "it broke".to_owned())));
            Command::DeployEnded { run: *run, result, log_ref: None }
        }
    }
}
