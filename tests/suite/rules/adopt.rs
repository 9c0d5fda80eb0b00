//! What a tier runs already is adopted, so that the first rollback has somewhere to go.

use super::world::*;
use tidegate::domain::pipeline::Upload;
use tidegate::domain::*;

fn adopt(tier: &str, version: &str, commit: &str) -> Deed {
    let about = Box::new(command::About { author: "Old Ann".into(), ..Default::default() });
    Deed::Adopt { tier: tier.into(), version: version.into(), sha: sha(commit), about }
}

#[test]
fn what_is_adopted_is_current_and_the_first_rollback_goes_back_to_it() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a", "b"])]));
    w.deed(adopt("prod", "0.9.0", "old")).unwrap();
    assert_eq!(w.current("prod"), "0.9.0");
    let nodes = &w.shop().tiers["prod"].nodes;
    assert!(nodes.values().all(|node| node.version == Some("0.9.0".into())) && nodes.len() == 2);
    assert_eq!(w.count("deploy_start"), 0, "nothing is deployed");
    assert_eq!(w.deed(adopt("prod", "0.9.0", "old")), Ok(Answer::Already));
    w.push("c1");
    assert_eq!(w.current("prod"), "1.0.1", "what is pushed is newer");
    w.rollback("prod").unwrap();
    w.saw(&[
        "manual_action adopt prod 0.9.0",
        "rollback prod 1.0.1 0.9.0",
        "deploy_ok prod b rollback 0.9.0",
        "rollback_complete prod 0.9.0",
    ]);
}

#[test]
fn a_failed_first_deploy_goes_back_to_what_was_adopted() {
    let mut w = World::with(shop([tier("prod").nodes(&["a", "b"])]));
    w.deed(adopt("prod", "0.9.0", "old")).unwrap();
    w.script("prod/b", [Ends::Breaks(Failure::Activate)]);
    w.push("c1");
    w.saw(&[
        "rollback prod 1.0.1 0.9.0",
        "deploy_ok prod a rollback 0.9.0",
        "promote_failed prod 1.0.1 rolled_back",
    ]);
    assert_eq!(w.current("prod"), "0.9.0");
}

#[test]
fn what_is_adopted_goes_on_only_by_hand() {
    let mut w = World::with(shop([tier("staging"), tier("prod")]));
    w.push("c1");
    w.deed(adopt("staging", "0.9.0", "old")).unwrap_err();
    let mut w = World::with(shop([tier("staging"), tier("prod")]));
    w.deed(adopt("staging", "0.9.0", "old")).unwrap();
    assert_eq!(w.current("prod"), "", "automation takes it nowhere");
    w.promote("prod", "0.9.0").unwrap();
    assert_eq!(w.current("prod"), "0.9.0");
}

#[test]
fn a_version_that_is_built_keeps_its_place_and_takes_that_of_older_ones() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    w.push("c2");
    w.push("c3");
    w.deed(adopt("prod", "1.0.2", "c2")).unwrap();
    assert_eq!(w.current("prod"), "1.0.2");
    w.saw(&["superseded prod 1.0.1 1.0.2"]);
    assert_eq!(w.blockers("prod", "1.0.3"), ["manual"], "a newer one goes on waiting");
}

#[test]
fn several_tiers_are_adopted_one_after_the_other() {
    let mut w = World::with(shop([tier("a"), tier("b"), tier("c")]));
    for (tier, version, commit) in [("a", "0.9.0", "old"), ("b", "0.8.0", "older"), ("c", "0.7.0", "oldest")]
    {
        w.deed(adopt(tier, version, commit)).unwrap();
    }
    w.push("c1");
    for tier in ["a", "b", "c"] {
        assert_eq!(w.current(tier), "1.0.1");
    }
    let p = w.shop();
    let orders: std::collections::BTreeSet<EventId> =
        p.versions.values().map(|version| version.order).collect();
    assert_eq!(orders.len(), 4, "each has a place of its own");
    assert_eq!(p.order(&"1.0.1".into()), *orders.last().unwrap(), "and what is pushed is the newest");
}

