//! The loop: keys, signals and what is told come through one inbox, keys first; drawn is what changed, at most thirty
//! times a second, and nothing while nothing changes.

use super::controller::Controller;
use super::feed;
use super::inbox::{Inbox, One};
use super::message::{Message, Want};
use super::session::{Flow, Session};
use super::signals::{Asked, Signals};
use super::terminal::{Taken, give_back};
use crate::clock::{Clock as _, SystemClock};
use ratatui::crossterm::event::{self, Event};
use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

/// The shortest pause between two drawings.
const FRAME: Duration = Duration::from_millis(33);

/// What is taken before the next look at whether to draw.
const AT_ONCE: usize = 2_000;

/// What comes.
type Incoming = Inbox<First, Message>;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The person left.
    Left,
    /// A signal, or the terminal is gone.
    Ended,
}

/// What goes before everything that is told.
enum First {
    Person(Event),
    Asked(Asked),
    /// Nothing is to be read from the terminal any more.
    Gone,
}

/// Shows a session until the person leaves. `controller`: none for a recording.
pub fn run(controller: Option<Arc<dyn Controller>>, session: Session) -> io::Result<End> {
    let incoming = Arc::new(Incoming::new());
    let signals = Signals::register()?;
    let mut taken = Taken::take()?;
    let inbox = incoming.clone();
    signals.hand_on(move |asked| inbox.first(First::Asked(asked)));
    read_terminal(incoming.clone());
    let wants = controller.map(|controller| {
        let inbox = incoming.clone();
        feed::begin(controller, feed::PACE, Arc::new(move |message| inbox.tell(message)))
    });
    let end = show(&mut taken, session, &incoming, wants.as_ref());
    // Whoever tells goes.
    incoming.close();
    end
}

fn show(
    taken: &mut Taken,
    mut session: Session,
    incoming: &Incoming,
    wants: Option<&Sender<Want>>,
) -> io::Result<End> {
    let clock = SystemClock::new();
    let mut drawn: Option<Instant> = None;
    loop {
        let here = clock.now();
        hand_on(&mut session, here, wants);
        let due = drawn.map_or(Duration::ZERO, |drawn| FRAME.saturating_sub(drawn.elapsed()));
        if session.is_dirty(here) && due.is_zero() {
            taken.terminal.draw(|frame| session.draw(frame.buffer_mut(), here))?;
            drawn = Some(Instant::now());
            hand_on(&mut session, here, wants);
        }
        let mut patience = session.wakes(here).and_then(|after| after.to_std().ok());
        if session.is_dirty(here) {
            patience = Some(FRAME.saturating_sub(drawn.map_or(FRAME, |drawn| drawn.elapsed())));
        }
        // A clock that is set wakes nobody who waits for long.
        let mut next = incoming.next(patience.map(|patience| patience.min(Duration::from_secs(60))));
        for _ in 0..AT_ONCE {
            let Some(one) = next else { break };
            if let Some(end) = take(&mut session, taken, one, clock.now())? {
                return Ok(end);
            }
            next = incoming.next(Some(Duration::ZERO));
        }
        // The last that was taken out is not lost.
        if let Some(one) = next
            && let Some(end) = take(&mut session, taken, one, clock.now())?
        {
            return Ok(end);
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

fn take(
    session: &mut Session,
    taken: &mut Taken,
    one: One<First, Message>,
    here: crate::domain::Time,
) -> io::Result<Option<End>> {
    match one {
        One::Told(message) => session.take(message, here),
        One::First(First::Person(event)) => match session.input(&event, here) {
            Flow::On => {}
            Flow::Quit => return Ok(Some(End::Left)),
            Flow::Suspend => suspend(session, taken)?,
        },
        One::First(First::Asked(Asked::Stop)) => suspend(session, taken)?,
        One::First(First::Asked(Asked::Continue)) => {
            // Whoever stopped it may have used the terminal, and set it otherwise.
            give_back();
            taken.again()?;
            session.redraw();
        }
        One::First(First::Asked(Asked::End) | First::Gone) => return Ok(Some(End::Ended)),
    }
    Ok(None)
}

/// Gives the terminal back and stops until somebody lets it go on.
fn suspend(session: &mut Session, taken: &mut Taken) -> io::Result<()> {
    // A shell that is itself of the group would be stopped, too; without one nobody lets it go on.
    if getsid(None)? == getpgrp() {
        session.say("no shell is there to come back to: nothing is suspended");
        return Ok(());
    }
    give_back();
    // All of the job: a script that began it is to stop with it. SIGTSTP is heard, not obeyed: this one cannot be.
    kill_current_process_group(Signal::STOP)?;
    taken.again()?;
    session.redraw();
    Ok(())
}

fn read_terminal(incoming: Arc<Incoming>) {
    thread::spawn(move || {
        loop {
            let one = match event::read() {
                Ok(event) => First::Person(event),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => First::Gone,
            };
            let gone = matches!(one, First::Gone);
            if !incoming.first(one) || gone {
                return;
            }
        }
    });
}
