//! Reading what a request says: its JSON body within limits, its query parameters by name. Nothing is guessed: a
//! misspelt name is an error.

use super::Server;
use super::problem::{Problem, shorten};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::str::FromStr;
use std::sync::Arc;
use tokio::time::timeout;

/// The JSON body of a change. No body at all is the empty object.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Server>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let limits = &server.options.limits;
        let reading = read_body(request.headers().clone(), request.into_body(), limits.body_bytes);
        let bytes = timeout(limits.body, reading).await.map_err(|_| Problem::slow_body())??;
        let bytes = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        parse(bytes).map(Json)
    }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bad = |error: serde_json::Error| match error.classify() {
        serde_json::error::Category::Data => Problem::wrong_shape(error.to_string()),
        _ => Problem::not_json(error.to_string()),
    };
    // A list would be read as the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(bad)?;
        return Err(Problem::wrong_shape("the body must be one JSON object"));
    }
    serde_json::from_slice(bytes).map_err(bad)
}

/// A page of others can send a form or plain text without being asked, but not this type.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let kind = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let charset = parameters.trim();
    let is_utf8 = charset.is_empty()
        || charset.eq_ignore_ascii_case("charset=utf-8")
        || charset.eq_ignore_ascii_case("charset=\"utf-8\"");
    if types.next().is_some() || !kind.trim().eq_ignore_ascii_case("application/json") || !is_utf8 {
        return Err(Problem::not_json_type("the content type must be `application/json`"));
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(Problem::not_json_type("a compressed body is not taken"))
        }
        _ => Ok(()),
    }
}

/// The bytes of a body, at most so many.
pub(super) async fn read_body(headers: HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > limit as u64) {
        return Err(Problem::large_body(limit));
    }
    let mut bytes = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::bad_head("the body broke off or is malformed"))?;
        if bytes.len() + piece.len() > limit {
            return Err(Problem::large_body(limit));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The query parameters, in order.
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Parameters(pairs)),
            Err(error) => Err(Problem::bad_query(error.body_text(), "write them as `name=value&name=value`")),
        }
    }
}

impl Parameters {
    /// Refuses names that are not among these.
    pub(super) fn only(self, known: &[&str]) -> Result<Parameters, Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(self),
            Some((name, _)) => Err(Problem::bad_query(
                format!("there is no parameter `{}`", shorten(name)),
                match known {
                    [] => "this path takes none".to_owned(),
                    known => format!("this path takes {}", known.join(", ")),
                },
            )),
        }
    }

    /// Every value of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The value of that name, which may be there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => {
                Err(Problem::bad_query(format!("the parameter `{name}` is there twice"), "give it once"))
            }
        }
    }

    /// The value of that name, read.
    pub(super) fn read<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let detail = format!("the parameter `{name}` is `{}`", shorten(text));
            Problem::bad_query(detail, format!("it must be {what}"))
        })
    }

    /// A switch: `true`, `1` or nothing is on.
    pub(super) fn switch(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.one(name)? {
            None => Ok(default),
            Some("true" | "1" | "") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => {
                let detail = format!("the parameter `{name}` is `{}`", shorten(other));
                Err(Problem::bad_query(detail, "it must be true or false"))
            }
        }
    }
}
