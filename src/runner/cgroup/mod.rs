//! Cgroups of runs: a second net below [`super::kin`], which no process gets out of by ending its parents, and the only way
//! to limits that the kernel keeps. Where this process may make cgroups, each run has one of its own, which its process is
//! born in ([`super::birth`]). Who may make cgroups there too, as a step without a sandbox may that has the same user,
//! could move into another: no more is promised than that.
//!
//! | file | what |
//! |---|---|
//! | `place` | which cgroup a process is in, as the kernel tells it |
//! | [`ground`] | the cgroup below which this process may make some, what it can keep there, and what others left there |
//! | [`cell`] | the cgroup of one run |
//!
//! Nothing depends on it: where there is none, or one cannot be made, a run is as it is without, and `limits` counts.
//! Only version 2 of cgroups is used, with `cgroup.kill` (Linux 5.14).

mod cell;
mod ground;
mod place;

pub(super) use cell::{Cell, is_in_ours};
pub use ground::{Absent, Cgroups, Ground};

use std::fmt;

/// Which limits the kernel keeps for a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controllers {
    /// `memory.max`.
    pub memory: bool,
    /// `pids.max`.
    pub pids: bool,
    /// `cpu.max`.
    pub cpu: bool,
}

impl Controllers {
    /// Those that a file of the kernel lists.
    fn listed(text: &str) -> Controllers {
        let has = |name: &str| text.split_ascii_whitespace().any(|word| word == name);
        Controllers { memory: has("memory"), pids: has("pids"), cpu: has("cpu") }
    }

    /// Their names.
    fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [("memory", self.memory), ("pids", self.pids), ("cpu", self.cpu)];
        all.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name)
    }
}

impl fmt::Display for Controllers {
    /// `memory, pids`, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(", ")) }
    }
}
