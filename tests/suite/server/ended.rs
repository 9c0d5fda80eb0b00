//! Tokens that end at a time: what is asked with them afterwards, and what lasts.

use super::login::{cookie, from_page, sign_in};
use super::scopes::ask;
use super::sockets::{closed, open_as};
use super::stand::{PATIENCE, Setup, Stand};
use std::sync::Arc;
use std::time::Duration;
use tidegate::clock::{Clock, SimulatedClock};
use tidegate::domain::{Role, RunId, Time};
use tidegate::server::Limits;
use tidegate::settings::NewToken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const END: &str = "2026-11-23T10:00:00Z";

/// A controller at nine in the morning, and a token that is good until ten.
async fn until_ten(role: Role) -> (Stand, SimulatedClock, String) {
    let clock = SimulatedClock::at("2026-11-23T09:00:00Z".parse().unwrap());
    let limits = Limits { token_check: Duration::from_millis(50), ..Limits::default() };
    let setup = Setup { clock: Arc::new(clock.clone()), limits, ..Setup::default() };
    let stand = Stand::with(setup).await;
    let end: Time = END.parse().unwrap();
    let new = NewToken { expires_at: Some(end), ..NewToken::new("ann", role, clock.now()) };
    let token = stand.new_token(new);
    (stand, clock, token)
}

#[tokio::test]
async fn after_its_end_a_token_is_refused_and_told_when_that_was() {
    let (stand, clock, token) = until_ten(Role::Operator).await;
    stand.load("shop", "/nowhere").await;
    let path = "/api/pipelines/shop/hold";
    assert_eq!(ask(&stand, &token, "POST", path, "{}").await.status, 200);
    let cookie = cookie(&sign_in(&stand, &token, &[]).await);
    let shown = [("cookie", cookie.clone())];
    clock.set(END.parse().unwrap());
    let refused = ask(&stand, &token, "POST", path, "{}").await;
    refused.is_problem(401, "TG-AUTH-011");
    assert!(refused.json()["detail"].as_str().unwrap().contains("2026-11-23T10:00:00"), "{}", refused.text());
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    // Also where none is needed, and for who signs in; its cookie is as none.
    ask(&stand, &token, "GET", "/healthz", "").await.is_problem(401, "TG-AUTH-011");
    sign_in(&stand, &token, &[]).await.is_problem(401, "TG-AUTH-011");
    assert_eq!(stand.send("GET", "/api/state", &shown, b"").await.status, 200, "reading is open");
    let held = stand.send("POST", path, &from_page(&stand, &cookie), b"{}").await;
    held.is_problem(401, "TG-AUTH-011");
    // The same path, whether by token or by cookie, is one kind.
    stand.until_journaled("access_refused", 3).await;
    let told = stand.journaled("access_refused").await;
    assert!(told.iter().all(|event| event["by"] == "ann" && event["code"] == "TG-AUTH-011"), "{told:?}");
}

#[tokio::test]
async fn what_lasts_ends_with_its_token() {
    let (stand, clock, token) = until_ten(Role::Viewer).await;
    stand.load("shop", "/nowhere").await;
    let mut socket = open_as(&stand, "", &token).await;
    let end = async {
        while stand.engine.bus().subscribers() < 2 {
            tokio::task::yield_now().await;
        }
        clock.set(END.parse().unwrap());
    };
    let head = [("accept", "text/event-stream".to_owned()), ("authorization", format!("Bearer {token}"))];
    let (events, ()) = tokio::join!(stand.send("GET", "/events", &head, b""), end);
    assert_eq!(events.status, 200, "and it ends");
    let (code, reason) = closed(&mut socket).await;
    assert_eq!((code, reason.as_str()), (4401, "TG-AUTH-011 token ended"));
}

#[tokio::test]
async fn a_log_that_is_followed_ends_with_the_token() {
    let (stand, clock, token) = until_ten(Role::Viewer).await;
    stand.load("shop", "/nowhere").await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    stand.until("it runs", |state| !state.running.is_empty()).await;
    let run: RunId = stand.engine.read(|state| *state.running.keys().next().unwrap());
    std::fs::write(stand.hands.log("shop", run), "one\n").unwrap();
    let mut stream = stand.connect().await;
    let head = format!(
        "GET /api/runs/{run}/log?follow=1 HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n\r\n",
        stand.addr
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
    clock.set(END.parse().unwrap());
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it ends, though the run goes on").unwrap();
}
