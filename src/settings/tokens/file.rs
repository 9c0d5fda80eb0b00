//! The files that tokens are in: read only when nobody else can, replaced in one step, never half written.

use super::{Entry, Secret, TokenError};
use crate::settings::StateDir;
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// No list of tokens is larger; it holds some 20,000.
const LIST_LIMIT_BYTES: u64 = 4 << 20;

/// No file with one token is larger.
const TOKEN_LIMIT_BYTES: u64 = 4 << 10;

/// Who may read a file with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Its owner alone.
    Owner,
    /// Its owner and its group: the token of a hook, which whoever pushes must be able to read.
    Group,
}

impl Privacy {
    fn most(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o640,
        }
    }

    /// The bits that must not be set: the owner may do as they like.
    fn forbidden(self) -> u32 {
        0o077 & !self.most()
    }
}

/// What changes when a file does: inode, size, times of change in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp([i64; 6]);

impl Stamp {
    /// `None` if nothing is there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|found| Self::from(&found))
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        let [ino, size] = [found.ino(), found.len()].map(u64::cast_signed);
        Self([ino, size, found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()])
    }
}

/// The token in a file that only those may read whom it is for.
pub fn read_token_file(path: &Path, privacy: Privacy) -> Result<Secret, TokenError> {
    read_token(path, privacy).map(|(secret, _)| secret)
}

pub(super) fn read_token(path: &Path, privacy: Privacy) -> Result<(Secret, Stamp), TokenError> {
    let (text, stamp) = read_private(path, privacy, TOKEN_LIMIT_BYTES)?;
    let secret = Secret::of(text.trim()).ok_or_else(|| {
        let message = "it should hold one word and nothing else".to_owned();
        TokenError::Malformed { path: path.to_owned(), message }
    })?;
    Ok((secret, stamp))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    tokens: Vec<Entry>,
}

/// The list; `None` if there is none yet.
pub(super) fn read_list(path: &Path) -> Result<Option<(Stamp, Vec<Entry>)>, TokenError> {
    let (text, stamp) = match read_private(path, Privacy::Owner, LIST_LIMIT_BYTES) {
        Err(TokenError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let list: List = parse(path, &text)?;
    Ok(Some((stamp, list.tokens)))
}

/// Something in JSON that nobody else may read.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TokenError> {
    let (text, _) = read_private(path, Privacy::Owner, LIST_LIMIT_BYTES)?;
    parse(path, &text)
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TokenError> {
    serde_json::from_str(text)
        .map_err(|error| TokenError::Malformed { path: path.to_owned(), message: error.to_string() })
}

/// Changes the list while nobody else does, in this process or another; a refused change changes nothing.
pub(super) fn change_list<T>(
    state: &StateDir,
    change: impl FnOnce(&mut Vec<Entry>) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    let _alone = alone(state)?;
    let path = state.tokens();
    let mut tokens = read_list(&path)?.map(|(_, entries)| entries).unwrap_or_default();
    let answer = change(&mut tokens)?;
    let mut text =
        serde_json::to_string_pretty(&List { tokens }).expect("BUG: a list of tokens is always JSON");
    text.push('\n');
    replace(&path, text.as_bytes()).map_err(|cause| TokenError::Io { path, cause })?;
    Ok(answer)
}

/// Makes the owner's token unless it is there.
pub(super) fn make_owner_token(state: &StateDir) -> Result<(), TokenError> {
    let _alone = alone(state)?;
    let path = state.token();
    // A dangling link is something that is there, too: it is refused when read, not replaced.
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let text = format!("{}\n", Secret::generate()?.expose());
    replace(&path, text.as_bytes()).map_err(|cause| TokenError::Io { path, cause })
}

/// Holds the state folder's own lock, which is not the one that says that a controller runs.
fn alone(state: &StateDir) -> Result<File, TokenError> {
    let failed = |cause: io::Error| TokenError::Io { path: state.path().to_owned(), cause };
    let folder = File::open(state.path()).map_err(failed)?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(folder)
}

/// Replaces `path` by a file of mode 0600 with this content, durably: afterwards there is the old one or the new one.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("BUG: a file of the state folder has a folder");
    let name = path.file_name().expect("BUG: a file of the state folder has a name");
    let mut new = folder.to_path_buf();
    new.push(format!(".{}.new", name.to_string_lossy()));
    // What an interrupted run left; nobody else writes here, the caller holds the folder's lock.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written =
        file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        std::fs::remove_file(&new).ok();
    }
    written.and_then(|()| File::open(folder)?.sync_all())
}

/// Reads a small regular file, and only if its permission bits keep others out. Never waits on a pipe.
fn read_private(path: &Path, privacy: Privacy, limit_bytes: u64) -> Result<(String, Stamp), TokenError> {
    let failed = |cause: io::Error| TokenError::Io { path: path.to_owned(), cause };
    let malformed =
        |message: &str| TokenError::Malformed { path: path.to_owned(), message: message.to_owned() };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file =
        File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?);
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(malformed("not a regular file"));
    }
    let mode = found.mode() & 0o777;
    if mode & privacy.forbidden() != 0 {
        return Err(TokenError::Exposed { path: path.to_owned(), mode, most: privacy.most() });
    }
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(malformed("too large"));
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
    Ok((text, Stamp::from(&found)))
}
