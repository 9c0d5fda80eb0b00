//! Sessions through a connection that is there, without a process of ssh for each: what ssh's own client says to the
//! master on its socket, version 4 of `PROTOCOL.mux` in OpenSSH's sources. The master reads and writes the session's
//! files itself.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

const VERSION: u32 = 4;
const HELLO: u32 = 0x0000_0001;
const NEW_SESSION: u32 = 0x1000_0002;
const NEW_STREAM: u32 = 0x1000_0008;
const PERMISSION_DENIED: u32 = 0x8000_0002;
const FAILURE: u32 = 0x8000_0003;
const EXIT_MESSAGE: u32 = 0x8000_0004;
const SESSION_OPENED: u32 = 0x8000_0006;
/// There is no terminal, so no character of it has a meaning.
const NO_ESCAPE: u32 = u32::MAX;
/// Bytes of a packet; a master takes none that is longer.
const LONGEST: usize = 256 * 1024;

/// A session or stream under way. Dropped, the master ends it.
#[derive(Debug)]
pub(super) struct Session {
    master: UnixStream,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// There is no master that is understood.
    NoMaster,
    /// The node, or the master, refused; why, in ssh's words.
    Refused(String),
}

impl From<io::Error> for NotOpened {
    fn from(_: io::Error) -> NotOpened {
        NotOpened::NoMaster
    }
}

/// Runs a line on the node with these files as its input, output and errors. Of `env` the node gets what ssh's
/// configuration sends (`SendEnv`): the master looks.
pub(super) async fn open(
    socket: &Path,
    line: &str,
    env: impl IntoIterator<Item = (OsString, OsString)>,
    files: [OwnedFd; 3],
) -> Result<Session, NotOpened> {
    // Its number, something reserved, and that it wants no terminal, X11, agent or subsystem.
    let mut wanted = Packet::new(NEW_SESSION).number(0).text(b"").number(0).number(0).number(0).number(0);
    wanted = wanted.number(NO_ESCAPE).text(b"").text(line.as_bytes());
    for (name, value) in env {
        wanted = wanted.text(&[name.as_bytes(), b"=", value.as_bytes()].concat());
    }
    ask(socket, wanted, files).await
}

/// Connects on the node to a port of a host, with this file as the other end of it. The caller bounds it in time.
pub(super) async fn stream(
    socket: &Path,
    host: &str,
    port: u16,
    file: OwnedFd,
) -> Result<Session, NotOpened> {
    let other = file.try_clone()?;
    // Its number, and something reserved.
    let wanted = Packet::new(NEW_STREAM).number(0).text(b"").text(host.as_bytes()).number(port.into());
    ask(socket, wanted, [file, other]).await
}

/// Greets the master, asks for something with these files, and waits until it is there.
async fn ask(
    socket: &Path,
    wanted: Packet,
    files: impl IntoIterator<Item = OwnedFd>,
) -> Result<Session, NotOpened> {
    let mut master = UnixStream::connect(socket).await?;
    master.write_all(&Packet::new(HELLO).number(VERSION).finish()?).await?;
    let (kind, rest) = read(&mut master).await?;
    if (kind, number(&rest, 0)) != (HELLO, Some(VERSION)) {
        return Err(io::Error::other("the master speaks another version").into());
    }
    master.write_all(&wanted.finish()?).await?;
    for file in files {
        master.async_io(Interest::WRITABLE, || hand_over(&master, &file)).await?;
    }
    loop {
        let (kind, rest) = read(&mut master).await?;
        match kind {
            SESSION_OPENED => return Ok(Session { master }),
            FAILURE | PERMISSION_DENIED => {
                let reason = String::from_utf8_lossy(rest.get(8..).unwrap_or_default()).into_owned();
                return Err(NotOpened::Refused(reason));
            }
            _ => {}
        }
    }
}

impl Session {
    /// The exit status of what ran, once it has ended. None: the connection ended first.
    pub(super) async fn ended(&mut self) -> Option<u32> {
        loop {
            let (kind, rest) = read(&mut self.master).await.ok()?;
            if kind == EXIT_MESSAGE {
                return number(&rest, 4);
            }
        }
    }
}

/// Passes one file to the master, with the one byte that it waits for.
fn hand_over(master: &UnixStream, file: &OwnedFd) -> io::Result<()> {
    let file = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&file)), "BUG: there is space for one");
    sendmsg(master, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next packet: its kind, and what follows.
async fn read(master: &mut UnixStream) -> io::Result<(u32, Vec<u8>)> {
    let length = master.read_u32().await? as usize;
    if !(4..=LONGEST).contains(&length) {
        return Err(io::Error::other("the master says what nobody understands"));
    }
    let kind = master.read_u32().await?;
    let mut rest = vec![0; length - 4];
    master.read_exact(&mut rest).await?;
    Ok((kind, rest))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// A packet as it is made: its length, its kind, numbers and texts.
struct Packet(Vec<u8>);

impl Packet {
    fn new(kind: u32) -> Packet {
        Packet(vec![0; 4]).number(kind)
    }

    fn number(mut self, number: u32) -> Packet {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn text(self, text: &[u8]) -> Packet {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut packet = self.number(length);
        packet.0.extend(text);
        packet
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        let length = self.0.len() - 4;
        let too_long = || io::Error::other("a packet is longer than a master takes");
        let length = u32::try_from(length).ok().filter(|_| length <= LONGEST).ok_or_else(too_long)?;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_its_length_its_kind_and_what_follows() {
        let packet = Packet::new(HELLO).number(VERSION).finish().unwrap();
        assert_eq!(packet, [0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 4]);
        let packet = Packet::new(HELLO).text(b"ab").finish().unwrap();
        assert_eq!(packet, [0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 2, b'a', b'b']);
        assert!(Packet::new(HELLO).text(&vec![0; LONGEST]).finish().is_err());
    }

    #[tokio::test]
    async fn a_master_of_another_version_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let answering = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let hello = Packet::new(HELLO).number(VERSION + 1).finish().unwrap();
            client.write_all(&hello).await.unwrap();
            client
        };
        let files = [(); 3].map(|()| std::fs::File::open("/dev/null").unwrap().into());
        let (opened, _client) = tokio::join!(open(&socket, "true", [], files), answering);
        assert!(matches!(opened, Err(NotOpened::NoMaster)));
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_words_of_ssh() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let answering = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let hello = Packet::new(HELLO).number(VERSION).finish().unwrap();
            client.write_all(&hello).await.unwrap();
            let no = Packet::new(FAILURE).number(0).text(b"Session open refused by peer").finish().unwrap();
            client.write_all(&no).await.unwrap();
            client
        };
        let files = [(); 3].map(|()| std::fs::File::open("/dev/null").unwrap().into());
        let (opened, _client) = tokio::join!(open(&socket, "true", [], files), answering);
        assert!(matches!(opened, Err(NotOpened::Refused(why)) if why == "Session open refused by peer"));
    }
}
