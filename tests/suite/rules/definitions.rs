//! Rules 27 to 32: definitions.

use super::world::*;
use std::sync::Arc;
use tidegate::domain::*;

fn loading(pipeline: &Pipeline, file: &str) -> Command {
    Command::Load {
        file: file.into(),
        digest: "d".into(),
        text: "t".into(),
        definition: Arc::new(pipeline.clone()),
    }
}

#[test]
fn rule_27_the_same_meaning_loads_once_and_a_bad_file_changes_nothing() {
    let mut w = World::with(shop([tier("host")]));
    let mark = w.mark();
    assert_eq!(w.ask(loading(&shop([tier("host")]), "shop.toml")), Ok(Answer::Already));
    let bad = Diagnostic {
        code: "TG-DEF-001".into(),
        severity: Severity::Error,
        file: "shop.toml".into(),
        line: 1,
        column: 1,
        end_line: 1,
        end_column: 2,
        message: "unknown key".into(),
        help: None,
        text: None,
    };
    let reject = || Command::Reject { file: "shop.toml".into(), diagnostics: vec![bad.clone()] };
    w.tell(reject());
    assert_eq!(w.tell(reject()), Answer::Already, "it is said once");
    w.push("c1");
    assert_eq!(w.current("host"), "1.0.1", "the last good one stays in force");
    assert_eq!(w.state.rejected["shop.toml"].pipeline, Some("shop".into()));
    w.tell(loading(&shop([tier("host")]), "shop.toml"));
    assert!(w.state.rejected.is_empty());
    assert!(w.since(mark)[0].starts_with("pipeline_rejected"));
}

#[test]
fn rule_29_waiting_versions_are_judged_by_the_definition_in_force() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    assert_eq!(w.current("prod"), "");
    w.load(shop([tier("host"), tier("prod")]));
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_29_inside_a_version_keeps_the_definition_it_entered_with() {
    let mut w = World::with(shop([tier("prod").gate("old").nodes(&["a"])]));
    w.hold_run("prod/old");
    w.push("c1");
    w.load(shop([tier("prod").gate("new").nodes(&["a", "b"])]));
    w.let_go("prod/old");
    w.saw(&["deploy_ok prod a deploy 1.0.1", "promote_complete prod 1.0.1"]);
    assert_eq!(w.count("gate_start prod new"), 0);
    assert_eq!(w.count("deploy_start prod b"), 0, "a new node waits for the next version");
    w.push("c2");
    assert_eq!(w.count("deploy_ok prod b deploy 1.0.2"), 1);
}

#[test]
fn rule_29_an_edit_redeploys_nothing() {
    let mut w = World::with(shop([tier("prod").nodes(&["a"])]));
    w.push("c1");
    w.load(shop([tier("prod").nodes(&["a"]).waves(&[pipeline::Wave::Percent(100)])]));
    assert_eq!(w.count("deploy_start"), 1);
}

#[test]
fn rule_30_a_new_tier_takes_versions_from_then_on_and_earlier_ones_by_promote() {
    let mut w = World::with(shop([tier("host")]));
    w.push("c1");
    w.load(shop([tier("host"), tier("prod")]));
    assert_eq!(w.current("prod"), "", "it passed before the tier was there");
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    w.push("c2");
    assert_eq!(w.current("prod"), "1.0.2");
}

#[test]
fn rule_30_a_renamed_tier_and_node_keep_their_history() {
    let mut w = World::with(shop([tier("host"), tier("prod").nodes(&["a"])]));
    w.push("c1");
    w.push("c2");
    let renamed = tier("live").nodes(&["b"]).with(|t| {
        t.was = Some("prod".into());
        t.nodes[0].was = Some("a".into());
    });
    let mark = w.mark();
    w.load(shop([tier("host"), renamed]));
    assert_eq!(w.current("live"), "1.0.2");
    assert!(w.since(mark).iter().all(|l| l.starts_with("pipeline_loaded")), "a rename deploys nothing");
    w.rollback("live").unwrap();
    assert_eq!(w.current("live"), "1.0.1");
    w.saw(&["deploy_ok live b rollback 1.0.1", "rollback_complete live 1.0.1"]);
}

