//! Who belongs to a run: finds the processes that descend from a step, however they tried to get away. Ends none.
//!
//! This process is a child subreaper, so a descendant whose parent ends becomes our child, and every tree of survivors
//! hangs below one of our adopted children. Whose such a child is, is told by any one of:
//! - its process group is that of the step,
//! - its *mark*: a number of the run in the soft limit of file locks, a resource limit that no kernel since 2.4.25 looks
//!   at. It is inherited through everything, `env -i` and `setsid` included, and can be read even of a zombie,
//! - where it has no mark: the variable [`super::RUN_ID_VARIABLE`] in its environment, or that it holds the step's pipe,
//! - that it was seen below the step while the step lived.
//!
//! The process is born with the mark ([`super::birth`]): one that got it from outside could be gone before that, with its
//! child left that nothing tells from anybody.
//!
//! Where the run has a cgroup, whoever is in it belongs to it as well: to leave one takes the rights of whoever made it.
//!
//! Known gaps without one: a process that left the group, cleared its environment, closed its outputs *and* set its own
//! limit of file locks; and one in a set-user-id program may refuse to be read or signaled.

use super::cgroup::{self, Cell, Controllers};
use super::limits::{Limits, Passed};
use crate::domain::RunId;
use rustix::process::{self, Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a dead child that nobody waits for is left alone when it is not known to come from a step.
const UNCLAIMED: Duration = Duration::from_secs(60);
/// The same where all children come from steps.
const UNCLAIMED_HERE: Duration = Duration::from_secs(1);
/// How long is looked for survivors while there are signs of them only.
const LOOK: Duration = Duration::from_millis(50);
/// How often a list of children is read that never comes out the same twice.
const READS: u32 = 8;
/// How long is hunted at a stretch.
const HUNT: Duration = Duration::from_millis(50);

/// A process as it was at one moment.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Clock ticks after boot: with the id it names a process for ever.
    pub(super) started: u64,
    pub(super) dead: bool,
    /// Threads that it has.
    pub(super) threads: u32,
    /// Pages of memory that it has in RAM, shared ones included.
    pub(super) pages: u64,
    pub(super) name: String,
}

/// What a look for survivors comes to.
#[derive(Debug)]
pub(super) enum Left {
    /// Nobody lives, nor can somebody have been missed.
    Nobody,
    /// Somebody lives who was not to be seen: each of those looked at had started the next and was gone.
    Signs,
    /// These live, and maybe others.
    Found(Vec<Process>),
}

impl Left {
    /// These, and nobody else.
    pub(super) fn of(found: Vec<Process>) -> Left {
        if found.is_empty() { Left::Nobody } else { Left::Found(found) }
    }

    /// Those that were seen.
    pub(super) fn found(self) -> Vec<Process> {
        match self {
            Left::Nobody | Left::Signs => Vec::new(),
            Left::Found(found) => found,
        }
    }
}

/// What tells the processes of one run.
pub(super) struct Kin {
    leader: Pid,
    mark: Mark,
    /// `NAME=value` as it stands in the environment of the run.
    variable: Option<Vec<u8>>,
    /// The step's pipe as links in `/proc/PID/fd` show it.
    pipe: Option<PathBuf>,
    seen: HashSet<(Pid, u64)>,
    cell: Option<Cell>,
}

impl Kin {
    /// Of a step that was just started with this mark.
    pub(super) fn of(
        leader: Pid,
        mark: Mark,
        variable: Option<Vec<u8>>,
        pipe: BorrowedFd<'_>,
        cell: Option<Cell>,
    ) -> Self {
        let pipe = rustix::fs::fstat(pipe).ok().map(|stat| format!("pipe:[{}]", stat.st_ino).into());
        Self { leader, mark, variable, pipe, seen: HashSet::new(), cell }
    }

    /// Remembers what is below the step now, while it lives.
    pub(super) fn look(&mut self) {
        let table = table();
        for process in below(&table, HashSet::from([self.leader])) {
            if process.pid != self.leader && self.seen.insert((process.pid, process.started)) {
                put_mark(process.pid, self.mark);
            }
        }
    }

