//! The controller, the process that runs its steps, or both are killed (SIGKILL) at random instants while pushes, deliveries of a forge, confirmations, saves of the
//! pipeline, gates and deploys go on; then everything that it said, and everything that the steps wrote into a ledger, must fit together.
//!
//! `TIDEGATE_KILLS=N` kills so often, `TIDEGATE_KILL_SEED=S` draws other instants.

use super::load::{Acknowledged, Load, at_a_forge};
use super::world::{World, those_with};
use crate::deliveries::SHOP_URL;
use crate::simulation::Chance;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Kills in an ordinary run.
const KILLS: u64 = 200;

/// Every step writes a line when it begins and when it ends, and takes a while in between.
const LEDGERED: &str = r#"
[source]
repo = "$URL"
refs = ["main", "hooked"]
poll = "0s"

[build]
artifacts = ["out.txt"]

[[build.step]]
name = "make"
run = "L=$PLACE/ledger; echo start $TIDEGATE_RUN_ID >> $L; sleep 0.02; cp VERSION out.txt; echo end $TIDEGATE_RUN_ID >> $L"

[[build.step]]
name = "pack"
run = "L=$PLACE/ledger; echo start $TIDEGATE_RUN_ID >> $L; sleep 0.01; echo end $TIDEGATE_RUN_ID >> $L"

[[tier]]
name = "host"

[[tier.gate]]
name = "one"
kind = "command"
run = "L=$PLACE/ledger; echo start $TIDEGATE_RUN_ID >> $L; sleep 0.03; echo end $TIDEGATE_RUN_ID >> $L"

[[tier.gate]]
name = "two"
kind = "command"
run = "L=$PLACE/ledger; echo start $TIDEGATE_RUN_ID >> $L; sleep 0.01; echo end $TIDEGATE_RUN_ID >> $L"

[[tier]]
name = "staging"

[[tier.node]]
name = "s1"

[[tier.node]]
name = "s2"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "$PLACE/$TIDEGATE_NODE/" }]
run = "L=$PLACE/ledger; echo start $TIDEGATE_RUN_ID >> $L; sleep 0.02; echo end $TIDEGATE_RUN_ID >> $L"
max_failures = 1

[[tier.gate]]
name = "three"
kind = "command"
phase = "verify"
run = "L=$PLACE/ledger; echo start $TIDEGATE_RUN_ID >> $L; echo end $TIDEGATE_RUN_ID >> $L"

[[tier]]
name = "prod"

[tier.promote]
confirm = { count = 1 }

[[tier.gate]]
name = "four"
kind = "command"
run = "L=$PLACE/ledger; echo start $TIDEGATE_RUN_ID >> $L; echo end $TIDEGATE_RUN_ID >> $L"
"#;

#[test]
fn nothing_acknowledged_is_lost_however_often_the_controller_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("TIDEGATE_KILLS").unwrap_or(KILLS);
    let seed = number("TIDEGATE_KILL_SEED").unwrap_or(1);
    // Shown when the test fails.
    println!("TIDEGATE_KILL_SEED={seed} TIDEGATE_KILLS={kills}");
    let mut chance = Chance::new(seed);
    let pipeline = LEDGERED.replace("$URL", SHOP_URL);
    let mut world = World::unborn(&pipeline);
    at_a_forge(&world);
    let commits: Vec<String> = (0..=kills / 2).map(|n| world.commit(&format!("1.0.{n}"), &[])).collect();
    let delivered: Vec<String> = (0..kills / 2).map(|n| world.commit(&format!("2.0.{n}"), &[])).collect();
    world.git("work", &["push", "-q", "origin", "main:refs/heads/store"]);
    world.start();
    world.wait("pipeline_loaded", &[]);
    let (say, acknowledged) = channel();
    let load = Load::begin(&world, delivered, &pipeline, say.clone());
    let mut pushes = Vec::new();
    for life in 0..kills {
        if life % 2 == 0 {
            pushes.push(push(&world, &commits[life as usize / 2], say.clone()));
        }
        std::thread::sleep(Duration::from_millis(chance.next() % 240));
        // The controller, what runs its steps, or both.
        match chance.next() % 4 {
            0 => {
                world.kill_runner();
                continue;
            }
            1 => world.kill_all(),
            _ => world.kill(),
        }
        world.hear_the_rest();
        world.start();
    }
    load.calm();
    pushes.push(push(&world, &commits[commits.len() - 1], say));
    pushes.into_iter().for_each(|push| push.join().expect("an answer, or none"));
    rest(&world);
    load.end();
    world.hear_the_rest_so_far();
    let journal = journal(&world);
    judge_stream(&world, &journal);
    judge_acknowledged(&acknowledged, &journal);
    judge_runs(&world, &journal);
    judge_promotions(&journal);
    assert_eq!(world.stop(), 0);
    assert!(those_with(&world.path("state/logs")).is_empty(), "no process is left");
}

