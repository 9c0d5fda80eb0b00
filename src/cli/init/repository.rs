//! What git says of the working copy: where it begins, where it is pushed to, which branch counts.

use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A working copy and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    /// The top of the working copy.
    pub(super) top: PathBuf,
    /// Where the pipeline takes commits from: what `origin` is, a path made absolute, without a password; else the
    /// working copy itself.
    pub(super) repo: String,
    /// Whether `origin` says so.
    pub(super) has_origin: bool,
    /// Whether a password was left out of it.
    pub(super) had_password: bool,
    /// The bare repository on this machine that `origin` names, if it does: its hook can be installed.
    pub(super) bare: Option<PathBuf>,
    /// The branch that versions come from.
    pub(super) branch: String,
    /// Whether the commits have tags.
    pub(super) has_tags: bool,
}

impl Repository {
    /// Looks at the working copy that a folder is in.
    pub(super) fn of(folder: &Path) -> Result<Repository, Trouble> {
        let top = asked(folder, &["rev-parse", "--show-toplevel"])?.map(PathBuf::from).map_err(|why| {
            let message = format!("`{}` is not in a working copy: git says: {why}", folder.display());
            let help = "go into one, or make one: git init && git add . && git commit -m First";
            Trouble::new("TG-INIT-001", message, help, Exit::Usage)
        })?;
        let origin = git(&top, &["remote", "get-url", "origin"])?.filter(|url| !url.is_empty());
        let local = origin.as_deref().and_then(|url| local_folder(&top, url));
        let bare = local.clone().filter(|folder| is_bare(folder));
        let repo = match (&local, &origin) {
            (Some(folder), _) => folder.display().to_string(),
            (None, Some(url)) => without_password(url),
            (None, None) => top.display().to_string(),
        };
        Ok(Repository {
            had_password: local.is_none() && origin.as_ref().is_some_and(|url| *url != repo),
            has_origin: origin.is_some(),
            branch: branch(&top, bare.as_deref())?,
            has_tags: git(&top, &["describe", "--tags"])?.is_some(),
            bare,
            repo,
            top,
        })
    }

    /// What the pipeline is called unless somebody says otherwise: after the repository.
    pub(super) fn name(&self) -> String {
        let last = self.repo.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
        let stem = last.strip_suffix(".git").unwrap_or(last);
        let folder = self.top.file_name().unwrap_or_default().to_string_lossy();
        [stem, &*folder]
            .into_iter()
            .map(super::draft::plain_name)
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| "pipeline".into())
    }
}

/// The first line that git answers; none: it says no.
fn git(folder: &Path, arguments: &[&str]) -> Result<Option<String>, Trouble> {
    Ok(asked(folder, arguments)?.ok())
}

/// The first line that git answers, or with which it refuses.
fn asked(folder: &Path, arguments: &[&str]) -> Result<Result<String, String>, Trouble> {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        // Where to look for its configuration is the user's to say; which repository is meant is not.
        if !name.as_encoded_bytes().starts_with(b"GIT_CONFIG_") {
            command.env_remove(name);
        }
    }
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        let message = format!("failed to run git in `{}`: {error}", folder.display());
        Trouble::new("TG-INIT-002", message, "install git, or name a folder that is there", Exit::Usage)
    })?;
    let first = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
    Ok(if output.status.success() { Ok(first(&output.stdout)) } else { Err(first(&output.stderr)) })
}

/// The folder that a remote means, if it is one of this machine.
fn local_folder(top: &Path, url: &str) -> Option<PathBuf> {
    match crate::source::Location::parse(url).ok()? {
        crate::source::Location::Path(path) => {
            let path = top.join(path);
            Some(path.canonicalize().unwrap_or(path))
        }
        crate::source::Location::Url(_) => None,
    }
}

/// A repository without a working copy, by what lies in it.
fn is_bare(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name != ".git")
        && folder.join("HEAD").is_file()
        && folder.join("objects").is_dir()
        && folder.join("refs").is_dir()
}

/// The branch that counts: the repository's own, else what `origin` was cloned from, else the one that is checked out.
fn branch(top: &Path, bare: Option<&Path>) -> Result<String, Trouble> {
    let of_bare = bare.and_then(|bare| std::fs::read_to_string(bare.join("HEAD")).ok());
    let of_bare = of_bare.and_then(|head| Some(head.trim().strip_prefix("ref: refs/heads/")?.to_owned()));
    if let Some(branch) = of_bare {
        return Ok(branch);
    }
    if let Some(head) = git(top, &["symbolic-ref", "--short", "refs/remotes/origin/HEAD"])? {
        return Ok(head.strip_prefix("origin/").unwrap_or(&head).to_owned());
    }
    let here = git(top, &["symbolic-ref", "--short", "HEAD"])?;
    Ok(here.unwrap_or_else(|| "main".into()))
}

/// A URL without the password in it: a pipeline file is no place for one.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{}", &rest[end..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_come_along() {
        for (url, want) in [
            ("https://ann:s3cret@example.org/shop.git", "https://ann@example.org/shop.git"),
            ("https://example.org/a:b@c", "https://example.org/a:b@c"),
            ("git@example.org:shop.git", "git@example.org:shop.git"),
        ] {
            assert_eq!(without_password(url), want);
        }
    }
}
