//! The post-receive hook: put beside what is there already, taken away again without a trace, and the lines that git
//! gives it. What the hook says to the controller is said by the command line (`tidegate hook notify`).

use super::Git;
use super::error::{Error, io};
use super::location::Folders;
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

mod lines;
mod script;

pub use lines::{Kind, Update, parse_lines};
pub(crate) use script::quote;

/// Name of the hook, and what an earlier one is called while ours is there.
const HOOK: &str = "post-receive";
const EARLIER: &str = "post-receive.before-tidegate";
const TOKEN: &str = "tidegate.token";

/// What the hook needs to know. The token is not in it, only its place.
#[derive(Clone, Debug)]
pub struct HookSettings {
    /// Where the controller answers, as in `http://127.0.0.1:8433`.
    pub url: String,
    /// The file that holds the token: see [`token_place`] and [`write_token`].
    pub token_file: PathBuf,
    /// The program that the hook calls; without it the hook uses `curl`.
    pub tidegate_binary: PathBuf,
    /// The pipeline to name, where the repository alone does not tell.
    pub pipeline: Option<String>,
}

/// What `install` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The hook.
    pub hook: PathBuf,
    /// Where the hook that was there before is now, if there was one; it runs first.
    pub earlier: Option<PathBuf>,
    /// False if the hook stood there already, the same to the byte.
    pub changed: bool,
}

/// Puts the hook into a repository on this machine, bare or not. A hook that is there already goes on working.
///
/// # Errors
/// There is no repository, its hooks cannot be written, or a hook that is not ours stands in the way.
pub async fn install(git: &Git, repo: &Path, settings: &HookSettings) -> Result<Installed, Error> {
    let place = Place::of(git, repo).await?;
    let text = script::write(&place.git_dir, settings)?;
    let (hook, earlier) = (place.hooks.join(HOOK), place.hooks.join(EARLIER));
    fs::create_dir_all(&place.hooks).map_err(io("create", &place.hooks))?;
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    match fs::read(&hook) {
        Ok(bytes) if bytes == text.as_bytes() && is_executable(&hook) => {
            return Ok(Installed { hook, earlier: exists(&earlier).then_some(earlier), changed: false });
        }
        Ok(bytes) if script::is_ours(&bytes) && !script::serves(&bytes, &place.git_dir) => {
            return Err(Error::HookServesAnother { hook });
        }
        Ok(bytes) if script::is_ours(&bytes) => {}
        _ if exists(&hook) && exists(&earlier) => return Err(Error::HookInTheWay { hook, earlier }),
        _ if exists(&hook) => {
            // A second name, not a move: no push may find no hook at all.
            fs::hard_link(&hook, &earlier).map_err(io("link", &earlier))?;
        }
        _ => {}
    }
    write_as_owner(&hook, text.as_bytes(), 0o755, &place.git_dir)?;
    Ok(Installed { hook, earlier: exists(&earlier).then_some(earlier), changed: true })
}

/// What the hook of a repository says, if there is one of ours.
///
/// # Errors
/// There is no repository.
pub async fn inspect(git: &Git, repo: &Path) -> Result<Option<HookSettings>, Error> {
    let place = Place::of(git, repo).await?;
    let bytes = fs::read(place.hooks.join(HOOK)).unwrap_or_default();
    let serves = script::is_ours(&bytes) && script::serves(&bytes, &place.git_dir);
    Ok(serves.then(|| script::read(&String::from_utf8_lossy(&bytes))))
}

/// Takes the hook away and puts back the earlier one, byte for byte; deletes the token beside it. False if there was none.
///
/// # Errors
/// There is no repository, or its hooks cannot be changed.
pub async fn uninstall(git: &Git, repo: &Path) -> Result<bool, Error> {
    let place = Place::of(git, repo).await?;
    let (hook, earlier) = (place.hooks.join(HOOK), place.hooks.join(EARLIER));
    let ours =
        fs::read(&hook).is_ok_and(|bytes| script::is_ours(&bytes) && script::serves(&bytes, &place.git_dir));
    if !ours {
        return Ok(false);
    }
    match fs::rename(&earlier, &hook) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::remove_file(&hook).map_err(io("delete", &hook))?
        }
        other => other.map_err(io("rename", &earlier))?,
    }
    let token = place.hooks.join(TOKEN);
    match fs::remove_file(&token) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io("delete", &token)(error)),
        _ => Ok(true),
    }
}

/// Where the token of a repository's hook belongs: beside the hook.
///
/// # Errors
/// There is no repository.
pub async fn token_place(git: &Git, repo: &Path) -> Result<PathBuf, Error> {
    Ok(Place::of(git, repo).await?.hooks.join(TOKEN))
}

/// Writes the token so that the repository's owner and group can read it (0640), nobody else.
///
/// # Errors
/// The file cannot be written.
pub fn write_token(file: &Path, repo: &Path, token: &str) -> Result<(), Error> {
    let owner = Folders::find(repo)?.common;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(io("create", folder))?;
    }
    write_as_owner(file, format!("{token}\n").as_bytes(), 0o640, &owner)
}

struct Place {
    git_dir: PathBuf,
    hooks: PathBuf,
}

impl Place {
    /// Asks git where the hooks are: `core.hooksPath`, of the repository or of the user who installs, moves them.
    async fn of(git: &Git, repo: &Path) -> Result<Self, Error> {
        let folders = Folders::find(repo)?;
        let git_dir = folders.common.canonicalize().map_err(io("find", &folders.common))?;
        let call = git.plain_call("rev-parse", &git_dir, &repo.display().to_string()).dir(&git_dir);
        let answer = call.args(["--git-path", "hooks"]).ok().await?;
        let answer = answer.strip_suffix(b"\n").unwrap_or(&answer);
        // A relative path is from the folder that hooks run in, which for this one is the repository's own.
        let hooks = git_dir.join(OsStr::from_bytes(answer));
        Ok(Self { git_dir, hooks })
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// Writes a file in one step. If we may, it gets the owner and group of `like`.
fn write_as_owner(path: &Path, bytes: &[u8], mode: u32, like: &Path) -> Result<(), Error> {
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let done = write_fresh(&fresh, bytes, mode, like).and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        // What is left of it is nobody's.
        let _ = fs::remove_file(&fresh);
    }
    done.map_err(io("write", path))
}

fn write_fresh(fresh: &Path, bytes: &[u8], mode: u32, like: &Path) -> std::io::Result<()> {
    let owner = like.metadata()?;
    // `create_new` follows no link. Nobody else reads it before it is whole.
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(fresh)?;
    file.write_all(bytes)?;
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) != (owner.uid(), owner.gid()) {
        // Only root may give a file away; a member of the group may at least give it to the group.
        if std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid())).is_err() {
            let _ = std::os::unix::fs::fchown(&file, None, Some(owner.gid()));
        }
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
