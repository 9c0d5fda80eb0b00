//! `GET /metrics`, as Prometheus reads it.

use super::sockets::open;
use super::stand::{Setup, Stand};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command as Process, Stdio};
use tidegate::domain::*;
use tidegate::settings::ReadAccess;

/// What a scraper makes of the text: families by name, samples by name and labels. It is strict, so that a text that
/// some scraper could misread is seen here.
struct Scraped {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Scraped {
    fn read(text: &str) -> Scraped {
        let mut scraped = Scraped { kinds: BTreeMap::new(), samples: BTreeMap::new() };
        let mut helped = String::new();
        let mut family = String::new();
        assert!(text.ends_with('\n'), "the last line ends, too");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and words");
                assert!(is_name(name) && help.len() > 3, "{line}");
                helped = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                assert_eq!(name, helped, "help comes first");
                assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(scraped.kinds.insert(name.into(), kind.into()).is_none(), "{name} is there twice");
                family = name.to_owned();
            } else {
                scraped.sample(line, &family);
            }
        }
        scraped
    }

    fn sample(&mut self, line: &str, family: &str) {
        let name_end = line.find(['{', ' ']).expect("a name");
        let name = &line[..name_end];
        let base = match self.kinds[family].as_str() {
            "summary" => {
                name.strip_suffix("_sum").or(name.strip_suffix("_count")).expect("a part of a summary")
            }
            _ => name,
        };
        assert_eq!(base, family, "{line}");
        let (labels, value) = match line[name_end..].strip_prefix('{') {
            Some(rest) => labels(rest),
            None => (Vec::new(), &line[name_end..]),
        };
        let value: f64 = value.strip_prefix(' ').expect("one space").parse().expect("a number");
        let labels: Vec<String> = labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let key = format!("{name} {}", labels.join(" "));
        assert!(self.samples.insert(key.trim_end().into(), value).is_none(), "{line} is there twice");
    }

    #[track_caller]
    fn get(&self, key: &str) -> f64 {
        *self.samples.get(key).unwrap_or_else(|| panic!("{key} is not among {:#?}", self.samples))
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The labels after a brace, and what follows the closing one.
fn labels(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name), "{name}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("a closing quote") {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().expect("what is escaped").1 {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    other => panic!("\\{other} means nothing"),
                }),
                (_, plain) => value.push(plain),
            }
        };
        found.push((name.to_owned(), value));
        match after[end + 1..].strip_prefix(',') {
            Some(next) => rest = next,
            None => return (found, after[end + 1..].strip_prefix('}').expect("a closing brace")),
        }
    }
}

async fn scrape(stand: &Stand) -> Scraped {
    let answer = stand.get("/metrics").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    Scraped::read(&answer.text())
}

#[tokio::test]
async fn what_is_true_and_what_happened_are_numbers() {
    let stand = Stand::new().await;
    // Those before the server counts.
    let events_before = stand.engine.journal().last_id().0 as f64;
    stand.load("shop", "/nowhere").await;
    let before = scrape(&stand).await;
    assert_eq!(before.get("tidegate_versions_waiting pipeline=shop tier=prod"), 0.0);
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    stand.post("/api/pipelines/shop/tiers/prod/hold", "{}").await;
    let _subscriber = open(&stand, "").await;
    stand.engine.settled().await.unwrap();
    let now = scrape(&stand).await;
    for (key, value) in [
        ("tidegate_builds_total pipeline=shop result=ok", 1.0),
        ("tidegate_build_steps_total pipeline=shop classification=ok", 1.0),
        ("tidegate_gates_total pipeline=shop tier=host classification=ok", 1.0),
        ("tidegate_gate_duration_seconds_count pipeline=shop tier=host", 1.0),
        ("tidegate_promotions_total pipeline=shop tier=host end=complete", 1.0),
        ("tidegate_events_total kind=rebuild_requested", 1.0),
        ("tidegate_versions_waiting pipeline=shop tier=prod", 1.0),
        ("tidegate_blockers pipeline=shop tier=prod kind=confirm_missing", 1.0),
        ("tidegate_blockers pipeline=shop tier=prod kind=hold", 1.0),
        ("tidegate_held pipeline=shop tier=prod", 1.0),
        ("tidegate_pipelines", 1.0),
        ("tidegate_definitions_rejected", 0.0),
        ("tidegate_runs_in_flight task=step", 0.0),
        ("tidegate_jobs", 4.0),
        ("tidegate_subscribers", 1.0),
        ("tidegate_subscribers_lagged_total", 0.0),
        ("tidegate_ready", 1.0),
        ("tidegate_http_requests_total path=/metrics method=GET status=2xx", 1.0),
        (
            "tidegate_http_requests_total path=/api/pipelines/{pipeline}/tiers/{tier}/{action} method=POST status=2xx",
            1.0,
        ),
    ] {
        assert_eq!(now.get(key), value, "{key}");
    }
    let last = stand.engine.read(|state| state.last.0);
    assert_eq!(now.get("tidegate_journal_last_event_id"), last as f64);
    assert!(now.get("tidegate_current_version_age_seconds pipeline=shop tier=host") >= 0.0);
    assert!(now.get("process_resident_memory_bytes") > 1e6);
    assert!(now.get("tidegate_disk_free_bytes") > 0.0);
    assert!(now.get("process_start_time_seconds") > 1.7e9);
    // What is counted only grows, and counts once however often it is asked for.
    let again = scrape(&stand).await;
    assert_eq!(again.get("tidegate_builds_total pipeline=shop result=ok"), 1.0);
    for (key, value) in now.samples.iter().filter(|(key, _)| key.contains("_total")) {
        assert!(again.get(key) >= *value, "{key}");
    }
    let events = |scraped: &Scraped| -> f64 {
        let counted = scraped.samples.iter().filter(|(key, _)| key.starts_with("tidegate_events_total"));
        counted.map(|(_, value)| value).sum()
    };
    assert_eq!(events(&again), last as f64 - events_before, "each event since the start, once");
}

