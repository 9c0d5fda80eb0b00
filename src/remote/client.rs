//! How ssh is called: which options are ours, and what is left to the user's configuration.

use super::digests::Digests;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Over whatever the user's configuration says. Everything that is not here is the user's: keys, agent, jump hosts, known
/// hosts, ports, ciphers.
const ALWAYS: [&str; 14] = [
    // Nobody is there to be asked, and a key that is not known is not to be trusted by us.
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    // A node must not be able to use our keys, our screen or our files.
    "ForwardAgent=no",
    "ForwardX11=no",
    "GSSAPIDelegateCredentials=no",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
    "RequestTTY=no",
    // The sessions of a deploy end with it.
    "ControlPersist=no",
    // Between fifteen and twenty seconds after its last sign of life a connection counts as lost.
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ConnectTimeout=10",
];

/// The ssh client and where its sockets lie. Cheap enough to clone.
#[derive(Clone, Debug)]
pub struct Client {
    command: Vec<OsString>,
    folder: PathBuf,
    env: Vec<(OsString, OsString)>,
    digests: Digests,
}

impl Client {
    /// `command`: ssh and its own arguments, as in `["ssh", "-F", "/etc/tidegate/ssh_config"]`. `folder`: for sockets; it
    /// exists, and nobody else may enter it. ssh gets the environment of this process.
    pub fn new(command: &[String], folder: PathBuf) -> Client {
        let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(b"TIDEGATE");
        Client {
            command: with_whole_paths(command),
            folder,
            env: std::env::vars_os().filter(|(name, _)| !is_ours(name)).collect(),
            digests: Digests::default(),
        }
    }

    /// Where the sockets lie, and every ssh runs: so their paths are short, however long the folder's own is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What every ssh gets.
    pub fn env(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    /// Of what was sent by it.
    pub(super) fn digests(&self) -> &Digests {
        &self.digests
    }

    fn with(&self, level: Level, options: &[&OsStr]) -> Vec<OsString> {
        // ssh takes what comes first: ours come before the command's own.
        let is_ssh = |word: &OsString| Path::new(word).file_name().is_some_and(|name| name == "ssh");
        let at = self.command.iter().position(is_ssh).unwrap_or(0) + 1;
        let (program, rest) = self.command.split_at(at.min(self.command.len()));
        let mut words = program.to_vec();
        for option in ["-a", "-x"].into_iter().map(OsString::from) {
            words.push(option);
        }
        for option in ALWAYS.into_iter().chain([level.option()]) {
            words.extend(["-o".into(), option.into()]);
        }
        words.extend(rest.iter().cloned());
        words.extend(options.iter().map(OsString::from));
        words
    }

    /// A connection that others can go through.
    pub(super) fn master(&self, socket: &OsStr, host: &str) -> Vec<OsString> {
        let words = self.with(Level::Info, &["-M".as_ref(), "-S".as_ref(), socket]);
        ending(words, host, Some(super::payload::LINE))
    }

    /// A connection for one session only.
    pub(super) fn alone(&self, host: &str) -> Vec<OsString> {
        let words = self.with(Level::Info, &["-S".as_ref(), "none".as_ref()]);
        ending(words, host, Some(super::payload::LINE))
    }

    /// A session through a master.
    pub(super) fn through(&self, socket: &OsStr, host: &str) -> Vec<OsString> {
        ending(self.slave(Level::Info, socket, &[]), host, Some(super::payload::LINE))
    }

    /// A stream to an address as the node sees it. It says at debug level when the stream is open.
    pub(super) fn stream(&self, socket: &OsStr, host: &str, to: &OsStr) -> Vec<OsString> {
        ending(self.slave(Level::Debug, socket, &["-W".as_ref(), to]), host, None)
    }

    fn slave(&self, level: Level, socket: &OsStr, more: &[&OsStr]) -> Vec<OsString> {
        // Without its master it must not connect by itself.
        let only = ["-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-S"].map(OsStr::new);
        self.with(level, &[&only[..], &[socket], more].concat())
    }
}

/// How much ssh says.
#[derive(Clone, Copy)]
enum Level {
    /// Less would hide why a connection failed.
    Info,
    /// When a stream is open, too.
    Debug,
}

impl Level {
    fn option(self) -> &'static str {
        match self {
            Level::Info => "LogLevel=INFO",
            Level::Debug => "LogLevel=DEBUG",
        }
    }
}

/// The command with the files that it names found from the current folder: ssh itself runs elsewhere.
fn with_whole_paths(command: &[String]) -> Vec<OsString> {
    let mut is_file = false;
    let whole = |word: &String| {
        let after_option = std::mem::replace(&mut is_file, matches!(word.as_str(), "-F" | "-i" | "-E"));
        match after_option && word != "none" && !word.starts_with('~') {
            true => std::path::absolute(word).map_or_else(|_| word.into(), PathBuf::into_os_string),
            false => word.into(),
        }
    };
    command.iter().map(whole).collect()
}

fn ending(mut words: Vec<OsString>, host: &str, line: Option<&str>) -> Vec<OsString> {
    words.extend(["--".into(), host.into()]);
    words.extend(line.map(OsString::from));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_from_where_we_are() {
        let command = ["ssh", "-F", "ssh_config", "-i", "/key", "-p", "22"].map(str::to_owned);
        let here = std::env::current_dir().unwrap().join("ssh_config").into_os_string();
        let whole = with_whole_paths(&command);
        assert_eq!(whole[2], here);
        assert_eq!(whole[4..], ["/key", "-p", "22"]);
        assert_eq!(with_whole_paths(&["ssh", "-F", "none"].map(str::to_owned)), ["ssh", "-F", "none"]);
    }

    #[test]
    fn a_host_is_never_an_option_and_what_is_said_there_is_always_the_same() {
        let client = Client::new(&["ssh".to_owned()], PathBuf::from("/x"));
        for argv in [client.alone("-oProxyCommand=x"), client.master("./s".as_ref(), "-oProxyCommand=x")] {
            let end: Vec<_> = argv.iter().rev().take(3).collect();
            assert_eq!(end, [super::super::payload::LINE, "-oProxyCommand=x", "--"]);
        }
    }
}
