//! A plan is made of what a controller does, on a copy: here against what really happens afterwards.

use super::world::*;
use chrono::TimeDelta;
use std::sync::Arc;
use tidegate::domain::pipeline::*;
use tidegate::domain::plan::{Ends as Way, Ground, Plan, TooLarge, plan};
use tidegate::domain::*;

fn planned(w: &World, pipeline: &Pipeline) -> Plan {
    let ground = Ground::of(&w.state, "elsewhere/shop.toml", pipeline);
    plan(&ground, &"d".into(), &Arc::new(pipeline.clone()), w.now, w.disk_full).expect("a plan")
}

fn kinds(blockers: &[Blocker]) -> Vec<String> {
    let value = serde_json::to_value(blockers).unwrap();
    value.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn time_passes_and_people_give_their_word_until_the_end() {
    let mut prod = tier("prod")
        .manual()
        .confirmed_by(2)
        .nodes(&["a", "b", "c"])
        .waves(&[Wave::Count(1), Wave::Percent(100)]);
    prod.promote.soak = Some(Span::seconds(3600));
    let pipeline = shop([tier("host").gate("tests"), tier("staging").verify("smoke"), prod]);
    let w = World::with(shop([tier("host")]));
    let plan = planned(&w, &pipeline);
    let tiers = &plan.next.tiers;
    assert_eq!(tiers[0].check, [[GateName::from("tests")]]);
    assert_eq!(tiers[1].verify, [[GateName::from("smoke")]]);
    let mut stops = kinds(&tiers[2].waits_for);
    stops.sort();
    assert_eq!(stops, ["confirm_missing", "manual", "soak"]);
    assert_eq!(tiers[2].waves, [vec![NodeName::from("a")], vec!["b".into(), "c".into()]]);
    assert!(tiers.iter().all(|tier| tier.ends == Way::Passes));
    assert!(plan.would_block());
}

#[test]
fn what_nobody_can_lift_ends_the_plan() {
    let mut vault = tier("vault");
    vault.unsupported = vec!["deploy.magic".into()];
    let w = World::with(shop([tier("host")]));
    let plan = planned(&w, &shop([tier("host"), vault, tier("museum")]));
    let ends: Vec<Way> = plan.next.tiers.iter().map(|tier| tier.ends).collect();
    assert_eq!(ends, [Way::Passes, Way::Shut, Way::NotReached]);
    assert_eq!(kinds(&plan.next.tiers[1].waits_for), ["unsupported"]);
}

#[test]
fn holds_and_older_versions_that_go_first_are_told() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    w.deed(Deed::Hold { tier: Some("prod".into()) }).unwrap();
    let mut prod = tier("prod").confirmed_by(1);
    prod.promote.pick = Pick::Every;
    let plan = planned(&w, &shop([tier("host"), prod]));
    assert_eq!(kinds(&plan.next.tiers[1].waits_for), ["hold", "confirm_missing", "behind"]);
    assert_eq!(plan.next.tiers[1].ends, Way::Passes);
}

#[test]
fn a_plan_says_what_then_happens() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    w.hold_run("compile");
    w.push("c2");
    let edited = shop([tier("host"), tier("prod")]);
    let before = w.state.clone();
    let plan = planned(&w, &edited);
    assert_eq!(w.state, before, "nothing is changed");
    assert_eq!(plan.edit.changes, ["tier `prod`: promotion rule changed"]);
    assert_eq!(plan.edit.under_way.len(), 1, "what is being built finishes with what it began with");
    let waiting = &plan.edit.waiting[0];
    assert!(waiting.enters && waiting.version == *"1.0.1");
    w.load(edited);
    assert_eq!(w.current("prod"), "1.0.1");
    w.wait(TimeDelta::zero());
    w.let_go("compile");
}

#[test]
fn confirmations_that_an_edit_makes_void_and_versions_that_no_longer_wait_are_named() {
    let mut w = World::with(shop([tier("host"), tier("prod").confirmed_by(2)]));
    w.push("c1");
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() }).unwrap();
    let plan = planned(&w, &shop([tier("host"), tier("prod").confirmed_by(3)]));
    assert_eq!(plan.edit.voided.len(), 1);
    let plan = planned(&w, &shop([tier("host")]));
    assert_eq!(plan.edit.waiting[0].after, None);
    assert!(plan.edit.changes.contains(&"version `1.0.1` no longer waits for tier `prod`".into()));
    let mut renamed = shop([tier("host")]);
    renamed.name = "store".into();
    let plan = planned(&w, &renamed);
    assert_eq!(plan.edit.changes[0], "pipeline `shop` is removed", "{:?}", plan.edit.changes);
}

#[test]
fn a_full_disk_is_planned_with() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    w.disk_full = true;
    let plan = planned(&w, &shop([tier("host"), tier("prod")]));
    assert_eq!(kinds(&plan.next.waits_for), ["disk_full"]);
    assert!(plan.would_block());
    let waiting = &plan.edit.waiting[0];
    assert_eq!(kinds(waiting.after.as_ref().unwrap()), ["disk_full"], "the edit lifts only the rest");
    assert!(!waiting.enters);
    assert!(plan.next.tiers.iter().all(|tier| tier.ends == Way::Passes), "and once there is room");
    w.disk_full = false;
    let plan = planned(&w, &shop([tier("host"), tier("prod")]));
    assert!(plan.edit.waiting[0].enters && plan.next.waits_for.is_empty());
}

#[test]
fn a_plan_that_would_take_for_ever_is_refused() {
    let w = World::with(shop([tier("host")]));
    let tiers = (0..2_000).map(|number| {
        let after = if number == 0 { Vec::new() } else { vec![format!("t{}", number - 1)] };
        let mut tier = tier(&format!("t{number}"));
        tier.after = after.iter().map(|name| name.as_str().into()).collect();
        tier
    });
    let pipeline = shop(tiers);
    let ground = Ground::of(&w.state, "shop.toml", &pipeline);
    assert_eq!(plan(&ground, &"d".into(), &Arc::new(pipeline), w.now, false), Err(TooLarge));
}
