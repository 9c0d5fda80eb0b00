//! The cgroup of one run: who is in it, ending all of them at once, the limits that the kernel keeps for it, and what it
//! noted of them.
//!
//! # What a deploy leaves running
//! It stays where it is: to move it would race with what it starts meanwhile, and the kernel renames no cgroup. Its limits
//! are lifted, since they were the deploy's, and the cgroup gets a mark (an extended attribute) that keeps the next process
//! here from ending it. It is removed when it has become empty.

use super::Controllers;
use crate::domain::{Cores, RunId};
use crate::runner::kin;
use crate::runner::{Limit, Limits, Passed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, XattrFlags, getxattr, openat, setxattr};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What all names begin with.
const PREFIX: &str = "tidegate-";
/// Name of the attribute of one whose processes may live on.
const MAY_STAY: &str = "user.tidegate.may_stay";
/// The kernel gives processor time in parts of so many microseconds.
const PERIOD: u64 = 100_000;
/// How long is waited for processes that are dying: they are gone in no time.
const DYING: Duration = Duration::from_millis(40);

/// The cgroup of one run, or one that had been.
pub(in crate::runner) struct Cell {
    folder: PathBuf,
    /// What the kernel keeps of the limits of the run.
    kept: Controllers,
}

impl Cell {
    /// A new one, with its limits.
    pub(super) fn make(folder: &Path, limits: &Limits) -> io::Result<Cell> {
        fs::create_dir(folder)?;
        Ok(Cell { folder: folder.to_owned(), kept: apply(folder, limits) })
    }

    /// One that is there.
    pub(super) fn at(folder: &Path) -> Cell {
        Cell { folder: folder.to_owned(), kept: Controllers::default() }
    }

    /// Which limits of the run the kernel keeps.
    pub(in crate::runner) fn kept(&self) -> Controllers {
        self.kept
    }

