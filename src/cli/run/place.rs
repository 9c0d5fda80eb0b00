//! Where `tidegate run` works: a folder for each pipeline file below the user's cache, kept for what the steps cache, and
//! for one run at a time. The folders of files that are gone go too.

use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use crate::journal;
use crate::journal::lock::StateLock;
use crate::settings::StateDir;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The file in such a folder that says which pipeline file it is for.
const OF: &str = "of";

/// A folder that is ours until this is dropped.
pub(super) struct Place {
    pub(super) state: StateDir,
    _lock: StateLock,
}

impl Place {
    pub(super) fn take(file: &Path) -> Result<Place, Trouble> {
        let all = cache_folder().join("tidegate/run");
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        remove_orphans(&all);
        let state = StateDir::new(all.join(short_digest(&file)));
        state.prepare()?;
        let lock = StateLock::acquire(state.path()).map_err(|error| match error {
            journal::Error::InUse { .. } => {
                let message = "this pipeline is being run already";
                Trouble::new(error.code(), message, "wait until that run has ended", Exit::Failed)
            }
            other => other.into(),
        })?;
        // Only what is cached is worth keeping.
        for folder in [state.logs(), state.artifacts()] {
            // What is not there need not be removed; what cannot be is in nobody's way.
            let _ = std::fs::remove_dir_all(folder);
        }
        state.prepare()?;
        // Without it the folder only stays for longer.
        let _ = std::fs::write(state.path().join(OF), file.as_os_str().as_bytes());
        Ok(Place { state, _lock: lock })
    }
}

/// Removes the folders of pipeline files that are gone. What cannot be removed is left: it is in nobody's way.
fn remove_orphans(all: &Path) {
    for folder in std::fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(of) = std::fs::read(folder.join(OF)) else { continue };
        let is_gone = PathBuf::from(OsString::from_vec(of)).symlink_metadata().is_err_and(|error| {
            // Only what was cached is lost where it comes back.
            error.kind() == std::io::ErrorKind::NotFound
        });
        // A run whose pipeline file was removed meanwhile still works there.
        if is_gone && let Ok(_lock) = StateLock::acquire(&folder) {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

fn cache_folder() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
}

/// What the folder of a file is called.
fn short_digest(file: &Path) -> String {
    Sha256::digest(file.as_os_str().as_encoded_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
