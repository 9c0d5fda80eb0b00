//! What is where. Each path says which methods it takes, who may use them, and what they do; the same table answers 405,
//! is `/openapi.json`, and denies what is not in it even if a handler was mounted for it.

use super::operations::{self as does, Operation};
use super::problem::Problem;
use super::{
    Server, actions, compare, definition, events, guard, health, history, journal, login, measures, metrics,
    openapi, page, plan, rebuild, runs, sse, state, webhook, why,
};
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

/// A path with the methods that it takes, as they stand in `Allow`, its rule, and what it does.
pub(super) type Route = (&'static str, &'static str, Rule, &'static Operation);

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

/// Every path that there is.
pub(super) const ROUTES: &[Route] = &[
    ("/", GET, Rule::Open, &does::FRONT),
    ("/ui/{*page}", GET, Rule::Open, &does::PAGE),
    ("/assets/{build}/{name}", GET, Rule::Open, &does::ASSET),
    ("/healthz", GET, Rule::Open, &does::HEALTHZ),
    ("/readyz", GET, Rule::Open, &does::READYZ),
    ("/openapi.json", GET, Rule::Open, &does::OPENAPI),
    ("/metrics", GET, Rule::Read, &does::METRICS),
    ("/rebuild", POST, Rule::Token(Role::Trigger), &does::REBUILD),
    ("/webhook/{forge}", POST, Rule::Signature, &does::WEBHOOK),
    ("/events", GET, Rule::Read, &does::EVENTS),
    ("/api/events", GET, Rule::Read, &does::PAST),
    ("/api/history", GET, Rule::Read, &does::HISTORY),
    ("/api/measures", GET, Rule::Read, &does::MEASURES),
    ("/api/journal", GET, Rule::Read, &does::JOURNAL),
    ("/api/whoami", GET, Rule::Open, &does::WHOAMI),
    ("/api/login", POST, Rule::Open, &does::LOGIN),
    ("/api/logout", POST, Rule::Open, &does::LOGOUT),
    ("/api/state", GET, Rule::Read, &does::STATE),
    ("/api/pipelines", GET, Rule::Read, &does::PIPELINES),
    ("/api/pipelines/{pipeline}", GET, Rule::Read, &does::PIPELINE),
    ("/api/pipelines/{pipeline}/definition", GET, Rule::Read, &does::DEFINITION),
    ("/api/pipelines/{pipeline}/compare", GET, Rule::Read, &does::COMPARE),
    ("/api/pipelines/{pipeline}/versions/{version}", GET, Rule::Read, &does::STORY),
    ("/api/pipelines/{pipeline}/tiers/{tier}/why", GET, Rule::Read, &does::WHY),
    ("/api/plan", POST, Rule::Read, &does::PLAN),
    ("/api/runs/{run}", GET, Rule::Read, &does::RUN),
    ("/api/runs/{run}/log", GET, Rule::Read, &does::LOG),
    ("/api/runs/{run}/log/index", GET, Rule::Read, &does::LOG_INDEX),
    ("/api/runs/{run}/log/find", GET, Rule::Read, &does::LOG_FIND),
    ("/api/pipelines/{pipeline}/{action}", POST, Rule::Token(Role::Operator), &does::ON_PIPELINE),
    ("/api/pipelines/{pipeline}/tiers/{tier}/{action}", POST, Rule::Token(Role::Operator), &does::ON_TIER),
];

/// What is at a path as it was mounted. A path that is not in the table is there for nobody.
pub(super) fn route(path: &str) -> Result<&'static Route, Problem> {
    ROUTES.iter().find(|(known, ..)| *known == path).ok_or_else(|| {
        tracing::error!("BUG: {path} is mounted and has no rule: nobody may use it");
        Problem::no_such_path()
    })
}

/// Everything mounted, behind the guard.
pub(super) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/", get(page::shell))
        .route("/ui/{*page}", get(page::shell))
        .route("/assets/{build}/{name}", get(page::asset))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi::answer))
        .route("/metrics", get(metrics::answer))
        .route("/rebuild", post(rebuild::rebuild))
        .route("/webhook/{forge}", post(webhook::deliver))
        .route("/events", get(events::events))
        .route("/api/events", get(sse::past))
        .route("/api/history", get(history::history))
        .route("/api/measures", get(measures::measures))
        .route("/api/journal", get(journal::journal))
        .route("/api/whoami", get(login::whoami))
        .route("/api/login", post(login::login))
        .route("/api/logout", post(login::logout))
        .route("/api/state", get(state::state))
        .route("/api/pipelines", get(state::pipelines))
        .route("/api/pipelines/{pipeline}", get(state::pipeline))
        .route("/api/pipelines/{pipeline}/definition", get(definition::definition))
        .route("/api/pipelines/{pipeline}/compare", get(compare::compare))
        .route("/api/pipelines/{pipeline}/versions/{version}", get(history::story))
        .route("/api/pipelines/{pipeline}/tiers/{tier}/why", get(why::why))
        .route("/api/plan", post(plan::plan))
        .route("/api/runs/{run}", get(runs::run))
        .route("/api/runs/{run}/log", get(runs::log))
        .route("/api/runs/{run}/log/index", get(runs::log_index))
        .route("/api/runs/{run}/log/find", get(runs::log_find))
        .route("/api/pipelines/{pipeline}/{action}", post(actions::on_pipeline))
        .route("/api/pipelines/{pipeline}/tiers/{tier}/{action}", post(actions::on_tier))
        .fallback(health::nothing)
        .layer(from_fn_with_state(server.clone(), guard::guard))
        .with_state(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_rule_is_denied() {
        assert_eq!(route("/api/mounted/and/forgotten").err().unwrap().code(), "TG-HTTP-009");
        assert_eq!(route("/api/state").unwrap().2, Rule::Read);
    }
}
