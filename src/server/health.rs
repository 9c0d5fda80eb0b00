//! Whether it lives, whether it is ready, and a page that says what is where.

use super::Server;
use super::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
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

/// What is where.
pub(super) async fn front() -> Html<&'static str> {
    Html(FRONT)
}

/// Nothing is there.
pub(super) async fn nothing() -> Problem {
    Problem::no_such_path()
}

const FRONT: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>tidegate</title></head>
<body>
<h1>tidegate</h1>
<p>The controller is running.</p>
<ul>
<li><a href="/api/state">/api/state</a>: everything that is true now</li>
<li><a href="/api/pipelines">/api/pipelines</a>: the pipelines</li>
<li><a href="/api/events">/api/events</a>: everything that happened, as JSON lines</li>
<li>/events: what happens, as a WebSocket or as server-sent events</li>
<li><a href="/openapi.json">/openapi.json</a>: every path, for programs</li>
<li><a href="/metrics">/metrics</a>: numbers for Prometheus</li>
<li><a href="/readyz">/readyz</a>: whether it takes commands</li>
</ul>
<p>On the command line: <code>tidegate status</code>, <code>tidegate events --follow</code>.</p>
</body>
</html>
"#;
