//! What a run may use: memory and processes, looked at again and again while it lives. Leaves ending it to [`super::run`].
//!
//! No kernel keeps these for a group of processes without a cgroup that is ours, which most machines do not give away. So
//! this is a watch and not a wall: what comes and goes between two looks is not seen, and a run that grows fast is above
//! its limit for as long as a look and the kill take. Limits of single processes (`RLIMIT_AS`, `RLIMIT_DATA`) are not set:
//! runtimes reserve far more than they use, and would fail; `RLIMIT_NPROC` counts what else its user runs.

use super::kin::{Kin, Process};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

/// How long after the start of the process the first look is.
const FIRST: Duration = Duration::from_millis(50);
/// Time between two looks.
const EVERY: Duration = Duration::from_millis(200);
/// The pause after a look is at least so many times as long as the look: on a machine with very many processes.
const PAUSE: u32 = 4;
/// How much sooner than others the kernel kills a run with a limit of memory, when the machine has none left: it must
/// not be the controller.
const OOM_SCORE_ADJUSTMENT: &str = "500";

/// What all processes of a run may use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes in RAM. What several processes share counts once.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::pids`].
    Pids,
}

/// A limit that was passed: what was granted, and what was seen. `Display` says it in a sentence without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Which.
    pub limit: Limit,
    /// What was granted, in bytes or as a count.
    pub granted: u64,
    /// What there was.
    pub seen: u64,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Memory => {
                let exact = self.granted.max(self.seen) < 1 << 20;
                let shown = |bytes: u64, up: bool| match exact {
                    true => format!("{bytes} bytes"),
                    false => in_mebibytes(bytes, up),
                };
                write!(f, "memory limit {} passed: {}", shown(self.granted, false), shown(self.seen, true))
            }
            Limit::Pids => write!(f, "pids limit {} passed: {}", self.granted, self.seen),
        }
    }
}

/// Tenths where they say something. What was seen is rounded up, so that it never reads as if it were the limit.
fn in_mebibytes(bytes: u64, up: bool) -> String {
    let tenths = u128::from(bytes) * 10;
    let tenths = if up { tenths.div_ceil(1 << 20) } else { tenths >> 20 };
    match tenths % 10 {
        0 => format!("{} MiB", tenths / 10),
        rest => format!("{}.{rest} MiB", tenths / 10),
    }
}

/// The watch over one run. There is none for a run without limits.
pub(super) struct Watch {
    limits: Limits,
    next: Instant,
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Option<Watch> {
        (limits != Limits::default()).then(|| Watch { limits, next: Instant::now() + FIRST })
    }

    /// When it looks next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time. What it gives is the end of the run.
    pub(super) fn look(&mut self, now: Instant, kin: &Kin) -> Option<Passed> {
        if now < self.next {
            return None;
        }
        let living = kin.living();
        let passed = self.pids(&living).or_else(|| self.memory(&living));
        let end = Instant::now();
        self.next = end + EVERY.max(end.duration_since(now) * PAUSE);
        passed
    }

    fn pids(&self, living: &[Process]) -> Option<Passed> {
        let granted = u64::from(self.limits.pids?);
        let seen = living.iter().map(|process| u64::from(process.threads)).sum();
        (seen > granted).then_some(Passed { limit: Limit::Pids, granted, seen })
    }

    fn memory(&self, living: &[Process]) -> Option<Passed> {
        let granted = self.limits.memory?;
        // What is shared is counted in each of them: never too little, and costs nothing more.
        let page = rustix::param::page_size() as u64;
        let most: u64 = living.iter().map(|process| process.pages * page).sum();
        if most <= granted {
            return None;
        }
        let fair = |process: &Process| fair_share(process).unwrap_or(process.pages * page);
        let seen = living.iter().map(fair).sum();
        (seen > granted).then_some(Passed { limit: Limit::Memory, granted, seen })
    }
}

/// Bytes that a process has in RAM, of what is shared its part. None: it may not be looked at.
fn fair_share(process: &Process) -> Option<u64> {
    let text = match fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)) {
        Ok(text) => text,
        // It is gone, or has let go of its memory: what it shared is in the parts of the others by now.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => return Some(0),
        Err(_) => return None,
    };
    let Some(line) = text.lines().find_map(|line| line.strip_prefix("Pss:")) else { return Some(0) };
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Lets the kernel take this process first when there is no memory left. Children inherit it.
pub(super) fn prefer_to_lose(pid: rustix::process::Pid) {
    // A system that refuses chooses as it does for everybody.
    let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE_ADJUSTMENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_reads_well() {
        let memory = |granted, seen| Passed { limit: Limit::Memory, granted, seen }.to_string();
        assert_eq!(memory(64 << 20, 70 << 20), "memory limit 64 MiB passed: 70 MiB");
        assert_eq!(memory(64 << 20, (64 << 20) + 1), "memory limit 64 MiB passed: 64.1 MiB");
        assert_eq!(memory(1000, 4096), "memory limit 1000 bytes passed: 4096 bytes");
        let pids = Passed { limit: Limit::Pids, granted: 5, seen: 7 };
        assert_eq!(pids.to_string(), "pids limit 5 passed: 7");
    }

    #[test]
    fn without_limits_nobody_watches() {
        assert!(Watch::new(Limits::default()).is_none());
        assert!(Watch::new(Limits { memory: None, pids: Some(1) }).is_some());
    }
}
