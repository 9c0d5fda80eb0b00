//! Many nodes: waves, a canary, nodes that fail in every way, and the way back.

use super::fleet::Fleet;
use super::world::{BUILD, world};
use crate::whole::world::World;
use std::collections::BTreeMap;
use std::fs;

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("a{number}")).collect()
}

fn raised(count: usize, deploy: &str) -> Option<(World, Fleet)> {
    let names = names(count);
    world(&names.iter().map(String::as_str).collect::<Vec<_>>(), deploy)
}

/// Tells what was done; a file `broken-VERSION` makes that version fail here, `hang-VERSION` makes it last.
const TOLD: &str = r#"
run = """
echo $TIDEGATE_MODE $TIDEGATE_VERSION >> $HOME/told
test ! -f $HOME/broken-$TIDEGATE_VERSION || exit 7
while test -f $HOME/hang-$TIDEGATE_VERSION; do sleep 0.05; done
"""
upload = [{ artifact = "out/**", to = "$HOME/app/" }]
"#;

/// In which order nodes began, in groups that were ended before the next began.
fn waves(world: &World, version: &str) -> Vec<usize> {
    let (mut waves, mut open, mut size) = (Vec::new(), 0, 0);
    for event in world.heard.iter().filter(|event| event["version"] == version) {
        match event["kind"].as_str() {
            Some("deploy_start") => {
                open += 1;
                size += 1;
            }
            Some("deploy_ok" | "deploy_failed") => {
                open -= 1;
                if open == 0 {
                    waves.push(size);
                    size = 0;
                }
            }
            _ => {}
        }
    }
    waves
}

