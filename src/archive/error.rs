//! Why a journal could not be carried, copied or restored: data here, wording here.

use crate::journal;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Most files that are named.
const NAMED: usize = 10;

/// Why it came to nothing. Displayed it is a fragment that reads after "failed to".
#[derive(Debug)]
pub enum Error {
    /// The journal cannot be read or written.
    Journal(journal::Error),
    /// A file or folder cannot be read or written.
    Io {
        /// What was tried, a fragment such as `copy`.
        tried: &'static str,
        /// The place.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The folder holds something, and it is no backup.
    NotABackup {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is a backup of another journal.
    Another {
        /// The folder.
        folder: PathBuf,
    },
    /// The journal is not what was written; the backup that was there stays.
    Unproven {
        /// What was found first.
        first: String,
    },
    /// Another backup is being made into that folder.
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The backup was made by a release that knows more than this one.
    Newer {
        /// The version of its form.
        format: u32,
    },
    /// Files of the backup are missing or are not what was copied.
    Damaged {
        /// Their paths, with what is wrong.
        files: Vec<String>,
    },
    /// The folder that is to become a state folder has something in it.
    Full {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        there: String,
    },
    /// The folder for the backup lies in the state folder, or the other way round.
    Within {
        /// The folder.
        folder: PathBuf,
    },
    /// What the journal refers to went away while it was copied, again and again.
    Moving {
        /// A file that went.
        path: PathBuf,
    },
    /// A line of an export does not fit.
    Line {
        /// Counted from 1.
        line: usize,
        /// What does not fit.
        detail: String,
    },
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Journal(error) => error.code(),
            Error::Io { .. } => "TG-BACKUP-001",
            Error::NotABackup { .. } => "TG-BACKUP-002",
            Error::Another { .. } => "TG-BACKUP-003",
            Error::Unproven { .. } => "TG-BACKUP-004",
            Error::Busy { .. } => "TG-BACKUP-005",
            Error::Newer { .. } => "TG-BACKUP-006",
            Error::Damaged { .. } => "TG-BACKUP-007",
            Error::Full { .. } => "TG-BACKUP-008",
            Error::Within { .. } => "TG-BACKUP-009",
            Error::Moving { .. } => "TG-BACKUP-010",
            Error::Line { .. } => "TG-IMPORT-001",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        let text = match self {
            Error::Journal(error) => error.help().unwrap_or_default(),
            Error::Io { .. } => "look after what is named: disk, permissions; then do it again",
            Error::NotABackup { .. } => {
                "name a folder that is not there yet, an empty one, or one with a backup"
            }
            Error::Another { .. } => "give each controller a folder of its own for its backups",
            Error::Unproven { .. } => {
                "`tidegate verify-journal` says all that is wrong; the backup that was made before is as it was"
            }
            Error::Busy { .. } => "wait until it is done",
            Error::Newer { .. } => "restore it with the release that made it, or a newer one",
            Error::Damaged { .. } => "take another backup into a new folder: nothing was put in place",
            Error::Full { .. } => {
                "name a folder that is not there yet with `--state`, or move away what is in it"
            }
            Error::Within { .. } => "name a folder outside, best on another disk",
            Error::Moving { .. } => "do it again when less is built and tidied up",
            Error::Line { .. } => {
                "take a whole and unchanged file that `tidegate export` wrote: nothing was put in place"
            }
        };
        text.into()
    }

    /// What the system said of a place.
    pub(super) fn io(tried: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |cause| Error::Io { tried, path, cause }
    }
}

impl From<journal::Error> for Error {
    fn from(error: journal::Error) -> Error {
        Error::Journal(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Journal(error) => error.fmt(f),
            Error::Io { tried, path, cause } => write!(f, "{tried} `{}`: {cause}", path.display()),
            Error::NotABackup { folder } => write!(f, "use `{}`: it is not a backup", folder.display()),
            Error::Another { folder } => {
                write!(f, "back up into `{}`: it is the backup of another journal", folder.display())
            }
            Error::Unproven { first } => write!(f, "take the journal: it is not what was written ({first})"),
            Error::Busy { folder } => {
                write!(f, "use `{}`: another backup is being made there", folder.display())
            }
            Error::Newer { format } => {
                write!(f, "read the backup: a newer release made it (form {format}, this release knows 1)")
            }
            Error::Damaged { files } => {
                let more = files.len().saturating_sub(NAMED);
                let named = files.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "restore the backup: {named}")?;
                if more > 0 { write!(f, ", and {more} more") } else { Ok(()) }
            }
            Error::Full { folder, there } => {
                write!(f, "restore into `{}`: there is `{there}` already", folder.display())
            }
            Error::Within { folder } => {
                write!(f, "use `{}`: backup and state folder lie within each other", folder.display())
            }
            Error::Moving { path } => {
                write!(f, "copy `{}`: what the journal refers to goes away meanwhile", path.display())
            }
            Error::Line { line, detail } => write!(f, "import line {line}: {detail}"),
        }
    }
}

impl std::error::Error for Error {}
