//! How a version reaches a node.

use super::terms::{self, Around};
use crate::definition::codes::Code;
use crate::definition::names;
use crate::definition::raw;
use crate::definition::report::Report;
use crate::domain::Span;
use crate::domain::pipeline::{Deploy, Health, OnFailure, Upload, Wave};

/// A new login that is slow, and one more try, fit into that.
const LEAST_CONFIRMED: Span = Span::seconds(10);

pub(super) fn deploy(report: &mut Report, around: &Around, path: &str, raw: &raw::Deploy) -> Deploy {
    let has = |report: &Report, key: &str| report.places.has(&format!("{path}.{key}"));
    if !has(report, "run") && !has(report, "upload") {
        let problem = report.error_at_key(Code::DeployDoesNothing, path, "this deploy does nothing");
        problem.help("say what is put in place (`upload`) or what is run (`run`)");
    }
    if raw.exec.dir.is_some() && raw.run.is_none() && has(report, "dir") && !has(report, "run") {
        let problem = report.error_at_key(
            Code::DoesNotGoWith,
            &format!("{path}.dir"),
            "`dir` is the folder of `run`, which is not there",
        );
        problem.help("say `run`, or leave `dir` out");
    }
    Deploy {
        upload: raw
            .upload
            .iter()
            .enumerate()
            .map(|(at, raw)| upload(report, around, &format!("{path}.upload[{at}]"), raw))
            .collect(),
        run: terms::script(report, &format!("{path}.run"), raw.run.as_ref()),
        waves: waves(report, &format!("{path}.waves"), raw.waves.as_deref()),
        max_failures: raw.max_failures.unwrap_or(0) as u32,
        health: raw.health.as_ref().map(|raw| health(report, &format!("{path}.health"), raw)),
        on_failure: match raw.on_failure {
            Some(raw::OnFailure::Stop) => OnFailure::Stop,
            Some(raw::OnFailure::Rollback) | None => OnFailure::Rollback,
        },
        rerun_on_crash: matches!(raw.on_crash, Some(raw::OnCrash::Rerun)),
        leave_running: raw.leave_running.unwrap_or(false),
        confirm_within: names::span_at_least(
            report,
            &format!("{path}.confirm_within"),
            raw.confirm_within.as_ref(),
            LEAST_CONFIRMED,
            "the controller logs in anew in that time, and tries again if it cannot at once",
        ),
        exec: terms::exec(report, around, path, &raw.exec, None),
    }
}

fn upload(report: &mut Report, around: &Around, path: &str, raw: &raw::Upload) -> Upload {
    let artifact = raw.artifact.clone().unwrap_or_default();
    let to = raw.to.clone().unwrap_or_default();
    if raw.artifact.is_some() {
        around.artifact(report, &format!("{path}.artifact"), &artifact);
    }
    if raw.to.is_some() && !to.starts_with(['/', '$']) {
        let message = format!("`{to}` is not an absolute path");
        report
            .error(Code::BadPath, &format!("{path}.to"), message)
            .help("write it like \"/opt/shop/$TIDEGATE_VERSION/\"; one that ends with `/` is a folder");
    }
    Upload { artifact, to }
}

fn waves(report: &mut Report, path: &str, raw: Option<&[raw::Wave]>) -> Vec<Wave> {
    let Some(raw) = raw else { return vec![Wave::Count(1)] };
    raw.iter()
        .enumerate()
        .map(|(at, wave)| match wave {
            raw::Wave::Count(count) => Wave::Count(*count as u32),
            raw::Wave::Share(text) => {
                Wave::Percent(names::percent(report, &format!("{path}[{at}]"), text).unwrap_or(100))
            }
        })
        .collect()
}

fn health(report: &mut Report, path: &str, raw: &raw::Health) -> Health {
    terms::say_one(report, path, &["http", "tcp", "run"]);
    let run = raw.run.as_ref().map(|run| ("run", run));
    let span = |report: &mut Report, key: &str, text: &Option<String>, default: u64| {
        names::span(report, &format!("{path}.{key}"), text.as_ref()).unwrap_or(Span::seconds(default))
    };
    let health = Health {
        probe: terms::probe(report, path, raw.http.as_ref(), raw.tcp.as_ref(), run),
        every: names::span_above_zero(report, &format!("{path}.every"), raw.every.as_ref())
            .unwrap_or(Span::seconds(1)),
        healthy_for: span(report, "healthy_for", &raw.healthy_for, 0),
        within: span(report, "within", &raw.within, 60),
    };
    if health.healthy_for > health.within {
        let message = "a node could never be healthy for so long within that time";
        let problem = report.error(Code::DoesNotGoWith, &format!("{path}.healthy_for"), message);
        problem.help(format!(
            "let `within` ({}) be longer than `healthy_for` ({})",
            health.within, health.healthy_for
        ));
    }
    health
}
