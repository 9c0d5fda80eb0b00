//! Every system call fails once: the promises hold whichever of them it is.

mod backups;
mod class;
mod full;
mod injector;
mod promises;
mod story;
mod sweep;

/// The commands of the program whose own calls may fail.
const PROGRAMS: &[&str] = &["serve", "runner", "backup"];
