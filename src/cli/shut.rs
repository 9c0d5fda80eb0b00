//! Keeping other processes of the same user out of a process that holds secrets: the tokens and secrets of forges that are in
//! the memory of the controller, those of steps in that of what runs them. The system then lets nobody but root look into it
//! or trace it, and writes no core file of it. What it starts is as open as ever, from its first moment on.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Leaves the process as it is, for whoever debugs it.
const OPEN: &str = "TIDEGATE_DUMPABLE";

/// Does so from here on. Where the system will not, it goes on all the same.
pub(super) fn shut() {
    if std::env::var_os(OPEN).is_some_and(|value| value == "1") {
        return;
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other processes of this user can look into this one");
    }
}
