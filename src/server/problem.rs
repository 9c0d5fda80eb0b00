//! Errors as they are answered: RFC 9457 `application/problem+json` with a stable code, what is wrong, and the way out.
//! Wording of what other rooms refuse is theirs; what only HTTP can do wrong is worded here.

use super::pushes::LookError;
use crate::domain::{Rejection, Sha};
use crate::engine::{Refusal, Standstill};
use crate::journal;
use crate::settings::Entry;
use crate::source;
use crate::wire;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// An error on its way to a client.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: String,
    detail: String,
    help: String,
    headers: HeaderMap,
    by: Option<String>,
}

/// What the guard learns of an answer that is a problem.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// The stable code.
    pub(super) code: String,
    /// Whose token was shown, where the guard does not know it already.
    pub(super) by: Option<String>,
}

/// What a client reads: RFC 9457 with two fields of our own.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemBody<'a> {
    /// `urn:tidegate:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: &'a str,
    /// The status.
    pub status: u16,
    /// What is wrong, one line.
    pub detail: &'a str,
    /// Stable code, such as `TG-HTTP-005`.
    pub code: &'a str,
    /// The way out.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub help: &'a str,
}

impl Problem {
    /// A problem with its status, stable code, what is wrong and the way out.
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<String>,
        detail: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem(Box::new(Inner {
            status,
            code: code.into(),
            detail: detail.into(),
            help: help.into(),
            headers: HeaderMap::new(),
            by: None,
        }))
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Problem {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }

    /// The same about somebody's token.
    pub(super) fn about(mut self, name: &str) -> Problem {
        self.0.by = Some(name.to_owned());
        self
    }

    /// Its stable code.
    #[cfg(test)]
    pub(super) fn code(&self) -> &str {
        &self.0.code
    }

    /// Its status.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The JSON that is sent.
    pub(super) fn body(&self) -> Vec<u8> {
        let body = ProblemBody {
            kind: format!("urn:tidegate:{}", self.0.code),
            title: self.0.status.canonical_reason().unwrap_or("Error"),
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            code: &self.0.code,
            help: &self.0.help,
        };
        serde_json::to_vec(&body).expect("BUG: a problem that cannot be written as JSON")
    }

