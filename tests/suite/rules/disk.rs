//! A full disk: nothing new begins, what has begun to change nodes and the way back go on, and all of it is said (§8).

use super::world::*;
use tidegate::domain::*;

/// A world whose disk is full, or has room again; everything follows.
fn disk(w: &mut World, full: bool) {
    w.disk_full = full;
    w.settle();
}

#[test]
fn a_full_disk_keeps_builds_waiting_and_loses_none() {
    let mut w = World::with(shop([tier("host")]));
    disk(&mut w, true);
    w.push("c1");
    let said: Vec<String> = w.lines().into_iter().filter(|line| !line.starts_with("pipeline_")).collect();
    assert_eq!(said, ["rebuild_requested"]);
    assert_eq!(w.shop().queue.len(), 1);
    disk(&mut w, false);
    assert_eq!(w.current("host"), "1.0.1");
}

#[test]
fn a_build_under_way_begins_no_further_step_and_what_is_built_does_not_enter() {
    let two = |p: &mut Pipeline| p.build.steps.push(step("link", &["compile"]));
    let mut w = World::with(shop([tier("host")]).with(two));
    w.hold_run("compile");
    w.push("c1");
    disk(&mut w, true);
    w.let_go("compile");
    assert_eq!((w.count("step_done compile"), w.count("step_start link")), (1, 0));
    w.hold_run("link");
    disk(&mut w, false);
    disk(&mut w, true);
    w.let_go("link");
    w.saw(&["step_done link", "build_ok", "promote_blocked host 1.0.1 [disk_full]"]);
    assert_eq!(w.count("promote_start"), 0);
    assert_eq!(w.count("promote_blocked"), 1, "it is said once");
    disk(&mut w, false);
    assert_eq!(w.current("host"), "1.0.1");
}

#[test]
fn nobody_lets_a_version_in_on_a_full_disk() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    disk(&mut w, true);
    w.saw(&["promote_blocked prod 1.0.1 [manual]", "promote_blocked prod 1.0.1 [manual,disk_full]"]);
    w.promote("prod", "1.0.1").unwrap();
    w.saw(&["manual_action promote prod 1.0.1", "promote_blocked prod 1.0.1 [disk_full]"]);
    assert_eq!(w.count("promote_start prod"), 0);
    disk(&mut w, false);
    assert_eq!(w.current("prod"), "1.0.1", "the word stands");
}

#[test]
fn what_is_inside_begins_neither_gate_nor_deploy_and_says_so() {
    let mut w = World::with(shop([tier("prod").gate("tests").nodes(&["a", "b"]).verify("smoke")]));
    w.hold_run("prod/tests");
    w.push("c1");
    disk(&mut w, true);
    w.let_go("prod/tests");
    w.saw(&["gate_done prod tests 1.0.1 ok", "promote_blocked prod 1.0.1 [disk_full]"]);
    assert_eq!(w.count("deploy_start"), 0);
    w.hold_run("prod/a");
    disk(&mut w, false);
    w.saw(&[
        "promote_blocked prod 1.0.1 [disk_full]",
        "deploy_start prod a",
        "promote_blocked prod 1.0.1 []",
    ]);
    disk(&mut w, true);
    w.let_go("prod/a");
    w.saw(&["deploy_ok prod a", "deploy_ok prod b", "promote_blocked prod 1.0.1 [disk_full]"]);
    assert_eq!(w.count("gate_start prod smoke"), 0, "a verify gate would fail for the disk's sake");
    disk(&mut w, false);
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(w.count("promote_blocked prod 1.0.1 [disk_full]"), 2);
}

#[test]
fn a_gate_that_could_not_judge_says_both() {
    let mut w = World::with(shop([tier("prod").nodes(&["a"]).verify("smoke")]));
    w.script("prod/smoke", [Ends::Is(Classification::Infrastructure)]);
    w.hold_run("prod/smoke");
    w.push("c1");
    disk(&mut w, true);
    w.let_go("prod/smoke");
    w.wait(chrono::TimeDelta::minutes(3));
    let last = w.lines().into_iter().rfind(|line| line.starts_with("promote_blocked")).unwrap();
    assert_eq!(last, "promote_blocked prod 1.0.1 [step_says,disk_full]");
    assert_eq!(w.count("gate_start prod smoke"), 1);
    disk(&mut w, false);
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn a_gate_that_found_no_room_says_so_once_although_there_is_room_by_now() {
    for full in [false, true] {
        let mut w = World::with(shop([tier("prod").nodes(&["a"]).verify("smoke")]));
        w.script("prod/smoke", [Ends::FindsNoRoom]);
        w.hold_run("prod/smoke");
        w.push("c1");
        disk(&mut w, full);
        w.let_go("prod/smoke");
        w.saw(&["gate_done prod smoke", "promote_blocked prod 1.0.1 [disk_full]"]);
        assert_eq!(w.count("promote_blocked"), 1, "full: {full}");
        disk(&mut w, false);
        w.wait(chrono::TimeDelta::minutes(3));
        assert_eq!(w.current("prod"), "1.0.1", "full: {full}");
        assert_eq!(w.count("gate_start prod smoke"), 2, "full: {full}");
    }
}

#[test]
fn the_way_back_goes_on_whoever_began_it() {
    let mut w = World::with(shop([tier("prod").nodes(&["a", "b"]).verify("smoke")]));
    w.push("c1");
    w.push("c2");
    disk(&mut w, true);
    w.rollback("prod").unwrap();
    w.saw(&[
        "deploy_ok prod a rollback 1.0.1",
        "gate_done prod smoke 1.0.1 ok",
        "rollback_complete prod 1.0.1",
    ]);
    disk(&mut w, false);
    w.deed(Deed::Resume { tier: Some("prod".into()) }).unwrap();
    w.script("prod/b", [Ends::Breaks(Failure::Activate)]);
    w.hold_run("prod/b");
    w.push("c3");
    disk(&mut w, true);
    w.let_go("prod/b");
    w.saw(&["rollback prod 1.0.3 1.0.1", "rollback_complete prod 1.0.1", "promote_failed prod 1.0.3"]);
}
