//! Making a mirror, and bringing commits and tags into it: by copying from a folder on this machine, or by a fetch.

use super::*;
use crate::source::workspace::remove_now;

/// At most so many kept commits are named to git as what we have already; the newest.
const KNOWN_LIMIT: usize = 64;

/// Brings a commit and keeps it. Whoever calls holds the lock.
pub(super) async fn bring(repo: &Repo, sha: &str, lock: &lock::Held) -> Result<(), Error> {
    make(repo, Some(sha)).await?;
    match &repo.location {
        Location::Path(path) => {
            let folders = Folders::find(path)?;
            let wanted = [sha];
            let (copied, tags) =
                tokio::join!(copy(repo, &folders, &wanted), heads::tags_in(repo, &folders.git));
            match copied {
                Ok(()) => {}
                Err(error) if speaks_of_mirror(repo, &error) => {
                    // A shallow or partial repository cannot be copied so; git's own fetch knows how.
                    let wanted = [format!("+{sha}:refs/keep/{sha}")];
                    fetch(repo, &path_argument(path)?, &wanted, lock).await.map_err(|_| error)?;
                }
                Err(error) => return Err(error),
            }
            refs::keep(&repo.mirror, sha)?;
            let set = async { set_tags(repo, &folders, &tags?).await };
            if let Err(error) = set.await {
                // A build without the newest tags is better than none; a version from a tag asks for them itself.
                tracing::warn!(repo = %repo.location, %error, "tags were not copied");
            }
            Ok(())
        }
        Location::Url(url) => {
            if !has_commit(repo, sha).await? {
                fetch_commit(repo, url, sha, lock).await?;
            }
            refs::keep(&repo.mirror, sha)
        }
    }
}

/// Makes the mirror if it is not there or is of another object format. `sha` tells the format where nothing else does.
pub(super) async fn make(repo: &Repo, sha: Option<&str>) -> Result<(), Error> {
    let format = match &repo.location {
        Location::Path(path) => Some(format_of(&Folders::find(path)?.common)),
        Location::Url(_) => {
            sha.filter(|sha| is_full(sha)).map(|sha| if sha.len() == 64 { "sha256" } else { "sha1" })
        }
    };
    if is_whole(repo) {
        if format.is_none_or(|format| format == format_of(&repo.mirror)) {
            return refs::remove_stale_locks(&repo.mirror);
        }
        tracing::warn!(mirror = %repo.mirror.display(), "the repository changed its object format; the mirror is made again");
    }
    throw_away(&repo.mirror)?;
    let format = match format {
        Some(format) => format,
        None => heads::format_of_remote(repo).await?,
    };
    let parent = repo.mirror.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(io("create", parent))?;
    let fresh = repo.mirror.with_extension("new");
    remove_now(&fresh)?;
    let init = repo.git.call("init", &fresh, &fresh.display().to_string());
    // An empty template: the user's may hold hooks.
    let format = format!("--object-format={format}");
    init.args(["--quiet", "--bare", "--template=", &format]).ok().await?;
    std::fs::rename(&fresh, &repo.mirror).map_err(io("rename", &fresh))
}

pub(super) fn is_whole(repo: &Repo) -> bool {
    ["HEAD", "objects", "refs", "config"].iter().all(|part| repo.mirror.join(part).exists())
}

pub(super) fn throw_away(mirror: &Path) -> Result<(), Error> {
    if mirror.symlink_metadata().is_err() {
        return Ok(());
    }
    // Out of the way in one step, so that nobody sees half of it.
    let broken = mirror.with_extension("broken");
    remove_now(&broken)?;
    std::fs::rename(mirror, &broken).map_err(io("rename", mirror))?;
    remove_now(&broken)
}

/// `sha1` or `sha256`, as the repository's own configuration file says. Not asked of git: it would obey the rest of it.
pub(super) fn format_of(common: &Path) -> &'static str {
    let text = std::fs::read(common.join("config")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
    let mut in_extensions = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_extensions = line.starts_with("[extensions]");
        }
        let entry = line.strip_prefix("[extensions]").unwrap_or(line).trim_start();
        if in_extensions
            && let Some((key, value)) = entry.split_once('=')
            && key.trim() == "objectformat"
            && value.trim() == "sha256"
        {
            return "sha256";
        }
    }
    "sha1"
}

/// Copies commits and what they need from the borrowed object folder. Both packs and refs are written last to first, so
/// that one that was broken off leaves nothing but a temporary file.
async fn copy(repo: &Repo, folders: &Folders, wanted: &[&str]) -> Result<(), Error> {
    let mut input = String::new();
    for known in refs::newest_kept(&repo.mirror, KNOWN_LIMIT) {
        input.push_str(&format!("^{known}\n"));
    }
    for name in wanted {
        input.push_str(&format!("{name}\n"));
    }
    let call = own(repo, "pack-objects").args(["--revs", "--quiet", "--non-empty", "--delta-base-offset"]);
    let call = call.arg(repo.mirror.join("objects/pack/pack")).input(input.into_bytes());
    let call = call.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(&folders.objects()));
    match call.time(repo.git.transfer_limit).ok().await {
        Ok(_) => Ok(()),
        Err(Error::Failed { detail, .. }) if names_as_unknown(&detail, wanted) => {
            Err(Error::UnknownObject { name: wanted.join(" "), location: repo.location.shown() })
        }
        Err(error) => Err(error),
    }
}

