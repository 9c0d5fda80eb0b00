//! Which files count as pipeline files, and reading one without ever waiting or being fooled by what it is.

use rustix::fs::{FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// No pipeline file is larger, in bytes.
pub const SIZE_LIMIT_BYTES: u64 = 1 << 20;

/// A pipeline file as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// Its absolute path in the watched folder (links not followed).
    pub path: PathBuf,
    /// Its name in the watched folder. Bytes that are not UTF-8 are replaced here, and then it is never read.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Its bytes, at most [`SIZE_LIMIT_BYTES`], UTF-8 or not.
    Text(Arc<[u8]>),
    /// It is not there any more.
    Gone,
    /// It is there and cannot be used.
    Unreadable {
        /// The stable code.
        code: &'static str,
        /// What is wrong, as a fragment that reads after "failed to".
        message: String,
        /// The way out.
        help: String,
    },
}

impl Content {
    fn unreadable(code: &'static str, message: impl Into<String>, help: &str) -> Self {
        Self::Unreadable { code, message: message.into(), help: help.to_owned() }
    }

    /// What two contents are compared by.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        match self {
            Self::Text(bytes) => {
                hasher.update([0]);
                hasher.update(bytes);
            }
            Self::Gone => hasher.update([1]),
            Self::Unreadable { code, message, .. } => {
                hasher.update([&[2], code.as_bytes(), message.as_bytes()].concat())
            }
        }
        hasher.finalize().into()
    }
}

/// Whether a name is one of a pipeline file: `*.toml`, and not what editors and synchronisers leave beside one.
pub fn is_candidate(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.len() > 5 && name.ends_with(b".toml") && !matches!(name[0], b'.' | b'#' | b'~')
}

/// One look at a file.
pub(super) enum Look {
    /// As it is.
    Settled(Content),
    /// It changed while it was being read.
    Moving,
}

/// How often a file that is being written is read before it is taken as it is, and the pause between.
const READS: (u32, Duration) = (20, Duration::from_millis(50));

/// What is in the file `name` of `folder`, by the same rules as for a watch, for who does not watch.
pub fn look_once(folder: &Path, name: &OsStr) -> Content {
    for _ in 0..READS.0 {
        if let Look::Settled(content) = look(folder, name) {
            return content;
        }
        std::thread::sleep(READS.1);
    }
    Content::unreadable(
        "TG-FILE-006",
        "read a pipeline file: it goes on changing",
        "wait until it is written",
    )
}

/// Reads the file `name` of `folder`.
pub(super) fn look(folder: &Path, name: &OsStr) -> Look {
    if name.to_str().is_none() {
        return Look::Settled(Content::unreadable(
            "TG-FILE-001",
            "use a pipeline file whose name is not UTF-8",
            "rename the file",
        ));
    }
    let path = folder.join(name);
    read(&path).unwrap_or_else(|error| Look::Settled(refused(&path, &error)))
}

fn read(path: &Path) -> io::Result<Look> {
    // Looked at before opening, because opening a device or a pipe can already do something; and again afterwards,
    // because something else may have taken its place in between.
    if let Some(refusal) = refuse_kind(&std::fs::metadata(path)?) {
        return Ok(Look::Settled(refusal));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let before = file.metadata()?;
    if let Some(refusal) = refuse_kind(&before) {
        return Ok(Look::Settled(refusal));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0) + 1);
    (&file).take(SIZE_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    let after = file.metadata()?;
    if version(&before) != version(&after) || bytes.len() as u64 != after.len() {
        return Ok(Look::Moving);
    }
    Ok(Look::Settled(Content::Text(bytes.into())))
}

fn refuse_kind(found: &Metadata) -> Option<Content> {
    let kind = match FileType::from_raw_mode(found.mode()) {
        FileType::RegularFile if found.len() > SIZE_LIMIT_BYTES => {
            return Some(Content::unreadable(
                "TG-FILE-003",
                "read a pipeline file larger than 1 MiB",
                "split it into several pipelines, or is it the wrong file?",
            ));
        }
        FileType::RegularFile => return None,
        FileType::Directory => "a folder",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something that is not a file",
    };
    Some(Content::unreadable(
        "TG-FILE-002",
        format!("read {kind} as a pipeline file"),
        "put a regular file there, or rename it so that it does not end in `.toml`",
    ))
}

fn refused(path: &Path, error: &io::Error) -> Content {
    match error.kind() {
        io::ErrorKind::NotFound if path.symlink_metadata().is_ok() => Content::unreadable(
            "TG-FILE-004",
            "follow the link of a pipeline file: nothing is where it points",
            "make its target, or remove the link",
        ),
        io::ErrorKind::NotFound => Content::Gone,
        io::ErrorKind::PermissionDenied => Content::unreadable(
            "TG-FILE-005",
            "read a pipeline file: permission denied",
            "let the user that tidegate runs as read it, and pass through the folders above it",
        ),
        _ => Content::unreadable(
            "TG-FILE-006",
            format!("read a pipeline file: {error}"),
            "check the disk, and that a link does not lead back to itself",
        ),
    }
}

/// What changes when the content of a file does.
fn version(found: &Metadata) -> [i64; 5] {
    let size = found.len().cast_signed();
    [size, found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()]
}

/// The version of the file at `path`, links followed; `None` if there is none.
pub(super) fn version_of(path: &Path) -> Option<[i64; 5]> {
    std::fs::metadata(path).ok().map(|found| version(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_leave_is_no_pipeline_file() {
        for name in ["p.toml", "P 1.toml", "a.b.toml", "größe.toml", "p~.toml"] {
            assert!(is_candidate(OsStr::new(name)), "{name}");
        }
        let droppings = [
            ".p.toml.swp",
            "4913",
            "p.toml~",
            "#p#",
            "#p.toml#",
            ".#p.toml",
            ".p.toml",
            ".p.toml.tmp",
            "p.toml.tmp",
            "p.toml.bak",
            "p.toml.orig",
            "~p.toml",
            ".toml",
            "p.TOML",
            "p.toml.swx",
            "p.toml___jb_tmp___",
            "toml",
            "",
        ];
        for name in droppings {
            assert!(!is_candidate(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn different_contents_have_different_digests() {
        let text = |bytes: &[u8]| Content::Text(bytes.into());
        let all = [
            text(b""),
            text(b"a"),
            Content::Gone,
            Content::unreadable("TG-FILE-002", "m", "h"),
            Content::unreadable("TG-FILE-002", "n", "h"),
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(one.digest(), other.digest());
            }
        }
    }
}
