//! Files that become an account's, and ours again.
//!
//! The account may be at work in there meanwhile, or may have been: so everything goes by handles of what was looked at,
//! no link is followed, and a file that has another name somewhere is left alone: it may be somebody else's, put there
//! to be given away with the rest.

use crate::runner::Account;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, fstat, linkat, mkdirat,
    openat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Folders nested deeper stay whose they are.
const DEEPEST: usize = 128;

/// Gives a folder of ours with all below to an account, and closes it to others.
pub(super) fn give(folder: &Path, account: &Account) -> io::Result<()> {
    let ours = rustix::process::geteuid().as_raw();
    change(folder, ours, account.uid, account.gid)?;
    match folder_in(CWD, folder) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
        // Others of its group may get this far.
        Ok(handle) => Ok(fchmod(&handle, Mode::RWXU)?),
    }
}

/// Takes back what belongs to that user.
pub(super) fn take_back(folder: &Path, uid: u32) -> io::Result<()> {
    let (ours, group) = (rustix::process::geteuid(), rustix::process::getegid());
    change(folder, uid, ours.as_raw(), group.as_raw())
}

fn change(folder: &Path, from: u32, uid: u32, gid: u32) -> io::Result<()> {
    let walk = Walk { from, to: (Uid::from_raw(uid), Gid::from_raw(gid)) };
    match look(CWD, folder) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(found) => Ok(walk.one(found, 0)?),
    }
}

struct Walk {
    from: u32,
    to: (Uid, Gid),
}

impl Walk {
    fn one(&self, found: Found, depth: usize) -> Result<(), Errno> {
        let Found { handle, owner, is_folder, names } = found;
        if owner == self.from && (is_folder || names == 1) {
            chownat(&handle, c"", Some(self.to.0), Some(self.to.1), AtFlags::EMPTY_PATH)?;
        }
        if !is_folder || depth >= DEEPEST {
            return Ok(());
        }
        let folder = openat(&handle, c".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        drop(handle);
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            if is_dots(entry.file_name()) {
                continue;
            }
            match look(folder.as_fd(), entry.file_name()) {
                Ok(found) => self.one(found, depth + 1)?,
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// What was looked at: it cannot become something else.
struct Found {
    handle: OwnedFd,
    owner: u32,
    is_folder: bool,
    names: u64,
}

fn look(folder: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<Found, Errno> {
    let handle = openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let about = fstat(&handle)?;
    let is_folder = FileType::from_raw_mode(about.st_mode) == FileType::Directory;
    #[expect(clippy::useless_conversion, reason = "its width is another on other processors")]
    let names = u64::from(about.st_nlink);
    Ok(Found { handle, owner: about.st_uid, is_folder, names })
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Makes a folder that belongs to an account alone. What is in it already stays as it is.
pub(super) fn own_folder(folder: &Path, account: &Account) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = openat(CWD, folder, flags, Mode::empty())?;
    fchown(&handle, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)))?;
    Ok(())
}

/// Gives a checkout that borrows the objects of a mirror its own names for them, so that whoever has the checkout needs
/// no way to the mirror. They stay ours, and cannot be changed by others. Nothing happens where nothing is borrowed.
pub(super) fn with_objects_of_its_own(checkout: &Path, mirror: &Path) -> io::Result<()> {
    let borrows = checkout.join(".git/objects/info/alternates");
    if fs::symlink_metadata(borrows).is_err() {
        return Ok(());
    }
    let here = folder_in(folder_in(folder_in(CWD, checkout)?.as_fd(), c".git")?.as_fd(), c"objects")?;
    let there = folder_in(CWD, mirror)?;
    for entry in Dir::read_from(&there)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_dots(name) || name == c"info" {
            continue;
        }
        let from = match folder_in(there.as_fd(), name) {
            Err(Errno::NOTDIR | Errno::NOENT) => continue,
            found => found?,
        };
        match mkdirat(&here, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let to = folder_in(here.as_fd(), name)?;
        for entry in Dir::read_from(&from)? {
            let entry = entry?;
            let name = entry.file_name();
            // What is being written there has no name of its own yet, or is gone by now.
            if is_dots(name) || name.to_bytes().starts_with(b"tmp_") {
                continue;
            }
            match linkat(&from, name, &to, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::EXIST | Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    unlinkat(folder_in(here.as_fd(), c"info")?, c"alternates", AtFlags::empty())?;
    Ok(())
}

fn folder_in(folder: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    openat(folder, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[test]
    fn what_has_another_name_elsewhere_is_not_given_away() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("w/deep")).unwrap();
        for name in ["w/deep/own", "elsewhere", "target"] {
            fs::write(at(name), "x").unwrap();
        }
        fs::hard_link(at("elsewhere"), at("w/twin")).unwrap();
        symlink("../target", at("w/link")).unwrap();
        let nobody = Account { name: "nobody".into(), uid: 65534, gid: 65534, groups: vec![] };
        give(&at("w"), &nobody).unwrap();
        let owner = |name: &str| fs::symlink_metadata(at(name)).unwrap().uid();
        assert_eq!(["w", "w/deep", "w/deep/own", "w/link"].map(owner), [65534; 4]);
        assert_eq!(fs::metadata(at("w")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(["elsewhere", "w/twin", "target"].map(owner), [0; 3]);
        take_back(&at("w"), 65534).unwrap();
        assert_eq!(["w", "w/deep", "w/deep/own", "w/link"].map(owner), [0; 4]);
        give(&at("is-not-there"), &nobody).unwrap();
    }
}
