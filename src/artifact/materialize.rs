//! Putting artifacts into a folder.

use super::error::{Error, io};
use super::{Artifact, Store, beneath, pattern};
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

pub(super) fn materialize(store: &Store, artifacts: &[Artifact], into: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(into).map_err(io("create", into))?;
    let root = beneath::open_root(into)?;
    for artifact in artifacts {
        let parts = pattern::parts(&artifact.path)?;
        let (name, folders) = parts.split_last().expect("BUG: a path has a part");
        let failed = |errno: Errno| match errno {
            Errno::LOOP => Error::LeadsOut { path: artifact.path.clone() },
            Errno::NOTDIR => Error::BadPath {
                path: artifact.path.clone(),
                why: "something that is no folder is in the way".into(),
            },
            other => io("write", &into.join(&artifact.path))(other.into()),
        };
        let folder = beneath::make_folder(root.as_fd(), folders).map_err(failed)?;
        place(store, artifact, folder.as_fd(), name, &failed)?;
    }
    Ok(())
}

fn place(
    store: &Store,
    artifact: &Artifact,
    folder: BorrowedFd<'_>,
    name: &str,
    failed: &dyn Fn(Errno) -> Error,
) -> Result<(), Error> {
    // Beside its place until it is whole; of that name nobody else makes one.
    let fresh = format!(".tidegate-{}-{}", std::process::id(), &artifact.sha256.get(..16).unwrap_or("x"));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match unlinkat(folder, &fresh, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let mut file = File::from(openat(folder, &fresh, flags, Mode::from_raw_mode(0o600)).map_err(failed)?);
    let mode = Mode::from_raw_mode(if artifact.executable { 0o755 } else { 0o644 });
    let whole = store.copy_out(&artifact.sha256, &mut file).and_then(|_| {
        rustix::fs::fchmod(&file, mode).map_err(failed)?;
        renameat(folder, &fresh, folder, name).map_err(failed)
    });
    if whole.is_err() {
        // Half a file helps nobody.
        let _ = unlinkat(folder, &fresh, AtFlags::empty());
    }
    whole
}
