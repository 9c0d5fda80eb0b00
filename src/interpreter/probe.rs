//! Asking whether something answers: HTTP and TCP. One question each; how often to ask, and what a good answer means for
//! a gate or a node, is left to others.

use super::probe_stream;
use crate::remote::{Forward, Stream};
use std::io::Read as _;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one question may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const MOST_BODY: u64 = 1024 * 1024;

/// What an HTTP server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its beginning; empty where it was not wanted.
    pub(super) body: Vec<u8>,
}

/// GET of a URL over a connection of its own, straight there: no redirect is followed and no proxy used. `from`: the node
/// that it is asked from. An error is what hindered it, for people. When the future is dropped, its thread ends with the
/// answer or after `limit`.
pub(super) async fn http(
    url: &str,
    wants_body: bool,
    from: Option<&Forward>,
    limit: Duration,
) -> Result<Answer, String> {
    let stream = match from {
        Some(forward) => {
            let to = probe_stream::authority(url).ok_or("it is no URL of `http` or `https`")?;
            Some(within(limit, forward.open(&to)).await?)
        }
        None => None,
    };
    let url = url.to_owned();
    let asked = tokio::task::spawn_blocking(move || ask(&url, wants_body, stream, limit)).await;
    asked.unwrap_or_else(|_| Err("the question broke".into()))
}

fn ask(url: &str, wants_body: bool, stream: Option<Stream>, limit: Duration) -> Result<Answer, String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .build();
    let (agent, _keeper) = match stream {
        None => (ureq::Agent::from(config), None),
        Some(Stream { socket, keeper }) => {
            let agent = probe_stream::agent(config, socket, limit).map_err(|error| error.to_string())?;
            (agent, Some(keeper))
        }
    };
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    if wants_body {
        let reader = response.body_mut().as_reader();
        reader.take(MOST_BODY).read_to_end(&mut body).map_err(|error| error.to_string())?;
    }
    Ok(Answer { status: response.status().as_u16(), body })
}

/// Whether `host:port` accepts a connection, `from` a node or this machine; an error is what hindered it, for people.
pub(super) async fn tcp(address: &str, from: Option<&Forward>, limit: Duration) -> Result<(), String> {
    match from {
        Some(forward) => within(limit, forward.open(address)).await.map(drop),
        None => {
            let connect = async { TcpStream::connect(address).await.map_err(|error| error.to_string()) };
            within(limit, connect).await.map(drop)
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{SocketAddr, TcpListener};

    /// A server that gives these answers, one a connection, then goes away.
    pub(in crate::interpreter) fn serve(answers: Vec<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        address
    }

    /// An answer with this status and body.
    pub(in crate::interpreter) fn answer(status: u16, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn every_status_is_an_answer_and_no_redirect_is_followed() {
        let elsewhere = "HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let address = serve(vec![answer(200, "fine"), answer(503, "no"), elsewhere.into()]);
        let url = format!("http://{address}/health");
        let ok = http(&url, true, None, PATIENCE).await.unwrap();
        assert_eq!(ok, Answer { status: 200, body: b"fine".to_vec() });
        assert_eq!(
            http(&url, false, None, PATIENCE).await.unwrap(),
            Answer { status: 503, body: Vec::new() }
        );
        assert_eq!(http(&url, false, None, PATIENCE).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn nobody_there_and_nobody_answering_are_errors() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(tcp(&address, None, PATIENCE).await, Ok(()));
        assert!(http(&format!("http://{address}/"), false, None, Duration::from_millis(50)).await.is_err());
        drop(listener);
        assert!(tcp(&address, None, PATIENCE).await.is_err());
        assert!(http(&format!("http://{address}/"), false, None, PATIENCE).await.is_err());
        assert!(http("not a url", false, None, PATIENCE).await.is_err());
    }
}
