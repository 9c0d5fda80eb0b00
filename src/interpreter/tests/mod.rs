//! The interpreter with real git and real processes.

mod bench;
mod boots;
mod builds;
mod deploys;
mod endings;
mod gates;
mod secrecy;
