//! The state as it is shown: what the pages, the terminal and scripts read. Shapes only, and how each is made from the
//! state; every name here is contract.

mod backup;
mod node;
mod pipeline;
mod schedule;
mod tier;

pub use backup::*;
pub use node::*;
pub use pipeline::*;
pub use schedule::*;
pub use tier::*;

use crate::disk::Usage;
use crate::domain::state::{Hold, State};
use crate::domain::{Diagnostic, EventId, PipelineName, Scope, Time};
use crate::engine::Standstill;
use crate::notice::NoticeState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that is true now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StateView {
    /// The last event that is folded in: go on with `/events?since=` this.
    pub id: EventId,
    /// When it was looked at: what the times in blockers are measured against.
    pub at: Time,
    /// By name.
    pub pipelines: Vec<PipelineView>,
    /// Files that do not load and belong to no pipeline.
    pub rejected: Vec<RejectedFileView>,
    /// Why nothing new begins for now; none: whatever may begin does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<StandstillView>,
    /// What is not as it should be with the controller itself, though it goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleView>,
    /// How much the state folder takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<SizesView>,
    /// The notices that do not go on now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeState>,
}

/// How much the state folder takes, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SizesView {
    /// The journal, now.
    pub journal_bytes: u64,
    /// What is free on its disk for ordinary users, now.
    pub free_bytes: u64,
    /// When the rest was measured; none: not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Time>,
    /// Logs of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs_bytes: Option<u64>,
    /// What builds made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts_bytes: Option<u64>,
    /// Mirrors, checkouts, caches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_bytes: Option<u64>,
}

impl SizesView {
    /// Of what is known now, and was measured before.
    pub fn of(journal_bytes: u64, free_bytes: u64, usage: Option<Usage>) -> SizesView {
        SizesView {
            journal_bytes,
            free_bytes,
            measured_at: usage.map(|usage| usage.at),
            logs_bytes: usage.map(|usage| usage.logs_bytes),
            artifacts_bytes: usage.map(|usage| usage.artifacts_bytes),
            work_bytes: usage.map(|usage| usage.work_bytes),
        }
    }
}

/// Why nothing new begins for now. It passes by itself once its cause does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StandstillView {
    /// Stable code.
    pub code: String,
    /// What keeps everything.
    pub message: String,
    /// The way out.
    pub help: String,
    /// Whether it is want of room on the disk: then every version that waits has the blocker `disk_full`.
    pub disk_full: bool,
}

impl From<&Standstill> for StandstillView {
    fn from(standstill: &Standstill) -> StandstillView {
        StandstillView {
            code: standstill.code().into(),
            message: standstill.to_string(),
            help: standstill.help(),
            disk_full: standstill.is_disk_full(),
        }
    }
}

/// Something about the controller itself: its folder of pipelines is lost, it is about to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TroubleView {
    /// Stable code.
    pub code: String,
    /// What is so.
    pub message: String,
    /// The way out; empty: there is nothing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// A file that does not load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedFileView {
    /// Its name.
    pub file: String,
    /// Since when.
    pub at: Time,
    /// The pipeline that goes on with its last good definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineName>,
    /// Everything that is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Who stops something, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HoldView {
    /// Who.
    pub by: String,
    /// Why; empty: they did not say.
    pub why: String,
    /// Since when.
    pub at: Time,
    /// Whether a rollback put it: then a version promoted by hand that passes lifts it.
    pub of_rollback: bool,
}

impl From<&Hold> for HoldView {
    fn from(hold: &Hold) -> HoldView {
        HoldView { by: hold.by.clone(), why: hold.why.clone(), at: hold.at, of_rollback: hold.of_rollback }
    }
}

/// Which versions are shown.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    /// At most so many, newest first.
    pub limit: usize,
    /// Only those asked for before this event.
    pub before: Option<EventId>,
}

impl StateView {
    /// The view of a state at a moment, with what keeps everything from going on.
    pub fn of(state: &State, now: Time, versions: Versions, standstill: Option<&Standstill>) -> StateView {
        StateView::seen_by(&Scope::default(), state, now, versions, standstill)
    }

    /// The same for somebody to whom only some pipelines are there. Files that belong to no pipeline tell of others.
    pub fn seen_by(
        scope: &Scope,
        state: &State,
        now: Time,
        versions: Versions,
        standstill: Option<&Standstill>,
    ) -> StateView {
        let disk_full = standstill.is_some_and(Standstill::is_disk_full);
        StateView {
            id: state.last,
            at: now,
            pipelines: state
                .pipelines
                .iter()
                .filter(|(name, p)| is_shown(p) && scope.sees(name.as_str()))
                .map(|(name, p)| PipelineView::of(state, name, p, now, versions, disk_full))
                .collect(),
            rejected: if scope.sees_all() { rejected(state, None) } else { Vec::new() },
            standstill: standstill.map(StandstillView::from),
            troubles: Vec::new(),
            sizes: None,
            notices: Vec::new(),
        }
    }
}

/// A removed pipeline is shown as long as it has versions: they may still be on nodes, and its history stays (rule 32).
pub(super) fn is_shown(p: &crate::domain::state::PipelineState) -> bool {
    p.in_force.is_some() || !p.versions.is_empty()
}

fn rejected(state: &State, pipeline: Option<&PipelineName>) -> Vec<RejectedFileView> {
    let of_it = state.rejected.iter().filter(|(_, file)| file.pipeline.as_ref() == pipeline);
    of_it
        .map(|(name, file)| RejectedFileView {
            file: name.clone(),
            at: file.at,
            pipeline: file.pipeline.clone(),
            diagnostics: file.diagnostics.clone(),
        })
        .collect()
}
