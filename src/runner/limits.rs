//! What a run may use, looked at again and again while it lives. Leaves ending it to [`super::run`].
//!
//! Where the run has a cgroup with the controller for it, the kernel keeps the limit of memory, of processes and of
//! processor time, and only what it noted of that is looked at here. Without, memory and processes are counted: a watch and
//! not a wall. What comes and goes between two looks is not seen, and a run that grows fast is above its limit for as long
//! as a look and the kill take. Limits of single processes (`RLIMIT_AS`, `RLIMIT_DATA`) are not set: runtimes reserve far
//! more than they use, and would fail; `RLIMIT_NPROC` counts what else its user runs. No kernel keeps a limit of one folder:
//! [`disk`] is always a watch.

mod disk;

use super::cgroup::Controllers;
use super::kin::{Kin, Process};
use crate::domain::Cores;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(super) use disk::Meter;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes in RAM. What several processes share counts once.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Processor time. Kept only by a kernel: whoever takes more is slowed down, and not ended.
    #[serde(default)]
    pub cpu: Option<Cores>,
    /// Room in a folder.
    #[serde(default)]
    pub disk: Option<Disk>,
}

/// How much a folder may grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes that more are taken on the disk than at the start of the run.
    pub bytes: u64,
    /// The folder, with all below on the same file system.
    #[serde(with = "super::keeper::text")]
    pub folder: PathBuf,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::pids`].
    Pids,
    /// [`Limits::disk`].
    Disk,
}

/// A limit that was passed: what was granted, and what was seen. `Display` says it in a sentence without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Which.
    pub limit: Limit,
    /// What was granted, in bytes or as a count.
    pub granted: u64,
    /// What there was. Not more than was granted where the kernel kept the limit: more was asked for, and not given.
    pub seen: u64,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.limit {
            Limit::Memory => "memory",
            Limit::Pids => "pids",
            Limit::Disk => "disk",
        };
        let exact = self.limit == Limit::Pids;
        let shown = |amount: u64, up: bool| match exact {
            true => amount.to_string(),
            false if self.granted.max(self.seen) < 1 << 20 => format!("{amount} bytes"),
            false => in_mebibytes(amount, up),
        };
        write!(f, "{name} limit {} passed: ", shown(self.granted, false))?;
        match self.seen > self.granted {
            true => f.write_str(&shown(self.seen, true)),
            false => f.write_str("it wanted more, and the kernel gave no more"),
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
    /// What the kernel keeps, and need not be counted.
    kept: Controllers,
    disk: Option<Meter>,
    next: Instant,
}

impl Watch {
    pub(super) fn new(limits: Limits, kept: Controllers, disk: Option<Meter>) -> Option<Watch> {
        let is_needed = limits.memory.is_some() || limits.pids.is_some() || disk.is_some();
        is_needed.then(|| Watch { limits, kept, disk, next: Instant::now() + FIRST })
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
        let passed = kin.refused(&self.limits).or_else(|| self.count(kin)).or_else(|| self.disk());
        let end = Instant::now();
        self.next = end + EVERY.max(end.duration_since(now) * PAUSE);
        passed
    }

    /// Counts what no kernel keeps.
    fn count(&self, kin: &Kin) -> Option<Passed> {
        let pids = self.limits.pids.filter(|_| !self.kept.pids);
        let memory = self.limits.memory.filter(|_| !self.kept.memory);
        if pids.is_none() && memory.is_none() {
            return None;
        }
        let living = kin.living();
        pids.and_then(|granted| too_many(granted, &living))
            .or_else(|| memory.and_then(|granted| too_much(granted, &living)))
    }

    fn disk(&self) -> Option<Passed> {
        let (limit, meter) = (self.limits.disk.as_ref()?, self.disk.as_ref()?);
        let seen = meter.grown();
        (seen > limit.bytes).then_some(Passed { limit: Limit::Disk, granted: limit.bytes, seen })
    }
}

fn too_many(granted: u32, living: &[Process]) -> Option<Passed> {
    let granted = u64::from(granted);
    let seen = living.iter().map(|process| u64::from(process.threads)).sum();
    (seen > granted).then_some(Passed { limit: Limit::Pids, granted, seen })
}

fn too_much(granted: u64, living: &[Process]) -> Option<Passed> {
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
        let disk = Passed { limit: Limit::Disk, granted: 1 << 30, seen: (1 << 30) + (1 << 29) };
        assert_eq!(disk.to_string(), "disk limit 1024 MiB passed: 1536 MiB");
        let wall = "it wanted more, and the kernel gave no more";
        assert_eq!(memory(64 << 20, 64 << 20), format!("memory limit 64 MiB passed: {wall}"));
    }

    #[test]
    fn without_limits_nobody_watches() {
        let watch = |limits| Watch::new(limits, Controllers::default(), None);
        assert!(watch(Limits::default()).is_none());
        assert!(watch(Limits { cpu: Cores::new(1.0), ..Limits::default() }).is_none(), "the kernel keeps it");
        assert!(watch(Limits { pids: Some(1), ..Limits::default() }).is_some());
    }
}
