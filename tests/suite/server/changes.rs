//! What people do by hand, over HTTP.

use super::sockets::{next, open};
use super::stand::Stand;
use tidegate::domain::*;

#[tokio::test]
async fn people_confirm_promote_and_roll_back() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let tier = "/api/pipelines/shop/tiers/prod";
    stand.post(&format!("{tier}/confirm"), "{}").await.is_problem(422, "TG-HTTP-011");
    let mut events = open(&stand, "?kind=manual_*").await;
    let confirm = stand.post(&format!("{tier}/confirm"), r#"{"version":"1.0.1","why":"looks good"}"#).await;
    let json = confirm.json();
    assert_eq!((confirm.status, &json["done"], &json["already"]), (200, &true.into(), &false.into()));
    let event = next(&mut events).await.unwrap();
    assert_eq!((event["kind"].as_str(), event["by"].as_str()), (Some("manual_confirm"), Some("owner")));
    assert_eq!(event["why"], "looks good");
    assert_eq!(json["ids"][0], event["id"]);
    let again = stand.post(&format!("{tier}/confirm"), r#"{"version":"1.0.1"}"#).await.json();
    assert_eq!((&again["done"], &again["already"]), (&true.into(), &true.into()));
    assert_eq!(stand.post(&format!("{tier}/promote"), r#"{"version":"1.0.1"}"#).await.status, 200);
    stand.until_passed("shop", "prod", "1.0.1").await;
    // There is nothing to go back to, and a version that is not current is not left.
    let path = format!("{tier}/rollback");
    stand.post(&path, r#"{"version":"1.0.1"}"#).await.is_problem(409, "TG-ASK-012");
    stand.post(&path, r#"{"version":"0.9.0"}"#).await.is_problem(409, "TG-ASK-020");
    stand.post(&format!("{tier}/promote"), r#"{"version":"9.9.9"}"#).await.is_problem(404, "TG-ASK-004");
    stand.post("/api/pipelines/shop/tiers/nope/hold", "{}").await.is_problem(404, "TG-ASK-002");
    stand.post("/api/pipelines/blog/hold", "{}").await.is_problem(404, "TG-ASK-001");
    stand.post(&format!("{tier}/explode"), "{}").await.is_problem(404, "TG-HTTP-009");
}

#[tokio::test]
async fn who_it_was_is_told_by_the_token_and_by_nothing_else() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    let token = stand.token("ann", Role::Operator, None);
    let head = [
        ("authorization", format!("Bearer {token}")),
        ("content-type", "application/json".to_owned()),
        ("x-forwarded-user", "root".to_owned()),
        ("x-remote-user", "root".to_owned()),
    ];
    let answer = stand.send("POST", "/api/pipelines/shop/tiers/prod/hold", &head, b"{}").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let by = stand
        .engine
        .read(|state| state.pipelines["shop"].tiers["prod"].hold.as_ref().map(|hold| hold.by.clone()));
    assert_eq!(by.as_deref(), Some("ann"));
    // What only an admin may lift.
    let lift = br#"{"version":"1.0.1","lift":true,"why":"now"}"#;
    stand
        .send("POST", "/api/pipelines/shop/tiers/prod/promote", &head, lift)
        .await
        .is_problem(403, "TG-AUTH-002");
}

#[tokio::test]
async fn versions_are_blocked_and_unblocked_and_builds_canceled() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let version = r#"{"version":"1.0.1"}"#;
    assert_eq!(stand.post("/api/pipelines/shop/block", version).await.status, 200);
    assert_eq!(stand.get("/api/state").await.json()["pipelines"][0]["versions"][0]["blocked"]["by"], "owner");
    assert_eq!(stand.post("/api/pipelines/shop/unblock", version).await.json()["already"], false);
    assert_eq!(stand.post("/api/pipelines/shop/unblock", version).await.json()["already"], true);
    stand.hands.hold();
    stand.push("shop", '2').await;
    stand.until("it is being built", |state| state.running.values().any(|p| p.version == "1.0.2")).await;
    let cancel = stand.post("/api/pipelines/shop/cancel", r#"{"version":"1.0.2"}"#).await;
    assert_eq!(cancel.status, 200, "{}", cancel.text());
    stand.until("it is ended", |state| state.pipelines["shop"].build.is_none()).await;
    stand.post("/api/pipelines/shop/cancel", r#"{"version":"1.0.2"}"#).await.is_problem(409, "TG-ASK-015");
}

#[tokio::test]
async fn a_change_with_a_key_is_done_once_and_answered_alike() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    let with = async |key: &str, action: &str, body: &str| {
        let head = [
            ("authorization", format!("Bearer {}", stand.owner())),
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", key.to_owned()),
        ];
        stand.send("POST", &format!("/api/pipelines/shop/{action}"), &head, body.as_bytes()).await
    };
    let first = with("k1", "hold", "{}").await;
    assert_eq!((first.status, &first.json()["already"]), (200, &false.into()), "{}", first.text());
    assert_eq!(with("k2", "resume", "{}").await.json()["already"], false);
    let again = with("k1", "hold", "{}").await;
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&first.body, "true"));
    assert!(stand.engine.read(|state| state.pipelines["shop"].hold.is_none()), "it was not done again");
    with("k1", "hold", r#"{"why":"other"}"#).await.is_problem(422, "TG-HTTP-021");
    with("k1", "resume", "{}").await.is_problem(422, "TG-HTTP-021");
    with("", "hold", "{}").await.is_problem(400, "TG-HTTP-019");
    with(&"k".repeat(129), "hold", "{}").await.is_problem(400, "TG-HTTP-019");
    // What was refused was not done: the key is as good as new.
    with("k3", "block", r#"{"version":"1.0.1"}"#).await.is_problem(404, "TG-ASK-004");
    with("k3", "block", r#"{"version":"1.0.1"}"#).await.is_problem(404, "TG-ASK-004");
}

#[tokio::test]
async fn a_change_with_a_key_that_is_under_way_is_not_begun_again() {
    let stand = std::sync::Arc::new(Stand::new().await);
    stand.load("shop", "/nowhere").await;
    let with_key = |stand: std::sync::Arc<Stand>| async move {
        let head = [
            ("authorization", format!("Bearer {}", stand.owner())),
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", "k".to_owned()),
        ];
        stand.send("POST", "/api/pipelines/shop/hold", &head, b"{}").await
    };
    stand.journal.hold_durability();
    let first = tokio::spawn(with_key(stand.clone()));
    stand.until_committed(|state| state.pipelines["shop"].hold.is_some()).await;
    let second = with_key(stand.clone()).await;
    second.is_problem(409, "TG-HTTP-020");
    assert_eq!(second.header("retry-after"), "1");
    stand.journal.release_durability();
    let first = first.await.unwrap();
    assert_eq!(first.json()["already"], false);
    assert_eq!(with_key(stand.clone()).await.body, first.body);
}

#[tokio::test]
async fn a_change_goes_on_without_its_client_and_is_answered_when_it_asks_again() {
    let stand = std::sync::Arc::new(Stand::new().await);
    stand.load("shop", "/nowhere").await;
    stand.journal.hold_durability();
    // The client goes as soon as the change is committed: its answer is lost.
    let mut lost = stand.connect().await;
    let request = format!(
        "POST /api/pipelines/shop/hold HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nidempotency-key: k\r\ncontent-length: 2\r\n\r\n{{}}",
        stand.owner()
    );
    tokio::io::AsyncWriteExt::write_all(&mut lost, request.as_bytes()).await.unwrap();
    stand.until_committed(|state| state.pipelines["shop"].hold.is_some()).await;
    drop(lost);
    stand.journal.release_durability();
    let again = async {
        loop {
            let head = [
                ("authorization", format!("Bearer {}", stand.owner())),
                ("content-type", "application/json".to_owned()),
                ("idempotency-key", "k".to_owned()),
            ];
            let answer = stand.send("POST", "/api/pipelines/shop/hold", &head, b"{}").await;
            if answer.status != 409 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(super::stand::PATIENCE, again).await.expect("it is done");
    assert_eq!((answer.status, &answer.json()["already"]), (200, &false.into()), "{}", answer.text());
    assert_eq!(answer.header("idempotency-replayed"), "true");
}
