//! Commands, how they are executed, environments, probes: what several parts of a file share.

use crate::definition::codes::Code;
use crate::definition::names;
use crate::definition::raw;
use crate::definition::report::Report;
use crate::domain::pipeline::{Exec, Limits, Probe, Retry, Sandbox, Script};
use crate::domain::{Classification, Cores, Span, Status};
use std::collections::BTreeMap;

/// What every lowering needs to know of the rest of the file.
pub(super) struct Around {
    /// Names of the secrets that are declared.
    pub(super) secrets: Vec<String>,
    /// What the build keeps.
    pub(super) artifacts: Vec<String>,
    /// Names of the secrets that something lists.
    pub(super) used: std::cell::RefCell<Vec<String>>,
}

impl Around {
    /// Checks names of secrets that are listed.
    pub(super) fn secrets(&self, report: &mut Report, path: &str, listed: &[String]) -> Vec<String> {
        for (at, name) in listed.iter().enumerate() {
            if !self.secrets.contains(name) && !report.places.has(&format!("secrets.{name}")) {
                let message = format!("there is no secret `{name}` in `[secrets]`");
                let problem = report.error(Code::UnknownSecret, &format!("{path}[{at}]"), message);
                problem.help(format!("declare it: [secrets] {name} = {{ file = \"/run/secrets/{name}\" }}"));
                if !self.secrets.is_empty() {
                    problem.nearest(name, self.secrets.iter().map(String::as_str));
                }
            }
        }
        self.used.borrow_mut().extend(listed.iter().cloned());
        listed.to_vec()
    }

    /// Checks that something which is used is among what the build keeps.
    pub(super) fn artifact(&self, report: &mut Report, path: &str, wanted: &str) {
        names::glob(report, path, wanted);
        let is_kept = self.artifacts.iter().any(|kept| {
            kept == wanted || matches(kept, wanted) || matches(wanted, kept) || is_below(kept, wanted)
        });
        // Whether two globs have something in common shows only when there are files.
        let both_globs = |kept: &String| is_glob(kept) && is_glob(wanted);
        if !is_kept
            && !self.artifacts.iter().any(both_globs)
            && !report.places.is_incomplete("build.artifacts")
        {
            let message = format!("the build does not keep an artifact `{wanted}`");
            let problem = report.error(Code::UnknownArtifact, path, message);
            problem.help(format!("add it: [build] artifacts = [\"{wanted}\"]"));
            if !self.artifacts.is_empty() {
                problem.nearest(wanted, self.artifacts.iter().map(String::as_str));
            }
        }
    }
}

