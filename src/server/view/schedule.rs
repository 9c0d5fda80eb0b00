//! One schedule as it is shown.

use crate::domain::Time;
use crate::domain::state::ScheduleState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Builds by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// IANA name of the time zone.
    pub zone: String,
    /// The branch or tag that is built; none: the branch that HEAD names.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub ref_name: Option<String>,
    /// When it comes next; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
    /// The time that came and for which git is still to be asked; longer than a moment where it cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Time>,
    /// What became of the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<PastRunView>,
}

/// What became of a time of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastRunView {
    /// The time.
    pub due: Time,
    /// When it was decided what follows.
    pub at: Time,
    /// Why nothing was built for it; none: it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ScheduleView {
    /// The view of a schedule at a moment.
    pub fn of(it: &ScheduleState, now: Time) -> ScheduleView {
        ScheduleView {
            cron: it.schedule.cron.clone(),
            zone: it.schedule.zone.clone(),
            ref_name: Some(it.schedule.ref_name.clone()).filter(|name| !name.is_empty()),
            next: it.coming(now).next,
            owed: it.owed.as_ref().map(|run| run.due),
            last: it.last.as_ref().map(|run| PastRunView {
                due: run.due,
                at: run.at,
                reason: run.reason.clone(),
            }),
        }
    }
}
