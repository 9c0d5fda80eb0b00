//! Putting files in place on a node: what is there already stays, what was begun is gone on with, and each file is
//! replaced at once or not at all.

use super::digests::{self, Digests};
use super::link::Link;
use super::payload::{self, Payload};
use super::stream::{self, STALL, Sending, Unsent};
use super::talk::Talk;
use super::trouble::{Kind, Trouble, short};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes a second that the slowest disk reads.
const SLOWEST: u64 = 5_000_000;
/// A part that was begun is worth going on with from this size on, in bytes.
const WORTH: u64 = 64 * 1024;

/// A file and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is here.
    pub from: PathBuf,
    /// Where it goes: absolute.
    pub to: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Whether it may be executed: mode 755, else 644.
    pub executable: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Written {
        /// Bytes that were there already, of an upload that was never finished.
        resumed: u64,
    },
    /// The same bits were there already.
    Unchanged,
}

/// A session that puts files in place.
pub struct Places {
    talk: Talk,
    digests: Digests,
}

impl Places {
    /// Begins the session.
    pub async fn open(link: &Link) -> Result<Places, Trouble> {
        let payload =
            Payload::new().set("name", link.name()).set("turn", link.turn()).script(include_str!("place.sh"));
        let mut talk = link.talk(payload).await?;
        match talk.hear().await?.as_str() {
            "ready" => Ok(Places { talk, digests: link.client().digests().clone() }),
            said => Err(Trouble::unfit(link.host(), said.strip_prefix("no ").unwrap_or(said))),
        }
    }

    /// Puts one file in place. `sent` is told bytes as they go.
    pub async fn put(&mut self, file: &File, sent: impl Fn(u64)) -> Result<Put, Trouble> {
        let part = part(&file.to, &file.sha256);
        if [&file.to, &part].iter().any(|path| path.as_os_str().as_bytes().contains(&b'\n')) {
            return Err(failed(file, "a path on a node cannot hold a line end"));
        }
        let (shown, mode) = if file.executable { ("-rwxr-xr-x", "755") } else { ("-rw-r--r--", "644") };
        let size = file.size.to_string();
        let (to, part) = (file.to.as_os_str(), part.as_os_str());
        let look = ["look".as_ref(), to, part, shown.as_ref(), size.as_ref(), file.sha256.as_ref()];
        self.talk.send(&payload::call(&look)).await?;
        // It may have to read all of it.
        let found = self.talk.hear_within(STALL + Duration::from_secs(file.size / SLOWEST)).await?;
        if found == "same" {
            return Ok(Put::Unchanged);
        }
        let begun = begun(&found).filter(|(there, _)| (WORTH..=file.size).contains(there));
        let from = match begun {
            Some((there, digest)) if begins_so(file, there, digest).await => there,
            _ => 0,
        };
        let offset = from.to_string();
        let put = ["put".as_ref(), to, part, size.as_ref(), offset.as_ref()];
        self.talk.send(&payload::call(&put)).await?;
        self.wait_for("go", file).await?;
        // Of a file that goes to many nodes the bits are read for that only once.
        let digests = self.digests.clone();
        let (sent, digest) = tokio::join!(self.send_rest(file, from, sent), digests.of(&file.from));
        sent?;
        if digest.map_err(|error| unreadable(file, &error))? != file.sha256 {
            let message = format!(
                "`{}` is not what was built any more; build it again: `rebuild`",
                file.from.display()
            );
            return Err(Trouble::new(Kind::Corrupt, message));
        }
        self.talk
            .send(&payload::call(&["keep".as_ref(), to, part, mode.as_ref(), file.sha256.as_ref()]))
            .await?;
        self.wait_for("kept", file).await?;
        Ok(Put::Written { resumed: from })
    }

    async fn wait_for(&mut self, word: &str, file: &File) -> Result<(), Trouble> {
        match self.talk.hear().await? {
            said if said == word => Ok(()),
            said => Err(failed(file, said.strip_prefix("failed ").unwrap_or(&said))),
        }
    }

    /// Sends the bytes until the node has them all, and hears a refusal meanwhile.
    async fn send_rest(&mut self, file: &File, from: u64, sent: impl Fn(u64)) -> Result<(), Trouble> {
        let Some(stdin) = &self.talk.stdin else { return Err(self.talk.end().await) };
        let pipe = stdin.as_fd().try_clone_to_owned();
        let pipe = pipe.map_err(|error| failed(file, &error.to_string()))?;
        let mut sending = std::pin::pin!(told(stream::send(&file.from, from..file.size, pipe), sent));
        // A refusal may come at any time, and the last word before we know that all is sent.
        let (said, sent) = tokio::select! {
            said = self.talk.hear_at_last() => (Some(said), None),
            sent = &mut sending => (None, Some(sent)),
        };
        let said = match said {
            Some(said) => said?,
            // The node's side, or ssh, may be gone: what was said before that counts.
            None => match &sent {
                // The node would wait for the rest.
                Some(Err(Unsent::Read(error))) => return Err(unreadable(file, error)),
                Some(Err(Unsent::Stalled)) => {
                    return Err(failed(file, &format!("the node took nothing for {} s", STALL.as_secs())));
                }
                _ => self.talk.hear().await?,
            },
        };
        if said != "whole" {
            return Err(failed(file, said.strip_prefix("failed ").unwrap_or(&said)));
        }
        if sent.is_none() {
            // It has them all, so that none is left to be sent.
            let _ = sending.await;
        }
        Ok(())
    }
}

fn unreadable(file: &File, error: &io::Error) -> Trouble {
    Trouble::new(Kind::Failed, format!("failed to read `{}`: {error}", file.from.display()))
}

/// Tells how many bytes are sent, until all are.
async fn told(mut sending: Sending, sent: impl Fn(u64)) -> Result<(), Unsent> {
    while let Some(bytes) = sending.recv().await {
        sent(bytes?);
    }
    Ok(())
}

/// `part BYTES DIGEST`.
fn begun(said: &str) -> Option<(u64, &str)> {
    let (bytes, digest) = said.strip_prefix("part ")?.split_once(' ')?;
    Some((bytes.parse().ok()?, digest))
}

/// Whether what is there is how the file begins.
async fn begins_so(file: &File, bytes: u64, digest: &str) -> bool {
    let path = file.from.clone();
    let hashing = tokio::task::spawn_blocking(move || digests::read(&path, bytes));
    hashing.await.is_ok_and(|found| found.is_ok_and(|found| found == digest))
}

/// What a file is called until it is whole: beside its place, told from others by its content.
fn part(to: &Path, sha256: &str) -> PathBuf {
    let name = to.file_name().unwrap_or_default().as_bytes();
    let mut part = OsString::from(".");
    part.push(OsStr::from_bytes(&name[..name.len().min(180)]));
    part.push(format!(".tidegate-{}", sha256.get(..16).unwrap_or(sha256)));
    to.with_file_name(part)
}

fn failed(file: &File, why: &str) -> Trouble {
    let why = short(why.trim());
    let help = if why.contains("No space left") {
        "; free some room on the node, then `retry`"
    } else if why.contains("ermission denied") || why.contains("not permitted") {
        "; the account that is logged in to must be allowed to write there"
    } else if why.contains("Read-only") {
        "; the file system there is mounted read-only"
    } else {
        ""
    };
    Trouble::new(Kind::Failed, format!("failed to put `{}` in place: {why}{help}", file.to.display()))
}
