//! The server in this process, with an engine that has nothing to do.

use super::{BATCH, FRAME};
use axum::extract::ws::Utf8Bytes;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate::bus::{Bus, CAPACITY, Frame};
use tidegate::clock::{Clock, SystemClock};
use tidegate::disk::{Gauge, ToldDisk};
use tidegate::domain::{Effect, EventId, State, Work};
use tidegate::engine::{self, Parts};
use tidegate::interpreter::{Interpreter, StopCause};
use tidegate::journal::MemoryJournal;
use tidegate::server::{Limits, ServerOptions, serve};
use tidegate::settings::{ReadAccess, StateDir, Tokens, UnixDoor, Webhooks};
use tidegate::source::Git;
use tokio_util::sync::CancellationToken;

/// The first number that this bench gives to an event: beyond those of the engine itself.
const FIRST: u64 = 1_000;

struct Idle;

impl Interpreter for Idle {
    fn begin(&self, _: Effect, _: Work) {}
    fn stop(&self, _: &Effect, _: StopCause) {}
}

/// It, at work.
pub(crate) struct Server {
    bus: Bus,
    address: SocketAddr,
    next: AtomicU64,
    text: Utf8Bytes,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Arc<Server> {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().join("state"));
        state.prepare().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let journal = Arc::new(MemoryJournal::new());
        let bus = Bus::new(journal.clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (reporter, reports) = tokio::sync::mpsc::channel(1);
        let parts = Parts {
            journal,
            bus: bus.clone(),
            clock: clock.clone(),
            disk: Arc::new(ToldDisk::new()),
            interpreter: Arc::new(Idle),
            reports,
        };
        let options = ServerOptions {
            clock,
            gauge: Gauge::default(),
            notices: Arc::new(Default::default),
            troubles: Arc::new(Vec::new),
            tokens: Arc::new(Tokens::open(&state).unwrap()),
            read: ReadAccess::Open,
            hosts: Vec::new(),
            unix: UnixDoor::default(),
            trusted_proxies: Vec::new(),
            state,
            git: Git::default(),
            stall: Duration::from_secs(300),
            jobs: 1,
            log_ref: |pipeline, run| format!("logs/{pipeline}/{run}.log"),
            webhooks: Webhooks::default(),
            limits: Limits { connections: 2_048, subscribers: 2_048, ..Limits::default() },
        };
        let address = runtime.block_on(async {
            let options_of_engine = engine::Options { jobs: 1, release: "0.0.0".into(), runner: None };
            let (engine, work) = engine::start(State::default(), parts, options_of_engine);
            tokio::spawn(async move {
                let _reporter = reporter;
                work.await
            });
            engine.until_ready().await;
            engine.settled().await.unwrap();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve(listener, engine, options, CancellationToken::new()));
            address
        });
        let text = format!("{{\"kind\":\"gate_done\",\"filler\":\"{}\"}}", "x".repeat(FRAME - 4 - 32));
        assert_eq!(text.len() + 4, FRAME);
        let text = text.into();
        Arc::new(Server { bus, address, next: AtomicU64::new(FIRST), text, runtime, _folder: folder })
    }

    /// A WebSocket whose handshake is over.
    pub(crate) fn subscribe(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let request = format!(
            "GET /events HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGlkZWdhdGUtYmVuY2gtMQ==\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        stream
    }

    /// Waits until so many listen: a socket does so a moment after its handshake.
    pub(crate) fn until_there(&self, subscribers: usize) {
        while self.bus.subscribers() < subscribers {
            std::thread::yield_now();
        }
    }

    /// Waits until nobody listens.
    pub(crate) fn until_gone(&self) {
        while self.bus.subscribers() > 0 {
            std::thread::yield_now();
        }
    }

    /// Publishes as fast as the slowest takes it, as many at once as the twin writes: what the engine does with events
    /// that became durable together.
    pub(crate) fn publish(self: &Arc<Self>, events: usize) {
        let server = self.clone();
        self.work(async move {
            for first in (0..events).step_by(BATCH) {
                while server.bus.backlog() > CAPACITY - BATCH {
                    tokio::task::yield_now().await;
                }
                (first..events.min(first + BATCH)).for_each(|_| server.publish_one());
            }
        });
    }

    /// Does this where the engine works: in a task.
    pub(crate) fn work(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.block_on(self.runtime.spawn(work)).unwrap();
    }

    /// Publishes an event that makes one frame.
    pub(crate) fn publish_one(&self) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = Frame {
            id: Some(EventId(id)),
            kind: "gate_done".into(),
            pipeline: None,
            tier: None,
            run: None,
            is_log: false,
            text: self.text.clone(),
        };
        self.bus.publish(Arc::new(frame));
    }
}
