//! Submodules of a commit. Where they are is said by `.gitmodules`, which is written by whoever may push. Git clones from
//! folders of the machine only when told to, and for a repository in a folder that is the usual case; but then any
//! repository that the controller can read could be named. So only folders beside that repository are taken, at each
//! level: what a submodule names was written by somebody who may push there.
//!
//! Known limit: who may push to one repository of a folder reads all others of that folder so.

use super::super::error::Error;
use super::super::location::Location;
use super::super::{Repo, call::Call};
use super::{in_folder, setting};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Brings them into the files of a commit, and theirs into them.
pub(super) async fn fetch(repo: &Repo, into: &Path) -> Result<(), Error> {
    let Location::Path(path) = &repo.location else {
        let call = in_folder(repo, "submodule", into).args(["--quiet", "update", "--init", "--recursive"]);
        return setting(call, "protocol.file.allow", "never").ok().await.map(drop);
    };
    let (beside, mut seen, mut folders) = (beside(path), BTreeSet::new(), vec![into.to_owned()]);
    while let Some(folder) = folders.pop() {
        if !folder.join(".gitmodules").exists() || !seen.insert(folder.clone()) {
            continue;
        }
        // This turns `../lib` into the whole path.
        in_folder(repo, "submodule", &folder).args(["--quiet", "init"]).ok().await?;
        let urls = in_folder(repo, "config", &folder).args(["-z", "--get-regexp", r"^submodule\..*\.url$"]);
        for url in values(urls).await? {
            if leads_elsewhere(&url, &beside) {
                return Err(Error::SubmoduleElsewhere { url });
            }
        }
        let update = in_folder(repo, "submodule", &folder).args(["--quiet", "update"]);
        setting(update, "protocol.file.allow", "always").ok().await?;
        let paths = in_folder(repo, "config", &folder).args(["-z", "--file", ".gitmodules"]);
        let paths = values(paths.args(["--get-regexp", r"^submodule\..*\.path$"])).await?;
        folders.extend(paths.iter().filter_map(|path| below(&folder, path)));
    }
    Ok(())
}

/// What `git config -z --get-regexp` found.
async fn values(call: Call) -> Result<Vec<String>, Error> {
    // Where nothing is found that is its status.
    let answer = call.answer().await?;
    let each = answer.stdout.split(|byte| *byte == 0).filter_map(|entry| {
        let at = entry.iter().position(|byte| *byte == b'\n')?;
        Some(String::from_utf8_lossy(&entry[at + 1..]).into_owned())
    });
    Ok(each.collect())
}

/// The folders that hold a repository, whatever links lead to it.
fn beside(repo: &Path) -> Vec<PathBuf> {
    let as_written = std::path::absolute(repo).ok().and_then(|path| path.parent()?.canonicalize().ok());
    let resolved = repo.canonicalize().ok().and_then(|path| Some(path.parent()?.to_owned()));
    as_written.into_iter().chain(resolved).filter(|folder| folder.parent().is_some()).collect()
}

/// Whether git would take this for a folder that is none of these and not below one. What is not there git says itself.
fn leads_elsewhere(url: &str, beside: &[PathBuf]) -> bool {
    let path = match url.strip_prefix("file://") {
        // Git reads these as other characters.
        Some(path) if path.contains('%') => return true,
        Some(path) => path,
        None => {
            let first = url.split('/').next().unwrap_or_default();
            if first.contains(':') {
                return false;
            }
            url
        }
    };
    // Git tries these names one after the other.
    ["", ".git", "/.git"].iter().any(|end| {
        let found = Path::new(&format!("{path}{end}")).canonicalize();
        found.is_ok_and(|found| !beside.iter().any(|folder| found.starts_with(folder)))
    })
}

/// The files of a submodule that is there, without following links.
fn below(folder: &Path, path: &str) -> Option<PathBuf> {
    let is_plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let place = folder.join(path);
    let is_there = is_plain
        && place.join(".git").exists()
        && place.canonicalize().ok()? == folder.canonicalize().ok()?.join(path);
    (is_there && !path.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_takes_for_a_folder_elsewhere_is_told_from_all_else() {
        let temp = tempfile::tempdir().unwrap();
        let place = temp.path().canonicalize().unwrap();
        for folder in ["git/shop.git", "git/lib.git", "home/secret.git", "git-too"] {
            std::fs::create_dir_all(place.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(place.join("home/secret.git"), place.join("git/link.git")).unwrap();
        let beside = beside(&place.join("git/shop.git"));
        let leads = |url: &str| leads_elsewhere(&url.replace('@', place.to_str().unwrap()), &beside);
        for here in ["@/git/lib.git", "@/git/lib", "file://@/git/lib.git", "@/git/nothing"] {
            assert!(!leads(here), "{here}");
        }
        for other in [
            "@/home/secret.git",
            "@/home/secret",
            "@/git/../home/secret.git",
            "@/git/link.git",
            "@/git-too",
            "file://@/home/secret.git",
            "file://@/git/%2e%2e/home/secret.git",
        ] {
            assert!(leads(other), "{other}");
        }
        for away in ["https://forge.example/lib.git", "git\u{40}host:lib.git", "ssh://host/lib"] {
            assert!(!leads_elsewhere(away, &beside), "{away}");
        }
    }
}
