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

    /// Gives up what was kept in reserve, so that what has happened can still be noted on a disk that is full to the last
    /// byte. Whether there was anything.
    fn give_way(&self) -> bool {
        false
    }
}

impl<D: Disk + ?Sized> Disk for Arc<D> {
    fn is_full(&self) -> bool {
        (**self).is_full()
    }

    fn give_way(&self) -> bool {
        (**self).give_way()
    }
}

/// Bytes of the reserve: the ends of what runs take a few thousand each.
const RESERVE_BYTES: u64 = 1024 * 1024;

/// So many bytes must be free for it to be kept again.
const KEPT_AGAIN_BYTES: u64 = 4 * RESERVE_BYTES;

/// The disk that a folder is on.
///
/// Full means less than the limit is free. Once full, it stays so until an eighth of the limit more is free, so that
/// work that hovers about the limit does not begin and stop with every file.
#[derive(Debug)]
pub struct FolderDisk {
    folder: PathBuf,
    min_free_bytes: u64,
    was_full: AtomicBool,
    /// A file that takes room until the room is needed.
    reserve: Option<PathBuf>,
    has_reserve: AtomicBool,
}

impl FolderDisk {
    /// The disk of `folder`, on which this many bytes are to be kept free.
    pub fn new(folder: impl Into<PathBuf>, min_free_bytes: u64) -> FolderDisk {
        FolderDisk {
            folder: folder.into(),
            min_free_bytes,
            was_full: AtomicBool::new(false),
            reserve: None,
            has_reserve: AtomicBool::new(false),
        }
    }

    /// With a mebibyte kept in reserve in that file, for [`Disk::give_way`]. It is made now and whenever there is room again.
    pub fn with_reserve(mut self, file: PathBuf) -> FolderDisk {
        self.has_reserve = AtomicBool::new(is_reserve(&file));
        self.reserve = Some(file);
        self.is_full();
        self
    }

    fn keep_reserve(&self) {
        let Some(file) = self.reserve.as_ref().filter(|_| !self.has_reserve.load(Ordering::Relaxed)) else {
            return;
        };
        match make_reserve(file) {
            Ok(()) => self.has_reserve.store(true, Ordering::Relaxed),
            Err(error) => {
                let _ = std::fs::remove_file(file);
                tracing::debug!(%error, "failed to keep some of the disk in reserve");
            }
        }
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
        let free = match free_bytes(&self.folder) {
            Ok(free) => free,
            Err(error) => {
                // What cannot be asked does not stop anything: the journal's own refusal would.
                tracing::debug!(%error, "failed to ask how much of the disk is free");
                return false;
            }
        };
        let full = self.judge(free);
        // Right after it gave way the room is needed.
        if !full && free >= KEPT_AGAIN_BYTES {
            self.keep_reserve();
        }
        full
    }

    fn give_way(&self) -> bool {
        let had = self.has_reserve.swap(false, Ordering::Relaxed);
        let gave = had && self.reserve.as_ref().is_some_and(|file| std::fs::remove_file(file).is_ok());
        if gave {
            tracing::warn!(
                "the disk is full to the last byte: its reserve is used to note what has happened"
            );
        }
        gave
    }
}

fn is_reserve(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.blocks() * 512 >= RESERVE_BYTES)
}

/// Blocks that are really taken, as far as the file system can promise that.
fn make_reserve(file: &Path) -> std::io::Result<()> {
    let made = std::fs::File::create(file)?;
    rustix::fs::fallocate(&made, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES)?;
    Ok(())
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
    fn a_reserve_is_kept_given_and_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reserve");
        let disk = FolderDisk::new(folder.path(), 1).with_reserve(file.clone());
        assert!(is_reserve(&file));
        assert!(disk.give_way() && !file.exists());
        assert!(!disk.give_way(), "it is given once");
        assert!(!disk.is_full());
        assert!(is_reserve(&file), "there is room again");
        let full = FolderDisk::new(folder.path(), u64::MAX).with_reserve(folder.path().join("other"));
        assert!(!folder.path().join("other").exists() && !full.give_way(), "a full disk gets no reserve");
        let again = FolderDisk::new(folder.path(), u64::MAX).with_reserve(file);
        assert!(again.give_way(), "that of before counts");
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
