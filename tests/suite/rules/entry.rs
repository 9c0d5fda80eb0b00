//! Rules 7 to 12: in front of a tier.

use super::world::*;
use tidegate::domain::pipeline::*;
use tidegate::domain::*;

#[test]
fn rule_07_first_tiers_take_what_is_built_and_others_what_passed_before() {
    let mut w = World::with(shop([
        tier("lint"),
        tier("unit").after(&[]).with(|t| t.after.clear()),
        tier("staging").after(&["lint", "unit"]).gate("smoke"),
    ]));
    w.hold_run("staging/smoke");
    w.push("c1");
    w.saw(&["promote_complete lint 1.0.1", "promote_start staging 1.0.1"]);
}

#[test]
fn rule_07_a_fan_in_waits_for_all_or_any() {
    for (require, entered) in [(Require::All, 0), (Require::Any, 1)] {
        let mut w = World::with(shop([
            tier("host"),
            tier("left").after(&["host"]).gate("slow"),
            tier("right").after(&["host"]),
            tier("prod").after(&["left", "right"]).with(|t| t.promote.require = require),
        ]));
        w.hold_run("left/slow");
        w.push("c1");
        assert_eq!(w.count("promote_start prod"), entered, "{require:?}");
        w.let_go("left/slow");
        assert_eq!(w.current("prod"), "1.0.1");
    }
}

#[test]
fn rule_08_the_newest_without_a_blocker_enters_and_never_an_older_one_than_current() {
    let mut w = World::with(shop([tier("host"), tier("prod").gate("smoke")]));
    w.hold_run("prod/smoke");
    w.push("c1");
    w.push("c2");
    w.push("c3");
    w.let_go("prod/smoke");
    w.saw(&[
        "promote_start prod 1.0.1",
        "promote_complete prod 1.0.1",
        "promote_start prod 1.0.3",
        "promote_complete prod 1.0.3",
        "superseded prod 1.0.2 1.0.3",
    ]);
    assert_eq!(w.count("promote_start prod 1.0.2"), 0);
}

#[test]
fn rule_08_with_every_the_oldest_goes_first_and_the_newer_wait_behind_it() {
    let mut w =
        World::with(shop([tier("host"), tier("prod").gate("smoke").with(|t| t.promote.pick = Pick::Every)]));
    w.hold_run("prod/smoke");
    w.push("c1");
    w.push("c2");
    w.push("c3");
    w.saw(&["promote_blocked prod 1.0.3 [tier_busy,behind]"]);
    w.let_go("prod/smoke");
    w.saw(&[
        "promote_complete prod 1.0.1",
        "promote_start prod 1.0.2",
        "promote_complete prod 1.0.2",
        "promote_start prod 1.0.3",
    ]);
    assert_eq!(w.count("superseded"), 0);
}

#[test]
fn rule_09_a_newer_version_that_fails_evicts_nobody() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual().gate("smoke")]));
    w.push("c1");
    w.push("c2");
    w.script("prod/smoke", [Ends::Is(Classification::CheckFailed)]);
    w.promote("prod", "1.0.2").unwrap();
    w.saw(&["promote_failed prod 1.0.2 rejected"]);
    assert_eq!(w.count("superseded"), 0);
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_10_soak_is_unbroken_time_as_current() {
    let mut w = World::with(shop([
        tier("staging"),
        tier("prod").with(|t| t.promote.soak = Some(Span::seconds(3600))),
    ]));
    w.push("c1");
    w.saw(&["promote_blocked prod 1.0.1 [soak]"]);
    w.wait(chrono::TimeDelta::minutes(30));
    w.push("c2");
    // c1 is not current in staging any more; c2 begins its own hour.
    w.wait(chrono::TimeDelta::minutes(59));
    assert_eq!(w.current("prod"), "");
    w.wait(chrono::TimeDelta::minutes(2));
    assert_eq!(w.current("prod"), "1.0.2");
    assert_eq!(w.count("promote_start prod 1.0.1"), 0);
}

#[test]
fn rule_10_soak_once_reached_stays_reached() {
    let soak = |t: &mut Tier| t.promote.soak = Some(Span::seconds(3600));
    let mut w = World::with(shop([tier("staging"), tier("prod").manual().with(soak)]));
    w.push("c1");
    w.wait(chrono::TimeDelta::minutes(61));
    w.push("c2");
    assert_eq!(w.blockers("prod", "1.0.1"), ["manual"]);
}

