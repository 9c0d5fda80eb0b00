//! Real repositories in temporary folders, whatever the settings of the machine.

use super::*;
use std::process::Command;
use tempfile::TempDir;

/// A folder with work trees and bare repositories in it, and a place for mirrors.
pub(super) struct Yard {
    temp: TempDir,
}

impl Yard {
    pub(super) fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        // Resolved, since a temporary folder may lie behind a link.
        self.temp.path().canonicalize().unwrap().join(name)
    }

    pub(super) fn git(&self) -> Git {
        ENV.iter().fold(Git::default(), |git, (name, value)| git.with_env(name, value))
    }

    /// A work tree with one commit.
    pub(super) fn work(&self, name: &str) -> Work<'_> {
        self.work_with(name, &[])
    }

    pub(super) fn work_with(&self, name: &str, options: &[&str]) -> Work<'_> {
        let work = Work { yard: self, dir: self.path(name) };
        std::fs::create_dir_all(&work.dir).unwrap();
        work.run(&[&["init", "-q", "-b", "main"], options].concat());
        work.commit("README", "hello", "first");
        work
    }

    /// A work tree that was made before.
    pub(super) fn again(&self, name: &str) -> Work<'_> {
        Work { yard: self, dir: self.path(name) }
    }

    /// What a pipeline with this repository would use.
    pub(super) fn repo(&self, location: &str) -> Repo {
        let location = match location.contains("://") {
            true => location.to_owned(),
            false => self.path(location).display().to_string(),
        };
        Repo::new(self.git(), Location::parse(&location).unwrap(), self.path("state/mirrors/p.git"))
    }
}

const ENV: [(&str, &str); 8] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_AUTHOR_NAME", "Ada"),
    ("GIT_AUTHOR_EMAIL", "ada@example.org"),
    ("GIT_COMMITTER_NAME", "Bob"),
    ("GIT_COMMITTER_EMAIL", "bob@example.org"),
    ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"),
    ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z"),
];

/// A work tree.
pub(super) struct Work<'a> {
    yard: &'a Yard,
    pub(super) dir: PathBuf,
}

impl Work<'_> {
    /// Runs git there, must succeed; what it wrote.
    pub(super) fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(super) fn try_run(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new("git");
        command.args(args).current_dir(&self.dir).envs(ENV);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        command.output().unwrap()
    }

    /// Writes a file and commits it; the commit.
    pub(super) fn commit(&self, file: &str, text: &str, message: &str) -> Sha {
        let path = self.dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.run(&["add", "-A"]);
        self.run(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(super) fn head(&self) -> Sha {
        self.run(&["rev-parse", "HEAD"]).into()
    }

    /// A bare repository beside it with all that it has.
    pub(super) fn bare(&self, name: &str) -> PathBuf {
        let path = self.yard.path(name);
        self.run(&["clone", "-q", "--bare", ".", path.to_str().unwrap()]);
        path
    }
}

use crate::domain::Sha;
