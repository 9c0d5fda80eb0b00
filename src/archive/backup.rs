//! Making a backup of a state folder, beside its controller or without one.
//!
//! The journal is copied first, as it is at one moment; logs and artifacts are only ever added to, so that what it refers
//! to is found after it. Retention may take something away in between: what was there before and is not after makes it
//! begin again with a new copy of the journal.

use super::folder::{self, FORMAT, Folder, Kept, Manifest};
use super::{Error, verify};
use crate::domain::Time;
use crate::journal::{self, Inspector};
use crate::settings::StateDir;
use chrono::SubsecRound;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The journal's name, in the state folder and in the backup.
pub(super) const JOURNAL: &str = "journal.db";

/// What stands in a state folder and is made anew: the journal is copied on its own, and the owner's token is no digest
/// but the token itself.
const LEFT_OUT: [&str; 7] =
    [JOURNAL, "journal.db-wal", "journal.db-shm", "lock", "reserve", "serving.json", "token"];

/// How often it begins again because something went away.
const TRIES: usize = 5;

/// What a backup came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Made {
    /// The last event in it.
    pub last: u64,
    /// The value of the chain at that event.
    pub hash: String,
    /// How many files it has.
    pub files: usize,
    /// How many of them were copied now; the others were there.
    pub copied: usize,
    /// Bytes that were copied.
    pub bytes: u64,
}

/// Makes a backup of a state folder into another folder, in which an earlier one may lie.
///
/// # Errors
/// Something cannot be read or written, the journal is not what was written, or the folder is of something else. The
/// backup that was there before is still there.
pub fn backup(state: &StateDir, into: &Path, now: Time) -> Result<Made, Error> {
    let now = now.trunc_subsecs(6);
    apart(state.path(), into)?;
    Inspector::open(state.path())?;
    let target = Folder::take(into)?;
    let earlier = folder::manifest(target.path())?;
    target.settle(earlier.as_ref())?;
    let round = Round { state, target: &target, earlier: earlier.as_ref() };
    let mut gone = None;
    for _ in 0..TRIES {
        match round.make(now)? {
            Ok((manifest, made)) => {
                target.publish(&manifest)?;
                return Ok(made);
            }
            Err(path) => gone = Some(path),
        }
    }
    Err(Error::Moving { path: state.path().join(gone.unwrap_or_default()) })
}

/// Refuses folders of which one lies in the other.
pub(super) fn apart(state: &Path, other: &Path) -> Result<(), Error> {
    let real = |path: &Path| {
        let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match there {
            Some((above, real)) if !above.as_os_str().is_empty() => {
                path.strip_prefix(above).map_or(real.clone(), |rest| real.join(rest))
            }
            _ => absolute,
        }
    };
    let (state, other) = (real(state), real(other));
    if state.starts_with(&other) || other.starts_with(&state) {
        return Err(Error::Within { folder: other });
    }
    Ok(())
}

/// One try.
struct Round<'a> {
    state: &'a StateDir,
    target: &'a Folder,
    earlier: Option<&'a Manifest>,
}

impl Round<'_> {
    /// The manifest of what is now beside the earlier backup; else a file that went away.
    fn make(&self, now: Time) -> Result<Result<(Manifest, Made), String>, Error> {
        let before: BTreeSet<String> = self.others()?.into_iter().collect();
        let copy = self.target.beside(JOURNAL)?;
        let inspector = Inspector::open(self.state.path())?;
        inspector.copy_to(&copy)?;
        if inspector.is_stale() {
            return Ok(Err(JOURNAL.to_owned()));
        }
        fs::set_permissions(&copy, Permissions::from_mode(0o600)).map_err(Error::io("protect", &copy))?;
        folder::sync(&copy)?;
        let proof = verify::verify_file(&copy)?;
        if let Some(first) = proof.defects.first() {
            let place = first.id.map(|id| format!(" at event {id}")).unwrap_or_default();
            return Err(Error::Unproven { first: format!("{}{place}", first.detail) });
        }
        if self.earlier.is_some_and(|earlier| earlier.instance != proof.instance) {
            return Err(Error::Another { folder: self.target.path().to_owned() });
        }
        let (size, sha256) = folder::digest(&copy).map_err(Error::io("read", &copy))?;
        let mut files = BTreeMap::from([(JOURNAL.to_owned(), Kept { size, sha256, modified_ns: None })]);
        let (mut copied, mut bytes) = (1, size);
        for name in self.others()?.into_iter().chain(before).collect::<BTreeSet<_>>() {
            let Some((kept, is_new)) = self.keep(&name)? else {
                if is_needed(&name) {
                    return Ok(Err(name));
                }
                continue;
            };
            if is_new {
                (copied, bytes) = (copied + 1, bytes + kept.size);
            }
            files.insert(name, kept);
        }
        let made = Made { last: proof.last.0, hash: proof.hash.clone(), files: files.len(), copied, bytes };
        let manifest = Manifest {
            format: FORMAT,
            release: env!("CARGO_PKG_VERSION").into(),
            instance: proof.instance,
            last: proof.last.0,
            hash: proof.hash,
            taken_at: now,
            files,
            sum: String::new(),
        };
        Ok(Ok((manifest, made)))
    }

    /// Sees to it that a file is in the backup, and says whether it was copied; none: it is gone.
    fn keep(&self, name: &str) -> Result<Option<(Kept, bool)>, Error> {
        let path = self.state.path().join(name);
        let about = match path.symlink_metadata() {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let earlier = self.earlier.and_then(|earlier| earlier.files.get(name));
        // An artifact never changes: that it was stored once more says nothing.
        let is_same = |kept: &&Kept| {
            let modified = folder::modified_ns(&about);
            kept.size == about.len() && (kept.modified_ns == Some(modified) || is_needed(name))
        };
        if let Some(kept) = earlier.filter(is_same).filter(|kept| self.target.has(name, kept)) {
            return Ok(Some((kept.clone(), false)));
        }
        let beside = self.target.beside(name)?;
        match folder::copy(&path, &beside) {
            Ok(kept) => Ok(Some((kept, true))),
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files beside the journal that cannot be made anew.
    fn others(&self) -> Result<Vec<String>, Error> {
        let root = self.state.path();
        let mut found = Vec::new();
        for folder in ["logs", "artifacts"] {
            let inside = folder::files_in(&root.join(folder))?;
            found.extend(inside.into_iter().map(|name| format!("{folder}/{name}")));
        }
        // What is being written is not in the journal.
        found.retain(|name| !name.starts_with("artifacts/incoming/"));
        for entry in fs::read_dir(root).map_err(Error::io("read", root))?.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && !LEFT_OUT.contains(&name.as_str()) && !name.ends_with(".new") {
                found.push(name);
            }
        }
        Ok(found)
    }
}

/// Whether the journal refers to a file by what it holds, so that it must be there. (Of a log it says so, too, and goes on
/// without one that retention removed.)
fn is_needed(name: &str) -> bool {
    name.starts_with("artifacts/sha256/")
}

impl From<journal::BadHead> for Error {
    fn from(bad: journal::BadHead) -> Error {
        Error::Damaged { files: vec![bad.to_string()] }
    }
}
