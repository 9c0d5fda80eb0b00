//! Where commits come from, and what their versions are called.

use super::terms;
use crate::definition::codes::Code;
use crate::definition::names;
use crate::definition::raw::{self, VersionFrom};
use crate::definition::report::Report;
use crate::domain::Span;
use crate::domain::pipeline::{SecretSource, Source, VersionRule};
use std::collections::BTreeMap;

/// A repository is not looked at more often than this.
const SHORTEST_POLL: Span = Span::seconds(1);

pub(super) fn source(report: &mut Report, raw: Option<&raw::Source>) -> Source {
    let Some(raw) = raw else {
        return Source {
            repo: String::new(),
            refs: Vec::new(),
            paths: Vec::new(),
            poll: None,
            submodules: false,
            lfs: false,
        };
    };
    for (key, globs) in [("refs", &raw.refs), ("paths", &raw.paths)] {
        for (at, glob) in globs.iter().flatten().enumerate() {
            names::glob(report, &format!("source.{key}[{at}]"), glob);
        }
        if globs.as_ref().is_some_and(Vec::is_empty) {
            let message = format!("`{key}` is empty: nothing would ever match");
            report
                .error(Code::Empty, &format!("source.{key}"), message)
                .help("say at least one, or leave the key out");
        }
    }
    let repo = raw.repo.clone().unwrap_or_default();
    let is_remote = repo.contains("://") || is_scp_like(&repo);
    let poll = names::span(report, "source.poll", raw.poll.as_ref());
    if poll.is_some_and(|poll| !poll.duration().is_zero() && poll < SHORTEST_POLL) {
        report
            .error(Code::OutOfRange, "source.poll", "that is too often: `poll` is at least a second")
            .help("say \"1s\" or more, or \"0s\" for never");
    }
    Source {
        refs: raw.refs.clone().unwrap_or_default(),
        paths: raw.paths.clone().unwrap_or_default(),
        poll: match poll {
            Some(span) if span.duration().is_zero() => None,
            Some(span) => Some(span),
            None => is_remote.then_some(Span::seconds(300)),
        },
        submodules: raw.submodules.unwrap_or(false),
        lfs: raw.lfs.unwrap_or(false),
        repo,
    }
}

/// `git@host:path`, git's short form of an ssh URL.
fn is_scp_like(repo: &str) -> bool {
    repo.find(':').is_some_and(|colon| !repo[..colon].contains('/'))
}

pub(super) fn version(report: &mut Report, raw: Option<&raw::Version>) -> VersionRule {
    let Some(raw) = raw else { return VersionRule::Default };
    let from = raw.from;
    for (key, with, is_said) in [
        ("file", VersionFrom::File, raw.file.is_some()),
        ("command", VersionFrom::Command, raw.command.is_some()),
    ] {
        let path = format!("version.{key}");
        if is_said && from.is_some_and(|from| from != with) {
            let message = format!("`{key}` does not go with this `from`");
            report
                .error_at_key(Code::DoesNotGoWith, &path, message)
                .help(format!("say from = \"{key}\", or leave `{key}` out"));
        } else if from == Some(with) && !report.places.has(&path) {
            let message = format!("from = \"{key}\" needs the key `{key}`");
            let example = match with {
                VersionFrom::File => "file = \"VERSION\"",
                _ => "command = \"./version.sh\"",
            };
            report.error(Code::MissingKey, "version.from", message).help(format!("add {example}"));
        }
    }
    match from {
        None => VersionRule::Default,
        Some(VersionFrom::Cargo) => VersionRule::Cargo,
        Some(VersionFrom::Npm) => VersionRule::Npm,
        Some(VersionFrom::Pyproject) => VersionRule::Pyproject,
        Some(VersionFrom::Tag) => VersionRule::Tag,
        Some(VersionFrom::Describe) => VersionRule::Describe,
        Some(VersionFrom::File) => {
            let file = raw.file.clone().unwrap_or_default();
            if raw.file.is_some() {
                names::inner_path(report, "version.file", &file);
            }
            VersionRule::File { file }
        }
        Some(VersionFrom::Command) => VersionRule::Command {
            command: terms::needed_script(report, "version.command", raw.command.as_ref()),
        },
    }
}

pub(super) fn secrets(
    report: &mut Report,
    raw: &BTreeMap<String, raw::Secret>,
) -> BTreeMap<String, SecretSource> {
    let mut lowered = BTreeMap::new();
    for (name, secret) in raw {
        let path = format!("secrets.{name}");
        names::variable(report, &path, name);
        if !terms::say_one(report, &path, &["file", "env", "command"]) {
            continue;
        }
        let source = match (&secret.file, &secret.env, &secret.command) {
            (Some(file), _, _) => SecretSource::File(file.clone()),
            (_, Some(variable), _) => SecretSource::Env(variable.clone()),
            (_, _, Some(command)) => SecretSource::Command(command.clone()),
            // What was said was wrong, and that has been reported.
            (None, None, None) => continue,
        };
        lowered.insert(name.clone(), source);
    }
    lowered
}
