//! A controller that stands still, as on a machine that sleeps: what runs goes on without it, who pushes is not held up, and
//! when it goes on each thing has one end.

use super::SHOP;
use super::world::World;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::{Duration, Instant};

fn tell(world: &World, signal: Signal) {
    kill_process(Pid::from_raw(world.pid()).expect("a process"), signal).expect("told");
}

/// Pushes a version; what the pusher reads.
fn quick(world: &World, version: &str) -> String {
    let begin = Instant::now();
    let said = world.push(version, &[]);
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}: {said}", begin.elapsed());
    assert!(said.contains("stored"), "{said}");
    said
}

#[test]
fn a_push_is_stored_and_quick_when_the_controller_says_nothing() {
    let mut world = World::new(SHOP);
    tell(&world, Signal::STOP);
    quick(&world, "1.0.0");
    // The same where the program is gone, and curl tells.
    let hook = world.path("shop.git/hooks/post-receive");
    let text = fs::read_to_string(&hook).expect("the hook");
    let gone = text.lines().map(|line| if line.starts_with("tidegate=") { "tidegate=/gone" } else { line });
    fs::write(&hook, gone.map(|line| format!("{line}\n")).collect::<String>()).expect("the hook");
    quick(&world, "1.0.1");
    tell(&world, Signal::CONT);
    world.good(&["rebuild", "shop"]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.1")]);
}

#[test]
fn what_ran_out_while_it_stood_still_has_one_end() {
    let late = SHOP.replace(
        "run = \"! grep -q bad-build $TIDEGATE_ARTIFACTS/out.txt\"",
        "run = \"sleep 60\"\ntimeout = \"1s\"",
    );
    let mut world = World::new(&late);
    world.push("1.0.0", &[]);
    let run = world.wait("gate_start", &[("name", "test")])["run_id"].to_string();
    tell(&world, Signal::STOP);
    // Time that passes is what this is about.
    std::thread::sleep(Duration::from_secs(3));
    tell(&world, Signal::CONT);
    let done = world.wait("gate_done", &[("run_id", &run)]);
    assert_eq!(done["outcome"]["classification"], "timeout", "{done}");
    // Who listens is still there.
    world.wait("promote_failed", &[("tier", "host")]);
    world.good(&["hold", "shop", "--why", "enough"]);
    world.wait("hold_set", &[]);
    let ends =
        world.heard.iter().filter(|event| event["kind"] == "gate_done" && event["run_id"] == done["run_id"]);
    assert_eq!(ends.count(), 1);
    assert!(world.strays().is_empty(), "{:?}", world.strays());
}
