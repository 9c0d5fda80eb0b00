//! A folder with the files of one commit, and a `.git` in it that steps can use.
//!
//! The folder has a repository of its own that borrows the objects of the mirror. Nothing in the mirror knows of it, so it
//! may be deleted at any time, and what a step configures there stays there. It is laid out here, as gitrepository-layout(5)
//! describes it, and filled by one `git read-tree`: a clone would cost as much again.

mod submodules;

use super::call::Call;
use super::error::{Error, io};
use super::location::{Location, drop_password};
use super::{Repo, mirror, workspace};
use crate::domain::Sha;
use std::path::Path;

/// Makes a folder with the files of a commit, its HEAD detached there, with the tags that the mirror has. What is at the
/// place already is deleted first. Brings the commit into the mirror if it is not there yet.
///
/// Hooks, filters and settings of the repository are not in force, except that submodules and LFS files are fetched
/// where the [`Repo`] says so.
///
/// # Errors
/// The commit cannot be had, or the disk cannot take it; then a part of the folder may be left.
pub async fn checkout(repo: &Repo, sha: &Sha, into: &Path) -> Result<(), Error> {
    mirror::ensure(repo, sha).await?;
    match fill(repo, sha, into).await {
        Err(error) if mirror::speaks_of_mirror(repo, &error) => {
            mirror::discard(repo).await?;
            mirror::ensure(repo, sha).await?;
            fill(repo, sha, into).await
        }
        other => other,
    }
}

async fn fill(repo: &Repo, sha: &Sha, into: &Path) -> Result<(), Error> {
    workspace::remove_workspace(into).await?;
    let into = std::path::absolute(into).map_err(io("find", into))?;
    lay_out(repo, sha, &into)?;
    in_folder(repo, "read-tree", &into).args(["-u", "--reset", sha.as_str()]).ok().await?;
    if repo.submodules {
        submodules::fetch(repo, &into).await?;
    }
    Ok(())
}

/// A git command in the folder. Settings that hold a password go by the environment: arguments are for all to see.
fn in_folder(repo: &Repo, what: &str, into: &Path) -> Call {
    let call = repo.git.call(what, &into.join(".git"), &repo.location.shown());
    let call = call.env("GIT_WORK_TREE", into).dir(into).time(repo.git.transfer_limit);
    if repo.lfs { call } else { call.env("GIT_LFS_SKIP_SMUDGE", "1") }
}

fn setting(call: Call, name: &str, value: &str) -> Call {
    call.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", name).env("GIT_CONFIG_VALUE_0", value)
}

fn lay_out(repo: &Repo, sha: &Sha, into: &Path) -> Result<(), Error> {
    let git = into.join(".git");
    for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        let folder = git.join(folder);
        std::fs::create_dir_all(&folder).map_err(io("create", &folder))?;
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = git.join(name);
        std::fs::write(&path, bytes).map_err(io("write", &path))
    };
    let objects = repo.mirror.join("objects");
    let objects = objects.canonicalize().map_err(io("find", &objects))?;
    let mut borrowed = objects.into_os_string().into_encoded_bytes();
    borrowed.push(b'\n');
    write("objects/info/alternates", &borrowed)?;
    write("packed-refs", &packed_tags(&repo.mirror))?;
    if let Ok(shallow) = std::fs::read(repo.mirror.join("shallow")) {
        write("shallow", &shallow)?;
    }
    write("config", config(repo, sha).as_bytes())?;
    // Last: with it the folder is a repository.
    write("HEAD", format!("{sha}\n").as_bytes())
}

fn packed_tags(mirror: &Path) -> Vec<u8> {
    let mut text = b"# pack-refs with: sorted \n".to_vec();
    for (name, sha) in mirror::tags(mirror) {
        text.extend_from_slice(sha.as_bytes());
        text.push(b' ');
        text.extend_from_slice(&name);
        text.push(b'\n');
    }
    text
}

fn config(repo: &Repo, sha: &Sha) -> String {
    let (version, extensions) = match sha.as_str().len() {
        64 => (1, "[extensions]\n\tobjectFormat = sha256\n"),
        _ => (0, ""),
    };
    let mut text = format!("[core]\n\trepositoryformatversion = {version}\n\tbare = false\n{extensions}");
    text.push_str("[gc]\n\tauto = 0\n[advice]\n\tdetachedHead = false\n");
    let url = match &repo.location {
        Location::Path(path) => {
            std::path::absolute(path).ok().and_then(|path| path.to_str().map(str::to_owned))
        }
        Location::Url(url) => Some(drop_password(url)),
    };
    if let Some(url) = url {
        let url = url.replace('\\', "\\\\").replace('"', "\\\"");
        text.push_str(&format!("[remote \"origin\"]\n\turl = \"{url}\"\n"));
    }
    if repo.lfs {
        text.push_str("[filter \"lfs\"]\n\tsmudge = git-lfs smudge -- %f\n\tclean = git-lfs clean -- %f\n");
        text.push_str("\tprocess = git-lfs filter-process\n\trequired = true\n");
    }
    text
}

#[cfg(test)]
mod tests;