#[test]
fn rule_10_a_freeze_is_asked_only_on_entering() {
    let freeze = Freeze {
        from: moment("2026-11-23T10:00:00Z"),
        to: moment("2026-11-23T12:00:00Z"),
        why: "sale".into(),
    };
    let mut w = World::with(shop([
        tier("host"),
        tier("prod").gate("smoke").with(|t| t.promote.freeze = vec![freeze]),
    ]));
    w.hold_run("prod/smoke");
    w.push("c1");
    w.wait(chrono::TimeDelta::minutes(90));
    w.let_go("prod/smoke");
    assert_eq!(w.current("prod"), "1.0.1", "what is inside goes on");
    w.push("c2");
    w.saw(&["promote_blocked prod 1.0.2 [freeze]"]);
    w.wait(chrono::TimeDelta::hours(2));
    assert_eq!(w.current("prod"), "1.0.2");
}

#[test]
fn rule_11_blockers_are_said_when_the_set_changes_and_not_when_a_time_moves() {
    let soak = |t: &mut Tier| t.promote.soak = Some(Span::seconds(3600));
    let mut w = World::with(shop([tier("staging"), tier("prod").with(soak)]));
    w.push("c1");
    for _ in 0..5 {
        w.wait(chrono::TimeDelta::minutes(5));
        w.settle();
    }
    assert_eq!(w.count("promote_blocked prod 1.0.1"), 1);
    w.deed(Deed::Hold { tier: Some("prod".into()) }).unwrap();
    assert_eq!(w.count("promote_blocked prod 1.0.1"), 2);
}

#[test]
fn rule_12_confirmations_count_people_and_do_not_stand_for_promote() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual().confirmed_by(2)]));
    w.push("c1");
    let confirm = || Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() };
    assert_eq!(w.deed(confirm()), Ok(Answer::Done));
    assert_eq!(w.deed(confirm()), Ok(Answer::Already), "one person counts once");
    assert_eq!(w.blockers("prod", "1.0.1"), ["manual", "confirm_missing"]);
    w.deed_of(&actor("bob", Role::Operator), confirm()).unwrap();
    assert_eq!(w.blockers("prod", "1.0.1"), ["manual"]);
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_12_promote_does_not_stand_for_a_confirmation() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual().confirmed_by(1)]));
    w.push("c1");
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.blockers("prod", "1.0.1"), ["confirm_missing"]);
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() }).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_12_an_edit_of_the_tier_voids_confirmations_and_another_edit_does_not() {
    let prod = || tier("prod").manual().confirmed_by(1);
    let mut w = World::with(shop([tier("host"), prod()]));
    w.push("c1");
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() }).unwrap();
    w.load(shop([tier("host").gate("new"), prod()]));
    assert_eq!(w.count("confirm_voided"), 0);
    w.load(shop([tier("host").gate("new"), prod().gate("smoke")]));
    w.saw(&["confirm_voided prod 1.0.1 edited"]);
    assert_eq!(w.count("confirm_voided"), 1);
    assert!(w.blockers("prod", "1.0.1").contains(&"confirm_missing"));
}

#[test]
fn rule_12_deny_rejects() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual().confirmed_by(1)]));
    w.push("c1");
    let deny = || Deed::Deny { tier: "prod".into(), version: "1.0.1".into() };
    w.deed(deny()).unwrap();
    w.saw(&["confirm_denied prod 1.0.1", "promote_failed prod 1.0.1 rejected"]);
    assert_eq!(w.deed(deny()), Ok(Answer::Already));
    let no = w.promote("prod", "1.0.1").expect_err("it is rejected");
    assert!(matches!(no, Rejection::IsRejected(..)), "{no:?}");
    assert!(no.help().contains("tidegate retry shop prod 1.0.1"), "{}", no.help());
}

#[test]
fn rule_08_a_newer_version_never_ends_what_has_begun_to_change_nodes() {
    for pick in [Pick::Newest, Pick::Every] {
        let prod = tier("prod").nodes(&["a1", "a2"]).with(|t| t.promote.pick = pick);
        let mut w = World::with(shop([tier("host"), prod]).with(|p| p.build.on_newer = OnNewer::Abort));
        w.hold_run("prod/a1");
        w.push("c1");
        w.push("c2");
        w.push("c3");
        w.settle();
        assert_eq!(w.count("promote_start prod"), 1, "{pick:?}");
        assert_eq!((w.count("deploy_failed"), w.count("promote_failed")), (0, 0), "{pick:?}");
        w.let_go("prod/a1");
        w.saw(&[
            "deploy_ok prod a1 deploy 1.0.1",
            "deploy_ok prod a2 deploy 1.0.1",
            "promote_complete prod 1.0.1",
        ]);
    }
}