#[test]
fn what_cannot_be_so_is_refused() {
    let mut w = World::with(shop([tier("host").gate("tests"), tier("prod")]));
    w.hold_run("host/tests");
    w.push("c1");
    assert!(matches!(w.deed(adopt("host", "0.9.0", "old")), Err(Rejection::TierBusy(..))));
    w.let_go("host/tests");
    assert!(matches!(w.deed(adopt("host", "0.9.0", "old")), Err(Rejection::HasCurrent(..))));
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    assert_eq!(w.deed(adopt("prod", "1.0.1", "c2")), Err(Rejection::LabelTaken("1.0.1".into(), sha("c1"))));
    assert_eq!(w.deed(adopt("prod", "2.0.0", "c1")), Err(Rejection::OtherLabel(sha("c1"), "1.0.1".into())));
    assert!(matches!(w.deed(adopt("nowhere", "1.0.1", "c1")), Err(Rejection::UnknownTier(..))));
    let viewer = actor("eve", Role::Trigger);
    assert_eq!(w.deed_of(&viewer, adopt("prod", "1.0.1", "c1")), Err(Rejection::RoleMissing(Role::Operator)));
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.push("c3");
    assert_eq!(w.deed(adopt("prod", "1.0.3", "c3")), Err(Rejection::NotBuilt("1.0.3".into())));
}

/// A tier that uploads what was built.
fn uploading(name: &str) -> tidegate::domain::pipeline::Tier {
    let upload = Upload { artifact: "app".into(), to: "/opt/shop/".into() };
    tier(name).nodes(&["a"]).with(|t| t.deploy.as_mut().unwrap().upload = vec![upload])
}

#[test]
fn rule_07_what_nobody_built_waits_in_front_of_a_tier_that_needs_artifacts_and_says_so() {
    let mut w = World::with(shop([tier("host"), uploading("prod").manual()]));
    w.deed(adopt("host", "0.9.0", "c9")).unwrap();
    w.promote("prod", "0.9.0").unwrap();
    w.saw(&["promote_blocked prod 0.9.0 [not_built]"]);
    assert_eq!((w.count("promote_start"), w.count("promote_failed")), (0, 0), "not tried, not rejected");
    let definition = w.shop().tier_in_force(&"prod".into()).unwrap();
    let said = promotion::blockers(w.shop(), definition, &"0.9.0".into(), w.now);
    assert_eq!(said, [Blocker::NotBuilt { sha: Some(sha("c9")) }], "with the commit that is to be built");
    w.rebuild("c9");
    assert_eq!(w.current("prod"), "0.9.0", "the word stands until it is built");
    w.crash();
}

#[test]
fn rule_03_what_was_adopted_is_built_by_a_push_and_keeps_its_label_and_its_place() {
    let mut w = World::with(shop([tier("host"), uploading("prod").manual()]));
    w.deed(adopt("host", "0.9.0", "c9")).unwrap();
    w.push("c1");
    let before = w.shop().order(&"0.9.0".into());
    w.hold_run("compile");
    assert!(matches!(w.push("c9"), Answer::Pushed(all) if matches!(all[..], [Pushed::Taken { .. }])));
    let definition = w.shop().tier_in_force(&"prod".into()).unwrap();
    let said = promotion::blockers(w.shop(), definition, &"0.9.0".into(), w.now);
    assert!(said.contains(&Blocker::NotBuilt { sha: None }), "nobody need ask for it: {said:?}");
    w.let_go("compile");
    w.saw(&["build_start 0.9.0", "build_ok 0.9.0"]);
    let version = &w.shop().versions[&VersionLabel::from("0.9.0")];
    assert_eq!((version.order, version.artifacts.len()), (before, 1));
    assert_eq!(w.current("host"), "1.0.1", "it enters nothing");
    assert_eq!(w.count("superseded"), 0);
    let again = w.push("c9");
    assert!(
        matches!(again, Answer::Pushed(all) if matches!(all[..], [Pushed::Ignored { .. }])),
        "now it is built"
    );
    // A person may make it the newest, as any version that is built.
    w.rebuild("c9");
    assert_eq!(w.current("host"), "0.9.0");
    w.crash();
}

