//! The file of a bundle: made beside its place under another name, for its owner only, and put there when it is whole.
//! What is there already stays unless it was asked otherwise; a link is replaced and never followed.

use super::Part;
use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a bundle whose files lie in a folder of that name.
pub(super) fn write(
    path: &Path,
    folder: &str,
    parts: &[Part],
    at: u64,
    is_forced: bool,
) -> Result<(), Trouble> {
    if fs::symlink_metadata(path).is_ok_and(|there| !is_forced || there.is_dir()) {
        return Err(occupied(path));
    }
    let fresh = beside(path);
    let mut options = File::options();
    // `create_new` follows no link.
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(|error| unwritten(path, &error))?;
    let placed = pack(file, folder, parts, at).and_then(|()| place(&fresh, path, is_forced));
    placed.map_err(|error| {
        // It is ours, and not whole or not wanted.
        let _ = fs::remove_file(&fresh);
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => occupied(path),
            _ => unwritten(path, &error),
        }
    })
}

/// A name that nobody else takes meanwhile.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

fn pack(file: File, folder: &str, parts: &[Part], at: u64) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(BufWriter::new(file), Compression::default()));
    for part in parts {
        let Ok(bytes) = &part.found else { continue };
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(at);
        archive.append_data(&mut header, format!("{folder}/{}", part.name), bytes.as_slice())?;
    }
    let mut buffer = archive.into_inner()?.finish()?;
    buffer.flush()?;
    buffer.get_ref().sync_all()
}

fn place(fresh: &Path, path: &Path, is_forced: bool) -> io::Result<()> {
    if is_forced {
        return fs::rename(fresh, path);
    }
    match renameat_with(CWD, fresh, CWD, path, RenameFlags::NOREPLACE) {
        // Some file systems cannot promise it: what came there within this moment is lost.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if fs::symlink_metadata(path).is_err() => {
            fs::rename(fresh, path)
        }
        placed => Ok(placed?),
    }
}

fn occupied(path: &Path) -> Trouble {
    let message = format!("failed to write `{}`: something is there already", path.display());
    let help = "name a file that is not there yet, or replace it with `--force`; a folder is not replaced";
    Trouble::new("TG-BUNDLE-001", message, help, Exit::Usage)
}

fn unwritten(path: &Path, error: &io::Error) -> Trouble {
    let message = format!("failed to write `{}`: {error}", path.display());
    let help = "name a file on a disk with room, in a folder that you may write to; nothing was left there";
    Trouble::new("TG-BUNDLE-002", message, help, Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn write_to(path: &Path, is_forced: bool) -> Result<(), String> {
        let part = Part { name: "a.json".into(), what: "a", found: Ok(b"{}".to_vec()) };
        write(path, "x", &[part], 0, is_forced).map_err(|trouble| trouble.code)
    }

    #[test]
    fn it_is_for_its_owner_and_takes_no_place_that_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.tar.gz");
        write_to(&path, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_to(&path, false).unwrap_err(), "TG-BUNDLE-001");
        write_to(&path, true).unwrap();
        assert_eq!(write_to(folder.path(), true).unwrap_err(), "TG-BUNDLE-001");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("b.tar.gz"), folder.path().join("target"));
        fs::write(&target, "kept").unwrap();
        symlink(&target, &path).unwrap();
        assert_eq!(write_to(&path, false).unwrap_err(), "TG-BUNDLE-001");
        write_to(&path, true).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_folder_that_is_not_there_is_said() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write_to(&folder.path().join("none/b"), false).unwrap_err(), "TG-BUNDLE-002");
    }
}
