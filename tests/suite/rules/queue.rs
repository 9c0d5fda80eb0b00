//! Rules 1 and 2: how many pushes wait at most, and what becomes of those beyond.

use super::world::*;
use tidegate::domain::state::QUEUE_LIMIT;
use tidegate::domain::*;

fn on(name: &str) -> Option<RefName> {
    Some(format!("refs/heads/{name}").as_str().into())
}

/// One build is under way, and as many wait as may, each of a branch of its own.
fn full() -> World {
    let mut w = World::with(shop([tier("host")]));
    w.push("b0");
    w.hold_run("compile");
    w.push("b1");
    for number in 0..QUEUE_LIMIT {
        w.push_with(&format!("c{number}x"), |push| push.ref_name = on(&number.to_string()));
    }
    assert_eq!(w.shop().queue.len(), QUEUE_LIMIT);
    w
}

fn pushed(commit: &str, branch: &str, again: bool) -> Command {
    let push = Push { ref_name: on(branch), ..a_push(commit) };
    Command::Push { by: None, why: None, again, pushes: vec![push] }
}

#[test]
fn rule_02_as_many_pushes_wait_as_may_and_one_more_leaves_no_trace() {
    let mut w = full();
    let (mark, before) = (w.mark(), w.state.clone());
    let refused = Err(Rejection::QueueFull("shop".into()));
    for again in [false, true] {
        assert_eq!(w.ask(pushed("d1", "one-more", again)), refused, "by a person too: {again}");
    }
    assert_eq!((w.mark(), &w.state), (mark, &before), "who looks again finds it new");
    // What takes the place of another one makes it no longer, and what is built needs no place.
    w.push_with("d2", |push| push.ref_name = on("7"));
    w.rebuild("b0");
    assert_eq!(w.shop().queue.len(), QUEUE_LIMIT);
    w.deed(Deed::Cancel { tier: None, version: None }).unwrap();
    w.let_go("compile");
    w.tell(pushed("d1", "one-more", false));
    assert!(w.lines().iter().any(|line| line.starts_with("build_ok 1.0.")), "{:?}", w.lines());
}

#[test]
fn rule_02_one_pipeline_that_is_full_keeps_no_other_from_a_push() {
    let mut w = full();
    w.load(shop([tier("host")]).with(|p| p.name = "twin".into()));
    let push = |name: &str| Push { pipeline: name.into(), ref_name: on("one-more"), ..a_push("d1") };
    let pushes = vec![push("shop"), push("twin")];
    let answer = w.tell(Command::Push { by: None, why: None, again: false, pushes });
    let Answer::Pushed(each) = answer else { panic!("{answer:?}") };
    assert!(
        matches!(&each[0], Pushed::Ignored { reason, .. } if reason.contains("wait already")),
        "{each:?}"
    );
    assert!(matches!(&each[1], Pushed::Taken { .. }), "{each:?}");
}

#[test]
fn rule_01_no_more_looks_are_owed_than_may_be_and_none_by_halves() {
    let mut w = World::with(shop([tier("host")]));
    w.load(shop([tier("host")]).with(|p| p.name = "twin".into()));
    let owe = |name: &str, pipelines: &[&str]| Command::OweLooks {
        by: actor("github:ann", Role::Trigger),
        pipelines: pipelines.iter().map(|&name| (name.into(), None)).collect(),
        ref_name: on(name).unwrap(),
        sha: sha("c2"),
    };
    for number in 0..QUEUE_LIMIT {
        w.tell(owe(&number.to_string(), &["shop"]));
    }
    let mark = w.mark();
    assert_eq!(w.ask(owe("one-more", &["twin", "shop"])), Err(Rejection::QueueFull("shop".into())));
    assert_eq!(w.mark(), mark);
    w.tell(owe("7", &["twin", "shop"]));
    assert!(w.state.pipelines["twin"].looks.contains_key("refs/heads/7"), "shop owes that one already");
}
