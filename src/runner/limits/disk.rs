//! How much a folder grows while a run lives, looked at by a thread of its own: to look at a large workspace takes
//! seconds, for which nobody would read what the step writes. After each look comes a pause of several times its length.
//!
//! What counts is the room that files take on the disk, those with several names once, on the file system of the folder
//! only. Known gaps: files that were deleted and are still open, what lies in folders that may not be read, and paths that
//! are longer than the system opens.

use super::{Disk, FIRST};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Shortest pause between two looks.
const EVERY: Duration = Duration::from_millis(200);
/// A pause is so many times as long as the look before it.
const PAUSE: u32 = 9;
/// Bytes of a block, as files count them, whatever the file system's own are.
const BLOCK: u64 = 512;

/// What watches one folder, until it is dropped.
pub(in crate::runner) struct Meter {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    grown: AtomicU64,
    is_over: AtomicBool,
}

impl Meter {
    /// Looks once, before the step can have written anything, and again and again from then on.
    pub(in crate::runner) fn begin(disk: &Disk) -> io::Result<Meter> {
        let shared = Arc::new(Shared::default());
        let before = taken(&disk.folder, &shared.is_over);
        let (folder, known) = (disk.folder.clone(), Arc::clone(&shared));
        let builder = thread::Builder::new().name("disk".into()).stack_size(256 * 1024);
        let watch = builder.spawn(move || watch(&folder, before, &known))?;
        Ok(Meter { shared, thread: watch.thread().clone() })
    }

    /// Bytes that the last look found more than the first.
    pub(super) fn grown(&self) -> u64 {
        self.shared.grown.load(Ordering::Relaxed)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}

fn watch(folder: &Path, before: u64, shared: &Shared) {
    let mut pause = FIRST;
    loop {
        thread::park_timeout(pause);
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        let begin = Instant::now();
        let now = taken(folder, &shared.is_over);
        shared.grown.store(now.saturating_sub(before), Ordering::Relaxed);
        pause = EVERY.max(begin.elapsed() * PAUSE);
    }
}

/// Bytes that a folder takes with all below. What goes away meanwhile, or may not be looked at, takes none.
fn taken(folder: &Path, is_over: &AtomicBool) -> u64 {
    let Ok(root) = fs::symlink_metadata(folder) else { return 0 };
    let mut bytes = root.blocks() * BLOCK;
    let mut with_more_names = HashSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if is_over.load(Ordering::Relaxed) {
            return 0;
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for (entry, about) in entries.filter_map(|entry| entry.metadata().ok().map(|about| (entry, about))) {
            if about.dev() != root.dev() {
                continue;
            }
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.nlink() > 1 && !with_more_names.insert(about.ino()) {
                continue;
            }
            bytes += about.blocks() * BLOCK;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_counts_once_and_a_link_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let now = || taken(dir.path(), &AtomicBool::new(false));
        let before = now();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), vec![7; 1 << 20]).unwrap();
        fs::hard_link(dir.path().join("a/b/file"), dir.path().join("again")).unwrap();
        fs::write(other.path().join("large"), vec![7; 4 << 20]).unwrap();
        std::os::unix::fs::symlink(other.path(), dir.path().join("link")).unwrap();
        let grown = now() - before;
        assert!((1 << 20..2 << 20).contains(&grown), "{grown}");
        fs::remove_dir_all(dir.path().join("a")).unwrap();
        fs::remove_file(dir.path().join("again")).unwrap();
        assert!(now() - before < 64 << 10, "what is gone takes nothing");
    }

    #[test]
    fn a_folder_that_is_not_there_takes_nothing() {
        assert_eq!(taken(Path::new("/nowhere/at/all"), &AtomicBool::new(false)), 0);
    }
}
