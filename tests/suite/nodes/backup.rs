//! Backups that are fetched from nodes over ssh.

use super::world::world_with;
use crate::whole::world::World;
use serde_json::Value;
use std::fs;

const PIPELINE: &str = r#"
[source]
repo = $REPO

[secrets]
DUMP_KEY = { file = "$PLACE/key" }

[[tier]]
name = "prod"

[[tier.node]]
name = "a1"
ssh = "a1"
env = { WHERE = "on a1" }

[tier.deploy]
run = "true"

[[tier.gate]]
name = "dump"
kind = "backup"
node = "a1"
run = "echo dumping >&2; pwd >&2; echo $WHERE $TIDEGATE_NODE $DUMP_KEY; cat big"
verify = "grep -a -q 'on a1 a1' $TIDEGATE_BACKUP && test -e VERSION"
secrets = ["DUMP_KEY"]
"#;

fn kept(world: &World, fetched: &Value) -> Vec<u8> {
    let digest = fetched["sha256"].as_str().expect("a digest");
    fs::read(world.path(&format!("state/artifacts/sha256/{}/{}", &digest[..2], &digest[2..]))).expect("kept")
}

fn log(world: &World, done: &Value) -> String {
    String::from_utf8_lossy(&world.bytes(&format!("/api/runs/{}/log", done["run_id"]))).into_owned()
}

#[test]
fn what_a_command_on_the_node_writes_is_kept_byte_for_byte() {
    let Some((mut world, mut fleet)) = world_with(&["a1"], PIPELINE, "") else { return };
    fs::write(world.path("place/key"), "a secret of the node").expect("a secret");
    let home = fleet.node("a1").home.clone();
    // Every byte, a mark such as the two sides use among them, and more than any pipe holds.
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7 % 256) as u8).chain(*b"\n\x1eend 7\n\x1e").collect();
    fs::write(home.join("big"), &big).expect("data");
    world.push("1.0.0", &[]);
    let fetched = world.wait("backup_fetched", &[]);
    let done = world.wait("gate_done", &[("name", "dump")]);
    assert_eq!(done["outcome"]["classification"], "ok", "{done}");
    let wanted = [b"on a1 a1 a secret of the node\n", &big[..]].concat();
    assert!(kept(&world, &fetched) == wanted, "{} bytes", fetched["byte_size"]);
    assert_eq!(fetched["byte_size"], wanted.len());
    assert!(fetched["source"].as_str().expect("text").starts_with("ssh://a1#echo dumping"), "{fetched}");
    let log = log(&world, &done);
    assert!(log.starts_with(&format!("dumping\n{}\ntidegate: ", home.display())), "{log}");
    assert!(log.len() < 2000 && !log.contains("a secret"), "{log}");
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let file = format!("path = \"{}\"", home.join("big").display());
    let (before, after) = PIPELINE.split_once("run = \"echo dumping").expect("a command");
    let after =
        after.split_once("verify = ").and_then(|(_, after)| after.split_once("\n")).expect("a check").1;
    world.edit(&format!("{before}{file}\n{after}"));
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.1", &[]);
    let fetched = world.wait("backup_fetched", &[]);
    assert!(kept(&world, &fetched) == big);
    assert_eq!(fetched["source"], format!("ssh://a1{}", home.join("big").display()));
}

#[test]
fn a_node_that_is_away_or_breaks_off_blocks_and_the_next_try_goes_through() {
    let Some((mut world, mut fleet)) = world_with(&["a1"], PIPELINE, "") else { return };
    fs::write(world.path("place/key"), "a secret of the node").expect("a secret");
    let home = fleet.node("a1").home.clone();
    fleet.node("a1").close();
    world.push("1.0.0", &[]);
    let done = world.wait("gate_done", &[("name", "dump")]);
    assert_eq!(done["outcome"]["classification"], "infrastructure", "{done}");
    assert_eq!(done["outcome"]["blockers"], serde_json::json!([{"kind": "unreachable", "node": "a1"}]));
    fleet.node("a1").start();

    // A dump that is cut off is none, however much of it came.
    fs::write(home.join("big"), "data").expect("data");
    let slow = PIPELINE.replace("cat big", "cat big; echo at it >&2; sleep 1000");
    world.edit(&slow);
    world.wait("pipeline_loaded", &[]);
    world.good(&["retry", "shop", "prod", "1.0.0"]);
    world.wait_for("the dump", |event| event["text"].as_str().is_some_and(|text| text.contains("at it")));
    fleet.node("a1").kill();
    let done = world.wait("gate_done", &[("name", "dump")]);
    assert_eq!(done["outcome"]["blockers"], serde_json::json!([{"kind": "unreachable", "node": "a1"}]));
    fleet.node("a1").start();
    assert!(!world.kinds().contains(&"backup_fetched"));
    world.edit(PIPELINE);
    world.wait("pipeline_loaded", &[]);
    world.good(&["retry", "shop", "prod", "1.0.0"]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    world.edit(&PIPELINE.replace("cat big", "no-such-dump big"));
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.1", &[]);
    let done = world.wait("gate_done", &[("name", "dump")]);
    assert_eq!(done["outcome"]["blockers"][0]["tool"], "no-such-dump", "{done}");
}
