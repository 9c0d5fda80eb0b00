//! Builds by the clock.

use super::promote::zone;
use crate::definition::codes::Code;
use crate::definition::report::Report;
use crate::definition::{names, raw};
use crate::domain::pipeline::{Cron, Schedule, Source};

/// Each is looked at whenever anything happens in its pipeline.
const MOST: usize = 100;

/// Lowers the schedules of a pipeline with that source.
pub(super) fn schedules(report: &mut Report, source: &Source, raw: &[raw::Schedule]) -> Vec<Schedule> {
    if raw.len() > MOST {
        let message = format!("a pipeline has {MOST} schedules at most, not {}", raw.len());
        let problem = report.error(Code::OutOfRange, &format!("schedule[{MOST}]"), message);
        problem.help("one line may name many times: \"0,30 8-17 * * mon-fri\"");
    }
    let one = |(at, raw): (usize, &raw::Schedule)| schedule(report, source, &format!("schedule[{at}]"), raw);
    raw.iter().enumerate().map(one).collect()
}

fn schedule(report: &mut Report, source: &Source, path: &str, raw: &raw::Schedule) -> Schedule {
    let cron = raw.cron.clone().unwrap_or_default();
    if raw.cron.is_some() {
        check_cron(report, &format!("{path}.cron"), &cron);
    }
    let name = raw.zone.clone().unwrap_or_else(|| "UTC".into());
    zone(report, &format!("{path}.zone"), &name);
    let ref_name = match &raw.ref_name {
        Some(name) => {
            check_ref(report, source, &format!("{path}.ref"), name);
            name.clone()
        }
        None => source.refs.iter().find(|glob| names::is_plain(glob)).cloned().unwrap_or_default(),
    };
    Schedule { cron, zone: name, ref_name }
}

fn check_cron(report: &mut Report, path: &str, cron: &str) {
    match Cron::read(cron) {
        Err(reason) => report
            .error(Code::BadCron, path, format!("`{cron}` is not a cron line: {reason}"))
            .help("write minute, hour, day of the month, month and day of the week: \"0 3 * * mon-fri\""),
        Ok(read) if !read.ever_comes() => report
            .error(
                Code::NeverComes,
                path,
                format!("`{cron}` never comes: no month that it names has that day"),
            )
            .help(
                "name a day that these months have; for the last one of each, build on the first of the next",
            ),
        Ok(_) => {}
    }
}

fn check_ref(report: &mut Report, source: &Source, path: &str, name: &str) {
    if !names::may_be_ref(name) {
        report.error(Code::BadRef, path, format!("`{name}` is not the name of a branch or tag")).help(
            "a schedule builds one: write its name, such as \"main\"; for several write several schedules",
        );
        return;
    }
    let taken = |name: String| names::takes_ref(&source.refs, &name);
    let is_taken = match name.starts_with("refs/") {
        true => taken(name.to_owned()),
        false => taken(format!("refs/heads/{name}")) || taken(format!("refs/tags/{name}")),
    };
    if !source.refs.is_empty() && !is_taken {
        report.warning(Code::RefNotTaken, path, format!("`refs` of [source] does not take `{name}`")).help(
            "only the clock builds it, no push to it does: add it to `refs` if pushes shall be built, too",
        );
    }
}
