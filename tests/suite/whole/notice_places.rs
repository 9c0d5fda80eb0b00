//! How far notices are outlives the removal of their pipeline, and its names.

use super::notices::{post_to, shop_with, world_with};
use super::receiver::{Receiver, answer};
use super::world::World;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Waits until `notices.json` is so.
fn wait_for_file(world: &World, is_so: impl Fn(&Value) -> bool) {
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(world.path("state/notices.json")).unwrap_or_default();
        if is_so(&serde_json::from_str(&text).unwrap_or_default()) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{text}");
        std::thread::yield_now();
    }
}

/// The same pipeline under another name, which it had before.
fn called(text: &str, name: &str, was: &str) -> String {
    format!("name = \"{name}\"\nwas = \"{was}\"\n{text}")
}

/// A notice of that version's build waits, as who it is for answers 500.
fn with_one_that_waits() -> (World, Receiver, Value) {
    let mute = Receiver::answering(|_, _| Some(answer(500, "")));
    let mut world = world_with(&post_to(&mute.url("/"), r#"["build_ok"]"#));
    world.push("1.0.0", &[]);
    let built = world.wait("build_ok", &[]);
    assert_eq!(mute.next().body["id"], built["id"]);
    world.wait("promote_complete", &[("tier", "staging")]);
    (world, mute, built)
}

#[test]
fn what_waits_survives_the_removal_of_the_pipeline_even_over_a_restart() {
    let (mut world, mute, built) = with_one_that_waits();
    let heard = Receiver::new();
    std::fs::remove_file(world.path("pipelines/shop.toml")).expect("removed");
    world.wait("pipeline_removed", &[]);
    wait_for_file(&world, |kept| {
        let done = kept["away"]["shop"]["notices"][0]["done"].as_u64();
        done.is_some_and(|done| Some(done) < built["id"].as_u64())
    });
    assert_eq!(world.stop(), 0);
    world.hear_the_rest();
    mute.so_far();
    world.start();
    world.wait("controller_started", &[]);
    // It comes back with a better address.
    world.edit(&shop_with(&post_to(&heard.url("/"), r#"["build_ok"]"#)));
    assert_eq!(heard.next().body["id"], built["id"]);
    world.push("1.1.0", &[]);
    assert_eq!(heard.next().body["version"], "1.1.0");
    assert!(mute.so_far().is_empty());
}

#[test]
fn what_waits_survives_two_renames_and_another_pipeline_of_the_old_name_is_not_heard() {
    let (mut world, mute, built) = with_one_that_waits();
    let heard = Receiver::new();
    let still = shop_with(&post_to(&mute.url("/"), r#"["build_ok"]"#));
    world.edit(&called(&still, "store", "shop"));
    world.wait("pipeline_loaded", &[("pipeline", "store")]);
    world.edit(&format!("name = \"store\"\n{still}"));
    world.wait("pipeline_loaded", &[("pipeline", "store")]);
    // Another one takes the name, and builds the same repository.
    let other = format!("name = \"shop\"\n{}", shop_with(""));
    std::fs::write(world.path("pipelines/other.toml"), world.filled(&other)).expect("a pipeline");
    world.wait("pipeline_loaded", &[("pipeline", "shop")]);
    world.push("1.1.0", &[]);
    let others = world.wait("build_ok", &[("pipeline", "shop"), ("version", "1.1.0")]);
    let own = match world.heard.iter().find(|event| {
        event["kind"] == "build_ok" && event["pipeline"] == "store" && event["version"] == "1.1.0"
    }) {
        Some(own) => own.clone(),
        None => world.wait("build_ok", &[("pipeline", "store"), ("version", "1.1.0")]),
    };
    let mended = shop_with(&post_to(&heard.url("/"), r#"["build_ok"]"#));
    world.edit(&called(&mended, "market", "store"));
    let told = [heard.next(), heard.next()].map(|request| request.body["id"].clone());
    assert_eq!(told, [built["id"].clone(), own["id"].clone()]);
    assert_ne!(own["id"], others["id"]);
    world.push("1.2.0", &[]);
    let next = heard.next();
    assert_eq!((&next.body["pipeline"], &next.body["version"]), (&"market".into(), &"1.2.0".into()));
    world.wait("build_ok", &[("version", "1.2.0")]);
    assert!(heard.so_far().is_empty());
}