    /// The descendants that live on after the step's process has ended.
    ///
    /// One that starts the next and ends may have done so between two looks at it. But whoever lives has somebody above
    /// that lives and is our child, or was a moment ago: so nobody is left when nobody has died since the last look.
    pub(super) fn survivors(&self) -> Left {
        let begin = Instant::now();
        loop {
            // As long as the first of the run is not reaped nobody else has its group. Later they may not be told apart.
            let (dead, living): (Vec<_>, Vec<_>) = self.adopted_ones().into_iter().partition(|one| one.dead);
            reaping().claimed.extend(living.iter().map(|one| (one.pid, one.started)));
            // They would be in the way of the next look, thousands of them.
            reap(&dead);
            let living = living.iter().map(|one| one.pid);
            let roots: HashSet<Pid> =
                living.chain(self.members()).filter(|pid| *pid != self.leader).collect();
            if roots.is_empty() && dead.is_empty() {
                return Left::Nobody;
            }
            if !roots.is_empty() {
                let table = table();
                let found = below(&table, roots).into_iter();
                let found: Vec<Process> =
                    found.filter(|one| !one.dead && one.pid != self.leader).cloned().collect();
                if !found.is_empty() {
                    reaping().claimed.extend(found.iter().map(|one| (one.pid, one.started)));
                    return Left::Found(found);
                }
            }
            if begin.elapsed() > LOOK {
                return Left::Signs;
            }
        }
    }

    /// Our children that belong to the run, the dead ones included, without its first.
    fn adopted_ones(&self) -> Vec<Process> {
        // Nobody is reaped meanwhile: one that was gone before it is looked at might have been all that shows of the next.
        let reaping = reaping();
        let adopted = adopted(&reaping).into_iter().filter(|pid| *pid != self.leader);
        adopted.filter_map(look_at).filter(|process| self.owns(process)).collect()
    }

    /// Kills whoever of the run is our child now, again and again as long as there are new ones, for a moment at most. No
    /// time is lost with others: one that starts the next and ends lives for a tenth of a millisecond.
    pub(super) fn hunt(&self) {
        let begin = Instant::now();
        loop {
            let adopted = adopted(&reaping()).into_iter().filter(|pid| *pid != self.leader);
            let mut is_quiet = true;
            for pid in adopted {
                // The handle first: what is looked at then is what is killed.
                let Ok(handle) = process::pidfd_open(pid, PidfdFlags::empty()) else { continue };
                let Some(one) = look_at(pid).filter(|one| !one.dead && self.owns(one)) else { continue };
                let _ = process::pidfd_send_signal(&handle, Signal::KILL);
                reaping().claimed.insert((one.pid, one.started));
                is_quiet = false;
            }
            reap_adopted();
            if is_quiet || begin.elapsed() > HUNT {
                return;
            }
        }
    }

    fn members(&self) -> Vec<Pid> {
        self.cell.as_ref().map(Cell::members).unwrap_or_default()
    }

    /// Ends at once whoever is in the cgroup of the run. The others are left to whoever asks.
    pub(super) fn end_members(&self) {
        if let Some(cell) = &self.cell {
            cell.end();
        }
    }

    /// Which limits the kernel keeps for it.
    pub(super) fn kept(&self) -> Controllers {
        self.cell.as_ref().map(Cell::kept).unwrap_or_default()
    }

    /// What the kernel kept from it.
    pub(super) fn refused(&self, limits: &Limits) -> Option<Passed> {
        self.cell.as_ref()?.refused(limits)
    }

    /// The cgroup, once nobody is to be found any more.
    pub(super) fn into_cell(self) -> Option<Cell> {
        self.cell
    }

    /// All processes of the run that live now, its first included.
    pub(super) fn living(&self) -> Vec<Process> {
        let adopted = adopted(&reaping()).into_iter().filter(|pid| *pid != self.leader);
        let ours = adopted.filter_map(look_at).filter(|process| self.owns(process));
        let roots = ours.map(|process| process.pid).chain([self.leader]).chain(self.members()).collect();
        below(&table(), roots).into_iter().filter(|process| !process.dead).cloned().collect()
    }

    fn owns(&self, process: &Process) -> bool {
        if process.group == self.leader.as_raw_pid() || self.seen.contains(&(process.pid, process.started)) {
            return true;
        }
        match mark_of(process.pid).filter(Mark::is_ours) {
            Some(mark) => self.mark == mark,
            None => {
                self.variable.as_ref().is_some_and(|variable| has_variable(process.pid, variable))
                    || self.pipe.as_ref().is_some_and(|pipe| holds(process.pid, pipe))
            }
        }
    }
}

/// Whether a process has this file open.
fn holds(pid: Pid, file: &Path) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

/// Whether this process's environment, as it began, holds `NAME=value`.
pub(super) fn has_variable(pid: Pid, variable: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == variable))
}

