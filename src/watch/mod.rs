//! Noticing that pipeline files in one folder changed. Nothing is parsed here: what is delivered is bytes.
//!
//! Every event of the file system is only a hint. What counts is the content: a file is read when it seems to have
//! settled, and delivered if its bytes differ from what was delivered last. Properties wanted:
//!
//! - Whatever way a file was saved (in place, renamed over, an editor's dance of backups, a swapped symbolic link), its
//!   new content is delivered once, and a half-written one is not. A rename into place is taken at once; a write in
//!   place when the writer closed the file (or left it alone for five seconds); anything else after 100 ms of quiet.
//! - There are at least 100 ms between two deliveries, and at most one waits to be taken: under a storm the last
//!   content wins, and memory does not grow.
//! - A folder that vanishes is not a folder whose pipelines were all removed: nothing is delivered but a note, and what
//!   differs when it is back.
//! - When nothing happens, nothing runs: no timers, no polling, unless the system refuses to tell us of changes.
//!
//! Known and accepted: a file that is half-written when the watch starts is taken as it is, and corrected when it is
//! closed; where changes are polled for (network file systems), a file that rests half-written for longer than a poll
//! is taken half-written. Files that belong together are best swapped as a folder behind a symbolic link, because
//! files load one by one.

mod armed;
mod fence;
mod files;
mod hints;
mod links;
mod worker;

pub use files::{Content, FileState, SIZE_LIMIT_BYTES, is_candidate, look_once};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

use hints::Board;

/// What differs from what was delivered before. The first one is everything there is, however little that may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The files that differ, by name.
    pub files: Vec<FileState>,
    /// What there is to say about the watching itself.
    pub notes: Vec<Note>,
}

/// Something about the watching itself that an operator should hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The folder is not there (or is no folder); what was delivered stands, and the folder is looked for.
    FolderLost {
        /// The folder, absolute.
        folder: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The folder is there again and is watched.
    FolderBack {
        /// The folder, absolute.
        folder: PathBuf,
    },
    /// The system does not tell of changes; files are looked at every two seconds.
    Polling {
        /// Why.
        cause: String,
    },
    /// The system lost count of changes; everything was looked at again.
    Overflow,
    /// Every user of this machine may change pipeline files.
    OpenToAll {
        /// The folder or file that they may write, absolute.
        place: PathBuf,
    },
    /// The watch could not be started at all.
    Dead {
        /// What the system said.
        cause: String,
    },
}

impl Note {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FolderLost { .. } => "TG-WATCH-001",
            Self::FolderBack { .. } => "TG-WATCH-002",
            Self::Polling { .. } => "TG-WATCH-003",
            Self::Overflow => "TG-WATCH-004",
            Self::OpenToAll { .. } => "TG-WATCH-005",
            Self::Dead { .. } => "TG-WATCH-006",
        }
    }

    /// The way out; empty where there is nothing to do.
    pub fn help(&self) -> String {
        match self {
            Self::FolderLost { .. } => "make the folder, or name another with `--pipelines DIR`".to_owned(),
            Self::Polling { .. } => {
                "raise `fs.inotify.max_user_watches` and `max_user_instances`, or move the folder to a local disk; \
                 changes are seen all the same, only later"
                    .to_owned()
            }
            Self::OpenToAll { place } => format!("`chmod o-w {}`", place.display()),
            Self::Dead { .. } => "restart the controller; until then it keeps the definitions it has".to_owned(),
            Self::FolderBack { .. } | Self::Overflow => String::new(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FolderLost { folder, cause } => {
                write!(
                    f,
                    "the pipeline folder `{}` is lost, its pipelines stay as they are: {cause}",
                    folder.display()
                )
            }
            Self::FolderBack { folder } => {
                write!(f, "the pipeline folder `{}` is watched again", folder.display())
            }
            Self::Polling { cause } => {
                write!(f, "looking for changed pipeline files every two seconds: {cause}")
            }
            Self::Overflow => write!(f, "too many changes at once, looked at every pipeline file again"),
            Self::OpenToAll { place } => {
                write!(
                    f,
                    "every user of this machine may change pipelines: they may write `{}`",
                    place.display()
                )
            }
            Self::Dead { cause } => write!(f, "changed pipeline files are not noticed: {cause}"),
        }
    }
}

/// A running watch. Dropping it, or the receiver, ends it.
#[derive(Debug)]
pub struct Watch {
    board: Arc<Board>,
}

impl Watch {
    /// Watches `folder`, which need not be there yet. Answers at once; the first message on the channel is everything
    /// that is there. A relative folder is meant from where the process stands now.
    pub fn start(folder: PathBuf) -> (Self, mpsc::Receiver<Change>) {
        // One waiting delivery: what changes while it waits goes into the next.
        let (sender, receiver) = mpsc::channel(1);
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let board = Arc::new(Board::default());
        let for_worker = Arc::clone(&board);
        let failure = sender.clone();
        let spawned = std::thread::Builder::new()
            .name("tidegate-watch".to_owned())
            .spawn(move || worker::run(&folder, &for_worker, &sender));
        if let Err(error) = spawned {
            let note = Note::Dead { cause: error.to_string() };
            failure.try_send(Change { files: Vec::new(), notes: vec![note] }).ok();
        }
        (Self { board }, receiver)
    }

    /// Looks at every file again now, also at those that seem to be in the middle of being written. What differs is
    /// delivered as always; nothing is if nothing does.
    pub fn rescan(&self) {
        self.board.rescan();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.board.stop();
    }
}

#[cfg(test)]
mod tests;
