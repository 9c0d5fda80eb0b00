//! A folder outside the gate's: where that one is too deep for a socket, or closed to the user that a database server has
//! to run as. Its place is noted in the gate's folder before it is made, so that whoever removes the one removes the
//! other, also after a crash.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The file in the gate's folder that says where the other is.
const NOTE: &str = "outside";
/// What such folders are called.
const NAME: &str = "tidegate-scratch-";

/// Makes one, closed to others.
pub(super) fn make(folder: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let place = base().join(format!("{NAME}{random}"));
    fs::write(folder.join(NOTE), place.as_os_str().as_bytes())?;
    DirBuilder::new().mode(0o700).create(&place)?;
    Ok(place)
}

/// `TMPDIR` of the gate, else a place that is on a disk and not in memory.
fn base() -> PathBuf {
    let declared = std::env::var_os("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    declared.unwrap_or_else(|| {
        let usual = Path::new("/var/tmp");
        if usual.is_dir() { usual.into() } else { "/tmp".into() }
    })
}

/// Removes the one that a gate's folder has, if it has one.
pub(in crate::interpreter) fn remove(folder: &Path) -> io::Result<()> {
    let note = folder.join(NOTE);
    let place = match fs::read(&note) {
        Ok(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // A step may have written there: only what we make is removed.
    let is_ours = place.file_name().is_some_and(|name| name.as_bytes().starts_with(NAME.as_bytes()));
    if is_ours && place.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(&place)?;
    }
    fs::remove_file(&note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_the_gates_folder_and_nothing_else_does() {
        let gate = tempfile::tempdir().unwrap();
        let place = make(gate.path()).unwrap();
        fs::write(place.join("x"), "x").unwrap();
        remove(gate.path()).unwrap();
        assert!(!place.exists());
        remove(gate.path()).unwrap();
        let other = gate.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(gate.path().join(NOTE), other.as_os_str().as_bytes()).unwrap();
        remove(gate.path()).unwrap();
        assert!(other.exists(), "what a step wrote into the note is not believed");
    }
}
