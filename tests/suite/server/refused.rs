//! Who is turned away stands in the journal: once at once, then as a number; nothing that they sent but what is known.

use super::scopes::ask;
use super::stand::{Setup, Stand};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tidegate::domain::Role;
use tidegate::domain::pipeline::Forge;
use tidegate::server::Limits;
use tidegate::settings::{SecretPlace, Webhooks};

/// A controller that tells what it counted after so long.
async fn stand(window: Duration) -> Stand {
    let limits = Limits { refusals: window, ..Limits::default() };
    let secret = SecretPlace::File(PathBuf::from("/nowhere/secret"));
    let webhooks: Webhooks = [(Forge::Gitlab, secret)].into_iter().collect();
    let stand = Stand::with(Setup { limits, webhooks, ..Setup::default() }).await;
    stand.load("shop", "/nowhere").await;
    stand
}

const LONG: Duration = Duration::from_secs(3600);

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or("-")
}

#[tokio::test]
async fn each_way_to_be_turned_away_is_told_without_what_was_sent() {
    let stand = stand(LONG).await;
    let viewer = stand.token("vic", Role::Viewer, None);
    let scoped = stand.scoped("ann", Role::Operator, &["hidden-shop"], &[]);
    let path = "/api/pipelines/hidden-blog/tiers/hidden-tier/hold";
    let json = ("content-type", "application/json".to_owned());
    stand.send("POST", path, std::slice::from_ref(&json), b"{}").await.is_problem(401, "TG-AUTH-001");
    ask(&stand, "tgt_hidden", "GET", "/api/runs/4711", "").await.is_problem(401, "TG-AUTH-001");
    ask(&stand, &viewer, "POST", path, "{}").await.is_problem(403, "TG-AUTH-002");
    ask(&stand, &scoped, "POST", path, "{}").await.is_problem(403, "TG-AUTH-010");
    let host = [("host", "hidden.example".to_owned())];
    stand.send("GET", "/api/state?hidden=1", &host, b"").await.is_problem(421, "TG-HTTP-006");
    stand.send("GET", "/hidden/path", &host, b"").await.is_problem(421, "TG-HTTP-006");
    let origin = [("origin", "http://hidden.example".to_owned())];
    stand.send("GET", "/api/state", &origin, b"").await.is_problem(403, "TG-WS-002");
    stand.send("HIDDEN", "/api/state", &origin, b"").await.is_problem(403, "TG-WS-002");
    stand.send("POST", "/webhook/gitlab", &[json], b"{}").await.is_problem(401, "TG-HOOK-001");
    stand.until_journaled("access_refused", 8).await;
    let told = stand.journaled("access_refused").await;
    let seen: BTreeSet<_> = told
        .iter()
        .map(|event| (text(event, "code"), text(event, "method"), text(event, "route"), text(event, "by")))
        .collect();
    let of_tier = "/api/pipelines/{pipeline}/tiers/{tier}/{action}";
    let expected = BTreeSet::from([
        ("TG-AUTH-001", "POST", of_tier, "-"),
        ("TG-AUTH-001", "GET", "/api/runs/{run}", "-"),
        ("TG-AUTH-002", "POST", of_tier, "vic"),
        ("TG-AUTH-010", "POST", of_tier, "ann"),
        ("TG-HTTP-006", "GET", "/api/state", "-"),
        ("TG-HTTP-006", "GET", "none", "-"),
        ("TG-WS-002", "GET", "/api/state", "-"),
        ("TG-HOOK-001", "POST", "/webhook/{forge}", "-"),
    ]);
    assert_eq!(seen, expected);
    for event in &told {
        assert_eq!((&event["count"], text(event, "from")), (&1.into(), "127.0.0.1"), "{event}");
        assert!(event["pipeline"].is_null());
        assert!(!event.to_string().to_lowercase().contains("hidden"), "{event}");
    }
}

#[tokio::test]
async fn the_rest_of_a_minute_is_one_event_with_a_number() {
    let stand = stand(Duration::from_millis(400)).await;
    let viewer = stand.token("vic", Role::Viewer, None);
    let mut asked = 0;
    let path = "/api/pipelines/shop/hold";
    while asked < 40 {
        ask(&stand, &viewer, "POST", path, "{}").await.is_problem(403, "TG-AUTH-002");
        asked += 1;
    }
    let count = async || -> u64 {
        stand.journaled("access_refused").await.iter().map(|event| event["count"].as_u64().unwrap()).sum()
    };
    let all = async {
        while count().await < asked {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::stand::PATIENCE, all).await.expect("all of them are told");
    let told = stand.journaled("access_refused").await;
    assert_eq!(count().await, asked, "none is told twice");
    assert_eq!(told[0]["count"], 1, "the first at once");
    assert!(told.len() < 20, "in few events: {}", told.len());
}

#[tokio::test]
async fn a_full_disk_keeps_nothing_from_being_refused_and_is_told_later() {
    let stand = stand(Duration::from_millis(100)).await;
    let viewer = stand.token("vic", Role::Viewer, None);
    stand.disk.set_full(true);
    for _ in 0..3 {
        let answer = ask(&stand, &viewer, "POST", "/api/pipelines/shop/hold", "{}").await;
        answer.is_problem(403, "TG-AUTH-002");
    }
    // What a person does goes on, and is the only event.
    assert_eq!(stand.post("/api/pipelines/shop/hold", "{}").await.status, 200);
    assert_eq!(stand.journaled("access_refused").await.len(), 0);
    stand.disk.set_full(false);
    stand.until_journaled("access_refused", 1).await;
    assert_eq!(stand.journaled("access_refused").await[0]["count"], 3);
}

#[tokio::test]
async fn nobody_fills_the_journal_by_asking() {
    let stand = stand(LONG).await;
    for n in 0..60 {
        let token = stand.token(&format!("t{n}"), Role::Viewer, None);
        ask(&stand, &token, "POST", "/api/pipelines/shop/hold", "{}").await.is_problem(403, "TG-AUTH-002");
    }
    stand.until_journaled("access_refused", 33).await;
    stand.post("/api/pipelines/shop/hold", "{}").await;
    let told = stand.journaled("access_refused").await;
    assert_eq!(told.len(), 33);
    assert_eq!(told.iter().filter(|event| event["route"] == "other" && event["by"].is_null()).count(), 1);
}
