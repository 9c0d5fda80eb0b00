//! Who may: the host that is asked for, the page that asks, the token that it has. Every request passes here, and every
//! answer leaves here with the headers that keep browsers from doing anything with it.
//!
//! What a client says about itself (`X-Forwarded-User` and the like) is never believed; a header that says that the
//! request came through a proxy only takes away what loopback, or a Unix socket, would give.

use super::doors::Peer;
use super::forwarded;
use super::login::cookie_of;
use super::problem::{Answered, Problem, shorten};
use super::refusals::{self, Refused};
use super::routes::{self, Rule};
use super::{Server, ServerOptions, scope};
use crate::domain::{Actor, Role, Scope};
use crate::settings::{Entry, Holding, ReadAccess, Shown, TokenError};
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// Who asks, as far as is known.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The token, if one was sent; then it is a good one. Or whoever the system says that it is, as if by a token.
    pub(super) entry: Option<Entry>,
    /// How that is known.
    pub(super) proof: Proof,
    /// Whether they reached a proxy that is trusted by TLS.
    pub(super) by_tls: bool,
    /// What they are limited to; without a token to nothing.
    pub(super) scope: Scope,
}

/// How it is known who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// By the token that they sent; none: not at all.
    Token,
    /// By a browser's cookie.
    Cookie,
    /// By what the system says of the other end of a Unix socket.
    System,
}

impl Caller {
    fn of(entry: Option<Entry>, proof: Proof) -> Caller {
        let scope = entry.as_ref().map(Entry::scope).unwrap_or_default();
        Caller { entry, proof, by_tls: false, scope }
    }

    /// Who acts. Only a route that needs a token may ask.
    pub(super) fn actor(&self) -> Result<Actor, Problem> {
        let entry = self.entry.as_ref().ok_or_else(Problem::no_token)?;
        Ok(Actor { name: entry.name.clone(), role: entry.role, email: entry.email.clone() })
    }

    /// How the token, if there is one, stands now: for answers that last. They are a use of it as long as they do.
    pub(super) fn holding(&self, server: &Server) -> Holding {
        let (tokens, now) = (&server.options.tokens, server.options.clock.now());
        let Some(entry) = self.entry.as_ref().filter(|_| self.proof != Proof::System) else {
            // Who is at the other end stays.
            return Holding::Good;
        };
        let holding = tokens.holding(entry, now).unwrap_or(Holding::Revoked);
        if holding == Holding::Good {
            tokens.note_use(entry, now);
        }
        holding
    }

    /// Whether that is as it was.
    pub(super) fn still_holds(&self, server: &Server) -> bool {
        self.holding(server) == Holding::Good
    }
}

