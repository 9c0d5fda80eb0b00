//! The controller is killed (SIGKILL) in every state of a rollout and of the way back, one after the other, told by
//! events: no node is deployed twice, none is forgotten, and the way back still happens.

use super::world::{BUILD, world};
use std::fs;

/// Every version but the first fails on the third node.
const DEPLOY: &str = r#"
upload = [{ artifact = "out/**", to = "$HOME/app/" }]
run = """
echo $TIDEGATE_MODE $TIDEGATE_VERSION >> $HOME/told
sleep 0.1
test $TIDEGATE_NODE != a3 || test $TIDEGATE_VERSION = 1.0.0
"""
"#;

/// More states than a rollout and its way back have: the last rounds are not disturbed at all.
const STATES: usize = 17;

#[test]
fn a_killed_controller_goes_on_in_every_state_of_a_rollout() {
    let Some((mut world, fleet)) = world(&["a1", "a2", "a3"], DEPLOY) else { return };
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let mut killed_at = Vec::new();
    for state in 0..STATES {
        let version = format!("2.0.{state}");
        for node in &fleet.nodes {
            fs::write(node.home.join("told"), "").expect("written");
        }
        world.push(&version, &[]);
        world.wait("promote_start", &[("version", &version)]);
        let mut left = state;
        let mut is_over = false;
        while left > 0 && !is_over {
            let event = world.wait_for("the next event", |event| event["id"].is_u64());
            is_over = event["kind"] == "promote_failed";
            left -= 1;
        }
        let last = world.heard.last().expect("an event").clone();
        world.kill();
        killed_at.push(format!("{} {} {}", last["kind"], last["mode"], last["node"]));
        world.start();
        if !is_over {
            world.wait("promote_failed", &[("version", &version)]);
        }
        for node in &fleet.nodes {
            let told = node.read("told");
            let count = |what: &str| told.lines().filter(|line| *line == format!("{what} {version}")).count();
            assert!(count("deploy") <= 1, "{} after a kill at {last}: {told}", node.name);
            assert_eq!(count("rollback"), 0, "{told}");
            let backs = told.lines().filter(|line| *line == "rollback 1.0.0").count();
            assert!(backs >= count("deploy"), "{} after a kill at {last}: {told}", node.name);
            assert_eq!(node.read("app/shop"), "1.0.0\n", "{} after a kill at {last}", node.name);
        }
        let place = world.get("/api/pipelines/shop");
        let nodes = place["pipeline"]["tiers"].as_array().expect("tiers")[0]["nodes"].to_string();
        assert!(!nodes.contains("2.0."), "after a kill at {last}: {nodes}");
        assert!(!nodes.contains("null"), "after a kill at {last}: {nodes}");
    }
    killed_at.dedup();
    assert!(killed_at.len() > 10, "{killed_at:#?}");
}
