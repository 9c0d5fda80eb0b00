//! What is promised of schedules, asserted after every event, from the events alone:
//!
//! 22. No time of a schedule comes twice, wherever the clock is put; none comes that was before the schedule was loaded,
//!     and none that is older than a day. What comes is the last of those that are not dealt with.
//! 23. What is built for a time is asked for once, in one breath with the word that it is done.
//! 24. Every time that the clock shows while the controller is up comes, or one stands for it that comes within a day.

use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use tidegate::domain::pipeline::Schedule;
use tidegate::domain::state::LATEST;
use tidegate::domain::*;

/// The judge of the schedules of one pipeline.
#[derive(Default)]
pub(crate) struct Clockwork {
    in_force: Vec<Schedule>,
    of: BTreeMap<String, Seen>,
    open: BTreeMap<EventId, String>,
    /// The last request by the clock for which it is not yet said that it is done.
    asked: Option<EventId>,
}

/// What was seen of one schedule since it was loaded.
#[derive(Default)]
struct Seen {
    loaded: Option<Time>,
    came: BTreeSet<Time>,
    owed: Option<EventId>,
}

impl Seen {
    /// Whether a time came, was before the load, or one that came stands for it.
    fn is_dealt_with(&self, time: Time) -> bool {
        let stands = |other: Time| time <= other && other - time < LATEST;
        self.loaded.is_some_and(stands) || self.came.range(time..).next().is_some_and(|next| stands(*next))
    }
}

fn name(cron: &str, zone: &str) -> String {
    format!("{cron} {zone}")
}

impl Clockwork {
    pub(crate) fn judge(&mut self, envelope: &Envelope) {
        if let Some(asked) = self.asked {
            let is_done = matches!(envelope.fact.event, Event::ScheduleDone { reason: None, .. });
            let is_dropped = matches!(envelope.fact.event, Event::BuildAborted { .. });
            assert!(is_done || is_dropped, "promise 23: {asked} is asked for, and not in one breath");
        }
        match &envelope.fact.event {
            Event::PipelineLoaded { definition, .. } => self.load(&definition.schedule, envelope.at),
            Event::RebuildRequested { .. } if envelope.fact.by.as_deref() == Some("schedule") => {
                self.asked = Some(envelope.id);
            }
            Event::ScheduleDue { cron, zone, due, .. } => self.due(&name(cron, zone), *due, envelope),
            Event::ScheduleDone { owed, reason } => {
                let of = self.open.remove(owed).expect("promise 23: it is owed, and done once");
                self.of.get_mut(&of).expect("it came").owed = None;
                assert_eq!(self.asked.take().is_some(), reason.is_none(), "promise 23: {envelope:?}");
            }
            _ => {}
        }
    }

    fn load(&mut self, schedules: &[Schedule], at: Time) {
        for schedule in schedules.iter().filter(|it| !self.in_force.contains(it)) {
            self.of
                .insert(name(&schedule.cron, &schedule.zone), Seen { loaded: Some(at), ..Seen::default() });
        }
        for gone in self.in_force.iter().filter(|it| !schedules.contains(it)) {
            let seen = self.of.remove(&name(&gone.cron, &gone.zone));
            self.open.retain(|id, _| seen.as_ref().is_none_or(|seen| seen.owed != Some(*id)));
        }
        self.in_force = schedules.to_vec();
    }

    fn due(&mut self, of: &str, due: Time, envelope: &Envelope) {
        let at = envelope.at;
        let schedule = self.in_force.iter().find(|it| name(&it.cron, &it.zone) == of);
        let schedule = schedule.expect("promise 22: it is in force");
        let seen = self.of.get_mut(of).expect("it was loaded");
        assert!(due <= at && at - due < LATEST, "promise 22: {due} comes at {at}");
        assert_eq!(
            schedule.next(due - TimeDelta::microseconds(1)),
            Some(due),
            "promise 22: it is one of its times"
        );
        assert!(!seen.is_dealt_with(due), "promise 22: {due} is dealt with, and comes at {at}");
        let later = schedule.times().unwrap().after(due);
        let missed = later.take_while(|time| *time <= at).find(|time| !seen.is_dealt_with(*time));
        assert_eq!(missed, None, "promise 22: {due} comes at {at}, and a later one is left out");
        seen.came.insert(due);
        // The newer takes the place of the one that is owed.
        if let Some(before) = seen.owed.replace(envelope.id) {
            self.open.remove(&before);
        }
        self.open.insert(envelope.id, of.to_owned());
    }

    /// That every time after one moment and up to another, between which the clock ran evenly, is dealt with.
    pub(crate) fn judge_spell(&self, from: Time, upto: Time) {
        for schedule in &self.in_force {
            let seen = &self.of[&name(&schedule.cron, &schedule.zone)];
            let times = schedule.times().unwrap().after(from);
            let lost = times.take_while(|time| *time <= upto).find(|time| !seen.is_dealt_with(*time));
            assert_eq!(lost, None, "promise 24: {} passed between {from} and {upto}", schedule.cron);
        }
    }
}
