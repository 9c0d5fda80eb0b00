//! A runner in a process of its own, so that steps outlive the controller that wanted them: it owns their processes, their
//! output and how they ended, and whoever is the controller then goes on with them.
//!
//! | file | what |
//! |---|---|
//! | [`host`] | the process: one for each state folder, started by the controller that needs it first |
//! | `wards` | what it knows of each run, and what it tells of it |
//! | `record` | what of that lies on the disk |
//! | `client`, `pump` | the [`Runner`](super::Runner) that a controller has in its place |
//! | `launch` | finding the process, or starting one |
//! | `frame`, `text` | what the two say to one another |
//!
//! # Who may be gone
//! - **The controller**: steps go on, their logs are written, what they say and how they end is noted. The next
//!   controller asks for it. With nothing under way and nobody there the keeper ends.
//! - **The keeper**: the controller starts another one. It ends what the one before left running, for whose end nobody
//!   can vouch any more ([`How::Lost`](super::How::Lost)); what had ended by then is noted, and counts.
//! - **Both**: the same, one after the other.

mod client;
mod frame;
pub mod host;
mod launch;
mod pump;
mod record;
pub(super) mod text;
#[cfg(test)]
mod tests;
mod wards;

pub use client::KeptRunner;
pub use launch::{Keeper, Unreached, end, folder, keeper_of};
