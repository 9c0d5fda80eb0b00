//! The refs of a repository: for polling, for the default branch, and for tags at a commit.
//!
//! A repository on this machine is asked in place by `for-each-ref` and `symbolic-ref`, which run nothing that its
//! configuration names, and which git lets run whoever owns it.

use super::Repo;
use super::call::Call;
use super::error::Error;
use super::location::{Folders, Location};
use super::name::is_full;
use super::refs::ref_matches;
use crate::domain::{RefName, Sha};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Lists of refs longer than this many bytes are refused.
const LIST_LIMIT: usize = 64 << 20;

/// How long a remote may take to list them: others may wait for the answer, to ask again.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// A branch or tag and where it points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its full name; bytes that are not UTF-8 are `U+FFFD`.
    pub name: RefName,
    /// The name is not UTF-8, so `name` is not quite it.
    pub is_lossy: bool,
    /// The commit; for an annotated tag the commit that it stands for.
    pub sha: Sha,
}

/// All branches and tags, in the order of their names.
///
/// # Errors
/// The repository cannot be asked.
pub async fn ls_remote(repo: &Repo) -> Result<Vec<Head>, Error> {
    let mut found: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    match &repo.location {
        Location::Path(path) => {
            let folders = Folders::find(path)?;
            let call = in_place(repo, &folders.git).arg("--format=%(objectname) %(*objectname) %(refname)");
            for line in lines(&call.args(["refs/heads", "refs/tags"]).ok().await?) {
                let mut parts = line.splitn(3, |&byte| byte == b' ');
                if let (Some(sha), Some(peeled), Some(name)) = (parts.next(), parts.next(), parts.next()) {
                    let sha = if peeled.is_empty() { sha } else { peeled };
                    found.insert(name.to_vec(), String::from_utf8_lossy(sha).into_owned());
                }
            }
        }
        Location::Url(url) => {
            let call = remote(repo).args(["--heads", "--tags", "--end-of-options", url]);
            for (sha, name) in advertised(&call.ok().await?) {
                // An annotated tag comes twice, then as `NAME^{}` with its commit.
                let name = name.strip_suffix(b"^{}").unwrap_or(&name).to_vec();
                found.insert(name, sha);
            }
        }
    }
    let head = |(name, sha): (Vec<u8>, String)| {
        let text = String::from_utf8_lossy(&name);
        Head {
            is_lossy: matches!(text, std::borrow::Cow::Owned(_)),
            name: text.as_ref().into(),
            sha: sha.into(),
        }
    };
    Ok(found.into_iter().map(head).collect())
}

/// The branches and tags that are there and that a pipeline with these globs takes; without globs the default branch.
///
/// # Errors
/// The repository cannot be asked.
pub async fn taken(repo: &Repo, globs: &[String]) -> Result<Vec<Head>, Error> {
    among(ls_remote(repo).await?, repo, globs).await
}

/// Those of a repository's branches and tags that a pipeline with these globs takes.
///
/// # Errors
/// The repository cannot be asked.
pub async fn among(mut heads: Vec<Head>, repo: &Repo, globs: &[String]) -> Result<Vec<Head>, Error> {
    let default = if globs.is_empty() { default_branch(repo).await? } else { None };
    heads.retain(|head| match globs {
        [] => default.as_ref() == Some(&head.name),
        globs => ref_matches(globs, head.name.as_str()),
    });
    Ok(heads)
}

/// The branch that HEAD names, as in `refs/heads/main`; none if HEAD is no branch. It need not have a commit yet.
///
/// # Errors
/// The repository cannot be asked.
pub async fn default_branch(repo: &Repo) -> Result<Option<RefName>, Error> {
    match &repo.location {
        Location::Path(path) => {
            let folders = Folders::find(path)?;
            let call = repo.git.call("symbolic-ref", &folders.git, &repo.location.shown());
            let answer = call.args(["--quiet", "HEAD"]).answer().await?;
            let name = String::from_utf8_lossy(&answer.stdout);
            Ok((answer.status.success() && !name.is_empty()).then(|| name.trim_end().into()))
        }
        Location::Url(url) => {
            let answer = remote(repo).args(["--symref", "--end-of-options", url, "HEAD"]).ok().await?;
            let named = lines(&answer).find_map(|line| {
                let name = line.strip_prefix(b"ref: ")?.strip_suffix(b"\tHEAD")?;
                Some(String::from_utf8_lossy(name).into_owned())
            });
            Ok(named.map(RefName::from))
        }
    }
}

/// The short names of the tags at a commit, annotated or not. Of a remote those that the mirror has: see
/// [`super::mirror::fetch_tags`].
///
/// # Errors
/// The repository cannot be asked.
pub async fn tags_at(repo: &Repo, sha: &Sha) -> Result<Vec<String>, Error> {
    let git_dir = match &repo.location {
        Location::Path(path) => Folders::find(path)?.git,
        Location::Url(_) => repo.mirror.clone(),
    };
    let sha = super::name::object_name(sha.as_str())?;
    let call =
        in_place(repo, &git_dir).args(["--points-at", &sha, "--format=%(refname:lstrip=2)", "refs/tags"]);
    Ok(lines(&call.ok().await?).map(|line| String::from_utf8_lossy(line).into_owned()).collect())
}

/// All tags of a repository on this machine, by full name, as they are: an annotated one is its own object.
pub(super) async fn tags_in(repo: &Repo, git_dir: &Path) -> Result<BTreeMap<Vec<u8>, String>, Error> {
    let call = in_place(repo, git_dir).args(["--format=%(objectname) %(refname)", "refs/tags"]);
    let pair = |line: &[u8]| {
        let space = line.iter().position(|&byte| byte == b' ')?;
        Some((line[space + 1..].to_vec(), String::from_utf8_lossy(&line[..space]).into_owned()))
    };
    Ok(lines(&call.ok().await?).filter_map(pair).collect())
}

/// `sha1` or `sha256`, by the length of what a remote advertises.
pub(super) async fn format_of_remote(repo: &Repo) -> Result<&'static str, Error> {
    let Location::Url(url) = &repo.location else { return Ok("sha1") };
    let answer = remote(repo).args(["--end-of-options", url]).ok().await?;
    Ok(if advertised(&answer).any(|(sha, _)| sha.len() == 64) { "sha256" } else { "sha1" })
}

fn in_place(repo: &Repo, git_dir: &Path) -> Call {
    repo.git.call("for-each-ref", git_dir, &repo.location.shown()).limit(LIST_LIMIT)
}

fn remote(repo: &Repo) -> Call {
    let call = repo.git.remote_call("ls-remote", &repo.location.shown()).arg("--quiet").limit(LIST_LIMIT);
    call.time(TIME_LIMIT.min(repo.git.transfer_limit))
}

pub(super) fn advertised(output: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    lines(output).filter_map(|line| {
        let tab = line.iter().position(|&byte| byte == b'\t')?;
        let sha = std::str::from_utf8(&line[..tab]).ok().filter(|sha| is_full(sha))?;
        Some((sha.to_owned(), line[tab + 1..].to_vec()))
    })
}

fn lines(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests;