#[test]
fn a_build_of_what_was_adopted_may_fail_and_be_tried_again() {
    let mut w = World::with(shop([tier("host"), uploading("prod").manual()]));
    w.deed(adopt("host", "0.9.0", "c9")).unwrap();
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.push("c9");
    w.saw(&["build_failed 0.9.0"]);
    assert_eq!(w.current("host"), "0.9.0", "it is there, whatever becomes of its build");
    w.push("c1");
    w.rollback("host").unwrap();
    assert_eq!(w.current("host"), "0.9.0");
    w.rebuild("c9");
    assert_eq!(w.count("build_ok 0.9.0"), 1);
    let again = w.deed(Deed::Redeploy { tier: "prod".into(), node: None, version: None });
    assert!(matches!(again, Err(Rejection::NothingCurrent(_))));
}

#[test]
fn what_an_older_release_adopted_is_known_by_its_checkpoint() {
    let mut w = World::with(shop([tier("host")]));
    w.deed(adopt("host", "0.9.0", "c9")).unwrap();
    let folded = w.state.clone();
    // So it was written: built, and no mark.
    let older = serde_json::to_string(&folded).unwrap();
    let older = older.replace(r#","adopted":true"#, "").replace(r#""stage":"Adopted""#, r#""stage":"Built""#);
    let older: state::State = serde_json::from_str(&older).unwrap();
    assert_ne!(older, folded);
    assert_eq!(older.of_older_release(), folded);
}

#[test]
fn where_artifacts_are_deployed_it_is_built_first_and_enters_nothing_else() {
    let mut w = World::with(shop([tier("host"), uploading("staging"), uploading("prod").manual()]));
    w.push("c1");
    w.push("c2");
    let mark = w.mark();
    w.hold_run("compile");
    w.deed(adopt("prod", "0.9.0", "c9")).unwrap();
    w.saw(&["manual_action adopt prod 0.9.0", "rebuild_requested", "build_start 0.9.0"]);
    w.saw(&["promote_blocked prod 1.0.2 [manual,tier_busy]"]);
    let kinds: Vec<&str> = w.said[mark..].iter().map(|said| said.fact.event.kind()).collect();
    assert_eq!(kinds[..2], ["manual_action", "rebuild_requested"]);
    let asked = &w.said[mark + 1];
    assert_eq!((asked.fact.by.as_deref(), asked.fact.why.as_deref()), (Some("ann"), Some("because")));
    w.promote("prod", "1.0.2").unwrap();
    assert_eq!(w.current("prod"), "", "nothing enters before there is something to go back to");
    assert_eq!(w.deed(adopt("prod", "0.9.0", "c9")), Ok(Answer::Already));
    w.crash();
    w.let_go("compile");
    w.saw(&[
        "build_ok 0.9.0",
        "manual_action adopt prod 0.9.0",
        "promote_start prod 1.0.2",
        "promote_complete prod 1.0.2",
    ]);
    let adopted = w.said.iter().rfind(|said| {
        matches!(said.fact.event, Event::ManualAction { pending: false, action: event::Action::Adopt, .. })
    });
    assert_eq!(adopted.unwrap().fact.by.as_deref(), Some("ann"), "in the name of who asked");
    assert_eq!((w.current("host"), w.current("staging")), ("1.0.2".into(), "1.0.2".into()));
    let says_of_it =
        |start: &str| w.lines().iter().any(|line| line.starts_with(start) && line.ends_with("0.9.0"));
    assert!(
        !says_of_it("promote_start") && !says_of_it("superseded"),
        "it enters no tier and takes nobody's place"
    );
    w.rollback("prod").unwrap();
    w.saw(&["deploy_ok prod a rollback 0.9.0", "rollback_complete prod 0.9.0"]);
    w.crash();
}

#[test]
fn one_build_is_enough_for_several_tiers() {
    let mut w = World::with(shop([tier("host"), uploading("staging").manual(), uploading("prod").manual()]));
    w.push("c1");
    w.hold_run("compile");
    w.deed(adopt("staging", "0.9.0", "c9")).unwrap();
    w.deed(adopt("prod", "0.9.0", "c9")).unwrap();
    w.let_go("compile");
    assert_eq!((w.current("staging"), w.current("prod")), ("0.9.0".into(), "0.9.0".into()));
    assert_eq!(w.count("build_start 0.9.0"), 1);
    assert_eq!(w.count("rebuild_requested"), 2);
}

#[test]
fn when_its_build_fails_or_is_ended_nothing_is_adopted_and_the_tier_is_free() {
    let mut w = World::with(shop([tier("host"), uploading("prod")]));
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.deed(adopt("prod", "0.9.0", "c9")).unwrap();
    w.saw(&["build_failed 0.9.0"]);
    assert_eq!(w.shop().tiers["prod"].busy_with(), None);
    // Ended while it runs, and while it waits behind another.
    w.hold_run("compile");
    w.deed(adopt("prod", "0.9.0", "c9")).unwrap();
    let cancel = || Deed::Cancel { tier: Some("prod".into()), version: Some("0.9.0".into()) };
    w.deed(cancel()).unwrap();
    w.let_go("compile");
    assert_eq!(w.shop().tiers["prod"].busy_with(), None);
    w.hold_run("compile");
    w.push("c1");
    w.deed(adopt("prod", "0.9.0", "c9")).unwrap();
    w.deed(cancel()).unwrap();
    assert_eq!((w.shop().tiers["prod"].busy_with(), w.shop().queue.len()), (None, 0));
    w.let_go("compile");
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(w.count("build_aborted"), 2);
    w.crash();
}

#[test]
fn what_was_to_be_adopted_and_could_not_be_built_enters_no_tier() {
    let mut w = World::with(shop([tier("host"), uploading("prod")]));
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.deed(adopt("prod", "0.9.0", "c9")).unwrap();
    w.saw(&["build_failed 0.9.0"]);
    assert!(matches!(w.promote("host", "0.9.0"), Err(Rejection::NotBuilt(_))));
    assert_eq!(w.current("host"), "");
    assert!(w.shop().built.is_empty(), "{:?}", w.shop().built);
    // Built after all, by a push, it is a version like any other.
    w.push("c9");
    assert_eq!(w.current("host"), "1.0.9");
}

#[test]
fn what_could_not_be_built_for_one_tier_and_is_adopted_in_another_is_old_all_the_same() {
    let mut w = World::with(shop([tier("host"), uploading("prod").manual()]));
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.deed(adopt("prod", "1.0.9", "c9")).unwrap();
    w.saw(&["build_failed 1.0.9"]);
    w.deed(adopt("host", "1.0.9", "c9")).unwrap();
    w.push("c1");
    assert_eq!(w.current("host"), "1.0.1");
    w.push("c9");
    w.saw(&["build_ok 1.0.9"]);
    assert_eq!(w.current("host"), "1.0.1", "it is built, and enters nothing");
    w.crash();
}

#[test]
fn what_is_asked_for_by_others_or_failed_is_adopted_in_its_turn() {
    let mut w = World::with(shop([tier("host"), uploading("prod").manual()]));
    w.push("c5");
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.push("c6");
    // An older commit that failed once is built again for it, and is old nevertheless.
    w.deed(adopt("prod", "1.0.6", "c6")).unwrap();
    assert_eq!((w.current("host"), w.current("prod")), ("1.0.5".into(), "1.0.6".into()));
    assert!(w.shop().order(&"1.0.6".into()) < w.shop().order(&"1.0.5".into()));
    let mut w = World::with(shop([tier("host"), uploading("prod").manual()]));
    w.hold_run("prepare");
    w.push("c7");
    let refused = w.deed(adopt("prod", "1.0.7", "c7"));
    assert_eq!(refused, Err(Rejection::NotBuilt("1.0.7".into())), "a push is on its way: it goes its own");
    w.let_go("prepare");
    w.deed(adopt("prod", "1.0.7", "c7")).unwrap();
    assert_eq!(w.count("manual_action adopt"), 1, "what is built is current at once");
}

#[test]
fn before_the_first_version_there_is_an_end_of_places() {
    let mut w = World::with(shop([tier("prod")]));
    w.push("c1");
    let tiers: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    w.load(shop(tiers.iter().map(|name| tier(name))));
    let mut refused = None;
    for (n, tier) in tiers.iter().enumerate() {
        let version = format!("0.{n}.0");
        if let Err(error) = w.deed(adopt(tier, &version, &format!("old{n}"))) {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the first push has few events before it");
    assert_eq!((refused.code(), refused.help().is_empty()), ("TG-ADOPT-005", false), "{refused}");
}
