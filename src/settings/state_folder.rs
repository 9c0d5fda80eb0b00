//! The state folder: where things are in it, making it, and refusing one that is not safe.
//!
//! Only its owner may look inside: logs may hold what a step should not have printed, and whoever can write there
//! could rewrite history. What is in the files belongs to the modules that own them.

use rustix::fs::Access;
use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A state folder, by its absolute path. Making one of these touches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The state folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal, an SQLite database.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.db")
    }

    /// The folder with the logs of runs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The folder with what builds made.
    pub fn artifacts(&self) -> PathBuf {
        self.path.join("artifacts")
    }

    /// The folder in which steps run.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// The folder with the sockets of ssh connections.
    pub fn ssh(&self) -> PathBuf {
        self.path.join("ssh")
    }

    /// The owner's token, made at the first start.
    pub fn token(&self) -> PathBuf {
        self.path.join("token")
    }

    /// The list of tokens given to others: digests, never the tokens.
    pub fn tokens(&self) -> PathBuf {
        self.path.join("tokens.json")
    }

    /// When each of them was used last.
    pub fn tokens_used(&self) -> PathBuf {
        self.path.join("tokens-used.json")
    }

    /// How far each notice is.
    pub fn notices(&self) -> PathBuf {
        self.path.join("notices.json")
    }

    /// A file that takes some room until the disk is full.
    pub fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// What a restore makes ready, as long as it is not through.
    pub fn restoring(&self) -> PathBuf {
        self.path.join("restoring")
    }

    /// Makes what is missing, mode 0700, and refuses a folder that others could look or write into, or that cannot be
    /// written. An empty folder of ours is closed to others instead of refused: nothing in it can have been seen. One
    /// that others can only pass through was opened for steps that run as another account.
    pub fn prepare(&self) -> Result<(), StateDirError> {
        self.make(&self.path)?;
        self.check_private()?;
        if self.restoring().symlink_metadata().is_ok() {
            return Err(StateDirError::HalfRestored { path: self.path.clone() });
        }
        for folder in [self.logs(), self.artifacts(), self.work(), self.ssh()] {
            self.make(&folder)?;
            if !std::fs::metadata(&folder).is_ok_and(|found| found.is_dir()) {
                return Err(StateDirError::NotAFolder { path: folder });
            }
            check_writable(&folder)?;
        }
        Ok(())
    }

    fn make(&self, folder: &Path) -> Result<(), StateDirError> {
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                StateDirError::NotAFolder { path: folder.to_owned() }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                StateDirError::NotWritable { path: folder.to_owned(), cause }
            }
            _ => StateDirError::Unusable { path: folder.to_owned(), cause },
        };
        match std::fs::metadata(folder) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(StateDirError::NotAFolder { path: folder.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn check_private(&self) -> Result<(), StateDirError> {
        let unusable = |cause| StateDirError::Unusable { path: self.path.clone(), cause };
        let found = std::fs::metadata(&self.path).map_err(unusable)?;
        let us = rustix::process::geteuid().as_raw();
        if found.uid() != us {
            return Err(StateDirError::NotOurs { path: self.path.clone(), owner: found.uid(), us });
        }
        check_writable(&self.path)?;
        let mode = found.mode() & 0o777;
        // Those who can only pass through find everything closed that is not theirs.
        if matches!(mode & 0o077, 0 | 0o011) {
            return Ok(());
        }
        let is_empty = std::fs::read_dir(&self.path).map_err(unusable)?.next().is_none();
        if is_empty {
            let private = std::fs::Permissions::from_mode(0o700);
            return std::fs::set_permissions(&self.path, private).map_err(unusable);
        }
        Err(StateDirError::Exposed { path: self.path.clone(), mode })
    }
}

/// Whether files can be made in `folder`; a read-only file system says no to root, too.
fn check_writable(folder: &Path) -> Result<(), StateDirError> {
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| StateDirError::NotWritable { path: folder.to_owned(), cause: error.into() })
}

/// Why a state folder cannot be used. `Display` reads after "failed to".
#[derive(Debug)]
pub enum StateDirError {
    /// Something else is where a folder should be.
    NotAFolder {
        /// The place.
        path: PathBuf,
    },
    /// Nothing can be written there.
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Others than the owner may look or write into it.
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// The user id it belongs to.
        owner: u32,
        /// The user id of this process.
        us: u32,
    },
    /// A restore into it is under way, or was interrupted.
    HalfRestored {
        /// The folder.
        path: PathBuf,
    },
    /// Anything else that the system refused.
    Unusable {
        /// The place.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl StateDirError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAFolder { .. } => "TG-STATE-011",
            Self::NotWritable { .. } => "TG-STATE-012",
            Self::Exposed { .. } => "TG-STATE-013",
            Self::NotOurs { .. } => "TG-STATE-014",
            Self::Unusable { .. } => "TG-STATE-015",
            Self::HalfRestored { .. } => "TG-STATE-016",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::NotAFolder { path } => {
                format!("move `{}` away, or name another folder with `--state DIR`", path.display())
            }
            Self::NotWritable { .. } | Self::Unusable { .. } => {
                "name a folder on a writable disk with `--state DIR`, or make this one writable".to_owned()
            }
            Self::HalfRestored { .. } => {
                "run the same `tidegate restore` once more, and let it end".to_owned()
            }
            Self::Exposed { path, .. } => format!(
                "if nobody else was meant to look inside: `chmod 700 {}` (under systemd: `StateDirectoryMode=0700`)",
                path.display()
            ),
            Self::NotOurs { path, us, .. } => format!(
                "run tidegate as the folder's owner, name another with `--state DIR`, or `chown -R {us} {}`",
                path.display()
            ),
        }
    }
}

impl fmt::Display for StateDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFolder { path } => {
                write!(f, "use the state folder: `{}` is not a folder", path.display())
            }
            Self::NotWritable { path, cause } => {
                write!(f, "use the state folder: `{}` cannot be written: {cause}", path.display())
            }
            Self::HalfRestored { path } => {
                write!(f, "use the state folder: a backup is only half restored into `{}`", path.display())
            }
            Self::Exposed { path, mode } => {
                write!(
                    f,
                    "use the state folder: `{}` is open to others (mode {mode:04o}; need 0700)",
                    path.display()
                )
            }
            Self::NotOurs { path, owner, us } => {
                write!(
                    f,
                    "use the state folder: `{}` belongs to user {owner}, this is user {us}",
                    path.display()
                )
            }
            Self::Unusable { path, cause } => {
                write!(f, "use `{}` of the state folder: {cause}", path.display())
            }
        }
    }
}

impl std::error::Error for StateDirError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotWritable { cause, .. } | Self::Unusable { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
