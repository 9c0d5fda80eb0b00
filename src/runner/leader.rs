//! The process of a run while nobody else has its exit status: signals that cannot hit a stranger, the end as something
//! to `poll` for, the status without reaping, and reaping as the last thing. What it leaves behind is [`super::strays`].

use super::kin;
use rustix::io::Errno;
use rustix::process::{self, Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The status of a process that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It exited.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Somebody else in this process took the status: a broken rule of the house, yet the run must end.
    Lost,
}

/// A process that was started and not reaped. Dropped before its end it is killed with its group.
pub(super) struct Leader {
    pid: Pid,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Leader {
    /// Takes over a process that was just started as the head of its group, and is known as such to [`kin`].
    pub(super) fn adopt(pid: Pid) -> io::Result<Self> {
        match process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { pid, pidfd, reaped: false }),
            Err(error) => {
                let _ = process::kill_process_group(pid, Signal::KILL);
                reap(pid);
                Err(error.into())
            }
        }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Readable once the process has ended.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The status, if the process has ended; it stays a zombie, and its id its own.
    pub(super) fn status(&self) -> Option<Status> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = loop {
            match process::waitid(WaitId::Pid(self.pid), options) {
                Err(Errno::INTR) => {}
                Ok(status) => break status?,
                Err(_) => return Some(Status::Lost),
            }
        };
        Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Status::Code(code),
            (None, Some(signal)) => Status::Signal(signal),
            (None, None) => Status::Lost,
        })
    }

    /// Sends a signal to the whole group, and to the process itself should it have left its group.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let sent = process::kill_process_group(self.pid, signal);
        if process::getpgid(Some(self.pid)).is_ok_and(|group| group != self.pid) {
            process::pidfd_send_signal(&self.pidfd, signal)?;
        } else {
            sent?;
        }
        Ok(())
    }

    /// The last thing: from here on the id may be somebody else's.
    pub(super) fn reap(mut self) {
        self.reaped = true;
        reap(self.pid);
    }

    /// Lets go of a process that does not die; whatever reaps orphans takes it when it does.
    pub(super) fn abandon(mut self) {
        self.reaped = true;
        kin::forget_leader(self.pid);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = process::kill_process_group(self.pid, Signal::KILL);
            reap(self.pid);
        }
    }
}

fn reap(pid: Pid) {
    while let Err(Errno::INTR) = process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {}
    kin::forget_leader(pid);
}
