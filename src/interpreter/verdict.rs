//! What the end of a run means: from an exit, a cut or a failure to an outcome with its evidence and one line for
//! people.

use super::StopCause;
use super::bounded::Cut;
use super::cargo;
use super::cargo::{ELSEWHERE, NO_CHOICE};
use super::last_words;
use super::missing;
use super::places::Places;
use crate::domain::pipeline::Exec;
use crate::domain::{Blocker, Classification, Outcome, RunId};
use crate::printable;
use crate::runner::{self, Exit, How};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Instant;

/// Exit statuses by which shells and `env` say that a program cannot be executed, or is not there.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// How much of the log's end is looked at, in bytes.
const TAIL: u64 = 64 * 1024;
/// Columns of the log's last line that go into a message.
const LAST_LINE: usize = 160;
/// Columns of a message that was made of a tool's own words.
const MESSAGE: usize = 400;

/// The evidence that does not depend on how the run ended.
pub(super) struct Evidence<'a> {
    pub(super) places: &'a Places,
    pub(super) run: RunId,
    pub(super) exec: &'a Exec,
    pub(super) began: Instant,
    /// Why it says that it cannot judge.
    pub(super) blocked: &'a [(String, String)],
    /// What a step of ours makes of its failure.
    pub(super) cargo: Option<&'a cargo::Verdict>,
}

/// The outcome of a run that a process was meant for.
pub(super) fn of_exit(exit: &Exit, evidence: &Evidence<'_>) -> Outcome {
    let tail = tail(&evidence.places.log(evidence.run));
    let mut outcome = of_end(&exit.how, evidence, &tail);
    if !exit.log_sha256.is_empty() {
        outcome.log_ref = Some(evidence.places.log_ref(evidence.run));
        outcome.log_bytes = Some(exit.log_bytes);
        outcome.log_sha256 = Some(exit.log_sha256.clone());
        outcome.log_truncated = exit.log_truncated;
    }
    // One that was begun by an earlier process of the controller is older than our beginning.
    let of_process = u64::try_from(exit.elapsed.as_millis()).unwrap_or(u64::MAX);
    outcome.elapsed_ms = millis(evidence.began).max(of_process);
    outcome
}

/// Whole milliseconds since then.
pub(super) fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn of_end(how: &How, evidence: &Evidence<'_>, tail: &str) -> Outcome {
    // Whoever ended it counts more than what it said: its word may not have been its last.
    if let (How::Code(_) | How::Signal(_), [_, ..]) = (how, evidence.blocked) {
        let mut outcome = says_blocked(evidence.blocked);
        with_status(&mut outcome, how);
        return outcome;
    }
    let mut outcome = match how {
        How::Code(0) => Outcome::of(Classification::Ok),
        How::Code(status) if evidence.cargo.is_some_and(|verdict| verdict.signal.is_none()) => {
            of_cargo(*status, evidence, tail)
        }
        How::Code(status @ (NOT_EXECUTABLE | NOT_FOUND)) => no_such_tool(*status, tail),
        How::Code(status) => match evidence.cargo.and_then(|verdict| verdict.signal) {
            Some(number) => killed(number),
            None => failed(*status, tail),
        },
        How::Signal(number) => killed(*number),
        How::Stopped(runner::StopCause::Canceled) => of_cut(Cut::Stopped(StopCause::Canceled), evidence.exec),
        How::Stopped(runner::StopCause::Interrupted) => {
            of_cut(Cut::Stopped(StopCause::Interrupted), evidence.exec)
        }
        How::Stopped(runner::StopCause::Timeout) => of_cut(Cut::Late, evidence.exec),
        How::LimitPassed(passed) => Outcome::of(Classification::Killed).saying(passed.to_string()),
        How::NotStarted { message, missing_program: true, .. } => missing_program(message),
        How::NotStarted { message, errno, .. } => infrastructure(message, *errno == libc::ENOSPC),
        How::LogFailed { message } => infrastructure(message, message.contains("No space left")),
        How::Lost => Outcome::of(Classification::Interrupted)
            .saying("the process that ran it was killed, so nobody knows how it ended"),
    };
    match evidence.cargo.and_then(|verdict| verdict.signal) {
        Some(number) if matches!(how, How::Code(_)) => with_status(&mut outcome, &How::Signal(number)),
        _ => with_status(&mut outcome, how),
    }
    outcome
}