/// All processes of `table` that are in `roots` or below.
pub(super) fn below(table: &[Process], roots: HashSet<Pid>) -> Vec<&Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in table {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<&Process> = table.iter().filter(|process| roots.contains(&process.pid)).collect();
    let mut taken = roots;
    let mut next = 0;
    while next < found.len() {
        for child in children.get(&found[next].pid.as_raw_pid()).into_iter().flatten() {
            if taken.insert(child.pid) {
                found.push(child);
            }
        }
        next += 1;
    }
    found
}

/// Every process that can be seen now.
pub(super) fn table() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter_map(look_at)
        .collect()
}

/// One process, unless it is gone.
pub(super) fn look_at(pid: Pid) -> Option<Process> {
    let stat = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    // The name stands in parentheses and may hold any byte, parentheses too.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let threads = fields.nth(14)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    let pages = fields.nth(1)?.parse().unwrap_or(0);
    // One whose first thread has ended looks dead, and its other threads go on.
    let dead = matches!(state, "Z" | "X") && threads <= 1;
    Some(Process { pid, parent, group, started, dead, threads, pages, name: name.to_owned() })
}

/// Our children that the kernel gave us when their parents ended (and some of our own). They are in the list of the main
/// thread, which lives as long as the process; those that a step made as children of ours (`CLONE_PARENT`) are in that of
/// the thread that started the step, which is the one that asks.
fn adopted(no_reaping: &Reaping) -> Vec<Pid> {
    static MAIN: LazyLock<String> = LazyLock::new(|| {
        let pid = process::getpid();
        format!("/proc/{pid}/task/{pid}/children")
    });
    let Some(mut found) = children(Path::new(&*MAIN), no_reaping) else {
        // A kernel without that list: look at everybody.
        let us = process::getpid().as_raw_pid();
        return table()
            .into_iter()
            .filter(|process| process.parent == us)
            .map(|process| process.pid)
            .collect();
    };
    if rustix::thread::gettid() != process::getpid() {
        found.extend(children(Path::new("/proc/thread-self/children"), no_reaping).unwrap_or_default());
    }
    found
}

/// The children in a list of the kernel. None: there is no such list.
///
/// A child that leaves the list while it is read makes the kernel skip one. So nothing of ours is reaped meanwhile (that
/// is what the lock is for), and as others may reap theirs, it is read until it comes out the same twice, unless it is
/// empty. A step that starts processes without end may keep it from that, so after some reads all that was seen counts.
fn children(list: &Path, _no_reaping: &Reaping) -> Option<Vec<Pid>> {
    let file = File::open(list).ok()?;
    let mut before = String::new();
    let mut seen = BTreeSet::new();
    for _ in 0..READS {
        let now = read_at_once(&file);
        seen.extend(now.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        if now.is_empty() || now == before {
            break;
        }
        before = now;
    }
    Some(seen.into_iter().filter_map(Pid::from_raw).collect())
}

/// A file of `/proc` from its beginning, in as few reads as can be.
fn read_at_once(file: &File) -> String {
    let mut text = vec![0; 4096];
    let mut filled = 0;
    while let Ok(count @ 1..) = file.read_at(&mut text[filled..], filled as u64) {
        filled += count;
        if filled == text.len() {
            text.resize(2 * filled, 0);
        }
    }
    text.truncate(filled);
    String::from_utf8_lossy(&text).into_owned()
}

/// The number of a run that all of its processes inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    /// That of a run, which no other one has.
    pub(super) fn of(run: RunId) -> Mark {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let house = house();
        let number = if house.lasts { run.0 } else { NEXT.fetch_add(1, Ordering::Relaxed) };
        Mark(house.number << 32 | number & u64::from(u32::MAX))
    }

    /// What it is to the kernel.
    pub(super) fn limit(self) -> Rlimit {
        static MAXIMUM: LazyLock<Option<u64>> = LazyLock::new(|| process::getrlimit(Resource::Locks).maximum);
        Rlimit { current: Some(self.0), maximum: *MAXIMUM }
    }

    /// Whether a run of this process has it.
    fn is_ours(&self) -> bool {
        self.0 >> 32 == house().number
    }
}

/// The half of each mark that tells its runs from those of others: of a controller inside a step, say.
struct House {
    number: u64,
    /// It has the number whatever process it is, and no number of a run twice.
    lasts: bool,
}

static HOUSE: OnceLock<House> = OnceLock::new();

fn house() -> &'static House {
    HOUSE.get_or_init(|| {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).unwrap_or_else(|_| bytes = std::process::id().to_ne_bytes());
        House { number: number_of_house(u32::from_ne_bytes(bytes).into()), lasts: false }
    })
}

