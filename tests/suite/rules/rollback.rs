//! Rules 24 to 26: rollback.

use super::world::*;
use tidegate::domain::*;

#[test]
fn rule_24_the_way_back_runs_the_targets_own_deploy_without_check_gates() {
    let mut w = World::with(shop([tier("host"), tier("prod").gate("tests").nodes(&["a"]).verify("smoke")]));
    w.push("c1");
    let old = w.shop().tiers["prod"].current.clone().unwrap().digest;
    w.load(shop([tier("host"), tier("prod").nodes(&["a"]).verify("other")]));
    w.push("c2");
    let mark = w.mark();
    w.deed(Deed::Hold { tier: Some("prod".into()) }).unwrap();
    w.hold_run("prod/a rollback");
    w.rollback("prod").unwrap();
    assert_eq!(w.shop().tiers["prod"].going_back.as_ref().unwrap().digest, old);
    w.let_go("prod/a rollback");
    assert_eq!(
        w.since(mark),
        [
            "hold_set prod",
            "rollback prod 1.0.2 1.0.1",
            "deploy_start prod a rollback 1.0.1",
            "deploy_ok prod a rollback 1.0.1",
            "gate_start prod smoke 1.0.1",
            "gate_done prod smoke 1.0.1 ok",
            "rollback_complete prod 1.0.1",
        ]
    );
}

#[test]
fn rule_25_a_node_that_cannot_go_back_is_named_tried_again_and_the_tier_held() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a", "b"])]));
    w.push("c1");
    w.push("c2");
    w.script("prod/a rollback", [Ends::Breaks(Failure::Unreachable), Ends::Breaks(Failure::Unreachable)]);
    w.rollback("prod").unwrap();
    w.saw(&["deploy_failed prod a rollback 1.0.1 unreachable", "rollback_failed prod 1.0.1"]);
    assert!(w.shop().tiers["prod"].hold.is_some());
    w.push("c3");
    assert_eq!(w.blockers("prod", "1.0.3"), ["hold"]);
    w.wait(chrono::TimeDelta::minutes(10));
    w.saw(&["rollback_failed prod 1.0.1", "deploy_ok prod a rollback 1.0.1", "rollback_complete prod 1.0.1"]);
    assert_eq!(w.count("deploy_start prod a rollback"), 3);
    assert_eq!(w.count("deploy_start prod b rollback"), 1);
}

#[test]
fn rule_25_a_way_back_that_goes_on_failing_is_tried_less_and_less_often() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]));
    w.push("c1");
    w.push("c2");
    w.script("prod/a rollback", [(); 50].map(|()| Ends::Breaks(Failure::Activate)));
    w.rollback("prod").unwrap();
    assert_eq!(w.count("deploy_start prod a rollback"), 1);
    // After 1, 3, 7 and 15 minutes.
    for (minutes, tries) in [(2, 2), (4, 3), (8, 4), (14, 5)] {
        w.wait(chrono::TimeDelta::minutes(minutes));
        assert_eq!(w.count("deploy_start prod a rollback"), tries, "{minutes} minutes later");
    }
}

#[test]
fn rule_25_retry_tries_the_way_back_at_once() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]));
    w.push("c1");
    w.script("prod/a", [Ends::Breaks(Failure::Activate)]);
    w.script("prod/a rollback", [Ends::Breaks(Failure::Activate)]);
    w.push("c2");
    w.saw(&["rollback_failed prod 1.0.1", "hold_set prod", "promote_failed prod 1.0.2 rolled_back"]);
    w.deed(Deed::Retry { tier: "prod".into(), version: None }).unwrap();
    w.saw(&["rollback_failed prod 1.0.1", "rollback_complete prod 1.0.1"]);
}

#[test]
fn rule_25_a_way_back_is_never_rolled_back() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"]).verify("smoke")]));
    w.push("c1");
    w.push("c2");
    w.script("prod/smoke", [Ends::Is(Classification::Unhealthy)]);
    w.rollback("prod").unwrap();
    w.saw(&[
        "rollback prod 1.0.2 1.0.1",
        "gate_done prod smoke 1.0.1 unhealthy",
        "rollback_failed prod 1.0.1",
    ]);
    assert_eq!(w.count("rollback prod"), 1);
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_26_what_rollback_would_choose_is_known() {
    let mut w = World::with(shop([tier("prod").nodes(&["a"])]));
    for commit in ["c1", "c2", "c3"] {
        w.push(commit);
    }
    let target = w.shop().tiers["prod"].rollback_target(&w.shop().blocked).unwrap();
    assert_eq!(target.version, "1.0.2");
}

#[test]
fn rule_32_a_way_back_leaves_alone_what_no_definition_knows_any_more() {
    let mut w = World::with(shop([tier("prod").nodes(&["a", "b"])]));
    w.push("c1");
    w.load(shop([tier("prod").nodes(&["a"])]));
    w.push("c2");
    w.push("c3");
    // What was on `b` was put there by a definition that nothing goes back to.
    w.rollback("prod").unwrap();
    w.saw(&["rollback prod 1.0.3 1.0.2", "deploy_ok prod a rollback 1.0.2", "rollback_complete prod 1.0.2"]);
    assert_eq!(w.count("deploy_start prod b rollback"), 0);
    // The version before was on both, and its definition is what goes back.
    w.rollback("prod").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(w.count("deploy_start prod a rollback"), 2);
}
