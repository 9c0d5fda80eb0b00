//! The wish to stop, handed from any thread to the thread of a run. Leaves the stopping to [`super::run`].

use super::StopCause;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// One run's wish to stop: set once, visible to `poll`.
pub(super) struct Control {
    asked: OnceLock<StopCause>,
    bell: OwnedFd,
}

impl Control {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { asked: OnceLock::new(), bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Asks for the end. Only the first wish counts.
    pub(super) fn ask(&self, cause: StopCause) {
        if self.asked.set(cause).is_ok() {
            rustix::io::write(&self.bell, &1u64.to_ne_bytes()).expect("BUG: an unread bell takes one ring");
        }
    }

    /// The wish, if there is one.
    pub(super) fn asked(&self) -> Option<StopCause> {
        self.asked.get().copied()
    }

    /// Readable from the moment of the wish on, for good.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
