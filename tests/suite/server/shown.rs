//! The state as it is shown, and why a version waits.

use super::stand::Stand;
use std::sync::Arc;
use tidegate::domain::*;
use tidegate::server::view::{Progress, StateView};
use tidegate::server::{OnePipeline, WhyView};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn the_state_is_shown_at_an_event_with_all_that_a_page_needs() {
    let stand = Stand::new().await;
    stand.load("shop", "https://ann:secret@git.example/shop.git").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let rejected = Command::Reject {
        file: "broken.toml".into(),
        diagnostics: vec![Diagnostic {
            code: "TG-DEF-001".into(),
            severity: Severity::Error,
            file: "broken.toml".into(),
            line: 1,
            column: 1,
            end_line: 1,
            end_column: 2,
            message: "it is broken".into(),
            help: None,
            text: None,
        }],
    };
    stand.engine.ask(rejected).await.unwrap();
    let answer = stand.get("/api/state").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("secret"), "a password of the source is not shown");
    let view: StateView = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(view.id, stand.engine.read(|state| state.last));
    assert_eq!(view.rejected[0].file, "broken.toml");
    let shop = &view.pipelines[0];
    assert_eq!(shop.definition.as_ref().unwrap().digest.as_str(), "sha256:shop");
    let json = &answer.json()["pipelines"][0];
    assert_eq!(json["tiers"][0]["current"]["version"], "1.0.1");
    assert_eq!(json["tiers"][1]["after"][0], "host");
    assert_eq!(json["tiers"][1]["waiting"][0]["version"], "1.0.1");
    let kinds: Vec<&str> = json["tiers"][1]["waiting"][0]["blockers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|blocker| blocker["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"confirm_missing") && kinds.contains(&"manual"), "{kinds:?}");
    assert_eq!(json["versions"][0]["tiers"]["host"]["status"], "passed");
    assert_eq!(json["versions"][0]["subject"], "A change");
}

#[tokio::test]
async fn what_runs_is_shown_while_it_runs() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    stand.push("shop", '2').await;
    let under_way =
        |state: &State| state.pipelines["shop"].build.as_ref().is_some_and(|b| !b.steps.is_empty());
    stand.until("a step runs", under_way).await;
    let json = stand.get("/api/pipelines/shop").await.json();
    let step = &json["pipeline"]["build"]["steps"][0];
    assert_eq!((step["name"].as_str(), step["status"].as_str()), (Some("compile"), Some("running")));
    assert!(step["run_id"].is_u64());
    assert_eq!(json["pipeline"]["versions"][0]["stage"], "building");
    stand.get("/api/pipelines/blog").await.is_problem(404, "TG-ASK-001");
    stand.get("/api/pipelines/shop?limit=2000").await.is_problem(400, "TG-HTTP-008");
    stand.get("/api/pipelines/shop?limit=few").await.is_problem(400, "TG-HTTP-008");
    stand.get("/api/state?before=1").await.is_problem(400, "TG-HTTP-008");
}

#[tokio::test]
async fn versions_are_shown_newest_first_page_by_page() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    for n in ['1', '2', '3'] {
        stand.push("shop", n).await;
        stand.until_passed("shop", "host", &format!("1.0.{n}")).await;
    }
    let page = async |query: &str| -> OnePipeline {
        serde_json::from_slice(&stand.get(&format!("/api/pipelines/shop{query}")).await.body).unwrap()
    };
    let labels = |view: &OnePipeline| -> Vec<String> {
        view.pipeline.versions.iter().map(|version| version.version.to_string()).collect()
    };
    let first = page("?limit=2").await;
    assert_eq!(labels(&first), ["1.0.3", "1.0.2"]);
    let before = first.pipeline.older_before.unwrap();
    let second = page(&format!("?limit=2&before={before}")).await;
    assert_eq!(labels(&second), ["1.0.1"]);
    assert_eq!(second.pipeline.older_before, None);
}

