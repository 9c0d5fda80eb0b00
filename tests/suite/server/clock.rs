//! What schedules ask for, with real repositories and a clock that is told.

use super::pushes::{Work, label};
use super::stand::{Setup, Stand};
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate::clock::SimulatedClock;
use tidegate::domain::{PipelineName, State};

/// A controller at nine in the morning.
async fn stand() -> (Stand, SimulatedClock) {
    let clock = SimulatedClock::at("2026-11-23T09:00:00Z".parse().unwrap());
    let setup = Setup { clock: Arc::new(clock.clone()), ..Setup::default() };
    (Stand::with(setup).await, clock)
}

/// A pipeline of that repository that builds each of these refs at three in the morning.
async fn load(stand: &Stand, name: &str, work: &Work, refs: &[&str]) {
    let schedules = refs.iter().map(|name| json!({"cron": "0 3 * * *", "zone": "UTC", "ref": name}));
    let schedules: Vec<Value> = schedules.collect();
    stand.load_with(name, &work.text(), |json| json["schedule"] = json!(schedules)).await;
}

/// Puts the clock to that moment, and lets the engine look at it.
async fn put(stand: &Stand, clock: &SimulatedClock, moment: &str) {
    clock.set(moment.parse().unwrap());
    let held = stand.post("/api/pipelines/shop/hold", "{}").await;
    assert_eq!(held.status, 200, "{}", held.text());
    stand.post("/api/pipelines/shop/resume", "{}").await;
}

/// That nothing is owed any more.
fn is_done(name: &'static str) -> impl Fn(&State) -> bool {
    let name = PipelineName::from(name);
    move |state| {
        let schedules = &state.pipelines[&name].schedules;
        schedules.iter().all(|it| it.owed.is_none() && it.last.is_some())
    }
}

async fn events(stand: &Stand, kind: &str) -> Vec<Value> {
    let lines = stand.get(&format!("/api/events?kind={kind}")).await.text();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_head_of_the_ref_is_built_at_its_time_whether_or_not_it_is_new() {
    let work = Work::new();
    let sha = work.git(&["rev-parse", "HEAD"]);
    let (stand, clock) = stand().await;
    load(&stand, "shop", &work, &["main"]).await;
    let body = format!(r#"{{"sha":"{sha}","ref":"refs/heads/main"}}"#);
    stand.post("/rebuild", &body).await;
    stand.until_passed("shop", "host", &label(&sha)).await;
    let view = stand.get("/api/pipelines/shop").await.json();
    let coming = json!([{"cron": "0 3 * * *", "zone": "UTC", "ref": "main", "next": "2026-11-24T03:00:00Z"}]);
    assert_eq!(view["pipeline"]["schedules"], coming);
    put(&stand, &clock, "2026-11-24T03:00:01Z").await;
    let again = format!("{}+20261124.0300", label(&sha));
    stand.until_passed("shop", "host", &again).await;
    let requests = events(&stand, "rebuild_requested").await;
    let [_, asked] = requests.as_slice() else { panic!("{requests:?}") };
    let told = ["sha", "ref", "by", "why", "anew"].map(|field| asked[field].clone());
    let expected = [json!(sha), json!("refs/heads/main"), json!("schedule"), json!("0 3 * * *"), json!(true)];
    assert_eq!(told, expected);
    let view = stand.get("/api/pipelines/shop").await.json()["pipeline"]["schedules"][0].clone();
    assert_eq!(view["next"], "2026-11-25T03:00:00Z");
    assert_eq!(view["last"]["due"], "2026-11-24T03:00:00Z", "{view}");
    // A commit that nobody told of.
    let new = work.commit("README", "two");
    put(&stand, &clock, "2026-11-25T03:00:01Z").await;
    stand.until("built", move |state| state.pipelines["shop"].by_sha.contains_key(&*new)).await;
    assert_eq!(events(&stand, "rebuild_requested").await[2]["anew"], Value::Null);
}

#[tokio::test]
async fn a_branch_a_tag_or_head_is_built_and_what_is_not_there_is_said() {
    let work = Work::new();
    let sha = work.git(&["rev-parse", "HEAD"]);
    work.git(&["tag", "-a", "v1", "-m", "One"]);
    let side = work.commit("README", "side");
    work.git(&["branch", "side"]);
    let tip = work.commit("README", "tip");
    let (stand, clock) = stand().await;
    let refs = [("branch", "side"), ("tag", "v1"), ("full", "refs/heads/main"), ("gone", "nowhere")];
    for (name, of) in refs {
        load(&stand, name, &work, &[of]).await;
    }
    stand
        .load_with("head", &work.text(), |json| {
            json["schedule"] = json!([{"cron": "0 3 * * *", "zone": "UTC"}]);
        })
        .await;
    clock.set("2026-11-24T03:00:01Z".parse().unwrap());
    for name in ["branch", "tag", "full", "gone", "head"] {
        stand.post(&format!("/api/pipelines/{name}/hold"), "{}").await;
        stand.until(name, is_done(name)).await;
    }
    let requests = events(&stand, "rebuild_requested").await;
    let of = |name: &str| {
        let asked = requests.iter().find(|asked| asked["pipeline"] == name)?;
        Some((asked["ref"].as_str()?.to_owned(), asked["sha"].as_str()?.to_owned()))
    };
    assert_eq!(of("branch"), Some(("refs/heads/side".into(), side)));
    assert_eq!(of("tag"), Some(("refs/tags/v1".into(), sha)));
    assert_eq!(of("full"), Some(("refs/heads/main".into(), tip.clone())));
    assert_eq!(of("head"), Some(("refs/heads/main".into(), tip)));
    assert_eq!(of("gone"), None);
    let view = stand.get("/api/pipelines/gone").await.json();
    let reason = &view["pipeline"]["schedules"][0]["last"]["reason"];
    assert_eq!(reason, "there is no branch or tag `nowhere`");
}

#[tokio::test]
async fn a_repository_that_cannot_be_asked_is_owed_a_look() {
    let work = Work::new();
    let (stand, clock) = stand().await;
    load(&stand, "shop", &work, &["main"]).await;
    let (there, away) = (work.path().join(".git"), work.path().join("away"));
    std::fs::rename(&there, &away).unwrap();
    put(&stand, &clock, "2026-11-24T03:00:01Z").await;
    stand.until("owed", |state| state.pipelines["shop"].schedules[0].owed.is_some()).await;
    let view = stand.get("/api/pipelines/shop").await.json();
    assert_eq!(view["pipeline"]["schedules"][0]["owed"], "2026-11-24T03:00:00Z", "{view}");
    assert_eq!(events(&stand, "schedule_done").await, Vec::<Value>::new());
    // The next time takes its place, and once the repository is there again that is built for, once.
    put(&stand, &clock, "2026-11-25T03:00:01Z").await;
    std::fs::rename(&away, &there).unwrap();
    stand.until("done", is_done("shop")).await;
    assert_eq!(events(&stand, "schedule_due").await.len(), 2);
    assert_eq!(events(&stand, "schedule_done").await.len(), 1);
    assert_eq!(events(&stand, "rebuild_requested").await.len(), 1);
}