    /// What a process can be born into.
    pub(in crate::runner) fn handle(&self) -> io::Result<OwnedFd> {
        Ok(openat(CWD, &self.folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Moves a process in, with all that it starts from now on.
    pub(in crate::runner) fn take_in(&self, pid: Pid) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    /// Whether nobody lives in it, nor in any below.
    fn is_empty(&self) -> bool {
        fs::read_to_string(self.folder.join("cgroup.events"))
            .is_ok_and(|events| number_in(&events, "populated") == Some(0))
    }

    /// Who lives in it, and in those below that a step may have made.
    pub(in crate::runner) fn members(&self) -> Vec<Pid> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            found.extend(text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
            folders.extend(folders_in(&folder));
        }
        found
    }

    /// Ends all of them at once; what they start meanwhile, too.
    pub(in crate::runner) fn end(&self) {
        // It is frozen only if a step of root did that: a kill goes through.
        let _ = fs::write(self.folder.join("cgroup.kill"), "1");
    }

    /// Ends those that are in there now, one by one.
    pub(super) fn signal_all(&self) {
        for pid in self.members() {
            let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // The number may have been given again before there was a handle.
            if self.members().contains(&pid) {
                // Gone, or to be found by the next look.
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
    }

    /// What the run wanted of what the kernel keeps for it, and did not get.
    pub(in crate::runner) fn refused(&self, limits: &Limits) -> Option<Passed> {
        let noted = |file: &str, name: &str| {
            let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
            number_in(&text, name).unwrap_or(0)
        };
        let passed = |limit, granted, most: &str| {
            let seen =
                fs::read_to_string(self.folder.join(most)).ok().and_then(|text| text.trim().parse().ok());
            Passed { limit, granted, seen: seen.unwrap_or(granted) }
        };
        if let Some(granted) = limits.memory.filter(|_| self.kept.memory)
            // The kernel also kills when the whole machine has none left, or a cgroup below that a step made: then this limit
            // was not reached.
            && noted("memory.events", "oom_kill") > 0
            && noted("memory.events.local", "oom") > 0
        {
            return Some(passed(Limit::Memory, granted, "memory.peak"));
        }
        if let Some(granted) = limits.pids.filter(|_| self.kept.pids)
            && noted(&self.pids_events(), "max") > 0
        {
            return Some(passed(Limit::Pids, granted.into(), "pids.peak"));
        }
        None
    }

    /// Where it stands that somebody met this very limit, and not one further down. Kernels before Linux 6.11 have one file
    /// for whoever met any.
    fn pids_events(&self) -> String {
        let local = "pids.events.local";
        if self.folder.join(local).exists() { local } else { "pids.events" }.to_owned()
    }

    /// What lives in it may live on, without limits.
    pub(in crate::runner) fn let_stay(&self) {
        for file in ["memory.max", "memory.swap.max", "pids.max", "cpu.max"] {
            // Where there is no such file there is no limit.
            let _ = fs::OpenOptions::new()
                .write(true)
                .open(self.folder.join(file))
                .and_then(|mut file| io::Write::write_all(&mut file, b"max"));
        }
        let _ = fs::write(self.folder.join("memory.oom.group"), "0");
        if let Err(error) = setxattr(&self.folder, MAY_STAY, b"1", XattrFlags::empty()) {
            let folder = self.folder.display().to_string();
            tracing::warn!(folder, %error, "what a deploy left running will be ended when tidegate starts again");
        }
    }

    pub(super) fn may_stay(&self) -> bool {
        getxattr(&self.folder, MAY_STAY, &mut [0_u8; 1][..]).is_ok()
    }

    /// Removes it, with those below, if nobody lives there. The error is its folder.
    pub(super) fn remove(self) -> Result<(), PathBuf> {
        if self.is_empty() {
            remove_all(&self.folder);
        }
        if self.folder.exists() { Err(self.folder) } else { Ok(()) }
    }

    /// Waits for those who are dying there. Whoever may live on is not waited for.
    pub(super) fn wait(&self) {
        let until = Instant::now() + DYING;
        let Ok(events) = fs::File::open(self.folder.join("cgroup.events")) else { return };
        // What is waited for is a change after the last reading.
        let is_empty = || read_at_once(&events).is_some_and(|text| number_in(&text, "populated") == Some(0));
        while !is_empty() && !self.may_stay() {
            let left = until.checked_duration_since(Instant::now());
            let Some(left) = left.and_then(|left| Timespec::try_from(left).ok()) else { return };
            let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&left));
        }
    }
}

/// A small file of the kernel, from its beginning.
fn read_at_once(file: &fs::File) -> Option<String> {
    let mut text = [0; 512];
    let count = file.read_at(&mut text, 0).ok()?;
    Some(String::from_utf8_lossy(&text[..count]).into_owned())
}

/// Those below first: a step may have made them as deep as it liked.
fn remove_all(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    let mut at = 0;
    while at < folders.len() {
        let below = folders_in(&folders[at]);
        folders.extend(below);
        at += 1;
    }
    // Somebody may be quicker, and move in again.
    folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    fs::read_dir(folder).into_iter().flatten().flatten().filter(is_folder).map(|entry| entry.path()).collect()
}

/// Asks the kernel to keep the limits; gives those that it does keep.
fn apply(folder: &Path, limits: &Limits) -> Controllers {
    let put = |file: &str, text: String| {
        // A controller that is not there has no file, and none shall be made.
        let opened = fs::OpenOptions::new().write(true).open(folder.join(file));
        opened.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())).is_ok()
    };
    let memory = limits.memory.is_some_and(|bytes| put("memory.max", bytes.to_string()));
    if memory {
        // What would not fit would be put aside for ever so long; and half a run is worse than none. Where there is no
        // swap there is no such file.
        put("memory.swap.max", "0".into());
        put("memory.oom.group", "1".into());
    }
    Controllers {
        memory,
        pids: limits.pids.is_some_and(|pids| put("pids.max", pids.to_string())),
        cpu: limits.cpu.is_some_and(|cores| put("cpu.max", quota(cores))),
    }
}

