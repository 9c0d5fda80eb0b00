//! Schedules: a time that has come is said, and the next one is waited for.

use super::Flow;
use crate::domain::event::Event;
use crate::domain::state::PipelineState;

pub(super) fn proceed(flow: &mut Flow<'_>, p: &PipelineState) {
    if p.in_force.is_none() || !flow.room.open {
        return;
    }
    for it in &p.schedules {
        let coming = it.coming(flow.room.now);
        match (coming.due, coming.next) {
            (Some(due), _) => flow.say(Event::ScheduleDue {
                cron: it.schedule.cron.clone(),
                zone: it.schedule.zone.clone(),
                ref_name: it.schedule.ref_name.clone(),
                due,
            }),
            (None, Some(next)) => flow.wake_at(next),
            (None, None) => {}
        }
    }
}
