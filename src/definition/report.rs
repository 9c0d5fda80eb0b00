//! Collecting problems: nothing stops at the first.

use super::codes::Code;
use super::places::{Lines, Places};
use crate::domain::{Diagnostic, Severity};
use std::ops::Range;

/// Everything that is wrong with one file, as it is found.
pub(super) struct Report {
    /// Where each key and value of the file stands.
    pub(super) places: Places,
    problems: Vec<Problem>,
}

/// One thing that is wrong, at a range of bytes.
pub(super) struct Problem {
    code: Code,
    severity: Severity,
    at: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Problem {
    /// Adds the way out.
    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// Adds "did you mean", where something is near; else all that there is.
    pub(super) fn nearest<'a>(&mut self, word: &str, known: impl IntoIterator<Item = &'a str>) {
        let known: Vec<&str> = known.into_iter().collect();
        self.help = match (nearest(word, &known), known.as_slice()) {
            (Some(near), _) => Some(format!("did you mean `{near}`?")),
            (None, []) => None,
            (None, [only]) => Some(format!("there is only `{only}`")),
            (None, all) if all.len() <= 16 => Some(format!("there are {}", listed(all))),
            (None, _) => None,
        };
    }
    /// The same of what is named at `key` by something of the same kind, which does not name itself.
    pub(super) fn other<'a>(&mut self, word: &str, known: &[&'a str], own: &str, what: &str, key: &str) {
        let others: Vec<&'a str> = known.iter().copied().filter(|other| *other != own).collect();
        if others.is_empty() {
            self.help(format!("there is no other {what}: leave `{key}` out"));
        } else {
            self.nearest(word, others);
        }
    }
}

impl Report {
    pub(super) fn new(places: Places) -> Report {
        Report { places, problems: Vec::new() }
    }

    /// An error at a value.
    pub(super) fn error(&mut self, code: Code, path: &str, message: impl Into<String>) -> &mut Problem {
        let at = self.places.value(path);
        self.at(code, Severity::Error, at, message)
    }

    /// An error at a key.
    pub(super) fn error_at_key(
        &mut self,
        code: Code,
        path: &str,
        message: impl Into<String>,
    ) -> &mut Problem {
        let at = self.places.key(path);
        self.at(code, Severity::Error, at, message)
    }

    /// A warning at a key: the file loads all the same.
    pub(super) fn warning(&mut self, code: Code, path: &str, message: impl Into<String>) -> &mut Problem {
        let at = self.places.key(path);
        self.at(code, Severity::Warning, at, message)
    }

    /// A problem at a range of bytes.
    pub(super) fn at(
        &mut self,
        code: Code,
        severity: Severity,
        at: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.problems.push(Problem { code, severity, at, message: message.into(), help: None });
        self.problems.last_mut().expect("BUG: it was pushed just now")
    }

    /// Whether anything keeps the file from loading.
    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, in the order of the file.
    pub(super) fn into_diagnostics(mut self, file: &str, lines: &Lines<'_>) -> Vec<Diagnostic> {
        self.problems.sort_by_key(|problem| (problem.at.start, problem.code));
        self.problems.into_iter().map(|problem| problem.into_diagnostic(file, lines)).collect()
    }
}

impl Problem {
    fn into_diagnostic(self, file: &str, lines: &Lines<'_>) -> Diagnostic {
        let (line, column) = lines.position(self.at.start);
        let (end_line, end_column) = lines.position(self.at.end.max(self.at.start));
        Diagnostic {
            code: self.code.text(),
            severity: self.severity,
            file: file.into(),
            line,
            column,
            end_line,
            end_column,
            message: self.message,
            help: self.help,
            text: Diagnostic::shown(&lines.text()[lines.range(line as usize - 1)]),
        }
    }
}

/// What was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    let lower = word.to_lowercase().replace('-', "_");
    let by_letters = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance);
    // `environment` for `env`, `desc` for `description`.
    let begins = |candidate: &&&str| {
        candidate.len().min(lower.len()) >= 3
            && (lower.starts_with(**candidate) || candidate.starts_with(&lower))
    };
    by_letters.map(|(_, candidate)| candidate).or_else(|| known.iter().find(begins).copied())
}

/// `` `a`, `b` and `c` ``.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
