//! Tokens that are limited: what they see of two pipelines, and what they may do to them.

use super::login::{cookie, from_page, sign_in};
use super::pushes::{Work, label, push};
use super::sockets::{next, open_as};
use super::stand::{Answered, Setup, Stand};
use serde_json::{Value, json};
use tidegate::domain::Role;
use tidegate::settings::ReadAccess;

/// Asks with a token.
pub(super) async fn ask(stand: &Stand, token: &str, method: &str, path: &str, body: &str) -> Answered {
    let mut head = vec![("authorization", format!("Bearer {token}"))];
    if method == "POST" {
        head.push(("content-type", "application/json".to_owned()));
    }
    stand.send(method, path, &head, body.as_bytes()).await
}

/// A controller with `shop` and `blog`, of each a version that has passed `host`, and somebody who was turned away.
pub(super) async fn two_pipelines() -> Stand {
    let stand = Stand::with(Setup { read: ReadAccess::Token, ..Setup::default() }).await;
    for (name, sha) in [("shop", '1'), ("blog", '2')] {
        stand.load(name, "/nowhere").await;
        stand.push(name, sha).await;
        let version = format!("1.0.{sha}");
        stand.until_passed(name, "host", &version).await;
    }
    stand.get("/api/state").await.is_problem(401, "TG-AUTH-001");
    stand.until_journaled("access_refused", 1).await;
    stand
}

/// The number of a run of that pipeline.
pub(super) async fn a_run_of(stand: &Stand, pipeline: &str) -> u64 {
    let owner = stand.owner().to_owned();
    let path = format!("/api/events?kind=gate_start&pipeline={pipeline}");
    let lines = ask(stand, &owner, "GET", &path, "").await.text();
    serde_json::from_str::<Value>(lines.lines().next().unwrap()).unwrap()["run_id"].as_u64().unwrap()
}

