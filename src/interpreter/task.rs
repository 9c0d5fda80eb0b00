//! One effect at work: what it knows, how it is told to stop, and how it tells what happens meanwhile.

use super::bounded::Stop;
use super::fencing::Private;
use super::piece::Room;
use super::places::Places;
use super::workspace::Workspaces;
use super::{Report, StopCause};
use crate::artifact::Store;
use crate::domain::event::StepSaid;
use crate::domain::{Command, Pipeline, PipelineName, RefName, RunId, Sha};
use crate::remote::Client;
use crate::runner::{self, Bytes, Runner};
use crate::settings::StateDir;
use std::ffi::OsString;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// What all effects share.
pub(super) struct Shop {
    pub(super) state: StateDir,
    pub(super) runner: Arc<dyn Runner>,
    /// For runs that outlive the controller; none: they end with it.
    pub(super) lasting: Option<Arc<dyn Runner>>,
    pub(super) store: Store,
    pub(super) workspaces: Workspaces,
    /// The way to nodes that are not this machine.
    pub(super) remote: Client,
    /// What steps get of the controller's own environment.
    pub(super) inherited: Vec<(OsString, OsString)>,
    /// Bytes of a run's output that are kept, unless the step says otherwise.
    pub(super) output_limit: u64,
    pub(super) reports: Sender<Report>,
    /// What no fenced step may read.
    pub(super) private: Private,
    /// For output on its way to those who listen.
    pub(super) room: Room,
}

/// One effect at work.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) shop: Arc<Shop>,
    pub(super) stop: Arc<Stop>,
    pub(super) places: Places,
    pub(super) pipeline: PipelineName,
    /// What the pipeline's folders are called.
    pub(super) home: PipelineName,
    pub(super) definition: Arc<Pipeline>,
    pub(super) sha: Sha,
    pub(super) ref_name: Option<RefName>,
    /// Whether an earlier process of the controller began it.
    pub(super) taken_up: bool,
}

impl Task {
    /// Tells what a step said. When nobody listens any more, nobody needs to know.
    pub(super) async fn say(&self, run: RunId, said: StepSaid) {
        self.say_again(run, said, None).await;
    }

    /// Tells what may have been told before, by the number that it had then.
    pub(super) async fn say_again(&self, run: RunId, said: StepSaid, number: Option<u32>) {
        let _ = self.shop.reports.send(Report::Command(Command::RunSaid { run, said, number })).await;
    }

    /// Tells something that a person should know and that fails nothing.
    pub(super) async fn warn(&self, run: RunId, message: String) {
        self.say(run, StepSaid::Warning { message }).await;
    }

    /// Tells what the log holds now.
    pub(super) async fn show(&self, run: RunId, offset: u64, bytes: Bytes) {
        let bytes = self.shop.room.take(bytes).await;
        let _ = self.shop.reports.send(Report::Output { run, offset, bytes }).await;
    }
}

/// The runner's word for it.
pub(super) fn for_runner(cause: StopCause) -> runner::StopCause {
    match cause {
        StopCause::Canceled => runner::StopCause::Canceled,
        StopCause::Interrupted => runner::StopCause::Interrupted,
    }
}
