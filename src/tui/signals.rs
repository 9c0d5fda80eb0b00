//! Signals, heard before the terminal is taken, so that none finds it taken and unheard.

use super::terminal::give_back;
use std::io;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end.
    End,
    /// To stop for a while.
    Stop,
    /// It goes on after a stop.
    Continue,
}

/// The status of a program that a second signal ends.
const INTERRUPTED: i32 = 130;

/// So long the terminal may take to be given back when nothing else ends it.
const LAST: Duration = Duration::from_millis(500);

/// Signals that are heard from now on.
pub(super) struct Signals {
    runtime: Runtime,
    term: Signal,
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    pub(super) fn register() -> io::Result<Signals> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let hear = |kind: i32| signal(SignalKind::from_raw(kind));
        let (term, hang_up, interrupt) = (hear(libc::SIGTERM)?, hear(libc::SIGHUP)?, hear(libc::SIGINT)?);
        let (quit, stop, go_on) = (hear(libc::SIGQUIT)?, hear(libc::SIGTSTP)?, hear(libc::SIGCONT)?);
        drop(entered);
        Ok(Signals { runtime, term, hang_up, interrupt, quit, stop, go_on })
    }

    /// Hands each on, in a thread, while `tell` says true.
    pub(super) fn hand_on(self, tell: impl Fn(Asked) -> bool + Send + 'static) {
        let Signals { runtime, mut term, mut hang_up, mut interrupt, mut quit, mut stop, mut go_on } = self;
        thread::spawn(move || {
            runtime.block_on(async {
                let mut ends = false;
                loop {
                    let asked = tokio::select! {
                        _ = term.recv() => Asked::End,
                        _ = hang_up.recv() => Asked::End,
                        _ = interrupt.recv() => Asked::End,
                        _ = quit.recv() => Asked::End,
                        _ = stop.recv() => Asked::Stop,
                        _ = go_on.recv() => Asked::Continue,
                    };
                    if asked == Asked::End && std::mem::replace(&mut ends, true) {
                        end_at_once();
                    }
                    if !tell(asked) {
                        return;
                    }
                }
            });
        });
    }
}

/// The first signal ended nothing: the loop may wait for a terminal that takes nothing.
fn end_at_once() -> ! {
    thread::spawn(give_back);
    thread::sleep(LAST);
    std::process::exit(INTERRUPTED)
}
