//! A folder as it is, as a commit: in a repository of its own, so that nothing is written into the folder's.

use crate::cli::Exit;
use crate::cli::trouble::Trouble;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository with one commit; gone when it is dropped.
pub(super) struct Copy(PathBuf);

impl Copy {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What is left of it lies in the temporary folder, which the system clears.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a commit of what git would add of a folder: everything but what its `.gitignore` names.
pub(super) fn of_folder(folder: &Path) -> Result<Copy, Trouble> {
    let folder = folder.canonicalize().ok().filter(|folder| folder.is_dir()).ok_or_else(|| {
        let message = format!("`{}` is not a folder", folder.display());
        Trouble::new("TG-CLI-011", message, "name a folder with `--dir`", Exit::Usage)
    })?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| failed("make a name", &error.to_string()))?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let copy = Copy(std::env::temp_dir().join(format!("tidegate-run-{name}.git")));
    // What is not committed is nobody else's to read.
    let made = std::fs::DirBuilder::new().mode(0o700).create(&copy.0);
    made.map_err(|error| failed("make a folder", &error.to_string()))?;
    git(&copy, &folder, &["init", "-q", "--bare"])?;
    git(&copy, &folder, &["symbolic-ref", "HEAD", "refs/heads/main"])?;
    git(&copy, &folder, &["config", "core.bare", "false"])?;
    git(&copy, &folder, &["add", "-A", "--", "."])?;
    git(&copy, &folder, &["commit", "-q", "--no-verify", "--allow-empty", "-m", "The folder as it is"])?;
    git(&copy, &folder, &["config", "core.bare", "true"])?;
    Ok(copy)
}

fn git(copy: &Copy, folder: &Path, arguments: &[&str]) -> Result<(), Trouble> {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    command
        .env("GIT_DIR", &copy.0)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "tidegate run")
            .env(format!("GIT_{who}_EMAIL"), "tidegate@localhost");
    }
    let has_tree = !matches!(arguments[0], "init");
    if has_tree {
        command.env("GIT_WORK_TREE", folder);
    }
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed("run git", &error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(
            &format!("run `git {}`", arguments[0]),
            String::from_utf8_lossy(&output.stderr).trim(),
        )),
    }
}

fn failed(what: &str, error: &str) -> Trouble {
    Trouble::new(
        "TG-CLI-014",
        format!("failed to {what}: {error}"),
        "`--dir` needs git and a temporary folder",
        Exit::Failed,
    )
}