#[tokio::test]
async fn why_shows_the_whole_way_to_a_tier() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.get("/api/pipelines/shop/tiers/prod/why").await.is_problem(404, "TG-HTTP-017");
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let why = stand.get("/api/pipelines/shop/tiers/prod/why").await;
    let view: WhyView = serde_json::from_slice(&why.body).unwrap();
    assert_eq!(view.version, "1.0.1");
    assert!(!view.passed);
    let steps: Vec<(&str, usize)> =
        view.chain.iter().map(|step| (step.tier.as_str(), step.blockers.len())).collect();
    assert_eq!(steps, [("host", 0), ("prod", 2)]);
    stand.get("/api/pipelines/shop/tiers/prod/why?version=9.9.9").await.is_problem(404, "TG-ASK-004");
    stand.get("/api/pipelines/shop/tiers/nope/why").await.is_problem(404, "TG-ASK-002");
    // A version that fails in front shows that it is not promoted.
    stand.hands.hold();
    stand.push("shop", '2').await;
    let building = |state: &State| state.running.values().any(|place| place.version == "1.0.2");
    stand.until("it is being built", building).await;
    let view: WhyView =
        serde_json::from_slice(&stand.get("/api/pipelines/shop/tiers/prod/why?version=1.0.2").await.body)
            .unwrap();
    let kinds: Vec<&str> = view.chain[1].blockers.iter().map(Blocker::kind).collect();
    assert!(kinds.contains(&"not_built") && kinds.contains(&"not_promoted"), "{kinds:?}");
}

async fn why(stand: &Stand, query: &str) -> WhyView {
    let path = format!("/api/pipelines/shop/tiers/prod/why{query}");
    serde_json::from_slice(&stand.get(&path).await.body).unwrap()
}

#[tokio::test]
async fn why_after_a_rollback_explains_it_and_what_stands_and_not_an_older_version() {
    let stand = Stand::new().await;
    stand
        .load_with("shop", "/nowhere", |json| {
            json["tiers"][1]["promote"] = json["tiers"][0]["promote"].clone();
            // An older version that never came to `prod`.
            json["tiers"][0]["gates"][0]["run"] = "false".into();
        })
        .await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    for outcome in [Classification::Ok, Classification::TestFailure] {
        stand.until("something runs", |state| !state.running.is_empty()).await;
        let run = stand.engine.read(|state| *state.running.keys().next().unwrap());
        stand.hands.let_go(run, Outcome::of(outcome));
        stand.until("it ended", |state| !state.running.contains_key(&run)).await;
    }
    let rejected = |state: &State| state.pipelines["shop"].tiers["host"].is_rejected(&"1.0.1".into());
    stand.until("it is rejected", rejected).await;
    stand.hands.release();
    for n in ['2', '3'] {
        stand.push("shop", n).await;
        stand.until_passed("shop", "prod", &format!("1.0.{n}")).await;
    }
    let back = stand
        .post("/api/pipelines/shop/tiers/prod/rollback", r#"{"version":"1.0.3","why":"it is slow"}"#)
        .await;
    assert_eq!(back.status, 200, "{}", back.text());
    let is_back = |state: &State| state.pipelines["shop"].tiers["prod"].going_back.is_none();
    stand.until("it is back", is_back).await;
    let view = why(&stand, "").await;
    assert_eq!((view.version.as_str(), view.passed), ("1.0.3", false));
    let went = view.went_back.unwrap();
    assert_eq!((went.from.as_str(), went.to.as_str()), ("1.0.3", "1.0.2"));
    assert_eq!(went.cause, "rolled back by owner: it is slow");
    assert_eq!(view.current.unwrap().version, "1.0.2");
    let kinds: Vec<&str> = view.chain[1].blockers.iter().map(Blocker::kind).collect();
    assert_eq!(kinds, ["rejected", "hold"], "what would let it in again");
    // Once another version passes, the way back is history.
    stand.post("/api/pipelines/shop/tiers/prod/resume", "{}").await;
    stand.push("shop", '4').await;
    stand.until_passed("shop", "prod", "1.0.4").await;
    assert_eq!(why(&stand, "").await.went_back, None);
}

#[tokio::test]
async fn why_of_a_version_inside_names_its_gates_and_their_runs() {
    let stand = Stand::new().await;
    stand
        .load_with("shop", "/nowhere", |json| {
            let more = serde_json::json!({
                "name": "later", "phase": "check", "required": true, "kind": "command", "run": "true", "needs": ["check"]
            });
            json["tiers"][0]["gates"].as_array_mut().unwrap().push(more);
        })
        .await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let known = runs.clone();
        let is_new = |state: &State| state.running.keys().any(|run| !known.contains(run));
        stand.until("something runs", is_new).await;
        let run = stand.engine.read(|state| *state.running.keys().next().unwrap());
        runs.push(run);
        let view = stand.get("/api/pipelines/shop/tiers/host/why").await;
        if runs.len() == 2 {
            let view: WhyView = serde_json::from_slice(&view.body).unwrap();
            let gates = &view.chain[0].inside.as_ref().unwrap().gates;
            assert_eq!((gates[0].progress.status, gates[0].progress.run_id), (Progress::Running, Some(run)));
            assert_eq!((gates[1].progress.status, gates[1].progress.last_run_id), (Progress::Waiting, None));
        }
        stand.hands.let_go(run, Outcome::of(Classification::Ok));
        stand.until("it ended", |state| !state.running.contains_key(&run)).await;
    }
    stand.until("the other runs", |state| !state.running.is_empty()).await;
    let view = stand.get("/api/pipelines/shop/tiers/host/why").await;
    let view: WhyView = serde_json::from_slice(&view.body).unwrap();
    let gates = &view.chain[0].inside.as_ref().unwrap().gates;
    let first = &gates[0].progress;
    assert_eq!((first.status, first.run_id, first.last_run_id), (Progress::Pass, None, Some(runs[1])));
    assert_eq!(gates[1].progress.status, Progress::Running);
}

