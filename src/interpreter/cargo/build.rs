//! What `cargo test` and `cargo clippy` say: messages of the compiler, then, of tests, text.

use super::failures::Failures;
use super::remarks::{Remark, Remarks, count, in_words};
use super::sieve::Listener;
use super::trouble::Trouble;
use super::{Kind, Verdict};
use crate::domain::Classification;
use serde_json::Value;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

/// One run of a tool that compiles.
pub(super) struct Build {
    kind: Kind,
    pub(super) remarks: Remarks,
    /// Whether cargo said that it has built all, and how that went.
    built: Option<bool>,
    /// Errors that are not lints, and lints that are errors.
    errors: usize,
    lints: usize,
    first_error: Option<Remark>,
    first_lint: Option<Remark>,
    failures: Failures,
    trouble: Trouble,
    /// Hashes of what was written, with what they were made by: cargo says it again for each way in which a file is compiled.
    written: HashSet<u64>,
    hasher: RandomState,
}

impl Build {
    pub(super) fn new(kind: Kind, remarks: Remarks) -> Build {
        Build {
            kind,
            remarks,
            built: None,
            errors: 0,
            lints: 0,
            first_error: None,
            first_lint: None,
            failures: Failures::default(),
            trouble: Trouble::default(),
            written: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// What it means that cargo failed.
    pub(super) fn verdict(&mut self) -> Verdict {
        match self.built {
            Some(true) if self.kind == Kind::Test => {
                Verdict::of(Classification::TestFailure, self.failures.tell(&mut self.remarks))
            }
            Some(false) => self.not_built(),
            _ => self.trouble.verdict().unwrap_or(Verdict::of(Classification::CheckFailed, None)),
        }
    }

    fn not_built(&self) -> Verdict {
        let first = |remark: &Option<Remark>| remark.as_ref().map_or(String::new(), in_words);
        if self.errors == 0 && self.lints > 0 && self.kind == Kind::Clippy {
            let lints = count(self.lints, "lint", "lints");
            let message = format!("{lints}, the first at {}", first(&self.first_lint));
            return Verdict::of(Classification::Lint, Some(message));
        }
        let all = self.errors + self.lints;
        let message = (all > 0).then(|| {
            let remark = if self.errors > 0 { &self.first_error } else { &self.first_lint };
            format!("{}, the first at {}", count(all, "error", "errors"), first(remark))
        });
        // A build script that failed, say, has no message of its own.
        let message = message.or_else(|| self.trouble.verdict().and_then(|verdict| verdict.message));
        Verdict::of(Classification::CompileError, message)
    }

    fn compiler_message(&mut self, message: &Value) -> String {
        let about = &message["message"];
        if let Some((remark, is_lint)) = remark(about) {
            let package = message["manifest_path"].as_str().and_then(|path| Path::new(path).parent());
            let new = self.remarks.add(remark, package);
            if let Some(remark) = new.filter(|remark| remark.is_error) {
                let (count, first) = match is_lint {
                    true => (&mut self.lints, &mut self.first_lint),
                    false => (&mut self.errors, &mut self.first_error),
                };
                *count += 1;
                first.get_or_insert(remark);
            }
        }
        let rendered = about["rendered"].as_str().unwrap_or_default();
        let is_new = self.written.len() > 10_000 || self.written.insert(self.hasher.hash_one(rendered));
        if is_new { rendered.to_owned() } else { String::new() }
    }
}

impl Listener for Build {
    fn message(&mut self, message: &Value) -> Option<String> {
        // What comes after that is what tests print.
        if self.built.is_some() {
            return None;
        }
        match message["reason"].as_str()? {
            "compiler-message" => Some(self.compiler_message(message)),
            "build-finished" => {
                self.built = message["success"].as_bool();
                Some(String::new())
            }
            "compiler-artifact" | "build-script-executed" => Some(String::new()),
            _ => None,
        }
    }

    fn line(&mut self, line: &str) {
        match self.built {
            Some(true) => self.failures.line(line),
            _ => self.trouble.line(self.kind, line),
        }
    }
}

/// A diagnostic of the compiler as a remark, and whether it is a lint's. What only explains another is none.
fn remark(about: &Value) -> Option<(Remark, bool)> {
    let is_error = match about["level"].as_str()? {
        "warning" => false,
        level if level.starts_with("error") => true,
        _ => return None,
    };
    let spans = about["spans"].as_array().map_or(&[][..], Vec::as_slice);
    let code = about["code"]["code"].as_str();
    // `3 warnings emitted` and the like have neither.
    if spans.is_empty() && code.is_none() && !is_error {
        return None;
    }
    let span = spans.iter().find(|span| span["is_primary"] == true).or(spans.first());
    let place = span.map(outermost);
    let label = span.and_then(|span| span["label"].as_str()).filter(|label| !label.is_empty());
    let mut message = about["message"].as_str().unwrap_or_default().to_owned();
    for (before, text, after) in [(": ", label, ""), (" [", code, "]")] {
        if let Some(text) = text {
            message.extend([before, text, after]);
        }
    }
    let file = place.and_then(|span| span["file_name"].as_str()).map(str::to_owned);
    let line = place.and_then(|span| span["line_start"].as_u64()).and_then(|line| u32::try_from(line).ok());
    let is_lint = code.is_some_and(|code| !is_error_code(code));
    Some((Remark { is_error, file, line, message }, is_lint))
}

/// `E0308`; lints have names.
fn is_error_code(code: &str) -> bool {
    code.strip_prefix('E')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Where the macro stands that made the code, for code that a macro of another crate made.
fn outermost(span: &Value) -> &Value {
    let is_elsewhere =
        |span: &Value| span["file_name"].as_str().is_some_and(|file| file.starts_with(['/', '<']));
    let (mut span, mut depth) = (span, 0);
    while is_elsewhere(span) && span["expansion"]["span"].is_object() && depth < 100 {
        (span, depth) = (&span["expansion"]["span"], depth + 1);
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn build(kind: Kind) -> Build {
        Build::new(kind, Remarks::new(Path::new("/nowhere"), Path::new("/nowhere")))
    }

    fn diagnostic(level: &str, code: Option<&str>, line: u32) -> Value {
        let span =
            json!({"file_name": "src/lib.rs", "line_start": line, "is_primary": true, "label": "here"});
        let about = json!({"level": level, "code": code.map(|code| json!({"code": code})), "message": "bad",
            "rendered": format!("{level}: bad at {line}\n"), "spans": [span]});
        json!({"reason": "compiler-message", "manifest_path": "/nowhere/Cargo.toml", "message": about})
    }

    fn finished(success: bool) -> Value {
        json!({"reason": "build-finished", "success": success})
    }

    #[test]
    fn the_text_of_a_message_takes_its_place_once() {
        let mut build = build(Kind::Test);
        let message = diagnostic("warning", Some("dead_code"), 3);
        assert_eq!(build.message(&message).as_deref(), Some("warning: bad at 3\n"));
        assert_eq!(build.message(&message).as_deref(), Some(""));
        assert_eq!(build.message(&json!({"reason": "compiler-artifact"})).as_deref(), Some(""));
        assert_eq!(build.message(&json!({"reason": "of-a-test"})), None);
        assert_eq!(build.message(&finished(true)).as_deref(), Some(""));
        assert_eq!(build.message(&message), None, "a test that prints such a thing");
        assert_eq!(build.remarks.take().len(), 1);
    }

    #[test]
    fn errors_and_lints_are_told_apart() {
        use Classification::{CompileError, Lint};
        let class = |kind, codes: &[Option<&str>]| {
            let mut build = build(kind);
            for (at, code) in codes.iter().enumerate() {
                build.message(&diagnostic("error", *code, at as u32 + 1));
            }
            build.message(&finished(false));
            build.verdict().classification
        };
        assert_eq!(class(Kind::Clippy, &[Some("clippy::needless_return")]), Lint);
        assert_eq!(class(Kind::Clippy, &[Some("unused_variables"), Some("E0308")]), CompileError);
        assert_eq!(class(Kind::Clippy, &[None]), CompileError, "a syntax error");
        assert_eq!(class(Kind::Clippy, &[]), CompileError, "a build script");
        assert_eq!(class(Kind::Test, &[Some("unused_variables")]), CompileError, "deny(warnings)");
    }

    #[test]
    fn the_first_error_is_in_the_message() {
        let mut build = build(Kind::Test);
        build.message(&diagnostic("error", Some("E0308"), 7));
        build.message(&diagnostic("error", Some("E0308"), 9));
        build.message(&finished(false));
        let message = build.verdict().message.unwrap();
        assert_eq!(message, "2 errors, the first at src/lib.rs:7: bad: here [E0308]");
    }

    #[test]
    fn code_of_a_macro_is_where_the_macro_is_used() {
        let user = json!({"file_name": "src/main.rs", "line_start": 4});
        let inner = json!({"file_name": "/rustc/1/macros.rs", "line_start": 99, "is_primary": true,
            "expansion": {"span": user}});
        let about = json!({"level": "error", "message": "m", "spans": [inner]});
        let (remark, is_lint) = remark(&about).unwrap();
        assert_eq!((remark.file.as_deref(), remark.line, is_lint), (Some("src/main.rs"), Some(4), false));
    }
}
