//! A repository that lives at a forge: told by a signed delivery, or found by looking.

use super::world::World;
use crate::deliveries::{Delivery, NOWHERE, SECRET, SHOP_URL, git_settings};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tidegate::domain::pipeline::Forge;

const PIPELINE: &str = r#"
[source]
repo = $URL
refs = ["main"]
poll = $POLL

[[build.step]]
name = "look"
run = "env > $PLACE/env"

[[tier]]
name = "host"
"#;

/// A world whose repository lives at a forge, and one commit there; the controller is not started.
fn at_a_forge(poll: &str) -> (World, String) {
    let world = World::unborn(&polled(poll));
    fs::create_dir(world.path("acme")).unwrap();
    std::os::unix::fs::symlink(world.path("shop.git"), world.path("acme/shop.git")).unwrap();
    fs::write(world.path("gitconfig"), git_settings(world.folder.path())).unwrap();
    fs::write(world.path("secret"), SECRET).unwrap();
    fs::set_permissions(world.path("secret"), PermissionsExt::from_mode(0o600)).unwrap();
    let tables = Forge::ALL.map(|forge| format!("[webhook.{forge}]\nsecret = {{ file = \"secret\" }}\n"));
    fs::write(world.path("tidegate.toml"), tables.concat()).unwrap();
    let sha = publish(&world, "1.0.0");
    (world, sha)
}

fn publish(world: &World, version: &str) -> String {
    let sha = world.commit(version, &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    sha
}

fn deliver(world: &World, delivery: &Delivery) -> serde_json::Value {
    let mut request = ureq::post(format!("http://{}{}", world.address, delivery.path()));
    for (name, value) in delivery.headers() {
        request = request.header(name, value);
    }
    let answer = request.send(&delivery.body).unwrap();
    assert_eq!(answer.status(), 202);
    serde_json::from_reader(answer.into_body().into_reader()).unwrap()
}

#[test]
fn a_delivery_is_built_and_after_a_restart_a_repeated_one_moves_nothing() {
    let (mut world, first) = at_a_forge("0s");
    world.start();
    world.wait("pipeline_loaded", &[]);
    let delivery = Delivery::of(Forge::Github, "1", "refs/heads/main", NOWHERE, &first);
    assert_eq!(deliver(&world, &delivery)["accepted"][0]["pipeline"], "shop");
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let env = world.read("place/env");
    assert!(env.contains(&format!("TIDEGATE_SHA={first}\n")) && !env.contains("evil"), "{env}");
    let second = publish(&world, "1.1.0");
    deliver(&world, &Delivery::of(Forge::Github, "2", "refs/heads/main", &first, &second));
    world.wait("promote_complete", &[("version", "1.1.0")]);
    world.kill();
    world.start();
    world.wait("controller_started", &[]);
    // Their names are forgotten. The newer one first, then the older one, as if it had been moved back.
    let known = deliver(&world, &Delivery::of(Forge::Github, "2", "refs/heads/main", &first, &second));
    assert!(known["ignored"][0]["reason"].as_str().unwrap().contains("since it was last seen"), "{known}");
    for (id, before) in [("1", NOWHERE), ("9", second.as_str())] {
        let late = deliver(&world, &Delivery::of(Forge::Github, id, "refs/heads/main", before, &first));
        assert!(late["ignored"][0]["reason"].as_str().unwrap().contains("out of date"), "{late}");
    }
    let state = world.get("/api/state");
    assert_eq!(state["pipelines"][0]["tiers"][0]["current"]["version"], "1.1.0", "{state}");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "rebuild_requested").count(), 2);
}

