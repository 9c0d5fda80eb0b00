//! The 35 rules of what happens to a version, each with tests named after it.

pub(crate) mod world;

mod adopt;
mod clock;
mod backups;
mod confirm;
mod crash;
mod definitions;
mod disk;
mod entry;
mod hand;
mod inside;
mod plan;
mod prune;
mod push;
mod queue;
mod rollback;
mod windows;
