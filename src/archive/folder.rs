//! A folder that a backup lies in: `backup.json`, which says what is in it, and the files at the places that they have in
//! the state folder.
//!
//! # How it is never without a backup
//!
//! Nothing that the manifest names is touched before there is a new one. What differs is written beside, with `.next` at
//! the end of its name; when all of it is on the disk, the new manifest takes the place of the old one in one step, and
//! that is the moment from which the new backup is there. Only then the files get their names, and what is not named any
//! more goes. Interrupted before that moment, the old manifest and its files are as they were; after it, each file is
//! found under one of its two names, by what it holds.

use super::Error;
use crate::journal::Head;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// The form of the manifest that this release writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// Name of the manifest.
const MANIFEST: &str = "backup.json";

/// Name of the file that whoever makes a backup has locked; it tells a first backup that was interrupted from a folder
/// with something else in it.
const LOCK: &str = "backup.lock";

/// What the name of a file ends with that is not in its place yet.
const NEXT: &str = ".next";

/// Bytes copied at once.
const BLOCK: usize = 256 << 10;

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub format: u32,
    /// The release that made it.
    pub release: String,
    /// The journal's instance id.
    pub instance: String,
    /// The last event in it.
    pub last: u64,
    /// The value of the chain at that event.
    pub hash: String,
    /// When it was begun: nothing that happened before is missing in it.
    pub taken_at: crate::domain::Time,
    /// Every file, by its path.
    pub files: BTreeMap<String, Kept>,
    /// SHA-256 of this text with nothing in this place, hex.
    #[serde(default)]
    pub sum: String,
}

impl Manifest {
    fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("BUG: a manifest is JSON")
    }

    /// With its sum.
    fn summed(mut self) -> Manifest {
        self.sum = String::new();
        self.sum = hex(&Sha256::digest(self.text()));
        self
    }

    /// The head of its journal.
    pub(super) fn head(&self) -> Option<Head> {
        format!("{}:{}", self.last, self.hash).parse().ok()
    }
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its content, hex.
    pub sha256: String,
    /// When the file that it is a copy of was changed last, in nanoseconds since 1970: how the next backup sees that it
    /// has it already. None: it is looked at anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_ns: Option<i64>,
}