/// Tells of a push, as the hook does; what is answered counts.
fn push(world: &World, sha: &str, say: Sender<Acknowledged>) -> JoinHandle<()> {
    let url = format!("http://{}/rebuild", world.address);
    let token = world.read("state/token");
    let body = json!({"sha": sha, "ref": "refs/heads/main", "pipeline": "shop"}).to_string();
    let sha = sha.to_owned();
    std::thread::spawn(move || {
        let request = ureq::post(&url).header("Authorization", format!("Bearer {}", token.trim()));
        let Ok(mut answer) = request.header("Content-Type", "application/json").send(body) else { return };
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(id) = answer["accepted"][0]["id"].as_u64() {
            say.send(("rebuild_requested", sha, id)).expect("somebody counts");
        }
    })
}

/// Waits until nothing follows any more.
fn rest(world: &World) {
    let begin = Instant::now();
    loop {
        let state = world.get("/api/pipelines/shop");
        let p = &state["pipeline"];
        let tiers = p["tiers"].as_array().expect("tiers");
        // Two kills within one rollout fail more nodes than it may lose: it goes back, and waits for somebody to look.
        for held in tiers.iter().filter(|tier| tier["hold"]["of_rollback"] == true) {
            world.good(&["resume", "shop", held["name"].as_str().expect("a name")]);
        }
        let is_quiet = |tier: &Value| {
            ["inside", "going_back", "redeploy"].iter().all(|key| tier[*key].is_null())
                && tier["waiting"].as_array().is_some_and(Vec::is_empty)
        };
        let newest_is_done = p["versions"][0]["stage"] != "building";
        if p["build"].is_null() && p["queue"] == json!([]) && newest_is_done && tiers.iter().all(is_quiet) {
            return;
        }
        // What could not be done is tried again after a minute.
        assert!(begin.elapsed() < Duration::from_secs(180), "it does not come to rest: {state:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn journal(world: &World) -> Vec<Value> {
    let text = String::from_utf8(world.bytes("/api/events?since=0")).expect("text");
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Numbers without a hole, and what a subscriber saw before a kill stands in the journal as it was.
fn judge_stream(world: &World, journal: &[Value]) {
    let ids: Vec<u64> = journal.iter().map(|event| event["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "a hole");
    let mut last = 0;
    for event in world.heard.iter().filter(|event| event["id"].is_u64()) {
        let id = event["id"].as_u64().expect("a number");
        assert_eq!(*event, journal[id as usize - 1], "what was said is not what is kept");
        assert_eq!(
            id,
            last + 1,
            "a subscriber that goes on with `since` misses nothing and gets nothing twice"
        );
        last = id;
    }
}

fn judge_acknowledged(acknowledged: &Receiver<Acknowledged>, journal: &[Value]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let ended: BTreeSet<u64> = journal.iter().filter_map(|event| event["request"].as_u64()).collect();
    for (kind, about, id) in acknowledged.try_iter() {
        let event = &journal[id as usize - 1];
        let field = if kind == "manual_confirm" { "version" } else { "sha" };
        assert_eq!((&event["kind"], &event[field]), (&json!(kind), &json!(about)));
        assert!(
            kind != "rebuild_requested" || ended.contains(&id),
            "request {id} has neither a build nor an end"
        );
        *counts.entry(kind).or_default() += 1;
    }
    let by_a_forge = |event: &&Value| event["by"].as_str().is_some_and(|by| by.starts_with("github"));
    let deliveries = journal.iter().filter(by_a_forge).count();
    let loads = journal.iter().filter(|event| event["kind"] == "pipeline_loaded").count();
    println!("acknowledged: {counts:?}; {deliveries} deliveries, {loads} loads");
    assert!(counts.len() == 2 && deliveries > 0 && loads > 1, "pushes, deliveries, confirmations and saves");
    let mut building: Option<&Value> = None;
    for event in journal {
        match event["kind"].as_str() {
            Some("build_start") => assert!(building.replace(event).is_none(), "two builds at once"),
            Some("build_ok" | "build_failed") => {
                let begun = building.take().unwrap_or_else(|| panic!("an end without a build: {event}"));
                assert_eq!(begun["version"], event["version"]);
            }
            // One that had not begun may be of another ref than the one under way.
            Some("build_aborted") if building.is_some_and(|begun| begun["sha"] == event["sha_aborted"]) => {
                building = None;
            }
            _ => {}
        }
    }
    assert!(building.is_none(), "a build without an end");
}

pub(crate) fn judge_runs(world: &World, journal: &[Value]) {
    let mut started: BTreeMap<u64, &Value> = BTreeMap::new();
    let mut ended: BTreeMap<u64, &Value> = BTreeMap::new();
    for event in journal {
        let Some(run) = event["run_id"].as_u64() else { continue };
        match event["kind"].as_str().expect("a kind") {
            "step_start" | "gate_start" | "deploy_start" => {
                assert!(started.insert(run, event).is_none(), "run {run} has two starts");
            }
            "step_done" | "gate_done" | "deploy_ok" | "deploy_failed" => {
                assert!(started.contains_key(&run), "run {run} ends without a start");
                assert!(ended.insert(run, event).is_none(), "run {run} has two ends");
            }
            _ => {}
        }
    }
    let open: Vec<&u64> = started.keys().filter(|run| !ended.contains_key(run)).collect();
    assert!(open.is_empty(), "runs without an end: {open:?}");
    let mut begun = BTreeSet::new();
    let mut done = BTreeSet::new();
    for line in world.read("place/ledger").lines() {
        let (word, run) = line.split_once(' ').expect("a word and a run");
        let run: u64 = run.parse().expect("a run");
        assert!(started.contains_key(&run), "run {run} began without being in the journal");
        match word {
            "start" => assert!(begun.insert(run), "run {run} began twice"),
            _ => assert!(done.insert(run), "run {run} ended twice"),
        }
    }
    for (run, event) in &ended {
        let passed = event["kind"] == "deploy_ok" || event["outcome"]["status"] == "pass";
        assert!(!passed || done.contains(run), "run {run} passed, and never came to its end: {event}");
    }
}

/// One version inside a tier at a time, each entry ended before the next, none completed twice.
pub(crate) fn judge_promotions(journal: &[Value]) {
    let mut inside: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut current: BTreeMap<&str, &Value> = BTreeMap::new();
    for event in journal {
        let (Some(tier), version) = (event["tier"].as_str(), &event["version"]) else { continue };
        match event["kind"].as_str().expect("a kind") {
            "promote_start" => {
                assert_eq!(inside.insert(tier, version), None, "{version} enters {tier} beside another")
            }
            "promote_complete" => {
                assert_eq!(
                    inside.remove(tier),
                    Some(version),
                    "{version} passes {tier} without being inside"
                );
                assert_ne!(current.insert(tier, version), Some(version), "{version} passes {tier} twice");
            }
            "promote_failed" => drop(inside.remove(tier)),
            "promote_blocked" if event["stepped_back"] == true => drop(inside.remove(tier)),
            _ => {}
        }
    }
    assert!(inside.is_empty(), "still inside: {inside:?}");
}
