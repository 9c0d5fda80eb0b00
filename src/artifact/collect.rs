//! Taking files out of a workspace.

use super::beneath::{self, Found};
use super::error::{Error, io};
use super::pattern::Pattern;
use super::{Artifact, Store};
use rustix::fs::{Dir, FileType};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most files that one pattern may name.
pub(super) const FILES_LIMIT: usize = 100_000;
/// Most names that are compared to find the nearest.
const NEAREST_LIMIT: usize = 5_000;

pub(super) fn collect(store: &Store, workspace: &Path, patterns: &[String]) -> Result<Vec<Artifact>, Error> {
    // All patterns are read before anything is stored.
    let patterns = patterns.iter().map(|text| Pattern::new(text)).collect::<Result<Vec<_>, _>>()?;
    let root = beneath::open_root(workspace)?;
    let mut taken: BTreeMap<String, Artifact> = BTreeMap::new();
    for pattern in &patterns {
        // They are counted first: nothing is stored of what is too much.
        let mut count = 0;
        each_file(root.as_fd(), pattern, &mut |_, _| {
            count += 1;
            let too_many = || Error::TooMany { pattern: pattern.text.clone(), limit: FILES_LIMIT };
            if count > FILES_LIMIT { Err(too_many()) } else { Ok(()) }
        })?;
        each_file(root.as_fd(), pattern, &mut |path, file| {
            let text = path.to_str().ok_or_else(|| not_utf8(path))?;
            if !taken.contains_key(text) {
                let stored = store.put(file, text)?;
                let executable = stored.mode & 0o111 != 0;
                let artifact =
                    Artifact { path: text.to_owned(), sha256: stored.sha256, size: stored.size, executable };
                taken.insert(text.to_owned(), artifact);
            }
            Ok(())
        })?;
        if count == 0 {
            return Err(Error::NothingMatches {
                pattern: pattern.text.clone(),
                nearest: nearest(root.as_fd(), pattern),
            });
        }
    }
    Ok(taken.into_values().collect())
}

fn not_utf8(path: &Path) -> Error {
    Error::BadPath { path: path.display().to_string(), why: "it is not UTF-8".into() }
}

type Visit<'a> = dyn FnMut(&Path, File) -> Result<(), Error> + 'a;

fn each_file(root: BorrowedFd<'_>, pattern: &Pattern, visit: &mut Visit<'_>) -> Result<(), Error> {
    let path = Path::new(&pattern.path);
    // A name with a `[` in it is first of all a name.
    match beneath::open(root, path)? {
        Found::File(file) => return visit(path, file),
        Found::Folder(folder) => return below(root, path, folder, &|_| true, visit),
        Found::Nothing if !pattern.is_glob() => return Ok(()),
        Found::Nothing => {}
    }
    let base = pattern.base();
    let opened =
        if base.is_empty() { Found::Folder(again(root)?) } else { beneath::open(root, Path::new(&base))? };
    match opened {
        Found::Folder(folder) => below(root, Path::new(&base), folder, &|path| pattern.matches(path), visit),
        _ => Ok(()),
    }
}

fn again(root: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    root.try_clone_to_owned().map_err(io("open", Path::new(".")))
}

/// Visits the files below a folder that are wanted. Folders behind links are not gone into, but an error if wanted.
fn below(
    root: BorrowedFd<'_>,
    start: &Path,
    folder: OwnedFd,
    wanted: &dyn Fn(&Path) -> bool,
    visit: &mut Visit<'_>,
) -> Result<(), Error> {
    let mut waiting: Vec<(PathBuf, Option<OwnedFd>)> = vec![(start.to_owned(), Some(folder))];
    while let Some((path, folder)) = waiting.pop() {
        let folder = match folder {
            Some(folder) => folder,
            None => match beneath::open(root, &path)? {
                Found::Folder(folder) => folder,
                _ => continue,
            },
        };
        for (name, kind) in entries(&folder, &path)? {
            let path = path.join(name);
            if kind == FileType::Directory {
                waiting.push((path, None));
            } else if wanted(&path) {
                match beneath::open(root, &path)? {
                    Found::File(file) => visit(&path, file)?,
                    Found::Folder(_) if kind == FileType::Unknown => waiting.push((path, None)),
                    Found::Folder(_) => {
                        let path = path.display().to_string();
                        return Err(Error::NotAFile { path, kind: "a symlink to a folder" });
                    }
                    Found::Nothing => {}
                }
            }
        }
    }
    Ok(())
}

/// The names in a folder, without git's own.
fn entries(folder: &OwnedFd, path: &Path) -> Result<Vec<(PathBuf, FileType)>, Error> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder).map_err(|errno| io("read", path)(errno.into()))? {
        let entry = entry.map_err(|errno| io("read", path)(errno.into()))?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b".." | b".git") {
            found.push((PathBuf::from(OsStr::from_bytes(name)), entry.file_type()));
        }
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// The name in the workspace that is most like what a pattern asks for.
fn nearest(root: BorrowedFd<'_>, pattern: &Pattern) -> Option<String> {
    let mut parent = PathBuf::new();
    let parts: Vec<&str> = pattern.path.split('/').collect();
    let mut folder = root.try_clone_to_owned().ok()?;
    for part in &parts {
        match beneath::open(root, &parent.join(part)) {
            Ok(Found::Folder(inner)) => (folder, parent) = (inner, parent.join(part)),
            _ => break,
        }
    }
    let missing = parts.get(parent.components().count())?;
    let names = entries(&folder, &parent).ok()?;
    let scored = names.iter().take(NEAREST_LIMIT).filter_map(|(name, _)| {
        let name = name.to_str()?;
        Some((strsim::jaro_winkler(missing, name), name))
    });
    let (score, name) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score > 0.6).then(|| parent.join(name).display().to_string())
}