#[test]
fn what_was_acknowledged_while_git_hung_is_built_after_a_kill() {
    let (mut world, sha) = at_a_forge("0s");
    // A git that hangs until it is let go.
    fs::create_dir(world.path("bin")).unwrap();
    let waits = format!("[ -e '{0}/open' ] || read -r _ < '{0}/gate'", world.folder.path().display());
    fs::write(world.path("bin/git"), format!("#!/bin/sh\n{waits}\nPATH=${{PATH#*:}} exec git \"$@\"\n"))
        .unwrap();
    fs::set_permissions(world.path("bin/git"), PermissionsExt::from_mode(0o755)).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, world.path("gate"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let by_slow_git = |world: &World| {
        let mut program = world.program();
        let path = std::env::var("PATH").unwrap();
        program.env("PATH", format!("{}:{path}", world.path("bin").display()));
        program
    };
    world.start_by(by_slow_git(&world));
    world.wait("pipeline_loaded", &[]);
    let answer = deliver(&world, &Delivery::of(Forge::Github, "1", "refs/heads/main", NOWHERE, &sha));
    assert_eq!(answer, serde_json::json!({"accepted": [], "ignored": [], "looking": ["shop"]}));
    world.kill();
    world.hear_the_rest();
    let owed =
        world.heard.iter().find(|event| event["kind"] == "look_owed").expect("it was journaled").clone();
    assert_eq!((&owed["sha"], &owed["ref"]), (&sha.as_str().into(), &"refs/heads/main".into()));
    assert!(!world.kinds().contains(&"rebuild_requested"));
    fs::write(world.path("open"), "").unwrap();
    world.start_by(by_slow_git(&world));
    world.wait("rebuild_requested", &[("sha", &sha), ("by", "github:ann")]);
    world.wait("look_done", &[("owed", &owed["id"].to_string())]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    assert_eq!(world.stop(), 0);
}

#[test]
fn what_nobody_tells_of_is_found_by_looking_and_a_reload_is_followed() {
    let (mut world, first) = at_a_forge("1s");
    world.start();
    let found = world.wait("rebuild_requested", &[("sha", &first)]);
    assert_eq!((&found["by"], &found["ref"]), (&"poll".into(), &"refs/heads/main".into()));
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let second = publish(&world, "1.1.0");
    world.wait("rebuild_requested", &[("sha", &second)]);
    world.wait("promote_complete", &[("version", "1.1.0")]);
    // Moved back, and nobody said so.
    world.git("work", &["push", "-q", "--force", "origin", &format!("{first}:main")]);
    world.wait("rebuild_requested", &[("sha", &first), ("by", "poll")]);
    // While nobody was there.
    assert_eq!(world.stop(), 0);
    world.hear_the_rest();
    let third = publish_over(&world, "1.2.0");
    world.start();
    world.wait("rebuild_requested", &[("sha", &third), ("by", "poll")]);
    world.wait("promote_complete", &[("version", "1.2.0")]);
    // Edited while nobody was there: it does not poll any more, and is told only.
    assert_eq!(world.stop(), 0);
    world.hear_the_rest();
    world.edit(&polled("0s"));
    world.start();
    world.wait("pipeline_loaded", &[]);
    let fourth = publish_over(&world, "1.3.0");
    deliver(&world, &Delivery::of(Forge::Forgejo, "1", "refs/heads/main", &third, &fourth));
    let told = world.wait("rebuild_requested", &[("sha", &fourth)]);
    assert_eq!(told["by"], "forgejo:ann");
    // And edited while it runs.
    let fifth = publish_over(&world, "1.4.0");
    world.edit(&polled("1s"));
    world.wait("rebuild_requested", &[("sha", &fifth), ("by", "poll")]);
    assert_eq!(world.stop(), 0);
}

/// The pipeline with that interval.
fn polled(poll: &str) -> String {
    PIPELINE.replace("$URL", &format!("{SHOP_URL:?}")).replace("$POLL", &format!("{poll:?}"))
}

/// As [`publish`], wherever the branch stands.
fn publish_over(world: &World, version: &str) -> String {
    let sha = world.commit(version, &[]);
    world.git("work", &["push", "-q", "--force", "origin", "main"]);
    sha
}

#[test]
fn an_edit_that_lets_old_tags_in_builds_none_of_them_but_one_that_came_while_nobody_was_there_is_built() {
    let (mut world, first) = at_a_forge("1s");
    world.start();
    world.wait("rebuild_requested", &[("sha", &first)]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let old = world.commit("0.1.0", &[]);
    world.git("work", &["tag", "v0.1"]);
    world.git("work", &["push", "-q", "origin", "v0.1"]);
    world.edit(&polled("1s").replace("[\"main\"]", "[\"main\", \"v*\"]"));
    let ignored = world.wait("push_ignored", &[("sha", &old), ("ref", "refs/tags/v0.1")]);
    assert!(ignored["reason"].as_str().unwrap().contains("before anybody asked"), "{ignored}");
    world.until_logged("stood there already");
    world.stop();
    world.hear_the_rest();
    let while_away = tagged(&world, "0.2.0", "v0.2");
    // An edit of anything but the source changes nothing about what is new.
    let let_in = polled("1s").replace("[\"main\"]", "[\"main\", \"v*\"]");
    world.edit(&format!("description = \"a shop\"\n{let_in}"));
    world.start();
    world.wait("rebuild_requested", &[("sha", &while_away), ("ref", "refs/tags/v0.2"), ("by", "poll")]);
    world.wait("promote_complete", &[("version", "0.2.0")]);
    // One of the source does.
    world.stop();
    world.hear_the_rest();
    let before = tagged(&world, "0.3.0", "w0.3");
    world.edit(&let_in.replace("\"v*\"", "\"v*\", \"w*\""));
    world.start();
    world.wait("push_ignored", &[("sha", &before), ("ref", "refs/tags/w0.3")]);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "rebuild_requested").count(), 2);
}

/// Commits a version and publishes it under a tag only; the commit.
fn tagged(world: &World, version: &str, tag: &str) -> String {
    let sha = world.commit(version, &[]);
    world.git("work", &["tag", tag]);
    world.git("work", &["push", "-q", "origin", tag]);
    sha
}

#[test]
fn the_first_tags_of_a_known_repository_are_built_though_they_came_while_nobody_was_there() {
    let (mut world, _) = at_a_forge("1s");
    world.edit(&polled("1s").replace("[\"main\"]", "[\"v*\"]"));
    world.start();
    world.wait("looked_over", &[]);
    world.kill();
    world.hear_the_rest();
    let tags = [tagged(&world, "1.1.0", "v1.1"), tagged(&world, "1.2.0", "v1.2")];
    world.start();
    for sha in &tags {
        world.wait("rebuild_requested", &[("sha", sha), ("by", "poll")]);
    }
    world.wait("promote_complete", &[("version", "1.2.0")]);
    let count = |world: &World, kind: &str| world.kinds().iter().filter(|it| **it == kind).count();
    assert_eq!((count(&world, "looked_over"), count(&world, "push_ignored")), (1, 0));
}

#[test]
fn the_branch_of_head_is_told_before_what_stood_there_so_that_a_kill_between_them_loses_nothing() {
    let (mut world, first) = at_a_forge("1s");
    for branch in ["a-first", "another"] {
        world.git("work", &["push", "-q", "origin", &format!("main:{branch}")]);
    }
    world.edit(&polled("1s").replace("[\"main\"]", "[\"*\"]"));
    world.start();
    let is_of_a_look = |event: &serde_json::Value| event["by"] == "poll";
    let told = world.wait_for("the first word of the look", is_of_a_look);
    assert_eq!((&told["kind"], &told["ref"]), (&"rebuild_requested".into(), &"refs/heads/main".into()));
    assert_eq!(told["sha"], *first);
    // Killed there, and begun again: the rest stood there before, and the branch is built.
    world.kill();
    world.start();
    world.wait("promote_complete", &[("version", "1.0.0")]);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "rebuild_requested").count(), 1);
}

