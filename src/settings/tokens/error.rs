//! What can go wrong with tokens, with the words for it.

use crate::domain::BadName;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a token or the list of tokens cannot be used. `Display` reads after "failed to". Never holds a token.
#[derive(Debug)]
pub enum TokenError {
    /// The system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// Others than those it is for can read or change the file.
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that it may have at most.
        most: u32,
    },
    /// The file does not hold what it should.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A token of this name is there.
    NameTaken {
        /// The name.
        name: String,
    },
    /// No token of this name is there.
    UnknownName {
        /// The name.
        name: String,
    },
    /// Not a name for a token.
    BadName {
        /// What was given.
        given: String,
    },
    /// Not an address.
    BadEmail {
        /// What was given.
        given: String,
    },
    /// Not what a token can be limited to.
    BadScope(BadName),
    /// Not when a token can end.
    BadEnd {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The owner's token is not in the list.
    Owner {
        /// Where it is.
        path: PathBuf,
    },
    /// The system has no random numbers to give.
    NoRandom {
        /// What it said.
        cause: String,
    },
}

impl TokenError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "TG-TOKEN-001",
            Self::Exposed { .. } => "TG-TOKEN-002",
            Self::Malformed { .. } => "TG-TOKEN-003",
            Self::NameTaken { .. } => "TG-TOKEN-004",
            Self::UnknownName { .. } => "TG-TOKEN-005",
            Self::BadName { .. } => "TG-TOKEN-006",
            Self::BadEmail { .. } => "TG-TOKEN-007",
            Self::Owner { .. } => "TG-TOKEN-009",
            Self::NoRandom { .. } => "TG-TOKEN-010",
            Self::BadEnd { .. } => "TG-TOKEN-012",
            Self::BadScope(_) => "TG-TOKEN-013",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::Io { .. } => "check that the file is there and that this user may use it".to_owned(),
            Self::Exposed { path, most, .. } => {
                format!(
                    "others may have read the token: replace it, then `chmod {most:04o} {}`",
                    path.display()
                )
            }
            Self::Malformed { .. } => {
                "restore the file from a backup, or remove it and make new tokens".to_owned()
            }
            Self::NameTaken { name } => {
                format!("choose another name, or first `tidegate token revoke {name}`")
            }
            Self::UnknownName { .. } => "`tidegate token list` shows the names".to_owned(),
            Self::BadName { .. } => {
                "use 1 to 64 letters, digits or any of `._-@+:/`, not beginning with `-`; `owner` and `unix:` are taken"
                    .to_owned()
            }
            Self::BadEmail { .. } => "write it like `ann@example.com`".to_owned(),
            Self::BadScope(_) => {
                "write a name, or a glob such as `shop-*`: `*` stops at `/`, `**` does not".to_owned()
            }
            Self::BadEnd { .. } => {
                "write how long it is good, such as `90d`, or a moment, such as `2027-01-31T00:00:00Z`"
                    .to_owned()
            }
            Self::Owner { path } => {
                format!("remove `{}`, then restart the controller: it makes a new one", path.display())
            }
            Self::NoRandom { .. } => "wait until the machine has started fully".to_owned(),
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, cause } => write!(f, "use the token file `{}`: {cause}", path.display()),
            Self::Exposed { path, mode, most } => {
                write!(f, "trust the token file `{}`: mode {mode:04o}, need {most:04o}", path.display())
            }
            Self::Malformed { path, message } => {
                write!(f, "understand the token file `{}`: {message}", path.display())
            }
            Self::NameTaken { name } => write!(f, "make a token `{name}`: there is one of that name"),
            Self::UnknownName { name } => write!(f, "find a token `{name}`"),
            Self::BadName { given } => write!(f, "use `{given}` as the name of a token"),
            Self::BadEmail { given } => write!(f, "use `{given}` as an address"),
            Self::BadScope(error) => error.fmt(f),
            Self::BadEnd { given, why } => write!(f, "end a token at `{given}`: {why}"),
            Self::Owner { .. } => write!(f, "revoke the owner's token: it is not in the list"),
            Self::NoRandom { cause } => write!(f, "make a token: no random numbers: {cause}"),
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
