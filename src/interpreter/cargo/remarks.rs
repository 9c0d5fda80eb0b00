//! Annotations: where in the workspace they are, as many as a person can use, each once, and on their way to the events
//! file.

use crate::domain::event::{Level, StepSaid};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Annotations of one run; the log has the rest.
const MOST: usize = 200;
/// The longest text of one, in characters.
const LONGEST: usize = 2000;

/// What a tool remarked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Remark {
    pub(super) is_error: bool,
    /// As the tool names it.
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) message: String,
}

/// The remarks of one run.
pub(super) struct Remarks {
    /// The workspace.
    root: PathBuf,
    /// The folder that cargo is started in.
    dir: PathBuf,
    seen: HashSet<Remark>,
    /// Those that are not written yet, as lines.
    lines: Vec<String>,
    left_out: usize,
}

impl Remarks {
    pub(super) fn new(root: &Path, dir: &Path) -> Remarks {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (root, dir) = (real(root), real(dir));
        Remarks { root, dir, seen: HashSet::new(), lines: Vec::new(), left_out: 0 }
    }

    /// Takes a remark, with its file named from the workspace on; none when it is there already. `from`: the folder that
    /// the tool's name of the file may be relative to, or that lies below it.
    pub(super) fn add(&mut self, mut remark: Remark, from: Option<&Path>) -> Option<Remark> {
        remark.file = remark.file.map(|file| self.named(&file, from.unwrap_or(&self.dir)));
        if self.seen.len() > 10 * MOST || !self.seen.insert(remark.clone()) {
            return None;
        }
        if self.seen.len() > MOST {
            self.left_out += 1;
            return Some(remark);
        }
        let level = if remark.is_error { Level::Error } else { Level::Warning };
        self.push(level, &remark);
        Some(remark)
    }

    fn push(&mut self, level: Level, remark: &Remark) {
        let said = StepSaid::Annotation {
            level,
            file: remark.file.clone(),
            line: remark.line.filter(|line| *line > 0),
            message: remark.message.chars().take(LONGEST).collect(),
        };
        self.lines.push(serde_json::to_string(&said).expect("BUG: an annotation is JSON"));
    }

    /// The lines that were not taken yet.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// No more come: says how many were left out.
    pub(super) fn close(&mut self) {
        if self.left_out > 0 {
            let message = format!("{} more remarks are only in the log", self.left_out);
            let remark = Remark { is_error: false, file: None, line: None, message };
            self.push(Level::Notice, &remark);
        }
    }

    /// The file as it is called from the workspace on. Tools name files from the root of cargo's workspace, which is
    /// somewhere between ours and the package.
    fn named(&self, file: &str, from: &Path) -> String {
        let path = Path::new(file);
        let candidates = from.ancestors().take_while(|folder| folder.starts_with(&self.root));
        let found = match path.is_absolute() {
            true => Some(path.to_owned()),
            false => candidates.map(|folder| folder.join(path)).find(|path| path.is_file()),
        };
        let inner = found.and_then(|path| path.strip_prefix(&self.root).ok().map(Path::to_owned));
        inner.map_or_else(|| file.to_owned(), |inner| inner.to_string_lossy().into_owned())
    }
}

/// A remark's place and text, for a sentence: `src/lib.rs:3: mismatched types`.
pub(super) fn in_words(remark: &Remark) -> String {
    let message = remark.message.lines().next().unwrap_or("");
    match (&remark.file, remark.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: {message}"),
        (Some(file), None) => format!("{file}: {message}"),
        (None, _) => message.to_owned(),
    }
}

/// `1 test`, `2 tests`.
pub(super) fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Names in backticks, a few of them.
pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST_NAMES: usize = 5;
    let all: Vec<&str> = names.into_iter().collect();
    let first: Vec<String> = all.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    let more = all.len().saturating_sub(MOST_NAMES);
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(file: &str, message: &str) -> Remark {
        Remark { is_error: true, file: Some(file.into()), line: Some(3), message: message.into() }
    }

    #[test]
    fn files_are_named_from_the_workspace_on() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("shop/core");
        std::fs::create_dir_all(package.join("src")).unwrap();
        std::fs::write(package.join("src/lib.rs"), "").unwrap();
        let real = package.canonicalize().unwrap();
        let mut remarks = Remarks::new(root.path(), &root.path().join("shop"));
        let named = |remarks: &mut Remarks, file: &str| {
            remarks.add(remark(file, file), Some(&real)).unwrap().file.unwrap()
        };
        assert_eq!(named(&mut remarks, "core/src/lib.rs"), "shop/core/src/lib.rs");
        assert_eq!(named(&mut remarks, "src/lib.rs"), "shop/core/src/lib.rs");
        let whole = real.join("src/lib.rs");
        assert_eq!(named(&mut remarks, whole.to_str().unwrap()), "shop/core/src/lib.rs");
        assert_eq!(named(&mut remarks, "/rustc/1/x.rs"), "/rustc/1/x.rs");
        assert_eq!(named(&mut remarks, "gone.rs"), "gone.rs");
    }

    #[test]
    fn each_is_said_once_and_not_too_many() {
        let mut remarks = Remarks::new(Path::new("/"), Path::new("/"));
        assert!(remarks.add(remark("a", "x"), None).is_some());
        assert!(remarks.add(remark("a", "x"), None).is_none());
        for number in 0..MOST {
            remarks.add(remark("a", &number.to_string()), None);
        }
        remarks.close();
        let lines = remarks.take();
        assert_eq!(lines.len(), MOST + 1);
        assert!(lines[MOST].contains("1 more remarks") && lines[MOST].contains("notice"), "{}", lines[MOST]);
        let first: StepSaid = serde_json::from_str(&lines[0]).unwrap();
        assert!(matches!(first, StepSaid::Annotation { level: Level::Error, line: Some(3), .. }));
    }

    #[test]
    fn sentences_name_a_few() {
        assert_eq!(names(["a", "b"]), "`a`, `b`");
        assert_eq!(names(["a"; 7]), "`a`, `a`, `a`, `a`, `a` and 2 more");
        assert_eq!(
            (count(1, "test", "tests"), count(2, "test", "tests")),
            ("1 test".into(), "2 tests".into())
        );
        assert_eq!(in_words(&remark("a.rs", "one\ntwo")), "a.rs:3: one");
    }
}
