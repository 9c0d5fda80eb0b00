//! Windows: recurring times at which versions may enter a tier, by the clock on the wall somewhere.
//!
//! A window opens on a day of its zone's calendar and closes on that day, or on the next if it goes on over midnight; it
//! belongs to the day on which it opens. Where clocks are put forward, a time that is left out means the first moment
//! after the gap, for opening and closing alike: what lies in the gap as a whole does not open on that day. Where they
//! are put back, a time that comes twice opens at its first occurrence and closes at its last.

use crate::domain::Time;
use chrono::{Datelike, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::{GapInfo, Tz};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minutes of a day as it stands on the clock.
const DAY: u16 = 24 * 60;

/// Beyond that no opening is looked for. A window of one day in the week may miss that day where it lies in a gap of
/// the clock, and no zone puts its clocks forward on five such days in a row.
const DAYS_AHEAD: usize = 5 * 7;

/// A recurring time at which versions may enter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Days of the week, from 0 for Monday to 6; empty: every day. A window over midnight belongs to the day it opens on.
    #[serde(default)]
    pub days: Vec<u8>,
    /// Minutes after midnight at which it opens. A time that the clock leaves out on that day means the first moment
    /// after; of one that comes twice the first is meant.
    pub from: u16,
    /// Minutes after midnight at which it closes; not above `from`: on the next day. A time that the clock leaves out on
    /// that day means the first moment after; of one that comes twice the last is meant.
    pub to: u16,
    /// IANA name of the time zone.
    pub zone: String,
}

/// How the windows of a tier stand at a moment. Without any the tier is always open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// A version may enter.
    Open {
        /// Not before then are they shut; none: nothing ever shuts them.
        until: Option<Time>,
    },
    /// No version may enter.
    Shut {
        /// The first moment at which one may; none: they never open.
        opens: Option<Time>,
    },
}

impl Windows {
    /// How they stand: one that is open is enough.
    pub fn at(windows: &[Window], now: Time) -> Windows {
        if windows.is_empty() {
            return Windows::Open { until: None };
        }
        match windows.iter().filter_map(|window| window.closes(now)).max() {
            Some(moment) => Windows::Open { until: Some(moment) },
            None => Windows::Shut { opens: windows.iter().filter_map(|window| window.opens(now)).min() },
        }
    }
}

impl Window {
    /// When it closes, if it is open.
    fn closes(&self, now: Time) -> Option<Time> {
        let mut spells = self.spells(now, 2);
        spells.find(|(opens, closes)| *opens <= now && now < *closes).map(|(_, closes)| closes)
    }

    /// The first moment after this one at which it opens.
    fn opens(&self, now: Time) -> Option<Time> {
        let mut spells = self.spells(now, DAYS_AHEAD);
        spells.find(|(opens, closes)| now < *opens && opens < closes).map(|(opens, _)| opens)
    }

    /// Its spells on the days around a moment, in order: each from its opening to its closing. Two days back, because
    /// what opens at 24:00 may close at 24:00 of the next day.
    fn spells(&self, now: Time, days_ahead: usize) -> impl Iterator<Item = (Time, Time)> + '_ {
        // A zone that this release does not know never opens.
        let zone = self.zone.parse::<Tz>().ok();
        let first = zone.and_then(|zone| {
            let today = now.with_timezone(&zone).date_naive();
            today.checked_sub_days(Days::new(2))
        });
        let days = first.into_iter().flat_map(|day| day.iter_days());
        let days = days.take(days_ahead + 3).filter(|day| self.is_on(*day));
        days.filter_map(move |day| self.spell(zone?, day))
    }

    fn is_on(&self, day: NaiveDate) -> bool {
        self.days.is_empty() || self.days.contains(&(day.weekday().num_days_from_monday() as u8))
    }

    fn spell(&self, zone: Tz, day: NaiveDate) -> Option<(Time, Time)> {
        let opens = moment(zone, day, self.from, Side::Opens)?;
        Some((opens, moment(zone, day, self.closing_minute(), Side::Closes)?))
    }

    /// When it closes, in minutes after the midnight before it opens.
    fn closing_minute(&self) -> u16 {
        if self.to > self.from { self.to } else { self.to + DAY }
    }
}

/// Which end of a window a time is.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Opens,
    Closes,
}

/// The moment at which the clock shows so many minutes after that day's midnight.
pub(super) fn moment(zone: Tz, day: NaiveDate, minutes: u16, side: Side) -> Option<Time> {
    let shown = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::minutes(minutes.into()))?;
    let found = match (zone.from_local_datetime(&shown), side) {
        (LocalResult::Single(moment), _) => moment,
        (LocalResult::Ambiguous(first, _), Side::Opens) => first,
        (LocalResult::Ambiguous(_, last), Side::Closes) => last,
        (LocalResult::None, _) => GapInfo::new(&shown, &zone)?.end?,
    };
    Some(found.to_utc())
}
