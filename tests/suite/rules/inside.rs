//! Rules 13 to 18: inside a tier.

use super::world::*;
use tidegate::domain::pipeline::*;
use tidegate::domain::*;

/// Two tiers; the second deploys to these nodes.
fn with_nodes(nodes: &[&str]) -> World {
    World::with(shop([tier("host"), tier("prod").nodes(nodes).verify("smoke")]))
}

#[test]
fn rule_13_gates_then_waves_then_verify_gates_then_complete() {
    let mut w = World::with(shop([tier("prod")
        .gate("tests")
        .nodes(&["a", "b", "c", "d", "e"])
        .waves(&[Wave::Count(1), Wave::Percent(30)])
        .verify("smoke")]));
    w.push("c1");
    let told = w.lines();
    let told: Vec<&str> =
        told.iter().map(String::as_str).skip_while(|l| !l.starts_with("promote_start")).collect();
    assert_eq!(
        told,
        [
            "promote_start prod 1.0.1",
            "gate_start prod tests 1.0.1",
            "gate_done prod tests 1.0.1 ok",
            "deploy_start prod a deploy 1.0.1",
            "deploy_ok prod a deploy 1.0.1",
            "deploy_start prod b deploy 1.0.1",
            "deploy_start prod c deploy 1.0.1",
            "deploy_ok prod b deploy 1.0.1",
            "deploy_ok prod c deploy 1.0.1",
            "deploy_start prod d deploy 1.0.1",
            "deploy_start prod e deploy 1.0.1",
            "deploy_ok prod d deploy 1.0.1",
            "deploy_ok prod e deploy 1.0.1",
            "gate_start prod smoke 1.0.1",
            "gate_done prod smoke 1.0.1 ok",
            "promote_complete prod 1.0.1",
        ]
    );
}

#[test]
fn rule_13_check_gates_run_to_their_end_even_when_one_failed() {
    let mut w = World::with(shop([tier("host").gate("a").gate("b")]));
    w.script("host/a", [Ends::Is(Classification::CheckFailed)]);
    w.push("c1");
    w.saw(&[
        "gate_done host a 1.0.1 check_failed",
        "gate_done host b 1.0.1 ok",
        "promote_failed host 1.0.1 rejected",
    ]);
}

#[test]
fn rule_13_a_gate_that_needs_another_begins_after_it() {
    let needs = |t: &mut Tier| t.gates[0].needs = vec!["b".into()];
    let mut w = World::with(shop([tier("host").gate("a").gate("b").with(needs)]));
    w.push("c1");
    w.saw(&["gate_done host b 1.0.1 ok", "gate_start host a 1.0.1", "promote_complete host"]);
    w.script("host/b", [Ends::Is(Classification::CheckFailed)]);
    w.push("c2");
    assert_eq!(w.count("gate_start host a"), 1, "what needs a failed gate never begins");
}

#[test]
fn rule_14_up_to_max_failures_nodes_may_fail() {
    let max = |t: &mut Tier| t.deploy.as_mut().unwrap().max_failures = 1;
    let mut w = World::with(shop([tier("prod").nodes(&["a", "b", "c"]).with(max)]));
    w.script("prod/b", [Ends::Breaks(Failure::Unreachable)]);
    w.push("c1");
    w.saw(&[
        "deploy_failed prod b deploy 1.0.1 unreachable",
        "deploy_ok prod c",
        "promote_complete prod 1.0.1",
    ]);
    let Event::PromoteComplete { nodes, .. } = &w.said.last().unwrap().fact.event else { panic!() };
    assert_eq!(nodes, &[NodeName::from("b")]);
}

#[test]
fn rule_15_more_failures_send_what_was_changed_back_newest_change_first() {
    let mut w = with_nodes(&["a", "b", "c"]);
    w.push("c1");
    w.script("prod/c", [Ends::Breaks(Failure::Unhealthy)]);
    let mark = w.mark();
    w.push("c2");
    w.saw(&[
        "deploy_failed prod c deploy 1.0.2 unhealthy",
        "rollback prod 1.0.2 1.0.1",
        "deploy_ok prod c rollback 1.0.1",
        "deploy_ok prod b rollback 1.0.1",
        "deploy_ok prod a rollback 1.0.1",
        "gate_done prod smoke 1.0.1 ok",
        "rollback_complete prod 1.0.1",
        "promote_failed prod 1.0.2 rolled_back",
    ]);
    assert_eq!(w.since(mark).iter().filter(|l| l.contains("rollback 1.0.1")).count(), 6);
    assert_eq!(w.current("prod"), "1.0.1");
    assert!(w.shop().tiers["prod"].hold.is_none(), "a rollback by itself holds nothing");
}