#[tokio::test]
async fn lists_hold_what_is_in_scope_only() {
    let stand = two_pipelines().await;
    let limited = stand.scoped("ann", Role::Viewer, &["shop"], &[]);
    let unlimited = stand.token("bob", Role::Viewer, None);
    for path in [
        "/api/events",
        "/api/events?pipeline=shop&pipeline=blog&kind=*",
        "/api/state",
        "/api/pipelines",
        "/api/history",
        "/api/history?text=blog&limit=1000",
        "/api/measures",
        "/api/measures?pipeline=blog&pipeline=shop",
        "/metrics",
    ] {
        let all = ask(&stand, &unlimited, "GET", path, "").await;
        assert!(all.status == 200 && all.text().contains("blog"), "{path}: {}", all.text());
        let some = ask(&stand, &limited, "GET", path, "").await;
        assert_eq!(some.status, 200, "{path}");
        assert!(!some.text().contains("blog"), "{path}: {}", some.text());
        assert!(!some.text().contains("access_refused"), "it tells of others: {path}");
        assert!(path.contains("text=") || some.text().contains("shop"), "{path}: {}", some.text());
    }
    let events = ask(&stand, &limited, "GET", "/api/events", "").await.text();
    assert!(events.contains("controller_started"), "that is everybody's: {events}");
    let numbers = ask(&stand, &limited, "GET", "/metrics", "").await.text();
    assert!(!numbers.contains("tidegate_http_requests_total") && numbers.contains("tidegate_build_info"));
    let state = ask(&stand, &limited, "GET", "/api/state", "").await.json();
    assert_eq!(state["pipelines"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_out_of_scope_is_as_if_it_were_not_there() {
    let stand = two_pipelines().await;
    let limited = stand.scoped("ann", Role::Viewer, &["shop"], &[]);
    let get = async |path: &str| ask(&stand, &limited, "GET", path, "").await;
    for rest in
        ["", "/definition", "/compare?from=host&to=prod", "/versions/1.0.2", "/tiers/host/why", "?nonsense=1"]
    {
        let there = get(&format!("/api/pipelines/blog{rest}")).await;
        there.is_problem(404, "TG-ASK-001");
        let nowhere = get(&format!("/api/pipelines/nowhere{rest}")).await;
        assert_eq!(there.text(), nowhere.text().replace("nowhere", "blog"), "{rest}");
        let of_shop = get(&format!("/api/pipelines/shop{}", rest.replace("1.0.2", "1.0.1"))).await;
        assert_eq!(
            of_shop.status,
            if rest.starts_with('?') { 400 } else { 200 },
            "{rest}: {}",
            of_shop.text()
        );
    }
    let (of_shop, of_blog) = (a_run_of(&stand, "shop").await, a_run_of(&stand, "blog").await);
    for (pipeline, run) in [("shop", of_shop), ("blog", of_blog)] {
        std::fs::write(stand.hands.log(pipeline, tidegate::domain::RunId(run)), "text\n").unwrap();
    }
    for rest in ["", "/log", "/log?follow=1", "/log/index", "/log/find?text=x"] {
        let there = get(&format!("/api/runs/{of_blog}{rest}")).await;
        there.is_problem(404, "TG-HTTP-014");
        let nowhere = get(&format!("/api/runs/999{rest}")).await;
        assert_eq!(there.text(), nowhere.text().replace("999", &of_blog.to_string()), "{rest}");
        assert_eq!(get(&format!("/api/runs/{of_shop}{rest}")).await.status, 200, "{rest}");
    }
}

#[tokio::test]
async fn a_plan_is_made_with_what_is_in_scope_only() {
    let stand = two_pipelines().await;
    let limited = stand.scoped("ann", Role::Viewer, &["shop*"], &[]);
    let plan = async |token: &str, name: &str, more: &str, file: &str| {
        let text =
            format!("name = \"{name}\"\n{more}[source]\nrepo = \"/nowhere\"\n[[tier]]\nname = \"host\"\n");
        let body = json!({ "file": file, "text": text }).to_string();
        ask(&stand, token, "POST", "/api/plan", &body).await
    };
    plan(&limited, "blog", "", "blog.toml").await.is_problem(404, "TG-ASK-001");
    plan(&limited, "nowhere", "", "nowhere.toml").await.is_problem(404, "TG-ASK-001");
    plan(&limited, "shop-2", "was = \"blog\"\n", "x.toml").await.is_problem(404, "TG-ASK-001");
    assert_eq!(plan(&limited, "shop", "", "shop.toml").await.json()["edit"]["in_force"], "sha256:shop");
    // Not even that the file of another name is there.
    let replaces = |plan: Answered| plan.json()["edit"]["changes"].to_string();
    let (all, some) = (stand.owner().to_owned(), &limited);
    let seen = replaces(plan(&all, "shop-2", "", "blog.toml").await);
    assert_ne!(seen, replaces(plan(some, "shop-2", "", "blog.toml").await));
    assert_eq!(
        replaces(plan(some, "shop-2", "", "blog.toml").await),
        replaces(plan(some, "shop-2", "", "nowhere.toml").await)
    );
}

#[tokio::test]
async fn streams_tell_of_what_is_in_scope_only() {
    let stand = two_pipelines().await;
    let limited = stand.scoped("ann", Role::Viewer, &["shop"], &[]);
    let mut live = open_as(&stand, "", &limited).await;
    let mut past = open_as(&stand, "?since=0&pipeline=blog&pipeline=shop", &limited).await;
    for name in ["blog", "shop"] {
        stand.post(&format!("/api/pipelines/{name}/hold"), "{}").await;
    }
    let first = next(&mut live).await.unwrap();
    assert_eq!((first["pipeline"].as_str(), first["kind"].as_str()), (Some("shop"), Some("hold_set")));
    loop {
        let event = next(&mut past).await.unwrap();
        assert_eq!(event["pipeline"], "shop", "{event}");
        if event["kind"] == "hold_set" {
            break;
        }
    }
    // The pieces of logs of others, too.
    let (of_shop, of_blog) = (started(&stand, "shop", '3').await, started(&stand, "blog", '4').await);
    stand.hands.output(of_blog, 0, b"secret\n");
    stand.hands.output(of_shop, 0, b"open\n");
    let piece = loop {
        let event = next(&mut live).await.unwrap();
        assert_eq!(event["pipeline"], "shop", "{event}");
        if event["kind"] == "build_log_chunk" {
            break event;
        }
    };
    assert_eq!(piece["text"], "open\n");
}

/// Begins a build that goes on, and answers its run.
async fn started(stand: &Stand, pipeline: &str, sha: char) -> tidegate::domain::RunId {
    stand.hands.hold();
    stand.post(&format!("/api/pipelines/{pipeline}/resume"), "{}").await;
    stand.push(pipeline, sha).await;
    let of_it = |state: &tidegate::domain::State| {
        state.running.iter().find(|(_, place)| place.pipeline == *pipeline).map(|(run, _)| *run)
    };
    stand.until("it runs", |state| of_it(state).is_some()).await;
    stand.engine.read(of_it).unwrap()
}

#[tokio::test]
async fn deeds_beyond_the_scope_are_refused_with_what_the_token_may() {
    let stand = two_pipelines().await;
    let one = stand.scoped("ann", Role::Operator, &["shop"], &["host"]);
    let whole = stand.scoped("bob", Role::Admin, &["shop"], &[]);
    let act = async |token: &str, path: &str, body: &str| {
        ask(&stand, token, "POST", &format!("/api/pipelines/{path}"), body).await
    };
    assert_eq!(act(&one, "shop/tiers/host/hold", "{}").await.status, 200);
    for path in ["shop/tiers/prod/hold", "shop/hold", "shop/block", "shop/cancel", "blog/tiers/host/hold"] {
        let answer = act(&one, path, "{}").await;
        answer.is_problem(403, "TG-AUTH-010");
        let help = answer.json()["help"].as_str().unwrap().to_owned();
        assert!(help.contains("pipeline shop; tier host"), "{help}");
    }
    // The same whether it is there or not.
    let (there, nowhere) =
        (act(&one, "blog/tiers/host/hold", "{}").await, act(&one, "nowhere/tiers/host/hold", "{}").await);
    assert_eq!(there.text(), nowhere.text());
    assert_eq!(act(&whole, "shop/hold", "{}").await.status, 200);
    assert_eq!(act(&whole, "shop/tiers/prod/hold", "{}").await.status, 200);
    act(&whole, "blog/hold", "{}").await.is_problem(403, "TG-AUTH-010");
    // Tiers limit what it does, not what it sees.
    let seen = ask(&stand, &one, "GET", "/api/pipelines/shop/tiers/prod/why", "").await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    ask(&stand, &one, "POST", "/rebuild", r#"{"pipeline":"shop","again":true}"#)
        .await
        .is_problem(403, "TG-AUTH-010");
}

#[tokio::test]
async fn a_word_counts_only_where_the_token_reaches() {
    let stand = two_pipelines().await;
    let word = async |token: &str| {
        let path = "/api/pipelines/shop/tiers/prod/confirm";
        ask(&stand, token, "POST", path, r#"{"version":"1.0.1"}"#).await
    };
    let words = || stand.journaled("manual_confirm");
    for (name, pipelines, tiers) in [("a", &["shop"][..], &["host"][..]), ("b", &["blog"], &[])] {
        let token = stand.scoped(name, Role::Admin, pipelines, tiers);
        word(&token).await.is_problem(403, "TG-AUTH-010");
    }
    assert_eq!(words().await.len(), 0);
    let token = stand.scoped("c", Role::Operator, &["sh*"], &["prod"]);
    assert_eq!(word(&token).await.status, 200);
    assert_eq!(words().await.len(), 1);
}

#[tokio::test]
async fn a_push_concerns_what_is_in_scope_only() {
    let work = Work::new();
    let stand = Stand::new().await;
    for name in ["shop", "blog"] {
        stand.load(name, &work.text()).await;
    }
    let token = stand.scoped("ann", Role::Trigger, &["shop"], &[]);
    let rebuild = async |body: String| ask(&stand, &token, "POST", "/rebuild", &body).await;
    let sha = work.git(&["rev-parse", "HEAD"]);
    let there = rebuild(push(&sha, r#","pipeline":"blog""#)).await;
    there.is_problem(404, "TG-ASK-001");
    let nowhere = rebuild(push(&sha, r#","pipeline":"nowhere""#)).await;
    assert_eq!(there.text(), nowhere.text().replace("nowhere", "blog"));
    let answer = rebuild(push(&sha, &format!(r#","repo":"{}""#, work.text()))).await.json();
    assert_eq!(answer["accepted"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!((&answer["accepted"][0]["pipeline"], &answer["ignored"]), (&json!("shop"), &json!([])));
    // With neither it is the only pipeline that there is for this token.
    stand.until_passed("shop", "host", &label(&sha)).await;
    let second = work.commit("a", "two");
    let answer = rebuild(push(&second, "")).await;
    assert_eq!(answer.json()["accepted"][0]["pipeline"], "shop", "{}", answer.text());
}

#[tokio::test]
async fn a_sign_in_has_the_scope_of_its_token_also_where_reading_is_open() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.load("blog", "/nowhere").await;
    let token = stand.scoped("ann", Role::Operator, &["shop"], &["host"]);
    let signed_in = sign_in(&stand, &token, &[]).await;
    let who = signed_in.json();
    assert_eq!((&who["pipelines"], &who["tiers"]), (&json!(["shop"]), &json!(["host"])));
    let shown = [("cookie", cookie(&signed_in))];
    assert!(stand.get("/api/state").await.text().contains("blog"), "reading is open");
    let state = stand.send("GET", "/api/state", &shown, b"").await.text();
    assert!(!state.contains("blog") && state.contains("shop"), "{state}");
    let page = from_page(&stand, &shown[0].1);
    let held = stand.send("POST", "/api/pipelines/shop/hold", &page, b"{}").await;
    held.is_problem(403, "TG-AUTH-010");
}
