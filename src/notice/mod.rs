//! Notices: telling others what happened. A subscriber of the journal and the bus like any other; nothing here is
//! waited for by the engine, and nothing here writes an event (a notice about a notice would never end).
//!
//! [`Courier`] follows the events in order and says to each notice that something is due. Every notice of every
//! pipeline is a queue with a task of its own (`queue`), so that one receiver that does not answer delays nobody else;
//! the queue itself is the journal, of which it holds one small page, so memory does not grow with what waits.
//!
//! # What is promised
//! - *In order, at least once.* How far each queue is stands in `notices.json` of the state folder (`book`). It is
//!   written after the receiver has taken an event, so a crash in between sends that event again, with the same `id`.
//! - *Not the whole history.* A notice begins with the load that brought it. Where there is no file yet, everything
//!   begins where the journal ended when this controller was started: in a new state folder that is its first event.
//! - *The rule in force.* An edit counts at once, for what waits too: a notice that was changed in its place goes on
//!   where it was (`matching`), and a wrong address that was mended gets what it missed. One that was removed is silent
//!   from then on. Where the whole pipeline was removed and comes back within a week, its notices go on where they were.
//! - *Patience.* What is not taken is tried again, after a second, then twice as long, up to ten minutes, for a day after
//!   the event, or after the start of the controller if that was later; then it is given up, with a warning
//!   (`patience`). That goes for 401, 403 and 404 too: secrets are read anew for each try, so one that was renewed in its
//!   place is enough. What a receiver refuses for good is given up at once.
//! - *A journal that cannot be read for a while* delays notices, and each of them says so (`unread`).
//! - *Only events of the notice's own pipeline.* A filter on a tier does not match an event without one, as on
//!   `/events`.
//!
//! Known races, and what becomes of them: two receivers hear of one event in any order; while [`POSTS`] receivers hang
//! at once, the next one waits for one of them to be given up for this try (ten seconds).

mod book;
mod courier;
mod forge;
mod letter;
mod matching;
mod patience;
mod post;
mod program;
mod queue;
mod rule;
mod sending;
mod status;
mod tally;
mod unread;

pub use courier::{Courier, LookAtNotices, Parts};
pub use tally::{NoticeState, Notices, Trouble};

/// Posts under way at once, in the whole controller.
pub const POSTS: usize = 32;

/// Programs of notices that run at once, in the whole controller.
pub const PROGRAMS: usize = 8;

/// Stable codes of what the courier says in the controller's log.
mod codes {
    /// An event was not taken, and never will be.
    pub(super) const GIVEN_UP: &str = "TG-NOTE-001";
    /// An event was not taken, and is tried again.
    pub(super) const TRIED_AGAIN: &str = "TG-NOTE-002";
    /// `notices.json` cannot be understood.
    pub(super) const DAMAGED: &str = "TG-NOTE-003";
    /// `notices.json` cannot be written.
    pub(super) const NOT_KEPT: &str = "TG-NOTE-004";
    /// Events are gone before they were told.
    pub(super) const GAP: &str = "TG-NOTE-005";
    /// The journal cannot be read.
    pub(super) const JOURNAL: &str = "TG-NOTE-006";
    /// How far the notices of a removed pipeline were is forgotten.
    pub(super) const AWAY: &str = "TG-NOTE-008";
    /// What a program of a notice left cannot be removed.
    pub(super) const LEFTOVERS: &str = "TG-NOTE-007";
}
