//! Ending what a step left behind, gently first, until nothing new turns up. [`super::kin`] says who that is.

use super::Stray;
use super::kin::{self, Left, Mark, Process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{self, Pid, PidfdFlags, Signal};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Longest time from SIGTERM to SIGKILL for what outlived its step.
const SHORT_GRACE: Duration = Duration::from_secs(2);
/// How long one round waits for the killed to be gone.
const ROUND: Duration = Duration::from_secs(1);
/// When to give up on those that no signal ends.
const GIVE_UP: Duration = Duration::from_secs(10);

/// What became of the leftovers.
#[derive(Default)]
pub(super) struct Ended {
    /// All that were found.
    pub(super) found: Vec<Stray>,
    /// Those of them that still live: nothing could end them.
    pub(super) alive: Vec<Stray>,
    /// Somebody lives who was not to be seen.
    pub(super) unseen: bool,
}

/// Ends all that `find` finds: SIGTERM, after a grace of at most two seconds SIGKILL, and again until nobody is left.
/// With each SIGKILL comes `kill`, which may end more at once, those that are not to be seen too. Blocks for ten seconds
/// at most.
pub(super) fn end(grace: Duration, mut find: impl FnMut() -> Left, kill: impl Fn()) -> Ended {
    let (begin, grace) = (Instant::now(), grace.min(SHORT_GRACE));
    let mut found = BTreeMap::new();
    let mut asked = HashSet::new();
    loop {
        let left = find();
        let is_over = matches!(left, Left::Nobody) || begin.elapsed() >= GIVE_UP;
        let unseen = matches!(left, Left::Signs);
        let alive = left.found();
        found.extend(alive.iter().map(|one| ((one.pid.as_raw_pid(), one.started), named(one))));
        if is_over {
            let alive = alive.iter().map(named).collect();
            return Ended { found: found.into_values().collect(), alive, unseen };
        }
        let gentle = grace.saturating_sub(begin.elapsed());
        let handles: Vec<OwnedFd> = alive.iter().filter_map(handle).collect();
        if gentle.is_zero() {
            send(&handles, &[Signal::KILL]);
            kill();
            wait(&handles, ROUND);
            continue;
        }
        let new = alive.iter().filter(|one| asked.insert((one.pid, one.started)));
        let new: Vec<OwnedFd> = new.filter_map(handle).collect();
        // A stopped process gets the signal only when it goes on.
        send(&new, &[Signal::TERM, Signal::CONT]);
        wait(&handles, gentle);
    }
}

/// Names what is there, and leaves it.
pub(super) fn list(left: Left) -> Vec<Stray> {
    left.found().iter().map(named).collect()
}

/// Ends what a process that was itself killed left running: every process of this machine that may be read and has
/// `variable` (`NAME=value`, the bytes) in its environment, and all below them. Choose one that no other controller has,
/// such as the events file with its path. Blocks for twelve seconds at most; gives what was found.
pub fn end_abandoned(variable: &[u8], grace: Duration) -> Vec<Stray> {
    end_all(|pid| kin::has_variable(pid, variable), grace)
}

/// The same of a run of a runner that was killed: those with its mark, too.
pub(super) fn end_run(mark: Mark, variable: &[u8], grace: Duration) -> Vec<Stray> {
    end_all(|pid| kin::has_mark(pid, mark) || kin::has_variable(pid, variable), grace)
}

fn end_all(is_left: impl Fn(Pid) -> bool, grace: Duration) -> Vec<Stray> {
    let ourselves = process::getpid();
    let find = || {
        let table = kin::table();
        let roots: HashSet<Pid> = table.iter().map(|process| process.pid).collect();
        let ours = |pid: &Pid| *pid != ourselves && is_left(*pid);
        let roots: HashSet<Pid> = roots.into_iter().filter(ours).collect();
        let found = kin::below(&table, roots);
        let found = found.into_iter().filter(|process| !process.dead && process.pid != ourselves);
        Left::of(found.cloned().collect())
    };
    end(grace, find, || ()).found
}

fn named(process: &Process) -> Stray {
    Stray { pid: process.pid.as_raw_pid().unsigned_abs(), name: process.name.clone() }
}

/// A handle that means this very process, whatever becomes of its id.
fn handle(process: &Process) -> Option<OwnedFd> {
    let handle = process::pidfd_open(process.pid, PidfdFlags::empty()).ok()?;
    let same = kin::look_at(process.pid).is_some_and(|now| now.started == process.started);
    same.then_some(handle)
}

fn send(handles: &[OwnedFd], signals: &[Signal]) {
    for handle in handles {
        for signal in signals {
            // Gone already, or not ours to signal: the next round sees which.
            let _ = process::pidfd_send_signal(handle, *signal);
        }
    }
}

/// Waits until all have ended, or the time is over.
fn wait(handles: &[OwnedFd], time: Duration) {
    let until = Instant::now() + time;
    let mut left: Vec<&OwnedFd> = handles.iter().collect();
    if left.is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    while !left.is_empty() {
        let Some(time) =
            until.checked_duration_since(Instant::now()).and_then(|time| Timespec::try_from(time).ok())
        else {
            return;
        };
        let mut fds: Vec<PollFd<'_>> =
            left.iter().map(|handle| PollFd::new(*handle, PollFlags::IN)).collect();
        let _ = poll(&mut fds, Some(&time));
        let ended: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ended = ended.into_iter();
        left.retain(|_| ended.next() != Some(true));
    }
}
