//! What the end of a run means: from an exit, a cut or a failure to an outcome with its evidence and one line for
//! people.

use super::StopCause;
use super::bounded::Cut;
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

/// The evidence that does not depend on how the run ended.
pub(super) struct Evidence<'a> {
    pub(super) places: &'a Places,
    pub(super) run: RunId,
    pub(super) exec: &'a Exec,
    pub(super) began: Instant,
    /// Why it says that it cannot judge.
    pub(super) blocked: &'a [(String, String)],
    /// Whether its output is that of `cargo test`.
    pub(super) is_cargo_test: bool,
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
    outcome.elapsed_ms = millis(evidence.began);
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
        How::Code(status @ (NOT_EXECUTABLE | NOT_FOUND)) => no_such_tool(*status, tail),
        How::Code(status) => failed(*status, evidence, tail),
        How::Signal(number) => {
            let name = signal_name(*number);
            Outcome::of(Classification::Killed)
                .saying(format!("{name} ended it, which tidegate did not send"))
        }
        How::Stopped(runner::StopCause::Canceled) => of_cut(Cut::Stopped(StopCause::Canceled), evidence.exec),
        How::Stopped(runner::StopCause::Interrupted) => {
            of_cut(Cut::Stopped(StopCause::Interrupted), evidence.exec)
        }
        How::Stopped(runner::StopCause::Timeout) => of_cut(Cut::Late, evidence.exec),
        How::NotStarted { message, missing_program: true, .. } => missing_program(message),
        How::NotStarted { message, errno, .. } => infrastructure(message, *errno == libc::ENOSPC),
        How::LogFailed { message } => infrastructure(message, message.contains("No space left")),
    };
    with_status(&mut outcome, how);
    outcome
}

fn with_status(outcome: &mut Outcome, how: &How) {
    match how {
        How::Code(status) => outcome.exit_code = Some(*status),
        How::Signal(number) => outcome.signal = Some(signal_name(*number)),
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
    let name = tool.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&tool).to_owned();
    let help = match name.as_str() {
        "cargo" => "install Rust's toolchain (https://rustup.rs) for the user that runs tidegate".to_owned(),
        _ => {
            "install it, or put its folder into the PATH of tidegate or the `env` of the pipeline".to_owned()
        }
    };
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

fn failed(status: i32, evidence: &Evidence<'_>, tail: &str) -> Outcome {
    let class = if evidence.is_cargo_test { of_cargo(tail) } else { Classification::CheckFailed };
    Outcome::of(class).saying(with_last_line(format!("exited with status {status}"), tail))
}

/// `cargo test` says in words what its status does not.
fn of_cargo(tail: &str) -> Classification {
    let begins = |word: &str| tail.lines().any(|line| line.trim_start().starts_with(word));
    if begins("error: could not compile") {
        Classification::CompileError
    } else if begins("test result: FAILED") || begins("error: test failed") || begins("error: doctest failed")
    {
        Classification::TestFailure
    } else {
        Classification::CheckFailed
    }
}

fn with_last_line(message: String, tail: &str) -> String {
    match tail.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
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

    fn outcome(how: How, blocked: &[(String, String)], is_cargo_test: bool, tail: &str) -> Outcome {
        let places = Places::new(&StateDir::new("/nowhere"), &"shop".into());
        let exec = Exec { timeout: Some(crate::domain::Span::seconds(90)), ..Exec::default() };
        let evidence = Evidence {
            places: &places,
            run: RunId(1),
            exec: &exec,
            began: Instant::now(),
            blocked,
            is_cargo_test,
        };
        of_end(&how, &evidence, tail)
    }

    fn class(how: How) -> Classification {
        outcome(how, &[], false, "").classification
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
        let said = |how, tail| outcome(how, &[], false, tail).message.unwrap();
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
        let tool = |tail| match &outcome(How::Code(127), &[], false, tail).blockers[..] {
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
            let outcome = outcome(how, &words, false, "");
            assert_eq!(outcome.classification, Classification::StepSays);
            assert_eq!(outcome.message.as_deref(), Some("no board; plug it in"));
        }
        let canceled = outcome(How::Stopped(runner::StopCause::Canceled), &words, false, "");
        assert_eq!(canceled.classification, Classification::Canceled);
    }

    #[test]
    fn cargo_says_in_words_what_failed() {
        let class = |tail| outcome(How::Code(101), &[], true, tail).classification;
        assert_eq!(
            class("error: could not compile `x` (lib) due to 1 previous error\n"),
            Classification::CompileError
        );
        assert_eq!(
            class("test result: FAILED. 0 passed; 1 failed\n\nerror: test failed, to rerun\n"),
            Classification::TestFailure
        );
        assert_eq!(class("error: no such command\n"), Classification::CheckFailed);
    }
}
