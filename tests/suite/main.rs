//! All integration tests in one binary, so that a link is paid once.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect ends there")]
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "what a test did not try, or tried, it says")]

mod agreed;
mod binary;
mod clients;
mod codes;
mod definition;
mod deliveries;
mod docs;
mod explained;
mod faults;
mod house;
mod journals;
mod nodes;
mod page;
mod rules;
mod server;
mod simulation;
mod supply;
mod torture;
mod tui;
mod whole;
