//! How git is run: which program, which environment, which limits. What it is asked is said elsewhere.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;

/// Settings that hold for every command, whatever a repository or a user says.
const ALWAYS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.interactive=false",
    "submodule.recurse=false",
    "init.defaultRefFormat=files",
    "core.quotePath=false",
];

/// Inherited `GIT_*` variables that say how to get at a remote. All others would change what a command works on.
const INHERITED: [&str; 12] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_PROXY_COMMAND",
];

/// Settings for running git. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    ssh_command: Option<OsString>,
    env: Vec<(OsString, OsString)>,
    pub(super) local_limit: Duration,
    pub(super) transfer_limit: Duration,
}

impl Default for Git {
    /// The `git` in PATH; 60 s for work on this machine, 20 min for a fetch or a checkout.
    fn default() -> Self {
        Self {
            program: "git".into(),
            ssh_command: None,
            env: Vec::new(),
            local_limit: Duration::from_secs(60),
            transfer_limit: Duration::from_secs(20 * 60),
        }
    }
}

impl Git {
    /// Another git program than the one in PATH.
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// The ssh command with its arguments, as in `["ssh", "-F", "/etc/tidegate/ssh_config"]`.
    pub fn with_ssh_command(mut self, command: &[String]) -> Self {
        let quoted: Vec<String> = command.iter().map(|word| super::hook::quote(word)).collect();
        self.ssh_command = Some(quoted.join(" ").into());
        self
    }

    /// An environment variable for every git command, over what is inherited.
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Time limits: for work on this machine, and for fetches and checkouts.
    pub fn with_limits(mut self, local: Duration, transfer: Duration) -> Self {
        (self.local_limit, self.transfer_limit) = (local, transfer);
        self
    }

    /// A command with the environment and the settings above, and nothing asked yet.
    pub(super) fn command(&self) -> Command {
        let mut command = self.bare_command();
        for setting in ALWAYS {
            command.arg("-c").arg(setting);
        }
        command
    }

    /// As [`Self::command`] without our settings over the user's: to ask what is in force for the user.
    pub(super) fn bare_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if is_redirecting(&name) {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env_remove("LANGUAGE");
        command.env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_OPTIONAL_LOCKS", "0");
        command.env("GIT_NO_REPLACE_OBJECTS", "1");
        // A damaged or partial repository must not make git fetch from wherever its configuration says.
        command.env("GIT_NO_LAZY_FETCH", "1");
        if std::env::var_os("SSH_ASKPASS_REQUIRE").is_none() {
            // ssh opens the terminal by itself; an asker that always refuses is how it is kept from waiting there.
            command.env("SSH_ASKPASS_REQUIRE", "force").env("SSH_ASKPASS", "false");
        }
        if let Some(ssh) = &self.ssh_command {
            command.env("GIT_SSH_COMMAND", ssh);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.arg("--no-pager");
        command
    }
}

fn is_redirecting(name: &OsStr) -> bool {
    let Some(text) = name.to_str() else { return false };
    text.starts_with("GIT_") && !INHERITED.contains(&text) && !text.starts_with("GIT_HTTP_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_about_reaching_a_remote_are_inherited() {
        for dropped in
            ["GIT_DIR", "GIT_WORK_TREE", "GIT_QUARANTINE_PATH", "GIT_CONFIG_COUNT", "GIT_INDEX_FILE"]
        {
            assert!(is_redirecting(OsStr::new(dropped)), "{dropped}");
        }
        for kept in ["GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_HTTP_PROXY_AUTHMETHOD", "PATH", "HOME"] {
            assert!(!is_redirecting(OsStr::new(kept)), "{kept}");
        }
    }
}
