//! The store of what builds made: each file once, under the SHA-256 of its content.
//!
//! Answers for: taking files out of a workspace, keeping them whole, and putting the same bytes into another folder. A
//! file is in the store when it is durable, and never changes there. Leaves to others: which artifacts a version has, and
//! when one may go; [`Held::modified`] from [`Store::iter`] tells how long ago something was put in last, so that what was
//! stored a moment ago, and is not yet in the journal, can be spared.
//!
//! A workspace is not trusted: links in it are followed only inside it, and nothing that is not a plain file is opened.
//!
//! Layout: `sha256/ab/cdef…` holds content, `incoming/` what is being written; what a crash leaves there is deleted when
//! the store is opened.

mod beneath;
mod collect;
mod error;
mod materialize;
mod pattern;

pub use error::Error;

use crate::domain::event::Artifact;
use error::io;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Bytes read and hashed at once.
const BLOCK: usize = 256 << 10;

/// The SHA-256 of a file, 64 hex digits in lower case.
///
/// # Errors
/// It cannot be read.
pub async fn digest_of(path: &Path) -> Result<String, Error> {
    let path = path.to_owned();
    blocking(move || {
        let mut file = File::open(&path).map_err(io("read", &path))?;
        digest(&mut file, &path, &mut |_| Ok(())).map(|(sha256, _)| sha256)
    })
    .await
}

/// A file in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 of its content, 64 hex digits in lower case.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The mode it is to have: 0o755 if anybody could execute it, else 0o644. The store itself does not keep it.
    pub mode: u32,
}

/// What the store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// SHA-256 of its content.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was put in last; putting in the same content again counts.
    pub modified: SystemTime,
}

/// A store in a folder. Cheap to clone; any number of tasks and processes may use one.
#[derive(Clone, Debug)]
pub struct Store {
    dir: Arc<PathBuf>,
    /// Held while content gets its name or loses it.
    names: Arc<Mutex<()>>,
}

