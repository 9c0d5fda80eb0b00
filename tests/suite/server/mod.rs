//! The server over real sockets, with the real engine, a journal in memory, and an interpreter that only pretends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub(crate) mod stand;

mod changes;
mod clock;
mod described;
mod doors;
mod ended;
mod forges;
mod hardening;
mod forgotten;
mod login;
mod logs;
mod notices;
mod numbers;
mod proxies;
mod pushes;
mod reading;
mod refused;
mod scopes;
mod shown;
mod smuggling;
mod sockets;
mod streams;
mod who_may;
