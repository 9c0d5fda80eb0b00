//! Deploys to nodes over ssh: the real program, real sshd processes, real git.

mod backup;
mod carrying;
mod delivery;
mod ends;
mod fleet;
mod guard;
mod killing;
mod links;
mod lock;
mod rollout;
mod scripts;
mod secrets;
mod service;
mod trouble;
mod world;
