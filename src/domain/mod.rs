//! What things are and what follows from what. Pure: no clock, no disk, no process, no async; time enters inside commands.

pub mod id;

pub use id::*;