/// Whether what is kept is certainly in that folder.
fn is_below(kept: &str, folder: &str) -> bool {
    let plain = |text: &str| text.trim_start_matches("./").trim_end_matches('/').to_owned();
    plain(kept).strip_prefix(&plain(folder)).is_some_and(|rest| rest.starts_with('/'))
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

fn matches(glob: &str, path: &str) -> bool {
    crate::glob::read(glob).is_ok_and(|built| built.compile_matcher().is_match(path))
}

pub(super) fn script(report: &mut Report, path: &str, raw: Option<&raw::Script>) -> Option<Script> {
    match raw? {
        raw::Script::Shell(text) => {
            if text.trim().is_empty() {
                report
                    .error(Code::Empty, path, "this command is empty")
                    .help("say what is run, or leave the key out");
            }
            Some(Script::Shell(text.clone()))
        }
        raw::Script::Argv(words) => {
            if words.first().is_none_or(|program| program.trim().is_empty()) {
                report
                    .error(Code::Empty, path, "this command names no program")
                    .help("the first entry is the program");
            }
            Some(Script::Argv(words.clone()))
        }
    }
}

/// A command that must be there; if it is not, that has been said.
pub(super) fn needed_script(report: &mut Report, path: &str, raw: Option<&raw::Script>) -> Script {
    script(report, path, raw).unwrap_or_else(|| Script::Shell(String::new()))
}

pub(super) fn env(
    report: &mut Report,
    path: &str,
    raw: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (name, value) in raw {
        let path = format!("{path}.{name}");
        names::variable(report, &path, name);
        if value.contains('\0') {
            report.error(Code::BadVariable, &path, "a value cannot hold a zero byte").help("leave it out");
        }
    }
    raw.clone()
}

pub(super) fn exec(
    report: &mut Report,
    around: &Around,
    path: &str,
    raw: &raw::Exec,
    tries: Option<&raw::Retry>,
) -> Exec {
    if let Some(dir) = raw.dir.as_ref().filter(|dir| *dir != ".") {
        names::inner_path(report, &format!("{path}.dir"), dir);
    }
    Exec {
        dir: raw.dir.clone().filter(|dir| dir != "."),
        timeout: names::span_above_zero(report, &format!("{path}.timeout"), raw.timeout.as_ref()),
        retry: tries.map(|raw| retry(report, &format!("{path}.retry"), raw)),
        env: env(report, &format!("{path}.env"), &raw.env),
        secrets: around.secrets(report, &format!("{path}.secrets"), &raw.secrets),
        grace: names::span(report, &format!("{path}.grace"), raw.grace.as_ref()),
        sandbox: sandbox(report, &format!("{path}.sandbox"), raw.sandbox.as_deref()),
        limits: raw.limits.as_ref().map(|raw| limits(report, &format!("{path}.limits"), raw)),
    }
}

fn sandbox(report: &mut Report, path: &str, raw: Option<&str>) -> Option<Sandbox> {
    let text = raw.filter(|text| *text != "none")?;
    let Some(sandbox) = Sandbox::parse(text) else {
        report
            .error(Code::UnknownValue, path, format!("`{text}` is not an isolation"))
            .help("say \"none\", \"landlock\" or \"user:NAME\"");
        return None;
    };
    if sandbox.account() == Some("root") {
        let problem = report.error(Code::UnknownValue, path, "root is kept from nothing");
        problem.help("name an account that may do less, or say \"none\"");
    }
    Some(sandbox)
}

fn retry(report: &mut Report, path: &str, raw: &raw::Retry) -> Retry {
    for (at, class) in raw.on.iter().enumerate() {
        let good = class.status() == Status::Pass;
        if good || *class == Classification::Canceled {
            let message = match good {
                true => "what has passed is not tried again",
                false => "`canceled` is not tried again: somebody ended it on purpose",
            };
            let problem = report.error(Code::DoesNotGoWith, &format!("{path}.on[{at}]"), message);
            problem.help("name classes that are bad, such as \"infrastructure\" or \"timeout\"");
        }
    }
    Retry {
        times: raw.times.unwrap_or(0) as u32,
        wait: names::span(report, &format!("{path}.wait"), raw.wait.as_ref()).unwrap_or(Span::seconds(10)),
        on: raw.on.clone(),
    }
}

fn limits(report: &mut Report, path: &str, raw: &raw::Limits) -> Limits {
    Limits {
        memory: names::size(report, &format!("{path}.memory"), raw.memory.as_ref()),
        pids: raw.pids.map(|pids| pids as u32),
        // The schema has refused what is no number of cores.
        cpu: raw.cpu.and_then(Cores::new),
        disk: names::size(report, &format!("{path}.disk"), raw.disk.as_ref()),
        output: names::size(report, &format!("{path}.output"), raw.output.as_ref()),
    }
}

/// Of several keys exactly one must be said. Whether it is so; if not, that has been said.
pub(super) fn say_one(report: &mut Report, path: &str, keys: &[&str]) -> bool {
    let said: Vec<&str> =
        keys.iter().copied().filter(|key| report.places.has(&format!("{path}.{key}"))).collect();
    if said.len() == 1 {
        return true;
    }
    let listed = crate::definition::report::listed(keys).replace(" and ", " or ");
    match said.as_slice() {
        [_, second, ..] => {
            let problem = report.error_at_key(
                Code::SayOne,
                &format!("{path}.{second}"),
                format!("only one of {listed} can be said"),
            );
            problem.help("keep one of them");
        }
        _ => {
            report.error(Code::SayOne, path, format!("one of {listed} is missing")).help("say one of them");
        }
    }
    false
}

/// A probe of one of three forms.
pub(super) fn probe(
    report: &mut Report,
    path: &str,
    http: Option<&String>,
    tcp: Option<&String>,
    run: Option<(&str, &raw::Script)>,
) -> Probe {
    if let Some(url) = http {
        address(report, &format!("{path}.http"), url, true);
        return Probe::Http(url.clone());
    }
    if let Some(tcp) = tcp {
        address(report, &format!("{path}.tcp"), tcp, false);
        return Probe::Tcp(tcp.clone());
    }
    let (key, command) = run.map_or(("run", None), |(key, command)| (key, Some(command)));
    Probe::Run(needed_script(report, &format!("{path}.{key}"), command))
}

/// A URL or a `host:port`, as far as can be judged before `$NAME` is replaced.
pub(super) fn address(report: &mut Report, path: &str, text: &str, is_url: bool) {
    let good = match is_url {
        true => ["http://", "https://", "$"]
            .iter()
            .any(|start| text.len() > start.len() && text.starts_with(start)),
        false => text.contains(':') || text.contains('$'),
    };
    if !good || text.chars().any(char::is_whitespace) {
        let (what, help) = match is_url {
            true => ("a URL", "begin with the scheme: \"http://127.0.0.1:8080/health\", \"https://…\""),
            false => ("an address", "write it as host and port: \"127.0.0.1:5432\""),
        };
        report.error(Code::BadAddress, path, format!("`{text}` is not {what}")).help(help);
    }
}
