//! Nodes that are reached by ssh: one connection a deploy, commands that end with it, files put in place, questions asked
//! on the node. What a deploy does with these is the interpreter's.
//!
//! # How a node is reached
//! By the system's OpenSSH client, so that the user's own configuration, keys, agent, jump hosts and known hosts count
//! ([`Client`] says which options are ours). [`Link`] is the one connection: its first session takes the node's lock and
//! holds it, and all others go through it as through a master.
//!
//! # How text gets there
//! The command line of every session is the same constant ([`payload::LINE`]): a shell that reads one line and evaluates
//! it. That line, on standard input, holds a script of this folder and all values, quoted ([`Payload`]); so nothing of a
//! pipeline, a version or a secret is ever part of a command line, whatever the login shell is. What comes back is told
//! from what a login or a command prints by a random mark.
//!
//! # How things end there
//! Every session's input brings a line now and then. When it ends, or nothing comes for [`EXPIRY`], the node's side ends
//! what it started and frees the lock: so a lost connection, a killed controller and a cancel are one case.

pub mod carry;
mod client;
mod digests;
mod exchange;
mod forward;
mod guard;
mod link;
mod look;
mod marks;
mod mux;
pub mod payload;
mod place;
mod stream;
mod talk;
mod trouble;

use std::time::Duration;

pub use client::Client;
pub use forward::{Forward, Stream};
pub use guard::{Confirmed, Guard, confirm};
pub use link::{Back, Claim, Heard, Link};
pub use look::{Seen, look};
pub use payload::Payload;
pub use place::{File, Places, Put};
pub use trouble::{Kind, Trouble};

/// Without a line for so long a node takes its controller for gone.
pub const EXPIRY: Duration = Duration::from_secs(45);
/// Pause between two lines.
pub(crate) const BEAT: Duration = Duration::from_secs(10);