/// How often each node was told each thing.
fn told(fleet: &Fleet) -> BTreeMap<String, Vec<String>> {
    let lines = |node: &super::fleet::Node| {
        let text = fs::read_to_string(node.home.join("told")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    fleet.nodes.iter().map(|node| (node.name.clone(), lines(node))).collect()
}

#[test]
fn a_fleet_of_twenty_goes_in_waves_and_a_canary_saves_it() {
    let Some((mut world, mut fleet)) = raised(20, &format!("{TOLD}waves = [1, \"25%\", \"100%\"]\n")) else {
        return;
    };
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let waves = waves(&world, "1.0.0");
    assert_eq!((waves[0], waves.iter().sum::<usize>()), (1, 20), "{waves:?}");
    // Nodes of a wave run side by side, so a wave may be seen as several groups, never two waves as one.
    assert!(
        waves
            .iter()
            .scan(0, |sum, size| {
                *sum += size;
                Some(*sum)
            })
            .any(|sum| sum == 6),
        "{waves:?}"
    );
    assert!(fleet.nodes.iter().all(|node| node.read("app/shop") == "1.0.0\n"));

    fs::write(fleet.node("a1").home.join("broken-2.0.0"), "").expect("written");
    world.push("2.0.0", &[]);
    world.wait("deploy_failed", &[("node", "a1"), ("failure", "activate")]);
    let back = world.wait("rollback_complete", &[("version", "1.0.0")]);
    assert_eq!(back["nodes"]["a20"], "1.0.0", "{back}");
    let told = told(&fleet);
    assert_eq!(told["a1"], ["deploy 1.0.0", "deploy 2.0.0", "rollback 1.0.0"]);
    assert_eq!(told["a2"], ["deploy 1.0.0"], "nobody but the canary saw it");
    assert_eq!(fleet.node("a1").read("app/shop"), "1.0.0\n");
}

#[test]
fn every_kind_of_bad_node_counts_and_the_others_go_on() {
    let Some((mut world, mut fleet)) =
        raised(6, &format!("{TOLD}waves = [\"100%\"]\nmax_failures = 4\ntimeout = \"3s\"\n"))
    else {
        return;
    };
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    fleet.node("a2").kill();
    fleet.node("a3").change_key();
    fs::write(fleet.node("a4").home.join("hang-2.0.0"), "").expect("written");
    fs::write(fleet.node("a5").home.join("broken-2.0.0"), "").expect("written");
    world.push("2.0.0", &[]);
    let complete = world.wait("promote_complete", &[("version", "2.0.0")]);
    let mut failures = BTreeMap::new();
    for event in world.heard.iter().filter(|event| event["kind"] == "deploy_failed") {
        failures.insert(event["node"].as_str().unwrap(), event["failure"].as_str().unwrap());
    }
    let wanted = [("a2", "unreachable"), ("a3", "auth"), ("a4", "timeout"), ("a5", "activate")];
    assert_eq!(failures, BTreeMap::from(wanted));
    let behind: Vec<_> = complete["nodes"].as_array().into_iter().flatten().collect();
    assert_eq!(behind.len(), 4, "{complete}");
    // They are shown as behind, and one that is well again is brought up by hand.
    fleet.node("a2").start();
    world.good(&["redeploy", "shop", "prod", "--node", "a2"]);
    world.wait("deploy_ok", &[("node", "a2"), ("mode", "redeploy")]);
    assert_eq!(fleet.node("a2").read("app/shop"), "2.0.0\n");
}

#[test]
fn one_more_failure_than_allowed_sends_all_back_newest_first() {
    let Some((mut world, mut fleet)) = raised(5, &format!("{TOLD}max_failures = 1\n")) else { return };
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    fleet.node("a2").kill();
    fs::write(fleet.node("a4").home.join("broken-2.0.0"), "").expect("written");
    world.push("2.0.0", &[]);
    world.wait("rollback_complete", &[("version", "1.0.0")]);
    let failed = world.wait("promote_failed", &[("version", "2.0.0")]);
    assert_eq!(failed["end"], "rolled_back", "{failed}");
    let backs =
        world.heard.iter().filter(|event| event["kind"] == "deploy_start" && event["mode"] == "rollback");
    let backs: Vec<&str> = backs.map(|event| event["node"].as_str().unwrap()).collect();
    assert_eq!(backs, ["a4", "a3", "a1"], "the newest change first; what was not reached was not changed");
    let told = told(&fleet);
    assert_eq!(told["a5"], ["deploy 1.0.0"]);
    assert_eq!(told["a3"], ["deploy 1.0.0", "deploy 2.0.0", "rollback 1.0.0"]);
}

#[test]
fn a_node_that_dies_in_the_middle_of_an_upload_is_said_and_gone_on_with() {
    let big = (
        "build.sh",
        "mkdir -p out; head -c 60000000 /dev/urandom > out/big; echo $TIDEGATE_VERSION > out/shop\n",
    );
    let Some((mut world, mut fleet)) = raised(2, TOLD) else { return };
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    // sshd dies once a good part of the file is there.
    world.push("2.0.0", &[big]);
    let app = fleet.node("a1").home.join("app");
    let begun = |app: &std::path::Path| {
        let parts = fs::read_dir(app).into_iter().flatten().flatten();
        parts
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".big."))
            .any(|entry| entry.metadata().is_ok_and(|is| is.len() > 1_000_000))
    };
    while !begun(&app) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    fleet.node("a1").kill();
    let failed = world.wait("deploy_failed", &[("node", "a1")]);
    assert_eq!(failed["failure"], "upload", "{failed}");
    fleet.node("a1").start();
    world.wait("rollback_complete", &[("version", "1.0.0")]);
    world.good(&["retry", "shop", "prod"]);
    world.wait("promote_complete", &[("version", "2.0.0")]);
    let run = world.heard.iter().rev().find(|e| e["kind"] == "deploy_start" && e["node"] == "a1").unwrap()["run_id"].as_u64();
    let log = String::from_utf8_lossy(&world.bytes(&format!("/api/runs/{}/log", run.unwrap()))).into_owned();
    assert!(log.contains("(went on after "), "{log}");
    assert_eq!(fs::metadata(app.join("big")).expect("there").len(), 60_000_000);
}
