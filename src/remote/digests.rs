//! Digests of files that are sent: a file that nobody has touched since is read for that only once, however many nodes it
//! goes to.

use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Bytes of one read.
const PIECE: usize = 128 * 1024;
/// How many are remembered; then it begins anew.
const MOST: usize = 1024;

/// What tells whether a file is still what it was: device, inode, size, and both times to the nanosecond.
type Stamp = [i128; 7];

/// What is known. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Digests(Arc<Mutex<HashMap<Stamp, Arc<OnceCell<String>>>>>);

impl Digests {
    /// The SHA-256 of a file, in hex.
    pub(super) async fn of(&self, path: &Path) -> io::Result<String> {
        let before = stamp(path)?;
        let known = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST {
                all.clear();
            }
            all.entry(before).or_default().clone()
        };
        let path = path.to_owned();
        let digest = known.get_or_try_init(|| read_apart(path.clone())).await?.clone();
        // It may have been changed meanwhile: then it is what it is now.
        if stamp(&path)? == before { Ok(digest) } else { read_apart(path).await }
    }
}

/// Of all of it, on a thread that may wait.
async fn read_apart(path: PathBuf) -> io::Result<String> {
    let reading = tokio::task::spawn_blocking(move || read(&path, u64::MAX));
    reading.await.map_err(io::Error::other)?
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let about = fs::metadata(path)?;
    Ok([
        about.dev().into(),
        about.ino().into(),
        about.size().into(),
        about.mtime().into(),
        about.mtime_nsec().into(),
        about.ctime().into(),
        about.ctime_nsec().into(),
    ])
}

/// The SHA-256 of its first bytes, in hex.
pub(super) fn read(path: &Path, bytes: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut BufReader::with_capacity(PIECE, File::open(path)?.take(bytes)), &mut hash)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_was_changed_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let digests = Digests::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digests.of(file.path()).await.unwrap(), empty);
        assert_eq!(digests.of(file.path()).await.unwrap(), empty);
        fs::write(file.path(), "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digests.of(file.path()).await.unwrap(), abc);
        assert!(digests.of(Path::new("/no/such/file")).await.is_err());
    }
}