impl Store {
    /// Opens a store, making the folder if it is not there. Deletes what a crash left half written, if it is a day old.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub async fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let store = Self { dir: Arc::new(dir.into()), names: Arc::default() };
        let opened = store.clone();
        blocking(move || opened.prepare()).await?;
        Ok(store)
    }

    /// Takes in a plain file.
    ///
    /// # Errors
    /// It is a link or not a plain file, it cannot be read, or the store cannot be written.
    pub async fn put_file(&self, path: impl Into<PathBuf>) -> Result<Stored, Error> {
        let (store, path) = (self.clone(), path.into());
        blocking(move || {
            let shown = path.display().to_string();
            let kind = path.symlink_metadata().map_err(io("read", &path))?.file_type();
            if !kind.is_file() {
                return Err(Error::NotAFile { path: shown, kind: beneath::kind_of(kind) });
            }
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            let flags = i32::try_from(flags.bits()).expect("BUG: flags of open are an int");
            let file =
                File::options().read(true).custom_flags(flags).open(&path).map_err(io("read", &path))?;
            store.put(file, &shown)
        })
        .await
    }

    /// Takes in a plain file of ours and takes it away from its place: where that is on the same file system nothing is
    /// copied, however large it is. Nobody may write to it any more.
    ///
    /// # Errors
    /// As for [`Store::put_file`]. The file may be gone then.
    pub async fn take_file(&self, path: impl Into<PathBuf>) -> Result<Stored, Error> {
        let (store, path) = (self.clone(), path.into());
        blocking(move || store.take(&path)).await
    }

    /// Takes in the files of a workspace that the patterns name: a path, a folder with all in it, or a glob (`*` stops at
    /// `/`, `**` does not; `.git` is left out). Sorted by path, each once.
    ///
    /// # Errors
    /// A pattern matches nothing ([`Error::NothingMatches`]), leads out of the workspace, or names what is no plain file.
    pub async fn collect(&self, workspace: &Path, patterns: &[String]) -> Result<Vec<Artifact>, Error> {
        let (store, workspace, patterns) = (self.clone(), workspace.to_owned(), patterns.to_owned());
        blocking(move || collect::collect(&store, &workspace, &patterns)).await
    }

    /// Writes artifacts into a folder, at their paths, replacing files that are there. Each is a copy, so a step may change
    /// it; each is checked against its digest while it is copied, and appears only when it is whole. No link in the folder is followed.
    ///
    /// # Errors
    /// One is missing or damaged in the store, its path leads out of the folder, or the folder cannot be written.
    pub async fn materialize(&self, artifacts: &[Artifact], into_dir: &Path) -> Result<(), Error> {
        let (store, artifacts, into) = (self.clone(), artifacts.to_owned(), into_dir.to_owned());
        blocking(move || materialize::materialize(&store, &artifacts, &into)).await
    }

    /// Reads a file of the store again and compares it with its name.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Corrupt`].
    pub async fn verify(&self, sha256: &str) -> Result<(), Error> {
        let (store, sha256) = (self.clone(), sha256.to_owned());
        blocking(move || store.copy_out(&sha256, &mut std::io::sink()).map(drop)).await
    }

    /// Deletes a file of the store; false if it was not there.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub async fn remove(&self, sha256: &str) -> Result<bool, Error> {
        let place = self.place(sha256)?;
        blocking(move || match fs::remove_file(&place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io("delete", &place)(error)),
        })
        .await
    }

    /// Deletes a file of the store if it was put in before a moment; false if it was not there or is younger. Nobody
    /// puts in the same content in between.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub async fn remove_older(&self, sha256: &str, than: SystemTime) -> Result<bool, Error> {
        let (store, place) = (self.clone(), self.place(sha256)?);
        blocking(move || {
            let _names = store.names();
            match place.metadata().and_then(|metadata| metadata.modified()) {
                Ok(modified) if modified < than => {
                    fs::remove_file(&place).map_err(io("delete", &place)).map(|()| true)
                }
                Ok(_) => Ok(false),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(io("delete", &place)(error)),
            }
        })
        .await
    }

    /// All that the store holds, sorted by digest.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn iter(&self) -> Result<Vec<Held>, Error> {
        let store = self.clone();
        blocking(move || store.list()).await
    }

    /// Where the content with a digest is, for reading only. It need not be there.
    ///
    /// # Errors
    /// The text is not a digest.
    pub fn place(&self, sha256: &str) -> Result<PathBuf, Error> {
        let digest =
            sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !digest {
            return Err(Error::NotADigest { text: sha256.chars().take(80).collect() });
        }
        Ok(self.dir.join("sha256").join(&sha256[..2]).join(&sha256[2..]))
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self) -> Result<(), Error> {
        for part in ["sha256", "incoming"] {
            let folder = self.dir.join(part);
            fs::create_dir_all(&folder).map_err(io("create", &folder))?;
        }
        let incoming = self.dir.join("incoming");
        for entry in fs::read_dir(&incoming).map_err(io("read", &incoming))?.flatten() {
            // Another process may be at work on a young one.
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
            if age.as_secs() > 24 * 60 * 60 {
                fs::remove_file(entry.path()).map_err(io("delete", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Takes in an open file. Content that is there already is replaced by itself: that mends a damaged copy, and tells
    /// by its time that it was wanted just now.
    fn put(&self, mut file: File, shown: &str) -> Result<Stored, Error> {
        let metadata = file.metadata().map_err(io("read", Path::new(shown)))?;
        if !metadata.is_file() {
            return Err(Error::NotAFile {
                path: shown.to_owned(),
                kind: beneath::kind_of(metadata.file_type()),
            });
        }
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let incoming = Incoming::new(&self.dir)?;
        let (sha256, size) = incoming.fill(&mut file, shown)?;
        incoming.keep_as(self, &self.place(&sha256)?)?;
        Ok(Stored { sha256, size, mode: if executable { 0o755 } else { 0o644 } })
    }

    fn take(&self, path: &Path) -> Result<Stored, Error> {
        let kind = path.symlink_metadata().map_err(io("read", path))?.file_type();
        if !kind.is_file() {
            return Err(Error::NotAFile { path: path.display().to_string(), kind: beneath::kind_of(kind) });
        }
        let Some(incoming) = Incoming::moved(&self.dir, path)? else {
            let stored =
                self.put(File::open(path).map_err(io("read", path))?, &path.display().to_string())?;
            fs::remove_file(path).map_err(io("delete", path))?;
            return Ok(stored);
        };
        let mut file = File::open(&incoming.path).map_err(io("read", &incoming.path))?;
        let executable =
            file.metadata().map_err(io("read", &incoming.path))?.permissions().mode() & 0o111 != 0;
        let (sha256, size) = digest(&mut file, &incoming.path, &mut |_| Ok(()))?;
        // It was written long ago perhaps, and is wanted now.
        file.set_modified(SystemTime::now()).map_err(io("write", &incoming.path))?;
        incoming.keep_as(self, &self.place(&sha256)?)?;
        Ok(Stored { sha256, size, mode: if executable { 0o755 } else { 0o644 } })
    }

    /// Copies content out of the store and checks it; its size.
    fn copy_out(&self, sha256: &str, to: &mut dyn Write) -> Result<u64, Error> {
        let place = self.place(sha256)?;
        let mut file = match File::open(&place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { sha256: sha256.to_owned() });
            }
            other => other.map_err(io("read", &place))?,
        };
        let (found, size) = digest(&mut file, &place, &mut |piece| {
            to.write_all(piece).map_err(|error| Error::CopyOut { sha256: sha256.to_owned(), error })
        })?;
        if found != sha256 {
            return Err(Error::Corrupt { sha256: sha256.to_owned(), place });
        }
        Ok(size)
    }

    fn list(&self) -> Result<Vec<Held>, Error> {
        let top = self.dir.join("sha256");
        let mut held = Vec::new();
        for folder in fs::read_dir(&top).map_err(io("read", &top))?.flatten() {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            for file in files.flatten() {
                let sha256 =
                    format!("{}{}", folder.file_name().to_string_lossy(), file.file_name().to_string_lossy());
                // One that is deleted meanwhile is not held.
                if self.place(&sha256).is_ok()
                    && let Ok(metadata) = file.metadata()
                    && let Ok(modified) = metadata.modified()
                {
                    held.push(Held { sha256, size: metadata.len(), modified });
                }
            }
        }
        held.sort_unstable_by(|a, b| a.sha256.cmp(&b.sha256));
        Ok(held)
    }
}

/// A file being written; deleted when dropped, unless it was kept.
struct Incoming {
    path: PathBuf,
    file: File,
}

impl Incoming {
    fn new(dir: &Path) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = dir.join("incoming").join(name);
        // One of that name is of an earlier process with our number.
        let _ = fs::remove_file(&path);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("write", &path))?;
        Ok(Self { path, file })
    }

    /// Moves a file here; none: it is on another file system.
    fn moved(dir: &Path, from: &Path) -> Result<Option<Self>, Error> {
        let mut place = Self::new(dir)?;
        match fs::rename(from, &place.path) {
            Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => return Ok(None),
            moved => moved.map_err(io("move", from))?,
        }
        place.file = File::open(&place.path).map_err(io("read", &place.path))?;
        Ok(Some(place))
    }

    /// Copies a file here; digest and size of what was copied.
    fn fill(&self, from: &mut File, shown: &str) -> Result<(String, u64), Error> {
        digest(from, Path::new(shown), &mut |piece| {
            (&self.file).write_all(piece).map_err(io("write", &self.path))
        })
    }

    /// Makes it durable under its name.
    fn keep_as(self, store: &Store, place: &Path) -> Result<(), Error> {
        let folder = place.parent().expect("BUG: content lies in a folder");
        let whole = || -> std::io::Result<()> {
            self.file.set_permissions(Permissions::from_mode(0o444))?;
            self.file.sync_all()?;
            let is_new = !folder.exists();
            fs::create_dir_all(folder)?;
            {
                let _names = store.names();
                fs::rename(&self.path, place)?;
            }
            File::open(folder)?.sync_all()?;
            if is_new && let Some(top) = folder.parent() {
                File::open(top)?.sync_all()?;
            }
            Ok(())
        };
        whole().map_err(io("write", place))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Once it is kept there is nothing of that name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Reads a file to its end, piece by piece; its digest and size.
fn digest(
    file: &mut File,
    shown: &Path,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(String, u64), Error> {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut block = vec![0; BLOCK];
    loop {
        let count = read_some(file, &mut block).map_err(io("read", shown))?;
        if count == 0 {
            return Ok((hex(&hash.finalize()), size));
        }
        hash.update(&block[..count]);
        each(&block[..count])?;
        size += count as u64;
    }
}

fn read_some(from: &mut impl Read, block: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match from.read(block) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Stopping),
    }
}

#[cfg(test)]
mod tests;
