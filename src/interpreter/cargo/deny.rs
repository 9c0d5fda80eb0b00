//! What `cargo deny --format json check` says: diagnostics without a text for people, which is made here.

use super::remarks::{Remark, Remarks, count};
use super::sieve::Listener;
use super::trouble::Trouble;
use super::{Kind, Verdict};
use crate::domain::Classification;
use serde_json::Value;
use std::fmt::Write as _;

/// Lines of one tree of packages, and how deep it goes.
const MOST_PACKAGES: usize = 20;
const DEEPEST: usize = 10;

/// One run.
pub(super) struct Deny {
    pub(super) remarks: Remarks,
    errors: usize,
    first: Option<String>,
    /// What hindered it, in its own words.
    hindered: Option<String>,
    trouble: Trouble,
}

impl Deny {
    pub(super) fn new(remarks: Remarks) -> Deny {
        Deny { remarks, errors: 0, first: None, hindered: None, trouble: Trouble::default() }
    }

    /// What it means that it failed.
    pub(super) fn verdict(&self) -> Verdict {
        if let Some(first) = &self.first {
            let message = format!("{}, the first: {first}", count(self.errors, "problem", "problems"));
            return Verdict::of(Classification::CheckFailed, Some(message));
        }
        match &self.hindered {
            // The database of advisories comes over the network.
            Some(why) if ["fetch", "FETCH_HEAD", "advisory"].iter().any(|word| why.contains(word)) => {
                Verdict::of(Classification::Infrastructure, Some(why.clone()))
            }
            Some(why) => Verdict::of(Classification::CheckFailed, Some(why.clone())),
            None => self.trouble.verdict().unwrap_or(Verdict::of(Classification::CheckFailed, None)),
        }
    }

    fn diagnostic(&mut self, fields: &Value) -> String {
        let text = |name: &str| fields[name].as_str().unwrap_or_default();
        let (severity, message) = (text("severity"), text("message"));
        let code = fields["code"].as_str().map(|code| format!("[{code}]")).unwrap_or_default();
        if matches!(severity, "error" | "warning") {
            let id = fields["advisory"]["id"].as_str().map(|id| format!(" ({id})")).unwrap_or_default();
            let said = format!("{message}{id} {code}").trim_end().to_owned();
            let is_error = severity == "error";
            if is_error {
                self.errors += 1;
                self.first.get_or_insert_with(|| said.clone());
            }
            self.remarks.add(Remark { is_error, file: None, line: None, message: said }, None);
        }
        let mut shown = format!("{severity}{code}: {message}\n");
        details(fields, &mut shown);
        shown
    }
}

impl Listener for Deny {
    fn message(&mut self, message: &Value) -> Option<String> {
        let fields = message.get("fields")?;
        match message["type"].as_str()? {
            "diagnostic" => Some(self.diagnostic(fields)),
            "log" => {
                let (level, message) = (fields["level"].as_str()?, fields["message"].as_str()?);
                if level == "ERROR" {
                    self.hindered.get_or_insert_with(|| message.lines().next().unwrap_or("").to_owned());
                }
                Some(format!("[{level}] {}\n", message.trim_end()))
            }
            "summary" => Some(String::new()),
            _ => None,
        }
    }

    fn line(&mut self, line: &str) {
        self.trouble.line(Kind::Deny, line);
    }
}

fn details(fields: &Value, shown: &mut String) {
    let list = |name: &str| fields[name].as_array().map_or(&[][..], Vec::as_slice);
    for label in list("labels") {
        let (line, column) = (&label["line"], &label["column"]);
        let (span, message) = (label["span"].as_str().unwrap_or(""), label["message"].as_str().unwrap_or(""));
        let _ = writeln!(shown, "  {line}:{column} `{span}` {message}");
    }
    for note in list("notes").iter().filter_map(Value::as_str) {
        let _ = writeln!(shown, "  {note}");
    }
    for graph in list("graphs") {
        let mut left = MOST_PACKAGES;
        package(graph, 1, &mut left, shown);
    }
}

/// A package and what needs it.
fn package(graph: &Value, depth: usize, left: &mut usize, shown: &mut String) {
    if depth > DEEPEST || *left == 0 {
        return;
    }
    *left -= 1;
    let of = &graph["Krate"];
    let (name, version) = (of["name"].as_str().unwrap_or("?"), of["version"].as_str().unwrap_or(""));
    let _ = writeln!(shown, "{}{name} {version}", "  ".repeat(depth));
    for parent in graph["parents"].as_array().into_iter().flatten() {
        package(parent, depth + 1, left, shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn deny() -> Deny {
        Deny::new(Remarks::new(Path::new("/work"), Path::new("/work")))
    }

    fn said(deny: &mut Deny, line: &str) -> String {
        deny.message(&serde_json::from_str(line).unwrap()).unwrap()
    }

    #[test]
    fn a_finding_is_shown_and_counted() {
        let mut deny = deny();
        let line = r#"{"fields":{"code":"banned","graphs":[{"Krate":{"name":"tiny","version":"0.1.0"},"parents":[{"Krate":{"name":"shop","version":"1.0.0"}}]}],"labels":[{"column":19,"line":4,"message":"banned here","span":"tiny"}],"message":"crate 'tiny = 0.1.0' is explicitly banned","severity":"error"},"type":"diagnostic"}"#;
        assert_eq!(
            said(&mut deny, line),
            "error[banned]: crate 'tiny = 0.1.0' is explicitly banned\n  4:19 `tiny` banned here\n  tiny 0.1.0\n    shop 1.0.0\n"
        );
        let verdict = deny.verdict();
        assert_eq!(verdict.classification, Classification::CheckFailed);
        assert_eq!(
            verdict.message.unwrap(),
            "1 problem, the first: crate 'tiny = 0.1.0' is explicitly banned [banned]"
        );
        assert_eq!(deny.remarks.take().len(), 1);
    }

    #[test]
    fn a_database_that_cannot_be_had_judges_nothing() {
        let mut deny = deny();
        let line = r#"{"fields":{"level":"ERROR","message":"failed to fetch advisory database\nx","timestamp":"t"},"type":"log"}"#;
        assert_eq!(said(&mut deny, line), "[ERROR] failed to fetch advisory database\nx\n");
        let verdict = deny.verdict();
        assert_eq!(verdict.classification, Classification::Infrastructure);
        assert_eq!(verdict.message.unwrap(), "failed to fetch advisory database");
        let mut other = self::deny();
        said(&mut other, r#"{"fields":{"level":"ERROR","message":"no such file"},"type":"log"}"#);
        assert_eq!(other.verdict().classification, Classification::CheckFailed);
        assert_eq!(other.message(&serde_json::json!({"type": "of something else", "fields": {}})), None);
    }
}
