//! What can go wrong with artifacts, as data.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why something was not stored or written out. `Display` reads after "failed to".
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A pattern matches no file of the workspace.
    NothingMatches {
        /// The pattern.
        pattern: String,
        /// The name that is there and most like it.
        nearest: Option<String>,
    },
    /// What is named is no plain file.
    NotAFile {
        /// The path.
        path: String,
        /// What it is, as in `a named pipe`.
        kind: &'static str,
    },
    /// A link leads out of the workspace, or to nothing.
    LeadsOut {
        /// The link, from the top of the workspace.
        path: String,
    },
    /// A path or pattern that does not stay inside the folder.
    BadPath {
        /// The path.
        path: String,
        /// Why.
        why: String,
    },
    /// There are too many files.
    TooMany {
        /// The pattern.
        pattern: String,
        /// The limit.
        limit: usize,
    },
    /// The text is not a digest.
    NotADigest {
        /// The text, cut.
        text: String,
    },
    /// The store does not have the content.
    Missing {
        /// Its digest.
        sha256: String,
    },
    /// The store has other content than the digest says.
    Corrupt {
        /// The digest.
        sha256: String,
        /// The damaged file.
        place: PathBuf,
    },
    /// Content cannot be written where it should go.
    CopyOut {
        /// Its digest.
        sha256: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A file or folder cannot be used.
    Io {
        /// What was being done.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// tidegate is being stopped.
    Stopping,
}

impl Error {
    /// The stable code, such as `TG-ARTIFACT-001`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NothingMatches { .. } => "TG-ARTIFACT-001",
            Self::NotAFile { .. } => "TG-ARTIFACT-002",
            Self::LeadsOut { .. } => "TG-ARTIFACT-003",
            Self::BadPath { .. } => "TG-ARTIFACT-004",
            Self::TooMany { .. } => "TG-ARTIFACT-005",
            Self::NotADigest { .. } => "TG-ARTIFACT-006",
            Self::Missing { .. } => "TG-ARTIFACT-007",
            Self::Corrupt { .. } => "TG-ARTIFACT-008",
            Self::CopyOut { .. } => "TG-ARTIFACT-009",
            Self::Io { .. } => "TG-ARTIFACT-010",
            Self::Stopping => "TG-ARTIFACT-011",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::NothingMatches { nearest: Some(name), .. } => format!("there is `{name}`; did you mean that?"),
            Self::NothingMatches { .. } => {
                "paths are from the top of the workspace; see whether the build makes it".into()
            }
            Self::NotAFile { .. } => "only plain files are kept; let the patterns leave it out".into(),
            Self::LeadsOut { .. } => "let the build copy the file to where the link is".into(),
            Self::BadPath { .. } => {
                "name it from the top of the workspace: no leading `/`, no `..`; `*` stops at `/`, `**` does not".into()
            }
            Self::TooMany { .. } => "let the build pack them into one archive".into(),
            Self::NotADigest { .. } => "a digest is 64 hex digits in lower case".into(),
            Self::Missing { .. } | Self::Corrupt { .. } => {
                "build the version again (`tidegate rebuild`): that stores the same content anew".into()
            }
            Self::CopyOut { .. } | Self::Io { .. } => {
                "see that the disk has room, and that the user who runs tidegate may use the folder".into()
            }
            Self::Stopping => "it is done after the restart".into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingMatches { pattern, .. } => write!(f, "find artifact `{pattern}`: no file matches"),
            Self::NotAFile { path, kind } => write!(f, "keep `{path}`: it is {kind}"),
            Self::LeadsOut { path } => {
                write!(f, "follow symlink `{path}`: it leads out of the workspace or to nothing")
            }
            Self::BadPath { path, why } => write!(f, "use `{path}` as the path of an artifact: {why}"),
            Self::TooMany { pattern, limit } => write!(f, "keep `{pattern}`: it is over {limit} files"),
            Self::NotADigest { text } => write!(f, "read `{text}` as a digest"),
            Self::Missing { sha256 } => write!(f, "find artifact {sha256} in the store"),
            Self::Corrupt { sha256, place } => {
                write!(f, "use artifact {sha256}: `{}` is damaged", place.display())
            }
            Self::CopyOut { sha256, error } => write!(f, "write artifact {sha256}: {error}"),
            Self::Io { what, path, error } => write!(f, "{what} `{}`: {error}", path.display()),
            Self::Stopping => f.write_str("work on artifacts: tidegate is being stopped"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::CopyOut { error, .. } | Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// For `map_err`: a file or folder cannot be used.
pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::Io { what, path: path.to_owned(), error }
}
