//! Whether a node could be deployed to, seen without changing anything there.

use super::Client;
use super::link::fresh_socket;
use super::payload::Payload;
use super::talk::Talk;
use super::trouble::{Kind, Trouble};
use std::ffi::{OsStr, OsString};

/// Sessions that a deploy has at once on its connection, at most: the lock's, one that is ending, and one that begins.
const SESSIONS: usize = 3;

/// What was seen of a node that can be reached and has what is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing is in the way.
    Fit,
    /// sshd there allows no more than so many sessions on one connection, which are too few.
    FewSessions(usize),
}

/// Logs in, looks, and logs out. The caller bounds it in time.
pub async fn look(client: &Client, host: &str) -> Result<Seen, Trouble> {
    let socket = Socket { client, name: fresh_socket() };
    let mut open = vec![begin(client, client.master(&socket.name, host), host).await?];
    while open.len() < SESSIONS {
        match begin(client, client.through(&socket.name, host), host).await {
            Ok(talk) => open.push(talk),
            Err(trouble) if trouble.kind == Kind::Failed => return Ok(Seen::FewSessions(open.len())),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(Seen::Fit)
}

async fn begin(client: &Client, argv: Vec<OsString>, host: &str) -> Result<Talk, Trouble> {
    let payload = Payload::new().script(include_str!("look.sh"));
    let mut talk = Talk::begin(client, &argv, host, &[], payload).await?;
    let said = talk.hear().await?;
    match said.strip_prefix("no ") {
        Some(what) => Err(Trouble::unfit(host, what)),
        None => Ok(talk),
    }
}

/// A master's socket. It lies where it was made even if its ssh had to be killed.
struct Socket<'a> {
    client: &'a Client,
    name: OsString,
}

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.client.folder().join::<&OsStr>(&self.name));
    }
}
