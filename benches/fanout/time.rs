//! Processor time used so far.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// By this process.
pub(crate) fn of_process() -> Duration {
    used(ClockId::ProcessCPUTime)
}

/// By this thread.
pub(crate) fn of_thread() -> Duration {
    used(ClockId::ThreadCPUTime)
}

fn used(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().expect("a clock does not run backwards")
}
