//! What `cargo fmt --check` says: a diff for each place that is not formatted, and errors of files that cannot be read.

use super::remarks::{Remark, Remarks, count, in_words, names};
use super::sieve::Listener;
use super::trouble::Trouble;
use super::{Kind, Verdict};
use crate::domain::Classification;
use serde_json::Value;

/// One run.
pub(super) struct Fmt {
    pub(super) remarks: Remarks,
    files: Vec<String>,
    errors: usize,
    first_error: Option<Remark>,
    /// An error whose place comes with the next line.
    error: Option<String>,
    trouble: Trouble,
}

impl Fmt {
    pub(super) fn new(remarks: Remarks) -> Fmt {
        let trouble = Trouble::default();
        Fmt { remarks, files: Vec::new(), errors: 0, first_error: None, error: None, trouble }
    }

    /// What it means that it failed.
    pub(super) fn verdict(&self) -> Verdict {
        if let Some(first) = &self.first_error {
            let message =
                format!("{}, the first at {}", count(self.errors, "error", "errors"), in_words(first));
            return Verdict::of(Classification::CompileError, Some(message));
        }
        if self.files.is_empty() {
            return self.trouble.verdict().unwrap_or(Verdict::of(Classification::CheckFailed, None));
        }
        let files = count(self.files.len(), "file is", "files are");
        let all = names(self.files.iter().map(String::as_str));
        Verdict::of(Classification::Lint, Some(format!("{files} not formatted: {all}; run `cargo fmt`")))
    }

    fn unformatted(&mut self, file: &str, line: u32) {
        let message = "not formatted; run `cargo fmt`".to_owned();
        let remark = Remark { is_error: true, file: Some(file.to_owned()), line: Some(line), message };
        // One for each file: its first place.
        if self.files.iter().any(|known| file.ends_with(known.as_str())) {
            return;
        }
        if let Some(Remark { file: Some(file), .. }) = self.remarks.add(remark, None) {
            self.files.push(file);
        }
    }
}

impl Listener for Fmt {
    fn message(&mut self, _: &Value) -> Option<String> {
        None
    }

    fn line(&mut self, line: &str) {
        let line = &*plain(line);
        if let Some((file, line)) = diff(line) {
            return self.unformatted(file, line);
        }
        if let (Some(message), Some(place)) = (self.error.take(), line.trim_start().strip_prefix("--> ")) {
            let mut parts = place.rsplitn(3, ':').skip(1);
            let line = parts.next().and_then(|line| line.parse().ok());
            let remark = Remark { is_error: true, file: parts.next().map(str::to_owned), line, message };
            if let Some(remark) = self.remarks.add(remark, None) {
                self.errors += 1;
                self.first_error.get_or_insert(remark);
            }
        }
        self.trouble.line(Kind::Fmt, line);
        let is_error = line.starts_with("error: ") || line.starts_with("error[");
        self.error = is_error.then(|| line.split_once(": ").map_or(line, |(_, message)| message).to_owned());
    }
}

/// File and line of `Diff in src/lib.rs:3:`, or of the older `Diff in src/lib.rs at line 3:`.
fn diff(line: &str) -> Option<(&str, u32)> {
    let place = line.strip_prefix("Diff in ")?.strip_suffix(':')?;
    let (file, line) = place.rsplit_once(" at line ").or_else(|| place.rsplit_once(':'))?;
    Some((file, line.parse().ok()?))
}

/// Without the colours of a terminal.
fn plain(line: &str) -> std::borrow::Cow<'_, str> {
    if !line.contains('\x1b') {
        return line.into();
    }
    let (mut plain, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('\x1b') {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 1..];
        let length = sequence.find(|c: char| c.is_ascii_alphabetic()).map_or(sequence.len(), |at| at + 1);
        rest = &sequence[length..];
    }
    plain.push_str(rest);
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn heard(text: &str) -> Fmt {
        let mut fmt = Fmt::new(Remarks::new(Path::new("/shop"), Path::new("/shop")));
        text.lines().for_each(|line| fmt.line(line));
        fmt
    }

    #[test]
    fn files_that_are_not_formatted_are_named_once() {
        let text = "Diff in /shop/src/lib.rs:1:\n-fn a(){}\n+fn a() {}\nDiff in /shop/src/lib.rs:9:\n \
            \x1b[31mDiff\x1b(B\n\x1b[1mDiff in /shop/b.rs at line 3:\n";
        let mut fmt = heard(text);
        let verdict = fmt.verdict();
        assert_eq!(verdict.classification, Classification::Lint);
        assert_eq!(
            verdict.message.unwrap(),
            "2 files are not formatted: `src/lib.rs`, `b.rs`; run `cargo fmt`"
        );
        let lines = fmt.remarks.take();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].contains(r#""file":"b.rs","line":3"#), "{}", lines[1]);
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_compile() {
        let text = "error: this file contains an unclosed delimiter\n --> /shop/src/lib.rs:4:7\n  |\n";
        let verdict = heard(text).verdict();
        assert_eq!(verdict.classification, Classification::CompileError);
        assert_eq!(
            verdict.message.unwrap(),
            "1 error, the first at src/lib.rs:4: this file contains an unclosed delimiter"
        );
        assert_eq!(heard("").verdict().classification, Classification::CheckFailed);
    }
}