/// Microseconds in each period, and the period.
fn quota(cores: Cores) -> String {
    format!("{} {PERIOD}", u64::from(cores.thousandths()) * PERIOD / 1000)
}

/// The number behind a name, in a file with one of each in every line.
fn number_in(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// The name of a cgroup: which run it is of, and whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    run: RunId,
    /// Process numbers mean something in their namespace only.
    namespace: u64,
    pid: u32,
    /// With the number it names a process for as long as the machine runs.
    started: u64,
    /// Of those that the process made.
    number: u64,
    /// Which runner's it is, whatever process that is; 0 is nobody's.
    house: u64,
}

/// Which runner's are those that this process makes from now on.
pub(super) fn make_for(house: u64) {
    HOUSE.store(house, Ordering::Relaxed);
}

static HOUSE: AtomicU64 = AtomicU64::new(0);

impl Name {
    /// One that no other has.
    pub(super) fn new(run: RunId) -> Name {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        static STARTED: LazyLock<u64> =
            LazyLock::new(|| kin::look_at(rustix::process::getpid()).map_or(0, |process| process.started));
        Name {
            run,
            namespace: namespace(),
            pid: std::process::id(),
            started: *STARTED,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            house: HOUSE.load(Ordering::Relaxed),
        }
    }

    /// One of a process that cannot live.
    #[cfg(test)]
    pub(super) fn of_the_dead(run: RunId) -> Name {
        Name { started: 1, ..Name::new(run) }
    }

    /// None: it is somebody else's.
    pub(super) fn parse(text: &str) -> Option<Name> {
        let (run, rest) = text.strip_prefix(PREFIX)?.split_once('-')?;
        let mut numbers = rest.split('.').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let name = Name {
            run: RunId(run.parse().ok()?),
            namespace: next()?,
            pid: u32::try_from(next()?).ok()?,
            started: next()?,
            number: next()?,
            house: next()?,
        };
        (name.to_string() == text).then_some(name)
    }

    /// Whether it is the runner's that this process is, too.
    pub(super) fn is_of_this_house(&self) -> bool {
        self.house != 0 && self.house == HOUSE.load(Ordering::Relaxed)
    }

    /// Whether whoever made it may still be there.
    pub(super) fn maker_lives(&self) -> bool {
        // Of another namespace nothing is known.
        self.namespace != namespace()
            || i32::try_from(self.pid).ok().and_then(Pid::from_raw).is_some_and(|pid| {
                match kin::look_at(pid) {
                    Some(process) => process.started == self.started && !process.dead,
                    // Not to be read is not gone.
                    None => rustix::process::test_kill_process(pid) != Err(Errno::SRCH),
                }
            })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name { run, namespace, pid, started, number, house } = self;
        write!(f, "{PREFIX}{run}-{namespace}.{pid}.{started}.{number}.{house}")
    }
}

/// Whether a process, dead ones included, is or was in a cgroup that this process made for a run.
pub(in crate::runner) fn is_in_ours(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| names_ours(&text))
}

fn names_ours(cgroup: &str) -> bool {
    let Some(path) = cgroup.lines().find_map(|line| line.strip_prefix("0::")) else { return false };
    // One that was removed meanwhile is said to be so.
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let ours = Name::new(RunId(0));
    path.split('/')
        .filter_map(Name::parse)
        .any(|name| (name.namespace, name.pid, name.started) == (ours.namespace, ours.pid, ours.started))
}

/// The number of this process's namespace of process numbers.
fn namespace() -> u64 {
    static NUMBER: LazyLock<u64> = LazyLock::new(|| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata("/proc/self/ns/pid").map_or(0, |about| about.ino())
    });
    *NUMBER
}

#[cfg(test)]
mod tests;
