//! Requests over a Unix socket: where the controller's is, and how the client of HTTP comes to speak over it. What may be
//! asked there the controller decides, by who the system says that we are.

use super::client::settings_here;
use super::serving::Serving;
use super::trouble::Trouble;
use crate::settings::StateDir;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

/// How an address begins that is the path of a socket.
pub(super) const SCHEME: &str = "unix:";

/// What a controller is called over its socket.
pub(super) const BASE: &str = "http://localhost";

/// The socket that an address names, if it names one.
pub(super) fn named(url: &str) -> Option<&Path> {
    url.strip_prefix(SCHEME).map(Path::new)
}

/// Where the controller of a state folder, or else of the settings here, would be on a socket; it may not be there.
pub(super) fn of(state: Option<&StateDir>) -> Result<Option<PathBuf>, Trouble> {
    if let Some(serving) = state.and_then(Serving::on) {
        return Ok(serving.unix);
    }
    // Settings speak for the state folder that they name, and for no other.
    let settings = settings_here()?.filter(|settings| state.is_none_or(|state| settings.state == *state));
    Ok(settings.and_then(|settings| settings.unix.socket))
}

/// A client of HTTP that asks over that socket, whatever host is named.
pub(super) fn agent(config: Config, path: &Path) -> ureq::Agent {
    ureq::Agent::with_parts(config, Socket(path.to_owned()), Nowhere)
}

/// Finds no host: there is only the socket.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut found = self.empty();
        // One must be there, and is not looked at.
        found.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(found)
    }
}

#[derive(Debug)]
struct Socket(PathBuf);

impl Connector for Socket {
    type Out = Line;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Line>, Error> {
        let stream = UnixStream::connect(&self.0)?;
        let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Line { stream, buffers: LazyBuffers::new(input, output) }))
    }
}

/// A connection over a socket.
struct Line {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.stream.fmt(f)
    }
}

/// A time that is over is told as what it was the time for.
fn told(error: io::Error, reason: Timeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(reason),
        _ => error.into(),
    }
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(timeout.not_zero().map(|time| *time))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|error| told(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(timeout.not_zero().map(|time| *time))?;
        let amount = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| told(error, timeout.reason))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // A connection that was kept and has something to read was closed, or says what nobody asked.
        let mut ready = [rustix::event::PollFd::new(&self.stream, rustix::event::PollFlags::IN)];
        let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut ready, Some(&none)).is_ok_and(|count| count == 0)
    }
}
