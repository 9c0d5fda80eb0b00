//! Collecting problems: nothing stops at the first.

use super::codes::Code;
use super::places::{Lines, Places};
use crate::domain::{Diagnostic, Severity};
use std::ops::Range;

/// So many problems of one file are told. What is not told costs next to nothing: whoever may ask what a file means may
/// send one of a megabyte in which everything is wrong.
const MOST: usize = 200;
/// No message or help is longer, in bytes: names in a file may be as long as the file.
const LONGEST: usize = 1000;
/// What is longer, in bytes, was not meant as one of the words that are known.
const LONGEST_WORD: usize = 128;
/// So many words are compared with one that is not known.
const MOST_WORDS: usize = 1000;
/// For so many problems of a file what was probably meant is looked for.
const SUGGESTED: usize = 50;

/// Everything that is wrong with one file, as it is found.
pub(super) struct Report {
    /// Where each key and value of the file stands.
    pub(super) places: Places,
    problems: Vec<Problem>,
    unlisted: Unlisted,
}

/// Problems beyond those that are told.
#[derive(Default)]
struct Unlisted {
    count: usize,
    errors: usize,
    /// Where the first one is.
    at: Range<usize>,
    /// The last one, for whoever finds it to say more of it.
    last: Option<Problem>,
}

/// One thing that is wrong, at a range of bytes.
pub(super) struct Problem {
    code: Code,
    severity: Severity,
    at: Range<usize>,
    message: String,
    help: Option<String>,
    is_listed: bool,
    suggests: bool,
}

impl Problem {
    /// Adds the way out.
    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// Adds "did you mean", where something is near; else all that there is.
    pub(super) fn nearest<'a>(&mut self, word: &str, known: impl IntoIterator<Item = &'a str>) {
        if !self.is_listed {
            return;
        }
        let known: Vec<&str> = known.into_iter().collect();
        let near = if self.suggests { nearest(word, &known) } else { None };
        self.help = match (near, known.as_slice()) {
            (Some(near), _) => Some(format!("did you mean `{near}`?")),
            (None, []) => None,
            (None, [only]) => Some(format!("there is only `{only}`")),
            (None, all) if all.len() <= 16 => Some(format!("there are {}", listed(all))),
            (None, [first, second, ..]) => Some(format!(
                "name one of the {} that there are, such as `{first}` and `{second}`",
                known.len()
            )),
        };
    }

    /// The same of what is named at `key` by something of the same kind, which does not name itself.
    pub(super) fn other<'a>(&mut self, word: &str, known: &[&'a str], own: &str, what: &str, key: &str) {
        if !self.is_listed {
            return;
        }
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
        Report { places, problems: Vec::new(), unlisted: Unlisted::default() }
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
        let suggests = self.problems.len() < SUGGESTED;
        let message = message.into();
        let mut problem = Problem { code, severity, at, message, help: None, is_listed: true, suggests };
        if self.is_full() {
            // An error is told rather than a remark.
            let remark = match severity {
                Severity::Error => self.problems.iter_mut().rfind(|one| one.severity == Severity::Warning),
                Severity::Warning => None,
            };
            let Some(remark) = remark else { return self.unlisted.add(problem) };
            std::mem::swap(remark, &mut problem);
            self.unlisted.add(problem);
            return remark;
        }
        self.problems.push(problem);
        self.problems.last_mut().expect("BUG: it was pushed just now")
    }

    /// Whether no more are told: then nothing is worked out for them either.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }

    /// Whether anything keeps the file from loading.
    pub(super) fn has_errors(&self) -> bool {
        self.unlisted.errors > 0 || self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, in the order of the file.
    pub(super) fn into_diagnostics(mut self, file: &str, lines: &Lines<'_>) -> Vec<Diagnostic> {
        self.problems.sort_by_key(|problem| (problem.at.start, problem.code));
        let rest = self.unlisted.told();
        self.problems.into_iter().chain(rest).map(|problem| problem.into_diagnostic(file, lines)).collect()
    }
}

impl Unlisted {
    fn add(&mut self, problem: Problem) -> &mut Problem {
        if self.count == 0 {
            self.at = problem.at.clone();
        }
        self.count += 1;
        self.errors += usize::from(problem.severity == Severity::Error);
        self.last.insert(Problem { is_listed: false, ..problem })
    }

    /// What stands for all of them at the end.
    fn told(self) -> Option<Problem> {
        let severity = if self.errors > 0 { Severity::Error } else { Severity::Warning };
        (self.count > 0).then(|| Problem {
            code: Code::ManyProblems,
            severity,
            at: self.at,
            message: format!("there are {} more problems, which are not listed", self.count),
            help: Some("mend those that are listed, and check again".into()),
            is_listed: true,
            suggests: false,
        })
    }
}

/// The text, or its beginning.
fn brief(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
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
            message: brief(self.message),
            help: self.help.map(brief),
            text: Diagnostic::shown(&lines.text()[lines.range(line as usize - 1)]),
        }
    }
}

/// What was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let allowed = (word.chars().count() / 3).max(1);
    let lower = word.to_lowercase().replace('-', "_");
    let is_as_long = |candidate: &&&str| candidate.len().abs_diff(lower.len()) <= 4 * allowed;
    let known = &known[..known.len().min(MOST_WORDS)];
    let by_letters = known
        .iter()
        .filter(is_as_long)
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
