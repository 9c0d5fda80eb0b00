//! The interpreter with real git and real processes.

mod backups;
mod bench;
mod boots;
mod builds;
mod deploys;
mod dry_runs;
mod endings;
mod gates;
mod secrecy;