/// Whether git says that it does not know one of these.
fn names_as_unknown(detail: &str, wanted: &[&str]) -> bool {
    let unknown =
        ["bad object", "bad revision", "not a valid object"].iter().any(|text| detail.contains(text));
    unknown && wanted.iter().any(|name| detail.contains(name))
}

/// Makes the tags of the mirror those that the repository has, by full name.
pub(super) async fn set_tags(
    repo: &Repo,
    folders: &Folders,
    theirs: &BTreeMap<Vec<u8>, String>,
) -> Result<(), Error> {
    let ours = tags(&repo.mirror);
    let is_new = |(name, sha): &(&Vec<u8>, &String)| ours.get(*name) != Some(*sha);
    let new: Vec<&str> = theirs.iter().filter(is_new).map(|(_, sha)| sha.as_str()).collect();
    if !new.is_empty() {
        copy(repo, folders, &new).await?;
    }
    let mut gone = Vec::new();
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        gone.extend_from_slice(b"delete ");
        gone.extend_from_slice(name);
        gone.extend_from_slice(b"\0\0");
    }
    if !gone.is_empty() {
        // First, and on their own: `a` must be gone before `a/b` can be.
        own(repo, "update-ref").args(["--stdin", "-z"]).input(gone).ok().await?;
    }
    let mut set = Vec::new();
    let mut count = 0;
    for (name, sha) in theirs.iter().filter(is_new) {
        set.extend_from_slice(b"update ");
        set.extend_from_slice(name);
        set.extend_from_slice(format!("\0{sha}\0\0").as_bytes());
        count += 1;
    }
    if count > 0 {
        own(repo, "update-ref").args(["--stdin", "-z"]).input(set).ok().await?;
    }
    if count > 100 {
        own(repo, "pack-refs").arg("--all").ok().await?;
    }
    Ok(())
}

async fn has_commit(repo: &Repo, sha: &str) -> Result<bool, Error> {
    let answer = own(repo, "cat-file").args(["-e", &format!("{sha}^{{commit}}")]).answer().await?;
    Ok(answer.status.success())
}

async fn fetch_commit(repo: &Repo, url: &str, sha: &str, lock: &lock::Held) -> Result<(), Error> {
    let tags = "+refs/tags/*:refs/tags/*".to_owned();
    let exact = [format!("+{sha}:refs/keep/{sha}"), tags.clone()];
    let refused = match fetch(repo, url, &exact, lock).await {
        Ok(()) => return Ok(()),
        Err(Error::Failed { detail, .. }) if detail.contains(sha) || detail.contains("not our ref") => detail,
        Err(error) => return Err(error),
    };
    // A server may refuse what no branch names now, or any commit by name: then a branch may still lead to it.
    tracing::debug!(repo = %repo.location, refused, "the commit cannot be fetched by name");
    fetch(repo, url, &["+refs/heads/*:refs/seen/*".to_owned(), tags], lock).await?;
    match has_commit(repo, sha).await? {
        true => Ok(()),
        false => Err(Error::UnknownObject { name: sha.to_owned(), location: repo.location.shown() }),
    }
}

pub(super) async fn fetch(
    repo: &Repo,
    from: &str,
    refspecs: &[String],
    lock: &lock::Held,
) -> Result<(), Error> {
    let call =
        own(repo, "fetch").args(["--quiet", "--no-auto-gc", "--no-write-fetch-head", "--no-tags", "--prune"]);
    let call = call.arg("--update-shallow");
    let call = call.args(["--no-recurse-submodules", "--end-of-options", from]).args(refspecs);
    // The process holds the lock too: if this controller is killed, the next one waits for it.
    call.holding(lock.file()?).time(repo.git.transfer_limit).ok().await?;
    Ok(())
}

fn path_argument(path: &Path) -> Result<String, Error> {
    let whole = std::path::absolute(path).map_err(io("find", path))?;
    let why = "its path is not UTF-8";
    whole
        .into_os_string()
        .into_string()
        .map_err(|_| Error::BadLocation { location: path.display().to_string(), why })
}

/// A folder as git wants it in a list of object folders.
pub(super) fn quoted(path: &Path) -> std::ffi::OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut text = vec![b'"'];
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', byte]),
            b'\n' => text.extend(b"\\n"),
            _ => text.push(byte),
        }
    }
    text.push(b'"');
    std::ffi::OsString::from_vec(text)
}
