//! Streams to addresses as a node sees them: its own loopback, its neighbours. They go through the deploy's connection:
//! the master is asked for them; where it is not understood, ssh's own client is.

use super::Client;
use super::link::Link;
use super::mux::{self, NotOpened, Session};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// What ssh says, at debug level, once the node has connected.
const OPEN: &str = "master session id";

/// The way to a node's addresses, as long as its [`Link`] is there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Forward {
    client: Client,
    socket: OsString,
    host: String,
}

/// An open stream. Dropped, it is ended.
#[derive(Debug)]
pub struct Stream {
    /// Reads and writes are those of the connection on the node.
    pub socket: UnixStream,
    /// Lives as long as the stream.
    pub keeper: Keeper,
}

/// What keeps a stream up.
#[derive(Debug)]
pub struct Keeper {
    _master: Option<Session>,
    _ssh: Option<Child>,
}

impl Forward {
    /// The way through a link.
    pub fn of(link: &Link) -> Forward {
        Forward {
            client: link.client().clone(),
            socket: link.socket().to_owned(),
            host: link.host().to_owned(),
        }
    }

    /// Connects on the node to `host:port`. The error is what hindered it, for people. The caller bounds it in time.
    pub async fn open(&self, to: &str) -> Result<Stream, String> {
        let Some((host, port)) = parts(to) else { return self.open_by_ssh(to).await };
        let (ours, theirs) = UnixStream::pair().map_err(|error| format!("no socket: {error}"))?;
        let socket = self.client.folder().join(&self.socket);
        match mux::stream(&socket, host, port, theirs.into()).await {
            Ok(session) => Ok(Stream { socket: ours, keeper: Keeper { _master: Some(session), _ssh: None } }),
            Err(NotOpened::Refused(why)) => Err(in_words(&why)),
            Err(NotOpened::NoMaster) => self.open_by_ssh(to).await,
        }
    }

    async fn open_by_ssh(&self, to: &str) -> Result<Stream, String> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| format!("no socket: {error}"))?;
        let other = theirs.try_clone().map_err(|error| format!("no socket: {error}"))?;
        let argv = self.client.stream(&self.socket, &self.host, to.as_ref());
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear();
        command.envs(self.client.env().iter().map(|(name, value)| (name, value)));
        command.current_dir(self.client.folder()).process_group(0).kill_on_drop(true);
        command.stdin(OwnedFd::from(theirs)).stdout(OwnedFd::from(other)).stderr(Stdio::piped());
        let spawned = command.spawn();
        // It holds the other end.
        drop(command);
        let mut ssh = spawned.map_err(|error| format!("ssh cannot be started: {error}"))?;
        let stderr = ssh.stderr.take().expect("BUG: it is a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let mut last = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains(OPEN) {
                // Whatever else it says is read away, so that it is never held up.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Stream { socket: ours, keeper: Keeper { _master: None, _ssh: Some(ssh) } });
            }
            if !line.starts_with("debug") {
                last = line;
            }
        }
        Err(in_words(&last))
    }
}

/// The host and the port of `host:port`; an address of IPv6 stands in brackets.
fn parts(to: &str) -> Option<(&str, u16)> {
    let (host, port) = to.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

fn in_words(ssh_said: &str) -> String {
    let said = ssh_said.trim();
    if said.contains("administratively prohibited")
        || said.contains("open failed") && said.contains("prohibited")
    {
        return format!(
            "sshd on the node forbids it (`{said}`); ask by a command, `health = {{ run = … }}`, or set \
             `AllowTcpForwarding yes` there"
        );
    }
    if said.contains("refused by peer") {
        return "refused on the node: nothing listens there, or sshd forbids forwarding (`AllowTcpForwarding`; \
                `health = { run = … }` needs none)"
            .to_owned();
    }
    if said.is_empty() { "refused on the node".to_owned() } else { said.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(parts("127.0.0.1:80"), Some(("127.0.0.1", 80)));
        assert_eq!(parts("[::1]:8080"), Some(("::1", 8080)));
        assert_eq!(parts("db.internal:http"), None);
        assert_eq!(parts("nothing"), None);
    }
}
