//! The Unix socket of a controller, made: under another name until nobody else can reach it, then put in its place. What
//! a controller that is gone left there is replaced; what one that lives has is not touched.
//!
//! Known race: two controllers that start in the same moment on one socket may both find nobody there. The later one has
//! it then, and the other is reached by its address only.

use super::super::Exit;
use super::super::trouble::Trouble;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Connections that may wait to be taken.
const BACKLOG: i32 = 1024;

/// The file of a socket, which goes away with this.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number: what is there later may be another controller's.
    file: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.file) {
            // One that stays is replaced by the next controller.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens there.
pub(super) fn listen(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), Trouble> {
    let refused = |what: String| {
        let message = format!("failed to listen on the socket `{}`: {what}", path.display());
        let help = "name a path in a folder that only the controller's user may write to, with `--unix` or \
                    `unix.socket`";
        Trouble::new("TG-SERVE-010", message, help, Exit::Failed)
    };
    check_folder(path).map_err(refused)?;
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(refused("what is there is no socket".into()));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            let message =
                format!("failed to listen on the socket `{}`: another program does", path.display());
            let help = "end it, or name another path with `--unix` or `unix.socket`";
            return Err(Trouble::new("TG-SERVE-011", message, help, Exit::Failed));
        }
        // Nobody listens there any more, or there is nothing.
        Ok(_) | Err(_) => {}
    }
    make(path, mode).map_err(|error| refused(error.to_string()))
}

/// Whoever may write to its folder could put another socket in its place, and be shown what is meant for the controller.
pub(in crate::cli) fn check_folder(path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let said = |what: &str| format!("the folder `{}` {what}", folder.display());
    let there = fs::metadata(folder).map_err(|error| said(&format!("cannot be used: {error}")))?;
    let is_ours = there.uid() == 0 || there.uid() == rustix::process::geteuid().as_raw();
    if !is_ours {
        return Err(said("belongs to another user"));
    }
    if there.mode() & 0o022 != 0 {
        return Err(said("may be written to by others"));
    }
    Ok(())
}

fn make(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&fresh)?)?;
    // Nobody can connect before it listens.
    fs::set_permissions(&fresh, Permissions::from_mode(mode))?;
    rustix::net::listen(&socket, BACKLOG)?;
    let made = fs::symlink_metadata(&fresh)?;
    fs::rename(&fresh, path)?;
    let file = SocketFile { path: path.to_owned(), file: (made.dev(), made.ino()) };
    Ok((UnixListener::from(socket), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn a_socket_is_there_for_whom_its_mode_says_and_goes_with_its_controller() {
        let folder = folder();
        let path = folder.path().join("s");
        for mode in [0o600, 0o660, 0o666] {
            let (listener, file) = listen(&path, mode).ok().unwrap();
            assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, mode);
            assert!(UnixStream::connect(&path).is_ok());
            drop((listener, file));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_a_dead_controller_left_is_replaced_and_a_living_one_is_left_alone() {
        let folder = folder();
        let path = folder.path().join("s");
        let (listener, file) = listen(&path, 0o600).ok().unwrap();
        std::mem::forget(file);
        assert_eq!(listen(&path, 0o600).err().unwrap().code, "TG-SERVE-011");
        assert!(UnixStream::connect(&path).is_ok(), "it goes on");
        drop(listener);
        assert!(UnixStream::connect(&path).is_err(), "it is left behind");
        let (_listener, _file) = listen(&path, 0o600).ok().unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn the_socket_of_another_stays_when_ours_ends() {
        let folder = folder();
        let path = folder.path().join("s");
        let (listener, file) = listen(&path, 0o600).ok().unwrap();
        fs::remove_file(&path).unwrap();
        let (_theirs, _file) = listen(&path, 0o600).ok().unwrap();
        drop((listener, file));
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_place_that_others_can_change_is_refused_and_so_is_a_file() {
        let folder = folder();
        let path = folder.path().join("s");
        for mode in [0o777, 0o1777, 0o775] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(listen(&path, 0o600).err().unwrap().code, "TG-SERVE-010", "{mode:o}");
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(&path, "kept").unwrap();
        assert_eq!(listen(&path, 0o600).err().unwrap().code, "TG-SERVE-010");
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        assert_eq!(listen(&folder.path().join("none/s"), 0o600).err().unwrap().code, "TG-SERVE-010");
    }
}
