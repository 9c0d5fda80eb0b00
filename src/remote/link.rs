//! The connection of one deploy: the first session, which holds the node's lock, and the master that all others go
//! through.

use super::exchange::exchange;
use super::marks;
use super::payload::Payload;
use super::talk::Talk;
use super::trouble::{Kind, Trouble, short};
use super::{BEAT, Client};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How long ssh may take to end once its session has.
const LEAVE: Duration = Duration::from_secs(2);
/// A node says no more than that on the way to its lock.
const MOST_HEARD: usize = 16;
/// Tells the sockets of this process apart.
static SOCKETS: AtomicU64 = AtomicU64::new(0);

/// Who wants a node.
#[derive(Clone, Debug)]
pub struct Claim {
    /// For people who find the node locked, in one line.
    pub by: String,
    /// Whose guard may be disarmed: fit for a file's name.
    pub owner: String,
    /// Without a sign of life for so long the lock is free again.
    pub expiry: Duration,
}

/// What is learned on the way to the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody else has the node; who, as they say. It is waited for.
    Locked(String),
    /// A guard of ours was still armed, and is not any more.
    Disarmed,
    /// The lock is ours.
    Held,
}

/// What a guard did while nobody could reach the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// When it went back, by the node's clock: seconds since 1970.
    pub at: i64,
    /// The exit status of the command that went back.
    pub status: i32,
    /// The version that it went back to.
    pub version: String,
}

/// On the way to the lock.
pub struct Opening {
    heard: usize,
    talk: Talk,
    link: Link,
}

/// A node that is ours. Dropped, it is let go by killing ssh; [`Link::close`] is the gentle way.
pub struct Link {
    client: Client,
    host: String,
    socket: OsString,
    turn: String,
    env: Vec<(OsString, OsString)>,
    name: OsString,
    path: OsString,
    home: OsString,
    /// What a guard of ours did before we came.
    pub back: Option<Back>,
    holding: Option<JoinHandle<()>>,
    /// How long the guard waits that is kept waiting.
    guarded: watch::Sender<Option<Duration>>,
    leaving: CancellationToken,
    lost: Arc<OnceLock<Trouble>>,
}

impl Link {
    /// Logs in. `env`: marks ssh's processes as those of a run, so that whoever cleans up finds them.
    pub async fn open(
        client: &Client,
        host: &str,
        env: &[(OsString, OsString)],
        claim: &Claim,
    ) -> Result<Opening, Trouble> {
        let socket = fresh_socket();
        let link = Link {
            client: client.clone(),
            host: host.to_owned(),
            socket: socket.clone(),
            turn: marks::random(),
            env: env.to_vec(),
            name: OsString::new(),
            path: OsString::new(),
            home: OsString::new(),
            back: None,
            holding: None,
            guarded: watch::channel(None).0,
            leaving: CancellationToken::new(),
            lost: Arc::default(),
        };
        let payload = Payload::new()
            .set("by", claim.by.replace(['\n', '\r'], " "))
            .set("owner", &claim.owner)
            .set("turn", &link.turn)
            .set("expiry", seconds(claim.expiry))
            .script(include_str!("hold.sh"));
        let talk = Talk::begin(client, &client.master(&socket, host), host, env, payload).await?;
        Ok(Opening { heard: 0, talk, link })
    }

    /// What the node knows this connection by as long as the lock is its own: no other has ever had it. Whatever changes
    /// the node says it, and is refused once somebody else has the lock.
    pub fn turn(&self) -> &str {
        &self.turn
    }

    /// The node's name for ssh.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Words of a session that goes through this connection, for a process that is run elsewhere, in [`Client::folder`].
    pub fn argv(&self) -> Vec<OsString> {
        self.client.through(&self.socket, &self.host)
    }

    /// What the node calls itself.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// `PATH` and `HOME` of the login, as variables.
    pub fn login(&self) -> [(OsString, OsString); 2] {
        [("PATH".into(), self.path.clone()), ("HOME".into(), self.home.clone())]
    }

    /// How the client is called.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The socket of the connection, from [`Client::folder`].
    pub fn socket(&self) -> &OsStr {
        &self.socket
    }

    pub(super) async fn talk(&self, payload: Payload) -> Result<Talk, Trouble> {
        Talk::begin(&self.client, &self.argv(), &self.host, &self.env, payload).await
    }

