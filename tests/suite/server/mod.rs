//! The server over real sockets, with the real engine, a journal in memory, and an interpreter that only pretends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod stand;

mod changes;
mod doors;
mod forgotten;
mod logs;
mod pushes;
mod shown;
mod sockets;
mod streams;
