//! A journal that was exported, played again: the same fold as the controller's, with the time of its events as now.

use crate::domain::{Envelope, EventId, State, Time, apply};
use crate::server::view::{StateView, Versions};
use crate::wire::{self, DecodeError};
use chrono::TimeDelta;
use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

/// Pauses longer than so many seconds of looking are cut to that.
const PAUSE: i64 = 3;

/// How fast one can be played: 1 is as it happened.
pub(crate) const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=10_000.0;

/// States kept on the way, so that a seek back need not begin at the start.
const CHECKPOINTS: usize = 40;

/// Events of a journal, oldest first.
pub struct Recording {
    events: Vec<Arc<Envelope>>,
}

/// Why a file is no recording.
#[derive(Debug)]
pub enum RecordingError {
    /// It cannot be read.
    Read(std::io::Error),
    /// A line of it is no event.
    Line(usize, DecodeError),
    /// There is no event in it.
    Empty,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordingError::Read(error) => write!(f, "read the recording: {error}"),
            RecordingError::Line(line, error) => write!(f, "read line {line} of the recording: {error}"),
            RecordingError::Empty => f.write_str("find an event in the recording"),
        }
    }
}

impl std::error::Error for RecordingError {}

impl Recording {
    /// Reads JSON lines as `tidegate events` prints them. What is not journaled, and kinds that this release does not know,
    /// are passed over.
    pub fn read(lines: impl BufRead) -> Result<Recording, RecordingError> {
        let mut events: Vec<Arc<Envelope>> = Vec::new();
        for (number, line) in lines.lines().enumerate() {
            let line = line.map_err(RecordingError::Read)?;
            if line.trim().is_empty() {
                continue;
            }
            match wire::decode(&line) {
                // A stream that was taken up again may say an event twice.
                Ok(envelope) if events.last().is_none_or(|last| last.id < envelope.id) => {
                    events.push(Arc::new(envelope));
                }
                Ok(_) | Err(DecodeError::UnknownKind(_) | DecodeError::NotJournaled) => {}
                Err(error) => return Err(RecordingError::Line(number + 1, error)),
            }
        }
        if events.is_empty() { Err(RecordingError::Empty) } else { Ok(Recording { events }) }
    }
}

/// A recording being played.
pub(crate) struct Player {
    events: Vec<Arc<Envelope>>,
    state: State,
    /// Events that are folded in.
    at: usize,
    /// The time that it shows.
    pub(crate) now: Time,
    pub(crate) playing: bool,
    pub(crate) speed: f64,
    kept: Vec<(usize, State)>,
    every: usize,
    /// When it was moved on last, by the clock of whoever looks.
    moved: Option<Time>,
    /// What was shown last: how many events were folded in, and at which second.
    shown: Option<(usize, i64)>,
}

impl Player {
    pub(crate) fn new(recording: Recording, speed: f64, from: Option<EventId>) -> Player {
        let events = recording.events;
        let now = events[0].at;
        let every = (events.len() / CHECKPOINTS).max(200);
        let mut player = Player {
            events,
            state: State::default(),
            at: 0,
            now,
            playing: true,
            speed,
            kept: vec![(0, State::default())],
            every,
            moved: None,
            shown: None,
        };
        let first = match from {
            Some(id) => player.events.partition_point(|envelope| envelope.id <= id),
            None => 1,
        };
        player.seek(first);
        player
    }

    /// How many are folded in, of how many.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.at, self.events.len())
    }

    /// The events that are folded in.
    pub(crate) fn past(&self) -> &[Arc<Envelope>] {
        &self.events[..self.at]
    }

    /// The number of the first, if it is not the journal's first.
    pub(crate) fn begins_late(&self) -> Option<EventId> {
        self.events.first().map(|first| first.id).filter(|id| id.0 > 1)
    }

    /// Goes to where so many are folded in, forward or back.
    pub(crate) fn seek(&mut self, to: usize) {
        let to = to.clamp(1, self.events.len());
        if to < self.at {
            let place = self.kept.partition_point(|(at, _)| *at <= to) - 1;
            (self.at, self.state) = self.kept[place].clone();
        }
        while self.at < to {
            self.fold();
        }
        self.now = self.events[self.at - 1].at;
    }

    fn fold(&mut self) {
        apply(&mut self.state, &self.events[self.at]);
        self.at += 1;
        let last = self.kept.last().map_or(0, |(at, _)| *at);
        if self.at >= last + self.every {
            self.kept.push((self.at, self.state.clone()));
        }
    }

    /// Lets it go on, or stops it.
    pub(crate) fn play(&mut self, playing: bool) {
        self.playing = playing;
        self.rest();
    }

    /// Nobody looked until now: the time since then did not pass.
    pub(crate) fn rest(&mut self) {
        self.moved = None;
    }

    /// Time passes for whoever looks; whether anything was folded in.
    pub(crate) fn advance(&mut self, here: Time) -> bool {
        let passed = self.moved.map_or(TimeDelta::zero(), |moved| (here - moved).max(TimeDelta::zero()));
        self.moved = Some(here);
        if !self.playing {
            return false;
        }
        self.now += times(passed, self.speed);
        let before = self.at;
        while self.events.get(self.at).is_some_and(|next| next.at <= self.now) {
            self.fold();
        }
        match self.events.get(self.at) {
            Some(next) => {
                let longest = times(TimeDelta::seconds(PAUSE), self.speed);
                self.now = self.now.max(next.at - longest);
            }
            None => {
                self.playing = false;
                self.now = self.events[self.at - 1].at;
            }
        }
        self.at != before
    }

    /// After how long something is to be folded in.
    pub(crate) fn wake(&self) -> Option<TimeDelta> {
        let next = self.events.get(self.at).filter(|_| self.playing)?;
        let left = (next.at - self.now).max(TimeDelta::zero());
        Some(times(left, 1.0 / self.speed))
    }

    /// The state, if it is another than was shown last.
    pub(crate) fn new_view(&mut self, is_shown: bool) -> Option<StateView> {
        let now = Some((self.at, self.now.timestamp()));
        if is_shown && self.shown == now {
            return None;
        }
        self.shown = now;
        Some(self.view())
    }

    /// The state, as the controller shows it.
    pub(crate) fn view(&self) -> StateView {
        let versions = Versions { limit: super::VERSIONS, before: None };
        StateView::of(&self.state, self.now, versions, None)
    }
}

fn times(delta: TimeDelta, factor: f64) -> TimeDelta {
    let micros = delta.num_microseconds().unwrap_or(i64::MAX) as f64 * factor;
    TimeDelta::microseconds(micros.clamp(0.0, 1e15) as i64)
}
