//! Opening what lies below a folder and nowhere else, whatever links somebody put there.

use super::error::{Error, io};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// How a thing is opened to see what it is: without doing anything to it, where the system can.
#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const LOOK: OFlags = READ;

/// How a file is opened: a pipe or device that took its place meanwhile does not keep us waiting.
const READ: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A file or folder below the root.
pub(super) enum Found {
    /// A plain file, open for reading.
    File(File),
    /// A folder, open for reading.
    Folder(OwnedFd),
    /// Nothing of that name.
    Nothing,
}

/// Opens a folder by its path, which is trusted.
pub(super) fn open_root(dir: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(rustix::fs::CWD, dir, flags, Mode::empty()).map_err(|errno| io("open", dir)(errno.into()))
}

/// Opens what is at a path below the root; links are followed as long as they stay below it.
///
/// # Errors
/// It leads out, is neither file nor folder, or cannot be read.
pub(super) fn open(root: BorrowedFd<'_>, path: &Path) -> Result<Found, Error> {
    let shown = || path.display().to_string();
    let failed = |errno: Errno| match errno {
        Errno::XDEV | Errno::LOOP => Error::LeadsOut { path: shown() },
        Errno::NXIO => Error::NotAFile { path: shown(), kind: "a socket" },
        other => io("read", path)(other.into()),
    };
    let found = match resolve(root, path, LOOK) {
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let link = rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| stat.st_mode);
            return match link.map(FileType::from_raw_mode) {
                Ok(FileType::Symlink) => Err(Error::LeadsOut { path: shown() }),
                _ => Ok(Found::Nothing),
            };
        }
        other => other.map_err(failed)?,
    };
    let stat = rustix::fs::fstat(&found).map_err(failed)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Found::File(resolve(root, path, READ).map_err(failed)?.into())),
        FileType::Directory => {
            Ok(Found::Folder(resolve(root, path, READ | OFlags::DIRECTORY).map_err(failed)?))
        }
        other => Err(Error::NotAFile { path: shown(), kind: name_of(other) }),
    }
}

/// Opens a folder below another for writing into it, making those that are missing; no link is followed.
pub(super) fn make_folder(root: BorrowedFd<'_>, parts: &[&str]) -> Result<OwnedFd, Errno> {
    let mut folder = root.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
    for &part in parts {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = match openat(&folder, part, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
                    // Somebody else makes the same.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
                openat(&folder, part, flags, Mode::empty())?
            }
            other => other?,
        };
    }
    Ok(folder)
}

fn resolve(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    loop {
        use rustix::fs::ResolveFlags;
        let limits = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(root, path, flags, Mode::empty(), limits) {
            // Something was renamed while the kernel looked.
            Err(Errno::AGAIN) => {}
            // An old kernel, or a container that does not let us ask.
            Err(Errno::NOSYS | Errno::PERM) => break,
            other => return other,
        }
    }
    step_by_step(root, path, flags)
}

/// Where the system cannot resolve below a folder: then links are not followed at all.
fn step_by_step(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut folder = root.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
    if let Some(parent) = path.parent() {
        for part in parent.components() {
            let inner = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = openat(&folder, part.as_os_str(), inner, Mode::empty())?;
        }
    }
    let name = path.file_name().map_or(Path::new("."), Path::new);
    let kind = rustix::fs::statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode;
    if FileType::from_raw_mode(kind) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty())
}

/// What a thing that is no plain file is called.
pub(super) fn kind_of(kind: std::fs::FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_symlink() => "a symlink",
        () if kind.is_fifo() => name_of(FileType::Fifo),
        () if kind.is_socket() => name_of(FileType::Socket),
        () => name_of(FileType::CharacterDevice),
    }
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "neither file nor folder",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_old_systems_follows_no_link() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        std::fs::write(temp.path().join("a/f"), "x").unwrap();
        std::os::unix::fs::symlink("a", temp.path().join("l")).unwrap();
        std::os::unix::fs::symlink("f", temp.path().join("a/l")).unwrap();
        let root = open_root(temp.path()).unwrap();
        let open = |path: &str| step_by_step(root.as_fd(), Path::new(path), READ).map(drop);
        assert_eq!(open("a/f"), Ok(()));
        assert_eq!(open("a/l"), Err(Errno::LOOP));
        assert!(matches!(open("l/f"), Err(Errno::LOOP | Errno::NOTDIR)));
        assert_eq!(open("a/gone"), Err(Errno::NOENT));
    }
}
