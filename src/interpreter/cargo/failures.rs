//! Tests that failed, from what the standard test harness prints: its list of failures, and where each panicked. There
//! is no stable output of it for machines.

use super::remarks::{Remark, Remarks, count, names};
use std::collections::HashMap;

/// Names that are kept.
const MOST: usize = 1000;

/// What was printed so far.
#[derive(Default)]
pub(super) struct Failures {
    failed: Vec<String>,
    /// Names of a list that may be one of failures: whether it is shows at its end.
    listed: Option<Vec<String>>,
    /// The test whose output is shown.
    shown: Option<String>,
    /// Where tests panicked, and what they said.
    panics: HashMap<String, Panic>,
    /// The test whose panic is about to say its message.
    speaking: Option<String>,
}

struct Panic {
    file: String,
    line: u32,
    message: String,
}

impl Failures {
    /// Takes the next line.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(name) = self.speaking.take() {
            if let Some(panic) = self.panics.get_mut(&name) {
                panic.message = line.trim().chars().take(200).collect();
            }
            return;
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----")) {
            let name = name.strip_suffix(" stdout").or(name.strip_suffix(" stderr")).unwrap_or(name);
            self.shown = Some(name.to_owned());
        } else if let Some((thread, file, at)) = panicked(line) {
            // A test that runs on the main thread has not its name.
            let name = self.shown.clone().unwrap_or_else(|| thread.to_owned());
            if self.panics.len() < MOST && !self.panics.contains_key(&name) {
                let panic = Panic { file: file.to_owned(), line: at, message: String::new() };
                self.panics.insert(name.clone(), panic);
                self.speaking = Some(name);
            }
        } else {
            self.list(line);
        }
    }

    fn list(&mut self, line: &str) {
        if line == "failures:" {
            self.listed = Some(Vec::new());
        } else if line.starts_with("test result: ") {
            let listed = self.listed.take().unwrap_or_default();
            if line.starts_with("test result: FAILED") {
                let room = MOST.saturating_sub(self.failed.len());
                self.failed.extend(listed.into_iter().take(room));
            }
            self.shown = None;
        } else if let Some(listed) = &mut self.listed {
            match line.strip_prefix("    ") {
                Some(name) if listed.len() < MOST => listed.push(name.trim_end().to_owned()),
                Some(_) => {}
                None if line.is_empty() => {}
                None => self.listed = None,
            }
        }
    }

    /// Remarks on each, and one line for people; none when no name is known.
    pub(super) fn tell(&self, remarks: &mut Remarks) -> Option<String> {
        for name in &self.failed {
            let panic = self.panics.get(name);
            let of_doc = || documented(name).map(|(file, line)| (file.to_owned(), line));
            let place = panic.map(|panic| (panic.file.clone(), panic.line)).or_else(of_doc);
            let (file, line) = place.unzip();
            let said = panic.map(|panic| panic.message.as_str()).filter(|message| !message.is_empty());
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            let message = format!("test `{name}` failed{said}");
            remarks.add(Remark { is_error: true, file, line, message }, None);
        }
        let failed = count(self.failed.len(), "test", "tests");
        let all = names(self.failed.iter().map(String::as_str));
        (!self.failed.is_empty()).then(|| format!("{failed} failed: {all}"))
    }
}

/// The thread, file and line of `thread 'a::b' (12) panicked at src/lib.rs:3:5:`.
fn panicked(line: &str) -> Option<(&str, &str, u32)> {
    let rest = line.strip_prefix("thread '")?;
    let (thread, rest) = rest.split_once('\'')?;
    let place = rest.split_once("panicked at ")?.1.strip_suffix(':')?;
    let mut parts = place.rsplitn(3, ':');
    let (_column, line, file) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    Some((thread, file, line))
}

/// The file and line of a test in the documentation: `src/lib.rs - f (line 3)`.
fn documented(name: &str) -> Option<(&str, u32)> {
    let (file, rest) = name.split_once(" - ")?;
    let line = rest.rsplit_once("(line ")?.1;
    Some((file, line[..line.find(')')?].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn told(text: &str) -> (Option<String>, Vec<String>) {
        let mut failures = Failures::default();
        text.lines().for_each(|line| failures.line(line));
        let mut remarks = Remarks::new(Path::new("/nowhere"), Path::new("/nowhere"));
        let message = failures.tell(&mut remarks);
        (message, remarks.take())
    }

    const FAILED: &str = "
running 2 tests
test m::bad ... FAILED
test good ... ok

failures:

---- m::bad stdout ----
failures:
    a lie

thread 'm::bad' (27979) panicked at src/lib.rs:3:68:
assertion `left == right` failed: no
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    m::bad

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn a_failing_test_is_named_with_its_place() {
        let (message, remarks) = told(FAILED);
        assert_eq!(message.unwrap(), "1 test failed: `m::bad`");
        assert_eq!(
            remarks,
            [
                r#"{"kind":"annotation","level":"error","file":"src/lib.rs","line":3,"message":"test `m::bad` failed: assertion `left == right` failed: no"}"#
            ]
        );
        let on_main = FAILED.replace("thread 'm::bad' (27979)", "thread 'main'");
        assert_eq!(told(&on_main).1, remarks);
    }

    #[test]
    fn a_test_in_the_documentation_is_at_its_line() {
        let text = "failures:\n    src/lib.rs - f (line 3)\n\ntest result: FAILED. 0 passed; 1 failed\n";
        let (message, remarks) = told(text);
        assert_eq!(message.unwrap(), "1 test failed: `src/lib.rs - f (line 3)`");
        assert!(remarks[0].contains(r#""file":"src/lib.rs","line":3"#), "{}", remarks[0]);
    }

    #[test]
    fn a_harness_of_another_kind_names_nothing() {
        assert_eq!(told("1..2\nnot ok 1\nfailures:\n    x\nsomething else\n").0, None);
        assert_eq!(told("failures:\n    x\n\ntest result: ok. 1 passed\n").0, None);
    }
}
