//! What can go wrong with git, as data: one stable code, one wording and one way out for each. Nothing is printed here.

use super::location::Location;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why something with git was not done. `Display` reads after "failed to"; text from outside in it is not neutralised.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no `git` command.
    GitMissing {
        /// What was looked for.
        program: PathBuf,
    },
    /// There is no git repository at the place.
    NotARepository {
        /// Where, without a password.
        location: String,
    },
    /// The repository does not have the object.
    UnknownObject {
        /// Its name as asked for.
        name: String,
        /// Where, without a password.
        location: String,
    },
    /// Several commits begin with these digits.
    Ambiguous {
        /// The abbreviation.
        name: String,
        /// Some of the commits, at most eight.
        candidates: Vec<String>,
    },
    /// The object is there but is no commit, nor a tag of one.
    NotACommit {
        /// Its name.
        name: String,
        /// `blob`, `tree` or `tag`.
        kind: String,
    },
    /// The text is not the name of an object: not hex, or of a length that no name has.
    BadObjectName {
        /// The text, cut to 80 characters.
        name: String,
    },
    /// All digits are zero: git's way to say "none", as in the deletion of a ref.
    ZeroObjectName,
    /// The other side wants proof of identity that it was not given, or does not let us in.
    AuthFailed {
        /// Where, without a password.
        location: String,
        /// What git said.
        detail: String,
    },
    /// The other side was not reached.
    Unreachable {
        /// Where, without a password.
        location: String,
        /// What git said.
        detail: String,
    },
    /// Git refuses a repository because another user owns it.
    DubiousOwnership {
        /// Where.
        location: String,
    },
    /// Git took too long and was ended.
    Timeout {
        /// The git subcommand.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// Git wrote more than is sensible.
    OutputTooLarge {
        /// The git subcommand.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Git failed for a reason that is not known here.
    Failed {
        /// The git subcommand.
        what: String,
        /// How it ended, as in `exit status: 128`.
        status: String,
        /// What git said.
        detail: String,
    },
    /// A file or folder could not be used.
    Io {
        /// What was being done, as in `write`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Another process works on the mirror and does not end.
    MirrorBusy {
        /// The mirror.
        path: PathBuf,
    },
    /// The text cannot name a repository.
    BadLocation {
        /// The text, without a password.
        location: String,
        /// Why.
        why: &'static str,
    },
    /// A submodule leads to a folder of this machine that is not beside the repository.
    SubmoduleElsewhere {
        /// Where it leads to.
        url: String,
    },
    /// A glob in `refs` or `paths` cannot be read.
    BadGlob {
        /// The glob.
        glob: String,
        /// Why.
        why: String,
    },
    /// The short name of a ref starts with `-`.
    RefStartsWithDash {
        /// The ref.
        name: String,
    },
    /// The name of a ref is too long.
    RefTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The name of a ref is not one that git would take.
    BadRef {
        /// The ref.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// What should be a version is not.
    NotAVersion {
        /// The text, cut.
        text: String,
        /// Why.
        why: String,
    },
    /// A file that should state the version does not, or cannot be read.
    NoVersionInFile {
        /// The file, from the top of the repository.
        file: String,
        /// Why.
        why: String,
    },
    /// `version.file` does not name a file inside the repository.
    BadVersionFile {
        /// The path.
        file: String,
    },
    /// A hook stands in the way that was not made by tidegate, and so does the copy of an earlier one.
    HookInTheWay {
        /// The hook.
        hook: PathBuf,
        /// The copy of an earlier one.
        earlier: PathBuf,
    },
    /// The folder of hooks is shared, and its hook already serves another repository.
    HookServesAnother {
        /// The hook.
        hook: PathBuf,
    },
    /// A setting for the hook cannot be written into a script.
    BadHookSetting {
        /// Which.
        setting: &'static str,
    },
}

impl Error {
    /// The stable code, such as `TG-GIT-003`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::GitMissing { .. } => "TG-GIT-001",
            Self::NotARepository { .. } => "TG-GIT-002",
            Self::UnknownObject { .. } => "TG-GIT-003",
            Self::Ambiguous { .. } => "TG-GIT-004",
            Self::NotACommit { .. } => "TG-GIT-005",
            Self::BadObjectName { .. } => "TG-GIT-006",
            Self::ZeroObjectName => "TG-GIT-007",
            Self::AuthFailed { .. } => "TG-GIT-008",
            Self::Unreachable { .. } => "TG-GIT-009",
            Self::DubiousOwnership { .. } => "TG-GIT-010",
            Self::Timeout { .. } => "TG-GIT-011",
            Self::OutputTooLarge { .. } => "TG-GIT-012",
            Self::Failed { .. } => "TG-GIT-013",
            Self::Io { .. } => "TG-GIT-014",
            Self::MirrorBusy { .. } => "TG-GIT-016",
            Self::BadLocation { .. } => "TG-GIT-017",
            Self::BadGlob { .. } => "TG-GIT-018",
            Self::SubmoduleElsewhere { .. } => "TG-GIT-019",
            Self::RefStartsWithDash { .. } => "TG-REF-002",
            Self::RefTooLong { .. } => "TG-REF-003",
            Self::BadRef { .. } => "TG-REF-004",
            Self::NotAVersion { .. } => "TG-VERSION-001",
            Self::NoVersionInFile { .. } => "TG-VERSION-002",
            Self::BadVersionFile { .. } => "TG-VERSION-003",
            Self::HookInTheWay { .. } => "TG-INSTALL-001",
            Self::HookServesAnother { .. } => "TG-INSTALL-002",
            Self::BadHookSetting { .. } => "TG-INSTALL-003",
        }
    }

    /// Whether another try may succeed with nothing changed here: a network, a busy machine.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::MirrorBusy { .. })
    }

    /// Whether every other try ends the same, whatever becomes of the repository and of the way to it: what was asked is
    /// nothing that git could be asked.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::BadObjectName { .. }
                | Self::ZeroObjectName
                | Self::BadLocation { .. }
                | Self::BadGlob { .. }
                | Self::RefStartsWithDash { .. }
                | Self::RefTooLong { .. }
                | Self::BadRef { .. }
        )
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            Self::GitMissing { .. } => "install git 2.30 or newer where tidegate runs, and see that it is in PATH".into(),
            Self::NotARepository { .. } => "`repo` takes the folder of a repository (bare or not) or a URL that `git ls-remote` understands".into(),
            Self::UnknownObject { .. } => "push the commit first; one that a forced push removed may be gone for good".into(),
            Self::Ambiguous { .. } => "give more digits of the commit".into(),
            Self::NotACommit { .. } => "name a commit, or a tag of one".into(),
            Self::BadObjectName { .. } => "a commit is named by 7 to 64 hex digits".into(),
            Self::ZeroObjectName => "the ref was deleted; there is no commit to build".into(),
            Self::AuthFailed { .. } => "see that the user who runs tidegate can fetch it: `git ls-remote URL` must work for that user without asking (ssh key or agent, known_hosts, credential helper)".into(),
            Self::Unreachable { .. } => "see that the host answers: `git ls-remote URL` as the user who runs tidegate".into(),
            Self::DubiousOwnership { location } => {
                format!("say that tidegate may use it: `git config --global --add safe.directory {location}` as the user who runs tidegate")
            }
            Self::Timeout { .. } => "see whether the disk or the other side is slow; the next try goes on with what is there".into(),
            Self::OutputTooLarge { .. } => "the commit or file is far larger than such a thing usually is".into(),
            Self::Failed { .. } => "run the same with git by hand, as the user who runs tidegate".into(),
            Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the user who runs tidegate read it, by owner, group or an access list".into()
            }
            Self::Io { .. } => "see that the disk has room and the folder exists".into(),
            Self::MirrorBusy { path } => format!("look for a git process that works in `{}`", path.display()),
            Self::BadLocation { .. } => "`repo` takes a path or a URL such as `ssh://git@host/shop.git`".into(),
            Self::BadGlob { .. } => "`*` stops at `/`, `**` does not, `{a,b}` is either, `[ab]` is one of".into(),
            Self::SubmoduleElsewhere { .. } => "put the submodule's repository beside the pipeline's, or name it by an address of a host".into(),
            Self::RefStartsWithDash { .. } | Self::RefTooLong { .. } | Self::BadRef { .. } => "rename the branch or tag".into(),
            Self::NotAVersion { .. } => "a version is three numbers as in `1.2.3`, perhaps with `-rc.1` or `+build` after them".into(),
            Self::NoVersionInFile { .. } => "state the version there, or choose another way in `[version]`".into(),
            Self::BadVersionFile { .. } => "`file` is a path from the top of the repository, without `..`".into(),
            Self::HookInTheWay { earlier, .. } => format!("merge them by hand, then delete `{}`", earlier.display()),
            Self::HookServesAnother { .. } => "give this repository hooks of its own: `git config core.hooksPath hooks`".into(),
            Self::BadHookSetting { .. } => "it must be text without line breaks".into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitMissing { program } => {
                write!(f, "run `{}`: there is no such command", program.display())
            }
            Self::NotARepository { location } => {
                write!(f, "find a git repository at `{location}`{}", tried(location))
            }
            Self::UnknownObject { name, location } => write!(f, "find commit `{name}` in `{location}`"),
            Self::Ambiguous { name, candidates } => {
                write!(f, "tell which commit `{name}` is: {} begin with it", candidates.join(", "))
            }
            Self::NotACommit { name, kind } => write!(f, "use `{name}` as a commit: it is a {kind}"),
            Self::BadObjectName { name } => write!(f, "read `{name}` as the name of a commit"),
            Self::ZeroObjectName => f.write_str("build a deleted ref: its commit is all zeros"),
            Self::AuthFailed { location, detail } => write!(f, "be let in at `{location}`: {detail}"),
            Self::Unreachable { location, detail } => write!(f, "reach `{location}`: {detail}"),
            Self::DubiousOwnership { location } => {
                write!(f, "use `{location}`: it belongs to another user, and git refuses that")
            }
            Self::Timeout { what, after } => {
                write!(f, "finish `git {what}` within {} seconds", after.as_secs_f32())
            }
            Self::OutputTooLarge { what, limit } => {
                write!(f, "take the output of `git {what}`: it is over {limit} bytes")
            }
            Self::Failed { what, status, detail } => write!(f, "run `git {what}` ({status}): {detail}"),
            Self::Io { what, path, error } => write!(f, "{what} `{}`: {error}", path.display()),
            Self::MirrorBusy { path } => {
                write!(f, "get hold of the mirror `{}`: another process works on it", path.display())
            }
            Self::BadLocation { location, why } => write!(f, "use `{location}` as a repository: {why}"),
            Self::BadGlob { glob, why } => write!(f, "read the glob `{glob}`: {why}"),
            Self::SubmoduleElsewhere { url } => {
                write!(f, "fetch a submodule from `{url}`: that folder is not beside the repository")
            }
            Self::RefStartsWithDash { name } => write!(f, "take ref `{name}`: its name starts with `-`"),
            Self::RefTooLong { bytes } => write!(f, "take a ref: its name is {bytes} bytes, limit 1024"),
            Self::BadRef { name, why } => write!(f, "take ref `{name}`: {why}"),
            Self::NotAVersion { text, why } => write!(f, "read `{text}` as a version: {why}"),
            Self::NoVersionInFile { file, why } => write!(f, "read the version in `{file}`: {why}"),
            Self::BadVersionFile { file } => {
                write!(f, "look into `{file}` for the version: no such path can be")
            }
            Self::HookInTheWay { hook, earlier } => write!(
                f,
                "install the hook: `{}` is not tidegate's, and `{}` is there too",
                hook.display(),
                earlier.display()
            ),
            Self::HookServesAnother { hook } => {
                write!(f, "install the hook: `{}` already serves another repository", hook.display())
            }
            Self::BadHookSetting { setting } => write!(f, "write the hook: {setting} has a line break in it"),
        }
    }
}

/// Where a relative path was looked for.
fn tried(location: &str) -> String {
    let relative = match Location::parse(location) {
        Ok(Location::Path(path)) if path.is_relative() => path,
        _ => return String::new(),
    };
    let whole = std::path::absolute(relative).ok();
    whole
        .map(|path| format!(", which is `{}` from where the controller was started", path.display()))
        .unwrap_or_default()
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// For `map_err`: a file or folder could not be used.
pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::Io { what, path: path.to_owned(), error }
}
