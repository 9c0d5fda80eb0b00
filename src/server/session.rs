//! One WebSocket subscriber: a task of its own, so that a client that does not read keeps up nobody else.
//!
//! Three run side by side until one of them has a reason to end: the *watch* looks at the token and at the controller's
//! end; the *teller* sends what the subscription has, many frames in one write, and pings; the *listener* reads, so that
//! pings are answered and a close is seen even while a send waits. Then the farewell: our close frame if we are the ones
//! who end it, and reading to the end of the stream, without which the other side may lose the close frame to a reset.

use super::Server;
use super::events::{FUTURE_HELP, text_of};
use super::guard::Caller;
use crate::bus::{Future, Item, Start, Subscription};
use crate::settings::Holding;
use crate::wire::{self, Live};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};

/// Most bytes of a message or frame from a client, who has nothing to say anyway.
const INBOUND_LIMIT_BYTES: usize = 64 << 10;

/// Bytes collected before they are written.
const BATCH_BYTES: usize = 64 << 10;

/// Frames collected before they are written.
const BATCH_FRAMES: usize = 256;

/// Most messages from a client between two pings of ours.
const INBOUND_LIMIT: u32 = 2_000;

/// How long a client has to take our close frame, and to answer it.
const FAREWELL: Duration = Duration::from_secs(5);

type Sink = SplitSink<WebSocket, Message>;
type Inbound = SplitStream<WebSocket>;

/// Why a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client closed; the answer to that goes out by itself.
    ClosedByClient,
    /// The connection is gone.
    Gone,
    /// We close, with that code and reason.
    Close(u16, &'static str),
}

const GOING_AWAY: End = End::Close(1001, "the controller is stopping");
const STALLED: End = End::Close(1013, "nothing was read for too long");
const FROM_THE_FUTURE: End = End::Close(4404, "since is from the future");
const REVOKED: End = End::Close(4401, "TG-AUTH-006 token revoked");
const ENDED: End = End::Close(4401, "TG-AUTH-011 token ended");
const TOO_MUCH: End = End::Close(1008, "TG-WS-003 too many messages");
const BROKEN: End = End::Close(1011, "the journal cannot be read");

/// Answers the handshake; the session goes on in a task of its own.
pub(super) fn open(
    upgrade: WebSocketUpgrade,
    server: Arc<Server>,
    start: Start,
    caller: Caller,
    room: OwnedSemaphorePermit,
) -> Response {
    let counted = server.sessions.token();
    limited(upgrade).on_upgrade(async move |socket| {
        tokio::select! {
            () = session(socket, &server, start, &caller) => {}
            () = server.cut.cancelled() => {}
        }
        drop((counted, room));
    })
}

/// With limits of what a client may send, and of what is kept for it.
pub(super) fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(INBOUND_LIMIT_BYTES)
        .max_frame_size(INBOUND_LIMIT_BYTES)
        .read_buffer_size(8 << 10)
        .write_buffer_size(BATCH_BYTES)
        .max_write_buffer_size(16 << 20)
}

async fn session(socket: WebSocket, server: &Server, start: Start, caller: &Caller) {
    let (mut sink, mut inbound) = socket.split();
    let heard = Heard::new();
    let end = match server.engine.bus().subscribe(start) {
        Ok(subscription) => {
            let mut teller = Teller { server, sink: &mut sink, subscription, heard: &heard };
            // Looked at only when something is there for them: reading costs as much as a message, and one is sent far
            // more often than anything is read.
            let mut aside = FuturesUnordered::from_iter([
                watch(server, caller).boxed(),
                listen(&mut inbound, &heard).boxed(),
            ]);
            // What is there already is still heard when the controller stops.
            tokio::select! {
                biased;
                end = teller.tell() => end,
                Some(end) = aside.next() => end,
            }
        }
        Err(error) => {
            refuse(&mut sink, server, error).await;
            FROM_THE_FUTURE
        }
    };
    tracing::debug!(?end, "a subscriber leaves");
    farewell(sink, inbound, end).await;
}

async fn refuse(sink: &mut Sink, server: &Server, error: Future) {
    let live = Live::Error {
        code: Future::CODE.into(),
        message: format!("failed to {error}"),
        help: FUTURE_HELP.into(),
    };
    let text = wire::encode_live(server.options.clock.now(), None, &live);
    // A client that does not take it does not take the close frame either.
    let _ = timeout(FAREWELL, sink.send(Message::Text(text.into()))).await;
}

