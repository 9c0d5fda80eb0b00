//! Deleting a folder that a step has had to itself: whatever modes it set, wherever its links point, however deep it is.

use super::error::{Error, io};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io::Error as IoError;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Folders nested deeper are moved up before they are emptied, so that neither stack nor open files run out.
const DEPTH_LIMIT: usize = 64;

/// Deletes a folder and all in it; links are deleted, not followed. A folder that is not there is fine.
///
/// # Errors
/// Something in it cannot be deleted: it names the folder that was asked for.
pub async fn remove_workspace(dir: &Path) -> Result<(), Error> {
    let owned = dir.to_owned();
    match tokio::task::spawn_blocking(move || remove_now(&owned)).await {
        Ok(result) => result,
        Err(error) => Err(io("delete", dir)(IoError::other(error))),
    }
}

/// As [`remove_workspace`], at once: blocks.
pub(super) fn remove_now(dir: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    let kind = dir.symlink_metadata().map_err(io("delete", dir))?.file_type();
    if !kind.is_dir() {
        return std::fs::remove_file(dir).map_err(io("delete", dir));
    }
    empty(dir).map_err(|errno| io("delete", dir)(errno.into()))?;
    std::fs::remove_dir(dir).map_err(io("delete", dir))
}

fn empty(dir: &Path) -> Result<(), Errno> {
    let root = open_folder(
        rustix::fs::CWD,
        &CString::new(dir.as_os_str().as_encoded_bytes()).map_err(|_| Errno::INVAL)?,
    )?;
    let mut sweep = Sweep { root: root.as_fd(), moved: 0 };
    // Each pass empties what the one before moved up.
    loop {
        let before = sweep.moved;
        sweep.folder(root.as_fd(), 0)?;
        if sweep.moved == before {
            return Ok(());
        }
    }
}

struct Sweep<'a> {
    root: BorrowedFd<'a>,
    moved: u64,
}

impl Sweep<'_> {
    fn folder(&mut self, folder: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
        for (name, kind) in entries(folder)? {
            if kind != FileType::Directory {
                match unlinkat(folder, &name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => continue,
                    // The file system did not tell what it is.
                    Err(Errno::ISDIR | Errno::PERM) if kind == FileType::Unknown => {}
                    Err(errno) => return Err(errno),
                }
            }
            match unlinkat(folder, &name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => {}
                Err(errno) => return Err(errno),
            }
            if depth >= DEPTH_LIMIT {
                self.move_up(folder, &name)?;
                continue;
            }
            let inner = open_folder(folder, &name)?;
            self.folder(inner.as_fd(), depth + 1)?;
            unlinkat(folder, &name, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }

    fn move_up(&mut self, folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved += 1;
            match renameat(folder, name, self.root, format!("moved-up-{}", self.moved)) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                other => return other,
            }
        }
    }
}

fn entries(folder: BorrowedFd<'_>) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(found)
}

/// Opens a folder, not through a link, giving ourselves the right to empty it first.
fn open_folder(parent: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RWXU;
    match openat(&parent, name, flags | OFlags::RDONLY, Mode::empty()) {
        Ok(folder) => {
            // A folder may be readable and yet not let its entries be deleted.
            let _ = rustix::fs::fchmod(&folder, mode);
            Ok(folder)
        }
        Err(Errno::ACCESS) => {
            grant(parent.as_fd(), name, flags, mode)?;
            openat(&parent, name, flags | OFlags::RDONLY, Mode::empty())
        }
        Err(errno) => Err(errno),
    }
}

#[cfg(target_os = "linux")]
fn grant(parent: BorrowedFd<'_>, name: &CStr, flags: OFlags, mode: Mode) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    // `O_PATH` needs no right to the folder itself, and `/proc/self/fd` leads to just that folder, not to a link.
    let place = openat(parent, name, flags | OFlags::PATH, Mode::empty())?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), mode)
}

#[cfg(not(target_os = "linux"))]
fn grant(parent: BorrowedFd<'_>, name: &CStr, _flags: OFlags, mode: Mode) -> Result<(), Errno> {
    rustix::fs::chmodat(parent, name, mode, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[tokio::test]
    async fn links_are_deleted_and_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        let dir = temp.path().join("w");
        std::fs::create_dir_all(dir.join("a")).unwrap();
        symlink(&outside, dir.join("a/link")).unwrap();
        symlink(dir.join("a"), dir.join("a/loop")).unwrap();
        remove_workspace(&dir).await.unwrap();
        assert!(!dir.exists() && outside.join("kept").exists());
        symlink(&outside, &dir).unwrap();
        remove_workspace(&dir).await.unwrap();
        assert!(dir.symlink_metadata().is_err() && outside.join("kept").exists());
        remove_workspace(&dir).await.unwrap();
    }

    #[test]
    fn folders_without_rights_and_very_deep_ones_go_too() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("w");
        let mut deep = dir.clone();
        for _ in 0..300 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("f"), "x").unwrap();
        std::fs::create_dir_all(dir.join("shut/inner")).unwrap();
        for shut in ["shut/inner", "shut"] {
            std::fs::set_permissions(dir.join(shut), PermissionsExt::from_mode(0o000)).unwrap();
        }
        empty(&dir).unwrap();
        std::fs::remove_dir(&dir).unwrap();
    }
}
