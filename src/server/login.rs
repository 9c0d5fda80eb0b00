//! Signing in with a browser: a token is shown once, and a cookie that no script can read stands for it from then on. The
//! cookie is sent by pages of this controller only (`SameSite=Strict`), and counts for a change only if the request says
//! that it comes from one (`Origin`).

use super::asking::{Json, Parameters};
use super::guard::{Caller, Proof, single};
use super::problem::Problem;
use super::{Server, guard};
use crate::domain::{Role, Time};
use crate::settings::{Entry, Shown};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The cookie.
const NAME: &str = "tidegate_session";
/// How long it counts.
const HOURS: i64 = 12;

/// A token, to sign in with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The token.
    pub token: String,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhoView {
    /// The token's name; none: no token was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Its holder's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The pipelines that it sees and acts on, names or globs; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pipelines: Vec<String>,
    /// The tiers that it acts on, names or globs, and on nothing of a whole pipeline then; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<String>,
    /// When it ends; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Whether this is the answer to somebody who signed in with a browser.
    pub session: bool,
    /// The controller's release.
    pub release: String,
    /// What time it is at the controller.
    pub at: Time,
}

impl WhoView {
    fn of(server: &Server, entry: Option<&Entry>, session: bool) -> WhoView {
        WhoView {
            name: entry.map(|entry| entry.name.clone()),
            role: entry.map(|entry| entry.role),
            email: entry.and_then(|entry| entry.email.clone()),
            pipelines: entry.map(|entry| entry.pipelines.clone().into()).unwrap_or_default(),
            tiers: entry.map(|entry| entry.tiers.clone().into()).unwrap_or_default(),
            expires_at: entry.and_then(|entry| entry.expires_at),
            session,
            release: env!("CARGO_PKG_VERSION").into(),
            at: server.options.clock.now(),
        }
    }
}

/// Who asks.
pub(super) async fn whoami(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<axum::Json<WhoView>, Problem> {
    parameters.only(&[])?;
    Ok(axum::Json(WhoView::of(&server, caller.entry.as_ref(), caller.proof == Proof::Cookie)))
}

/// Signs in.
pub(super) async fn login(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<Response, Problem> {
    let tokens = &server.options.tokens;
    let entry = guard::good_one(&server, request.token.trim())?;
    tokens.note_use(&entry, server.options.clock.now());
    let until = server.options.clock.now() + TimeDelta::hours(HOURS);
    let statement = tokens.open_session(&entry, until).map_err(|error| guard::unreadable(&error))?;
    let cookie = cookie(&headers, caller.by_tls, &statement, HOURS * 3600);
    Ok(([(header::SET_COOKIE, cookie)], axum::Json(WhoView::of(&server, Some(&entry), true))).into_response())
}

/// Signs out: the browser forgets the cookie.
pub(super) async fn logout(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(NoFields {}): Json<NoFields>,
) -> Response {
    let cookie = cookie(&headers, caller.by_tls, "", 0);
    ([(header::SET_COOKIE, cookie)], axum::Json(WhoView::of(&server, None, false))).into_response()
}

/// Nothing is to be said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

fn cookie(headers: &HeaderMap, by_tls: bool, value: &str, seconds: i64) -> HeaderValue {
    // Whoever reached us through TLS shall never send it without.
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_secure = by_tls || origin.is_some_and(|origin| origin.starts_with("https://"));
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).expect("BUG: a cookie that is no header")
}

/// Whose cookie came with a request. One that does not count (any more) is as none: what is open to all stays so.
pub(super) fn cookie_of(server: &Server, headers: &HeaderMap) -> Result<Shown, Problem> {
    let Some(text) = single(headers, &header::COOKIE)? else { return Ok(Shown::Unknown) };
    let value = text.split(';').find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
    let Some(value) = value else { return Ok(Shown::Unknown) };
    let session = server.options.tokens.session(value, server.options.clock.now());
    session.map_err(|error| guard::unreadable(&error))
}
