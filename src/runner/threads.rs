//! Threads for runs: a thread whose run is over waits a moment for the next one, since making a thread costs a short step
//! a tenth of its time. None is left when nothing has run for a while.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread waits for its next run.
const IDLE: Duration = Duration::from_secs(2);
/// How many wait at most.
const WAITING: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that wait, the last used at the end.
static WAITERS: Mutex<Vec<(thread::ThreadId, Sender<Job>)>> = Mutex::new(Vec::new());

fn waiters() -> MutexGuard<'static, Vec<(thread::ThreadId, Sender<Job>)>> {
    WAITERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does this on a thread of its own. The job must not panic.
pub(super) fn go(job: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let job: Job = Box::new(job);
    // While a thread is on the list it listens: it takes itself off under the same lock before it stops.
    let waiter = waiters().pop();
    let Some((_, waiter)) = waiter else { return begin(job) };
    waiter.send(job).or_else(|refused| begin(refused.0))
}

fn begin(job: Job) -> io::Result<()> {
    let serve = move || {
        let (sender, jobs) = channel::<Job>();
        let me = thread::current().id();
        let mut job = job;
        loop {
            job();
            {
                let mut waiters = waiters();
                if waiters.len() >= WAITING {
                    return;
                }
                waiters.push((me, sender.clone()));
            }
            job = match jobs.recv_timeout(IDLE) {
                Ok(next) => next,
                Err(_) if is_taken_off(me) => return,
                // Taken off by somebody who is about to send.
                Err(_) => match jobs.recv() {
                    Ok(next) => next,
                    Err(_) => return,
                },
            };
        }
    };
    thread::Builder::new().name("run".into()).stack_size(256 * 1024).spawn(serve).map(drop)
}

/// Takes a thread off the list; false when it was not on it.
fn is_taken_off(thread: thread::ThreadId) -> bool {
    let mut waiters = waiters();
    let before = waiters.len();
    waiters.retain(|(id, _)| *id != thread);
    waiters.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_however_many_there_are() {
        for _ in 0..20 {
            let (sender, done) = channel();
            for number in 0..100 {
                let sender = sender.clone();
                go(move || sender.send(number).unwrap()).unwrap();
            }
            drop(sender);
            assert_eq!(done.iter().sum::<i32>(), 4950);
        }
    }
}