#[tokio::test]
async fn a_word_that_only_stands_says_what_it_waits_for() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let kinds = |answer: &super::stand::Answered| -> Vec<String> {
        let waits = answer.json()["waits_for"].as_array().cloned().unwrap_or_default();
        waits.iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
    };
    let promoted = stand.post("/api/pipelines/shop/tiers/prod/promote", r#"{"version":"1.0.1"}"#).await;
    assert_eq!(kinds(&promoted), ["confirm_missing"], "{}", promoted.text());
    let confirmed = stand.post("/api/pipelines/shop/tiers/prod/confirm", r#"{"version":"1.0.1"}"#).await;
    assert_eq!(kinds(&confirmed), [""; 0], "{}", confirmed.text());
    stand.until_passed("shop", "prod", "1.0.1").await;
}

#[tokio::test]
async fn whose_words_there_are_and_until_when_is_shown() {
    let stand = Stand::new().await;
    let change = |json: &mut serde_json::Value| {
        let confirm =
            serde_json::json!({"count": 2, "roles": ["operator"], "not_author": true, "expires": "1h"});
        json["tiers"][1]["promote"]["confirm"] = confirm;
        let closed = serde_json::json!([{"days": [], "from": 60, "to": 59, "zone": "No/Where"}]);
        json["tiers"][1]["promote"]["window"] = closed;
    };
    stand.load_with("shop", "/nowhere", change).await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let path = "/api/pipelines/shop/tiers/prod/confirm";
    stand.post(path, r#"{"version":"1.0.1"}"#).await.is_problem(403, "TG-AUTH-008");
    let confirm = |name: &str, email: &str| Command::ByHand {
        actor: Actor { name: name.into(), role: Role::Operator, email: Some(email.into()) },
        why: None,
        pipeline: "shop".into(),
        deed: Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() },
    };
    let refused = stand.engine.ask(confirm("ann", "ann@example.org")).await;
    assert!(refused.is_err(), "she is the author");
    stand.engine.ask(confirm("bob", "bob@example.org")).await.unwrap();
    let answer = stand.get("/api/pipelines/shop/tiers/prod/why").await;
    let view: WhyView = serde_json::from_slice(&answer.body).unwrap();
    let prod = view.chain.last().unwrap();
    let [word] = &prod.confirmations[..] else { panic!("one word: {}", answer.text()) };
    assert_eq!((word.by.as_str(), word.until), ("bob", Some(word.at + chrono::TimeDelta::hours(1))));
    assert!(prod.confirm.as_ref().is_some_and(|rule| rule.count == 2 && rule.not_author));
    assert!(prod.blockers.contains(&Blocker::ConfirmMissing { have: 1, need: 2 }), "{:?}", prod.blockers);
    assert!(prod.blockers.contains(&Blocker::Window { opens: None }), "{:?}", prod.blockers);
    let state = stand.get("/api/state").await.json();
    let prod = &state["pipelines"][0]["tiers"][1];
    assert_eq!(prod["waiting"][0]["confirmed_by"][0], "bob");
    assert_eq!(prod["waiting"][0]["confirmations"][0]["by"], "bob");
    assert_eq!(prod["confirm"]["count"], 2);
}

#[tokio::test]
async fn nothing_is_shown_before_it_is_durable() {
    let stand = Arc::new(Stand::new().await);
    stand.load("shop", "/nowhere").await;
    stand.journal.hold_durability();
    let asking = tokio::spawn({
        let stand = stand.clone();
        async move { stand.post("/api/pipelines/shop/hold", "{}").await }
    });
    stand.until_committed(|state| state.pipelines["shop"].hold.is_some()).await;
    let reading = tokio::spawn({
        let stand = stand.clone();
        async move { stand.get("/api/state").await }
    });
    // Both wait: nothing else is there to be awaited, so let everything that can run do so.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(!reading.is_finished() && !asking.is_finished());
    stand.journal.release_durability();
    assert_eq!(reading.await.unwrap().json()["pipelines"][0]["hold"]["by"], "owner");
    assert_eq!(asking.await.unwrap().json()["done"], true);
}

#[tokio::test]
async fn a_plan_is_a_question_that_changes_nothing() {
    let stand = Stand::new().await;
    stand.load("shop", "/srv/git/shop.git").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let before = stand.engine.read(|state| state.last);
    let text = "name = \"shop\"\n[source]\nrepo = \"/srv/git/shop.git\"\n[[tier]]\nname = \"host\"\n[[tier]]\nname = \"new\"\n";
    let body = serde_json::json!({"file": "shop.toml", "text": text}).to_string();
    let json = [("content-type", "application/json".to_owned())];
    let answer = stand.send("POST", "/api/plan", &json, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "whoever may read may ask: {}", answer.text());
    let plan = answer.json();
    assert_eq!(plan["edit"]["in_force"], "sha256:shop");
    let changes = plan["edit"]["changes"].to_string();
    assert!(changes.contains("tier `new` is new"), "{changes}");
    assert_eq!(plan["next"]["tiers"][1]["ends"], "passes");
    assert_eq!(stand.engine.read(|state| state.last), before);
    let bad = serde_json::json!({"file": "shop.toml", "text": "[[teir]]"}).to_string();
    let answer = stand.send("POST", "/api/plan", &json, bad.as_bytes()).await;
    answer.is_problem(422, "TG-PLAN-001");
    assert!(answer.text().contains("tidegate check"), "{}", answer.text());
    // What would end the program when it is read is refused in words.
    let deep = format!("{}a{}", "{".repeat(100_000), "}".repeat(100_000));
    for key in ["[source]\nrepo = \"/r\"\nrefs", "[source]\nrepo = \"/r\"\npaths", "[build]\nartifacts"] {
        let text = format!("{key} = [\"{deep}\"]\n[[tier]]\nname = \"host\"\n");
        let body = serde_json::json!({"file": "shop.toml", "text": text}).to_string();
        stand.send("POST", "/api/plan", &json, body.as_bytes()).await.is_problem(422, "TG-PLAN-001");
    }
    assert_eq!(stand.get("/healthz").await.status, 200);
    let forged = [json[0].clone(), ("origin", "http://evil.example".to_owned())];
    stand.send("POST", "/api/plan", &forged, body.as_bytes()).await.is_problem(403, "TG-WS-002");
}

#[tokio::test]
async fn plans_are_made_two_at_a_time_and_not_for_ever() {
    let stand = Stand::new().await;
    let tiers = |count: usize| {
        (0..count).map(|number| format!("[[tier]]\nname = \"t{number}\"\n")).collect::<String>()
    };
    let ask = |count: usize| {
        let text = format!("name = \"shop\"\n[source]\nrepo = \"/srv/git/shop.git\"\n{}", tiers(count));
        serde_json::json!({"file": "shop.toml", "text": text}).to_string()
    };
    let json = [("content-type", "application/json".to_owned())];
    let (two, one) = (ask(2), ask(1));
    // Two whose text does not come: both are at work.
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = stand.connect().await;
        let head = format!(
            "POST /api/plan HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            stand.addr,
            one.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It is told to go on once somebody reads it.
        let mut line = [0; 25];
        stream.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
        slow.push(stream);
    }
    let refused = stand.send("POST", "/api/plan", &json, two.as_bytes()).await;
    refused.is_problem(429, "TG-PLAN-002");
    assert_eq!(refused.header("retry-after"), "2");
    for mut stream in slow {
        stream.write_all(one.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(stand.send("POST", "/api/plan", &json, two.as_bytes()).await.status, 200);
    let endless = stand.send("POST", "/api/plan", &json, ask(2_000).as_bytes()).await;
    endless.is_problem(422, "TG-PLAN-003");
}

#[tokio::test]
async fn a_full_disk_is_shown_wherever_somebody_looks_and_passes_by_itself() {
    let stand = Stand::new().await;
    stand
        .load_with("shop", "/nowhere", |json| {
            json["tiers"][1]["promote"] = json["tiers"][0]["promote"].clone()
        })
        .await;
    assert_eq!(stand.get("/readyz").await.status, 200);
    stand.disk.set_full(true);
    stand.push("shop", '1').await;
    stand.get("/readyz").await.is_problem(503, "TG-DISK-001");
    assert_eq!(stand.get("/healthz").await.status, 200, "it lives");
    let json = stand.get("/api/state").await.json();
    assert_eq!(json["standstill"]["code"], "TG-DISK-001");
    let queue = json["pipelines"][0]["queue"].as_array().unwrap();
    assert_eq!((queue.len(), &queue[0]["blockers"][0]["kind"]), (1, &"disk_full".into()));
    let numbers = stand.get("/metrics").await.text();
    let number = "tidegate_blockers{pipeline=\"shop\",tier=\"\",kind=\"disk_full\"} 1";
    assert!(numbers.contains(number), "{numbers}");
    let why = stand.get("/api/pipelines/shop/tiers/prod/why").await;
    why.is_problem(404, "TG-HTTP-017");
    assert!(why.text().contains("nearly full") && why.text().contains("min_free"), "{}", why.text());
    stand.disk.set_full(false);
    assert!(stand.get("/api/pipelines/shop").await.json()["standstill"].is_null());
    stand.until_passed("shop", "prod", "1.0.1").await;

    stand.hands.hold();
    stand.push("shop", '2').await;
    let builds = |state: &State| state.pipelines["shop"].build.as_ref().is_some_and(|b| !b.steps.is_empty());
    stand.until("a step runs", builds).await;
    stand.disk.set_full(true);
    let run = stand.engine.read(|state| *state.running.keys().next().unwrap());
    stand.hands.let_go(run, Outcome::of(Classification::Ok));
    let said = |state: &State| {
        let standing = state.pipelines["shop"].standing(&"host".into(), &"1.0.2".into());
        standing.and_then(|s| s.said.as_deref()).is_some_and(|said| said == [Blocker::DiskFull])
    };
    stand.until("the blocker is said", said).await;
    let json = stand.get("/api/pipelines/shop").await.json();
    assert_eq!(json["pipeline"]["tiers"][0]["waiting"][0]["blockers"][0]["kind"], "disk_full");
    let why: WhyView =
        serde_json::from_slice(&stand.get("/api/pipelines/shop/tiers/prod/why").await.body).unwrap();
    assert!(why.chain.iter().all(|one| one.blockers.contains(&Blocker::DiskFull)), "{why:?}");
    stand.push("shop", '3').await;
    let why = stand.get("/api/pipelines/shop/tiers/prod/why").await;
    let why: WhyView = serde_json::from_slice(&why.body).unwrap();
    assert_eq!(why.newer[0].blockers, [Blocker::DiskFull], "{why:?}");
    let text = "name = \"shop\"\n[source]\nrepo = \"/nowhere\"\n[[tier]]\nname = \"host\"\n";
    let body = serde_json::json!({"file": "shop.toml", "text": text}).to_string();
    let json = [("content-type", "application/json".to_owned())];
    let plan = stand.send("POST", "/api/plan", &json, body.as_bytes()).await.json();
    assert_eq!(plan["next"]["waits_for"][0]["kind"], "disk_full", "{plan}");
}

#[tokio::test]
async fn a_journal_that_refuses_is_shown_too() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.journal.fail_next_appends(1, tidegate::journal::Error::Full);
    let hold = Command::ByHand {
        actor: Actor { name: "ann".into(), role: Role::Operator, email: None },
        why: None,
        pipeline: "shop".into(),
        deed: Deed::Hold { tier: None },
    };
    stand.engine.ask(hold.clone()).await.unwrap_err();
    stand.get("/readyz").await.is_problem(503, "TG-JOURNAL-004");
    let json = stand.get("/api/state").await.json();
    assert_eq!(
        (json["standstill"]["code"].as_str(), json["standstill"]["disk_full"].as_bool()),
        (Some("TG-JOURNAL-004"), Some(true))
    );
    stand.engine.ask(hold).await.unwrap();
    let begin = std::time::Instant::now();
    while stand.get("/readyz").await.status != 200 {
        assert!(begin.elapsed() < super::stand::PATIENCE, "it becomes ready again");
    }
}

#[tokio::test]
async fn one_that_is_about_to_stop_is_not_ready() {
    let stand = Stand::new().await;
    let mut stream = stand.connect().await;
    let head = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", stand.addr);
    stream.write_all(head.as_bytes()).await.unwrap();
    // Whoever comes later is let in later.
    assert_eq!(stand.get("/healthz").await.status, 200);
    stand.shutdown.cancel();
    stream.write_all(b"\r\n").await.unwrap();
    let answer = stand.answer_within(&mut stream, super::stand::PATIENCE).await.expect("an answer");
    answer.is_problem(503, "TG-HTTP-016");
    assert_eq!(answer.header("retry-after"), "1");
}