#[test]
fn rule_30_a_renamed_pipeline_keeps_its_history() {
    let mut w = World::with(shop([tier("host")]));
    w.push("c1");
    w.load(shop([tier("host")]).with(|p| {
        p.name = "store".into();
        p.was = Some("shop".into());
    }));
    assert!(!w.state.pipelines.contains_key("shop"));
    assert_eq!(w.state.pipelines["store"].tiers["host"].current.as_ref().unwrap().version, "1.0.1");
}

#[test]
fn rule_30_a_name_that_was_known_takes_no_other_pipeline_over_and_a_file_holds_one() {
    let mut w = World::with(shop([tier("host")]));
    w.load(shop([tier("host")]).with(|p| p.name = "store".into()));
    w.tell(Command::Remove { file: "store.toml".into() });
    w.push("c1");
    w.load(shop([tier("host")]).with(|p| {
        p.name = "store".into();
        p.was = Some("shop".into());
    }));
    let in_force = |w: &World, name: &str| w.state.pipelines[name].in_force.is_some();
    assert!(in_force(&w, "store") && !in_force(&w, "shop"), "one file, one pipeline");
    let Event::PipelineLoaded { changes, .. } = &w.said.last().unwrap().fact.event else { panic!() };
    assert!(changes.iter().any(|change| change.contains("`was` moves nothing")), "{changes:?}");
    w.tell(Command::Remove { file: "shop.toml".into() });
    assert!(!in_force(&w, "store"));
}

#[test]
fn rule_31_a_key_that_is_not_executed_keeps_its_tier_shut() {
    let shut = tier("prod").with(|t| t.unsupported = vec!["promote.window".into()]);
    let mut w = World::with(shop([tier("host"), shut]));
    w.push("c1");
    w.saw(&["promote_blocked prod 1.0.1 [unsupported]"]);
    w.promote("prod", "1.0.1").unwrap();
    let lift = Deed::Promote { tier: "prod".into(), version: "1.0.1".into(), lift: true };
    w.deed_of(&actor("root", Role::Admin), lift).unwrap();
    assert_eq!(w.current("prod"), "", "nobody can lift that");
}

#[test]
fn rule_32_what_is_removed_finishes_and_what_waits_is_named() {
    let mut w =
        World::with(shop([tier("host"), tier("mid").gate("slow"), tier("prod").after(&["host"]).manual()]));
    w.hold_run("mid/slow");
    w.push("c1");
    w.load(shop([tier("host")]));
    let Event::PipelineLoaded { changes, .. } = &w.said.last().unwrap().fact.event else { panic!() };
    assert!(changes.contains(&"version `1.0.1` inside tier `mid` finishes".to_owned()), "{changes:?}");
    assert!(changes.contains(&"version `1.0.1` no longer waits for tier `prod`".to_owned()), "{changes:?}");
    w.let_go("mid/slow");
    assert_eq!(w.current("mid"), "1.0.1");
    w.load(shop([tier("host"), tier("mid")]));
    assert_eq!(w.current("mid"), "1.0.1", "the same name goes on where it was");
}

#[test]
fn rule_32_a_removed_pipeline_finishes_what_is_inside_and_takes_no_push() {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.hold_run("host/tests");
    w.push("c1");
    w.tell(Command::Remove { file: "shop.toml".into() });
    w.let_go("host/tests");
    assert_eq!(w.current("host"), "1.0.1");
    let push = Command::Push { by: None, why: None, again: false, pushes: vec![] };
    assert!(w.ask(push).is_ok());
    assert!(w.shop().in_force.is_none());
    w.load(shop([tier("host").gate("tests")]));
    assert_eq!(w.current("host"), "1.0.1");
}
