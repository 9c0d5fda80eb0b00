//! The mirror: a bare repository of ours, one a pipeline, that holds every commit we were asked to keep.
//!
//! A repository on this machine is read by running git in the mirror with the other's object folder borrowed
//! (`GIT_ALTERNATE_OBJECT_DIRECTORIES`): neither its configuration nor its hooks nor its owner matter then. What is new is
//! copied by one `git pack-objects`, a third of the time of a fetch. Anything else is fetched.
//!
//! A kept commit has a ref `refs/keep/SHA`, so a forced push on the other side takes nothing from us. The mirror is a
//! cache: whatever is wrong with it, it is thrown away and made again, once per question.
//!
//! Known races: a reader that is at work while a broken mirror is replaced fails, and its next try succeeds.

use super::error::{Error, io};
use super::heads;
use super::location::{Folders, Location};
use super::name::is_full;
use super::{Repo, call::Call};
use crate::domain::{PipelineName, Sha};
use bring::{bring, fetch, format_of, is_whole, make, quoted, set_tags, throw_away};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

mod bring;
mod lock;
mod refs;

pub(super) use refs::{is_kept, tags};

/// Where the mirror of a pipeline lies below the `work` folder of the state. Two pipelines never share one.
pub fn place(work: &Path, pipeline: &PipelineName) -> PathBuf {
    let mut name = String::new();
    for (index, byte) in pipeline.as_str().bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || byte == b'.' && index > 0;
        match plain {
            true => name.push(char::from(byte)),
            false => name.push_str(&format!("%{byte:02x}")),
        }
    }
    work.join("mirrors").join(name + ".git")
}

/// Sees to it that the mirror has the commit and keeps it. Costs no process if it does already.
///
/// # Errors
/// The commit cannot be had: unknown there, not reached, not let in.
pub async fn ensure(repo: &Repo, sha: &Sha) -> Result<(), Error> {
    if is_whole(repo) && is_kept(&repo.mirror, sha.as_str()) {
        return Ok(());
    }
    let lock = lock::take(&repo.mirror).await?;
    match bring(repo, sha.as_str(), &lock).await {
        Err(error) if speaks_of_mirror(repo, &error) => {
            tracing::warn!(mirror = %repo.mirror.display(), %error, "the mirror is broken and is made again");
            throw_away(&repo.mirror)?;
            bring(repo, sha.as_str(), &lock).await
        }
        other => other,
    }
}

/// Throws the mirror away, so that the next question makes it again: for when its objects turn out to be damaged.
///
/// # Errors
/// It cannot be deleted.
pub async fn discard(repo: &Repo) -> Result<(), Error> {
    let _lock = lock::take(&repo.mirror).await?;
    throw_away(&repo.mirror)
}

/// Brings the tags of the mirror up to date with the repository's, deleted ones included.
///
/// # Errors
/// The repository cannot be asked.
pub async fn fetch_tags(repo: &Repo) -> Result<(), Error> {
    let lock = lock::take(&repo.mirror).await?;
    make(repo, None).await?;
    match &repo.location {
        Location::Path(path) => {
            let folders = Folders::find(path)?;
            let theirs = heads::tags_in(repo, &folders.git).await?;
            set_tags(repo, &folders, &theirs).await
        }
        Location::Url(url) => fetch(repo, url, &["+refs/tags/*:refs/tags/*".into()], &lock).await,
    }
}

/// Lets go of all kept commits but these, and packs what is left. Objects younger than two days stay.
///
/// # Errors
/// Git fails; the mirror is as usable as before.
pub async fn tidy(repo: &Repo, keep: &[Sha]) -> Result<(), Error> {
    let lock = lock::take(&repo.mirror).await?;
    if !is_whole(repo) {
        return Ok(());
    }
    let mut edits = Vec::new();
    for sha in refs::kept(&repo.mirror) {
        if !keep.iter().any(|kept| kept.as_str() == sha) {
            edits.extend_from_slice(format!("delete refs/keep/{sha}\0\0").as_bytes());
        }
    }
    own(repo, "update-ref").args(["--stdin", "-z"]).input(edits).ok().await?;
    let gc = own(repo, "gc").args(["--quiet", "--prune=2.days.ago"]).time(repo.git.transfer_limit);
    gc.holding(lock.file()?).ok().await?;
    Ok(())
}

/// A git command in the mirror, for what is in it.
pub(super) fn own(repo: &Repo, what: &str) -> Call {
    repo.git.call(what, &repo.mirror, &repo.location.shown())
}

/// A git command in the mirror that also sees the objects of a repository on this machine. Makes the mirror if need be.
pub(super) async fn reader(repo: &Repo, what: &str) -> Result<Call, Error> {
    let folders = match &repo.location {
        Location::Path(path) => Some(Folders::find(path)?),
        Location::Url(_) => None,
    };
    let other_format =
        || folders.as_ref().is_some_and(|folders| format_of(&folders.common) != format_of(&repo.mirror));
    if !is_whole(repo) || other_format() {
        let _lock = lock::take(&repo.mirror).await?;
        make(repo, None).await?;
    }
    let call = own(repo, what);
    Ok(match folders {
        Some(folders) => call.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(&folders.objects())),
        None => call,
    })
}

/// Fetches all branches and tags of a remote, to find what an abbreviation means.
pub(super) async fn fetch_all(repo: &Repo, url: &str) -> Result<(), Error> {
    let lock = lock::take(&repo.mirror).await?;
    make(repo, None).await?;
    fetch(repo, url, &["+refs/heads/*:refs/seen/*".into(), "+refs/tags/*:refs/tags/*".into()], &lock).await
}

/// Whether the error is about the mirror and not about the repository that it mirrors.
pub(super) fn speaks_of_mirror(repo: &Repo, error: &Error) -> bool {
    match error {
        Error::NotARepository { .. } => {
            matches!(&repo.location, Location::Path(path) if Folders::find(path).is_ok())
        }
        Error::Failed { detail, .. } => {
            let detail = detail.to_ascii_lowercase();
            DAMAGE.iter().any(|text| detail.contains(text))
        }
        _ => false,
    }
}

/// How git speaks of damaged or missing objects and refs, in lower case.
const DAMAGE: [&str; 17] = [
    "index file",
    "failed to unpack",
    "failed to traverse",
    "bad object",
    "bad revision",
    "bad tree object",
    "is corrupt",
    "inflate",
    "unable to read",
    "unable to unpack",
    "unable to find",
    "could not read",
    "failed to read",
    "missing",
    "mismatched algorithms",
    "bad config line",
    "packfile",
];

#[cfg(test)]
mod tests;
