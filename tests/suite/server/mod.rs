//! The server over real sockets, with the real engine, a journal in memory, and an interpreter that only pretends.

mod stand;

mod changes;
mod doors;
mod logs;
mod pushes;
mod shown;
mod sockets;
mod streams;
