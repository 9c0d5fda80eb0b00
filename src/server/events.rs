//! `GET /events`: what a subscriber asks for, and which way it is told: a WebSocket (`session`) or server-sent events
//! (`sse`).

use super::Server;
use super::asking::Parameters;
use super::guard::Caller;
use super::problem::Problem;
use super::{session, sse};
use crate::bus::{Future, Item, Start};
use crate::domain::{EventId, Scope};
use crate::journal::{Filter, KindPattern};
use crate::wire::{self, Live};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Utf8Bytes, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Most values of one filter.
pub(super) const FILTER_LIMIT: usize = 64;

/// Subscribes.
pub(super) async fn events(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let start = start(parameters, &headers, &caller.scope)?;
    if headers.contains_key(header::UPGRADE) {
        let upgrade = upgrade.map_err(|rejection| bad_handshake(&rejection))?;
        let room = room(&server)?;
        return Ok(session::open(upgrade, server, start, caller, room));
    }
    let wants_sse = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/event-stream")));
    if wants_sse {
        let room = room(&server)?;
        return Ok(sse::live(&server, start, caller, room)?.into_response());
    }
    // Whoever asks plainly learns of a bad question first.
    if let Some(since) = start.since {
        refuse_future(&server, since)?;
    }
    let help =
        "open it as a WebSocket, or send `Accept: text/event-stream`; `/api/events` has the past as lines";
    let detail = "this is a stream of events";
    Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "TG-HTTP-013", detail, help)
        .with(header::UPGRADE, "websocket")
        .with(header::CONNECTION, "upgrade"))
}

fn bad_handshake(rejection: &WebSocketUpgradeRejection) -> Problem {
    let detail = format!("the WebSocket handshake is malformed: {}", rejection.body_text());
    let problem =
        Problem::new(StatusCode::BAD_REQUEST, "TG-HTTP-013", detail, "use a WebSocket client, version 13");
    problem.with(header::SEC_WEBSOCKET_VERSION, "13")
}

/// Room for one more subscriber.
fn room(server: &Server) -> Result<OwnedSemaphorePermit, Problem> {
    server.subscribers.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("subscriber limit {} reached", server.options.limits.subscribers);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "TG-WS-001", detail, "close some, or try again later")
            .with(header::RETRY_AFTER, "5")
    })
}

/// What is asked for by the query parameters, and by `Last-Event-ID`: where both say since when, the header counts. Of that
/// whoever asks gets what is in their scope.
pub(super) fn start(parameters: Parameters, headers: &HeaderMap, scope: &Scope) -> Result<Start, Problem> {
    let parameters = parameters.only(&["since", "pipeline", "tier", "kind", "run", "logs"])?;
    let named = |name: &'static str| -> Result<Vec<Arc<str>>, Problem> {
        let found: Vec<Arc<str>> = parameters.all(name).map(Arc::from).collect();
        match found.len() {
            0..=FILTER_LIMIT => Ok(found),
            _ => Err(Problem::bad_query(
                format!("the parameter `{name}` is there more than {FILTER_LIMIT} times"),
                "ask for less, or filter on your side",
            )),
        }
    };
    let kinds: Result<Vec<KindPattern>, Problem> = named("kind")?
        .iter()
        .map(|text| {
            text.parse().map_err(|error: crate::journal::BadPattern| {
                Problem::bad_query(format!("failed to {error}"), "write `gate_done` or `gate_*`")
            })
        })
        .collect();
    let number = "the number of an event; 0 is everything";
    let mut since = parameters.read::<u64>("since", number)?;
    // A browser that asks again sends the address that it began with, and in the header how far it came.
    if let Some(last) = headers.get("last-event-id") {
        let read = last.to_str().ok().and_then(|text| text.parse().ok());
        let bad = || Problem::bad_query("the header `last-event-id` is not a number", number);
        since = Some(read.or(since).ok_or_else(bad)?);
    }
    Ok(Start {
        since: since.map(EventId),
        filter: Filter {
            pipeline: named("pipeline")?,
            tier: named("tier")?,
            kinds: kinds?,
            run: parameters.read("run", "the number of a run")?,
            scope: scope.clone(),
        },
        logs: parameters.switch("logs", true)?,
    })
}

/// What comes after an event that is not there yet cannot be had.
pub(super) fn refuse_future(server: &Server, since: EventId) -> Result<(), Problem> {
    let last = server.engine.journal().last_id();
    if since > last { Err(future(&Future { since, last })) } else { Ok(()) }
}

/// The same as a problem.
pub(super) fn future(error: &Future) -> Problem {
    let detail = format!("failed to {error}");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Future::CODE, detail, FUTURE_HELP)
}

/// The way out of that.
pub(super) const FUTURE_HELP: &str = "the journal may be another one than before: begin anew with `since=0`";

/// The text of what is not journaled but said to this subscriber; none for events, which have theirs, and for the end.
/// Whoever is told of a lag is counted.
pub(super) fn text_of(server: &Server, item: &Item) -> Option<Utf8Bytes> {
    let live = match item {
        Item::Event(_) | Item::Ended => return None,
        Item::Lagged { missed, after } => {
            server.counts.lag();
            Live::Lagged { missed: *missed, after: *after }
        }
        Item::Gap { oldest } => Live::Gap { oldest: *oldest },
        Item::Failed(error) => Live::Error {
            code: error.code().into(),
            message: format!("failed to {error}"),
            help: error.help().unwrap_or_default().into(),
        },
    };
    Some(wire::encode_live(server.options.clock.now(), None, &live).into())
}
