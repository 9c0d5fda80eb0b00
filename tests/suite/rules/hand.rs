//! Rules 19 to 23: by hand.

use super::world::*;
use tidegate::domain::*;

#[test]
fn rule_19_promote_lifts_manual_and_goes_before_automation() {
    let mut w = World::with(shop([tier("host"), tier("prod").gate("smoke")]));
    w.hold_run("prod/smoke");
    w.push("c1");
    w.push("c2");
    w.push("c3");
    w.promote("prod", "1.0.2").unwrap();
    w.let_go("prod/smoke");
    w.saw(&[
        "promote_complete prod 1.0.1",
        "promote_start prod 1.0.2",
        "promote_complete prod 1.0.2",
        "promote_start prod 1.0.3",
    ]);
}

#[test]
fn rule_19_promote_never_lifts_gates_confirmations_blocks_or_a_busy_tier() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual().confirmed_by(1)]));
    w.push("c1");
    w.deed(Deed::Block { version: "1.0.1".into() }).unwrap();
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.blockers("prod", "1.0.1"), ["version_blocked", "confirm_missing"]);
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() }).unwrap();
    assert_eq!(w.current("prod"), "");
    w.deed(Deed::Unblock { version: "1.0.1".into() }).unwrap();
    assert_eq!(w.current("prod"), "1.0.1", "the promotion stood until it could enter");
}

#[test]
fn rule_19_lift_takes_an_admin_and_a_reason() {
    let mut w = World::with(shop([tier("host").gate("tests"), tier("prod").manual()]));
    w.script("host/tests", [Ends::Is(Classification::TestFailure)]);
    w.push("c1");
    let lift = || Deed::Promote { tier: "prod".into(), version: "1.0.1".into(), lift: true };
    assert!(matches!(w.promote("prod", "1.0.1"), Err(Rejection::NotPromoted(..))));
    assert_eq!(w.deed(lift()), Err(Rejection::RoleMissing(Role::Admin)));
    let no_reason = Command::ByHand {
        actor: actor("root", Role::Admin),
        why: None,
        pipeline: "shop".into(),
        deed: lift(),
    };
    assert_eq!(w.ask(no_reason), Err(Rejection::WhyMissing));
    w.deed_of(&actor("root", Role::Admin), lift()).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_19_promote_of_a_version_older_than_current_is_refused() {
    let mut w = World::with(shop([tier("host"), tier("prod")]));
    w.push("c1");
    w.push("c2");
    assert!(matches!(w.promote("prod", "1.0.1"), Err(Rejection::OlderThanCurrent(..))));
    assert_eq!(w.promote("prod", "1.0.2"), Ok(Answer::Already));
}

#[test]
fn rule_20_hold_stops_automation_only() {
    let mut w = World::with(shop([tier("host"), tier("prod")]));
    w.deed(Deed::Hold { tier: Some("prod".into()) }).unwrap();
    assert_eq!(w.deed(Deed::Hold { tier: Some("prod".into()) }), Ok(Answer::Already));
    w.push("c1");
    assert_eq!(w.blockers("prod", "1.0.1"), ["hold"]);
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    w.push("c2");
    assert_eq!(w.current("prod"), "1.0.1", "the hold stands: only `resume` lifts it");
    w.deed(Deed::Resume { tier: Some("prod".into()) }).unwrap();
    assert_eq!(w.current("prod"), "1.0.2");
}

#[test]
fn rule_20_hold_of_the_pipeline_lets_builds_go_on() {
    let mut w = World::with(shop([tier("host")]));
    w.deed(Deed::Hold { tier: None }).unwrap();
    w.push("c1");
    w.saw(&["build_ok 1.0.1", "promote_blocked host 1.0.1 [hold]"]);
    w.deed(Deed::Resume { tier: None }).unwrap();
    assert_eq!(w.current("host"), "1.0.1");
}

#[test]
fn rule_20_the_hold_of_a_rollback_is_lifted_by_a_version_promoted_by_hand() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]));
    w.push("c1");
    w.push("c2");
    w.rollback("prod").unwrap();
    w.push("c3");
    assert_eq!(w.current("prod"), "1.0.1");
    w.promote("prod", "1.0.3").unwrap();
    w.saw(&["hold_set prod", "promote_complete prod 1.0.3", "hold_lifted prod"]);
    w.push("c4");
    assert_eq!(w.current("prod"), "1.0.4");
}

