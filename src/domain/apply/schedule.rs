//! How the clock goes on with schedules.

use super::Moment;
use crate::domain::event::Event;
use crate::domain::state::{OwedRun, PastRun, PipelineState};

/// A time came, or what it asked for is done.
pub(super) fn apply(p: &mut PipelineState, event: &Event, moment: &Moment<'_>) {
    match event {
        Event::ScheduleDue { cron, zone, ref_name, due } => {
            let is_it = |it: &crate::domain::pipeline::Schedule| {
                (&it.cron, &it.zone, &it.ref_name) == (cron, zone, ref_name)
            };
            if let Some(it) = p.schedules.iter_mut().find(|it| is_it(&it.schedule)) {
                it.deal_with(*due);
                it.owed = Some(OwedRun { id: moment.id, due: *due });
            }
        }
        Event::ScheduleDone { owed, reason } => {
            for it in &mut p.schedules {
                if let Some(owed) = it.owed.take_if(|run| run.id == *owed) {
                    it.last = Some(PastRun { due: owed.due, at: moment.at, reason: reason.clone() });
                }
            }
        }
        _ => {}
    }
}
