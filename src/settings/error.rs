//! What can be wrong with the settings, with the words for it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the controller's options cannot be used. `Display` reads after "failed to".
#[derive(Debug)]
pub enum SettingsError {
    /// The settings file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The settings file is larger than any sensible one.
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The settings file is not what it should be.
    Parse {
        /// The file.
        path: PathBuf,
        /// Line and column, both from 1.
        at: (usize, usize),
        /// What is wrong there.
        message: String,
        /// The way out.
        help: String,
    },
    /// A value is out of its range or form.
    Value {
        /// The key, or the environment variable.
        key: &'static str,
        /// What was given.
        given: String,
        /// What it has to be.
        rule: &'static str,
    },
    /// No state folder is named, and there is no home to put one in.
    NoStateFolder,
    /// Listening beyond loopback without TLS, and without having asked for it.
    PlainHttp {
        /// The address asked for.
        listen: SocketAddr,
    },
}

impl SettingsError {
    pub(crate) fn value(key: &'static str, given: impl fmt::Display, rule: &'static str) -> Self {
        Self::Value { key, given: given.to_string(), rule }
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Read { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound)
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "TG-SETTINGS-001",
            Self::Parse { .. } => "TG-SETTINGS-002",
            Self::Value { .. } => "TG-SETTINGS-003",
            Self::NoStateFolder => "TG-SETTINGS-004",
            Self::TooLarge { .. } => "TG-SETTINGS-005",
            Self::PlainHttp { .. } => "TG-CONF-040",
        }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::Read { .. } => "check `--config` and that the file may be read".to_owned(),
            Self::TooLarge { .. } => {
                "is this the right file? `--config` names the settings, not a pipeline".to_owned()
            }
            Self::Parse { help, .. } => help.clone(),
            Self::Value { key, .. } if key.starts_with("TIDEGATE_") => {
                format!("correct `{key}` in the environment")
            }
            Self::Value { key, .. } => format!("correct `{key}` on the command line or in the settings file"),
            Self::NoStateFolder => "name one with `--state DIR`".to_owned(),
            Self::PlainHttp { listen } => format!(
                "listen on 127.0.0.1:{} behind a proxy that speaks TLS, or accept that tokens can be read on the way \
                 with `--insecure-http`",
                listen.port()
            ),
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, cause } => write!(f, "read the settings `{}`: {cause}", path.display()),
            Self::TooLarge { path } => write!(f, "read the settings `{}`: larger than 1 MiB", path.display()),
            Self::Parse { path, at: (line, column), message, .. } => {
                write!(f, "understand the settings {}:{line}:{column}: {message}", path.display())
            }
            Self::Value { key, given, rule } => write!(f, "use `{key}` = `{given}`: {rule}"),
            Self::NoStateFolder => {
                write!(f, "find a state folder: neither `XDG_STATE_HOME` nor `HOME` is an absolute path")
            }
            Self::PlainHttp { listen } => write!(f, "listen on {listen}: beyond loopback without TLS"),
        }
    }
}

impl std::error::Error for SettingsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
