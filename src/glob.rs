//! Globs, as pipeline files have them: on refs, paths and artifacts. One way to read them, so that what `check` takes is
//! what a push or a build meets, and with bounds: who may ask the controller to look at a pipeline file may put anything
//! into it, and a glob of braces within braces without end would overflow the stack of whoever reads it.
//!
//! `*` and `?` stop at `/`, `**` does not; `{a,b}`, `[a-z]`, and a backslash before what is meant as it stands.

pub use globset::{Candidate, Glob, GlobMatcher, GlobSet, GlobSetBuilder};

use globset::GlobBuilder;
use std::fmt;

/// No glob is longer, in bytes.
pub const LONGEST: usize = 1024;
/// So many braces may stand within one another.
pub const DEEPEST: usize = 8;

/// Why a text is no glob. Reads after "is not a glob: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is longer than [`LONGEST`]: so many bytes.
    Long(usize),
    /// More braces stand within one another than [`DEEPEST`].
    Deep,
    /// It is malformed: how.
    Malformed(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Long(bytes) => write!(f, "it has {bytes} bytes, at most {LONGEST} are read"),
            Unreadable::Deep => write!(f, "more than {DEEPEST} braces stand within one another"),
            Unreadable::Malformed(how) => f.write_str(how),
        }
    }
}

/// Reads a glob.
pub fn read(text: &str) -> Result<Glob, Unreadable> {
    if text.len() > LONGEST {
        return Err(Unreadable::Long(text.len()));
    }
    if depth(text) > DEEPEST {
        return Err(Unreadable::Deep);
    }
    let built = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    built.map_err(|error| Unreadable::Malformed(error.kind().to_string()))
}

/// How many braces stand within one another, at most. One in brackets or behind a backslash may count, too.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' => now += 1,
            b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_matches_as_it_says() {
        let matches = |glob: &str, text: &str| read(glob).unwrap().compile_matcher().is_match(text);
        assert!(matches("release/*", "release/1") && !matches("release/*", "release/1/a"));
        assert!(matches("shop/**", "shop/a/b") && matches("{a,{b,c}}", "c") && matches(r"\*", "*"));
        assert!(matches(&format!("{}a{}", "{".repeat(DEEPEST), "}".repeat(DEEPEST)), "a"));
    }

    #[test]
    fn what_has_no_end_is_refused_in_words() {
        for depth in [DEEPEST + 1, 100, LONGEST / 2, 100_000] {
            let text = format!("{}a{}", "{".repeat(depth), "}".repeat(depth));
            let why = read(&text).unwrap_err();
            assert!(matches!(why, Unreadable::Deep | Unreadable::Long(_)), "{why}");
        }
        // What is never closed counts as well.
        assert_eq!(read(&"{".repeat(500)).unwrap_err(), Unreadable::Deep);
        assert_eq!(read(&"a".repeat(LONGEST + 1)).unwrap_err(), Unreadable::Long(LONGEST + 1));
        assert!(matches!(read("[a"), Err(Unreadable::Malformed(_))));
        // The longest that is read is compiled, too.
        for piece in ["*", "*a", "{a,b}", "[a-z]", "?", "**/"] {
            let text = piece.repeat(LONGEST / piece.len());
            read(&text).map(|glob| glob.compile_matcher().is_match("a".repeat(300))).unwrap();
        }
    }
}
