//! Putting files in place on a node: what is there already stays, what was begun is gone on with, and each file is
//! replaced at once or not at all.

use super::link::Link;
use super::payload::{self, Payload};
use super::talk::Talk;
use super::trouble::{Kind, Trouble};
use sha2::{Digest as _, Sha256};
use std::ffi::{OsStr, OsString};
use std::fs::File as LocalFile;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;

/// Bytes of one read, and how many of these are read ahead.
const PIECE: usize = 256 * 1024;
const AHEAD: usize = 4;
/// A node that takes nothing for so long will not.
const STALL: Duration = Duration::from_secs(300);
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
}

impl Places {
    /// Begins the session.
    pub async fn open(link: &Link) -> Result<Places, Trouble> {
        Ok(Places {
            talk: link.talk(Payload::new().set("name", link.name()).script(include_str!("place.sh"))).await?,
        })
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
        let (from, hash) = match begun {
            Some((there, digest)) => {
                beginning(file, there, digest).await.map_or((0, Sha256::new()), |hash| (there, hash))
            }
            None => (0, Sha256::new()),
        };
        let offset = from.to_string();
        let put = ["put".as_ref(), to, part, size.as_ref(), offset.as_ref()];
        self.talk.send(&payload::call(&put)).await?;
        self.wait_for("go", file).await?;
        let digest = self.send_rest(file, from, hash, sent).await?;
        if digest != file.sha256 {
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

    /// Sends the bytes until the node has them all, and hears a refusal meanwhile; the digest of the whole.
    async fn send_rest(
        &mut self,
        file: &File,
        from: u64,
        hash: Sha256,
        sent: impl Fn(u64),
    ) -> Result<String, Trouble> {
        let Some(stdin) = self.talk.stdin.take() else { return Err(self.talk.end().await) };
        let (pieces, digest) = read_ahead(file, from, hash);
        let mut sending = std::pin::pin!(send_pieces(stdin, pieces, sent));
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
        let sent = match sent {
            Some(sent) => sent,
            None => sending.await,
        };
        self.talk.stdin = sent.ok();
        Ok(digest.await.unwrap_or_default())
    }
}

fn unreadable(file: &File, error: &io::Error) -> Trouble {
    Trouble::new(Kind::Failed, format!("failed to read `{}`: {error}", file.from.display()))
}

/// Why bytes were not sent.
enum Unsent {
    Read(io::Error),
    Closed,
    Stalled,
}

async fn send_pieces(
    mut stdin: ChildStdin,
    mut pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    sent: impl Fn(u64),
) -> Result<ChildStdin, Unsent> {
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(Unsent::Read)?;
        let sending = tokio::time::timeout(STALL, stdin.write_all(&piece)).await;
        sending.map_err(|_| Unsent::Stalled)?.map_err(|_| Unsent::Closed)?;
        sent(piece.len() as u64);
    }
    Ok(stdin)
}

/// What is read, piece by piece.
type Pieces = mpsc::Receiver<io::Result<Vec<u8>>>;

/// Reads on a thread of its own, a little ahead. Exactly as many bytes come as the file is said to have; the digest is of
/// these and of what `hash` has taken before.
fn read_ahead(file: &File, from: u64, mut hash: Sha256) -> (Pieces, tokio::task::JoinHandle<String>) {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (path, mut left) = (file.from.clone(), file.size - from);
    let digest = tokio::task::spawn_blocking(move || {
        let opened =
            LocalFile::open(path).and_then(|mut file| file.seek(SeekFrom::Start(from)).map(|_| file));
        let mut open = match opened {
            Ok(open) => open,
            Err(error) => {
                let _ = sender.blocking_send(Err(error));
                return String::new();
            }
        };
        while left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let read = open.read_exact(&mut piece).map(|()| piece);
            if let Ok(piece) = &read {
                hash.update(piece);
            }
            left -= read.as_ref().map_or(left, |piece| piece.len() as u64);
            if sender.blocking_send(read).is_err() {
                break;
            }
        }
        in_hex(hash)
    });
    (receiver, digest)
}

fn in_hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `part BYTES DIGEST`.
fn begun(said: &str) -> Option<(u64, &str)> {
    let (bytes, digest) = said.strip_prefix("part ")?.split_once(' ')?;
    Some((bytes.parse().ok()?, digest))
}

/// The digest so far, if what is there is how the file begins.
async fn beginning(file: &File, bytes: u64, digest: &str) -> Option<Sha256> {
    let path = file.from.clone();
    let hashing = tokio::task::spawn_blocking(move || -> io::Result<Sha256> {
        let mut hash = Sha256::new();
        io::copy(&mut LocalFile::open(path)?.take(bytes), &mut hash)?;
        Ok(hash)
    });
    let hash = hashing.await.ok()?.ok()?;
    (in_hex(hash.clone()) == digest).then_some(hash)
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
    let why = why.trim();
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
