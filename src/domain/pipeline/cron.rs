//! Cron lines: five fields that say at which minutes of which days, by the clock on the wall. As people know them from
//! `crontab`: `*`, numbers, names of months and days, ranges, lists, and steps of a range.

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Every combination of a day of the month, a month and a day of the week comes within so many days: 28 years, and 12 more
/// around a year such as 2100, which is no leap year.
pub(super) const ALL_DAYS: usize = 41 * 366;

/// A cron line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// 0 and 7 are Sunday.
    weekdays: u64,
    /// Whether both kinds of day were named, so that one of them is enough.
    either_day: bool,
    /// Whether minute or hour begin with a `*`: what is meant is every so often, not a time of the day.
    pub(super) is_recurring: bool,
}

impl Cron {
    /// Reads the five fields.
    ///
    /// # Errors
    /// What is wrong with it, as a clause.
    pub fn read(text: &str) -> Result<Cron, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!("it has {} fields instead of five", fields.len()));
        };
        let is_any = |field: &str| field.starts_with('*');
        Ok(Cron {
            minutes: Field { what: "minute", least: 0, most: 59, names: &[] }.read(minute)?,
            hours: Field { what: "hour", least: 0, most: 23, names: &[] }.read(hour)?,
            days: Field { what: "day of the month", least: 1, most: 31, names: &[] }.read(day)?,
            months: Field { what: "month", least: 1, most: 12, names: &MONTHS }.read(month)?,
            weekdays: Field { what: "day of the week", least: 0, most: 7, names: &DAYS }.read(weekday)?,
            either_day: !is_any(day) && !is_any(weekday),
            is_recurring: is_any(minute) || is_any(hour),
        })
    }

    /// Whether any day ever fits.
    pub fn ever_comes(&self) -> bool {
        let first = NaiveDate::from_ymd_opt(2000, 1, 1).expect("BUG: 2000 begins with a day");
        first.iter_days().take(ALL_DAYS).any(|day| self.is_on(day))
    }

    /// Whether it names that day.
    pub(super) fn is_on(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_sunday();
        let by_month = has(self.days, day.day());
        let by_week = has(self.weekdays, weekday) || weekday == 0 && has(self.weekdays, 7);
        let fits = if self.either_day { by_month || by_week } else { by_month && by_week };
        fits && has(self.months, day.month())
    }

    /// Whether it names that hour.
    pub(super) fn has_hour(&self, hour: u32) -> bool {
        has(self.hours, hour)
    }

    /// Whether it names that minute of a day.
    pub(super) fn has_time(&self, time: NaiveTime) -> bool {
        has(self.hours, time.hour()) && has(self.minutes, time.minute())
    }

    /// The minutes of a day that it names, after midnight, in order.
    pub(super) fn times(&self) -> impl Iterator<Item = u16> + use<> {
        let (hours, minutes) = (self.hours, self.minutes);
        let hours = (0..24).filter(move |hour| has(hours, *hour));
        hours.flat_map(move |hour| {
            (0..60).filter(move |minute| has(minutes, *minute)).map(move |minute| (hour * 60 + minute) as u16)
        })
    }
}

fn has(set: u64, number: u32) -> bool {
    set & 1 << number != 0
}

/// One of the five fields.
struct Field {
    what: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

impl Field {
    /// The numbers that it names, as a set of bits.
    fn read(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, part: &str) -> Result<u64, String> {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (from, to) = self.range(range)?;
        let step = match step {
            None => 1,
            // Some read it as from there on, others as that number only.
            Some(step) if range != "*" && !range.contains('-') => {
                return Err(format!(
                    "`{part}` leaves open where it ends: write `{range}-{}/{step}`",
                    self.most
                ));
            }
            Some(step) => number(step).filter(|step| (1..=self.most).contains(step)).ok_or_else(|| {
                format!(
                    "`{step}` cannot be the step of the {}, which goes from 1 to {}",
                    self.what, self.most
                )
            })?,
        };
        Ok((from..=to).step_by(step as usize).fold(0, |set, number| set | 1 << number))
    }

