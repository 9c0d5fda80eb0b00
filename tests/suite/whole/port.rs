//! A port that stays somebody's own while the server is down or has yet to start.

use rustix::net::{AddressFamily, SocketAddrAny, SocketType, bind, getsockname, socket, sockopt};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

/// A bound socket that never listens. Nobody is given its port by chance, neither who asks for any free one nor who
/// connects; whoever asks for this very port with `SO_REUSEADDR`, as sshd and the standard library do, gets it, and while
/// nobody has, connections are refused.
pub(crate) struct Port {
    pub(crate) number: u16,
    _held: OwnedFd,
}

impl Port {
    pub(crate) fn reserve() -> Port {
        let held = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::CLOEXEC).expect("closed on exec");
        sockopt::set_socket_reuseaddr(&held, true).expect("an option");
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address: SocketAddrAny = getsockname(&held).expect("an address");
        let number = SocketAddr::try_from(address).expect("an address of a network").port();
        Port { number, _held: held }
    }
}
