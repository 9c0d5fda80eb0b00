//! What subscribers see: server-sent events, the past as lines, and the seam between the past and the present.

use super::sockets::{next, open};
use super::stand::{PATIENCE, Setup, Stand};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tidegate::domain::*;
use tidegate::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

async fn read_until(stand: &Stand, head: &str, end: &str) -> String {
    let mut stream = stand.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let reading = async {
        while !text.contains(end) {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "it ended early: {text}");
            text.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    };
    timeout(PATIENCE, reading).await.expect("it is said");
    text
}

#[tokio::test]
async fn server_sent_events_go_on_after_the_last_one_seen() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    let head = |more: &str| {
        format!("GET /events HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{more}\r\n", stand.addr)
    };
    let text = read_until(&stand, &head("last-event-id: 0\r\n"), "pipeline_loaded").await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains("id: 1\ndata: {\"id\":1,"), "{text}");
    let text = read_until(&stand, &head("last-event-id: 1\r\n"), "pipeline_loaded").await;
    assert!(!text.contains("controller_started"), "{text}");
    // A browser asks again by the address that it began with: the header says how far it came.
    let again = |more: &str| head(more).replacen("/events ", "/events?since=0 ", 1);
    let text = read_until(&stand, &again("last-event-id: 1\r\n"), "pipeline_loaded").await;
    assert!(!text.contains("controller_started"), "what was seen is not told again: {text}");
    let text = read_until(&stand, &again("last-event-id: none\r\n"), "pipeline_loaded").await;
    assert!(text.contains("controller_started"), "one that is no number says nothing: {text}");
    let future = [("accept", "text/event-stream".to_owned()), ("last-event-id", "999".to_owned())];
    stand.send("GET", "/events", &future, b"").await.is_problem(422, "TG-EVENTS-001");
    let open_stream = [("accept", "text/event-stream".to_owned())];
    let shutdown = stand.shutdown.clone();
    let (answer, ()) = tokio::join!(stand.send("GET", "/events", &open_stream, b""), async {
        while stand.engine.bus().subscribers() == 0 {
            tokio::task::yield_now().await;
        }
        shutdown.cancel();
    });
    assert_eq!(answer.status, 200, "and it ends with the controller");
    stand.stop().await;
}

#[tokio::test]
async fn a_revoked_token_ends_server_sent_events() {
    let limits = Limits { token_check: Duration::from_millis(50), ..Limits::default() };
    let stand = Stand::with(Setup { limits, ..Setup::default() }).await;
    let token = stand.token("viewer", Role::Viewer, None);
    let head = [("accept", "text/event-stream".to_owned()), ("authorization", format!("Bearer {token}"))];
    let (answer, ()) = tokio::join!(stand.send("GET", "/events", &head, b""), async {
        while stand.engine.bus().subscribers() == 0 {
            tokio::task::yield_now().await;
        }
        stand.tokens.revoke("viewer").unwrap();
    });
    assert_eq!(answer.status, 200, "and it ends");
    stand.send("GET", "/events", &head, b"").await.is_problem(401, "TG-AUTH-001");
}

#[tokio::test]
async fn the_past_comes_as_lines() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    stand.engine.settled().await.unwrap();
    let all = stand.get("/api/events").await;
    assert_eq!((all.status, all.header("content-type")), (200, "application/x-ndjson"));
    let ids: Vec<u64> = all
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    assert!(ids.len() > 8);
    let some = stand.get("/api/events?since=2&kind=build_ok").await.text();
    assert_eq!(some.lines().count(), 1, "{some}");
}

/// Holds and resumes as fast as the engine takes it, until told to stop.
async fn burst(stand: Arc<Stand>, stop: Arc<AtomicBool>) {
    let actor = Actor { name: "ann".into(), role: Role::Operator, email: None };
    let mut round = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let tier = Some("prod".into());
        let deed = if round.is_multiple_of(2) { Deed::Hold { tier } } else { Deed::Resume { tier } };
        let command = Command::ByHand { actor: actor.clone(), why: None, pipeline: "shop".into(), deed };
        stand.engine.ask(command).await.unwrap();
        round += 1;
        if round.is_multiple_of(64) {
            tokio::task::yield_now().await;
        }
    }
}

/// The promise of `since`: thousands of subscribers join a burst at any place of the past, over real sockets, and each
/// sees every event once, in order, from the past over the seam into the present.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_a_burst_sees_no_gap_and_no_duplicate() {
    const JOINS: u64 = 3_000;
    const AT_ONCE: u64 = 8;
    let stand = Arc::new(Stand::new().await);
    stand.load("shop", "/nowhere").await;
    let stop = Arc::new(AtomicBool::new(false));
    let bursting = tokio::spawn(burst(stand.clone(), stop.clone()));
    let (joins, over_the_seam) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut joiners = Vec::new();
    for joiner in 0..AT_ONCE {
        let (stand, joins, over_the_seam) = (stand.clone(), joins.clone(), over_the_seam.clone());
        joiners.push(tokio::spawn(async move {
            let mut dice = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(joiner + 1);
            while joins.fetch_add(1, Ordering::Relaxed) < JOINS {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let last = stand.engine.read(|state| state.last.0);
                let durable = last.saturating_sub(1);
                let since = durable.saturating_sub((dice >> 33) % 40);
                let mut socket = open(&stand, &format!("?since={since}")).await;
                // Some beyond what was there when it came: those have come over the seam.
                let mut expected = since + 1;
                while expected <= last + 20 {
                    let event = next(&mut socket).await.expect("the socket stays open");
                    if event["kind"] == "lagged" {
                        continue;
                    }
                    assert_eq!(event["id"].as_u64(), Some(expected), "after {since}: {event}");
                    expected += 1;
                }
                over_the_seam.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for joiner in joiners {
        joiner.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    bursting.await.unwrap();
    assert_eq!(over_the_seam.load(Ordering::Relaxed), JOINS);
}
