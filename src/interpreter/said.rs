//! What a step says through `$TIDEGATE_EVENTS`: reading its lines, and what of it counts. A bad line is a warning, never
//! more.

use super::cargo::Verdict;
use super::secrets::Secrets;
use crate::domain::event::StepSaid;
use crate::printable;

/// Lines of one run that become events; the journal is no place for the rest.
const MOST_LINES: u32 = 10_000;
/// Columns of a bad line that are shown.
const SHOWN: usize = 80;

/// Listens to one run.
pub(super) struct Ear {
    /// Whether `blocked` means something: only a gate can say that it cannot judge.
    is_gate: bool,
    secrets: Secrets,
    lines: u32,
    blocked: Vec<(String, String)>,
    /// Whether the step is one of ours, whose verdict counts.
    takes_verdict: bool,
    verdict: Option<Verdict>,
}

/// More reasons than these make an outcome no clearer.
const MOST_REASONS: usize = 10;

impl Ear {
    /// For a gate, or for a build step or deploy. Values of `secrets` are hidden before anything is read.
    pub(super) fn new(is_gate: bool, secrets: Secrets) -> Ear {
        Ear { is_gate, secrets, lines: 0, blocked: Vec::new(), takes_verdict: false, verdict: None }
    }

    /// For a gate whose step is this program.
    pub(super) fn of_ours(secrets: Secrets) -> Ear {
        Ear { takes_verdict: true, ..Ear::new(true, secrets) }
    }

    /// What a failed step of ours means, if it said so.
    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Hides secrets in a text that is told beside what the step says.
    pub(super) fn hide(&self, text: &str) -> String {
        self.secrets.hide_text(text)
    }

    /// Why the gate cannot judge and the way out, as often as it said so.
    pub(super) fn blocked(&self) -> &[(String, String)] {
        &self.blocked
    }

    /// What a line means; none: nothing that anybody needs to know.
    pub(super) fn hear(&mut self, line: &[u8]) -> Option<StepSaid> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        if let Some(verdict) =
            self.takes_verdict.then(|| Verdict::from_line(&self.secrets.hide(line))).flatten()
        {
            self.verdict = Some(verdict);
            return None;
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > MOST_LINES {
            let first = self.lines == MOST_LINES + 1;
            return first.then(|| {
                warning(format!("more than {MOST_LINES} lines in the events file: the rest is not read"))
            });
        }
        let line = &*self.secrets.hide(line).into_owned();
        match read(line) {
            Ok(StepSaid::Blocked { reason, help }) => Some(self.hear_blocked(reason, help)),
            Ok(said) => Some(said),
            Err(problem) => Some(warning(format!(
                "line {} of the events file is not a step event: {problem}: `{}`",
                self.lines,
                shown(line)
            ))),
        }
    }

    fn hear_blocked(&mut self, reason: String, help: String) -> StepSaid {
        if !self.is_gate {
            return warning(format!(
                "says that it is blocked, which only a gate can be: {}",
                one_line(&reason)
            ));
        }
        if self.blocked.len() < MOST_REASONS {
            self.blocked.push((reason.clone(), help.clone()));
        }
        StepSaid::Blocked { reason, help }
    }
}

fn warning(message: String) -> StepSaid {
    StepSaid::Warning { message }
}

fn read(line: &[u8]) -> Result<StepSaid, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let said: StepSaid = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match &said {
        StepSaid::Warning { .. } => Err("`warning` is the runner's own kind; use `annotation`".into()),
        StepSaid::NodeLocked { .. } => {
            Err("`node_locked` is the controller's own kind; use `annotation`".into())
        }
        StepSaid::Progress { percent, .. } if !(0.0..=100.0).contains(percent) => {
            Err("`percent` must be from 0 to 100".into())
        }
        StepSaid::Annotation { line: Some(0), .. } => Err("`line` counts from 1".into()),
        _ => Ok(said),
    }
}

fn shown(line: &[u8]) -> String {
    let start = &line[..line.len().min(4 * SHOWN)];
    printable::truncate_width(&one_line(&String::from_utf8_lossy(start)), SHOWN).into_owned()
}

