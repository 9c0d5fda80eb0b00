//! What a pipeline takes from this machine: its secrets, and the programs of its notices. No value of theirs is read and
//! no command is run: whether they are there is all that is asked. And what forges sign with.

use super::Findings;
use crate::domain::Pipeline;
use crate::domain::pipeline::{Script, SecretSource};
use crate::interpreter::environment;
use crate::settings::Webhooks;
use rustix::fs::Access;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The folders that names are looked for from: as the controller does it.
pub(super) struct Folders<'a> {
    /// Of the pipeline files: notices run there.
    pub(super) pipelines: &'a Path,
    /// The state folder: commands of secrets run there.
    pub(super) state: &'a Path,
}

pub(super) fn look(folders: &Folders<'_>, pipeline: &Pipeline, findings: &mut Findings) {
    for (name, source) in &pipeline.secrets {
        let place = format!("{name} ({})", pipeline.name);
        match judge(source, folders) {
            Ok(found) => findings.ok("secret", &place, found),
            Err((found, help)) => findings.warning("secret", &place, found, &help),
        }
    }
    for (at, notice) in pipeline.notify.iter().enumerate() {
        let program = notice.run.as_ref().and_then(program);
        if let Some(program) = program {
            let place = format!("{} ({})", at + 1, pipeline.name);
            match find(&program, folders.pipelines) {
                Ok(path) => findings.ok("notice", &place, format!("`{}` can be run", path.display())),
                Err(found) => {
                    let help =
                        "it is run in the folder of the pipeline files: put it there, and `chmod +x` it";
                    findings.warning("notice", &place, found, help);
                }
            }
        }
    }
}

/// The secrets that forges sign with. Without one every delivery is refused.
pub(super) fn of_webhooks(webhooks: &Webhooks, findings: &mut Findings) {
    for (forge, place) in webhooks.iter() {
        match place.read(forge) {
            Ok(_) => findings.ok("webhook", forge.as_str(), "its secret can be read"),
            Err(error) => {
                let found = format!("no delivery is taken: failed to {error} [{}]", error.code());
                findings.bad("webhook", forge.as_str(), found, &error.help());
            }
        }
    }
}

/// What was found; else what is wrong, and the way out.
fn judge(source: &SecretSource, folders: &Folders<'_>) -> Result<String, (String, String)> {
    match source {
        SecretSource::File(file) => {
            let help =
                "make it, readable for the user that the controller runs as, with the value alone in it";
            match std::fs::File::open(file).and_then(|opened| opened.metadata()) {
                Ok(about) if about.is_file() && about.len() == 0 => {
                    Err((format!("`{file}` is empty"), "write the value into it, and nothing else".into()))
                }
                Ok(about) if about.is_file() && about.mode() & 0o007 != 0 => {
                    let found = format!(
                        "everybody on this machine can use `{file}` (mode {:04o})",
                        about.mode() & 0o777
                    );
                    Err((found, format!("chmod o-rwx {file}")))
                }
                Ok(about) if about.is_file() => Ok(format!("`{file}` can be read")),
                Ok(_) => Err((format!("`{file}` is not a file"), help.into())),
                Err(error) => Err((format!("`{file}` cannot be read: {error}"), help.into())),
            }
        }
        SecretSource::Env(name) if std::env::var_os(name).is_some() => Ok(format!("`{name}` is set here")),
        SecretSource::Env(name) => {
            let help = format!("the controller must be started with it: {name}=… tidegate serve");
            Err((format!("`{name}` is not set here"), help))
        }
        SecretSource::Command(argv) => {
            let program = argv.first().map(String::as_str).unwrap_or_default();
            match find(program, folders.state) {
                Ok(path) => Ok(format!("`{}` is there, and was not run", path.display())),
                Err(found) => {
                    let help = "install it, or name it by its whole path; it is run in the state folder";
                    Err((found, help.into()))
                }
            }
        }
    }
}

/// The program of a command, as far as it can be told without a shell.
fn program(script: &Script) -> Option<String> {
    match script {
        Script::Argv(argv) => argv.first().cloned(),
        Script::Shell(text) => {
            let word = text.split_whitespace().next()?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
            (word.contains('/') && word.chars().all(is_plain)).then(|| word.to_owned())
        }
    }
}

/// Where a program is that is run in a folder.
fn find(program: &str, folder: &Path) -> Result<PathBuf, String> {
    let can_run = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        let path = folder.join(program);
        return match (can_run(&path), path.exists()) {
            (true, _) => Ok(path),
            (false, true) => Err(format!("`{}` is there, but cannot be executed", path.display())),
            (false, false) => Err(format!("there is no `{}`", path.display())),
        };
    }
    let inherited = environment::inherited();
    let path = inherited.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_bytes());
    let folders = path.unwrap_or_default().split(|byte| *byte == b':');
    let mut places = folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join(program));
    places.find(|place| can_run(place)).ok_or_else(|| format!("`{program}` is not in the PATH"))
}
