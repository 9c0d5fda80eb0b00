//! What is true now: a fold over the journal. This file holds the shapes and small questions about them; how events
//! change them is `apply`'s, what follows from them is `proceed`'s.
//!
//! # What older releases wrote
//!
//! The state is also the text of checkpoints, so these shapes are read long after they were written:
//!
//! - A field that is added has a default (`#[serde(default)]`, on the field, or on the struct where all of it has one),
//!   and that default means what was true before there was the field. The same holds for the definitions in
//!   [`pipeline`](super::pipeline), which the journal keeps as well.
//! - What a default cannot say is put right in [`State::of_older_release`].
//! - A field or variant is never renamed, and a variant never goes: a field that goes is passed over when it is read.
//! - What cannot be done so takes a new form number in `engine::checkpoint`, and a reader for the old one.
//!
//! The journals of all releases are kept in `tests/suite/journals`: they are opened, loaded and folded by every later one.

mod backup;
mod build;
mod inside;
mod micros;
mod pipeline;
mod refs;
mod schedule;
mod tier;

pub use backup::Backup;
pub use build::{Asker, Attempts, Build, Request, Stage, Version};
pub use inside::{Adopting, Ending, GoingBack, Inside, NodeState, NodeTry, Redeploy, WentBack};
pub(in crate::domain) use pipeline::beginning;
pub use pipeline::{Hold, InForce, PipelineState, QUEUE_LIMIT};
pub use refs::{OwedLook, RefHead};
pub use schedule::{Coming, LATEST, OwedRun, PastRun, ScheduleState, Spell};
pub use tier::{ByHand, Confirmation, Current, Standing, SteppedBack, TierState, Verdict};

use super::Time;
use super::diagnostic::Diagnostic;
use super::event::DeployMode;
use super::id::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event that every tier comes after or with: what is done by it was there before any tier was watched, so that what
/// comes after takes it by a person's word only (rule 30).
pub(in crate::domain) const BEFORE_ALL: EventId = EventId(1);

/// Everything that is true now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The last event that is folded in.
    pub last: EventId,
    /// The highest run number given out.
    pub last_run: RunId,
    /// Build steps and gates that run now: what `jobs` bounds.
    pub busy_slots: u32,
    /// By name, removed ones included.
    pub pipelines: BTreeMap<PipelineName, PipelineState>,
    /// Files that do not load, by the file's name.
    pub rejected: BTreeMap<String, RejectedFile>,
    /// Runs that have begun and not ended.
    pub running: BTreeMap<RunId, Place>,
    /// Where the controller that began last has its runs noted; none: nowhere, they end with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// Which files and folders the pipelines have.
    #[serde(skip)]
    pub holdings: super::holdings::Holdings,
}

/// A file that does not load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RejectedFile {
    /// Since when.
    pub at: Time,
    /// The pipeline that goes on with its last good definition, if there is one.
    pub pipeline: Option<PipelineName>,
    /// Everything that is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Where a run belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The version.
    pub version: VersionLabel,
    /// What runs.
    pub task: Task,
    /// Whether it was begun by an earlier process of the controller, and goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_up: bool,
    /// How much of what it said itself is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub heard: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// A build step.
    Step(StepName),
    /// A gate of a tier.
    Gate(TierName, GateName),
    /// A version on its way to a node of a tier.
    Deploy(TierName, NodeName, DeployMode),
}

impl State {
    /// Puts right what the checkpoint of an older release does not say: before there was a mark for it, an adopted
    /// version counted as built, and was known by being done before everything.
    pub fn of_older_release(mut self) -> State {
        for version in self.pipelines.values_mut().flat_map(|p| p.versions.values_mut()) {
            if version.done == BEFORE_ALL && !version.adopted && version.stage == Stage::Built {
                version.adopted = true;
                version.stage = Stage::Adopted;
            }
        }
        self
    }

    /// The pipeline in which a request waits to be built or is being built.
    pub fn asked_for(&self, request: EventId) -> Option<(&PipelineName, &PipelineState)> {
        let builds = |p: &PipelineState| p.build.as_ref().is_some_and(|build| build.request.id == request);
        let waits = |p: &PipelineState| p.queue.iter().any(|asked| asked.id == request);
        self.pipelines.iter().find(|(_, p)| builds(p) || waits(p))
    }

    /// The pipeline of that name, if it was ever loaded.
    pub fn pipeline(&self, name: &PipelineName) -> Option<&PipelineState> {
        self.pipelines.get(name)
    }
}