    fn range(&self, range: &str) -> Result<(u32, u32), String> {
        let Some((from, to)) = range.split_once('-') else {
            // Sunday has two numbers, and the names of all days but one.
            let last = if self.names.len() == 7 { 6 } else { self.most };
            return if range == "*" { Ok((self.least, last)) } else { self.number(range).map(|it| (it, it)) };
        };
        let (from, to) = (self.number(from)?, self.number(to)?);
        let to = if self.names.len() == 7 && to == 0 && from > 0 { 7 } else { to };
        if from > to { Err(format!("`{range}` runs backwards")) } else { Ok((from, to)) }
    }

    fn number(&self, word: &str) -> Result<u32, String> {
        let by_name = self.names.iter().position(|name| word.eq_ignore_ascii_case(name));
        let by_name = by_name.map(|at| at as u32 + u32::from(self.names.len() == 12));
        let found = by_name.or_else(|| number(word));
        found.filter(|number| (self.least..=self.most).contains(number)).ok_or_else(|| {
            let Field { what, least, most, .. } = self;
            format!("`{word}` cannot be the {what}, which goes from {least} to {most}")
        })
    }
}

/// A number without a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_field_by_field() {
        for good in ["0 3 * * mon-fri", "*/15 0-6,22 1,15 jan-MAR *", "59 23 31 12 7", "0 0 * * fri-sun"] {
            assert!(Cron::read(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("60 * * * *", "`60` cannot be the minute"),
            ("* 24 * * *", "`24` cannot be the hour"),
            ("* * 0 * *", "`0` cannot be the day of the month"),
            ("* * * 13 *", "`13` cannot be the month"),
            ("5-1 * * * *", "`5-1` runs backwards"),
            ("*/0 * * * *", "`0` cannot be the step"),
            ("*/60 * * * *", "`60` cannot be the step"),
            ("* * * * funday", "`funday` cannot be the day of the week"),
            ("5/15 * * * *", "write `5-59/15`"),
            ("+5 * * * *", "`+5` cannot be the minute"),
            ("1,,2 * * * *", "`` cannot be the minute"),
            ("99999999999999999999 * * * *", "cannot be the minute"),
        ] {
            let said = Cron::read(bad).expect_err(bad);
            assert!(said.contains(why), "{bad:?}: {said}");
        }
    }

    #[test]
    fn a_field_names_what_it_says_and_nothing_else() {
        let bits = |numbers: &[u32]| numbers.iter().fold(0, |set, number| set | 1 << number);
        let cron = Cron::read("5-59/20 */8 1,15,31 feb-apr sun").unwrap();
        assert_eq!(cron.minutes, bits(&[5, 25, 45]));
        assert_eq!(cron.hours, bits(&[0, 8, 16]));
        assert_eq!(cron.days, bits(&[1, 15, 31]));
        assert_eq!(cron.months, bits(&[2, 3, 4]));
        assert_eq!(cron.weekdays, bits(&[0]));
        assert_eq!(Cron::read("0 0 * * fri-sun").unwrap().weekdays, bits(&[5, 6, 7]));
        assert_eq!(Cron::read("0 0 * * */2").unwrap().weekdays, bits(&[0, 2, 4, 6]));
    }

    #[test]
    fn of_two_kinds_of_day_one_is_enough_if_both_are_named() {
        let is_on = |line: &str, day: &str| Cron::read(line).unwrap().is_on(day.parse().unwrap());
        // 2026-11-13 is a Friday.
        let either = "0 0 13 * fri";
        assert!(is_on(either, "2026-11-13") && is_on(either, "2026-11-20") && is_on(either, "2026-10-13"));
        assert!(!is_on(either, "2026-11-14"));
        assert!(!is_on("0 0 * * fri", "2026-10-13") && !is_on("0 0 13 * *", "2026-11-20"));
        // A step is no name: every other day, and a Friday.
        assert!(is_on("0 0 */2 * fri", "2026-11-13") && !is_on("0 0 */2 * fri", "2026-11-20"));
        assert!(is_on("0 0 * * 7", "2026-11-15") && is_on("0 0 * * 0", "2026-11-15"));
    }

    #[test]
    fn a_day_that_no_year_has_never_comes() {
        let comes = |line: &str| Cron::read(line).unwrap().ever_comes();
        assert!(comes("0 0 29 2 *") && comes("0 0 31 2,3 *") && comes("0 0 30 2 mon"));
        assert!(comes("0 0 29 2 */6"), "a leap day on a Saturday or Sunday");
        assert!(!comes("0 0 30 2 *") && !comes("0 0 31 4,6,9,11 *"));
    }
}