#[test]
fn rule_21_rollback_of_what_is_inside_goes_back_to_the_current_one() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a", "b"])]));
    w.push("c1");
    w.hold_run("prod/b");
    w.push("c2");
    w.rollback("prod").unwrap();
    w.saw(&[
        "deploy_failed prod b deploy 1.0.2 canceled",
        "rollback prod 1.0.2 1.0.1",
        "rollback_complete prod 1.0.1",
        "promote_failed prod 1.0.2 rolled_back",
    ]);
    assert_eq!(w.current("prod"), "1.0.1");
    assert!(w.shop().tiers["prod"].hold.is_some());
}

#[test]
fn rule_21_rollback_skips_rejected_and_blocked_versions_or_takes_a_named_one() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]));
    for commit in ["c1", "c2", "c3"] {
        w.push(commit);
    }
    w.deed(Deed::Block { version: "1.0.2".into() }).unwrap();
    let to = |version: &str| Deed::Rollback { tier: "prod".into(), to: Some(version.into()), from: None };
    assert!(matches!(w.deed(to("1.0.2")), Err(Rejection::NotATarget(..))));
    w.rollback("prod").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(w.blockers("prod", "1.0.3"), ["rejected", "hold"]);
    assert!(matches!(w.rollback("prod"), Err(Rejection::NothingBefore(_))));
    assert_eq!(w.deed(to("1.0.1")), Ok(Answer::Already));
}

