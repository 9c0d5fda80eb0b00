//! Making what was committed durable: who syncs the write-ahead log, until when, and the watermark.

use super::Shared;
use crate::domain::EventId;
use crate::journal::{Error, Watermark};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Syncs the data of a file to the disk.
pub type SyncFile = Box<dyn FnMut(&File) -> io::Result<()> + Send>;

/// The real [`SyncFile`].
pub(super) fn fdatasync(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fdatasync(file)?)
}

/// What is committed, and whether somebody is syncing it.
#[derive(Debug)]
pub(super) struct Commits {
    state: Mutex<State>,
    idle: Condvar,
    /// Whoever syncs has it; so nobody ever waits here.
    wal: Mutex<WalFile>,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// Number of commits, those without events (a meta text) too.
    count: u64,
    /// The last id committed by them.
    last: EventId,
    /// Somebody syncs, and goes on until nothing is left.
    is_syncing: bool,
}

impl Commits {
    /// Nothing committed that is not synced.
    pub(super) fn new(wal: WalFile) -> Self {
        Self { state: Mutex::default(), idle: Condvar::new(), wal: Mutex::new(wal) }
    }

    /// Says that everything up to an id is committed. True when nobody is syncing: then the caller must, by
    /// [`Commits::sync`]; else whoever is will go on until this is synced too.
    #[must_use]
    pub(super) fn committed(&self, last: EventId) -> bool {
        let mut state = self.lock();
        state.count += 1;
        state.last = last;
        !std::mem::replace(&mut state.is_syncing, true)
    }

    /// Syncs until nothing is left, and moves the watermark. The first failure is the end of it, for ever.
    pub(super) fn sync(&self, shared: &Shared) {
        let mut wal = self.wal.lock().unwrap_or_else(PoisonError::into_inner);
        let _claim = Claim { commits: self, shared };
        loop {
            // This was committed before the sync begins; what comes during it waits for the next one.
            let before = *self.lock();
            let result = match shared.failed() {
                None => wal.sync(),
                Some(error) => Err(error),
            };
            match &result {
                Ok(()) => advance(shared, before.last),
                Err(error) => shared.fail(error.clone()),
            }
            let mut state = self.lock();
            if result.is_err() || state.count == before.count {
                state.is_syncing = false;
                self.idle.notify_all();
                return;
            }
        }
    }

    /// Waits until nobody syncs.
    pub(super) fn wait_idle(&self) {
        let state = self.idle.wait_while(self.lock(), |state| state.is_syncing);
        drop(state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that a panic while syncing is a failed sync, and keeps nobody waiting.
struct Claim<'a> {
    commits: &'a Commits,
    shared: &'a Shared,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(Error::Sync { detail: "the sync panicked".into() });
            self.commits.lock().is_syncing = false;
            self.commits.idle.notify_all();
        }
    }
}

fn advance(shared: &Shared, upto: EventId) {
    shared.durable.send_if_modified(|mark| match mark {
        Watermark::Durable(reached) if *reached < upto => {
            *reached = upto;
            true
        }
        _ => false,
    });
}

/// The write-ahead log, opened a second time.
pub(super) struct WalFile {
    path: PathBuf,
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    sync: SyncFile,
}

impl WalFile {
    /// Opens the log that belongs to a database and syncs the folders that lead to both.
    pub(super) fn open(database: &Path, sync: SyncFile) -> Result<Self, Error> {
        let path = wal_path(database);
        let failed = |error: io::Error| Error::io("open the journal's log", &error);
        let file = File::open(&path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        for folder in path.ancestors().skip(1).take(2) {
            // The parent may be unreadable for us; then it was not we who made the folder.
            match File::open(folder) {
                Ok(folder) => folder.sync_all().map_err(sync_failed)?,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Self { path, file, identity: (found.dev(), found.ino()), sync })
    }

    /// Syncs it, and makes sure that it is still the file that will be found after a crash.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        (self.sync)(&self.file).map_err(sync_failed)?;
        match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.identity => Ok(()),
            Ok(_) => Err(Error::Sync { detail: "the write-ahead log was replaced by another file".into() }),
            Err(error) => {
                Err(Error::Sync { detail: format!("the write-ahead log is gone ({error})").into() })
            }
        }
    }
}

impl fmt::Debug for WalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalFile").field("path", &self.path).finish_non_exhaustive()
    }
}

fn sync_failed(error: io::Error) -> Error {
    Error::Sync { detail: error.to_string().into() }
}

/// Where SQLite keeps the log of a database.
pub(super) fn wal_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
