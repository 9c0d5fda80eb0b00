//! What pages and scripts read beside the state: history, a version's story, measures, definitions, two tiers side by side,
//! the lines of a log, and the page itself.

use super::stand::Stand;
use serde_json::Value;

async fn delivered() -> Stand {
    let stand = Stand::new().await;
    stand.load("shop", "https://ann:secret@git.example/shop.git").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    stand
}

fn kinds(page: &Value) -> Vec<&str> {
    page["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn history_goes_backwards_page_by_page_and_misses_nothing() {
    let stand = delivered().await;
    let whole = stand.get("/api/history?limit=1000").await.json();
    let ids: Vec<u64> =
        whole["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.windows(2).all(|two| two[0] == two[1] + 1) && *ids.last().unwrap() == 1, "{ids:?}");
    assert!(whole["before"].is_null());
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = stand.get(&format!("/api/history?limit=3{before}")).await.json();
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()));
        let Some(next) = page["before"].as_u64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(seen, ids);
    let gates = stand.get("/api/history?kind=gate_*&pipeline=shop").await.json();
    assert_eq!(kinds(&gates), ["gate_done", "gate_start"]);
    let found = stand.get("/api/history?text=CHECK&kind=gate_done").await.json();
    assert_eq!(kinds(&found), ["gate_done"]);
    assert!(kinds(&stand.get("/api/history?by=true").await.json()).is_empty());
    stand.post("/api/pipelines/shop/hold", r#"{"why":"lunch"}"#).await;
    let by_hand = stand.get("/api/history?by=true").await.json();
    assert!(by_hand["events"].as_array().unwrap().iter().all(|event| event["by"] == "owner"), "{by_hand}");
    assert!(kinds(&by_hand).contains(&"hold_set"), "{by_hand}");
    for bad in ["limit=0", "limit=1001", "kind=a*b", "before=x", "nothing=1"] {
        stand.get(&format!("/api/history?{bad}")).await.is_problem(400, "TG-HTTP-008");
    }
    stand.stop().await;
}

#[tokio::test]
async fn a_versions_story_has_all_that_happened_to_it_and_nothing_else() {
    let stand = delivered().await;
    stand.push("shop", '2').await;
    stand.until_passed("shop", "host", "1.0.2").await;
    let story = stand.get("/api/pipelines/shop/versions/1.0.1").await.json();
    assert_eq!(story["version"]["version"], "1.0.1");
    let kinds = kinds(&story);
    assert_eq!(kinds[..2], ["rebuild_requested", "build_start"]);
    for kind in
        ["step_start", "build_ok", "promote_start", "gate_done", "promote_complete", "promote_blocked"]
    {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }
    let others = story["events"].as_array().unwrap().iter().filter(|event| event["version"] == "1.0.2");
    assert_eq!(others.count(), 0);
    stand.get("/api/pipelines/shop/versions/9.9.9").await.is_problem(404, "TG-ASK-004");
    stand.get("/api/pipelines/nope/versions/1.0.1").await.is_problem(404, "TG-ASK-001");
    stand.stop().await;
}

#[tokio::test]
async fn a_definition_is_shown_as_it_was_written_but_for_a_password() {
    let stand = delivered().await;
    let text = stand.get("/api/pipelines/shop/definition").await;
    assert!(!text.text().contains("secret"), "{}", text.text());
    let json = text.json();
    assert_eq!((json["file"].as_str(), json["digest"].as_str()), (Some("shop.toml"), Some("sha256:shop")));
    assert!(json["text"].as_str().unwrap().contains("git.example/shop.git"), "{json}");
    stand.get("/api/pipelines/nope/definition").await.is_problem(404, "TG-ASK-001");
    stand.stop().await;
}

#[tokio::test]
async fn measures_are_counted_and_two_tiers_stand_side_by_side() {
    let stand = delivered().await;
    stand.post("/api/pipelines/shop/tiers/prod/confirm", r#"{"version":"1.0.1"}"#).await;
    stand.post("/api/pipelines/shop/tiers/prod/promote", r#"{"version":"1.0.1"}"#).await;
    stand.until_passed("shop", "prod", "1.0.1").await;
    let measures = stand.get("/api/measures?days=7").await.json();
    assert_eq!(
        (measures["deployments"]["count"].as_u64(), measures["lead_time"]["count"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(measures["gates"][0]["name"], "check");
    let waited: Vec<&str> =
        measures["waiting"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(waited.contains(&"manual") && waited.contains(&"confirm_missing"), "{measures}");
    assert_eq!(stand.get("/api/measures?pipeline=other").await.json()["deployments"]["count"], 0);
    stand.get("/api/measures?days=0").await.is_problem(400, "TG-HTTP-008");

    let same = stand.get("/api/pipelines/shop/compare?from=host&to=prod").await.json();
    assert_eq!(
        (same["from"]["version"].as_str(), same["to"]["version"].as_str()),
        (Some("1.0.1"), Some("1.0.1"))
    );
    stand.get("/api/pipelines/shop/compare?from=host").await.is_problem(400, "TG-HTTP-008");
    stand.get("/api/pipelines/shop/compare?from=host&to=nope").await.is_problem(404, "TG-ASK-002");
    stand.stop().await;
}

#[tokio::test]
async fn the_lines_of_a_log_are_found_without_loading_it() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    stand.until("it runs", |state| !state.running.is_empty()).await;
    let run = stand.engine.read(|state| *state.running.keys().next().unwrap());
    let text: String = (1..=2_000).map(|number| format!("line {number} of it\n")).collect();
    std::fs::write(stand.hands.log("shop", run), &text).unwrap();
    let index = stand.get(&format!("/api/runs/{run}/log/index")).await.json();
    assert_eq!((index["lines"].as_u64(), index["bytes"].as_u64()), (Some(2_000), Some(text.len() as u64)));
    let pages: Vec<(u64, u64)> = serde_json::from_value(index["pages"].clone()).unwrap();
    assert_eq!(pages.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [0, 500, 1_000, 1_500]);
    let (line, from) = pages[3];
    assert!(text[from as usize..].starts_with("line 1501 of"));
    let rest = stand.get(&format!("/api/runs/{run}/log/index?line={line}&from={from}")).await.json();
    assert_eq!((rest["lines"].as_u64(), rest["pages"][0][1].as_u64()), (Some(2_000), Some(from)));
    let find = async |query: &str| {
        stand.get(&format!("/api/runs/{run}/log/find?{query}")).await.json()["line"].as_u64()
    };
    assert_eq!(find("text=LINE%2077%20").await, Some(77));
    assert_eq!(find("text=line&line=77").await, Some(78));
    assert_eq!(find("text=line&line=77&backwards=true").await, Some(76));
    assert_eq!(find("text=nowhere").await, None);
    stand.get(&format!("/api/runs/{run}/log/find?text=")).await.is_problem(400, "TG-HTTP-008");
    stand.stop().await;
}

#[tokio::test]
async fn the_page_runs_its_own_scripts_only_and_its_files_are_for_ever() {
    let stand = Stand::new().await;
    for path in ["/", "/ui/waiting", "/ui/pipelines/a%20b/versions/%3Cscript%3E"] {
        let page = stand.get(path).await;
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!page.text().contains("<script>"), "nothing of the address is in the page");
    }
    let page = stand.get("/").await.text();
    let main = page.split('"').find(|one| one.ends_with("/main.js")).unwrap().to_owned();
    let script = stand.get(&main).await;
    assert!(script.header("cache-control").contains("immutable"), "{:?}", script.headers);
    let tag = [("if-none-match", script.header("etag").to_owned())];
    assert_eq!(stand.send("GET", &main, &tag, b"").await.status, 304);
    stand.get("/assets/0000000000000000/main.js").await.is_problem(404, "TG-HTTP-009");
    // All of it together, as it is sent; `docs/benchmarks.md` says how much it may be.
    let mut bytes = page.len();
    for path in
        page.split('"').filter(|one| one.starts_with("/assets/")).collect::<std::collections::BTreeSet<_>>()
    {
        bytes += stand.get(path).await.body.len();
    }
    assert!(bytes <= 160 << 10, "{bytes}");
    stand.stop().await;
}
