//! Notices: who is told of what.

use super::forge::{self, Place};
use super::terms::{self, Around};
use crate::definition::codes::Code;
use crate::definition::report::{Report, listed, nearest};
use crate::definition::{names, raw};
use crate::domain::event::KINDS;
use crate::domain::pipeline::{Notify, STATUS_KINDS};

/// Variables that every notice has beside `[env]` and its secrets, or may have.
const VARIABLES: [&str; 9] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TIDEGATE",
    "TIDEGATE_PIPELINE",
    "TIDEGATE_TIER",
    "TIDEGATE_VERSION",
    "TIDEGATE_SHA",
];

pub(super) fn notices(report: &mut Report, around: &Around, tiers: &[&str], file: &raw::File) -> Vec<Notify> {
    let each = file.notify.iter().enumerate();
    each.map(|(at, raw)| notice(report, around, tiers, file, &format!("notify[{at}]"), raw)).collect()
}

fn notice(
    report: &mut Report,
    around: &Around,
    tiers: &[&str],
    file: &raw::File,
    path: &str,
    raw: &raw::Notify,
) -> Notify {
    let at = |key: &str| format!("{path}.{key}");
    let is_forge = report.places.has(&at("forge"));
    // A forge's `url` says where it is, and is no receiver of its own.
    terms::say_one(report, path, if is_forge { &["run", "forge"] } else { &["url", "run", "forge"] });
    known_tiers(report, &at("tiers"), tiers, &raw.tiers);
    if let Some(url) = &raw.url {
        terms::address(report, &at("url"), url, true);
        known_variables(report, &at("url"), url, file, raw);
    }
    only_with(report, path, "timeout", "run");
    only_with(report, path, "project", "forge");
    let mut notice = Notify {
        kinds: kinds(report, path, raw),
        tiers: raw.tiers.iter().map(|name| name.as_str().into()).collect(),
        url: raw.url.clone(),
        run: terms::script(report, &at("run"), raw.run.as_ref()),
        forge: raw.forge,
        project: None,
        timeout: names::span_above_zero(report, &at("timeout"), raw.timeout.as_ref()),
        secrets: around.secrets(report, &at("secrets"), &raw.secrets),
    };
    if let Some(forge) = raw.forge {
        one_token(report, path, raw);
        let repo = file.source.as_ref().and_then(|source| source.repo.as_deref());
        if let Some(Place { api, project }) = forge::place(report, path, forge, repo, raw) {
            (notice.url, notice.project) = (Some(api), Some(project));
        }
    }
    notice
}

/// What it is told of. Where nothing is said, a forge is told of what makes a status.
fn kinds(report: &mut Report, path: &str, raw: &raw::Notify) -> Vec<String> {
    let Some(kinds) = &raw.kinds else {
        if raw.forge.is_none()
            && !report.places.has(&format!("{path}.forge"))
            && !report.places.has(&format!("{path}.kinds"))
        {
            let problem = report.error(Code::MissingKey, path, "the key `kinds` is missing in `[[notify]]`");
            problem.help("add `kinds = …`: kinds of events; `[\"*\"]` is every event of the pipeline");
        }
        return STATUS_KINDS.map(str::to_owned).to_vec();
    };
    for (n, kind) in kinds.iter().enumerate() {
        let path = format!("{path}.kinds[{n}]");
        if !fits_any(kind, &KINDS) {
            unknown_kind(report, &path, kind);
        } else if raw.forge.is_some() && !fits_any(kind, &STATUS_KINDS) {
            let message = format!("`{kind}` says nothing of a commit's status");
            let problem = report.error(Code::DoesNotGoWith, &path, message);
            problem.help(format!("with `forge` these do: {}", listed(&STATUS_KINDS)));
        } else if kind.starts_with("controller_") {
            let message = format!("`{kind}` is about no pipeline, and a notice is told of its own only");
            let problem = report.error(Code::DoesNotGoWith, &path, message);
            problem.help("follow `/events` for what is about the controller as a whole");
        }
    }
    kinds.clone()
}

fn fits_any(kind: &str, known: &[&str]) -> bool {
    match kind.strip_suffix('*') {
        Some(start) => known.iter().any(|known| known.starts_with(start)),
        None => known.contains(&kind),
    }
}

fn unknown_kind(report: &mut Report, path: &str, kind: &str) {
    let problem = report.error(Code::UnknownKind, path, format!("there is no event of kind `{kind}`"));
    problem.help("`tidegate schema event` has every kind; `gate_*` is all of a beginning");
    if nearest(kind, &KINDS).is_some() {
        problem.nearest(kind, KINDS);
    }
}

fn known_tiers(report: &mut Report, path: &str, tiers: &[&str], said: &[String]) {
    for (n, name) in said.iter().enumerate() {
        if !tiers.contains(&name.as_str()) && !report.places.is_incomplete("tier") {
            let message = format!("there is no tier `{name}`");
            let problem = report.error(Code::UnknownTier, &format!("{path}[{n}]"), message);
            problem.nearest(name, tiers.iter().copied());
        }
    }
}

/// A variable that is nowhere declared would stop every notice.
fn known_variables(report: &mut Report, path: &str, url: &str, file: &raw::File, raw: &raw::Notify) {
    let declared = file.env.keys().chain(&raw.secrets).map(String::as_str);
    let known: Vec<&str> = declared.chain(VARIABLES).collect();
    for name in variables_in(url).into_iter().filter(|name| !known.contains(name)) {
        let message = format!("`${name}` is not in the environment of this notice");
        let problem = report.error(Code::BadAddress, path, message);
        match nearest(name, &known) {
            Some(near) => problem.help(format!("did you mean `${near}`?")),
            None if file.secrets.contains_key(name) => {
                problem.help(format!("list it: secrets = [\"{name}\"]"))
            }
            None => problem.help(format!("set it in `[env]`, or declare a secret `{name}` and list it")),
        }
    }
}

/// The names after each `$`.
fn variables_in(text: &str) -> Vec<&str> {
    let after = text.split('$').skip(1).map(|after| after.strip_prefix('{').unwrap_or(after));
    let name = |after: &'_ str| {
        let is_first = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        if is_first { end } else { 0 }
    };
    after.map(|after| &after[..name(after)]).filter(|name| !name.is_empty()).collect()
}

fn only_with(report: &mut Report, path: &str, key: &str, other: &str) {
    let has = |key: &str| report.places.has(&format!("{path}.{key}"));
    if has(key) && !has(other) {
        let message = format!("`{key}` goes only with `{other}`");
        let problem = report.error_at_key(Code::DoesNotGoWith, &format!("{path}.{key}"), message);
        problem.help("leave it out");
    }
}

fn one_token(report: &mut Report, path: &str, raw: &raw::Notify) {
    match raw.secrets.as_slice() {
        [_] => {}
        [] => {
            if !report.places.has(&format!("{path}.secrets")) {
                let message = "`forge` needs a token that may set the status of commits";
                let problem = report.error(Code::MissingKey, &format!("{path}.forge"), message);
                problem.help("declare it in `[secrets]`, and list it: secrets = [\"FORGE_TOKEN\"]");
            }
        }
        _ => {
            let message = "with `forge` the one entry of `secrets` is the token";
            let problem = report.error(Code::DoesNotGoWith, &format!("{path}.secrets"), message);
            problem.help("list the token alone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_with_and_without_braces() {
        assert_eq!(variables_in("http://$HOST:${PORT}/x?t=$_T1-$1$"), ["HOST", "PORT", "_T1"]);
        assert!(variables_in("http://127.0.0.1/").is_empty());
    }
}
