//! What one commit has and another one has not: the commits in between.

use super::error::Error;
use super::{Repo, mirror};
use crate::domain::{Sha, Time};
use chrono::DateTime;

/// A commit, as it says itself. All text is from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its full name.
    pub sha: Sha,
    /// When it was committed.
    pub at: Time,
    /// Name of its author.
    pub author: String,
    /// First line of its message.
    pub subject: String,
}

/// The commits that `to` has and `from` has not, newest first, at most so many.
///
/// # Errors
/// One of them is not there any more, or the repository cannot be read.
pub async fn commits_between(repo: &Repo, from: &Sha, to: &Sha, limit: usize) -> Result<Vec<Commit>, Error> {
    for sha in [from, to] {
        mirror::ensure(repo, sha).await?;
    }
    let call = mirror::reader(repo, "log").await?;
    let format = "--format=%H%x00%ct%x00%an%x00%s%x00";
    let call = call.arg(format!("--max-count={limit}")).arg(format).arg("--end-of-options");
    let output = call.arg(to.as_str()).arg(format!("^{}", from.as_str())).arg("--").ok().await?;
    Ok(read(&output))
}

pub(super) fn read(output: &[u8]) -> Vec<Commit> {
    let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    fields
        .chunks_exact(4)
        .filter_map(|commit| {
            let at = text(commit[1]).parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0))?;
            Some(Commit {
                sha: text(commit[0]).into(),
                at,
                author: text(commit[2]),
                subject: text(commit[3]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_read_whatever_is_in_it() {
        let output = b"aaaaaaa\x0060\x00Ann\x00One \xff\x00\nbbbbbbb\x00120\x00B\x1b[1m\x00\x00\n";
        let commits = read(output);
        assert_eq!(commits.len(), 2);
        assert_eq!((commits[0].sha.as_str(), commits[0].subject.as_str()), ("aaaaaaa", "One \u{fffd}"));
        assert_eq!((commits[1].sha.as_str(), commits[1].at.timestamp()), ("bbbbbbb", 120));
    }
}
