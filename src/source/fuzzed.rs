//! What must hold for the reading of what git and its hooks say, and of names that others choose.

use super::heads::advertised;
use super::hook::parse_lines;
use super::refs::{PathGlobs, RefGlobs};
use super::version::{described, from_python, normalise};
use super::{Location, between, check_ref, examine, same_repo};

/// The output of git, line by line and as a whole, and the same bytes as names.
pub fn words_of_git(bytes: &[u8]) {
    if let Some((sha, commit)) = examine::object(bytes) {
        let about = examine::read_commit(sha, commit);
        let texts = [&about.author_name, &about.author_email, &about.committer_email, &about.subject];
        assert!(texts.iter().all(|text| !text.contains(['\n', '\r'])), "more than a line: {about:?}");
    }
    examine::read_commit("", bytes);
    between::read(bytes);
    for (sha, name) in advertised(bytes) {
        assert!(sha.bytes().all(|digit| digit.is_ascii_hexdigit()) && !name.contains(&b'\n'));
    }
    for update in parse_lines(bytes) {
        assert!(update.new.len() >= 40 && update.old.len() >= 40 && !update.raw.is_empty());
    }
    String::from_utf8_lossy(bytes).lines().for_each(name);
}

fn name(text: &str) {
    if check_ref(text).is_ok() {
        let short = text.rsplit('/').next().unwrap_or_default();
        assert!(!text.starts_with('-') && !short.starts_with('-'), "an option: {text:?}");
        assert!(!text.bytes().any(|byte| byte < b' ' || byte == 0x7f), "control characters: {text:?}");
    }
    if let Ok(globs) = RefGlobs::new(&[text.to_owned()]) {
        globs.matches("refs/heads/main");
        globs.matches(text);
    }
    if let Ok(globs) = PathGlobs::new(&[text.to_owned()]) {
        globs.matches(text.as_bytes());
    }
    if let Ok(location) = Location::parse(text) {
        let shown = location.shown();
        assert!(!shown.starts_with('-'), "an option: {shown:?}");
        assert!(same_repo(text, text), "not the same as itself: {text:?}");
    }
    for version in [normalise(text), described(text), normalise(&from_python(text))].into_iter().flatten() {
        assert_eq!(normalise(&version).ok().as_ref(), Some(&version), "not in normal form");
    }
}
