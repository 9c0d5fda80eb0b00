//! The refs of the mirror, read and written as files. It is our own repository, made with that format of refs, so this
//! saves a process for each question.

use super::*;
use std::time::SystemTime;

/// Whether the commit is kept.
pub(in crate::source) fn is_kept(mirror: &Path, sha: &str) -> bool {
    mirror.join("refs/keep").join(sha).exists()
        || packed(mirror, "refs/keep/").contains_key(keep_name(sha).as_bytes())
}

/// Keeps a commit whose objects are all there.
pub(super) fn keep(mirror: &Path, sha: &str) -> Result<(), Error> {
    let folder = mirror.join("refs/keep");
    let place = folder.join(sha);
    if place.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&folder).map_err(io("create", &folder))?;
    // Not named `*.lock`: git would take that for a writer at work.
    let fresh = mirror.join("keep.new");
    std::fs::write(&fresh, format!("{sha}\n")).map_err(io("write", &fresh))?;
    std::fs::rename(&fresh, &place).map_err(io("write", &place))
}

/// All kept commits.
pub(super) fn kept(mirror: &Path) -> Vec<String> {
    let mut all: Vec<String> = packed(mirror, "refs/keep/").into_values().collect();
    all.extend(loose_kept(mirror).into_iter().map(|(_, sha)| sha));
    all.sort_unstable();
    all.dedup();
    all
}

/// The commits that were kept last.
pub(super) fn newest_kept(mirror: &Path, limit: usize) -> Vec<String> {
    let mut loose = loose_kept(mirror);
    loose.sort_unstable_by(|a, b| b.cmp(a));
    let packed = packed(mirror, "refs/keep/").into_values();
    loose.into_iter().map(|(_, sha)| sha).chain(packed).take(limit).collect()
}

fn loose_kept(mirror: &Path) -> Vec<(SystemTime, String)> {
    let Ok(entries) = std::fs::read_dir(mirror.join("refs/keep")) else { return Vec::new() };
    let of = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok().filter(|name| is_full(name))?;
        Some((entry.metadata().ok()?.modified().ok()?, name))
    };
    entries.filter_map(|entry| of(entry.ok()?)).collect()
}

/// All tags, by full name; what an annotated one stands for is not looked up.
pub(in crate::source) fn tags(mirror: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut all = packed(mirror, "refs/tags/");
    let mut folders = vec![mirror.join("refs/tags")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if let (Ok(sha), Ok(name)) = (std::fs::read_to_string(&path), path.strip_prefix(mirror)) {
                let sha = sha.trim_end();
                if is_full(sha) {
                    use std::os::unix::ffi::OsStrExt;
                    all.insert(name.as_os_str().as_bytes().to_vec(), sha.to_owned());
                }
            }
        }
    }
    all
}

fn packed(mirror: &Path, prefix: &str) -> BTreeMap<Vec<u8>, String> {
    let bytes = std::fs::read(mirror.join("packed-refs")).unwrap_or_default();
    let mut found = BTreeMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let Some(space) = line.iter().position(|&byte| byte == b' ') else { continue };
        let (sha, name) = (&line[..space], &line[space + 1..]);
        if name.starts_with(prefix.as_bytes())
            && let Ok(sha) = std::str::from_utf8(sha)
            && is_full(sha)
        {
            found.insert(name.to_vec(), sha.to_owned());
        }
    }
    found
}

fn keep_name(sha: &str) -> String {
    format!("refs/keep/{sha}")
}

/// Deletes the lock files that an ended git left. Whoever calls holds the lock of the mirror, so nobody is at work.
pub(super) fn remove_stale_locks(mirror: &Path) -> Result<(), Error> {
    for name in ["HEAD.lock", "packed-refs.lock", "config.lock", "shallow.lock", "gc.pid"] {
        remove_file(&mirror.join(name))?;
    }
    let mut folders = vec![mirror.join("refs")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lock") {
                remove_file(&path)?;
            }
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("delete", path)(error)),
        _ => Ok(()),
    }
}
