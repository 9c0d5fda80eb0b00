//! The machine: programs, the clock, and what the kernel offers.

use super::Findings;
use crate::runner::Landlock;
use crate::settings::Settings;
use chrono::{Datelike, Local, Utc};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// The oldest git that everything here was tried with.
const OLDEST_GIT: (u32, u32) = (2, 31);

/// The oldest SQLite without a known loss of data in its write-ahead log.
const OLDEST_SQLITE: i32 = 3_051_003;

pub(super) fn look(settings: &Settings, findings: &mut Findings) {
    git(findings);
    ssh(&settings.ssh_command, findings);
    clock(findings);
    sqlite(findings);
    kernel(findings);
}

/// The first line that a program says; none: it is not there.
fn says(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

fn git(findings: &mut Findings) {
    let Some(said) = says("git", "--version") else {
        let help = "install git: everything about repositories is done by it";
        return findings.bad("git", "", "it is not in PATH", help);
    };
    let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut number = || numbers.next().and_then(|part| part.parse::<u32>().ok());
    match (number(), number()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST_GIT => findings.ok("git", "", said),
        _ => {
            let (major, minor) = OLDEST_GIT;
            findings.warning(
                "git",
                "",
                said,
                &format!("git {major}.{minor} or newer is what this was tried with"),
            );
        }
    }
}

fn ssh(command: &[String], findings: &mut Findings) {
    let program = command.first().map_or("ssh", String::as_str);
    match says(program, "-V") {
        Some(said) => findings.ok("ssh", program, said),
        None => {
            let help = "install an ssh client, or name one as `ssh_command` in tidegate.toml; without it only this machine is reached";
            findings.warning("ssh", program, "it is not there", help);
        }
    }
}

fn clock(findings: &mut Findings) {
    let (wall, monotonic) = (SystemTime::now(), Instant::now());
    // Long enough to tell a clock that stands still or jumps, short enough for nobody to wait for.
    std::thread::sleep(Duration::from_millis(50));
    let passed = monotonic.elapsed();
    let drift = match wall.elapsed() {
        Ok(elapsed) => elapsed.abs_diff(passed),
        Err(_) => Duration::MAX,
    };
    let now = Utc::now();
    let zone = std::env::var("TZ").unwrap_or_else(|_| "the system's".into());
    let shown = format!("{} (time zone {zone})", Local::now().format("%Y-%m-%d %H:%M:%S %:z"));
    let help = "set it, and let it be kept: soak, windows and freezes go by it";
    if now.year() < 2025 || now.year() > 2100 {
        findings.bad("clock", "", format!("it says {shown}"), help);
    } else if drift > Duration::from_millis(25) {
        findings.warning("clock", "", format!("it jumps against the monotonic clock: {shown}"), help);
    } else {
        findings.ok("clock", "", shown);
    }
}

fn sqlite(findings: &mut Findings) {
    let version = rusqlite::version();
    if rusqlite::version_number() >= OLDEST_SQLITE {
        findings.ok("sqlite", "", version);
    } else {
        findings.bad("sqlite", "", version, "build tidegate with the SQLite that it brings along");
    }
}

/// What there is for isolation: facts, neither good nor bad.
fn kernel(findings: &mut Findings) {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    findings.ok("kernel", "", release.trim());
    let own = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
    findings.ok("pidfd", "", if own.is_ok() { "there" } else { "not there" });
    findings.ok(
        "landlock",
        "",
        match Landlock::of_this_machine() {
            Landlock::Whole => {
                "there: `sandbox = \"landlock\"` keeps files, signals and abstract sockets apart"
            }
            Landlock::FilesOnly => {
                "there, of before Linux 6.12: `sandbox = \"landlock\"` keeps files apart, and no signals"
            }
            Landlock::None => "not there: steps with `sandbox = \"landlock\"` will not be run",
        },
    );
    let accounts = match rustix::process::geteuid().is_root() {
        true => "this is root: `sandbox = \"user:NAME\"` can be used by a controller that is started so",
        false => {
            "this is not root: a controller that is started so runs no step with `sandbox = \"user:NAME\"`"
        }
    };
    findings.ok("accounts", "", accounts);
    findings.ok("user-namespaces", "", user_namespaces());
}

/// Tried where `unshare` is there, else as the kernel says.
fn user_namespaces() -> &'static str {
    let tried = Command::new("unshare")
        .args(["--user", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match tried {
        Ok(status) if status.success() => "there",
        Ok(_) => "refused",
        Err(_) => match std::fs::read_to_string("/proc/sys/user/max_user_namespaces") {
            Ok(most) if most.trim() != "0" => "there, as the kernel says",
            Ok(_) => "switched off",
            Err(_) => "not there",
        },
    }
}
