//! What can go wrong with the journal and the state folder: data here, wording here, and nowhere else.
//!
//! Every error is cheap to clone, because one failed transaction answers everybody who waited for it.

use crate::domain::EventId;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the journal refused or failed. Displayed it is a fragment that reads after "failed to".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There is no room for the records; nothing of the append was kept, and a later append may succeed.
    Full,
    /// The file or its folder may not be written.
    ReadOnly {
        /// What the system said.
        detail: Arc<str>,
    },
    /// The file is not what was once written: its pages, its ids or its texts do not fit together.
    Corrupt {
        /// What was found.
        detail: Arc<str>,
    },
    /// The file was written by a release that knows more than this one. It was not touched.
    Newer {
        /// The schema version found in the file.
        found: i64,
        /// The newest schema version that this release can read.
        known: i64,
    },
    /// The file is a database, but not a journal.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process owns the state folder.
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The owner as it wrote itself into the lock file; unknown when that cannot be read.
        pid: Option<u32>,
    },
    /// The state folder lies on a file system whose locks and shared memory cannot be relied upon.
    NetworkFilesystem {
        /// The folder.
        folder: PathBuf,
        /// Name of the kind of file system, such as `nfs`.
        kind: &'static str,
    },
    /// The ids of an append do not go on where the journal ends. The caller is wrong (a BUG), the journal is well.
    OutOfOrder {
        /// The only id that could have come next.
        expected: EventId,
        /// The id that came.
        got: EventId,
    },
    /// A sync failed. What the disk holds is unknown from then on, so that this journal accepts nothing more.
    Sync {
        /// What the system said.
        detail: Arc<str>,
    },
    /// Somebody outside held a lock on the file for longer than the patience of the journal.
    Busy,
    /// The journal was closed, or its threads are gone.
    Closed,
    /// The linked SQLite has known faults in the write-ahead log.
    OldSqlite {
        /// Its version, as `3.51.3`.
        version: Arc<str>,
    },
    /// The records of an earlier layout have not got their chain yet.
    NoChain,
    /// Anything else that the system or SQLite said.
    Io {
        /// What was tried, a fragment such as `open the journal`.
        tried: &'static str,
        /// What the system said.
        detail: Arc<str>,
    },
}

impl Error {
    /// The stable code, for people who search and for programs that compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "TG-STATE-001",
            Self::NetworkFilesystem { .. } => "TG-STATE-002",
            Self::Newer { .. } => "TG-JOURNAL-001",
            Self::Sync { .. } => "TG-JOURNAL-002",
            Self::Corrupt { .. } => "TG-JOURNAL-003",
            Self::Full => "TG-JOURNAL-004",
            Self::ReadOnly { .. } => "TG-JOURNAL-005",
            Self::Busy => "TG-JOURNAL-006",
            Self::Foreign { .. } => "TG-JOURNAL-007",
            Self::OutOfOrder { .. } => "TG-JOURNAL-008",
            Self::Closed => "TG-JOURNAL-009",
            Self::OldSqlite { .. } => "TG-JOURNAL-010",
            Self::Io { .. } => "TG-JOURNAL-011",
            Self::NoChain => "TG-JOURNAL-012",
        }
    }

    /// The way out, where there is one.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::InUse { .. } => {
                "stop the other controller, or give this one a folder of its own with `--state`"
            }
            Self::NetworkFilesystem { .. } => "put the state folder on a local disk with `--state`",
            Self::Newer { .. } => "run the newer release again, or restore a backup made before the upgrade",
            Self::Sync { .. } => {
                "check the disk, then start the controller again: it goes on from what was kept"
            }
            Self::Corrupt { .. } => "restore a backup; keep a copy of the damaged file",
            Self::Full => "free some disk space; work goes on by itself after that",
            Self::ReadOnly { .. } => {
                "let the user of the controller write the state folder and the files in it"
            }
            Self::Busy => "close other programs that hold the journal open, such as a database shell",
            Self::Foreign { .. } => "move the file away, or choose another folder with `--state`",
            Self::OldSqlite { .. } => "build with the bundled SQLite",
            Self::NoChain => "start a controller of this release on it once: that gives it its chain",
            Self::OutOfOrder { .. } | Self::Closed | Self::Io { .. } => return None,
        })
    }

    /// An [`Error::Io`], or the kind that the system's error number stands for.
    pub(crate) fn io(tried: &'static str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => Self::Full,
            Kind::ReadOnlyFilesystem | Kind::PermissionDenied => {
                Self::ReadOnly { detail: error.to_string().into() }
            }
            _ => Self::Io { tried, detail: error.to_string().into() },
        }
    }

    /// What an error of SQLite means for the journal.
    pub(crate) fn sqlite(tried: &'static str, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let detail: Arc<str> = error.to_string().into();
        let Some(failure) = error.sqlite_error() else {
            // Not from SQLite but from reading a value: a column does not hold what the schema says.
            return Self::Corrupt { detail };
        };
        if matches!(
            failure.extended_code,
            rusqlite::ffi::SQLITE_IOERR_FSYNC | rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC
        ) {
            return Self::Sync { detail };
        }
        match failure.code {
            Code::DiskFull => Self::Full,
            Code::ReadOnly | Code::PermissionDenied => Self::ReadOnly { detail },
            Code::DatabaseCorrupt | Code::NotADatabase | Code::TypeMismatch | Code::ConstraintViolation => {
                Self::Corrupt { detail }
            }
            Code::DatabaseBusy | Code::DatabaseLocked => Self::Busy,
            _ => Self::Io { tried, detail },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("write the journal: no space is left"),
            Self::ReadOnly { detail } => write!(f, "write the journal: not allowed ({detail})"),
            Self::Corrupt { detail } => write!(f, "read the journal: it is damaged ({detail})"),
            Self::Newer { found, known } => write!(
                f,
                "open the journal: written by a newer release (schema {found}, this release knows {known})"
            ),
            Self::Foreign { path } => {
                write!(f, "open the journal: `{}` is not a tidegate journal", path.display())
            }
            Self::InUse { folder, pid } => {
                write!(f, "take the state folder `{}`: state folder is in use by ", folder.display())?;
                match pid {
                    Some(pid) => write!(f, "pid {pid}"),
                    None => f.write_str("another process"),
                }
            }
            Self::NetworkFilesystem { folder, kind } => write!(
                f,
                "take the state folder `{}`: it lies on a network file system ({kind})",
                folder.display()
            ),
            Self::OutOfOrder { expected, got } => {
                write!(f, "append to the journal: event {got} came where {expected} was due")
            }
            Self::Sync { detail } => write!(f, "sync the journal to disk: {detail}"),
            Self::Busy => f.write_str("write the journal: another program holds it locked"),
            Self::Closed => f.write_str("use the journal: it is closed"),
            Self::OldSqlite { version } => {
                write!(f, "open the journal: SQLite {version} is older than 3.51.3")
            }
            Self::NoChain => {
                f.write_str("prove the journal: it is of an earlier release and has no chain yet")
            }
            Self::Io { tried, detail } => write!(f, "{tried}: {detail}"),
        }
    }
}

impl std::error::Error for Error {}
