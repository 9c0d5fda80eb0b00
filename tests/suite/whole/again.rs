//! A controller that starts again: with the same words in the folder where it was, killed while it starts, killed while it
//! forgets what is old. Kills while it works are `killing.rs`.

use super::SHOP;
use super::world::World;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// What a person may ask, as `curl` would.
fn post(world: &World, path: &str, body: &Value) -> Value {
    let token = world.read("state/token");
    let answer = ureq::post(format!("http://{}{path}", world.address))
        .header("Authorization", format!("Bearer {}", token.trim()))
        .header("Content-Type", "application/json")
        .send(body.to_string());
    serde_json::from_str(&answer.expect("it is taken").body_mut().read_to_string().expect("text"))
        .expect("JSON")
}

/// Starts the controller without waiting for it, and kills it after so long.
fn killed_after(world: &World, life: Duration) {
    let mut program = world.program();
    program.args(["serve", "--listen", &world.address, "--pipelines", "pipelines", "--jobs", "4"]);
    program.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = program.spawn().expect("it starts");
    // Moments are what this is about.
    std::thread::sleep(life);
    child.kill().expect("killed");
    child.wait().expect("gone");
}

#[test]
fn paths_that_mean_another_folder_mean_it_after_a_kill_too() {
    let mut world = World::unborn(SHOP);
    fs::create_dir(world.path("there")).expect("a folder");
    fs::rename(world.path("pipelines"), world.path("there/pipelines")).expect("moved");
    fs::write(world.path("there/tidegate.toml"), "[retention]\nversions = 7\n").expect("settings");
    let start = |world: &mut World| {
        let mut program = world.program();
        program.current_dir(world.path("there")).env("TIDEGATE_STATE", "../state");
        world.start_by(program);
    };
    start(&mut world);
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    world.kill();
    start(&mut world);
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    assert_eq!(world.read("place/staging/out.txt"), "1.1.0");
    let beside: Vec<_> = fs::read_dir(world.path("there")).expect("a folder").flatten().collect();
    assert_eq!(beside.len(), 2, "nothing else came to be where it was started: {beside:?}");
}

#[test]
fn a_start_on_a_long_journal_that_is_killed_changes_nothing() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    for _ in 0..600 {
        post(&world, "/api/pipelines/shop/hold", &json!({"why": "because"}));
        post(&world, "/api/pipelines/shop/resume", &json!({}));
    }
    let (state, events) = (world.get("/api/pipelines/shop"), world.bytes("/api/events?since=0"));
    world.kill_all();
    let begin = Instant::now();
    world.start();
    let whole = begin.elapsed();
    world.kill_all();
    for nth in 0..24 {
        killed_after(&world, whole * nth / 24);
    }
    world.start();
    let now = world.get("/api/pipelines/shop");
    assert_eq!(now["pipeline"]["tiers"], state["pipeline"]["tiers"]);
    assert_eq!(now["pipeline"]["versions"], state["pipeline"]["versions"]);
    let after = world.bytes("/api/events?since=0");
    assert!(after.starts_with(&events), "what was there is there, byte for byte");
    world.stop();
    let (exit, said) = world.says(&["verify-journal"]);
    assert_eq!(exit, 0, "{said}");
}

#[test]
fn what_is_current_outlives_kills_while_old_things_are_forgotten() {
    let mut world = World::unborn(SHOP.split("[[tier]]\nname = \"prod\"").next().expect("the rest"));
    let settings = "[retention]\nversions = 1\nlogs = \"1d\"\n";
    fs::write(world.path("tidegate.toml"), settings).expect("settings");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    for nth in 1..=6 {
        let version = format!("1.{nth}.0");
        world.push(&version, &[]);
        world.wait("promote_complete", &[("tier", "staging"), ("version", &version)]);
        // What is young is spared, so all of it is made old.
        for folder in ["state/artifacts/sha256", "state/logs"] {
            super::housekeeping::age(&world.path(folder), 11);
        }
        world.kill_all();
        for moment in 0..4 {
            killed_after(&world, Duration::from_millis(20 + 40 * moment + 7 * nth));
        }
        let (exit, said) = world.says(&["verify-journal"]);
        assert_eq!(exit, 0, "{said}");
        world.start();
    }
    let p = &world.get("/api/pipelines/shop")["pipeline"];
    assert_eq!(p["tiers"][1]["current"]["version"], "1.6.0", "{p}");
    // The way back needs the artifacts of both.
    world.good(&["rollback", "shop", "staging"]);
    world.wait("rollback_complete", &[("tier", "staging"), ("version", "1.5.0")]);
    assert_eq!(world.read("place/staging/out.txt"), "1.5.0");
    assert_eq!(world.stop(), 0);
}
