//! How a commit becomes a version.

use super::terms::{self, Around};
use crate::definition::codes::Code;
use crate::definition::report::Report;
use crate::definition::{graph, names, raw};
use crate::domain::pipeline::{Build, OnNewer, Step};

pub(super) fn build(report: &mut Report, around: &Around, raw: Option<&raw::Build>) -> Build {
    let default = raw::Build::default();
    let raw = raw.unwrap_or(&default);
    for (at, artifact) in raw.artifacts.iter().enumerate() {
        let path = format!("build.artifacts[{at}]");
        names::inner_path(report, &path, artifact);
        names::glob(report, &path, artifact);
    }
    Build {
        on_newer: match raw.on_newer {
            Some(raw::OnNewer::Finish) => OnNewer::Finish,
            Some(raw::OnNewer::Abort) | None => OnNewer::Abort,
        },
        timeout: names::span_above_zero(report, "build.timeout", raw.timeout.as_ref()),
        artifacts: raw.artifacts.clone(),
        steps: steps(report, around, &raw.step),
    }
}

/// So many entries of a cycle are named.
const SHOWN: usize = 8;

fn steps(report: &mut Report, around: &Around, raw: &[raw::Step]) -> Vec<Step> {
    let path = |at: usize| format!("build.step[{at}]");
    let named: Vec<(String, String)> = raw
        .iter()
        .enumerate()
        .filter_map(|(at, step)| Some((format!("{}.name", path(at)), step.name.clone()?)))
        .collect();
    named.iter().for_each(|(path, name)| names::name(report, path, name));
    names::unique(report, "step", &named);
    let all = names::Listed::new(named.iter().map(|(_, name)| name.as_str()).collect());
    let mut before: graph::Before = Vec::new();
    for (at, step) in raw.iter().enumerate() {
        let needs = step.needs.clone().unwrap_or_default();
        let in_place =
            if step.needs.is_none() { at.checked_sub(1).into_iter().collect() } else { Vec::new() };
        let own = step.name.as_deref().unwrap_or_default();
        let needed = needed(report, "step", own, &format!("{}.needs", path(at)), &needs, &all, "build.step");
        before.push(if step.needs.is_some() { needed } else { in_place });
    }
    say_cycles(report, &before, all.all(), "step", |at| format!("{}.needs", path(at)));
    raw.iter()
        .enumerate()
        .map(|(at, step)| Step {
            name: step.name.clone().unwrap_or_default().into(),
            run: terms::needed_script(report, &format!("{}.run", path(at)), step.run.as_ref()),
            needs: match &step.needs {
                Some(needs) => needs.iter().map(|name| name.as_str().into()).collect(),
                None => at
                    .checked_sub(1)
                    .and_then(|at| raw[at].name.as_deref())
                    .map(Into::into)
                    .into_iter()
                    .collect(),
            },
            exec: terms::exec(report, around, &path(at), &step.exec, step.retry.as_ref()),
        })
        .collect()
}

/// Where the entries that are needed stand; those that are unknown are said.
pub(super) fn needed(
    report: &mut Report,
    what: &str,
    own: &str,
    path: &str,
    needs: &[String],
    all: &names::Listed<'_>,
    list: &str,
) -> Vec<usize> {
    let mut found = Vec::new();
    for (at, need) in needs.iter().enumerate() {
        match all.position(need) {
            Some(position) => found.push(position),
            None if report.places.is_incomplete(list) => {}
            None => {
                let message = format!("there is no {what} `{need}`");
                let problem = report.error(Code::UnknownNeed, &format!("{path}[{at}]"), message);
                problem.other(need, all.all(), own, what, "needs");
            }
        }
    }
    found
}

/// Says each cycle once, where its first entry says what it needs.
pub(super) fn say_cycles(
    report: &mut Report,
    before: &graph::Before,
    all: &[&str],
    what: &str,
    path: impl Fn(usize) -> String,
) {
    for cycle in graph::cycles(before) {
        let names: Vec<String> =
            cycle.iter().map(|at| format!("`{}`", all.get(*at).unwrap_or(&"?"))).collect();
        // Where somebody wrote what makes the cycle, not where a default did.
        let written: Vec<usize> = cycle.iter().copied().filter(|at| report.places.has(&path(*at))).collect();
        let first = written.first().copied().unwrap_or(cycle[0]);
        let (message, help) = match names.as_slice() {
            [only] => (format!("{what} {only} waits for itself"), "name another, or none".to_owned()),
            names => {
                let shown = names[..names.len().min(SHOWN)].join(", then ");
                let way = if names.len() > SHOWN { format!("{shown}, and so on") } else { shown };
                let message = format!("these {what}s wait for one another: {way}, then {} again", names[0]);
                let by_default = cycle.iter().find(|at| !written.contains(at)).and_then(|at| all.get(*at));
                let by_default = by_default.map(|name| {
                    format!("; `{name}` does not say what it waits for, so it waits for what stands before it in the file")
                });
                (
                    message,
                    format!("let one of them not wait for the others{}", by_default.unwrap_or_default()),
                )
            }
        };
        report.error(Code::Cycle, &path(first), message).help(help);
    }
}
