//! What a pipeline calls an artifact: a path, or a glob over paths. Always from the top of a folder, and never out of it.

use super::error::Error;
use crate::glob::{self, Candidate, GlobMatcher};
use std::path::Path;

/// A pattern, read.
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: String,
    /// Without what changes nothing: `./` and doubled slashes.
    pub(super) path: String,
    glob: Option<GlobMatcher>,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn new(text: &str) -> Result<Self, Error> {
        let path = parts(text)?.join("/");
        let special = path.contains(['*', '?', '[', '{', '\\']);
        let glob = || {
            glob::read(&path).map_err(|why| Error::BadPath { path: text.to_owned(), why: why.to_string() })
        };
        let glob = if special { Some(glob()?.compile_matcher()) } else { None };
        Ok(Self { text: text.to_owned(), path, glob })
    }

    /// Whether it is a glob, and not just a path.
    pub(super) fn is_glob(&self) -> bool {
        self.glob.is_some()
    }

    /// The folder below which everything is that a glob can match.
    pub(super) fn base(&self) -> String {
        let plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\', '}', ']']);
        let mut base: Vec<&str> = self.path.split('/').take_while(plain).collect();
        if base.len() == self.path.split('/').count() {
            base.pop();
        }
        base.join("/")
    }

    /// Whether the glob matches a path.
    pub(super) fn matches(&self, path: &Path) -> bool {
        self.glob.as_ref().is_some_and(|glob| glob.is_match_candidate(&Candidate::new(path)))
    }
}

/// The parts of a path that stays inside its folder.
pub(super) fn parts(path: &str) -> Result<Vec<&str>, Error> {
    let bad = |why: &str| Err(Error::BadPath { path: path.to_owned(), why: why.to_owned() });
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if path.starts_with('/') {
        return bad("it is absolute");
    }
    if parts.is_empty() {
        return bad("it is empty");
    }
    if parts.contains(&"..") {
        return bad("it has `..` in it");
    }
    if path.contains('\0') {
        return bad("it has a zero byte in it");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_start_below_their_plain_part() {
        for (text, base) in [("a/b/*.c", "a/b"), ("**", ""), ("a/{b,c/d}/e", "a"), ("./a//b?", "a")] {
            assert_eq!(Pattern::new(text).unwrap().base(), base, "{text}");
        }
        let matches = |glob: &str, path: &str| Pattern::new(glob).unwrap().matches(Path::new(path));
        assert!(matches("a/**", "a/b/c") && matches("a/*", "a/b") && !matches("a/*", "a/b/c"));
        assert!(matches("**/x", "x") && !matches("*", "a/b"));
    }
}
