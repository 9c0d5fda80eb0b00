//! Which process is at the other end of a Unix socket, and whether it is a step: it may run as the controller's user, and
//! still be kept from the owner's token by its fence.
//!
//! The system says a number, and numbers are given again: whoever connected may be gone, and somebody harmless have its
//! number. So a handle is taken with it, which means that very process (`SO_PEERPIDFD`, Linux 6.5), and what was looked up
//! counts only if the process still lives after that. Where there is no handle, nobody is known. Its parents are followed
//! twice, and must be the same both times: one that ends meanwhile leaves its number, too.
//!
//! A step is whoever descends from the controller, from what runs its steps, or from any `tidegate`: one at work elsewhere
//! runs steps of its own. Whoever cannot be followed up to the first process may be anybody. So may one that can gain no
//! rights: every step below Landlock is like that, whatever became of its parents, and cannot change it.
//!
//! Known gaps: a process whose runner was killed may have left its family until the next runner ends it, and what a step
//! has somebody else start for it (cron, ssh to this machine, a user's systemd) is not its child.

use crate::runner::{Keeper, keeper_of};
use nix::sys::socket::{getsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Uid;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::net::UnixStream;

/// No chain of parents is longer.
const LONGEST_CHAIN: usize = 256;
/// What a process that runs steps is called, and what it is a thread of.
const RUNS_STEPS: [&str; 2] = ["tidegate", "tidegate-runner"];

/// A process that connected.
#[derive(Debug)]
pub(in crate::server) struct Process {
    pid: i32,
    /// None: this system gives none, or the process was gone already.
    handle: Option<OwnedFd>,
}

impl Process {
    /// Whose process is at the other end, and which.
    pub(super) fn at_end_of(stream: &UnixStream) -> io::Result<(Uid, Process)> {
        let peer = getsockopt(stream, sockopt::PeerCredentials)?;
        let handle = getsockopt(stream, sockopt::PeerPidfd).ok();
        Ok((Uid::from_raw(peer.uid()), Process { pid: peer.pid(), handle }))
    }

    /// Whether it lives, and is nothing that runs steps has started.
    pub(super) fn is_no_step(&self, state: &Path) -> bool {
        let Some(handle) = &self.handle else { return false };
        let keeper = match keeper_of(state) {
            Keeper::None => None,
            Keeper::Is(pid) => Some(pid),
            Keeper::Unknown => return false,
        };
        let ours: Vec<i32> = i32::try_from(std::process::id()).ok().into_iter().chain(keeper).collect();
        let Some(chain) = chain_of(self.pid) else { return false };
        if !can_gain_rights(self.pid) {
            return false;
        }
        chain_of(self.pid).as_ref() == Some(&chain) && !is_below(&chain, &ours) && lives(handle)
    }
}

/// Whether the system gives handles of processes that connect.
pub(super) fn is_known_here() -> bool {
    let pair = std::os::unix::net::UnixStream::pair();
    pair.is_ok_and(|(one, _other)| getsockopt(&one, sockopt::PeerPidfd).is_ok())
}

/// One of the processes above another.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    pid: i32,
    /// With the number it names a process as long as the machine runs.
    started: u64,
    name: String,
}

/// A process and all above it. None: some of it cannot be seen.
fn chain_of(pid: i32) -> Option<Vec<Link>> {
    let mut chain = Vec::new();
    let mut next = pid;
    // Of a process in another namespace the number is 0.
    while chain.len() < LONGEST_CHAIN && next > 0 {
        let (parent, link) = look_at(next)?;
        chain.push(link);
        if parent == 0 {
            return Some(chain);
        }
        next = parent;
    }
    None
}

/// Its parent, which is 0 above the first one, and what it is.
fn look_at(pid: i32) -> Option<(i32, Link)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also what looks like an end of it.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(1);
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, Link { pid, started, name: name.to_owned() }))
}

/// Whether it is one of those, or below one that runs steps. The first may well be a `tidegate` itself: that is who asks.
fn is_below(chain: &[Link], ours: &[i32]) -> bool {
    let is_ours = chain.iter().any(|link| ours.contains(&link.pid));
    is_ours || chain.iter().skip(1).any(|link| RUNS_STEPS.contains(&link.name.as_str()))
}

/// Whether it is known that it may start programs with more rights than its own.
fn can_gain_rights(pid: i32) -> bool {
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    status.split(|byte| *byte == b'\n').any(|line| line == b"NoNewPrivs:\t0")
}