    pub(super) async fn exchange(&self, payload: Payload) -> Result<Vec<String>, Trouble> {
        exchange(&self.client, &self.argv(), &self.host, &self.env, payload).await
    }

    /// Why the connection is gone, once it is.
    pub fn lost(&self) -> Option<&Trouble> {
        self.lost.get()
    }

    /// Frees the node and waits, for a moment, until it is free.
    pub async fn close(mut self) {
        self.leaving.cancel();
        if let Some(holding) = self.holding.take() {
            let _ = holding.await;
        }
    }

    /// Keeps a guard that waits so long waiting, or no guard any more.
    pub(super) fn beat(&self, guarded: Option<Duration>) {
        self.guarded.send_replace(guarded);
    }

    fn hold(&mut self, mut talk: Talk) {
        let (leaving, lost, host) = (self.leaving.clone(), self.lost.clone(), self.host.clone());
        let mut guarded = self.guarded.subscribe();
        self.holding = Some(tokio::spawn(async move {
            let mut next = Instant::now() + BEAT;
            // The guard's time begins with the last line that is for it.
            let mut was_guarded = false;
            loop {
                tokio::select! {
                    () = leaving.cancelled() => {
                        talk.stdin = None;
                        let _ = timeout(LEAVE, talk.hear_at_last()).await;
                        return;
                    }
                    Ok(()) = guarded.changed() => next = Instant::now(),
                    () = sleep_until(next) => {
                        let within = *guarded.borrow();
                        let is_guarded = within.is_some() || was_guarded;
                        was_guarded = within.is_some();
                        let line: &[u8] = if is_guarded { b"guard\n" } else { b"\n" };
                        if let Err(trouble) = talk.send(line).await {
                            let _ = lost.set(trouble);
                            return;
                        }
                        // Often enough that one may be late.
                        next = Instant::now() + within.map_or(BEAT, |within| BEAT.min(within / 3));
                    }
                    said = talk.hear_at_last() => {
                        let trouble = match said {
                            Ok(said) => said.strip_prefix("no ").map(|what| Trouble::unfit(&host, what)),
                            Err(trouble) => Some(trouble),
                        };
                        if let Some(trouble) = trouble {
                            let _ = lost.set(trouble);
                            return;
                        }
                    },
                }
            }
        }));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(holding) = &self.holding {
            holding.abort();
        }
        let _ = fs::remove_file(self.client.folder().join(&self.socket));
    }
}

impl Opening {
    /// What is next; after [`Heard::Held`] it is the link's turn.
    pub async fn next(&mut self) -> Result<Heard, Trouble> {
        loop {
            self.heard += 1;
            if self.heard > MOST_HEARD {
                let message = format!("`{}` says more than anybody has to say", self.link.host);
                return Err(Trouble::new(Kind::Refused, message));
            }
            // Whoever has the node may have it for long.
            let said = self.talk.hear_at_last().await?;
            let (word, rest) = said.split_once(' ').unwrap_or((&said, ""));
            match word {
                "locked" => return Ok(Heard::Locked(short(rest))),
                "ready" => self.talk.send(b"\n").await?,
                "armed" => return Ok(Heard::Disarmed),
                "held" => return Ok(Heard::Held),
                "name" => self.link.name = rest.into(),
                "path" => self.link.path = rest.into(),
                "home" => self.link.home = rest.into(),
                "back" => self.link.back = back(rest),
                "no" => return Err(Trouble::unfit(&self.link.host, rest)),
                _ => {
                    let message =
                        format!("`{}` said `{}`, which nobody understands", self.link.host, short(&said));
                    return Err(Trouble::new(Kind::Refused, message));
                }
            }
        }
    }

    /// The node, once the lock is held.
    pub fn held(self) -> Link {
        let Opening { talk, mut link, .. } = self;
        link.hold(talk);
        link
    }
}

/// A socket that no other connection has, from [`Client::folder`].
pub(super) fn fresh_socket() -> OsString {
    let number = SOCKETS.fetch_add(1, Ordering::Relaxed);
    OsString::from(format!("./{}-{number}", std::process::id()))
}

/// `AT STATUS VERSION`.
fn back(text: &str) -> Option<Back> {
    let mut words = text.splitn(3, ' ');
    let (at, status) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Back { at, status, version: words.next()?.to_owned() })
}

/// Whole seconds, one at least, as a shell counts.
pub(super) fn seconds(span: Duration) -> String {
    span.as_secs_f64().ceil().max(1.0).to_string()
}
