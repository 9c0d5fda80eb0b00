//! What is where. Each path says which methods it takes and who may use them; the same table answers 405, and what is
//! not in it is denied even if a handler was mounted for it.

use super::{Server, actions, events, guard, health, plan, rebuild, runs, sse, state, webhook, why};
use crate::domain::Role;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::Arc;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Everybody: it tells nothing.
    Open,
    /// Whoever may read.
    Read,
    /// Whoever has a token of this role, or one above.
    Token(Role),
    /// Whoever signs what they send; the handler checks that before anything else.
    Signature,
}

/// A path with the methods that it takes, as they stand in `Allow`, and its rule.
pub(super) type Route = (&'static str, &'static str, Rule);

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

/// Every path that there is.
pub(super) const ROUTES: &[Route] = &[
    ("/", GET, Rule::Open),
    ("/healthz", GET, Rule::Open),
    ("/readyz", GET, Rule::Open),
    ("/rebuild", POST, Rule::Token(Role::Trigger)),
    ("/webhook/{forge}", POST, Rule::Signature),
    ("/events", GET, Rule::Read),
    ("/api/events", GET, Rule::Read),
    ("/api/state", GET, Rule::Read),
    ("/api/pipelines", GET, Rule::Read),
    ("/api/pipelines/{pipeline}", GET, Rule::Read),
    ("/api/pipelines/{pipeline}/tiers/{tier}/why", GET, Rule::Read),
    ("/api/plan", POST, Rule::Read),
    ("/api/runs/{run}", GET, Rule::Read),
    ("/api/runs/{run}/log", GET, Rule::Read),
    ("/api/pipelines/{pipeline}/{action}", POST, Rule::Token(Role::Operator)),
    ("/api/pipelines/{pipeline}/tiers/{tier}/{action}", POST, Rule::Token(Role::Operator)),
];

/// The rule of a path as it was mounted; none: nobody may.
pub(super) fn rule(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|(known, _, _)| *known == path)
}

/// Everything mounted, behind the guard.
pub(super) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/", get(health::front))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/rebuild", post(rebuild::rebuild))
        .route("/webhook/{forge}", post(webhook::deliver))
        .route("/events", get(events::events))
        .route("/api/events", get(sse::past))
        .route("/api/state", get(state::state))
        .route("/api/pipelines", get(state::pipelines))
        .route("/api/pipelines/{pipeline}", get(state::pipeline))
        .route("/api/pipelines/{pipeline}/tiers/{tier}/why", get(why::why))
        .route("/api/plan", post(plan::plan))
        .route("/api/runs/{run}", get(runs::run))
        .route("/api/runs/{run}/log", get(runs::log))
        .route("/api/pipelines/{pipeline}/{action}", post(actions::on_pipeline))
        .route("/api/pipelines/{pipeline}/tiers/{tier}/{action}", post(actions::on_tier))
        .fallback(health::nothing)
        .layer(from_fn_with_state(server.clone(), guard::guard))
        .with_state(server)
}
