//! The terminal's screens: what is where, what waits, what runs and what happened, live or from a recording; and what
//! people do by hand, said before it is done.
//!
//! - `picture` is a pure fold of what is told ([`Message`]): the controller's own state at an event, and what is said after
//!   it. `replay` makes the same from a journal's lines.
//! - `look` is what a person looks at, `keys` what keys mean, `session` what both make of each other; `screens` are pure
//!   functions of the two. `jump` is where a written line leads, `here` what there is where somebody looks, `act` says what a deed will do.
//! - `feed` asks and hears a [`Controller`], `terminal` has the terminal, `run` ties all of it together.
//!
//! It decides nothing and never reaches into the engine: it is a client like any other.

mod act;
mod controller;
mod feed;
mod found;
mod here;
mod inbox;
mod input;
mod jump;
mod keys;
mod look;
mod message;
mod palette;
mod picture;
mod replay;
mod run;
mod screens;
mod session;
mod signals;
mod terminal;

pub use act::{Request, Verb};
pub use controller::{Controller, LogPart, LogWanted, Refusal};
pub use message::{Message, Want};
pub use palette::Palette;
pub(crate) use picture::{Run, Runs};
pub(crate) use replay::SPEEDS;
pub use replay::{Recording, RecordingError};
pub use run::{End, run};
pub use session::{Flow, Session};

/// Versions of a pipeline that are shown.
pub(crate) const VERSIONS: usize = 30;

/// Events that are kept here.
pub(crate) const HISTORY: usize = picture::HISTORY;