#[tokio::test]
async fn what_fails_and_what_runs_are_numbers_too() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    stand.until("it runs", |state| !state.running.is_empty()).await;
    let running = scrape(&stand).await;
    assert_eq!(running.get("tidegate_runs_in_flight task=step"), 1.0);
    assert_eq!(running.get("tidegate_jobs_busy"), 1.0);
    let run = stand.engine.read(|state| *state.running.keys().next().unwrap());
    stand.hands.let_go(run, Outcome::of(Classification::CompileError));
    stand.until("it failed", |state| state.pipelines["shop"].build.is_none()).await;
    stand.engine.settled().await.unwrap();
    stand.get("/nowhere").await;
    stand.send("BREW", "/metrics", &[], b"").await;
    let after = scrape(&stand).await;
    assert_eq!(after.get("tidegate_builds_total pipeline=shop result=failed"), 1.0);
    assert_eq!(after.get("tidegate_build_steps_total pipeline=shop classification=compile_error"), 1.0);
    assert_eq!(after.get("tidegate_http_requests_total path=none method=GET status=4xx"), 1.0);
    assert_eq!(after.get("tidegate_http_requests_total path=/metrics method=other status=4xx"), 1.0);
}

#[tokio::test]
async fn names_from_outside_stay_within_their_quotes() {
    let stand = Stand::new().await;
    // The state is shown as it is in the journal, whatever rules for names there were.
    let name = "a\"} 1\nevil{x=\"\\";
    stand.load(name, "/nowhere").await;
    let scraped = scrape(&stand).await;
    assert_eq!(scraped.get(&format!("tidegate_builds_queued pipeline={name}")), 0.0);
    assert!(!scraped.samples.keys().any(|key| key.starts_with("evil")));
}

#[tokio::test]
async fn openmetrics_is_written_for_who_asks_and_tokens_are_asked_for() {
    let stand = Stand::with(Setup { read: ReadAccess::Token, ..Setup::default() }).await;
    stand.get("/metrics").await.is_problem(401, "TG-AUTH-001");
    let token = stand.token("prometheus", Role::Viewer, None);
    let head = [
        ("authorization", format!("Bearer {token}")),
        (
            "accept",
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4".to_owned(),
        ),
    ];
    let answer = stand.send("GET", "/metrics", &head, b"").await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text();
    assert!(
        text.ends_with("\n# EOF\n") && text.contains("# TYPE tidegate_http_requests counter\n"),
        "{text}"
    );
    assert!(
        text.contains("tidegate_http_requests_total{path=\"/metrics\",method=\"GET\",status=\"4xx\"} 1\n")
    );
    let head = [("authorization", format!("Bearer {token}"))];
    stand.send("GET", "/metrics?match=x", &head, b"").await.is_problem(400, "TG-HTTP-008");
}

/// Prometheus itself, where its tool is.
#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let text = stand.get("/metrics").await.body;
    let tool = Process::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        println!("not tried: promtool is not installed");
        return;
    };
    tool.stdin.take().unwrap().write_all(&text).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
