//! The loop: keys, signals and what is told come through one channel; drawn is what changed, at most thirty times a
//! second, and nothing while nothing changes.

use super::controller::Controller;
use super::feed;
use super::message::{Message, Want};
use super::session::{Flow, Session};
use super::terminal::{Taken, give_back};
use crate::clock::{Clock as _, SystemClock};
use ratatui::crossterm::event::{self, Event};
use rustix::process::{Signal, getpid, kill_process};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// The shortest pause between two drawings.
const FRAME: Duration = Duration::from_millis(33);

/// What is taken before the next look at whether to draw.
const AT_ONCE: usize = 2_000;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The person left.
    Left,
    /// A signal, or the terminal is gone.
    Ended,
}

/// One thing that comes.
enum Incoming {
    Person(Event),
    Told(Message),
    /// To end.
    End,
    /// To stop for a while.
    Stop,
    /// It goes on after a stop.
    Continue,
    /// Nothing is to be read from the terminal any more.
    Gone,
}

/// Shows a session until the person leaves. `controller`: none for a recording.
pub fn run(controller: Option<Arc<dyn Controller>>, mut session: Session) -> io::Result<End> {
    let clock = SystemClock::new();
    let (sender, incoming) = sync_channel::<Incoming>(8_192);
    let mut taken = Taken::take()?;
    read_terminal(sender.clone());
    hear_signals(sender.clone());
    let wants = controller.map(|controller| {
        let tell = sender.clone();
        feed::begin(controller, Arc::new(move |message| tell.send(Incoming::Told(message)).is_ok()))
    });
    let mut drawn: Option<Instant> = None;
    loop {
        let here = clock.now();
        hand_on(&mut session, here, wants.as_ref());
        let due = drawn.map_or(Duration::ZERO, |drawn| FRAME.saturating_sub(drawn.elapsed()));
        if session.is_dirty(here) && due.is_zero() {
            taken.terminal.draw(|frame| session.draw(frame.buffer_mut(), here))?;
            drawn = Some(Instant::now());
            hand_on(&mut session, here, wants.as_ref());
        }
        let mut patience = session.wakes(here).and_then(|after| after.to_std().ok());
        if session.is_dirty(here) {
            patience = Some(FRAME.saturating_sub(drawn.map_or(FRAME, |drawn| drawn.elapsed())));
        }
        let Some(first) = next(&incoming, patience) else { continue };
        let mut next = Some(first);
        let mut count = 0;
        while let Some(one) = next {
            match take(&mut session, &mut taken, one, clock.now())? {
                Some(end) => return Ok(end),
                None => count += 1,
            }
            next = if count < AT_ONCE { incoming.try_recv().ok() } else { None };
        }
    }
}

fn hand_on(session: &mut Session, here: crate::domain::Time, wants: Option<&Sender<Want>>) {
    let Some(wants) = wants else { return };
    for want in session.wants(here) {
        // The feed lives as long as this.
        let _ = wants.send(want);
    }
}

/// Waits for the next; none: there is something else to do.
fn next(incoming: &Receiver<Incoming>, patience: Option<Duration>) -> Option<Incoming> {
    match patience {
        // A clock that is set wakes nobody who waits for long.
        Some(patience) => match incoming.recv_timeout(patience.min(Duration::from_secs(60))) {
            Ok(one) => Some(one),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Incoming::Gone),
        },
        None => Some(incoming.recv().unwrap_or(Incoming::Gone)),
    }
}

fn take(
    session: &mut Session,
    taken: &mut Taken,
    one: Incoming,
    here: crate::domain::Time,
) -> io::Result<Option<End>> {
    match one {
        Incoming::Told(message) => session.take(message, here),
        Incoming::Person(event) => match session.input(&event, here) {
            Flow::On => {}
            Flow::Quit => return Ok(Some(End::Left)),
            Flow::Suspend => suspend(session, taken)?,
        },
        Incoming::Stop => suspend(session, taken)?,
        Incoming::Continue => {
            // Whoever stopped it may have used the terminal.
            taken.again()?;
            session.redraw();
        }
        Incoming::End | Incoming::Gone => return Ok(Some(End::Ended)),
    }
    Ok(None)
}

/// Gives the terminal back and stops until somebody lets it go on.
fn suspend(session: &mut Session, taken: &mut Taken) -> io::Result<()> {
    give_back();
    // SIGTSTP is heard, not obeyed: this one cannot be.
    kill_process(getpid(), Signal::STOP)?;
    taken.again()?;
    session.redraw();
    Ok(())
}

fn read_terminal(sender: SyncSender<Incoming>) {
    thread::spawn(move || {
        loop {
            let one = match event::read() {
                Ok(event) => Incoming::Person(event),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Incoming::Gone,
            };
            let gone = matches!(one, Incoming::Gone);
            if sender.send(one).is_err() || gone {
                return;
            }
        }
    });
}

fn hear_signals(sender: SyncSender<Incoming>) {
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            let hear = |kind: i32| signal(SignalKind::from_raw(kind));
            let (Ok(mut term), Ok(mut hang_up), Ok(mut interrupt), Ok(mut stop), Ok(mut go_on)) = (
                hear(libc::SIGTERM),
                hear(libc::SIGHUP),
                hear(libc::SIGINT),
                hear(libc::SIGTSTP),
                hear(libc::SIGCONT),
            ) else {
                return;
            };
            loop {
                let one = tokio::select! {
                    _ = term.recv() => Incoming::End,
                    _ = hang_up.recv() => Incoming::End,
                    _ = interrupt.recv() => Incoming::End,
                    _ = stop.recv() => Incoming::Stop,
                    _ = go_on.recv() => Incoming::Continue,
                };
                if sender.send(one).is_err() {
                    return;
                }
            }
        });
    });
}
