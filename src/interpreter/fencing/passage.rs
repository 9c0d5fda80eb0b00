//! Ways through the state folder for steps that run as another account: such a step passes through folders that it cannot
//! list, to one that is its own, and finds everything beside the way closed.
//!
//! A folder on a way has the mode 0711, a work folder that somebody was let into 0710; nothing else in the state folder is
//! open to anybody, and what is made there is made closed.

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, chmodat, fchmod, fchown, fstat, openat, statat,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A folder that everybody may pass through, and nobody may list.
const WAY: u32 = 0o711;
/// A folder that one group may pass through.
const LET_IN: u32 = 0o710;

/// Opens the way from the state folder to one below it, both included, after closing what lies beside it.
pub(super) fn open(state: &Path, to: &Path) -> io::Result<()> {
    let below = to.strip_prefix(state).map_err(|_| io::Error::other("it is not below the state folder"))?;
    let mut place = state.to_owned();
    pass(&place)?;
    for part in below.components() {
        place.push(part);
        pass(&place)?;
    }
    Ok(())
}

/// Whether a folder is on a way.
pub(super) fn is_open(folder: &Path) -> bool {
    ours(folder).and_then(|handle| Ok(fstat(&handle)?)).is_ok_and(|about| about.st_mode & 0o777 == WAY)
}

fn pass(folder: &Path) -> io::Result<()> {
    let handle = ours(folder)?;
    for entry in Dir::read_from(&handle)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        match statat(&handle, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) if has_to_be_closed(&about) => {
                let mode = Mode::from_raw_mode(about.st_mode & 0o700);
                match chmodat(&handle, entry.file_name(), mode, AtFlags::empty()) {
                    Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            _ => {}
        }
    }
    fchmod(&handle, Mode::from_raw_mode(WAY))?;
    Ok(())
}

/// Whether others can look into it and it is none of the folders that were opened on purpose. Only its owner puts
/// anything there: nothing becomes something else meanwhile.
fn has_to_be_closed(about: &Stat) -> bool {
    let (kind, mode) = (FileType::from_raw_mode(about.st_mode), about.st_mode & 0o777);
    let on_purpose = kind == FileType::Directory && matches!(mode, WAY | LET_IN);
    kind != FileType::Symlink
        && mode & 0o077 != 0
        && !on_purpose
        && about.st_uid == rustix::process::geteuid().as_raw()
}

/// Lets a group pass through a folder of ours. What is in it is for whoever put it there to close.
pub(super) fn let_in(folder: &Path, gid: u32) -> io::Result<()> {
    let handle = ours(folder)?;
    fchown(handle.as_fd(), None, Some(Gid::from_raw(gid)))?;
    fchmod(&handle, Mode::from_raw_mode(LET_IN))?;
    Ok(())
}

fn ours(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(CWD, folder, flags, Mode::empty())?;
    if fstat(&handle)?.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("`{}` is not ours", folder.display())));
    }
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn beside_a_way_everything_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let set = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        fs::create_dir_all(at("work/shop/builds/1")).unwrap();
        fs::create_dir_all(at("work/other/builds")).unwrap();
        fs::create_dir_all(at("work/shop/builds/2")).unwrap();
        fs::write(at("journal.db"), "x").unwrap();
        set("journal.db", 0o644);
        set("work/shop/builds/2", 0o755);
        open(dir.path(), &at("work/other/builds")).unwrap();
        open(dir.path(), &at("work/shop/builds")).unwrap();
        let_in(&at("work/shop/builds/1"), rustix::process::getegid().as_raw()).unwrap();
        open(dir.path(), &at("work/shop/builds")).unwrap();
        assert_eq!(mode("journal.db"), 0o600);
        assert_eq!(["", "work", "work/shop", "work/shop/builds", "work/other"].map(mode), [0o711; 5]);
        assert_eq!((mode("work/shop/builds/1"), mode("work/shop/builds/2")), (0o710, 0o700));
        open(dir.path(), Path::new("/etc")).unwrap_err();
    }
}
