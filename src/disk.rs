//! Whether there is room on the disk of the state folder: the only place that asks the file system how much is free.
//!
//! Whether it is full is asked cheaply (one system call, microseconds), so that it can be asked whenever something is
//! about to begin. What follows from the answer is the rules': `domain::proceed` keeps new work back. How much the parts
//! of the folder take is measured now and then, by whoever has the time, and kept in a [`Gauge`].

use crate::domain::Time;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A source of the answer.
pub trait Disk: Send + Sync {
    /// Whether so little is free that nothing new should begin.
    fn is_full(&self) -> bool;
}

impl<D: Disk + ?Sized> Disk for Arc<D> {
    fn is_full(&self) -> bool {
        (**self).is_full()
    }
}

/// The disk that a folder is on.
///
/// Full means less than the limit is free. Once full, it stays so until an eighth of the limit more is free, so that
/// work that hovers about the limit does not begin and stop with every file.
#[derive(Debug)]
pub struct FolderDisk {
    folder: PathBuf,
    min_free_bytes: u64,
    was_full: AtomicBool,
}

impl FolderDisk {
    /// The disk of `folder`, on which this many bytes are to be kept free.
    pub fn new(folder: impl Into<PathBuf>, min_free_bytes: u64) -> FolderDisk {
        FolderDisk { folder: folder.into(), min_free_bytes, was_full: AtomicBool::new(false) }
    }

    fn judge(&self, free_bytes: u64) -> bool {
        let margin = if self.was_full.load(Ordering::Relaxed) { self.min_free_bytes / 8 } else { 0 };
        let full = free_bytes < self.min_free_bytes.saturating_add(margin);
        self.was_full.store(full, Ordering::Relaxed);
        full
    }
}

impl Disk for FolderDisk {
    fn is_full(&self) -> bool {
        match free_bytes(&self.folder) {
            Ok(free) => self.judge(free),
            Err(error) => {
                // What cannot be asked does not stop anything: the journal's own refusal would.
                tracing::debug!(%error, "failed to ask how much of the disk is free");
                false
            }
        }
    }
}

/// Bytes that an ordinary user may still write on the disk of a folder.
///
/// # Errors
/// The folder cannot be asked about.
pub fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// How much the parts of a state folder take, at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// When it was measured.
    pub at: Time,
    /// Bytes of logs.
    pub logs_bytes: u64,
    /// Bytes of artifacts.
    pub artifacts_bytes: u64,
    /// Bytes of mirrors, checkouts, caches.
    pub work_bytes: u64,
}

impl Usage {
    /// Measures these folders. Takes as long as looking at every file in them does.
    pub fn of(logs: &Path, artifacts: &Path, work: &Path, at: Time) -> Usage {
        let [logs_bytes, artifacts_bytes, work_bytes] = [logs, artifacts, work].map(folder_bytes);
        Usage { at, logs_bytes, artifacts_bytes, work_bytes }
    }
}

/// What a folder takes on the disk, as far as it can be seen.
fn folder_bytes(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // Of the entry itself: links are not followed.
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}

/// Where the last measure is kept for those who show it. Clones are the same gauge.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Mutex<Option<Usage>>>);

impl Gauge {
    /// Keeps a measure.
    pub fn set(&self, usage: Usage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
    }

    /// The last measure; none: nothing was measured yet.
    pub fn get(&self) -> Option<Usage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk that never runs full: for work that keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndlessDisk;

impl Disk for EndlessDisk {
    fn is_full(&self) -> bool {
        false
    }
}

/// A disk that is full when it is told so. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct ToldDisk {
    full: Arc<AtomicBool>,
}

impl ToldDisk {
    /// A disk with room.
    pub fn new() -> ToldDisk {
        ToldDisk::default()
    }

    /// Is full from now on, or has room.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }
}

impl Disk for ToldDisk {
    fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_folder_is_full_only_above_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(folder.path()).unwrap() > 0);
        assert!(!FolderDisk::new(folder.path(), 1).is_full());
        assert!(FolderDisk::new(folder.path(), u64::MAX).is_full());
        assert!(
            !FolderDisk::new("/nowhere/at/all", u64::MAX).is_full(),
            "what cannot be asked stops nothing"
        );
    }

    #[test]
    fn a_folder_is_measured_with_all_in_it() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("logs/shop")).unwrap();
        std::fs::write(home.path().join("logs/shop/1.log"), vec![b'x'; 100_000]).unwrap();
        std::os::unix::fs::symlink("/", home.path().join("logs/everything")).unwrap();
        let [logs, none] = ["logs", "none"].map(|name| home.path().join(name));
        let usage = Usage::of(&logs, &none, &none, chrono::DateTime::UNIX_EPOCH);
        assert!((100_000..200_000).contains(&usage.logs_bytes), "{usage:?}");
        assert_eq!((usage.artifacts_bytes, usage.work_bytes), (0, 0));
    }

    #[test]
    fn what_hovers_about_the_limit_does_not_flicker() {
        let disk = FolderDisk::new("", 800);
        let answers: Vec<bool> = [800, 799, 850, 899, 900, 850, 799].map(|free| disk.judge(free)).into();
        assert_eq!(answers, [false, true, true, true, false, false, true]);
    }
}
