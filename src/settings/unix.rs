//! The Unix socket that a controller may listen on, as the settings have it: where it is, who reaches it, and what those
//! who come through it may do. Making it is not done here.

use super::error::SettingsError;
use super::tokens::{OWNER, Role};
use rustix::process::Uid;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bytes of the longest path that the system takes for a socket, with room for the name that it has while it is made.
const LONGEST_PATH_BYTES: usize = 100;

/// A Unix socket beside the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixDoor {
    /// Where it is; none: there is one only if it is passed to the controller.
    pub socket: Option<PathBuf>,
    /// The mode of its file: who reaches it at all.
    pub mode: u32,
    /// What users of this machine may do without a token, by their names.
    pub users: BTreeMap<String, Role>,
}

impl Default for UnixDoor {
    fn default() -> UnixDoor {
        UnixDoor { socket: None, mode: 0o600, users: BTreeMap::new() }
    }
}

impl UnixDoor {
    /// What a user may do who comes through it: everything for the controller's own user and for root, what the
    /// settings say for others; none: only what their token may.
    pub fn role(&self, uid: Uid, name: &str) -> Option<Role> {
        if uid.is_root() || uid == rustix::process::geteuid() {
            return Some(Role::Admin);
        }
        self.users.get(name).copied()
    }
}

/// A Unix socket to listen on beside the address.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnixFile {
    /// Where the socket is. Nobody else may write to its folder. On the command line: `--unix`. Default: there is none.
    #[schemars(extend("examples" = ["/run/tidegate/tidegate.sock"]))]
    pub(super) socket: Option<PathBuf>,
    /// The mode of the socket's file, in octal: who reaches it at all.
    #[schemars(extend("default" = "0600"))]
    pub(super) mode: Option<Mode>,
    /// What users of this machine may do through it without a token, by their names. The controller's own user and
    /// `root` may do everything. Default: nobody else.
    #[schemars(extend("examples" = [{ "alice": "operator" }]))]
    pub(super) users: Option<BTreeMap<String, Role>>,
}

/// Who reaches a socket, as modes of files are written.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(super) enum Mode {
    /// Its owner, and root.
    #[serde(rename = "0600")]
    Owner,
    /// Its owner's group, too.
    #[serde(rename = "0660")]
    Group,
    /// Everybody of this machine.
    #[serde(rename = "0666")]
    All,
}

impl UnixFile {
    /// What the file and the command line come to; paths in the file are meant from `base`.
    pub(super) fn door(self, said: Option<&Path>, base: &Path) -> Result<UnixDoor, SettingsError> {
        let socket = said.map(Path::to_owned).or_else(|| self.socket.map(|path| base.join(path)));
        let socket = socket.map(super::absolute).transpose()?;
        if let Some(path) = socket.as_ref().filter(|path| path.as_os_str().len() > LONGEST_PATH_BYTES) {
            let rule = "the path of a socket has at most 100 bytes";
            return Err(SettingsError::value("unix.socket", path.display(), rule));
        }
        let mode = match self.mode.unwrap_or(Mode::Owner) {
            Mode::Owner => 0o600,
            Mode::Group => 0o660,
            Mode::All => 0o666,
        };
        let users = self.users.unwrap_or_default();
        if users.contains_key(OWNER) || users.contains_key("root") {
            let rule = "`root` may do everything, and no user is called `owner` here";
            return Err(SettingsError::value("unix.users", "root or owner", rule));
        }
        // A socket that is passed has the mode that somebody else gave it.
        if socket.is_some() && mode == 0o600 && !users.is_empty() {
            let rule = "with `unix.mode` \"0600\" they do not reach the socket: \"0660\" lets its group in, \"0666\" all";
            return Err(SettingsError::value("unix.users", users.len(), rule));
        }
        Ok(UnixDoor { socket, mode, users })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_controllers_user_and_root_have_all_rights_by_who_they_are() {
        let users = [("alice".to_owned(), Role::Operator)].into();
        let door = UnixDoor { users, ..UnixDoor::default() };
        assert_eq!(door.role(Uid::from_raw(0), "root"), Some(Role::Admin));
        assert_eq!(door.role(rustix::process::geteuid(), "whoever"), Some(Role::Admin));
        assert_eq!(door.role(Uid::from_raw(54_321), "alice"), Some(Role::Operator));
        assert_eq!(door.role(Uid::from_raw(54_321), "root"), None);
    }
}
