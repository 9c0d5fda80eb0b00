//! Deploys to nodes over ssh: the real program, real sshd processes, real git.

mod delivery;
mod ends;
mod fleet;
mod guard;
mod lock;
mod trouble;
mod world;