#[test]
fn what_stood_there_before_is_not_built_and_a_lost_repository_is_named() {
    let (mut world, first) = at_a_forge("1s");
    for number in 0..12 {
        world.git("work", &["tag", &format!("v0.{number}")]);
    }
    world.git("work", &["push", "-q", "origin", "--tags"]);
    world.edit(&polled("1s").replace("[\"main\"]", "[\"main\", \"v*\"]"));
    world.start();
    world.wait("rebuild_requested", &[("sha", &first), ("ref", "refs/heads/main")]);
    for number in 0..12 {
        // In the order of their names, in which they were looked at.
        let ignored = world.wait_for("a tag that is left alone", |event| event["kind"] == "push_ignored");
        assert!(ignored["reason"].as_str().unwrap().contains("before anybody asked"), "{number}: {ignored}");
    }
    let second = world.commit("2.0.0", &[]);
    world.git("work", &["tag", "v2"]);
    world.git("work", &["push", "-q", "origin", "v2"]);
    world.wait("rebuild_requested", &[("sha", &second), ("ref", "refs/tags/v2")]);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "rebuild_requested").count(), 2);
    fs::rename(world.path("acme"), world.path("elsewhere")).unwrap();
    let log = world.until_logged("tried again in about");
    assert!(log.contains(SHOP_URL) && log.contains("TG-GIT-"), "{log}");
}

#[test]
fn a_branch_that_is_gone_is_forgotten_and_is_new_when_it_comes_again() {
    let (mut world, first) = at_a_forge("1s");
    world.edit(&polled("1s").replace("[\"main\"]", "[\"**\"]"));
    world.start();
    world.wait("rebuild_requested", &[("sha", &first)]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let second = world.commit("1.1.0", &[]);
    world.git("work", &["push", "-q", "origin", "HEAD:topic"]);
    world.wait("rebuild_requested", &[("sha", &second), ("ref", "refs/heads/topic")]);
    world.git("work", &["push", "-q", "origin", ":topic"]);
    let gone = world.wait("refs_forgotten", &[]);
    assert_eq!(gone["refs"], serde_json::json!(["refs/heads/topic"]));
    let third = world.commit("1.2.0", &[]);
    world.git("work", &["push", "-q", "origin", "HEAD:topic"]);
    world.wait("rebuild_requested", &[("sha", &third), ("ref", "refs/heads/topic")]);
}
