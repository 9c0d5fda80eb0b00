//! Going on from a backup.
//!
//! Everything is checked against the manifest before anything is put anywhere. Then it is copied into a folder of its own
//! in the state folder, the journal there gets the event with which a new epoch of ids begins, and is proven; only then
//! the files are given their places, the journal as the last one. While that folder is there, no controller begins on the
//! state folder ([`StateDir::prepare`] refuses it), and another restore clears away what an interrupted one put in place.

use super::folder;
use super::{Error, backup::JOURNAL, backup::apart, verify};
use crate::domain::{Envelope, Event, EventId, Fact, Time};
use crate::engine::record;
use crate::journal::lock::StateLock;
use crate::journal::{Head, Inspector, Journal, SqliteJournal};
use crate::settings::StateDir;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What may be in a state folder that is restored into: it is made anew, or says nothing of the past.
const HARMLESS: [&str; 4] = ["lock", "reserve", "token", "backup.lock"];

/// Folders that a state folder has; those without files are no reason to refuse it.
const FOLDERS: [&str; 4] = ["logs", "artifacts", "work", "ssh"];

/// What a restore came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// The last event of the backup.
    pub last: u64,
    /// The event with which the new epoch begins.
    pub event: u64,
    /// When the backup was made.
    pub taken_at: String,
    /// How many files were put in place.
    pub files: usize,
}

/// Restores a backup into a state folder that has nothing in it.
///
/// # Errors
/// The backup is not whole, the folder is not empty or a controller has it, or something cannot be written.
pub async fn restore(from: &Path, state: &StateDir, now: Time) -> Result<Restored, Error> {
    apart(state.path(), from)?;
    let manifest = folder::manifest(from)?.ok_or_else(|| Error::NotABackup { folder: from.to_owned() })?;
    let head = manifest.head().ok_or(crate::journal::BadHead)?;
    let sources = check(from, &manifest)?;
    let lock = StateLock::acquire(state.path())?;
    let staging = clear(state)?;
    for (name, path) in &sources {
        let to = staging.join(name);
        make_parent(&to)?;
        let copied = folder::copy(path, &to)?;
        let kept = &manifest.files[name];
        if (copied.size, &copied.sha256) != (kept.size, &kept.sha256) {
            return Err(Error::Damaged { files: vec![format!("`{name}` changed while it was copied")] });
        }
    }
    let event = begin_epoch(&staging, head, manifest.taken_at, now).await?;
    folder::sync_below(&staging)?;
    for name in sources.iter().map(|(name, _)| name).filter(|name| *name != JOURNAL) {
        put(&staging, state.path(), name)?;
    }
    for folder in [state.logs(), state.artifacts()].iter().filter(|folder| folder.exists()) {
        folder::sync_below(folder)?;
    }
    folder::sync(state.path())?;
    put(&staging, state.path(), JOURNAL)?;
    folder::sync(state.path())?;
    fs::remove_dir_all(&staging).map_err(Error::io("remove", &staging))?;
    drop(lock);
    Ok(Restored {
        last: manifest.last,
        event: event.0,
        taken_at: crate::wire::time_text(manifest.taken_at),
        files: sources.len(),
    })
}

/// Compares every file of a backup with its manifest; gives where each is.
fn check(from: &Path, manifest: &folder::Manifest) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut sources = Vec::new();
    let mut bad = Vec::new();
    for (name, kept) in &manifest.files {
        match folder::find(from, name, kept) {
            Some(path) => sources.push((name.clone(), path)),
            None if from.join(name).exists() => bad.push(format!("`{name}` is not what was copied")),
            None => bad.push(format!("`{name}` is missing")),
        }
    }
    if !manifest.files.contains_key(JOURNAL) {
        bad.push(format!("`{JOURNAL}` is not named"));
    }
    if bad.is_empty() { Ok(sources) } else { Err(Error::Damaged { files: bad }) }
}

/// Refuses a folder with something in it; clears away what an interrupted restore put there. Gives the folder in which
/// everything is made ready.
pub(super) fn clear(state: &StateDir) -> Result<PathBuf, Error> {
    let (root, staging) = (state.path(), state.restoring());
    let found = folder::files_in(root)?;
    let is_harmless = |name: &&String| {
        HARMLESS.contains(&name.as_str()) || name.starts_with("work/") || name.starts_with("ssh/")
    };
    if staging.exists() {
        for name in found.iter().filter(|name| !is_harmless(name)) {
            let path = root.join(name);
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        fs::remove_dir_all(&staging).map_err(Error::io("remove", &staging))?;
    } else if let Some(there) = found.into_iter().find(|name| !is_harmless(&name)) {
        return Err(Error::Full { folder: root.to_owned(), there });
    }
    for entry in fs::read_dir(root).map_err(Error::io("read", root))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = HARMLESS.contains(&name.as_str()) || FOLDERS.contains(&name.as_str());
        if !is_ours {
            return Err(Error::Full { folder: root.to_owned(), there: name });
        }
    }
    DirBuilder::new().mode(0o700).create(&staging).map_err(Error::io("make", &staging))?;
    Ok(staging)
}

/// Adds the event with which the journal goes on, and proves it.
async fn begin_epoch(staging: &Path, head: Head, taken_at: Time, now: Time) -> Result<EventId, Error> {
    let damaged = |detail: String| Error::Damaged { files: vec![format!("`{JOURNAL}`: {detail}")] };
    if let Some(defect) = verify::verify_file(&staging.join(JOURNAL))?.defects.first() {
        return Err(damaged(defect.detail.clone()));
    }
    let journal = SqliteJournal::open(staging)?;
    if journal.chain().head != head {
        return Err(damaged("it does not end with the head that the backup names".into()));
    }
    let envelope = Envelope {
        id: head.id.next_epoch(),
        at: now,
        fact: Fact {
            pipeline: None,
            by: Some("restore".into()),
            why: None,
            event: Event::JournalRestored { last: head.id, taken_at },
        },
    };
    journal.append(vec![record(&envelope)]).await?;
    journal.close().await?;
    drop(journal);
    let before = Inspector::open(staging)?.before()?;
    let noted: BTreeSet<_> = [before.id, head.id].into();
    let expected: Vec<Head> = if noted.len() == 2 { vec![before, head] } else { vec![head] };
    match verify::verify(staging, &expected)?.defects.first() {
        Some(defect) => Err(damaged(defect.detail.clone())),
        None => Ok(envelope.id),
    }
}

pub(super) fn put(staging: &Path, root: &Path, name: &str) -> Result<(), Error> {
    let to = root.join(name);
    make_parent(&to)?;
    fs::rename(staging.join(name), &to).map_err(Error::io("put in place", &to))
}

fn make_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(path);
    let made: io::Result<()> = DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(Error::io("make", parent))
}