fn killed(number: i32) -> Outcome {
    let name = signal_name(number);
    Outcome::of(Classification::Killed).saying(format!("{name} ended it, which tidegate did not send"))
}

/// The outcome of a failed cargo, by what was read of its messages.
fn of_cargo(status: i32, evidence: &Evidence<'_>, tail: &str) -> Outcome {
    let Some(verdict) = evidence.cargo else { return failed(status, tail) };
    if let Some(tool) = &verdict.missing {
        let outcome = of_missing(tool);
        return match &verdict.message {
            Some(message) => outcome.saying(shortened(message)),
            None => outcome,
        };
    }
    let outcome = Outcome::of(verdict.classification);
    match &verdict.message {
        Some(message) if verdict.as_logged => outcome.saying(with_last_line(shortened(message), tail)),
        Some(message) => outcome.saying(shortened(message)),
        None => outcome.saying(with_last_line(format!("exited with status {status}"), tail)),
    }
}

/// One line of bounded width.
fn shortened(message: &str) -> String {
    printable::truncate_width(&printable::line(message), MESSAGE).into_owned()
}

fn with_status(outcome: &mut Outcome, how: &How) {
    match how {
        How::Code(status) => outcome.exit_code = Some(*status),
        How::Signal(number) => outcome.signal = Some(signal_name(*number)),
        How::LimitPassed(_) => outcome.signal = Some(signal_name(libc::SIGKILL)),
        _ => {}
    }
}

/// The outcome of what was cut short.
pub(super) fn of_cut(cut: Cut, exec: &Exec) -> Outcome {
    match cut {
        Cut::Stopped(StopCause::Canceled) => Outcome::of(Classification::Canceled).saying("it was canceled"),
        Cut::Stopped(StopCause::Interrupted) => {
            Outcome::of(Classification::Interrupted).saying("the controller stopped meanwhile")
        }
        Cut::Late => Outcome::of(Classification::Timeout).saying(too_long(exec)),
    }
}

/// For people.
pub(super) fn too_long(exec: &Exec) -> String {
    match exec.timeout {
        Some(timeout) => format!("it took longer than its timeout of {timeout}"),
        None => "it took too long".into(),
    }
}

/// The outcome of what could not be judged for a reason of ours. The message reads after "failed to".
pub(super) fn infrastructure(message: &str, is_full: bool) -> Outcome {
    let mut outcome = Outcome::of(Classification::Infrastructure);
    if is_full {
        outcome.blockers = vec![Blocker::DiskFull];
    }
    outcome.saying(format!("failed to {}", printable::line(message)))
}

/// The outcome of a gate that says that it cannot judge.
pub(super) fn says_blocked(reasons: &[(String, String)]) -> Outcome {
    let mut outcome = Outcome::of(Classification::StepSays);
    let blocker =
        |(reason, help): &(String, String)| Blocker::StepSays { reason: reason.clone(), help: help.clone() };
    outcome.blockers = reasons.iter().map(blocker).collect();
    let (reason, help) = &reasons[0];
    let message = if help.is_empty() { reason.clone() } else { format!("{reason}; {help}") };
    outcome.saying(printable::line(&message))
}

fn missing_program(message: &str) -> Outcome {
    let tool = message.split('`').nth(1).unwrap_or("a program");
    of_missing(tool)
}

fn of_missing(tool: &str) -> Outcome {
    let tool = printable::line(tool).into_owned();
    let help = missing::help(&tool);
    let mut outcome = Outcome::of(Classification::MissingTool);
    outcome.blockers = vec![Blocker::MissingTool { tool: tool.clone() }];
    outcome.saying(format!("`{tool}` is not there or cannot be executed; {help}"))
}

