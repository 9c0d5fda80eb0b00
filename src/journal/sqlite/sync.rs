//! Making what was committed durable: the thread that syncs the write-ahead log, again and again, and the watermark.

use super::Shared;
use crate::domain::EventId;
use crate::journal::{Error, Watermark};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Syncs the data of a file to the disk.
pub type SyncFile = Box<dyn FnMut(&File) -> io::Result<()> + Send>;

/// The real [`SyncFile`].
pub(super) fn fdatasync(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fdatasync(file)?)
}

/// What the writer tells the sync thread.
#[derive(Debug, Default)]
pub(super) struct Commits {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// Number of commits, those without events (a meta text) too.
    count: u64,
    /// The last id committed by them.
    last: EventId,
    /// Nothing more will come.
    is_over: bool,
}

impl Commits {
    /// Says that everything up to an id is committed.
    pub(super) fn committed(&self, last: EventId) {
        let mut state = self.lock();
        state.count += 1;
        state.last = last;
        drop(state);
        self.changed.notify_one();
    }

    /// Says that nothing more will come.
    pub(super) fn over(&self) {
        self.lock().is_over = true;
        self.changed.notify_one();
    }

    /// Waits for commits beyond a number of them. `None` when there are none and nothing more will come.
    fn beyond(&self, count: u64) -> Option<State> {
        let state = self
            .changed
            .wait_while(self.lock(), |state| state.count == count && !state.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        (state.count != count).then_some(*state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

fn sync_failed(error: io::Error) -> Error {
    Error::Sync { detail: error.to_string().into() }
}

/// Where SQLite keeps the log of a database.
pub(super) fn wal_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Starts the thread. It ends after [`Commits::over`], with everything synced, or with the first failure.
pub(super) fn start(mut wal: WalFile, shared: Arc<Shared>) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name("journal-sync".to_owned())
        .spawn(move || run(&mut wal, &shared))
        .map_err(|error| Error::io("start the journal's sync", &error))
}

fn run(wal: &mut WalFile, shared: &Shared) {
    let mut synced = 0;
    // What is taken here was committed before the sync begins; what comes during it waits for the next one.
    while let Some(state) = shared.commits.beyond(synced) {
        if let Err(error) = wal.sync() {
            return shared.fail(error);
        }
        synced = state.count;
        shared.durable.send_if_modified(|mark| match mark {
            Watermark::Durable(upto) if *upto < state.last => {
                *upto = state.last;
                true
            }
            _ => false,
        });
    }
}
