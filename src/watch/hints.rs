//! What the events of the file system hint at, and when to act on it.
//!
//! [`Hints`] is plain bookkeeping over instants that it is given. [`Board`] is where the thread that hears events
//! leaves them for the thread that reads files; it never holds more than one line for each file, however many events
//! come.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::armed::Interest;
use super::fence::Heard;

/// How long nothing more may happen to a file before it is looked at.
pub(super) const QUIET: Duration = Duration::from_millis(100);
/// The same after its writer closed it: a script may open it again for its next line.
const CLOSED: Duration = Duration::from_millis(10);
/// The same while a writer has it open: it will be closed, unless it was cut or grown without being opened.
const OPEN: Duration = Duration::from_secs(5);
/// However restless a file is, it is looked at this long after the first hint (not while it is being written).
const CAP: Duration = Duration::from_secs(1);

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Something complete took its place.
    Renamed,
    /// A writer closed it.
    Closed,
    /// Somebody is writing it.
    Written,
    /// Its permissions or times changed.
    Touched,
    /// Anything else: it appeared, vanished, or was in motion when it was read.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    due: Instant,
    first: Instant,
    is_open: bool,
    /// Whether it was written since it was last taken out.
    is_torn: bool,
}

/// What is to be looked at now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// These files, if not everything.
    pub(super) names: Vec<OsString>,
    /// Everything, and what is watched.
    pub(super) everything: bool,
    /// Even files that have not settled.
    pub(super) even_unsettled: bool,
    /// The system lost events.
    pub(super) overflow: bool,
}

/// Which files are to be looked at, and when.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pending: BTreeMap<OsString, Pending>,
    everything_due: Option<Instant>,
    even_unsettled: bool,
    overflow: bool,
}

impl Hints {
    /// Takes a hint about one file.
    pub(super) fn file(&mut self, name: OsString, signal: Signal, now: Instant) {
        let old = self.pending.get(&name).copied();
        let is_open = match signal {
            Signal::Written => true,
            Signal::Renamed | Signal::Closed => false,
            Signal::Touched | Signal::Other => old.is_some_and(|old| old.is_open),
        };
        let first = old.filter(|old| !old.is_open).map_or(now, |old| old.first);
        let due = match (signal, old) {
            // Permissions are often set right after the file was closed: that must not put it off.
            (Signal::Touched, Some(old)) => old.due,
            (Signal::Renamed, _) => now,
            _ if is_open => now + OPEN,
            (Signal::Closed, _) => (now + CLOSED).min(first + CAP),
            _ => (now + QUIET).min(first + CAP),
        };
        let is_torn = signal == Signal::Written || old.is_some_and(|old| old.is_torn);
        self.pending.insert(name, Pending { due, first, is_open, is_torn });
    }

    /// Everything is to be looked at once `delay` is over; a delay never puts off an earlier one.
    pub(super) fn everything(&mut self, now: Instant, delay: Duration) {
        let due = now + delay;
        self.everything_due = Some(self.everything_due.map_or(due, |old| old.min(due)));
    }

    /// Events were lost: what was known of files being written means nothing any more.
    pub(super) fn lost_count(&mut self, now: Instant) {
        self.pending.clear();
        self.overflow = true;
        self.everything(now, QUIET);
    }

    /// Somebody wants everything looked at, now.
    pub(super) fn rescan(&mut self, now: Instant) {
        self.pending.clear();
        self.even_unsettled = true;
        self.everything(now, Duration::ZERO);
    }

    /// When there is something to do next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.due).chain(self.everything_due).min()
    }

    /// Takes what is due out; `None` if nothing is.
    pub(super) fn take(&mut self, now: Instant) -> Option<Work> {
        if self.next_due().is_none_or(|due| due > now) {
            return None;
        }
        let due = self.pending.extract_if(.., |_, pending| pending.due <= now);
        let names = due.map(|(name, _)| name).collect();
        // A folder that is about to be looked at may explain what happened to the files in it.
        let everything = self.everything_due.take().is_some();
        let overflow = std::mem::take(&mut self.overflow);
        let even_unsettled = std::mem::take(&mut self.even_unsettled);
        Some(Work { names, everything, even_unsettled, overflow })
    }

    /// Whether somebody wrote to this file since it was last taken out. A rename puts something whole in its place and
    /// does not count.
    pub(super) fn is_torn(&self, name: &std::ffi::OsStr) -> bool {
        self.pending.get(name).is_some_and(|pending| pending.is_torn)
    }

    /// Whether there is a hint about this file that is not due yet.
    pub(super) fn is_unsettled(&self, name: &std::ffi::OsStr) -> bool {
        self.pending.contains_key(name)
    }
}