    /// Too many connections at once.
    pub(super) fn connection_limit(limit: usize) -> Problem {
        let detail = format!("connection limit {limit} reached");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "TG-HTTP-001", detail, "close some, or try again later")
            .with(header::RETRY_AFTER, "5")
    }

    /// The body came too slowly.
    pub(super) fn slow_body() -> Problem {
        let detail = "the body did not come in time";
        Problem::new(StatusCode::REQUEST_TIMEOUT, "TG-HTTP-002", detail, "send it at once")
            .with(header::CONNECTION, "close")
    }

    /// The body is too large.
    pub(super) fn large_body(limit: usize) -> Problem {
        let detail = format!("body over {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TG-HTTP-003", detail, "no request needs that much")
            .with(header::CONNECTION, "close")
    }

    /// The body is not JSON.
    pub(super) fn not_json(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "TG-HTTP-004", detail, "send one JSON object in UTF-8")
    }

    /// The body is of another type than JSON, or packed.
    pub(super) fn not_json_type(detail: impl Into<String>) -> Problem {
        let help = "send `Content-Type: application/json`, not compressed";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "TG-HTTP-005", detail, help)
    }

    /// The request is for a host that is not this one.
    pub(super) fn unknown_host(host: &str) -> Problem {
        let help = "name this host in `hosts` of `tidegate.toml`, or use the address that it listens on";
        let detail = format!("unknown host `{}`", shorten(host));
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "TG-HTTP-006", detail, help)
            .with(header::CONNECTION, "close")
    }

    /// The JSON does not have the shape that is asked for.
    pub(super) fn wrong_shape(detail: impl Into<String>) -> Problem {
        let help = "`GET /openapi.json` describes every request";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TG-HTTP-007", detail, help)
    }

    /// A query parameter cannot be understood.
    pub(super) fn bad_query(detail: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "TG-HTTP-008", detail, help)
    }

    /// There is nothing at that path.
    pub(super) fn no_such_path() -> Problem {
        Problem::new(
            StatusCode::NOT_FOUND,
            "TG-HTTP-009",
            "there is nothing here",
            "`/openapi.json` describes every path",
        )
    }

    /// The path does not take that method.
    pub(super) fn wrong_method(allow: &str) -> Problem {
        let detail = format!("this path takes {allow} only");
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "TG-HTTP-010",
            detail,
            "`/openapi.json` describes every path",
        )
        .with(header::ALLOW, allow)
    }

    /// A change must name its version.
    pub(super) fn version_missing(field: &str) -> Problem {
        let detail = format!("the change does not name its version: `{field}` is missing");
        let help = "name the version that is meant, so that the change cannot hit another one";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TG-HTTP-011", detail, help)
    }

    /// The head of the request is not as it must be.
    pub(super) fn bad_head(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "TG-HTTP-012", detail, "").with(header::CONNECTION, "close")
    }

    /// There is no such run.
    pub(super) fn unknown_run(run: u64) -> Problem {
        let help = "the `run_id` stands in the events of the run; retention may have removed an old one";
        Problem::new(StatusCode::NOT_FOUND, "TG-HTTP-014", format!("run {run} is not known"), help)
    }

    /// The run has no log.
    pub(super) fn no_log(run: u64) -> Problem {
        let help = "a run that never began has none, and retention removes old ones";
        Problem::new(StatusCode::NOT_FOUND, "TG-HTTP-015", format!("there is no log of run {run}"), help)
    }

    /// The events of the run are gone.
    pub(super) fn forgotten_run(run: u64) -> Problem {
        let help = "`[retention] events` says how long events are kept";
        let detail = format!("the events of run {run} are no longer kept: retention removed them");
        Problem::new(StatusCode::GONE, "TG-HTTP-022", detail, help)
    }

    /// The run had a log, and it is gone.
    pub(super) fn forgotten_log(run: u64, sha256: Option<&str>) -> Problem {
        let digest = sha256.map(|sha256| format!("; its SHA-256 was {sha256}")).unwrap_or_default();
        let detail = format!("the log of run {run} is no longer kept: retention removed it{digest}");
        let help = "`[retention] logs` says how long logs are kept";
        Problem::new(StatusCode::GONE, "TG-HTTP-023", detail, help)
    }

    /// The header cannot be a key.
    pub(super) fn bad_key() -> Problem {
        let help = "use 1 to 128 printable characters, new for each change";
        let detail = "the header `idempotency-key` is malformed";
        Problem::new(StatusCode::BAD_REQUEST, "TG-HTTP-019", detail, help)
    }

    /// The same change is under way.
    pub(super) fn under_way() -> Problem {
        let detail = "a request with this idempotency key is still under way";
        Problem::new(StatusCode::CONFLICT, "TG-HTTP-020", detail, "ask again in a moment")
            .with(header::RETRY_AFTER, "1")
    }

    /// The key was used for something else.
    pub(super) fn other_change() -> Problem {
        let detail = "this idempotency key was used for another change";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TG-HTTP-021", detail, "use a new key for each change")
    }

    /// No version is built yet.
    pub(super) fn nothing_built(standstill: Option<&Standstill>) -> Problem {
        let (detail, help) = match standstill {
            Some(why) => (format!("no version is built yet, and nothing new begins: {why}"), why.help()),
            None => (
                "no version is built yet".into(),
                "push a commit, or ask for a build with `tidegate rebuild`".into(),
            ),
        };
        Problem::new(StatusCode::NOT_FOUND, "TG-HTTP-017", detail, help)
    }

    /// It runs, and nothing new begins.
    pub(super) fn standstill(why: &Standstill) -> Problem {
        let detail = format!("nothing new begins: {why}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.code(), detail, why.help())
            .with(header::RETRY_AFTER, "5")
    }

    /// The same, but one is asked for.
    pub(super) fn first_build_waits(sha: &Sha) -> Problem {
        let short: String = sha.as_str().chars().take(7).collect();
        let message = format!("no version is built yet; `{short}` is about to be");
        let help = "ask again in a moment; `tidegate events --follow` shows how far it is";
        Problem::new(StatusCode::NOT_FOUND, "TG-HTTP-017", message, help)
    }

    /// No or no good token.
    pub(super) fn no_token() -> Problem {
        let help = "send `Authorization: Bearer TOKEN`; `tidegate token create` makes one";
        Problem::new(StatusCode::UNAUTHORIZED, "TG-AUTH-001", "this takes a valid token", help)
            .with(header::WWW_AUTHENTICATE, "Bearer realm=\"tidegate\"")
    }

    /// The token has ended. Whoever holds it may know when.
    pub(super) fn ended_token(entry: &Entry) -> Problem {
        let end = entry.expires_at.map(|end| format!(" at {}", wire::time_text(end))).unwrap_or_default();
        let help = "`tidegate token create` makes another; `tidegate token list` says when each ends";
        Problem::new(StatusCode::UNAUTHORIZED, "TG-AUTH-011", format!("this token ended{end}"), help)
            .with(header::WWW_AUTHENTICATE, "Bearer realm=\"tidegate\", error=\"invalid_token\"")
            .about(&entry.name)
    }
}

