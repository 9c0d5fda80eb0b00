//! Checks of single words: names, variables, paths, globs, times.

use super::codes::Code;
use super::report::Report;
use crate::domain::Span;
use crate::glob;
use std::collections::HashMap;

/// What a name may look like; it becomes part of paths and of command lines that people type.
pub(super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    text.len() <= 64
        && chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Says what is wrong with a name.
pub(super) fn name(report: &mut Report, path: &str, text: &str) {
    if !is_name(text) {
        let message = format!("`{text}` cannot be a name");
        let problem = report.error(Code::BadName, path, message);
        problem.help(
            "a name has letters, digits, `.`, `_` and `-`, at most 64, and begins with a letter or digit",
        );
    }
}

/// Says which names of a list stand there twice. `entries`: the path and name of each.
pub(super) fn unique(report: &mut Report, what: &str, entries: &[(String, String)]) {
    let mut first: HashMap<&str, &str> = HashMap::new();
    for (path, name) in entries {
        if first.insert(name, path).is_some() {
            let message = format!("there are two {what}s named `{name}`");
            // Only the kind of a gate stands for a name that is not said.
            let help = match report.places.has(path) {
                true => format!("give each {what} a name of its own"),
                false => format!("without `name` it is called as its kind: say name = \"{name}_2\""),
            };
            report.error(Code::NameTwice, path, message).help(help);
        }
    }
}

/// The names of a list in its order, each found without looking at all of them: a file may hold tens of thousands.
pub(super) struct Listed<'a> {
    all: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Listed<'a> {
    /// Of two that are the same the first one is meant.
    pub(super) fn new(all: Vec<&'a str>) -> Listed<'a> {
        let mut places = HashMap::with_capacity(all.len());
        for (at, name) in all.iter().enumerate() {
            places.entry(*name).or_insert(at);
        }
        Listed { all, places }
    }

    pub(super) fn all(&self) -> &[&'a str] {
        &self.all
    }

    /// Where that name stands.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

/// A length of time, if one is said and can be read.
pub(super) fn span(report: &mut Report, path: &str, text: Option<&String>) -> Option<Span> {
    let text = text?;
    match Span::parse(text) {
        Ok(span) => Some(span),
        Err(reason) => {
            let message = format!("`{text}` is not a length of time: {reason}");
            report
                .error(Code::BadSpan, path, message)
                .help("write it like \"250ms\", \"90s\", \"20m\", \"24h\", \"7d\"");
            None
        }
    }
}

/// A length of time that has to go on for some time.
pub(super) fn span_above_zero(report: &mut Report, path: &str, text: Option<&String>) -> Option<Span> {
    let span = span(report, path, text)?;
    if span.duration().is_zero() {
        report
            .error(Code::BadSpan, path, "this length of time must be above zero")
            .help("leave the key out, or say how long");
    }
    Some(span)
}

/// A length of time that has to be so long at least; `why` reads after "because".
pub(super) fn span_at_least(
    report: &mut Report,
    path: &str,
    text: Option<&String>,
    least: Span,
    why: &str,
) -> Option<Span> {
    let span = span(report, path, text)?;
    if span.duration() < least.duration() {
        report
            .error(Code::BadSpan, path, format!("this length of time must be {least} at least"))
            .help(format!("say {least} or more: {why}"));
    }
    Some(span)
}

/// A size in bytes, if one is said and can be read.
pub(super) fn size(report: &mut Report, path: &str, text: Option<&String>) -> Option<u64> {
    let text = text?;
    crate::domain::parse_size(text)
        .map_err(|reason| {
            let message = format!("`{text}` is not a size: {reason}");
            report.error(Code::BadSize, path, message).help("write it like \"512KiB\", \"100MiB\", \"2GiB\"");
        })
        .ok()
}

/// A share such as `"25%"`, from 1 to 100.
pub(super) fn percent(report: &mut Report, path: &str, text: &str) -> Option<u8> {
    let number = text.strip_suffix('%').and_then(|digits| digits.parse::<u8>().ok());
    let found = number.filter(|number| (1..=100).contains(number));
    if found.is_none() {
        let message = format!("`{text}` is not a share");
        report.error(Code::BadShare, path, message).help("write it like \"25%\", from \"1%\" to \"100%\"");
    }
    found
}

/// A glob on paths, relative to the repository.
pub(super) fn glob(report: &mut Report, path: &str, text: &str) {
    if let Err(why) = glob::read(text) {
        let message = format!("`{text}` is not a glob: {why}");
        report
            .error(Code::BadGlob, path, message)
            .help("`*` stands for any part of a name, `**` for any folders; a literal `[` is written `[[]`");
    }
}

/// Whether a glob on refs stands for one name only.
pub(super) fn is_plain(glob: &str) -> bool {
    !glob.contains(['*', '?', '[', '{', '\\'])
}

/// Whether a branch or tag may be called so, fully or shortly.
pub(super) fn may_be_ref(name: &str) -> bool {
    let odd = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    !name.starts_with('-')
        && !name.contains([' ', '~', '^', ':', '?', '*', '[', '\\'])
        && !name.chars().any(char::is_control)
        && !name.contains("..")
        && !name.split('/').any(odd)
}

/// Whether one of the globs takes a ref, by its full or its short name.
pub(super) fn takes_ref(globs: &[String], full: &str) -> bool {
    let short = full.strip_prefix("refs/heads/").or(full.strip_prefix("refs/tags/")).unwrap_or(full);
    let built = globs.iter().filter_map(|text| glob::read(text).ok());
    built.map(|glob| glob.compile_matcher()).any(|glob| glob.is_match(full) || glob.is_match(short))
}

/// A path below some folder.
pub(super) fn inner_path(report: &mut Report, path: &str, text: &str) {
    let leaves = text.split('/').any(|part| part == "..");
    if text.is_empty() || text.starts_with('/') || leaves {
        let message = format!("`{text}` does not stay within the workspace");
        report
            .error(Code::BadPath, path, message)
            .help("name a path below it, without `..` and without a `/` at its beginning");
    }
}

/// A name of an environment variable that people may set.
pub(super) fn variable(report: &mut Report, path: &str, name: &str) {
    let mut chars = name.chars();
    let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !good {
        let problem = report.error_at_key(Code::BadVariable, path, format!("`{name}` cannot be a variable"));
        problem.help("a variable has letters, digits and `_`, and does not begin with a digit");
    } else if name == "TIDEGATE" || name.starts_with("TIDEGATE_") {
        let problem =
            report.error_at_key(Code::BadVariable, path, format!("`{name}` is set by tidegate itself"));
        problem.help("choose a name that does not begin with `TIDEGATE`");
    }
}
