//! Rules 33 to 35: after a crash or a stop.

use super::world::*;
use tidegate::domain::pipeline::*;

#[test]
fn rule_33_a_step_or_gate_without_an_end_runs_again_as_a_new_run() {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.hold_run("compile");
    w.hold_run("host/tests");
    w.push("c1");
    w.crash();
    w.let_go("compile");
    w.crash();
    w.let_go("host/tests");
    w.saw(&[
        "step_start compile",
        "controller_started",
        "step_done compile 1.0.1 interrupted",
        "step_start compile",
        "step_done compile 1.0.1 ok",
        "gate_start host tests",
        "controller_started",
        "gate_done host tests 1.0.1 interrupted",
        "gate_start host tests",
        "promote_complete host 1.0.1",
    ]);
}

#[test]
fn rule_33_a_nodes_deploy_counts_as_failed_and_the_waves_go_on_if_allowed() {
    for (max_failures, end) in [(0, "rollback prod 1.0.2 1.0.1"), (1, "promote_complete prod 1.0.2")] {
        let max = |t: &mut Tier| t.deploy.as_mut().unwrap().max_failures = max_failures;
        let mut w = World::with(shop([tier("prod").nodes(&["a", "b"]).with(max)]));
        w.push("c1");
        w.hold_run("prod/a");
        w.push("c2");
        w.crash();
        w.saw(&["controller_started", "deploy_failed prod a deploy 1.0.2 interrupted", end]);
        assert_eq!(w.count("deploy_start prod a deploy 1.0.2"), 1, "it is not deployed twice");
    }
}

#[test]
fn rule_33_with_rerun_the_step_is_started_again() {
    let rerun = |t: &mut Tier| t.deploy.as_mut().unwrap().rerun_on_crash = true;
    let mut w = World::with(shop([tier("prod").nodes(&["a"]).with(rerun)]));
    w.hold_run("prod/a");
    w.push("c1");
    w.crash();
    w.let_go("prod/a");
    w.saw(&[
        "deploy_failed prod a deploy 1.0.1 interrupted",
        "deploy_ok prod a deploy 1.0.1",
        "promote_complete",
    ]);
}

#[test]
fn rule_33_a_rollbacks_node_is_done_again() {
    let mut w = World::with(shop([tier("prod").nodes(&["a"])]));
    w.push("c1");
    w.push("c2");
    w.hold_run("prod/a rollback");
    w.rollback("prod").unwrap();
    w.crash();
    w.let_go("prod/a rollback");
    w.saw(&["controller_started", "deploy_ok prod a rollback 1.0.1", "rollback_complete prod 1.0.1"]);
}

#[test]
fn rule_34_while_draining_nothing_new_starts_and_after_it_things_go_on() {
    let mut w = World::with(shop([tier("host").gate("a"), tier("prod").nodes(&["n1", "n2"])]));
    w.hold_run("prod/n1");
    w.push("c1");
    w.open = false;
    w.let_go("prod/n1");
    assert_eq!(w.count("deploy_start prod n2"), 0);
    w.push("c2");
    assert_eq!(w.count("step_start"), 1);
    w.open = true;
    w.crash();
    w.saw(&["deploy_ok prod n1", "controller_started", "deploy_ok prod n2", "promote_complete prod 1.0.1"]);
    assert_eq!(w.current("prod"), "1.0.2");
}

#[test]
fn rule_35_whatever_ends_without_finishing_is_said() {
    let mut w = World::with(shop([tier("host").gate("tests"), tier("prod").gate("smoke")]));
    w.hold_run("compile");
    w.push("c1");
    w.push("c2");
    w.let_go("compile");
    w.hold_run("prod/smoke");
    w.push("c3");
    w.push("c4");
    w.let_go("prod/smoke");
    for commit in ["1", "2", "3", "4"] {
        let version = format!("1.0.{commit}");
        let ended = w.lines().iter().any(|l| {
            l.starts_with(&format!("build_aborted c{commit}"))
                || l.starts_with(&format!("promote_complete prod {version}"))
                || l.starts_with(&format!("superseded prod {version}"))
                || l.starts_with(&format!("superseded host {version}"))
        });
        assert!(ended, "{version} ended without a word:\n{}", w.lines().join("\n"));
    }
}

#[test]
fn a_crash_at_any_point_leads_to_the_same_end() {
    let shape = || shop([tier("host").gate("tests"), tier("prod").nodes(&["a", "b"]).verify("smoke")]);
    for at in ["compile", "host/tests", "prod/smoke"] {
        let mut w = World::with(shape());
        w.hold_run(at);
        w.push("c1");
        w.crash();
        w.crash();
        w.let_go(at);
        assert_eq!(w.current("prod"), "1.0.1", "crashed at {at}");
        assert_eq!(w.count("promote_complete prod"), 1);
        assert_eq!(w.count("deploy_start prod"), 2);
    }
}