/// Where hints are left and picked up.
#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is on the board.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) hints: Hints,
    /// What events mean at present.
    pub(super) interest: Interest,
    /// How far has been heard.
    pub(super) fence: Heard,
    stopped: bool,
}

impl Board {
    /// The board, to be looked at or written on. Never to be held while talking to the watcher: its thread may be
    /// waiting for the board.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for work.
    pub(super) fn ring(&self) {
        self.changed.notify_all();
    }

    pub(super) fn rescan(&self) {
        self.state().hints.rescan(Instant::now());
        self.ring();
    }

    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.ring();
    }

    /// Waits until the board looks as wished, or the time is up; says which.
    pub(super) fn wait_for(&self, patience: Duration, mut is_so: impl FnMut(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), patience, |state| !is_so(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until something is due, but not before `not_before`; `None` when the watch was stopped. With `poll_at`,
    /// everything is due then at the latest.
    pub(super) fn wait(&self, not_before: Instant, poll_at: Option<Instant>) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            let now = Instant::now();
            if poll_at.is_some_and(|at| at <= now) {
                state.hints.everything(now, Duration::ZERO);
            }
            if now >= not_before
                && let Some(work) = state.hints.take(now)
            {
                return Some(work);
            }
            let due = state.hints.next_due().into_iter().chain(poll_at).min().map(|due| due.max(not_before));
            state = match due {
                Some(due) => {
                    let waited = self.changed.wait_timeout(state, due.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Feeds signals at offsets (ms) for one file and answers the offset at which it becomes due.
    fn due_after(signals: &[(u32, Signal)]) -> u128 {
        let start = Instant::now();
        let mut hints = Hints::default();
        for &(at, signal) in signals {
            hints.file("p.toml".into(), signal, start + MS * at);
        }
        (hints.next_due().unwrap() - start).as_millis()
    }

    #[test]
    fn complete_saves_are_taken_fast_and_open_ones_wait_for_their_end() {
        use Signal::{Closed, Other, Renamed, Touched, Written};
        let table: &[(&[(u32, Signal)], u128)] = &[
            (&[(0, Renamed)], 0),
            (&[(0, Written), (3, Closed)], 13),
            (&[(0, Other)], 100),
            (&[(0, Written)], 5_000),
            (&[(0, Written), (4_000, Written)], 9_000),
            (&[(0, Written), (3_000, Closed)], 3_010),
            (&[(0, Written), (50, Renamed)], 50),
            (&[(0, Written), (10, Other)], 5_010),
            (&[(0, Closed), (5, Touched)], 10),
            (&[(0, Touched)], 100),
            // The dance of an editor: away, new, written, closed.
            (&[(0, Other), (2, Written), (5, Closed), (6, Touched)], 15),
        ];
        for (signals, due) in table {
            assert_eq!(due_after(signals), *due, "{signals:?}");
        }
        let restless: Vec<_> = (0..30).map(|turn| (turn * 90, Signal::Other)).collect();
        assert_eq!(due_after(&restless), 1_000, "the cap");
    }

    #[test]
    fn only_what_is_due_is_taken() {
        let now = Instant::now();
        let mut hints = Hints::default();
        assert_eq!(hints.take(now), None);
        hints.file("a".into(), Signal::Renamed, now);
        hints.file("b".into(), Signal::Written, now);
        let work = hints.take(now).unwrap();
        assert_eq!((work.names, work.everything), (vec![OsString::from("a")], false));
        assert!(hints.is_unsettled("b".as_ref()) && !hints.is_unsettled("a".as_ref()));
        assert_eq!(hints.take(now), None);
    }

    #[test]
    fn an_overflow_forgets_what_was_known_and_a_rescan_takes_all() {
        let now = Instant::now();
        let mut hints = Hints::default();
        hints.file("b".into(), Signal::Written, now);
        hints.lost_count(now);
        assert_eq!(hints.take(now), None);
        let work = hints.take(now + QUIET).unwrap();
        assert!(work.everything && work.overflow && !work.even_unsettled && work.names.is_empty());
        hints.file("b".into(), Signal::Written, now);
        hints.rescan(now);
        assert!(hints.take(now).unwrap().even_unsettled);
        assert_eq!(hints.next_due(), None, "idle without a timer");
    }

    #[test]
    fn forty_thousand_events_leave_one_line() {
        let mut hints = Hints::default();
        for _ in 0..40_000 {
            hints.file("p.toml".into(), Signal::Written, Instant::now());
        }
        assert_eq!(hints.pending.len(), 1);
    }
}
