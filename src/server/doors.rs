//! Where connections come in: an address, and a Unix socket beside it. What a connection is, whichever it came by, and
//! who is at its other end, as far as the system says it.
//!
//! Of a Unix socket the system says whose process connected. That stands for a token (`guard` says when), unless it is a
//! step ([`family`]).

mod family;

use self::family::Process;
use super::Server;
use crate::settings::{Entry, USERS, UnixDoor};
use rustix::process::Uid;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::spawn_blocking;

/// Whether this system says which process is at the other end of a Unix socket. Where it does not, everybody there needs
/// a token.
pub fn knows_peers() -> bool {
    family::is_known_here()
}

/// Where a controller listens.
pub struct Doors {
    /// The address.
    pub tcp: TcpListener,
    /// The Unix socket beside it.
    pub unix: Option<UnixListener>,
}

impl From<TcpListener> for Doors {
    fn from(tcp: TcpListener) -> Doors {
        Doors { tcp, unix: None }
    }
}

impl Doors {
    /// The next connection, with what is known of its other end before anything else is asked.
    pub(super) async fn accept(&self) -> io::Result<(Line, End)> {
        let by_socket = async {
            match &self.unix {
                Some(unix) => unix.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            taken = self.tcp.accept() => {
                let (stream, remote) = taken?;
                let local = stream.local_addr()?;
                Ok((Line::Tcp(stream), End::Address { remote, local }))
            }
            taken = by_socket => {
                let (stream, _) = taken?;
                // Where the system does not say it somebody unknown connected, and no more is wrong.
                let end = Process::at_end_of(&stream)
                    .map_or(End::Unknown, |(uid, process)| End::Process { uid, process });
                Ok((Line::Unix(stream), end))
            }
        }
    }
}

/// The other end of a connection that was just taken.
#[derive(Debug)]
pub(super) enum End {
    /// Somewhere on a network, and where it came in.
    Address { remote: SocketAddr, local: SocketAddr },
    /// A process of this machine, and whose it is.
    Process { uid: Uid, process: Process },
    /// Somebody of this machine.
    Unknown,
}

/// Who is at the other end, as the requests of a connection find it.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// Somewhere on a network.
    Address {
        /// The client's end.
        remote: SocketAddr,
        /// Ours.
        local: SocketAddr,
    },
    /// A user of this machine.
    User(Arc<User>),
}

/// A user of this machine.
#[derive(Debug)]
pub(super) struct User {
    /// As events call them: `unix:alice`.
    pub(super) name: String,
    /// What they may do without a token.
    pub(super) entry: Option<Entry>,
}

impl Peer {
    /// Who that is. A process is looked up at once: what is there later under its number is another one.
    pub(super) async fn of(end: End, server: &Server) -> Peer {
        let (uid, process) = match end {
            End::Address { remote, local } => return Peer::Address { remote, local },
            End::Process { uid, process } => (uid, process),
            End::Unknown => return Peer::User(Arc::new(User::unknown())),
        };
        let is_free = process.is_no_step(server.options.state.path());
        // Names may come over a network.
        let known = spawn_blocking(move || name_of(uid)).await.ok().flatten();
        Peer::User(Arc::new(User::new(&server.options.unix, uid, known, is_free)))
    }

    /// Our end, where it is an address.
    pub(super) fn local(&self) -> Option<IpAddr> {
        match self {
            Peer::Address { local, .. } => Some(local.ip().to_canonical()),
            Peer::User(_) => None,
        }
    }

    /// Whether both ends are on this machine.
    pub(super) fn is_here(&self) -> bool {
        match self {
            Peer::Address { remote, local } => {
                [remote, local].iter().all(|end| end.ip().to_canonical().is_loopback())
            }
            Peer::User(_) => true,
        }
    }
}

impl User {
    fn unknown() -> User {
        User { name: format!("{USERS}?"), entry: None }
    }

    fn new(door: &UnixDoor, uid: Uid, known: Option<String>, is_free: bool) -> User {
        let text = known.unwrap_or_else(|| uid.as_raw().to_string());
        let role = door.role(uid, &text).filter(|_| is_free);
        let name = format!("{USERS}{text}");
        User { entry: role.map(|role| Entry::of_user(&name, role)), name }
    }
}

/// What the system calls a user; none: nothing, or what could not stand in events as it is.
fn name_of(uid: Uid) -> Option<String> {
    let user = nix::unistd::User::from_uid(uid.as_raw().into()).ok()??;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+$\\".contains(&byte);
    // One of digits only would look like the number of somebody else.
    let is_number = user.name.bytes().all(|byte| byte.is_ascii_digit());
    let is_good = (1..=64).contains(&user.name.len()) && user.name.bytes().all(is_plain) && !is_number;
    is_good.then_some(user.name)
}

/// A connection, whichever way it came.
#[derive(Debug)]
pub(super) enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Line {
    /// Makes the best of it; what cannot be set is not worth a connection.
    pub(super) fn tune(&self, send_buffer_bytes: usize) {
        let _ = match self {
            Line::Tcp(stream) => {
                let _ = stream.set_nodelay(true);
                rustix::net::sockopt::set_socket_send_buffer_size(stream, send_buffer_bytes)
            }
            Line::Unix(stream) => {
                rustix::net::sockopt::set_socket_send_buffer_size(stream, send_buffer_bytes)
            }
        };
    }
}

/// Does the same with whichever stream it is.
macro_rules! either {
    ($line:expr, $stream:ident => $what:expr) => {
        match $line.get_mut() {
            Line::Tcp($stream) => $what,
            Line::Unix($stream) => $what,
        }
    };
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    fn door() -> UnixDoor {
        UnixDoor { users: [("alice".to_owned(), Role::Operator)].into(), ..UnixDoor::default() }
    }

    fn role(uid: u32, name: Option<&str>, is_free: bool) -> Option<Role> {
        let user = User::new(&door(), Uid::from_raw(uid), name.map(str::to_owned), is_free);
        user.entry.map(|entry| entry.role)
    }

    #[test]
    fn a_user_has_the_role_that_the_settings_say() {
        let ours = rustix::process::geteuid().as_raw();
        assert_eq!(role(0, Some("root"), true), Some(Role::Admin));
        assert_eq!(role(ours, None, true), Some(Role::Admin));
        assert_eq!(role(54_321, Some("alice"), true), Some(Role::Operator));
        assert_eq!(role(54_321, Some("bob"), true), None);
        assert_eq!(role(54_321, None, true), None);
        for (uid, name) in [(0, Some("root")), (ours, None), (54_321, Some("alice"))] {
            assert_eq!(role(uid, name, false), None, "a step is nobody");
        }
    }
}