fn lives(handle: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(handle, PollFlags::IN)];
    // It is readable once the process has ended.
    poll(&mut fds, Some(&rustix::event::Timespec::default())) == Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    /// As if that process had connected.
    fn process(pid: i32) -> Process {
        let handle = rustix::process::Pid::from_raw(pid).unwrap();
        let handle = rustix::process::pidfd_open(handle, rustix::process::PidfdFlags::empty());
        Process { pid, handle: handle.ok() }
    }

    /// Whether these tests are no step themselves.
    fn we_are_free() -> bool {
        !is_below(&chain_of(own()).unwrap(), &[])
    }

    /// A child of a child, and the one between, which ends when its input does.
    fn grandchild() -> (Child, i32) {
        let mut child = Command::new("sh")
            .args(["-c", "sh -c 'echo $$; cat; true'; true"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = io::BufReader::new(child.stdout.take().unwrap());
        let mut pid = String::new();
        io::BufRead::read_line(&mut words, &mut pid).unwrap();
        (child, pid.trim().parse().unwrap())
    }

    #[test]
    fn what_this_process_started_is_taken_for_a_step_and_others_are_not() {
        let state = tempfile::tempdir().unwrap();
        let (mut child, below) = grandchild();
        let parent = look_at(own()).unwrap().0;
        assert!(!process(below).is_no_step(state.path()), "it is ours");
        assert!(!process(own()).is_no_step(state.path()));
        assert_eq!(process(parent).is_no_step(state.path()), we_are_free());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!process(below).is_no_step(state.path()), "who is gone is nobody");
    }

    #[test]
    fn a_number_that_is_somebody_elses_by_now_counts_for_nothing() {
        let state = tempfile::tempdir().unwrap();
        let mut gone = Command::new("true").spawn().unwrap();
        let handle = process(i32::try_from(gone.id()).unwrap()).handle;
        gone.wait().unwrap();
        let parent = look_at(own()).unwrap().0;
        assert_eq!(process(parent).is_no_step(state.path()), we_are_free());
        assert!(!Process { pid: parent, handle }.is_no_step(state.path()), "it has ended who connected");
        assert!(!Process { pid: parent, handle: None }.is_no_step(state.path()), "it cannot be told");
        let elsewhere = Process { pid: 0, handle: process(parent).handle };
        assert!(!elsewhere.is_no_step(state.path()), "it is not to be seen from here");
    }

    #[test]
    fn who_can_gain_no_rights_is_told_from_others() {
        let mut free = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(can_gain_rights(i32::try_from(free.id()).unwrap()));
        drop(free.stdin.take());
        free.wait().unwrap();
        let held = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            let mut held = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            assert!(!can_gain_rights(i32::try_from(held.id()).unwrap()));
            drop(held.stdin.take());
            held.wait().unwrap();
        });
        held.join().unwrap();
        assert!(!can_gain_rights(0), "nobody");
    }

    #[test]
    fn whoever_is_below_a_tidegate_may_be_a_step_of_that() {
        let link = |pid, name: &str| Link { pid, started: 1, name: name.to_owned() };
        let asks = [link(9, "tidegate"), link(5, "bash"), link(1, "systemd")];
        assert!(!is_below(&asks, &[7]));
        assert!(is_below(&asks, &[5]) && is_below(&asks, &[9]));
        for name in RUNS_STEPS {
            assert!(is_below(&[link(9, "sh"), link(5, name), link(1, "systemd")], &[7]), "{name}");
        }
    }

    #[test]
    fn what_runs_steps_is_found_by_its_lock_and_one_that_does_not_say_is_not_none() {
        let state = tempfile::tempdir().unwrap();
        let parent = look_at(own()).unwrap().0;
        assert_eq!(process(parent).is_no_step(state.path()), we_are_free());
        std::fs::create_dir(state.path().join("runner")).unwrap();
        assert_eq!(process(parent).is_no_step(state.path()), we_are_free());
        for lock in [format!("{parent}\n"), String::new()] {
            std::fs::write(state.path().join("runner/lock"), &lock).unwrap();
            assert!(!process(parent).is_no_step(state.path()), "{lock:?}");
        }
    }

    #[tokio::test]
    async fn the_system_says_who_connects() {
        let (one, _other) = UnixStream::pair().unwrap();
        let (uid, process) = Process::at_end_of(&one).unwrap();
        assert_eq!((uid, process.pid), (rustix::process::geteuid(), own()));
    }
}
