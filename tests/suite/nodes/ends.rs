//! What runs on a node ends with its step: by cancel, by timeout, with the controller.

use super::world::{BUILD, fails, world};
use crate::whole::world::World;
use std::time::{Duration, Instant};

/// A command with company: a child in its group, one in a session of its own, and one that hears no signal.
const COMPANY: &str = r#"run = """
sleep 301 &
setsid sleep 302 &
sh -c 'trap "" TERM; echo deaf; while :; do sleep 0.1; done' &
trap 'echo told to end; exit 3' TERM
echo up
while :; do sleep 0.05; done
"""
grace = "1s"
"#;

fn until_up(world: &mut World) {
    let mut heard = String::new();
    while !(heard.contains("up") && heard.contains("deaf")) {
        let chunk = world.wait("deploy_log_chunk", &[]);
        heard.push_str(chunk["text"].as_str().expect("text"));
    }
}

#[test]
fn nothing_on_a_node_outlives_a_timeout() {
    let Some((mut world, mut fleet)) = world(&["a1"], &format!("{COMPANY}timeout = \"2s\"\n")) else {
        return;
    };
    world.push("1.0.0", &[BUILD]);
    until_up(&mut world);
    fails(&mut world, "a1", "timeout", "2s");
    let log = super::world::log_of(&world, "a1");
    assert!(log.contains("told to end"), "what it writes at its end is heard: {log}");
    fleet.node("a1").wait_until_idle();
}

#[test]
fn nothing_on_a_node_outlives_a_cancel() {
    let Some((mut world, mut fleet)) = world(&["a1"], COMPANY) else { return };
    world.push("1.0.0", &[BUILD]);
    until_up(&mut world);
    assert!(!fleet.node("a1").processes().is_empty());
    world.good(&["cancel", "shop", "prod"]);
    let failed = world.wait("deploy_failed", &[("node", "a1")]);
    assert_eq!(failed["failure"], "canceled", "{failed}");
    fleet.node("a1").wait_until_idle();
}

#[test]
fn what_a_killed_controller_left_on_a_node_is_ended_by_the_next() {
    let Some((mut world, mut fleet)) = world(&["a1"], COMPANY) else { return };
    world.push("1.0.0", &[BUILD]);
    until_up(&mut world);
    world.kill();
    world.start();
    let failed = world.wait("deploy_failed", &[("node", "a1")]);
    assert_eq!(failed["failure"], "interrupted", "{failed}");
    fleet.node("a1").wait_until_idle();
}

#[test]
fn what_a_step_starts_for_good_lives_on() {
    let deploy = "run = \"nohup sleep 77 >/dev/null 2>&1 & echo $! > $HOME/pid\"\n";
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[BUILD]);
    world.wait("deploy_ok", &[("node", "a1")]);
    let left = fleet.node("a1").processes();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].0.to_string(), fleet.node("a1").read("pid").trim());
}

#[test]
fn a_cancel_ends_nothing_that_an_earlier_deploy_left_for_good() {
    let deploy = "run = \"if [ $TIDEGATE_VERSION = 1.0.0 ]; then nohup sleep 79 >/dev/null 2>&1 & exit 0; fi; \
                  echo up; echo deaf; [ $TIDEGATE_MODE = rollback ] || sleep 300\"\n";
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[BUILD]);
    world.wait("promote_complete", &[]);
    // What the deploy itself needed may still be going, and what it left may just be coming.
    let begin = Instant::now();
    let left = loop {
        let mut left = fleet.node("a1").processes();
        left.retain(|(_, name)| name == "sleep");
        if left.len() == 1 {
            break left;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{left:?}");
        std::thread::sleep(Duration::from_millis(20));
    };
    world.push("2.0.0", &[]);
    until_up(&mut world);
    world.good(&["cancel", "shop", "prod"]);
    world.wait("promote_failed", &[]);
    let now = fleet.node("a1").processes();
    assert!(left.iter().all(|one| now.contains(one)), "{left:?} and then {now:?}");
}

#[test]
fn a_step_that_goes_on_in_the_background_keeps_nobody() {
    // It holds the output open, as a daemon that was started carelessly does.
    let deploy = "run = \"echo begun; sleep 78 & exit 0\"\n";
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[BUILD]);
    let done = world.wait("deploy_ok", &[("node", "a1")]);
    assert!(done["elapsed_ms"].as_u64().expect("a number") < 30_000, "{done}");
    assert_eq!(fleet.node("a1").processes().len(), 1);
}

#[test]
fn a_command_that_prints_lives_on_when_the_controller_alone_is_killed() {
    let deploy = "run = \"echo up; echo deaf; while ! test -f $HOME/go; do echo more; echo x >> $HOME/rounds; sleep 0.02; done; \
                  echo ended >> $HOME/told\"\n";
    let Some((mut world, mut fleet)) = world(&["a1"], deploy) else { return };
    world.push("1.0.0", &[BUILD]);
    until_up(&mut world);
    world.kill();
    let node = fleet.node("a1");
    let rounds = node.read("rounds");
    node.wait_until("rounds", &format!("{rounds}{}", "x\n".repeat(100)));
    std::fs::write(node.home.join("go"), "").expect("written");
    node.wait_until("told", "ended");
    node.wait_until_idle();
}
