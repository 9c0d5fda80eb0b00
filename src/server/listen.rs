//! The accept loop and the life of one connection: how long a head may take, how much it may hold, how many may be
//! there at once, and how all of it ends. What a request means is the router's.
//!
//! A connection that is upgraded leaves this file: its task is counted among the sessions, and its permit is free again.

use super::doors::{Doors, End, Line, Peer};
use super::patience::Patient;
use super::problem::Problem;
use super::{Server, ServerOptions, refusals, routes};
use crate::engine::Engine;
use axum::Router;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Bytes that the kernel may hold for a client that does not read; it doubles this.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Most bytes of a request's head.
const HEAD_LIMIT_BYTES: usize = 32 << 10;

/// Most headers of a request.
const HEADERS_LIMIT: usize = 64;

/// Pause after the system refused a connection for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections beyond the limit that are told so at once; those beyond this are just closed.
const TURNED_AWAY_LIMIT: usize = 64;

/// How often it is written down when tokens were used.
const KEEP_USES: Duration = Duration::from_secs(60);

/// When the controller stops, this often a connection is asked whether it has anything left to say.
const BREATH: Duration = Duration::from_millis(20);

/// Resolves when a task panicked, and never when it ended.
async fn broken(task: JoinHandle<()>) {
    if task.await.is_ok() {
        std::future::pending().await
    }
}

/// Serves until `shutdown` is cancelled, then lets what is under way finish for [`Limits::farewell`], and ends.
///
/// # Errors
/// Nothing can be listened on at all. A connection that fails harms nobody else.
///
/// [`Limits::farewell`]: super::Limits::farewell
pub async fn serve(
    doors: impl Into<Doors>,
    engine: Engine,
    options: ServerOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let doors = doors.into();
    doors.tcp.local_addr()?;
    let farewell = options.limits.farewell;
    let server = Arc::new(Server::new(engine, options, shutdown.clone()));
    let mut broken = pin!(broken(tokio::spawn(server.pushes.clone().pay(shutdown.clone()))));
    let mut beside = tokio::spawn(beside(server.clone()));
    let mut door = Door::new(server.clone());
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = &mut broken => return Err(io::Error::other("BUG: looking at what is owed to forges panicked")),
            _ = &mut beside => return Err(io::Error::other("BUG: noting who was let in and who was not panicked")),
            accepted = doors.accept() => match accepted {
                Ok((line, end)) => door.let_in(line, end),
                // The client is gone again already: nothing is wrong here.
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(doors);
    door.connections.close();
    server.sessions.close();
    let ended = async {
        door.connections.wait().await;
        server.sessions.wait().await;
    };
    if timeout(farewell, ended).await.is_err() {
        tracing::info!("connections that did not end in time are cut");
    }
    server.cut.cancel();
    // What cannot be noted in time is no reason not to end.
    let _ = timeout(farewell, beside).await;
    Ok(())
}

/// What is noted of those who ask, until the end.
async fn beside(server: Arc<Server>) {
    tokio::join!(refusals::tell(server.clone()), keep_uses(server));
}

/// Writes down now and then when tokens were used, and at the end.
async fn keep_uses(server: Arc<Server>) {
    loop {
        let is_over = timeout(KEEP_USES, server.cut.cancelled()).await.is_ok();
        let tokens = server.options.tokens.clone();
        if let Ok(Err(error)) = spawn_blocking(move || tokens.keep_uses()).await {
            tracing::warn!(code = error.code(), "when tokens were used is not kept: failed to {error}");
        }
        if is_over {
            return;
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused)
}

/// Who lets connections in.
struct Door {
    server: Arc<Server>,
    router: Router,
    http: http1::Builder,
    connections: TaskTracker,
    permits: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

impl Door {
    fn new(server: Arc<Server>) -> Door {
        let limits = &server.options.limits;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // Closes an idle connection that is kept alive, too.
            .header_read_timeout(limits.head)
            .max_headers(HEADERS_LIMIT)
            .max_buf_size(HEAD_LIMIT_BYTES)
            .half_close(false);
        Door {
            router: routes::router(server.clone()),
            http,
            connections: TaskTracker::new(),
            permits: Arc::new(Semaphore::new(limits.connections)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_LIMIT)),
            server,
        }
    }

    fn let_in(&mut self, line: Line, end: End) {
        line.tune(SEND_BUFFER_BYTES);
        let Ok(permit) = self.permits.clone().try_acquire_owned() else { return self.turn_away(line) };
        let (server, router, http) = (self.server.clone(), self.router.clone(), self.http.clone());
        self.connections.spawn(async move {
            let peer = Peer::of(end, &server).await;
            hold(line, peer, &server, router, http).await;
            drop(permit);
        });
    }

    /// Says that there is no room. Reads a little first, so that the answer is not lost in a reset.
    fn turn_away(&self, mut stream: Line) {
        let Ok(permit) = self.turned_away.clone().try_acquire_owned() else { return };
        let body = Problem::connection_limit(self.server.options.limits.connections).body();
        let head = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n\
             x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.connections.spawn(async move {
            let told = async {
                stream.write_all(&[head.as_bytes(), &body].concat()).await?;
                stream.shutdown().await?;
                let mut rest = [0; 1024];
                while stream.read(&mut rest).await? > 0 {}
                io::Result::Ok(())
            };
            // Whether it was heard is not our concern.
            let _ = timeout(Duration::from_secs(1), told).await;
            drop(permit);
        });
    }
}

/// One connection, to its end or its upgrade.
async fn hold(line: Line, peer: Peer, server: &Server, router: Router, http: http1::Builder) {
    let under_way = UnderWay::default();
    let heard = under_way.clone();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let guard = heard.clone();
        // A router is always ready.
        let answer = router.clone().call(request);
        async move { answer.await.map(|answer| answer.map(|body| Counted { body, _count: guard })) }
    });
    // A socket of `/events` says goodbye before this ends it.
    let patience = server.options.stall + Duration::from_secs(10);
    let io = TokioIo::new(Patient::new(line, patience, under_way.clone()));
    let at_rest = under_way.holders();
    let mut connection = std::pin::pin!(http.serve_connection(io, service).with_upgrades());
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = server.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // What was not asked to its end is not waited for.
    let nothing_to_say = async {
        while {
            sleep(BREATH).await;
            under_way.holders() > at_rest
        } {}
    };
    tokio::select! {
        ended = connection => note(ended),
        () = server.cut.cancelled() => {}
        () = nothing_to_say => {}
    }
}

/// Counts what a connection still has to say: requests that were heard, bodies of answers, writes that wait. Whoever
/// holds one is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<()>);

impl UnderWay {
    fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

/// The body of an answer, counted until all of it is handed on.
struct Counted {
    body: Body,
    _count: UnderWay,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
