//! Events files whose runs are over, for runs to come. A file system such as ext4 does not give the place of a file that
//! was deleted to another one for a while, and looks at every such place when a file is made: with a file made and
//! deleted for each step, a thousand short steps cost twice as much.
//!
//! A file is kept where its run put it, empty, and moved to its next place; so at most [`KEPT`] of them lie about. Only a
//! file that is still what it was made as is kept.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are kept.
const KEPT: usize = 8;
/// What may be done with an events file, by whom: only its owner reads and writes it.
const MODE: u32 = 0o600;

/// An events file that nobody uses, and where it is.
pub(super) struct Spare {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

/// Those of one runner. Removed with it.
#[derive(Default)]
pub(super) struct Spares(Mutex<Vec<Spare>>);

impl Spares {
    /// Keeps a file, without what was in it.
    pub(super) fn keep(&self, spare: Spare) {
        let is_fit = spare.file.metadata().is_ok_and(|metadata| {
            metadata.nlink() == 1
                && metadata.mode() & 0o7777 == MODE
                && (metadata.len() == 0 || spare.file.set_len(0).is_ok())
        });
        let mut kept = self.kept();
        if is_fit && kept.len() < KEPT {
            kept.push(spare);
        } else {
            drop(kept);
            // One that resists holds nothing that is read again.
            let _ = fs::remove_file(spare.path);
        }
    }

    /// Moves one to this place. None: there is none, or it cannot be moved, and is removed then.
    pub(super) fn take_to(&self, path: &Path) -> Option<File> {
        let Spare { file, path: before } = self.kept().pop()?;
        // Somebody else's file in its place stays there.
        if is_at(&file, &before) == Some(true) {
            if fs::rename(&before, path).is_ok() && file.metadata().is_ok_and(|now| now.len() == 0) {
                return Some(file);
            }
            let _ = fs::remove_file(before);
        }
        None
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        for spare in self.kept().drain(..) {
            let _ = fs::remove_file(spare.path);
        }
    }
}

/// Whether it is this file that has this path; none when that cannot be told, as when nothing is there.
pub(super) fn is_at(file: &File, path: &Path) -> Option<bool> {
    let (ours, there) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
    Some((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn given() -> (tempfile::TempDir, Spares, Spare) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.events");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_permissions(Permissions::from_mode(MODE)).unwrap();
        (dir, Spares::default(), Spare { file, path })
    }

    #[test]
    fn one_that_is_named_twice_is_not_kept() {
        let (dir, spares, spare) = given();
        fs::hard_link(&spare.path, dir.path().join("trap")).unwrap();
        let path = spare.path.clone();
        spares.keep(spare);
        assert!(!path.exists());
        assert!(spares.take_to(&dir.path().join("2.events")).is_none());
    }

    #[test]
    fn one_that_others_may_read_is_not_kept() {
        let (_dir, spares, spare) = given();
        spare.file.set_permissions(Permissions::from_mode(0o644)).unwrap();
        let path = spare.path.clone();
        spares.keep(spare);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_was_replaced_or_written_to_meanwhile_is_not_used() {
        let (dir, spares, spare) = given();
        let (path, next) = (spare.path.clone(), dir.path().join("2.events"));
        spares.keep(spare);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "of somebody else").unwrap();
        assert!(spares.take_to(&next).is_none());
        assert_eq!(fs::read(&path).unwrap(), b"of somebody else");

        let (dir, spares, spare) = given();
        let path = spare.path.clone();
        spares.keep(spare);
        fs::write(&path, "late").unwrap();
        assert!(spares.take_to(&dir.path().join("2.events")).is_none());
    }
}