fn one_line(text: &str) -> String {
    printable::line(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Level;

    fn heard(line: &str) -> StepSaid {
        Ear::new(true, Secrets::default()).hear(line.as_bytes()).unwrap()
    }

    fn problem(line: &str) -> String {
        match heard(line) {
            StepSaid::Warning { message } => message,
            other => panic!("{line} was taken as {other:?}"),
        }
    }

    #[test]
    fn every_kind_is_taken() {
        assert_eq!(
            heard(r#"{"kind":"progress","percent":40,"note":"half"}"#),
            StepSaid::Progress { percent: 40.0, note: Some("half".into()) }
        );
        let annotation = r#"{"kind":"annotation","level":"error","file":"a.rs","line":3,"message":"no"}"#;
        let (file, message) = (Some("a.rs".into()), "no".into());
        assert_eq!(
            heard(annotation),
            StepSaid::Annotation { level: Level::Error, file, line: Some(3), message }
        );
        for good in [
            r#"{"kind":"metric","name":"p99","value":1.5,"unit":"ms"}"#,
            r#"{"kind":"output","key":"url","value":"http://x"}"#,
            r#"{"kind":"blocked","reason":"no board"}"#,
            r#"  {"kind":"backup_fetched","source":"ssh://a1","byte_size":12}  "#,
        ] {
            assert!(!matches!(heard(good), StepSaid::Warning { .. }), "{good}");
        }
    }

    #[test]
    fn a_bad_line_is_a_warning_that_names_it() {
        assert!(problem("not json").starts_with("line 1 of the events file is not a step event"));
        assert!(problem(r#"{"kind":"progress","percent":1,"x":1}"#).contains("unknown field `x`"));
        assert!(problem(r#"{"kind":"promote_complete"}"#).contains("unknown variant"));
        assert!(problem(r#"{"kind":"warning","message":"m"}"#).contains("annotation"));
        assert!(problem(r#"{"kind":"progress","percent":101}"#).contains("from 0 to 100"));
        assert!(problem(r#"{"kind":"annotation","level":"error","line":0,"message":""}"#).contains("from 1"));
        assert!(problem("[1]").contains("`[1]`"));
        let raw = Ear::new(true, Secrets::default()).hear(b"\xff\x1b]0;title\x07").unwrap();
        let StepSaid::Warning { message } = raw else { panic!("{raw:?}") };
        assert!(message.contains("not UTF-8") && !message.contains('\x1b'), "{message}");
    }

    #[test]
    fn only_a_gate_can_be_blocked() {
        let line = br#"{"kind":"blocked","reason":"no board","help":"plug it in"}"#;
        let (mut gate, mut step) = (Ear::new(true, Secrets::default()), Ear::new(false, Secrets::default()));
        assert!(matches!(gate.hear(line), Some(StepSaid::Blocked { .. })));
        assert_eq!(gate.blocked(), [("no board".to_owned(), "plug it in".to_owned())]);
        assert!(matches!(step.hear(line), Some(StepSaid::Warning { .. })));
        assert!(step.blocked().is_empty());
    }

    #[test]
    fn a_verdict_is_taken_from_our_own_step_only() {
        let line = br#"{"kind":"verdict","classification":"lint","message":"2 lints"}"#;
        let mut ours = Ear::of_ours(Secrets::default());
        assert_eq!(ours.hear(line), None);
        assert_eq!(ours.verdict().unwrap().message.as_deref(), Some("2 lints"));
        let mut other = Ear::new(true, Secrets::default());
        assert!(matches!(other.hear(line), Some(StepSaid::Warning { .. })));
        assert_eq!(other.verdict(), None);
    }

    #[test]
    fn empty_lines_are_nothing_and_floods_end_with_one_warning() {
        let mut ear = Ear::new(false, Secrets::default());
        assert_eq!(ear.hear(b" \r"), None);
        for _ in 0..MOST_LINES {
            assert!(matches!(
                ear.hear(br#"{"kind":"progress","percent":1}"#),
                Some(StepSaid::Progress { .. })
            ));
        }
        assert!(matches!(ear.hear(b"x"), Some(StepSaid::Warning { .. })));
        assert_eq!(ear.hear(b"x"), None);
    }
}
