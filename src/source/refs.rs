//! Names of refs and paths against globs: `*` stops at `/`, `**` does not.

use super::error::Error;
use crate::glob::{self, Candidate, Glob, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest name of a ref, in bytes.
const REF_LIMIT: usize = 1024;

/// Globs over refs, compiled once.
#[derive(Clone, Debug)]
pub struct RefGlobs(GlobSet);

impl RefGlobs {
    /// Compiles the globs.
    ///
    /// # Errors
    /// [`Error::BadGlob`] for the first that cannot be read.
    pub fn new(globs: &[String]) -> Result<Self, Error> {
        let mut set = GlobSetBuilder::new();
        for text in globs {
            set.add(glob(text)?);
        }
        Ok(Self(build(set, globs)?))
    }

    /// Whether one of the globs matches the full name (`refs/heads/main`) or the short one (`main`).
    pub fn matches(&self, full_ref: &str) -> bool {
        self.0.is_match(full_ref) || self.0.is_match(short(full_ref))
    }
}

/// As [`RefGlobs::matches`], for a single question; a glob that cannot be read matches nothing.
pub fn ref_matches(globs: &[String], full_ref: &str) -> bool {
    globs.iter().any(|text| RefGlobs::new(std::slice::from_ref(text)).is_ok_and(|set| set.matches(full_ref)))
}

/// Globs over paths in a repository, compiled once.
#[derive(Clone, Debug)]
pub struct PathGlobs(GlobSet);

impl PathGlobs {
    /// Compiles the globs. A plain name stands for a file, or for a folder and all that is in it.
    ///
    /// # Errors
    /// [`Error::BadGlob`] for the first that cannot be read.
    pub fn new(globs: &[String]) -> Result<Self, Error> {
        let mut set = GlobSetBuilder::new();
        for text in globs {
            let trimmed = text.strip_prefix("./").unwrap_or(text).trim_matches('/');
            set.add(glob(trimmed)?);
            if !trimmed.contains(['*', '?', '[', '{', '\\']) {
                set.add(glob(&format!("{trimmed}/**"))?);
            }
        }
        Ok(Self(build(set, globs)?))
    }

    /// Whether one of the globs matches the path, given as git has it: bytes, from the top, without a leading `/`.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.0.is_match_candidate(&Candidate::new(Path::new(OsStr::from_bytes(path))))
    }
}

fn glob(text: &str) -> Result<Glob, Error> {
    glob::read(text).map_err(|why| Error::BadGlob { glob: text.to_owned(), why: why.to_string() })
}

fn build(set: GlobSetBuilder, globs: &[String]) -> Result<GlobSet, Error> {
    set.build().map_err(|error| Error::BadGlob { glob: globs.join(" "), why: error.kind().to_string() })
}

/// The name without `refs/heads/`, `refs/tags/` or `refs/`.
fn short(full_ref: &str) -> &str {
    ["refs/heads/", "refs/tags/", "refs/"]
        .iter()
        .find_map(|prefix| full_ref.strip_prefix(prefix))
        .unwrap_or(full_ref)
}

/// Checks the name of a ref as it came from outside: it may be odd, but not an option, endless, or one git would refuse.
///
/// # Errors
/// `TG-REF-002` for a short name that starts with `-`, `TG-REF-003` for more than 1 KiB, `TG-REF-004` for the rest.
pub fn check_ref(full_ref: &str) -> Result<(), Error> {
    if full_ref.len() > REF_LIMIT {
        return Err(Error::RefTooLong { bytes: full_ref.len() });
    }
    let bad = |why| Err(Error::BadRef { name: full_ref.to_owned(), why });
    if short(full_ref).is_empty() {
        return bad("it is empty");
    }
    if short(full_ref).starts_with('-') {
        return Err(Error::RefStartsWithDash { name: full_ref.to_owned() });
    }
    if full_ref.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return bad("it has control characters");
    }
    if full_ref.contains([' ', '~', '^', ':', '?', '*', '[', '\\']) || full_ref.contains("@{") {
        return bad("it has characters that git does not allow");
    }
    let odd = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    if full_ref.contains("..") || full_ref.ends_with('.') || full_ref.split('/').any(odd) {
        return bad("git does not allow such a name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, name: &str) -> bool {
        ref_matches(&[glob.to_owned()], name)
    }

    #[test]
    fn a_star_stops_at_a_slash() {
        assert!(matches("main", "refs/heads/main"));
        assert!(matches("refs/heads/main", "refs/heads/main"));
        assert!(!matches("main", "refs/heads/mainline"));
        assert!(!matches("main", "refs/heads/x/main"));
        assert!(matches("v*", "refs/tags/v1.2"));
        assert!(!matches("*", "refs/heads/a/b"));
        assert!(matches("**", "refs/heads/a/b"));
        assert!(matches("release/*", "refs/heads/release/1"));
        assert!(!matches("release/*", "refs/heads/release/1/x"));
        assert!(matches("refs/tags/**", "refs/tags/a/b"));
        assert!(!matches("refs/tags/**", "refs/heads/a"));
        assert!(matches("{main,dev}", "refs/heads/dev"));
        assert!(matches("$(id)", "refs/heads/$(id)"));
        assert!(!matches("[", "refs/heads/["));
    }

    #[test]
    fn a_plain_path_stands_for_what_is_in_it() {
        let globs = |text: &str| PathGlobs::new(&[text.to_owned()]).unwrap();
        assert!(globs("shop/**").matches(b"shop/a/b"));
        assert!(!globs("shop/*").matches(b"shop/a/b"));
        assert!(globs("shop").matches(b"shop/a/b"));
        assert!(globs("./shop/").matches(b"shop"));
        assert!(!globs("shop").matches(b"shopping"));
        assert!(!globs("*").matches(b"a/b"));
        assert!(globs("a/*").matches(b"a/\xff\xfe"));
        assert_eq!(PathGlobs::new(&["a[".to_owned()]).unwrap_err().code(), "TG-GIT-018");
    }

    #[test]
    fn odd_refs_pass_and_dangerous_ones_do_not() {
        for odd in
            ["refs/heads/$(id)", "refs/heads/`id`", "refs/heads/;id", "refs/heads/<b>", "refs/tags/\u{202e}x"]
        {
            assert!(check_ref(odd).is_ok(), "{odd}");
        }
        let code = |name: &str| check_ref(name).unwrap_err().code();
        assert_eq!(code("refs/heads/--upload-pack=x"), "TG-REF-002");
        assert_eq!(code("-oProxyCommand=x"), "TG-REF-002");
        assert_eq!(code(&format!("refs/heads/{}", "a".repeat(1100))), "TG-REF-003");
        for bad in
            ["", "refs/heads/", "refs/heads/a\x1bb", "refs/heads/a..b", "refs/heads/a b", "refs/heads/a.lock"]
        {
            assert_eq!(code(bad), "TG-REF-004", "{bad}");
        }
    }
}
