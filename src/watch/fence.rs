//! Knowing that everything that has happened so far has also been heard.
//!
//! The system tells of changes in order, but later. So something is changed that nobody else can change, a file in
//! memory, watched like any folder: when that has been heard, so has all that came before it.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use rustix::fs::MemfdFlags;

use super::hints::Board;

/// Far longer than the system takes, unless it has lost count.
const PATIENCE: Duration = Duration::from_millis(100);

/// A file in memory that is watched.
#[derive(Debug)]
pub(super) struct Fence {
    file: File,
    path: PathBuf,
}

impl Fence {
    /// `None` where the system does not offer what is needed; then a file may rarely be read in the middle of a save,
    /// and is delivered again when it is complete.
    pub(super) fn new(watcher: &mut RecommendedWatcher, board: &Board) -> Option<Self> {
        let file = File::from(rustix::fs::memfd_create("tidegate-watch", MemfdFlags::CLOEXEC).ok()?);
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        watcher.watch(&path, RecursiveMode::NonRecursive).ok()?;
        board.state().fence.path = Some(path.clone());
        Some(Self { file, path })
    }

    /// Waits until everything that happened before the call is on the board; `false` if that was not to be had.
    pub(super) fn pass(&self, board: &Board) -> bool {
        let before = board.state().fence.heard;
        self.file.set_len(before % 2 + 1).is_ok()
            && board.wait_for(PATIENCE, |state| state.fence.heard != before)
    }

    /// Ends the watch on it.
    pub(super) fn remove(self, watcher: &mut RecommendedWatcher) {
        watcher.unwatch(&self.path).ok();
    }
}

/// How the thread that hears events sees the fence.
#[derive(Debug, Default)]
pub(super) struct Heard {
    path: Option<PathBuf>,
    heard: u64,
}

impl Heard {
    /// Counts a change of the fence; `false` if `path` is something else.
    pub(super) fn hear(&mut self, path: &Path) -> bool {
        let is_fence = self.path.as_deref() == Some(path);
        self.heard += u64::from(is_fence);
        is_fence
    }
}
