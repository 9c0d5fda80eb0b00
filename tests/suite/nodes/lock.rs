//! One deploy at a time to a node: whoever comes second waits, and is told for whom.

use super::fleet::Fleet;
use super::world::{BUILD, log_of, pipeline};
use crate::whole::world::World;
use serde_json::Value;
use std::fs;

/// Goes on once a file is there.
const PATIENT: &str = "run = \"echo up; while ! test -f $HOME/go; do sleep 0.02; done; echo $TIDEGATE_PIPELINE >> $HOME/told\"\n";

/// Two controllers with the same nodes.
fn two() -> Option<(World, World, Fleet)> {
    let text = pipeline(&["a1"], PATIENT);
    let (mut one, mut other) = (World::unborn(&text), World::unborn(&format!("name = \"other\"\n{text}")));
    let fleet = Fleet::raise(one.folder.path(), &["a1"], "")?;
    fs::copy(one.path("ssh_config"), other.path("ssh_config")).expect("copied");
    for world in [&mut one, &mut other] {
        world.start();
        world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
        world.wait("pipeline_loaded", &[]);
    }
    Some((one, other, fleet))
}

#[test]
fn two_controllers_never_deploy_to_a_node_at_once() {
    let Some((mut one, mut other, mut fleet)) = two() else { return };
    one.push("1.0.0", &[BUILD]);
    one.wait("deploy_log_chunk", &[("text", "up\n")]);
    other.push("1.0.0", &[BUILD]);
    let waits = other.wait("step_event", &[]);
    let told = waits["event"]["by"].as_str().expect("who holds it");
    assert!(told.contains("pipeline `shop`, tier `prod`, deploy of 1.0.0"), "{told}");
    let why = other.says(&["why", "other", "prod"]).1;
    assert!(why.contains("node `a1` waits: the node is locked by pipeline `shop`"), "{why}");
    let tier = other.get("/api/pipelines/other")["pipeline"]["tiers"][0].clone();
    assert_eq!(tier["inside"]["nodes"][0]["blockers"][0]["kind"], "node_locked", "{tier}");
    other.hear_the_rest_so_far();
    assert!(!other.kinds().contains(&"deploy_ok"), "it waits");
    fs::write(fleet.node("a1").home.join("go"), "").expect("written");
    one.wait("deploy_ok", &[]);
    other.wait("step_event", &[("event", "{\"kind\":\"node_locked\"}")]);
    other.wait("deploy_ok", &[]);
    assert_eq!(fleet.node("a1").read("told"), "shop\nother\n");
    assert!(log_of(&other, "a1").contains("waits for `a1`, which is locked by pipeline `shop`"));
}

#[test]
fn a_wait_for_a_lock_ends_with_the_timeout_and_says_whose_it_is() {
    let Some((mut one, mut other, _fleet)) = two() else { return };
    other.edit(&format!("name = \"other\"\n{}timeout = \"1s\"\n", pipeline(&["a1"], PATIENT)));
    other.wait("pipeline_loaded", &[]);
    one.push("1.0.0", &[BUILD]);
    one.wait("deploy_log_chunk", &[("text", "up\n")]);
    other.push("1.0.0", &[BUILD]);
    super::world::fails(&mut other, "a1", "timeout", "the node is locked by pipeline `shop`");
}

#[test]
fn the_lock_of_a_controller_that_is_gone_is_free() {
    let Some((mut one, mut other, mut fleet)) = two() else { return };
    one.push("1.0.0", &[BUILD]);
    one.wait("deploy_log_chunk", &[("text", "up\n")]);
    one.kill();
    other.push("1.0.0", &[BUILD]);
    // What the killed one left may still run there: that is waited for, too.
    let waits = other.wait("step_event", &[]);
    assert_eq!(waits["event"]["kind"], "node_locked", "{waits}");
    one.start();
    one.wait("deploy_failed", &[("failure", "interrupted")]);
    other.wait("deploy_log_chunk", &[("text", "up\n")]);
    fs::write(fleet.node("a1").home.join("go"), "").expect("written");
    other.wait("deploy_ok", &[]);
    assert_eq!(fleet.node("a1").read("told"), "other\n");
}

/// Fetches a backup from the node.
const FETCHES: &str = "[source]\nrepo = $REPO\n[[tier]]\nname = \"prod\"\n[[tier.node]]\nname = \"a1\"\nssh = \"a1\"\n\
                       [tier.deploy]\nrun = \"true\"\n[[tier.gate]]\nname = \"dump\"\nkind = \"backup\"\n\
                       node = \"a1\"\nrun = \"echo a dump\"\n";

#[test]
fn a_backup_waits_for_the_lock_as_a_deploy_does_and_says_whose_it_is() {
    let Some((mut one, mut other, mut fleet)) = two() else { return };
    other.edit(&format!("name = \"other\"\n{FETCHES}"));
    other.wait("pipeline_loaded", &[]);
    one.push("1.0.0", &[BUILD]);
    one.wait("deploy_log_chunk", &[("text", "up\n")]);
    other.push("1.0.0", &[]);
    let waits = other.wait("step_event", &[]);
    let told = waits["event"]["by"].as_str().expect("who holds it");
    assert!(told.contains("pipeline `shop`, tier `prod`, deploy of 1.0.0"), "{told}");
    let why = other.says(&["why", "other", "prod"]).1;
    assert!(why.contains("gate `dump` waits: the node is locked by pipeline `shop`"), "{why}");
    let tier = other.get("/api/pipelines/other")["pipeline"]["tiers"][0].clone();
    assert_eq!(tier["inside"]["gates"][0]["blockers"][0]["kind"], "node_locked", "{tier}");
    fs::write(fleet.node("a1").home.join("go"), "").expect("written");
    other.wait("step_event", &[("event", "{\"kind\":\"node_locked\"}")]);
    other.wait("backup_fetched", &[]);
    let tier = other.get("/api/pipelines/other")["pipeline"]["tiers"][0].clone();
    assert_eq!(tier["inside"]["gates"][0]["blockers"], Value::Null, "{tier}");
}

#[test]
fn what_an_earlier_upload_left_behind_ends_no_stranger() {
    let Some((mut one, _other, mut fleet)) = two() else { return };
    let home = fleet.node("a1").home.clone();
    fs::write(home.join("go"), "").expect("written");
    one.push("1.0.0", &[BUILD]);
    one.wait("promote_complete", &[]);
    // The id of an upload that could not clear it is somebody else's by now.
    let mut stranger = std::process::Command::new("sleep").arg("60").spawn().expect("it starts");
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let note = home.join(".tidegate").join(format!("{}.placing", name.trim()));
    fs::write(&note, format!("{}\n", stranger.id())).expect("written");
    one.push("2.0.0", &[]);
    one.wait("promote_complete", &[("version", "2.0.0")]);
    fleet.node("a1").wait_until_idle();
    assert!(stranger.try_wait().expect("a child").is_none(), "it was killed");
    stranger.kill().expect("a child");
    stranger.wait().expect("a child");
    assert_eq!(fs::read_to_string(note).expect("a file"), "");
}