#[test]
fn rule_15_an_unreachable_node_was_not_changed() {
    let mut w = with_nodes(&["a", "b"]);
    w.push("c1");
    w.script("prod/b", [Ends::Breaks(Failure::Unreachable)]);
    w.push("c2");
    assert_eq!(w.count("deploy_start prod a rollback"), 1);
    assert_eq!(w.count("deploy_start prod b rollback"), 0);
}

#[test]
fn rule_15_a_failed_verify_gate_goes_back_too() {
    let mut w = with_nodes(&["a"]);
    w.push("c1");
    w.script("prod/smoke", [Ends::Is(Classification::Unhealthy)]);
    w.push("c2");
    w.saw(&[
        "gate_done prod smoke 1.0.2 unhealthy",
        "rollback prod 1.0.2 1.0.1",
        "promote_failed prod 1.0.2 rolled_back",
    ]);
}

#[test]
fn rule_15_without_a_current_version_or_with_stop_nodes_stay_and_are_named() {
    let mut w = with_nodes(&["a", "b"]);
    w.script("prod/b", [Ends::Breaks(Failure::Activate)]);
    w.push("c1");
    w.saw(&["promote_failed prod 1.0.1 stopped"]);
    let Event::PromoteFailed { nodes, .. } = &w.said.last().unwrap().fact.event else { panic!() };
    assert_eq!(nodes[&NodeName::from("a")], Some("1.0.1".into()));
    assert_eq!(nodes[&NodeName::from("b")], None, "it is not known what runs there");
    let stop = |t: &mut Tier| t.deploy.as_mut().unwrap().on_failure = OnFailure::Stop;
    let mut w = World::with(shop([tier("prod").nodes(&["a"]).with(stop)]));
    w.push("c1");
    w.script("prod/a", [Ends::Breaks(Failure::Timeout)]);
    w.push("c2");
    w.saw(&["promote_failed prod 1.0.2 stopped"]);
    assert_eq!(w.count("rollback"), 0);
}

#[test]
fn rule_16_what_failed_is_rejected_until_retry_and_the_tier_is_free() {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.script("host/tests", [Ends::Is(Classification::TestFailure)]);
    w.push("c1");
    assert_eq!(w.blockers("host", "1.0.1"), ["rejected"]);
    assert!(w.shop().tiers["host"].busy_with().is_none());
    w.wait(chrono::TimeDelta::hours(3));
    assert_eq!(w.count("promote_start"), 1, "nobody tries it again by itself");
    w.retry("host", "1.0.1").unwrap();
    assert_eq!(w.current("host"), "1.0.1");
}

#[test]
fn rule_17_a_blocked_check_gate_steps_back_and_is_tried_again() {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.script(
        "host/tests",
        [Ends::Is(Classification::MissingTool), Ends::Is(Classification::Infrastructure), Ends::Passes],
    );
    w.push("c1");
    w.saw(&["gate_done host tests 1.0.1 missing_tool", "promote_blocked host 1.0.1"]);
    assert!(w.shop().tiers["host"].busy_with().is_none(), "it stands in front of the tier");
    w.wait(chrono::TimeDelta::seconds(59));
    assert_eq!(w.count("gate_start"), 1);
    w.wait(chrono::TimeDelta::seconds(2));
    assert_eq!(w.count("gate_start"), 2);
    w.wait(chrono::TimeDelta::seconds(118));
    assert_eq!(w.count("gate_start"), 2, "two minutes the second time");
    w.wait(chrono::TimeDelta::seconds(2));
    assert_eq!(w.current("host"), "1.0.1");
}

#[test]
fn rule_17_meanwhile_a_repair_can_pass_and_retry_is_at_once() {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.script("host/tests", [Ends::Is(Classification::MissingTool)]);
    w.push("c1");
    w.push("c2");
    w.saw(&["promote_complete host 1.0.2", "superseded host 1.0.1 1.0.2"]);
    w.script("host/tests", [Ends::Is(Classification::MissingTool)]);
    w.push("c3");
    w.retry("host", "1.0.3").unwrap();
    assert_eq!(w.current("host"), "1.0.3");
}