/// No limit that anybody sets is so high, nor is one without end.
fn number_of_house(drawn: u64) -> u64 {
    1 << 30 | drawn & ((1 << 30) - 1)
}

/// Marks the runs of this process so that a later one of the same house finds what is left of them. To be called before
/// any run, by whoever never has a number of a run twice.
pub(super) fn mark_for(house: u64) {
    let is_first = HOUSE.set(House { number: number_of_house(house), lasts: true }).is_ok();
    debug_assert!(is_first, "a run has begun already");
}

/// Whether it has this mark.
pub(super) fn has_mark(pid: Pid, mark: Mark) -> bool {
    mark_of(pid) == Some(mark)
}

/// Puts a mark on one that was below a child of ours a moment ago and may have set another limit. The worst that a reused
/// id could suffer is a limit that no kernel looks at.
fn put_mark(pid: Pid, mark: Mark) {
    // Gone already, or not ours to change: it was seen, which tells as much.
    let _ = process::prlimit(Some(pid), Resource::Locks, mark.limit());
}

/// Whether some run of this process marked it, or had it in its cgroup.
pub(super) fn comes_from_a_step(pid: Pid) -> bool {
    mark_of(pid).as_ref().is_some_and(Mark::is_ours) || cgroup::is_in_ours(pid)
}

fn mark_of(pid: Pid) -> Option<Mark> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_ascii_whitespace().next()?.parse().ok().map(Mark)
}

/// Who may be reaped by whom in this process.
#[derive(Default)]
struct Reaping {
    /// Steps: their own run reaps them.
    leaders: HashSet<Pid>,
    /// Those that were found to belong to a run, however that was told.
    claimed: HashSet<(Pid, u64)>,
    /// Dead children that nobody took yet and that may be anybody's, with when they were first seen.
    unclaimed: HashMap<(Pid, u64), Instant>,
}

fn reaping() -> MutexGuard<'static, Reaping> {
    static REAPING: LazyLock<Mutex<Reaping>> = LazyLock::new(Mutex::default);
    REAPING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn register_leader(pid: Pid) {
    reaping().leaders.insert(pid);
}

pub(super) fn forget_leader(pid: Pid) {
    reaping().leaders.remove(&pid);
}

/// Nothing but runs starts processes here: whoever lies dead and has no mark yet (it was quicker than that) comes from one.
static IS_FOR_RUNS: AtomicBool = AtomicBool::new(false);

/// To be called in a process that is there for runs only.
pub(super) fn start_nothing_else() {
    IS_FOR_RUNS.store(true, Ordering::Relaxed);
}

/// Reaps these of our adopted children, which are dead.
fn reap(these: &[Process]) {
    let reaping = reaping();
    for one in these.iter().filter(|one| !reaping.leaders.contains(&one.pid)) {
        // Who reaps adopted ones holds the lock: nobody else takes its number between these two.
        if look_at(one.pid).is_some_and(|now| now.started == one.started && now.dead) {
            let _ = process::waitid(WaitId::Pid(one.pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
    }
}

/// Takes the exit status of adopted children that have died, so that they do not stay as zombies.
///
/// Whoever started a process itself waits for it, and must get the status: so nothing is taken that is not known to come
/// from a step (its mark says so), or has lain dead for a minute. One at a time may do this, so that an id that was read
/// cannot have become another process's.
pub(super) fn reap_adopted() {
    let mut reaping = reaping();
    let adopted = adopted(&reaping);
    // Nobody takes the number of one that still lies there dead.
    let is_there = |(pid, started): &(Pid, u64)| look_at(*pid).is_some_and(|one| one.started == *started);
    reaping.claimed.retain(is_there);
    if adopted.is_empty() {
        reaping.unclaimed.clear();
        return;
    }
    let now = Instant::now();
    let patience = if IS_FOR_RUNS.load(Ordering::Relaxed) { UNCLAIMED_HERE } else { UNCLAIMED };
    let mut still = HashMap::new();
    for process in adopted.into_iter().filter_map(look_at).filter(|process| process.dead) {
        if reaping.leaders.contains(&process.pid) {
            continue;
        }
        let key = (process.pid, process.started);
        let since = *reaping.unclaimed.get(&key).unwrap_or(&now);
        if reaping.claimed.contains(&key)
            || comes_from_a_step(process.pid)
            || now.duration_since(since) >= patience
        {
            let _ = process::waitid(WaitId::Pid(process.pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        } else {
            still.insert(key, since);
        }
    }
    reaping.unclaimed = still;
}