/// Lets a request through to its handler, or answers in its place.
pub(super) async fn guard(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let named = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
    let mut request = Request::from_parts(parts, body);
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let peer = request.extensions().get::<Peer>().cloned().expect("BUG: a request without its connection");
    let from = forwarded::from(&server.options.trusted_proxies, request.headers(), &peer);
    let by_tls = forwarded::by_tls(&server.options.trusted_proxies, request.headers(), &peer);
    let mut name = None;
    let mut response = match admit(&server, &request, &peer, named.as_ref()) {
        Ok(caller) => {
            name = caller.entry.as_ref().map(|entry| entry.name.clone());
            request.extensions_mut().insert(Caller { by_tls, ..caller });
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    harden(response.headers_mut());
    let path = path.as_ref().map(MatchedPath::as_str);
    server.counts.request(path, method.as_str(), response.status().as_u16());
    if let Some(answered) = response.extensions().get::<Answered>()
        && refusals::is_one(response.status(), &answered.code)
    {
        let (code, by) = (&answered.code, answered.by.as_ref().or(name.as_ref()));
        let by = by.map(String::as_str);
        server.refusals.note(&Refused { code, by, method: &method, route: path, from: &from });
    }
    response
}

/// A method among those that are known: the others are whatever somebody sends.
pub(super) fn method_name(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST"].into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn admit(
    server: &Server,
    request: &Request,
    peer: &Peer,
    named: Option<&RawPathParams>,
) -> Result<Caller, Problem> {
    let headers = request.headers();
    let host = asked_host(request)?;
    if !is_ours(&server.options, peer, host.host()) {
        return Err(Problem::unknown_host(host.as_str()));
    }
    check_origin(&server.options, headers, &host, request.method())?;
    refuse_token_in_query(request.uri().query())?;
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // Nothing is there: the answer tells nothing either.
    let Some(path) = path else { return Ok(Caller::of(None, Proof::Token)) };
    let (_, allow, rule, _) = routes::route(path)?;
    if !allow.split(", ").any(|method| method == request.method().as_str()) {
        return Err(Problem::wrong_method(allow));
    }
    // A forge may be told to send a token of its own choice along, for a proxy.
    let shown = if *rule == Rule::Signature { None } else { token(server, headers)? };
    let by_cookie = shown.is_none() && *rule != Rule::Signature;
    let mut proof = Proof::Token;
    let mut ended = None;
    let entry = match shown {
        None if by_cookie => match cookie_of(server, headers)? {
            Shown::Good(entry) => {
                proof = Proof::Cookie;
                Some(entry)
            }
            // As no cookie: what is open to all stays so.
            Shown::Ended(entry) => {
                ended = Some(entry);
                None
            }
            Shown::Unknown => None,
        }
        .or_else(|| {
            let entry = known_by_system(headers, &host, peer)?;
            proof = Proof::System;
            Some(entry)
        }),
        shown => shown,
    };
    if let Some(entry) = entry.as_ref().filter(|_| proof != Proof::System) {
        server.options.tokens.note_use(entry, server.options.clock.now());
    }
    if proof == Proof::Cookie && !request.method().is_safe() {
        comes_from_here(headers, &host).map_err(|problem| about(problem, entry.as_ref()))?;
    }
    let needed = match rule {
        Rule::Open => None,
        Rule::Read if reads_freely(&server.options, headers, peer) => None,
        Rule::Read => Some(Role::Viewer),
        Rule::Token(role) => Some(*role),
        // What is signed is judged where the body is read.
        Rule::Signature => None,
    };
    match (needed, &entry) {
        (Some(_), None) => {
            return Err(ended.map_or_else(Problem::no_token, |entry| Problem::ended_token(&entry)));
        }
        (Some(role), Some(shown)) if shown.role < role => {
            return Err(about(crate::domain::Rejection::RoleMissing(role).into(), entry.as_ref()));
        }
        _ => {}
    }
    let caller = Caller::of(entry, proof);
    scope::admit(&caller, *rule, named).map_err(|problem| about(problem, caller.entry.as_ref()))?;
    Ok(caller)
}

/// What whoever is at the other end of a Unix socket may do by being who they are. It counts for what asks directly: a
/// proxy in front of the socket would else lend its own rights to everybody. So whatever shows that a proxy or a browser
/// had a hand in it takes this away, and so does a name that is only known outside.
fn known_by_system(headers: &HeaderMap, host: &Authority, peer: &Peer) -> Option<Entry> {
    let Peer::User(user) = peer else { return None };
    let of_browsers = ["origin", "referer", "cookie", "sec-fetch-site", "sec-fetch-mode"];
    let is_direct = !forwarded::is_proxied(headers)
        && host.host().eq_ignore_ascii_case("localhost")
        && !of_browsers.iter().any(|name| headers.contains_key(*name));
    user.entry.clone().filter(|_| is_direct)
}

fn about(problem: Problem, entry: Option<&Entry>) -> Problem {
    match entry {
        Some(entry) => problem.about(&entry.name),
        None => problem,
    }
}

/// A cookie is sent along by the browser, whoever made it ask: a change counts only if it says that a page of this very
/// address asked.
fn comes_from_here(headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let origin = single(headers, &header::ORIGIN)?.unwrap_or_default();
    let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if from.is_some_and(|from| from.eq_ignore_ascii_case(host.as_str())) {
        return Ok(());
    }
    let detail = "a change by a browser's session must come from a page of the controller itself";
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "TG-AUTH-009",
        detail,
        "send `Authorization: Bearer TOKEN` instead",
    ))
}

/// The one value of a header that may be there once at most.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_head(format!("the header `{name}` is there twice")));
    }
    let text = value.to_str();
    text.map(Some).map_err(|_| Problem::bad_head(format!("the header `{name}` is not plain text")))
}

/// The host that the request is for: one `Host`, and the same in the target if that names one.
fn asked_host(request: &Request) -> Result<Authority, Problem> {
    let text = single(request.headers(), &header::HOST)?.unwrap_or_default();
    let good = text.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'));
    let host = good.ok_or_else(|| Problem::bad_head("the header `host` is missing or malformed"))?;
    match request.uri().authority() {
        Some(target) if !target.as_str().eq_ignore_ascii_case(host.as_str()) => {
            Err(Problem::bad_head("the target names another host than the header `host`"))
        }
        _ => Ok(host),
    }
}

