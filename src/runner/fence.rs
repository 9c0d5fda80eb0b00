//! What keeps a process from the rest of its machine, and how it gets that way. Which fence a step has, and what lies
//! within, is said by whoever starts it.
//!
//! Credentials and Landlock domains belong to threads, and children inherit those of the thread that starts them. So a
//! fenced process is started from a thread of its own, which has put the fence around itself first and ends right after:
//! nothing of it has to be done between fork and exec. Its child is the child of the whole process, and is waited for as any.

mod account;
mod calls;
mod landlock;

use super::spawn::not_started;
use super::{How, Start};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;

pub(super) use calls::Calls;
pub use landlock::Landlock;

/// What keeps a process from the rest of its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fence {
    /// Nothing: it may what this process may.
    #[default]
    None,
    /// The kernel's Landlock.
    Landlock(Ground),
    /// Another account. Only root can.
    Account(Account),
}

/// Where a process with Landlock may do what. A place that is not there is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// Not to be read, with all below; everything else is. The folders that lead there cannot be listed.
    #[serde(with = "super::keeper::text::many")]
    pub closed: Vec<PathBuf>,
    /// To be read and executed all the same.
    #[serde(with = "super::keeper::text::many")]
    pub readable: Vec<PathBuf>,
    /// To be written, too. The events file is, without being named.
    #[serde(with = "super::keeper::text::many")]
    pub writable: Vec<PathBuf>,
}

/// Who a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// For people.
    pub name: String,
    /// Real, effective and saved user id. Not 0.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// The ids that the command sets for itself; the rest is around the thread that starts it.
#[derive(Clone, Copy)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Starts a process within its fence by means of `spawn`.
pub(super) fn spawn_within<T: Send>(
    start: &Start,
    writer: OwnedFd,
    spawn: impl FnOnce(OwnedFd, Option<Ids>) -> Result<T, How> + Send,
) -> Result<T, How> {
    if start.fence == Fence::None {
        return spawn(writer, None);
    }
    let fenced = move || {
        let ids = enter(start).map_err(|message| not_started(0, message, false))?;
        spawn(writer, ids)
    };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("fence".into()).stack_size(512 * 1024);
        let thread = builder.spawn_scoped(scope, fenced).map_err(|error| cannot_begin(&error))?;
        thread
            .join()
            .unwrap_or_else(|_| Err(not_started(0, "put up the fence of the step: it broke".into(), false)))
    })
}

fn cannot_begin(error: &io::Error) -> How {
    let errno = error.raw_os_error().unwrap_or(0);
    not_started(errno, format!("start a thread for the fence of the step: {error}"), false)
}

/// Puts the fence around the calling thread. The error reads after "failed to".
fn enter(start: &Start) -> Result<Option<Ids>, String> {
    match &start.fence {
        Fence::None => Ok(None),
        Fence::Landlock(ground) => landlock::enter(ground, &start.events).map(|()| None),
        Fence::Account(account) => account::enter(account).map(Some),
    }
}
