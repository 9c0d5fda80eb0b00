//! `status --wait` and `rebuild --wait`: they return when a version has come to an end, and say which.

use super::SHOP;
use super::world::World;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};

#[test]
fn waiting_ends_with_how_the_version_ends() {
    let world = World::new(SHOP);
    world.push("1.0.0", &[]);
    let output = world.tidegate(&["status", "--wait", "shop", "staging", "--timeout", "60s"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said, "shop 1.0.0: passed\n  host: passed\n  staging: passed\n");
    let output = world.tidegate(&["status", "--wait", "--timeout", "60s"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("prod: 0 of 1 confirmations  (tidegate confirm shop prod 1.0.0)"), "{said}");
    let output = world.tidegate(&["status", "--wait", "shop", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&answer["end"], &answer["version"]), (&"blocked".into(), &"1.0.0".into()));
    assert_eq!(answer["tiers"][2]["blockers"][0]["kind"], "confirm_missing");
    world.good(&["confirm", "shop", "prod"]);
    world.good(&["status", "--wait", "shop", "prod", "1.0.0"]);

    let broken = world.commit("1.2.0", &[("broken", "")]);
    world.git("work", &["push", "-q", "origin", "main"]);
    let output = world.tidegate(&["status", "--wait", "shop", "staging", &broken[..8]]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("shop 1.2.0: failed") && said.contains("staging: rejected: gate `smoke`"),
        "{said}"
    );

    let (exit, said) = world.ends(&["status", "--wait", "shop", "prod", "9.9.9"]);
    assert_eq!(exit, 2);
    assert!(said.contains("TG-ASK-004"), "{said}");
    let one = world.good(&["status", "shop", "prod"]);
    assert!(one.contains("  prod  ") && !one.contains("staging"), "{one}");
    let json: serde_json::Value =
        serde_json::from_str(&world.good(&["status", "shop", "prod", "--json"])).expect("JSON");
    let tiers = json["pipeline"]["tiers"].as_array().expect("tiers");
    assert!(tiers.len() == 1 && tiers[0]["name"] == "prod", "{json}");
    assert!(!world.good(&["status", "--short", "shop", "prod"]).contains("staging"));
    for more in [&[][..], &["--json"], &["--short"]] {
        let (exit, said) = world.ends(&[&["status", "shop", "pord"], more].concat());
        assert!(exit == 2 && said.contains("TG-ASK-002"), "{exit} {said}");
    }
}

#[test]
fn waiting_gives_up_in_time_and_outlives_a_restart() {
    let text =
        SHOP.replace("run = \"! grep", "run = \"while test -e $PLACE/hold; do sleep 0.05; done; ! grep");
    let mut world = World::new(&text);
    std::fs::write(world.path("place/hold"), "").expect("a file");
    world.push("1.0.0", &[]);
    let run = world.wait("gate_start", &[("tier", "host")])["run_id"].clone();
    let (_, said) = world.says(&["why", "shop", "host"]);
    assert!(said.contains(&format!("gate `test` runs  (tidegate logs {run} --follow)")), "{said}");
    let (exit, said) = world.ends(&["status", "--wait", "shop", "--timeout", "300ms"]);
    assert_eq!(exit, 5, "it does not wait for a person");
    assert!(said.contains("TG-WAIT-001") && said.contains("host: inside"), "{said}");
    let mut waiting = world.spawn(&["status", "--wait", "shop", "staging"]);
    let mut said = BufReader::new(waiting.stderr.take().expect("its stderr"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert!(line.starts_with("waiting for shop: host: inside"), "{line}");
    world.kill();
    world.start();
    std::fs::remove_file(world.path("place/hold")).expect("let go");
    let output = waiting.wait_with_output().expect("it ends");
    said.read_to_string(&mut line).expect("the rest");
    assert_eq!(output.status.code(), Some(0), "{line}");
}

#[test]
fn a_build_that_is_asked_for_is_waited_for() {
    let mut world = World::new(SHOP);
    world.commit("not a version", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world.wait("build_failed", &[]);
    let output = world.tidegate(&["rebuild", "shop", "--wait"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("its build failed"), "{said}");
}

#[test]
fn waiting_goes_on_while_another_gate_of_the_phase_runs() {
    let both = r#"run = "while test -e $PLACE/hold; do sleep 0.05; done"

[[tier.gate]]
name = "says"
kind = "command"
run = """echo '{"kind":"blocked","reason":"no network","help":"plug it in"}' >> $TIDEGATE_EVENTS"""
"#;
    let text = SHOP.replace("run = \"! grep -q bad-build $TIDEGATE_ARTIFACTS/out.txt\"", both);
    assert_ne!(text, SHOP);
    let mut world = World::new(&text);
    std::fs::write(world.path("place/hold"), "").expect("a file");
    world.push("1.0.0", &[]);
    world.wait("gate_done", &[("name", "says")]);
    let (exit, said) = world.ends(&["status", "--wait", "shop", "--timeout", "300ms"]);
    assert!(exit == 5 && said.contains("TG-WAIT-001"), "it goes on by itself: {exit} {said}");
    let (_, said) = world.says(&["why", "shop", "host"]);
    assert!(said.contains("gate `test` runs") && said.contains("gate `says` could not judge"), "{said}");
    std::fs::remove_file(world.path("place/hold")).expect("let go");
    let output = world.tidegate(&["status", "--wait", "shop", "--timeout", "60s"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("host: no network") && said.contains("(plug it in)"), "{said}");
}

#[test]
fn a_word_that_waits_says_for_what_and_a_bad_version_that_stays_on_a_node_is_shown() {
    let stays = SHOP.replace("[tier.deploy]\nupload = [{ artifact = \"out.txt\", to = \"$PLACE/staging/\" }]", "[tier.deploy]\non_failure = \"stop\"\nupload = [{ artifact = \"out.txt\", to = \"$PLACE/staging/\" }]");
    assert_ne!(stays, SHOP);
    let mut world = World::new(&stays);
    world.push("0.9.0", &[("broken", "")]);
    world.wait("promote_failed", &[("tier", "staging")]);
    let status = world.good(&["status", "shop"]);
    assert!(status.contains("node local still has 0.9.0, which is rejected: gate `smoke`"), "{status}");
    std::fs::remove_file(world.path("work/broken")).expect("mended");
    world.git("work", &["rm", "-q", "--cached", "broken"]);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod"), ("version", "1.0.0")]);
    assert!(!world.good(&["status", "shop"]).contains("still has"));
    let short = |more: &[&str]| {
        let output = world.program().env("LC_ALL", "C").args(["status", "--short"]).args(more).output();
        String::from_utf8(output.expect("tidegate runs").stdout).expect("text")
    };
    assert_eq!(short(&[]), "? shop/prod confirm 1.0.0 0/1\n");
    let one = short(&["shop"]);
    assert!(one.starts_with("+ host 1.0.0 ") && one.ends_with("  ? prod confirm 1.0.0 0/1\n"), "{one}");
    let (exit, said) = world.ends(&["promote", "shop", "prod"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("promote: it stands") && said.contains("0 of 1 confirmations"), "{said}");
    assert!(said.contains("tidegate confirm shop prod 1.0.0"), "{said}");
    let (_, said) = world.ends(&["confirm", "shop", "prod"]);
    assert!(said.contains("confirm: done"), "{said}");
}

#[test]
fn waiting_for_all_leaves_out_what_has_nothing_to_wait_for() {
    let mut world = World::new(SHOP);
    let (exit, said) = world.ends(&["status", "--wait", "--timeout", "60s"]);
    assert_eq!(exit, 0, "there is nothing to wait for: {said}");
    assert!(said.contains("no pipeline has a version"), "{said}");
    // One that is gone, and what it left would be waited for in vain.
    let gone = SHOP.replace("refs = [\"main\"]", "refs = [\"old\"]");
    std::fs::write(world.path("pipelines/a-gone.toml"), world.filled(&gone)).expect("a pipeline");
    world.wait("pipeline_loaded", &[("pipeline", "a-gone")]);
    world.commit("0.1.0", &[]);
    world.git("work", &["push", "-q", "origin", "main:old"]);
    world.wait("promote_blocked", &[("pipeline", "a-gone"), ("tier", "prod")]);
    std::fs::remove_file(world.path("pipelines/a-gone.toml")).expect("removed");
    world.wait("pipeline_removed", &[("pipeline", "a-gone")]);
    // One that nobody has pushed to.
    let quiet = SHOP.replace("refs = [\"main\"]", "refs = [\"quiet\"]");
    std::fs::write(world.path("pipelines/b-quiet.toml"), world.filled(&quiet)).expect("a pipeline");
    world.wait("pipeline_loaded", &[("pipeline", "b-quiet")]);
    world.push("1.0.0", &[]);
    let output = world.tidegate(&["status", "--wait", "--timeout", "60s"]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("shop 1.0.0: blocked") && !said.contains("a-gone"), "{said}");
    let (exit, said) = world.ends(&["status", "--wait", "b-quiet"]);
    assert!(exit == 2 && said.contains("TG-ASK-004"), "who names it is told: {said}");
}

#[test]
fn a_gate_that_could_not_judge_is_named_when_the_version_waits_again() {
    let missing = SHOP.replace("run = \"! grep -q bad-build", "run = \"exec no-such-tool-here # ");
    let mut world = World::new(&missing);
    world.push("1.0.0", &[]);
    let done = world.wait("gate_done", &[("name", "test")]);
    world.wait("promote_blocked", &[("stepped_back", "true")]);
    let (exit, said) = world.says(&["why", "shop", "host"]);
    assert_eq!(exit, 3, "{said}");
    let named = format!("gate `test` could not judge  (tidegate logs {})", done["run_id"]);
    assert!(said.contains(&named) && said.contains("tidegate retry shop host"), "{said}");
}
