//! Builds by the clock: at which moments a schedule's time comes.
//!
//! A line that names times of the day goes by the clock on the wall, as cron does: a time that is left out where clocks
//! are put forward comes in the first moment after the gap, and one that comes twice where they are put back comes the
//! first time. A line whose minute or hour begins with `*` means every so often: it comes whenever the clock shows one of
//! its times, so that nothing is left out or doubled in what passes between two of them.

use super::cron::{ALL_DAYS, Cron};
use super::window::{Side, moment};
use crate::domain::Time;
use chrono::{DurationRound, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// Builds by the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// IANA name of the time zone.
    pub zone: String,
    /// The branch or tag that is built, by its full or its short name. Empty: the branch that HEAD names.
    #[serde(rename = "ref", default, skip_serializing_if = "String::is_empty")]
    pub ref_name: String,
}

impl Schedule {
    /// The first of its times after a moment. None: it never comes again, or this release cannot read it.
    pub fn next(&self, after: Time) -> Option<Time> {
        self.times()?.next(after)
    }

    /// All of its times. None: this release cannot read it.
    pub fn times(&self) -> Option<Times> {
        Some(Times { cron: Cron::read(&self.cron).ok()?, zone: self.zone.parse().ok()? })
    }
}

/// The times of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    cron: Cron,
    zone: Tz,
}

impl Times {
    /// The first of them after a moment. None: there is none any more.
    pub fn next(&self, after: Time) -> Option<Time> {
        let Times { cron, zone } = self;
        if cron.is_recurring { next_shown(cron, *zone, after) } else { next_of_day(cron, *zone, after) }
    }

    /// All of them after a moment.
    pub fn after(self, moment: Time) -> impl Iterator<Item = Time> {
        std::iter::successors(self.next(moment), move |time| self.next(*time))
    }
}

/// The next moment for times of the day.
fn next_of_day(cron: &Cron, zone: Tz, after: Time) -> Option<Time> {
    // What a gap over midnight leaves out of a day comes on the next one.
    let first = after.with_timezone(&zone).date_naive().pred_opt()?;
    let days = first.iter_days().take(ALL_DAYS).filter(|day| cron.is_on(*day));
    let mut moments =
        days.flat_map(|day| cron.times().filter_map(move |minutes| moment(zone, day, minutes, Side::Opens)));
    moments.find(|moment| *moment > after)
}

/// The next moment at which the clock shows one of the times, looked for minute by minute; days and hours that are not
/// named are passed over where the clock runs evenly.
fn next_shown(cron: &Cron, zone: Tz, after: Time) -> Option<Time> {
    let offset = |at: Time| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let mut at = after.duration_trunc(MINUTE).ok()?.checked_add_signed(MINUTE)?;
    let end = after.checked_add_signed(TimeDelta::days(ALL_DAYS as i64))?;
    while at < end {
        let shown = at.with_timezone(&zone).naive_local();
        if cron.is_on(shown.date()) && cron.has_time(shown.time()) {
            return Some(at);
        }
        let until = if !cron.is_on(shown.date()) {
            shown.date().succ_opt()?.and_time(Default::default())
        } else if !cron.has_hour(chrono::Timelike::hour(&shown)) {
            shown.duration_trunc(TimeDelta::hours(1)).ok()? + TimeDelta::hours(1)
        } else {
            shown + MINUTE
        };
        let later = at.checked_add_signed(until - shown)?;
        at = if offset(later) == offset(at) { later } else { at + MINUTE };
    }
    None
}
