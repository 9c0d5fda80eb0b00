//! Whether it lives, and whether it is ready.

use super::Server;
use super::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// It lives: it answers.
pub(super) async fn healthz() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response()
}

/// It takes commands and begins what they ask for: the journal is folded and takes events, there is room on the disk, and
/// it is not about to stop.
pub(super) async fn readyz(State(server): State<Arc<Server>>) -> Response {
    if server.shutdown.is_cancelled() {
        return not_ready();
    }
    if let Some(why) = server.engine.standstill() {
        return Problem::standstill(&why).into_response();
    }
    if server.engine.is_ready() {
        // What does not keep it from taking commands is no reason to send them elsewhere, but is said.
        let troubles = (server.options.troubles)();
        let said = troubles.iter().map(|one| format!("{} [{}]\n", one.message, one.code));
        let text = std::iter::once("ready\n".to_owned()).chain(said).collect::<String>();
        return ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response();
    }
    not_ready()
}

fn not_ready() -> Response {
    let help = "it is starting or stopping; ask again in a moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "TG-HTTP-016", "the controller is not ready", help)
        .with(header::RETRY_AFTER, "1")
        .into_response()
}

/// Nothing is there.
pub(super) async fn nothing() -> Problem {
    Problem::no_such_path()
}
