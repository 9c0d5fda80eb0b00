//! HTTP over a stream that is there already: what makes a question to a node's own loopback an HTTP request like any other,
//! TLS included.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};

/// One request over this stream, whatever its URL's host resolves to here. `limit` bounds every wait for the other side.
pub(super) fn agent(config: Config, stream: UnixStream, limit: Duration) -> io::Result<ureq::Agent> {
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let connector = ().chain(Given(Mutex::new(Some(stream)))).chain(RustlsConnector::default());
    Ok(ureq::Agent::with_parts(config, connector, Nowhere))
}

/// `host:port` that a URL asks, as ssh takes it; none: no URL of HTTP.
pub(super) fn authority(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().or(match uri.scheme_str()? {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    })?;
    Some(format!("{}:{port}", uri.host()?))
}

/// The node resolves names, nobody else.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(addresses)
    }
}

/// Hands out the one stream.
#[derive(Debug)]
struct Given(Mutex<Option<UnixStream>>);

impl Connector for Given {
    type Out = Stream;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Stream>, Error> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = stream.ok_or(Error::ConnectionFailed)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Stream { stream, buffers }))
    }
}

#[derive(Debug)]
struct Stream {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let sent = self.stream.write_all(&self.buffers.output()[..amount]);
        sent.map_err(|error| in_time(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let read = self.stream.read(self.buffers.input_append_buf());
        let count = read.map_err(|error| in_time(error, timeout))?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        // It is never used again.
        false
    }
}

fn in_time(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_an_address_with_a_port() {
        let of = |url| authority(url);
        assert_eq!(of("http://127.0.0.1:8080/health").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(of("https://app.internal/x").as_deref(), Some("app.internal:443"));
        assert_eq!(of("http://[::1]/").as_deref(), Some("[::1]:80"));
        assert_eq!(of("ftp://x/"), None);
        assert_eq!(of("not a url"), None);
    }

    #[test]
    fn a_request_goes_over_the_stream() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || {
            let mut request = vec![0; 4096];
            let count = theirs.read(&mut request).unwrap();
            theirs.write_all(b"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n").unwrap();
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        let agent = agent(Config::default(), ours, Duration::from_secs(5)).unwrap();
        let answer = agent.get("http://no.such.host.invalid:7/health").call().unwrap();
        assert_eq!(answer.status().as_u16(), 204);
        let request = server.join().unwrap();
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("host: no.such.host.invalid:7"), "{request}");
    }
}
