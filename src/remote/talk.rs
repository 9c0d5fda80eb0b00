//! One session with a node: an ssh process, what is sent to it, and what our script there says.

use super::Client;
use super::marks::{self, Marks, Piece};
use super::payload::Payload;
use super::trouble::{Kind, Trouble, short};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// What a login may print before our script speaks; one that prints more will not stop.
pub(super) const MOST_PRINTED: usize = 1024 * 1024;
/// What is kept of it, and of what ssh says, in bytes.
const KEPT: usize = 8 * 1024;
/// A node that says nothing for so long will not.
const IDLE: Duration = Duration::from_secs(300);
/// How long ssh's last words are waited for, once it has nothing else to say.
const LINGER: Duration = Duration::from_secs(1);

/// A session under way. Dropped, its ssh is killed, and the node's side ends by itself.
pub(super) struct Talk {
    host: String,
    child: Child,
    pub(super) stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// None once it has been waited for.
    listening: Option<JoinHandle<()>>,
    marks: Marks,
    said: VecDeque<String>,
    has_started: bool,
    printed: Vec<u8>,
    printed_bytes: usize,
}

impl Talk {
    /// Starts ssh and hands it the script, with the session's `mark`. `more`: for ssh's environment.
    pub(super) async fn begin(
        client: &Client,
        argv: &[OsString],
        host: &str,
        more: &[(OsString, OsString)],
        payload: Payload,
    ) -> Result<Talk, Trouble> {
        let mark = marks::random();
        let mut child = spawn(client, argv, more)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = stdout.zip(stderr).expect("BUG: both are pipes");
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let listening = tokio::spawn(listen(stderr, heard.clone()));
        let mut talk = Talk {
            host: host.to_owned(),
            child,
            stdin,
            stdout,
            stderr: heard,
            listening: Some(listening),
            marks: Marks::new(&mark),
            said: VecDeque::new(),
            has_started: false,
            printed: Vec::new(),
            printed_bytes: 0,
        };
        let line = [format!("unset mark;mark={mark};").into_bytes(), payload.into_line()].concat();
        // Whatever hinders the writing, ssh's own words say it better.
        let _ = talk.send(&line).await;
        match talk.hear().await? {
            said if said == "start" => Ok(talk),
            said => Err(Trouble::new(
                Kind::Refused,
                format!("`{host}` said `{}` instead of starting", short(&said)),
            )),
        }
    }

    /// Sends bytes to the script.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = match &mut self.stdin {
            Some(stdin) => stdin.write_all(bytes).await,
            None => Ok(()),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(self.end().await),
        }
    }

    /// The next thing that the script says, which has nothing to wait for. The error says how the session ended instead.
    pub(super) async fn hear(&mut self) -> Result<String, Trouble> {
        self.hear_within(IDLE).await
    }

    /// The same for work that may take so long.
    pub(super) async fn hear_within(&mut self, limit: Duration) -> Result<String, Trouble> {
        match tokio::time::timeout(limit, self.hear_at_last()).await {
            Ok(said) => said,
            Err(_) => {
                let message = format!("`{}` said nothing for {} s", self.host, limit.as_secs());
                Err(Trouble::new(if self.has_started { Kind::Lost } else { Kind::Unreachable }, message))
            }
        }
    }

    /// The same, however long it takes.
    pub(super) async fn hear_at_last(&mut self) -> Result<String, Trouble> {
        loop {
            if let Some(said) = self.said.pop_front() {
                self.has_started = true;
                return Ok(said);
            }
            let mut piece = [0; 8 * 1024];
            match self.stdout.read(&mut piece).await {
                Ok(0) | Err(_) => return Err(self.end().await),
                Ok(count) => self.take(&piece[..count])?,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        for piece in self.marks.feed(bytes) {
            match piece {
                Piece::Said(said) => self.said.push_back(said),
                Piece::Other(bytes) => {
                    self.printed_bytes += bytes.len();
                    keep_last(&mut self.printed, &bytes);
                }
            }
        }
        if self.said.is_empty() && !self.has_started && self.printed_bytes > MOST_PRINTED {
            return Err(Trouble::prints_on(&self.host));
        }
        Ok(())
    }

    /// Why there is nothing more to hear.
    pub(super) async fn end(&mut self) -> Trouble {
        self.stdin = None;
        let status = tokio::time::timeout(LINGER, self.child.wait()).await;
        let status: Option<ExitStatus> = status.ok().and_then(Result::ok);
        if let Some(listening) = self.listening.take() {
            let _ = tokio::time::timeout(LINGER, listening).await;
        }
        let ssh_said = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ssh_said = String::from_utf8_lossy(&ssh_said);
        if self.has_started {
            Trouble::lost(&self.host, &ssh_said)
        } else {
            Trouble::before_start(&self.host, status, &ssh_said, &String::from_utf8_lossy(&self.printed))
        }
    }
}

/// An ssh with three pipes, in a group of its own, so that a signal to ours does not end it.
pub(super) fn spawn(
    client: &Client,
    argv: &[OsString],
    more: &[(OsString, OsString)],
) -> Result<Child, Trouble> {
    let (program, arguments) = argv.split_first().expect("BUG: an ssh command has words");
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(client.env().iter().chain(more).map(|(name, value)| (name, value)))
        .current_dir(client.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Trouble::no_client(&program.to_string_lossy(), &error))
}

async fn listen(mut from: ChildStderr, into: Arc<Mutex<Vec<u8>>>) {
    read_all(&mut from, |bytes| keep_last(&mut into.lock().unwrap_or_else(PoisonError::into_inner), bytes))
        .await;
}

async fn read_all(from: &mut (impl AsyncRead + Unpin), mut take: impl FnMut(&[u8])) {
    let mut piece = [0; 4 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        take(&piece[..count]);
    }
}

/// Adds bytes and forgets the oldest of too many.
pub(super) fn keep_last(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    let over = kept.len().saturating_sub(KEPT);
    kept.drain(..over);
}
