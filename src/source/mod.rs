//! Git: examining pushes, mirrors, checkouts, reading versions, hooks. Everything is done by the `git` command.
//!
//! Answers for: what a commit is, whether a push touches given paths, a private copy of the objects of a repository
//! (the *mirror*), a folder with the files of one commit, the version that a commit states, and the post-receive hook.
//! Leaves to others: which pipeline takes a push, what a version means, and running anything that a repository holds.
//!
//! What keeps a pushed repository harmless:
//! - A repository on this machine is read through our own mirror, which borrows its object folder for one command
//!   ([`mirror`]); its configuration and hooks are not in force, and neither git's owner check nor `safe.directory`
//!   is needed. Only its list of refs is read in place, by commands that run nothing.
//! - Names from outside never enter a command line: object names are checked to be hex first, refs are data on stdin.
//! - Git gets no terminal, no inherited `GIT_*` setting that could redirect it, a time limit and a limit on output; it
//!   is ended as a group when the asker goes away.

mod between;
mod call;
mod checkout;
mod error;
mod examine;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod git;
mod heads;
pub mod hook;
mod location;
pub mod mirror;
mod name;
mod refs;
mod version;
mod workspace;

pub use between::{Commit, commits_between};
pub use checkout::checkout;
pub use error::Error;
pub use examine::{Examined, examine};
pub use git::Git;
pub use heads::{Head, among, default_branch, ls_remote, tags_at, taken};
pub use location::{Location, same_repo};
pub use refs::{PathGlobs, RefGlobs, check_ref, ref_matches};
pub use version::{normalise, read_version};
pub use workspace::remove_workspace;

use std::path::{Path, PathBuf};

/// A repository as a pipeline's source names it, with everything needed to work on it.
#[derive(Clone, Debug)]
pub struct Repo {
    git: Git,
    location: Location,
    mirror: PathBuf,
    submodules: bool,
    lfs: bool,
}

impl Repo {
    /// A repository whose private copy lives at `mirror` (see [`mirror::place`]); nothing is touched yet.
    pub fn new(git: Git, location: Location, mirror: impl Into<PathBuf>) -> Self {
        Self { git, location, mirror: mirror.into(), submodules: false, lfs: false }
    }

    /// Whether checkouts bring submodules; off at first.
    pub fn with_submodules(mut self, on: bool) -> Self {
        self.submodules = on;
        self
    }

    /// Whether checkouts fetch what Git LFS holds; off at first, then files stay pointers.
    pub fn with_lfs(mut self, on: bool) -> Self {
        self.lfs = on;
        self
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The folder of its private copy; it may not exist yet.
    pub fn mirror(&self) -> &Path {
        &self.mirror
    }
}

#[cfg(test)]
mod testing;