/// Ends when the session may not go on, whatever it is at: a send that waits, too.
async fn watch(server: &Server, caller: &Caller) -> End {
    if caller.entry.is_none() {
        // Who came without a token has nothing that could be revoked: nothing wakes for them.
        server.shutdown.cancelled().await;
        return GOING_AWAY;
    }
    let mut checks = every(server.options.limits.token_check);
    loop {
        tokio::select! {
            biased;
            () = server.shutdown.cancelled() => return GOING_AWAY,
            _ = checks.tick() => {}
        }
        match caller.holding(server) {
            Holding::Good => {}
            Holding::Revoked => return REVOKED,
            Holding::Ended => return ENDED,
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What was heard of the client: the listener writes it, the teller reads it.
struct Heard(Mutex<(Instant, u32)>);

impl Heard {
    fn new() -> Heard {
        Heard(Mutex::new((Instant::now(), 0)))
    }

    /// Something came; answers how many messages came since the last ping.
    fn something(&self) -> u32 {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = (Instant::now(), heard.1.saturating_add(1));
        heard.1
    }

    /// We ping; answers for how long nothing came.
    fn ping(&self) -> Duration {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.1 = 0;
        heard.0.elapsed()
    }
}

/// Reads what the client sends. It means nothing to us, beside that the client lives.
async fn listen(inbound: &mut Inbound, heard: &Heard) -> End {
    loop {
        match inbound.next().await {
            Some(Ok(Message::Close(_))) => return End::ClosedByClient,
            Some(Ok(_)) => {
                if heard.something() > INBOUND_LIMIT {
                    return TOO_MUCH;
                }
            }
            Some(Err(error)) => return fault(error),
            None => return End::Gone,
        }
    }
}

/// What a fault of the client is answered with.
pub(super) fn fault(error: axum::Error) -> End {
    use tungstenite::Error;
    match error.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(CapacityError::MessageTooLong { .. } | CapacityError::TooManyHeaders)) => {
            End::Close(1009, "the message is too long")
        }
        Some(Error::Utf8(_)) => End::Close(1007, "the text is not UTF-8"),
        Some(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => End::Gone,
        Some(Error::Protocol(_)) => End::Close(1002, "the frame is malformed"),
        _ => End::Gone,
    }
}

/// Who sends.
struct Teller<'a> {
    server: &'a Server,
    sink: &'a mut Sink,
    subscription: Subscription,
    heard: &'a Heard,
}

impl Teller<'_> {
    async fn tell(&mut self) -> End {
        let mut pings = every(self.server.options.limits.ping);
        loop {
            let step = tokio::select! {
                biased;
                _ = pings.tick() => self.ping().await,
                item = self.subscription.next() => self.send(item).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.heard.ping() > self.server.options.stall {
            return Err(STALLED);
        }
        self.patiently(async |sink| sink.send(Message::Ping(Vec::new().into())).await).await
    }

    /// Sends this and whatever else is there already, in as few writes as can be.
    async fn send(&mut self, first: Item) -> Result<(), End> {
        let mut frames = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        let mut end = None;
        while let Some(item) = next.take() {
            let text = match &item {
                Item::Event(frame) => Some(frame.text.clone()),
                other => text_of(self.server, other),
            };
            end = match item {
                Item::Failed(_) => Some(BROKEN),
                Item::Ended => Some(GOING_AWAY),
                _ => None,
            };
            bytes += text.as_ref().map_or(0, |text| text.as_str().len());
            frames.extend(text);
            if end.is_none() && bytes < BATCH_BYTES && frames.len() < BATCH_FRAMES {
                next = self.subscription.next_now();
            }
        }
        self.patiently(async |sink| {
            for text in frames {
                sink.feed(Message::Text(text)).await?;
            }
            sink.flush().await
        })
        .await?;
        end.map_or(Ok(()), Err)
    }

    /// Sends; a client that takes nothing for too long is given up.
    async fn patiently(
        &mut self,
        sending: impl AsyncFnOnce(&mut Sink) -> Result<(), axum::Error>,
    ) -> Result<(), End> {
        match timeout(self.server.options.stall, sending(self.sink)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(STALLED),
        }
    }
}

/// The close frame, and reading until the other side has closed.
pub(super) async fn farewell(mut sink: Sink, mut inbound: Inbound, end: End) {
    if end == End::Gone {
        return;
    }
    let closing = async {
        if let End::Close(code, reason) = end {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            // After a fault the stream may refuse it: then there is nothing to be said.
            if sink.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
        }
        while let Some(Ok(_)) = inbound.next().await {}
    };
    // Who does not answer in time is left.
    let _ = timeout(FAREWELL, closing).await;
}
