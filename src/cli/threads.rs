//! The threads of commands that do many things at once.

use super::Exit;
use super::trouble::Trouble;
use tokio::runtime::{Builder, Runtime};

/// A runtime with a thread for each core.
pub(super) fn many() -> Result<Runtime, Trouble> {
    // Where there are none to be had, building it would panic: one is tried first.
    let tried = std::thread::Builder::new().spawn(|| {});
    let built = tried.and_then(|one| {
        one.join().ok();
        Builder::new_multi_thread().enable_all().build()
    });
    built.map_err(|error| {
        let message = format!("failed to start threads: {error}");
        Trouble::new("TG-SERVE-002", message, "raise the limit of threads", Exit::Failed)
    })
}
