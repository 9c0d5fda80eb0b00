//! Whether there is room on the disk of the state folder: the only place that asks the file system how much is free.
//!
//! Answers for one question, cheaply (one system call, microseconds), so that it can be asked whenever something is
//! about to begin. What follows from the answer is the rules': `domain::proceed` keeps new work back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
pub fn free_bytes(folder: &std::path::Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
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
    fn what_hovers_about_the_limit_does_not_flicker() {
        let disk = FolderDisk::new("", 800);
        let answers: Vec<bool> = [800, 799, 850, 899, 900, 850, 799].map(|free| disk.judge(free)).into();
        assert_eq!(answers, [false, true, true, true, false, false, true]);
    }
}