/// The folder, locked as long as this lives.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder for a backup, making it if it is not there.
    pub(super) fn take(path: &Path) -> Result<Folder, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("make", path))?;
        let there = |name: &str| path.join(name).symlink_metadata().is_ok();
        let is_empty = fs::read_dir(path).map_err(Error::io("read", path))?.next().is_none();
        if !is_empty && !there(LOCK) && !there(MANIFEST) {
            return Err(Error::NotABackup { folder: path.to_owned() });
        }
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(Error::io("protect", path))?;
        let place = path.join(LOCK);
        let lock = private().create(true).truncate(false).open(&place).map_err(Error::io("open", &place))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Folder { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Busy { folder: path.to_owned() }),
            Err(errno) => Err(Error::io("lock", &place)(errno.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file is written before it gets its place; the folders that lead there are made.
    pub(super) fn beside(&self, name: &str) -> Result<PathBuf, Error> {
        let place = next_to(&self.path.join(name));
        if let Some(parent) = place.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(Error::io("make", parent))?;
        }
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &place)(error)),
            _ => Ok(place),
        }
    }

    /// Whether a file of the earlier backup is there, as far as its size tells.
    pub(super) fn has(&self, name: &str, kept: &Kept) -> bool {
        self.path.join(name).symlink_metadata().is_ok_and(|found| found.is_file() && found.len() == kept.size)
    }

    /// Brings an earlier backup to its end that was interrupted, and removes what another left.
    pub(super) fn settle(&self, manifest: Option<&Manifest>) -> Result<(), Error> {
        for name in files_in(&self.path)? {
            let Some(place) = name.strip_suffix(NEXT) else { continue };
            let path = self.path.join(&name);
            let kept = manifest.and_then(|manifest| manifest.files.get(place));
            let is_meant = kept.is_some_and(|kept| digest(&path).is_ok_and(|found| found == same(kept)));
            let done =
                if is_meant { fs::rename(&path, self.path.join(place)) } else { fs::remove_file(&path) };
            done.map_err(Error::io("put in place", &path))?;
        }
        Ok(())
    }

    /// Makes a manifest the one of this folder: from here on that backup is there. What is not in it goes.
    pub(super) fn publish(&self, manifest: &Manifest) -> Result<(), Error> {
        sync_below(&self.path)?;
        let (path, beside) = (self.path.join(MANIFEST), self.beside(MANIFEST)?);
        let text = manifest.clone().summed().text();
        let written = private().create_new(true).open(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&beside, &path)).map_err(Error::io("write", &path))?;
        sync(&self.path)?;
        for name in files_in(&self.path)? {
            let path = self.path.join(&name);
            if let Some(place) = name.strip_suffix(NEXT) {
                fs::rename(&path, self.path.join(place)).map_err(Error::io("put in place", &path))?;
            } else if name != MANIFEST && name != LOCK && !manifest.files.contains_key(&name) {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// The manifest of a folder, if there is one.
pub(super) fn manifest(folder: &Path) -> Result<Option<Manifest>, Error> {
    let path = folder.join(MANIFEST);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    let damaged =
        |error: serde_json::Error| Error::Damaged { files: vec![format!("`{MANIFEST}` ({error})")] };
    let Form { format } = serde_json::from_str(&text).map_err(damaged)?;
    if format > FORMAT {
        return Err(Error::Newer { format });
    }
    let manifest: Manifest = serde_json::from_str(&text).map_err(damaged)?;
    if manifest.sum != manifest.clone().summed().sum {
        return Err(Error::Damaged { files: vec![format!("`{MANIFEST}` is not what was written")] });
    }
    match manifest.files.keys().find(|name| !is_inside(name)) {
        Some(name) => Err(Error::Damaged { files: vec![format!("`{name}` leads elsewhere")] }),
        None if manifest.head().is_none() => {
            Err(Error::Damaged { files: vec![format!("`{MANIFEST}` (no head)")] })
        }
        None => Ok(Some(manifest)),
    }
}

/// Where a file of a backup is: at its place, or beside it. None: neither is what was copied.
pub(super) fn find(folder: &Path, name: &str, kept: &Kept) -> Option<PathBuf> {
    let place = folder.join(name);
    [next_to(&place), place].into_iter().find(|path| digest(path).is_ok_and(|found| found == same(kept)))
}

/// Copies a plain file to a place where nothing is, for its owner only, and to the disk. Gives what was copied.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Kept, Error> {
    let mut reader = plain(from).map_err(Error::io("read", from))?;
    let about = reader.metadata().map_err(Error::io("read", from))?;
    let mut writer = private().create_new(true).open(to).map_err(Error::io("write", to))?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut block = vec![0; BLOCK];
    loop {
        let length = reader.read(&mut block).map_err(Error::io("read", from))?;
        if length == 0 {
            break;
        }
        hash.update(&block[..length]);
        size += length as u64;
        writer.write_all(&block[..length]).map_err(Error::io("write", to))?;
    }
    writer.sync_all().map_err(Error::io("sync", to))?;
    Ok(Kept { size, sha256: hex(&hash.finalize()), modified_ns: Some(modified_ns(&about)) })
}

/// When a file was changed last.
pub(super) fn modified_ns(about: &fs::Metadata) -> i64 {
    about.mtime().saturating_mul(1_000_000_000).saturating_add(about.mtime_nsec())
}

/// The size and digest of a plain file.
pub(super) fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = plain(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut size = 0;
    loop {
        let length = file.read(&mut block)?;
        if length == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(&block[..length]);
        size += length as u64;
    }
}

/// The paths of all plain files below a folder, seen from it. Links and what else there is are passed over, and so are
/// names that are no text.
pub(super) fn files_in(folder: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let path = folder.join(&below);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Error::io("read", &path))?;
            let place = below.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(place),
                Ok(kind) if kind.is_file() => found.extend(place.into_os_string().into_string().ok()),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Has the names in a folder, and in those below it, written to the disk.
pub(super) fn sync_below(folder: &Path) -> Result<(), Error> {
    sync(folder)?;
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_below(&entry.path())?;
        }
    }
    Ok(())
}

/// Has a file, or the names in a folder, written to the disk.
pub(super) fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))
}

/// A file that only its owner may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn plain(path: &Path) -> io::Result<File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).expect("BUG: flags of open are an int");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no plain file")),
    }
}

fn same(kept: &Kept) -> (u64, String) {
    (kept.size, kept.sha256.clone())
}

fn next_to(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(NEXT);
    name.into()
}

fn is_inside(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
