//! Builds by the clock, tests of the pipeline.

use super::promote::zone;
use crate::definition::codes::Code;
use crate::definition::raw;
use crate::definition::report::Report;
use crate::domain::pipeline::{Schedule, TestCase};

pub(super) fn schedule(report: &mut Report, raw: &[raw::Schedule]) -> Vec<Schedule> {
    raw.iter()
        .enumerate()
        .map(|(at, raw)| {
            let cron = raw.cron.clone().unwrap_or_default();
            if raw.cron.is_some()
                && let Err(reason) = read_cron(&cron)
            {
                let message = format!("`{cron}` is not a cron line: {reason}");
                let problem = report.error(Code::BadCron, &format!("schedule[{at}].cron"), message);
                problem.help(
                    "write minute, hour, day of the month, month and day of the week: \"0 3 * * mon-fri\"",
                );
            }
            let name = raw.zone.clone().unwrap_or_else(|| "UTC".into());
            zone(report, &format!("schedule[{at}].zone"), &name);
            Schedule { cron, zone: name, ref_name: raw.ref_name.clone().unwrap_or_default() }
        })
        .collect()
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Checks the five fields of a cron line.
fn read_cron(text: &str) -> Result<(), String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(format!("it has {} fields instead of five", fields.len()));
    };
    cron_field("minute", minute, 0, 59, &[])?;
    cron_field("hour", hour, 0, 23, &[])?;
    cron_field("day of the month", day, 1, 31, &[])?;
    cron_field("month", month, 1, 12, &MONTHS)?;
    cron_field("day of the week", weekday, 0, 7, &DAYS)
}

fn cron_field(what: &str, text: &str, least: u32, most: u32, names: &[&str]) -> Result<(), String> {
    let first = if most == 12 { 1 } else { 0 };
    let number = |word: &str| {
        let by_name =
            names.iter().position(|name| word.eq_ignore_ascii_case(name)).map(|at| at as u32 + first);
        by_name
            .or_else(|| word.parse().ok())
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("`{word}` cannot be the {what}, which goes from {least} to {most}"))
    };
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        if let Some(step) = step
            && step.parse::<u32>().ok().is_none_or(|step| step == 0 || step > most)
        {
            return Err(format!("`{step}` cannot be the step of the {what}"));
        }
        match range.split_once('-') {
            _ if range == "*" => {}
            Some((from, to)) => {
                if number(from)? > number(to)? {
                    return Err(format!("`{range}` runs backwards"));
                }
            }
            None => {
                number(range)?;
            }
        }
    }
    Ok(())
}

pub(super) fn tests(raw: &[raw::Test]) -> Vec<TestCase> {
    raw.iter()
        .map(|raw| TestCase {
            name: raw.name.clone().unwrap_or_default(),
            given: raw.given.clone(),
            expect: raw.expect.clone().unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests_of_cron {
    use super::read_cron;

    #[test]
    fn cron_lines_are_read_field_by_field() {
        for good in ["0 3 * * mon-fri", "*/15 0-6,22 1,15 jan-MAR *", "59 23 31 12 7"] {
            assert_eq!(read_cron(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "5-1 * * * *",
            "*/0 * * * *",
            "* * * * funday",
        ] {
            assert!(read_cron(bad).is_err(), "{bad:?} must be refused");
        }
    }
}