/// Whether that is a name of this controller. A name that resolves to a loopback address is not: that is how pages of
/// others get to what listens here. A loopback address itself is nobody else's, also where a container hides that it was
/// asked for.
fn is_ours(options: &ServerOptions, peer: &Peer, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if let Ok(ip) = host.parse::<IpAddr>() {
        let ip = ip.to_canonical();
        return ip.is_loopback()
            || peer.local() == Some(ip)
            || options.hosts.iter().any(|known| known == host);
    }
    let host = host.to_ascii_lowercase();
    host == "localhost" || options.hosts.contains(&host)
}

/// A page may ask only if it comes from here. What is no browser sends no `Origin`.
fn check_origin(
    options: &ServerOptions,
    headers: &HeaderMap,
    host: &Authority,
    method: &Method,
) -> Result<(), Problem> {
    let refused = |origin: &str| {
        let help = "open the page from the controller itself, or name its host in `hosts` of `tidegate.toml`";
        let detail = format!("origin `{}` is not allowed", shorten(origin));
        Problem::new(StatusCode::FORBIDDEN, "TG-WS-002", detail, help)
    };
    if let Some(origin) = single(headers, &header::ORIGIN)? {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let from = rest.and_then(|rest| rest.parse::<Authority>().ok()).ok_or_else(|| refused(origin))?;
        let same = from.as_str().eq_ignore_ascii_case(host.as_str());
        if !same && !options.hosts.contains(&from.host().to_ascii_lowercase()) {
            return Err(refused(origin));
        }
        return Ok(());
    }
    // A page of others that embeds something sends no `Origin`, but browsers say that it does so.
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok()).unwrap_or("none");
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    match site {
        "none" | "same-origin" => Ok(()),
        _ if navigates && method == Method::GET => Ok(()),
        site => Err(refused(site)),
    }
}

/// Addresses end up in logs and histories, so a token must not be in one.
fn refuse_token_in_query(query: Option<&str>) -> Result<(), Problem> {
    let names = query.unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let is_token = |name: &str| {
        ["token", "access_token", "auth", "authorization", "api_key"]
            .iter()
            .any(|bad| name.eq_ignore_ascii_case(bad))
    };
    if names.into_iter().any(is_token) {
        let help = "send `Authorization: Bearer TOKEN`, and replace this token: it may be in logs by now";
        let detail = "a token does not belong into the address";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "TG-AUTH-007", detail, help));
    }
    Ok(())
}

/// Whose token was sent. One that is not good is refused even where none is needed.
fn token(server: &Server, headers: &HeaderMap) -> Result<Option<Entry>, Problem> {
    let Some(value) = single(headers, &header::AUTHORIZATION)? else { return Ok(None) };
    let presented = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    good_one(server, presented).map(Some)
}

/// Whose a token is, if it is good.
pub(super) fn good_one(server: &Server, presented: &str) -> Result<Entry, Problem> {
    match server.options.tokens.lookup(presented, server.options.clock.now()) {
        Ok(Shown::Good(entry)) => Ok(entry),
        Ok(Shown::Ended(entry)) => Err(Problem::ended_token(&entry)),
        Ok(Shown::Unknown) => Err(server.wrong_tokens.one_more(Instant::now())),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Nobody is let in.
pub(super) fn unreadable(error: &TokenError) -> Problem {
    tracing::error!(code = error.code(), "nobody is let in: failed to {error}");
    let detail = "the tokens of this controller cannot be read";
    let help = "`tidegate doctor` on the controller's machine says why";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), detail, help).with(header::RETRY_AFTER, "30")
}

/// Whether reading needs no token: both ends on this machine, no proxy in between, and not forbidden.
fn reads_freely(options: &ServerOptions, headers: &HeaderMap, peer: &Peer) -> bool {
    options.read == ReadAccess::Open && peer.is_here() && !forwarded::is_proxied(headers)
}

/// Headers of every answer.
fn harden(headers: &mut HeaderMap) {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in ALWAYS {
        // The page itself may do more than data may.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_address_is_refused() {
        for bad in ["token=x", "a=b&access_token=x", "TOKEN", "Auth=1"] {
            assert_eq!(refuse_token_in_query(Some(bad)).unwrap_err().code(), "TG-AUTH-007", "{bad}");
        }
        assert!(refuse_token_in_query(Some("since=1&kind=token")).is_ok());
        assert!(refuse_token_in_query(None).is_ok());
    }
}