fn no_such_tool(status: i32, tail: &str) -> Outcome {
    match tool_in(tail) {
        Some(tool) => of_missing(tool),
        None => {
            let mut outcome = of_missing("a program");
            outcome.message = Some(with_last_line(
                format!(
                    "exited with status {status}, which says that a program is not there or cannot be executed"
                ),
                tail,
            ));
            outcome
        }
    }
}

/// The program of which a shell says, in the last lines, that it is not there: `sh: 1: cargo: not found`.
fn tool_in(tail: &str) -> Option<&str> {
    const COMPLAINTS: [&str; 5] = [
        ": command not found",
        ": not found",
        ": Permission denied",
        ": No such file or directory",
        ": cannot execute",
    ];
    tail.lines().rev().take(20).find_map(|line| {
        let end = COMPLAINTS.iter().find_map(|complaint| line.find(complaint))?;
        let tool = line[..end].rsplit(": ").next()?.trim_matches(['\'', '"', '`', '‘', '’']);
        (!tool.is_empty() && tool.len() <= 200).then_some(tool)
    })
}

fn failed(status: i32, tail: &str) -> Outcome {
    Outcome::of(Classification::CheckFailed)
        .saying(with_last_line(format!("exited with status {status}"), tail))
}

fn with_last_line(message: String, tail: &str) -> String {
    match last_words::of(tail) {
        Some(last) if last.contains(NO_CHOICE) => format!("{message}: {NO_CHOICE}: {ELSEWHERE}"),
        Some(last) => {
            let last = printable::line(last);
            format!("{message}: {}", printable::truncate_width(&last, LAST_LINE))
        }
        None => message,
    }
}

