//! How far the clock is with a schedule: which of its times are dealt with, and which is to be built for.

use crate::domain::Time;
use crate::domain::id::EventId;
use crate::domain::pipeline::Schedule;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// A time that was missed, because the controller was away or the clock was put forward, is built for up to so much later.
pub const LATEST: TimeDelta = TimeDelta::hours(24);

/// So many spells of time are known as dealt with at most. There are several only where the clock was put back, where a
/// controller was away for a day, or for a schedule whose times are more than a day apart.
const SPELLS: usize = 32;

/// A schedule of the definition in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// When it comes, and what is built.
    pub schedule: Schedule,
    /// What is dealt with, in order, neither touching nor overlapping: no time in it comes (again), wherever the clock is
    /// put.
    pub dealt_with: Vec<Spell>,
    /// The time that is to be built for.
    pub owed: Option<OwedRun>,
    /// What became of the last one.
    pub last: Option<PastRun>,
}

/// A spell of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    /// It begins after that moment.
    pub after: Time,
    /// It ends with that moment.
    pub upto: Time,
}

/// A time that came and is still to be built for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedRun {
    /// The number of its `schedule_due`.
    pub id: EventId,
    /// The time.
    pub due: Time,
}

/// A time that was built for, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// The time.
    pub due: Time,
    /// When git had said where the ref stands, and what followed was decided.
    pub at: Time,
    /// Why nothing was built for it; none: it was.
    #[serde(default)]
    pub reason: Option<String>,
}

/// How a schedule stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The time that has come and is not dealt with: the last one, where there are several.
    pub due: Option<Time>,
    /// The next that comes.
    pub next: Option<Time>,
}

impl ScheduleState {
    /// One that came into force: what was before is none of its business.
    pub(in crate::domain) fn new(schedule: Schedule, at: Time) -> ScheduleState {
        let mut new = ScheduleState { schedule, dealt_with: Vec::new(), owed: None, last: None };
        new.deal_with(at);
        new
    }

    /// How it stands.
    pub fn coming(&self, now: Time) -> Coming {
        let (times, mut due) = (self.schedule.times(), None);
        let mut from = now - LATEST;
        while let Some(time) = times.and_then(|times| times.next(from)) {
            match self.dealt_with.iter().find(|spell| spell.after < time && time <= spell.upto) {
                Some(spell) => from = spell.upto,
                None if time > now => return Coming { due, next: Some(time) },
                None => (due, from) = (Some(time), time),
            }
        }
        Coming { due, next: None }
    }

    /// A time is dealt with, and so are those of the day before it: it stands for what was missed of them.
    pub(in crate::domain) fn deal_with(&mut self, time: Time) {
        let mut new = Spell { after: time - LATEST, upto: time };
        self.dealt_with.retain(|spell| {
            let apart = spell.upto < new.after || new.upto < spell.after;
            if !apart {
                new = Spell { after: new.after.min(spell.after), upto: new.upto.max(spell.upto) };
            }
            apart
        });
        let place = self.dealt_with.partition_point(|spell| spell.upto < new.after);
        self.dealt_with.insert(place, new);
        if self.dealt_with.len() > SPELLS {
            // The one that is farthest from now goes, wherever the clock stands.
            let last = self.dealt_with.len() - 1;
            let first_is_farther = time - self.dealt_with[0].upto > self.dealt_with[last].after - time;
            self.dealt_with.remove(if first_is_farther { 0 } else { last });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(text: &str) -> Time {
        DateTime::parse_from_rfc3339(&format!("{text}:00Z")).unwrap().to_utc()
    }

    fn schedule(cron: &str, since: &str) -> ScheduleState {
        let schedule = Schedule { cron: cron.into(), zone: "UTC".into(), ref_name: String::new() };
        ScheduleState::new(schedule, at(since))
    }

    #[track_caller]
    fn stands(state: &ScheduleState, now: &str, due: Option<&str>, next: &str) {
        assert_eq!(state.coming(at(now)), Coming { due: due.map(at), next: Some(at(next)) }, "at {now}");
    }

    #[test]
    fn what_was_before_it_was_loaded_is_not_due_and_what_was_missed_is_once() {
        let mut nightly = schedule("0 3 * * *", "2026-11-23T09:00");
        stands(&nightly, "2026-11-23T09:00", None, "2026-11-24T03:00");
        stands(&nightly, "2026-11-24T03:00", Some("2026-11-24T03:00"), "2026-11-25T03:00");
        nightly.deal_with(at("2026-11-24T03:00"));
        stands(&nightly, "2026-11-24T03:00", None, "2026-11-25T03:00");
        // Away for three nights: one run, for the last of them.
        stands(&nightly, "2026-11-27T20:00", Some("2026-11-27T03:00"), "2026-11-28T03:00");
        let weekly = schedule("0 3 * * sat", "2026-11-23T09:00");
        stands(&weekly, "2026-11-29T02:59", Some("2026-11-28T03:00"), "2026-12-05T03:00");
        stands(&weekly, "2026-11-29T03:00", None, "2026-12-05T03:00");
    }

    #[test]
    fn a_clock_that_goes_back_runs_nothing_twice_and_is_not_waited_for() {
        let mut hourly = schedule("0 * * * *", "2026-11-23T09:30");
        for hour in ["10", "11", "12"] {
            hourly.deal_with(at(&format!("2026-11-23T{hour}:00")));
        }
        stands(&hourly, "2026-11-23T09:45", None, "2026-11-23T13:00");
        // Four years ahead by mistake, and back: from the next hour on as before.
        hourly.deal_with(at("2030-11-23T12:00"));
        stands(&hourly, "2026-11-23T12:10", None, "2026-11-23T13:00");
        stands(&hourly, "2030-11-22T11:59", Some("2030-11-22T11:00"), "2030-11-22T12:00");
        stands(&hourly, "2030-11-22T12:10", Some("2030-11-22T12:00"), "2030-11-23T13:00");
        assert_eq!(hourly.dealt_with.len(), 2);
    }

    #[test]
    fn spells_that_touch_are_one_and_their_number_is_bounded() {
        let mut daily = schedule("0 3 * * *", "2026-11-23T09:00");
        for day in 0..400 {
            daily.deal_with(at("2026-11-24T03:00") + TimeDelta::days(day));
        }
        assert_eq!(daily.dealt_with.len(), 1);
        for week in 0..100 {
            daily.deal_with(at("2030-01-01T03:00") + TimeDelta::days(7 * week));
        }
        assert_eq!(daily.dealt_with.len(), SPELLS);
        assert!(daily.dealt_with.is_sorted_by(|a, b| a.upto < b.after));
        assert_eq!(daily.dealt_with[SPELLS - 1].upto, at("2030-01-01T03:00") + TimeDelta::days(693));
        // The clock is put back before all of them.
        for week in 0..40 {
            let early = at("2024-01-01T03:00") + TimeDelta::days(7 * week);
            daily.deal_with(early);
            assert_eq!(daily.coming(early).due, None, "what was dealt with just now is known");
        }
        assert_eq!(daily.dealt_with.len(), SPELLS);
        // One that closes the gap between two.
        let mut twice = schedule("0 3 * * *", "2026-11-23T09:00");
        twice.deal_with(at("2026-11-25T09:00"));
        assert_eq!(twice.dealt_with.len(), 2);
        twice.deal_with(at("2026-11-24T09:00"));
        assert_eq!(twice.dealt_with, [Spell { after: at("2026-11-22T09:00"), upto: at("2026-11-25T09:00") }]);
    }
}
