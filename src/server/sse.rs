//! Events without a WebSocket: live as server-sent events, and the past as JSON lines.

use super::Server;
use super::asking::Parameters;
use super::events::{future, refuse_future, start, text_of};
use super::guard::Caller;
use super::problem::Problem;
use crate::bus::{Item, Start, Subscription};
use crate::domain::EventId;
use crate::journal::{Filter, Watermark};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::io;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

/// Bytes collected before they are sent.
const BATCH_BYTES: usize = 64 << 10;

/// Most records read at once.
const PAGE: usize = 500;

/// Server-sent events, until the client goes or the controller stops.
pub(super) fn live(
    server: &Arc<Server>,
    start: Start,
    caller: Caller,
    room: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let subscription = server.engine.bus().subscribe(start).map_err(|error| future(&error))?;
    let said = Instant::now();
    let teller = Teller { server: server.clone(), caller, subscription, _room: room, said, is_over: false };
    let body = Body::from_stream(unfold(teller, |mut teller| async move {
        let bytes = teller.next().await?;
        Some((io::Result::Ok(bytes), teller))
    }));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

struct Teller {
    server: Arc<Server>,
    caller: Caller,
    subscription: Subscription,
    _room: OwnedSemaphorePermit,
    /// When something was said last.
    said: Instant,
    is_over: bool,
}

impl Teller {
    /// What is there, or a sign of life after a while; none: the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let limits = &self.server.options.limits;
        // Who came without a token has nothing that could be revoked.
        let patience = if self.caller.entry.is_some() { limits.token_check } else { limits.ping };
        let first = loop {
            let waited = tokio::select! {
                // What is there already is still heard when the controller stops.
                biased;
                waited = timeout(patience, self.subscription.next()) => waited,
                () = self.server.shutdown.cancelled() => return None,
            };
            match waited {
                _ if !self.caller.still_holds(&self.server) => return None,
                Ok(first) => break first,
                Err(_) if self.said.elapsed() < limits.ping => {}
                Err(_) => {
                    self.said = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
            }
        };
        self.said = Instant::now();
        let mut text = String::new();
        let mut next = Some(first);
        while let Some(item) = next.take() {
            self.is_over = matches!(item, Item::Failed(_) | Item::Ended);
            self.write(&mut text, &item);
            if !self.is_over && text.len() < BATCH_BYTES {
                next = self.subscription.next_now();
            }
        }
        (!text.is_empty()).then(|| text.into())
    }

    fn write(&self, text: &mut String, item: &Item) {
        if let Item::Event(frame) = item {
            if let Some(id) = frame.id {
                text.push_str(&format!("id: {id}\n"));
            }
            text.push_str(&format!("data: {}\n\n", frame.text.as_str()));
        } else if let Some(said) = text_of(&self.server, item) {
            text.push_str(&format!("data: {}\n\n", said.as_str()));
        }
    }
}

/// The past, one event a line, to what is durable now.
pub(super) async fn past(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let start = start(parameters, &headers, &caller.scope)?;
    let after = start.since.unwrap_or_default();
    refuse_future(&server, after)?;
    let upto = match &*server.engine.journal().durable().borrow() {
        Watermark::Durable(id) => *id,
        Watermark::Failed(error) => return Err(error.clone().into()),
    };
    let missing = crate::bus::gap_after(&**server.engine.journal(), after).await?;
    let gap = missing.and_then(|oldest| text_of(&server, &Item::Gap { oldest }));
    let reader = Reader {
        server,
        filter: start.filter,
        after,
        upto,
        gap: gap.map(|text| format!("{}\n", text.as_str())),
    };
    let body = Body::from_stream(unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

struct Reader {
    server: Arc<Server>,
    filter: Filter,
    after: EventId,
    upto: EventId,
    gap: Option<String>,
}

impl Reader {
    /// The next lines; none: the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(gap) = self.gap.take() {
            return Ok(Some(gap.into()));
        }
        while self.after < self.upto && !self.server.cut.is_cancelled() {
            let reading = self.server.engine.journal().read(self.after, PAGE, &self.filter);
            let page = reading.await.map_err(|error| io::Error::other(format!("failed to {error}")))?;
            if page.scanned <= self.after {
                return Ok(None);
            }
            self.after = page.scanned;
            let mut text = String::new();
            for record in page.records.iter().filter(|record| record.id <= self.upto) {
                text.push_str(&record.body);
                text.push('\n');
            }
            if !text.is_empty() {
                return Ok(Some(text.into()));
            }
        }
        Ok(None)
    }
}
