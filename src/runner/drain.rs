//! The pipes of steps that were allowed to leave something running: read and thrown away for as long as somebody holds
//! the writing end, since a server whose output is shut dies at its next line. All on one thread, which is there only
//! while there is such a pipe. When this process ends so does this service, for which a keeper of runs stays: a step should
//! redirect what it leaves all the same.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How the next pipe gets to the thread, while there is one.
static PIPES: Mutex<Option<(Sender<OwnedFd>, OwnedFd)>> = Mutex::new(None);

/// Keeps a pipe open and empty until its writers are gone.
pub(super) fn keep(pipe: OwnedFd) {
    let mut pipes = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = match &*pipes {
        Some((sender, bell)) => match sender.send(pipe) {
            Ok(()) => {
                // One ring too many does no harm, and a bell too full to ring has been rung.
                let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
                return;
            }
            Err(refused) => refused.0,
        },
        None => pipe,
    };
    *pipes = begin(pipe);
}

/// Whether there is such a pipe.
pub(super) fn is_at_work() -> bool {
    PIPES.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Starts the thread. Without one the pipe is closed, as it would be without this file.
fn begin(first: OwnedFd) -> Option<(Sender<OwnedFd>, OwnedFd)> {
    use rustix::event::{EventfdFlags, eventfd};
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
    let ear = bell.try_clone().ok()?;
    let (sender, incoming) = channel();
    let builder = thread::Builder::new().name("drain".into()).stack_size(128 * 1024);
    builder.spawn(move || drain(vec![first], &ear, &incoming)).ok()?;
    Some((sender, bell))
}

fn drain(mut pipes: Vec<OwnedFd>, ear: &OwnedFd, incoming: &Receiver<OwnedFd>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let mut fds: Vec<PollFd<'_>> =
            pipes.iter().chain([ear]).map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let _ = poll(&mut fds, None);
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        pipes.retain(|pipe| ready.next() != Some(true) || has_writers(pipe, &mut buffer));
        let _ = rustix::io::read(ear, &mut [0; 8]);
        let mut keeper = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
        pipes.extend(incoming.try_iter());
        if pipes.is_empty() {
            *keeper = None;
            return;
        }
    }
}

fn has_writers(pipe: &OwnedFd, buffer: &mut [u8]) -> bool {
    !matches!(rustix::io::read(pipe, &mut *buffer), Ok(0) | Err(Errno::BADF | Errno::IO))
}