#[test]
fn rule_21_what_was_passed_over_on_the_way_back_is_reached_by_its_name() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]));
    for commit in ["c1", "c2", "c3", "c4"] {
        w.push(commit);
    }
    let to = |version: &str| Deed::Rollback { tier: "prod".into(), to: Some(version.into()), from: None };
    w.deed(to("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    assert!(matches!(w.rollback("prod"), Err(Rejection::NothingBefore(_))), "only by name");
    let again = w.promote("prod", "1.0.3");
    assert_eq!(again.map_err(|refused| refused.code()), Err("TG-ASK-023"));
    w.deed(to("1.0.3")).unwrap();
    w.saw(&["rollback prod 1.0.1 1.0.3", "deploy_ok prod a rollback 1.0.3", "rollback_complete prod 1.0.3"]);
    assert_eq!(w.current("prod"), "1.0.3");
    assert!(matches!(w.deed(to("1.0.1")), Err(Rejection::NotATarget(..))), "it was left as bad");
    w.deed(to("1.0.2")).unwrap();
    assert_eq!(w.current("prod"), "1.0.2");
}

#[test]
fn rule_22_retry_repeats_only_what_did_not_pass() {
    let mut w = World::with(shop([tier("host").gate("a").gate("b")]));
    w.script("host/b", [Ends::Is(Classification::TestFailure)]);
    w.push("c1");
    w.retry("host", "1.0.1").unwrap();
    assert_eq!((w.count("gate_start host a"), w.count("gate_start host b")), (1, 2));
    assert_eq!(w.current("host"), "1.0.1");
}

#[test]
fn rule_22_retry_under_another_definition_repeats_everything_and_not_after_a_newer_passed() {
    let mut w = World::with(shop([tier("host").gate("a").gate("b")]));
    w.script("host/b", vec![Ends::Is(Classification::TestFailure); 2]);
    w.push("c1");
    w.load(shop([tier("host").gate("a").gate("b").gate("c")]));
    w.retry("host", "1.0.1").unwrap();
    assert_eq!(w.count("gate_start host a"), 2);
    w.push("c2");
    assert!(matches!(w.retry("host", "1.0.1"), Err(Rejection::NewerPassed(..))));
}

#[test]
fn rule_22_redeploy_runs_the_current_version_again_without_gates() {
    let mut w = World::with(shop([tier("host"), tier("prod").gate("smoke").nodes(&["a", "b"])]));
    w.push("c1");
    let mark = w.mark();
    let redeploy = |node: Option<&str>| Deed::Redeploy {
        tier: "prod".into(),
        node: node.map(Into::into),
        version: None,
    };
    w.deed(redeploy(Some("b"))).unwrap();
    assert_eq!(
        w.since(mark),
        [
            "manual_action redeploy prod b 1.0.1",
            "deploy_start prod b redeploy 1.0.1",
            "deploy_ok prod b redeploy 1.0.1"
        ]
    );
    w.script("prod/a redeploy", [Ends::Breaks(Failure::Activate)]);
    w.deed(redeploy(None)).unwrap();
    assert_eq!(w.current("prod"), "1.0.1", "it rejects nothing");
    assert!(w.shop().tiers["prod"].busy_with().is_none());
}

#[test]
fn rule_23_cancel_of_a_version_ends_no_other_commits_build() {
    let mut w = World::with(shop([tier("host")]));
    w.hold_run("prepare");
    w.push("c1");
    let cancel = |version: &str| Deed::Cancel { tier: None, version: Some(version.into()) };
    assert_eq!(w.deed(cancel("9.9.9")), Err(Rejection::Moved("9.9.9".into(), None)));
    w.let_go("prepare");
    w.saw(&["build_ok 1.0.1"]);
}

#[test]
fn rule_22_cancel_ends_a_build_or_what_is_inside() {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.hold_run("compile");
    w.push("c1");
    w.deed(Deed::Cancel { tier: None, version: None }).unwrap();
    w.saw(&["step_done compile 1.0.1 canceled", "build_aborted c1"]);
    w.let_go("compile");
    w.hold_run("host/tests");
    w.push("c2");
    w.deed(Deed::Cancel { tier: Some("host".into()), version: Some("1.0.2".into()) }).unwrap();
    w.saw(&["gate_done host tests 1.0.2 canceled", "promote_failed host 1.0.2 canceled"]);
    assert_eq!(
        w.deed(Deed::Cancel { tier: Some("host".into()), version: None }),
        Err(Rejection::NothingToCancel)
    );
}

#[test]
fn rule_23_what_is_meant_must_still_be_so() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]));
    w.push("c1");
    w.push("c2");
    let late = Deed::Rollback { tier: "prod".into(), to: None, from: Some("1.0.1".into()) };
    assert!(matches!(w.deed(late), Err(Rejection::Moved(..))));
    assert_eq!(
        w.deed_of(&actor("eve", Role::Trigger), Deed::Hold { tier: None }),
        Err(Rejection::RoleMissing(Role::Operator))
    );
}

#[test]
fn every_deed_is_signed() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    w.promote("prod", "1.0.1").unwrap();
    let signed = w.said.iter().find(|e| matches!(e.fact.event, Event::ManualAction { .. })).unwrap();
    assert_eq!((signed.fact.by.as_deref(), signed.fact.why.as_deref()), (Some("ann"), Some("because")));
}

#[test]
fn what_a_tier_has_nothing_of_is_said_by_name() {
    let mut w =
        World::with(shop([tier("host").gate("tests"), tier("prod").nodes(&["a"]), tier("live").manual()]));
    w.push("c1");
    let redeploy = |tier: &str, node: Option<&str>| Deed::Redeploy {
        tier: tier.into(),
        node: node.map(Into::into),
        version: None,
    };
    for (deed, code) in [
        (redeploy("prod", Some("b")), "TG-ASK-003"),
        (Deed::Confirm { tier: "live".into(), version: "1.0.1".into() }, "TG-ASK-011"),
        (Deed::Retry { tier: "host".into(), version: None }, "TG-ASK-016"),
        (redeploy("host", None), "TG-ASK-019"),
    ] {
        let refused = w.deed(deed.clone()).unwrap_err();
        assert_eq!((refused.code(), refused.help().is_empty()), (code, false), "{deed:?}: {refused}");
    }
}
