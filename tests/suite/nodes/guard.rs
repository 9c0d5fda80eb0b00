//! `confirm_within`: a node that cannot be reached after a change goes back by itself.

use super::fleet::Fleet;
use super::world::{fails, log_of, world};
use crate::whole::world::World;
use std::fs;
use std::process::Command;

/// A deploy that is as good as its `break.sh`, which comes with the version and may do anything to the node.
const GUARDED: &str = r#"
upload = [{ artifact = "out/**", to = "$HOME/app/" }]
run = """
echo $TIDEGATE_MODE $TIDEGATE_VERSION over $TIDEGATE_PREVIOUS_VERSION, $(cat $HOME/app/shop) >> $HOME/told
sh $HOME/app/break.sh
"""
confirm_within = "10s"
"#;

const BUILD_BOTH: (&str, &str) =
    ("build.sh", "mkdir -p out; echo \"$TIDEGATE_VERSION\" > out/shop; cp break.sh out/break.sh\n");

fn begun() -> Option<(World, Fleet)> {
    let (mut world, fleet) = world(&["a1"], GUARDED)?;
    world.push("1.0.0", &[BUILD_BOTH, ("break.sh", "true\n")]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    assert!(log_of(&world, "a1").contains("no guard: there is no version yet"));
    Some((world, fleet))
}

#[test]
fn a_node_that_answers_is_told_so_and_stays() {
    let Some((mut world, mut fleet)) = begun() else { return };
    world.push("2.0.0", &[]);
    world.wait("promote_complete", &[("version", "2.0.0")]);
    let log = log_of(&world, "a1");
    assert!(log.contains("goes back to 1.0.0 by itself unless it answers within 10s of the change"), "{log}");
    assert!(log.contains("its guard is off"), "{log}");
    // Gone as soon as it has noticed.
    fleet.node("a1").wait_until_idle();
    assert_eq!(fleet.node("a1").read("told"), "deploy 1.0.0 over , 1.0.0\ndeploy 2.0.0 over 1.0.0, 2.0.0\n");
    let left = fs::read_dir(fleet.node("a1").home.join("app")).expect("a folder").count();
    assert_eq!(left, 2, "nothing is left beside the files");
    world.push("3.0.0", &[]);
    world.wait("promote_complete", &[("version", "3.0.0")]);
    assert!(!log_of(&world, "a1").contains("locked"), "an old guard is in nobody's way");
}

#[test]
fn a_deploy_that_kills_sshd_is_undone_by_the_node_and_the_controller_learns_of_it() {
    let Some((mut world, mut fleet)) = begun() else { return };
    // The listener, and the connection that the deploy came by.
    let break_it = format!(
        "if [ $TIDEGATE_MODE = deploy ]; then kill -s KILL {}; p=$$\n\
         until [ \"$(cat /proc/$p/comm)\" = sshd ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done; kill -s KILL $p\nfi\n",
        fleet.node("a1").pid()
    );
    world.push("2.0.0", &[("break.sh", &break_it)]);
    world.wait("rollback", &[("from", "2.0.0"), ("to", "1.0.0")]);
    // Nobody can reach the node: it goes back alone.
    fleet.node("a1").wait_until("told", "rollback 1.0.0");
    fleet.node("a1").start();
    let back = world.wait("rollback_complete", &[("version", "1.0.0")]);
    assert_eq!(back["nodes"]["a1"], "1.0.0", "{back}");
    let told = fleet.node("a1").read("told");
    let wanted =
        "deploy 1.0.0 over , 1.0.0\ndeploy 2.0.0 over 1.0.0, 2.0.0\nrollback 1.0.0 over 2.0.0, 1.0.0\n";
    assert_eq!(told, wanted, "it went back once, with its old files");
    let log = log_of(&world, "a1");
    assert!(log.contains("the node went back to 1.0.0 by itself at "), "{log}");
    fleet.node("a1").wait_until_idle();
}

#[test]
fn a_way_back_by_the_controller_disarms_the_guard() {
    let Some((mut world, mut fleet)) = begun() else { return };
    world.push("2.0.0", &[("break.sh", "test $TIDEGATE_MODE = rollback\n")]);
    fails(&mut world, "a1", "activate", "status 1");
    world.wait("rollback_complete", &[]);
    let log = log_of(&world, "a1");
    assert!(log.contains("a guard was still armed; it is off now"), "{log}");
    let told = fleet.node("a1").read("told");
    assert_eq!(told.lines().filter(|line| line.starts_with("rollback")).count(), 1, "{told}");
    fleet.node("a1").wait_until_idle();
}

#[test]
fn a_controller_that_is_killed_leaves_the_guard_at_work() {
    let Some((mut world, mut fleet)) = begun() else { return };
    world.push("2.0.0", &[("break.sh", "test $TIDEGATE_MODE = rollback || sleep 300\n")]);
    fleet.node("a1").wait_until("told", "deploy 2.0.0");
    world.kill();
    fleet.node("a1").wait_until("told", "rollback 1.0.0");
    world.start();
    let back = world.wait("rollback_complete", &[("version", "1.0.0")]);
    assert_eq!(back["nodes"]["a1"], "1.0.0", "{back}");
    let told = fleet.node("a1").read("told");
    assert_eq!(told.lines().filter(|line| line.starts_with("rollback")).count(), 1, "{told}");
}

#[test]
fn a_tier_that_stops_where_it_is_keeps_the_node_as_it_is() {
    let deploy = format!("{GUARDED}on_failure = \"stop\"\n");
    let Some((mut world, mut fleet)) = world(&["a1"], &deploy) else { return };
    world.push("1.0.0", &[BUILD_BOTH, ("break.sh", "true\n")]);
    world.wait("promote_complete", &[]);
    world.push("2.0.0", &[("break.sh", "exit 7\n")]);
    fails(&mut world, "a1", "activate", "status 7");
    let ended = world.wait("promote_failed", &[]);
    assert_eq!(ended["end"], "stopped", "{ended}");
    fleet.node("a1").wait_until_idle();
    assert!(!fleet.node("a1").read("told").contains("rollback"));
}

#[test]
fn a_deploy_that_lasts_longer_than_the_guard_waits_is_in_no_danger() {
    let Some((mut world, mut fleet)) = begun() else { return };
    world.push("2.0.0", &[("break.sh", "sleep 14\n")]);
    world.wait("promote_complete", &[("version", "2.0.0")]);
    fleet.node("a1").wait_until_idle();
    assert!(!fleet.node("a1").read("told").contains("rollback"));
}

#[test]
fn a_guard_goes_back_only_when_the_command_has_ended() {
    let Some((mut world, mut fleet)) = begun() else { return };
    // Deaf to every word: it is killed once nobody wants it, and until then it is under way.
    let deaf = "if [ $TIDEGATE_MODE = deploy ]; then trap '' TERM; \
                n=0; while [ $n -lt 400 ]; do sleep 0.05; echo on >> $HOME/told; n=$((n+1)); done; fi\n";
    world.push("2.0.0", &[("break.sh", deaf)]);
    fleet.node("a1").wait_until("told", "on\n");
    world.kill();
    fleet.node("a1").close();
    fleet.node("a1").wait_until("told", "rollback 1.0.0");
    let told = fleet.node("a1").read("told");
    assert!(told.trim_end().ends_with("rollback 1.0.0 over 2.0.0, 1.0.0"), "{told}");
    fleet.node("a1").wait_until_idle();
}

#[test]
fn a_tier_that_stops_where_it_is_does_so_at_a_timeout_too() {
    let deploy = format!("{GUARDED}on_failure = \"stop\"\ntimeout = \"6s\"\n");
    let Some((mut world, mut fleet)) = world(&["a1"], &deploy) else { return };
    world.push("1.0.0", &[BUILD_BOTH, ("break.sh", "true\n")]);
    world.wait("promote_complete", &[]);
    world.push("2.0.0", &[("break.sh", "sleep 60\n")]);
    fails(&mut world, "a1", "timeout", "6s");
    fleet.node("a1").wait_until_idle();
    assert_eq!(fleet.node("a1").read("app/shop"), "2.0.0\n");
    assert!(!fleet.node("a1").read("told").contains("rollback"));
}

#[test]
fn a_guard_that_could_not_put_a_file_back_says_so_and_the_controller_does_it() {
    let Some((mut world, mut fleet)) = begun() else { return };
    // The deploy clears its folder, what the guard keeps included, and the node is alone.
    let clear = "if [ $TIDEGATE_MODE = deploy ]; then rm -f $HOME/app/.*.tidegate.back; sleep 300; fi\n";
    world.push("2.0.0", &[("break.sh", clear)]);
    fleet.node("a1").wait_until("told", "deploy 2.0.0");
    world.kill();
    fleet.node("a1").close();
    fleet.node("a1").wait_until_idle();
    fleet.node("a1").start();
    world.start();
    world.wait("rollback_complete", &[("version", "1.0.0")]);
    assert_eq!(fleet.node("a1").read("app/shop"), "1.0.0\n");
    assert!(log_of(&world, "a1").contains("its command ended with status 1"), "{}", log_of(&world, "a1"));
}

#[test]
fn a_guard_goes_back_although_a_file_was_the_same_in_both_versions() {
    let Some((mut world, fleet)) = world(&["a1"], GUARDED) else { return };
    let mut fleet = fleet;
    let build = "mkdir -p out; echo same > out/same; echo \"$TIDEGATE_VERSION\" > out/shop; cp break.sh out/break.sh\n";
    world.push("1.0.0", &[("build.sh", build), ("break.sh", "echo the password is hunter2\n")]);
    world.wait("promote_complete", &[("version", "1.0.0")]);
    let broken = "if [ $TIDEGATE_MODE = deploy ]; then sleep 300; fi\n";
    world.push("2.0.0", &[("break.sh", broken)]);
    fleet.node("a1").wait_until("told", "deploy 2.0.0");
    world.kill();
    fleet.node("a1").close();
    fleet.node("a1").wait_until("told", "rollback 1.0.0 over 2.0.0, 1.0.0");
    fleet.node("a1").wait_until_idle();
    let left = fs::read_dir(fleet.node("a1").home.join("app")).expect("a folder").count();
    assert_eq!(left, 3, "nothing is left beside the files");
    let kept = Command::new("grep")
        .args(["-rl", "hunter2"])
        .arg(fleet.node("a1").home.join(".tidegate"))
        .output()
        .expect("grep runs");
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "", "what its command wrote is on the disk");
    fleet.node("a1").start();
    world.start();
    world.wait("rollback_complete", &[("version", "1.0.0")]);
    assert!(log_of(&world, "a1").contains("the node went back to 1.0.0 by itself at "));
}