/// Text from outside, cut to what fits into a line.
pub(super) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.0.headers);
        response.extensions_mut().insert(Answered { code: self.0.code, by: self.0.by });
        response
    }
}

impl From<LookError> for Problem {
    fn from(error: LookError) -> Problem {
        match error {
            LookError::Git(error) => Problem::from(&*error),
            LookError::Engine(refusal) => refusal.into(),
        }
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Problem {
        use Rejection::*;
        let status = match &rejection {
            QueueFull(_) => StatusCode::TOO_MANY_REQUESTS,
            UnknownPipeline(_) | UnknownTier(..) | UnknownNode(..) | UnknownVersion(..) => {
                StatusCode::NOT_FOUND
            }
            RoleMissing(_) | AddressMissing(..) | IsAuthor(..) => StatusCode::FORBIDDEN,
            WhyMissing => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::CONFLICT,
        };
        let problem = Problem::new(status, rejection.code(), rejection.to_string(), rejection.help());
        match status {
            // A build takes its time.
            StatusCode::TOO_MANY_REQUESTS => problem.with(header::RETRY_AFTER, "60"),
            _ => problem,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Rejected(rejection) => rejection.into(),
            other => {
                let (code, help) = (other.code(), other.help());
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, other.to_string(), help)
                    .with(header::RETRY_AFTER, "5")
            }
        }
    }
}

impl From<journal::Error> for Problem {
    fn from(error: journal::Error) -> Problem {
        Refusal::NotKept(error).into()
    }
}

impl From<source::Error> for Problem {
    fn from(error: source::Error) -> Problem {
        Problem::from(&error)
    }
}

impl From<&source::Error> for Problem {
    fn from(error: &source::Error) -> Problem {
        use source::Error::*;
        let status = match error {
            UnknownObject { .. } | Ambiguous { .. } | NotACommit { .. } | BadObjectName { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ZeroObjectName
            | NotAVersion { .. }
            | RefStartsWithDash { .. }
            | RefTooLong { .. }
            | BadRef { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            error if error.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        let problem = Problem::new(status, error.code(), format!("failed to {error}"), error.help());
        match status {
            StatusCode::SERVICE_UNAVAILABLE => problem.with(header::RETRY_AFTER, "5"),
            _ => problem,
        }
    }
}