/// The end of a log, as text; nothing when there is none.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn signal_name(number: i32) -> String {
    const NAMES: [(i32, &str); 19] = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGXFSZ, "SIGXFSZ"),
        (libc::SIGVTALRM, "SIGVTALRM"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("SIG{number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::StateDir;

    fn outcome(how: How, blocked: &[(String, String)], tail: &str) -> Outcome {
        let places = Places::new(&StateDir::new("/nowhere"), &"shop".into());
        let exec = Exec { timeout: Some(crate::domain::Span::seconds(90)), ..Exec::default() };
        let evidence = Evidence {
            places: &places,
            run: RunId(1),
            exec: &exec,
            began: Instant::now(),
            blocked,
            cargo: None,
        };
        of_end(&how, &evidence, tail)
    }

    fn class(how: How) -> Classification {
        outcome(how, &[], "").classification
    }

    #[test]
    fn a_toolchain_that_is_looked_for_in_the_wrong_home_is_told_of() {
        let tail = "error: rustup could not choose a version of cargo to run, because one wasn't specified explicitly\n\
                    help: run 'rustup default stable' to download the latest stable release\n";
        let said = outcome(How::Code(1), &[], tail).message.expect("a message");
        assert!(said.contains("exited with status 1") && said.contains("RUSTUP_HOME"), "{said}");
    }

    #[test]
    fn every_end_has_its_class() {
        use Classification::*;
        let not_started =
            |missing_program| How::NotStarted { errno: 2, message: "find `cargo`".into(), missing_program };
        assert_eq!(class(How::Code(0)), Ok);
        assert_eq!(class(How::Code(3)), CheckFailed);
        assert_eq!(class(How::Code(126)), MissingTool);
        assert_eq!(class(How::Code(127)), MissingTool);
        assert_eq!(class(How::Signal(9)), Killed);
        assert_eq!(class(How::Stopped(runner::StopCause::Timeout)), Timeout);
        assert_eq!(class(How::Stopped(runner::StopCause::Canceled)), Canceled);
        assert_eq!(class(How::Stopped(runner::StopCause::Interrupted)), Interrupted);
        assert_eq!(class(not_started(true)), MissingTool);
        assert_eq!(class(not_started(false)), Infrastructure);
        assert_eq!(class(How::LogFailed { message: "write the log".into() }), Infrastructure);
    }

    #[test]
    fn messages_say_what_and_the_way_out() {
        let said = |how, tail| outcome(how, &[], tail).message.unwrap();
        assert_eq!(
            said(How::Code(3), "one\nthe \x1b[31mlast\n\n"),
            "exited with status 3: the \\x1b[31mlast"
        );
        assert_eq!(
            said(How::Stopped(runner::StopCause::Timeout), ""),
            "it took longer than its timeout of 1m30s"
        );
        let missing =
            How::NotStarted { errno: 2, message: "find `cargo` in the PATH".into(), missing_program: true };
        assert!(said(missing, "").contains("`cargo` is not there"));
    }

    #[test]
    fn a_shell_names_the_tool_that_it_misses() {
        let tool = |tail| match &outcome(How::Code(127), &[], tail).blockers[..] {
            [Blocker::MissingTool { tool }] => tool.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(tool("hello\n/bin/sh: 1: carg0: not found\n"), "carg0");
        assert_eq!(tool("bash: line 1: carg0: command not found\n"), "carg0");
        assert_eq!(tool("env: 'carg0': No such file or directory\n"), "carg0");
        assert_eq!(tool(""), "a program");
    }

    #[test]
    fn a_gates_word_outweighs_its_status_but_not_who_ended_it() {
        let words = [("no board".to_owned(), "plug it in".to_owned())];
        for how in [How::Code(0), How::Code(1), How::Signal(6)] {
            let outcome = outcome(how, &words, "");
            assert_eq!(outcome.classification, Classification::StepSays);
            assert_eq!(outcome.message.as_deref(), Some("no board; plug it in"));
        }
        let canceled = outcome(How::Stopped(runner::StopCause::Canceled), &words, "");
        assert_eq!(canceled.classification, Classification::Canceled);
    }

    #[test]
    fn cargos_own_step_says_what_failed() {
        let of = |how: &How, verdict: cargo::Verdict| {
            let places = Places::new(&StateDir::new("/nowhere"), &"shop".into());
            let exec = Exec::default();
            let began = Instant::now();
            let cargo = Some(&verdict);
            let evidence =
                Evidence { places: &places, run: RunId(1), exec: &exec, began, blocked: &[], cargo };
            of_end(how, &evidence, "the last line")
        };
        let verdict = |classification, message: Option<&str>| cargo::Verdict {
            classification,
            message: message.map(str::to_owned),
            missing: None,
            signal: None,
            as_logged: false,
        };
        let failed = of(&How::Code(101), verdict(Classification::TestFailure, Some("1 test failed: `a`")));
        assert_eq!((failed.classification, failed.exit_code), (Classification::TestFailure, Some(101)));
        assert_eq!(failed.message.unwrap(), "1 test failed: `a`");
        let nameless = of(&How::Code(101), verdict(Classification::TestFailure, None));
        assert_eq!(nameless.message.unwrap(), "exited with status 101: the last line");
        let missing = cargo::Verdict {
            missing: Some("cargo-deny".into()),
            ..verdict(Classification::MissingTool, None)
        };
        let missing = of(&How::Code(101), missing);
        assert_eq!(missing.blockers, [Blocker::MissingTool { tool: "cargo-deny".into() }]);
        assert!(missing.message.unwrap().contains("cargo install cargo-deny --locked"));
        let killed = cargo::Verdict { signal: Some(9), ..verdict(Classification::Killed, None) };
        let killed = of(&How::Code(137), killed);
        assert_eq!((killed.classification, killed.exit_code), (Classification::Killed, None));
        assert_eq!(killed.signal.as_deref(), Some("SIGKILL"));
        let canceled = of(&How::Stopped(runner::StopCause::Canceled), verdict(Classification::Lint, None));
        assert_eq!(canceled.classification, Classification::Canceled);
    }
}
