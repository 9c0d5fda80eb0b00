//! The interpreter with real git and real processes.

mod bench;
mod builds;
mod deploys;
mod endings;
mod gates;
mod secrecy;
