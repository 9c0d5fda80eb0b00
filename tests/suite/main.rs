//! All integration tests in one binary, so that a link is paid once.

mod definition;
mod house;
mod rules;
mod server;
mod simulation;
mod whole;