#[test]
fn rule_17_after_the_deploy_a_blocked_gate_stays_inside() {
    let mut w = with_nodes(&["a"]);
    w.script("prod/smoke", [Ends::Is(Classification::Infrastructure)]);
    w.push("c1");
    assert_eq!(w.shop().tiers["prod"].busy_with(), Some(&"1.0.1".into()));
    w.push("c2");
    assert_eq!(w.count("promote_start prod 1.0.2"), 0);
    w.wait(chrono::TimeDelta::seconds(61));
    w.saw(&[
        "gate_done prod smoke 1.0.1 infrastructure",
        "promote_complete prod 1.0.1",
        "promote_start prod 1.0.2",
    ]);
    assert_eq!(w.count("deploy_start prod a deploy 1.0.1"), 1, "the deploy is not repeated");
}

#[test]
fn rule_17_the_pause_doubles_up_to_an_hour() {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.script("host/tests", vec![Ends::Is(Classification::Infrastructure); 50]);
    w.push("c1");
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let before = w.count("gate_start");
        let mut minutes = 0;
        while w.count("gate_start") == before {
            w.wait(chrono::TimeDelta::minutes(1));
            minutes += 1;
        }
        pauses.push(minutes);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn rule_18_a_gate_that_is_not_required_is_shown_and_stops_nothing() {
    let optional = |t: &mut Tier| t.gates[0].required = false;
    let mut w = World::with(shop([tier("host").gate("lint").gate("tests").with(optional)]));
    w.script("host/lint", [Ends::Is(Classification::Lint)]);
    w.push("c1");
    w.saw(&["gate_done host lint 1.0.1 lint", "promote_complete host 1.0.1"]);
}

#[test]
fn a_flaky_gate_is_recorded_as_such() {
    let flaky = |t: &mut Tier| t.gates[0].flaky_tries = 3;
    let mut w = World::with(shop([tier("host").gate("tests").with(flaky)]));
    w.script("host/tests", [Ends::Is(Classification::TestFailure)]);
    w.push("c1");
    w.saw(&[
        "gate_done host tests 1.0.1 test_failure",
        "gate_done host tests 1.0.1 flaky",
        "promote_complete host",
    ]);
    w.script("host/tests", vec![Ends::Is(Classification::TestFailure); 3]);
    let mark = w.mark();
    w.push("c2");
    w.saw(&["promote_failed host 1.0.2 rejected"]);
    assert_eq!(w.since(mark).iter().filter(|l| l.starts_with("gate_start")).count(), 3);
}

#[test]
fn rule_17_a_blocked_try_is_none_of_those_that_a_flaky_gate_has() {
    let flaky = |t: &mut Tier| t.gates[0].flaky_tries = 2;
    let mut w = World::with(shop([tier("host").gate("tests").with(flaky)]));
    let (blocked, failed) = (Classification::MissingTool, Classification::TestFailure);
    w.script("host/tests", [blocked, blocked, failed].map(Ends::Is));
    w.push("c1");
    w.wait(chrono::TimeDelta::minutes(10));
    w.saw(&[
        "gate_done host tests 1.0.1 missing_tool",
        "gate_done host tests 1.0.1 missing_tool",
        "gate_done host tests 1.0.1 test_failure",
        "gate_done host tests 1.0.1 flaky",
        "promote_complete host",
    ]);
}

#[test]
fn rule_15_a_version_that_was_stopped_and_is_still_on_a_node_is_shown_there() {
    use tidegate::server::view::{NodeView, StateView, Versions};
    let stop = |t: &mut Tier| t.deploy.as_mut().unwrap().on_failure = OnFailure::Stop;
    let mut w = World::with(shop([tier("prod").nodes(&["a", "b"]).with(stop)]));
    let nodes = |w: &World| -> Vec<NodeView> {
        let view = StateView::of(&w.state, w.now, Versions { limit: 9, before: None }, None);
        view.pipelines[0].tiers[0].nodes.clone()
    };
    w.script("prod/b", [Ends::Breaks(Failure::Activate)]);
    w.push("c1");
    w.saw(&["promote_failed prod 1.0.1 stopped"]);
    let seen = nodes(&w);
    assert_eq!((seen[0].version.as_ref().unwrap().as_str(), seen[0].behind), ("1.0.1", false));
    assert_eq!(seen[0].rejected.as_deref(), Some("node `b` (activate) failed: it broke (tidegate logs 3)"));
    assert_eq!((seen[1].rejected.as_deref(), seen[1].failure), (None, Some(Failure::Activate)));
    w.push("c2");
    assert!(nodes(&w).iter().all(|node| node.rejected.is_none() && node.failure.is_none()));
}
