//! Rules 1 to 6: push and build.

use super::world::*;
use tidegate::domain::pipeline::*;
use tidegate::domain::*;

fn ignored(answer: &Answer) -> &str {
    match answer {
        Answer::Pushed(all) => match &all[0] {
            Pushed::Ignored { reason, .. } => reason,
            other => panic!("it was not ignored: {other:?}"),
        },
        _ => panic!("not an answer to a push"),
    }
}

#[test]
fn rule_01_a_push_that_is_taken_is_journaled_and_others_get_a_reason() {
    let mut w = World::with(shop([tier("host")]));
    w.push("c1");
    w.saw(&[
        "rebuild_requested",
        "build_start 1.0.1",
        "step_start compile 1.0.1",
        "step_done compile 1.0.1 ok",
        "build_ok 1.0.1",
    ]);
    let mark = w.mark();
    assert!(ignored(&w.push_with("c2", |p| p.ref_taken = false)).contains("not among the refs"));
    assert_eq!(w.mark(), mark, "a foreign ref leaves no trace");
    assert!(ignored(&w.push_with("c2", |p| p.touched = false)).contains("paths"));
    assert!(ignored(&w.push_with("c3", |p| p.tag_missing = true)).contains("tag"));
    assert_eq!(w.count("push_ignored"), 2);
}

#[test]
fn rule_02_a_newer_push_drops_what_has_not_begun_and_ends_what_has() {
    let mut w = World::with(shop([tier("host")]));
    w.hold_run("compile");
    w.push("c1");
    w.push_with("cA", |p| p.ref_name = Some("refs/heads/other".into()));
    w.push("c2");
    w.push("c3");
    w.let_go("compile");
    w.saw(&[
        "build_start 1.0.1",
        "step_done compile 1.0.1 canceled",
        "build_aborted c1",
        "build_start 1.0.A",
    ]);
    w.saw(&["build_aborted c2", "build_ok 1.0.3"]);
    assert_eq!(w.count("build_start"), 3, "c2 never began");
}

#[test]
fn rule_02_a_commit_at_which_another_ref_stands_is_built_to_its_end() {
    let on = |name: &'static str| {
        move |p: &mut Push| p.ref_name = Some(format!("refs/heads/{name}").as_str().into())
    };
    let mut w = World::with(shop([tier("host")]));
    w.hold_run("compile");
    w.push_with("c1", on("dev"));
    assert!(ignored(&w.push_with("c1", on("main"))).contains("being built"));
    w.push_with("c1", on("main"));
    assert_eq!(w.count("push_ignored"), 1, "once is enough");
    w.push_with("c2", on("dev"));
    assert_eq!(w.count("build_aborted"), 0, "main stands at c1");
    w.push_with("c2", on("next"));
    w.push_with("c3", on("dev"));
    assert_eq!(w.count("build_aborted"), 0, "next stands at c2, which waits");
    // When the other one goes on too, nobody wants it any more.
    w.push_with("c4", on("main"));
    w.let_go("compile");
    w.saw(&["build_aborted c1", "build_ok 1.0.2", "build_ok 1.0.3", "build_ok 1.0.4"]);
}

#[test]
fn rule_02_with_finish_the_build_under_way_goes_on() {
    let mut w = World::with(shop([tier("host")]).with(|p| p.build.on_newer = OnNewer::Finish));
    w.hold_run("compile");
    w.push("c1");
    w.push("c2");
    w.push("c3");
    w.let_go("compile");
    w.saw(&["build_aborted c2", "build_ok 1.0.1", "build_ok 1.0.3"]);
}

#[test]
fn rule_02_one_commit_at_a_time_in_order() {
    let mut w = World::with(shop([tier("host")]));
    w.hold_run("compile");
    for commit in ["c1", "c2", "c3"] {
        w.push_with(commit, |p| p.ref_name = Some(format!("refs/heads/{commit}").as_str().into()));
    }
    assert_eq!(w.count("build_start"), 1);
    w.let_go("compile");
    w.saw(&["build_ok 1.0.1", "build_start 1.0.2", "build_ok 1.0.2", "build_start 1.0.3"]);
}

#[test]
fn rule_03_a_built_commit_is_not_built_again_but_a_failed_one_is() {
    let mut w = World::with(shop([tier("host")]));
    w.script("compile", [Ends::Is(Classification::CheckFailed)]);
    w.push("c1");
    w.saw(&["build_failed 1.0.1"]);
    w.push("c1");
    w.saw(&["build_failed 1.0.1", "build_start 1.0.1", "build_ok 1.0.1"]);
    assert!(ignored(&w.push("c1")).contains("built already"));
    assert!(
        ignored(&w.push_with("c1", |p| p.ref_name = Some("refs/tags/v1".into()))).contains("built already")
    );
    w.hold_run("compile");
    w.push("c2");
    assert!(ignored(&w.push("c2")).contains("being built"));
    assert_eq!(w.count("rebuild_requested"), 3);
}

#[test]
fn rule_03_a_branch_moved_back_makes_a_built_version_newest_again() {
    let mut w = World::with(shop([tier("host"), tier("prod")]));
    w.push("c1");
    w.push("c2");
    assert_eq!(w.current("prod"), "1.0.2");
    let mark = w.mark();
    w.push_with("c1", |p| p.old = Some(sha("c2")));
    assert_eq!(w.current("prod"), "1.0.1");
    assert!(!w.since(mark).iter().any(|l| l.starts_with("build_start")), "the same bits move");
    // The same delivery once more moves nothing.
    assert!(ignored(&w.push_with("c1", |p| p.old = Some(sha("c2")))).contains("built already"));
}

#[test]
fn rule_03_moved_to_the_front_it_counts_as_passed_where_current_and_stays_rejected() {
    let mut w = World::with(shop([tier("host"), tier("prod").gate("smoke")]));
    w.script("prod/smoke", [Ends::Is(Classification::CheckFailed)]);
    w.push("c1");
    assert_eq!(w.current("host"), "1.0.1");
    w.saw(&["promote_failed prod 1.0.1 rejected"]);
    let mark = w.mark();
    w.rebuild("c1");
    assert_eq!(w.since(mark).iter().filter(|l| l.starts_with("promote_start")).count(), 0);
    assert!(w.blockers("prod", "1.0.1").contains(&"rejected"));
}

#[test]
fn rule_03_moved_to_the_front_it_keeps_the_words_that_people_gave() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual().confirmed_by(2)]));
    w.push("c1");
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() }).unwrap();
    w.promote("prod", "1.0.1").unwrap();
    w.rebuild("c1");
    assert_eq!(w.blockers("prod", "1.0.1"), ["confirm_missing"], "the promotion stands (rule 19)");
    let word = Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() };
    w.deed_of(&actor("bob", Role::Operator), word).unwrap();
    assert_eq!(w.current("prod"), "1.0.1", "and so did the first word (rule 12)");
}

#[test]
fn rule_03_superseded_and_moved_to_the_front_it_needs_new_words() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual().confirmed_by(2)]));
    w.push("c1");
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() }).unwrap();
    w.push("c2");
    for name in ["ann", "bob"] {
        let word = Deed::Confirm { tier: "prod".into(), version: "1.0.2".into() };
        w.deed_of(&actor(name, Role::Operator), word).unwrap();
    }
    w.promote("prod", "1.0.2").unwrap();
    w.saw(&["promote_complete prod 1.0.2", "superseded prod 1.0.1"]);
    w.rebuild("c1");
    assert_eq!(w.current("host"), "1.0.1");
    assert_eq!(w.shop().standing(&"prod".into(), &"1.0.1".into()).map(|s| s.confirmations.len()), Some(0));
    assert_eq!(w.blockers("prod", "1.0.1"), ["manual", "confirm_missing"]);
}

#[test]
fn rule_04_a_label_that_another_commit_has_gets_the_commit_added() {
    let mut w = World::with(shop([tier("host")]));
    w.push("c1");
    // Another commit whose files say the same version.
    w.hold_run("prepare");
    w.push("c9");
    let request = w.shop().queue[0].id;
    w.ask(Command::Prepared { request, label: Ok(Some("1.0.1".into())) }).unwrap();
    w.let_go("prepare");
    w.saw(&["build_ok 1.0.1+gc900000"]);
}

#[test]
fn rule_04_no_label_and_an_unreadable_one() {
    let mut w = World::with(shop([tier("host")]));
    w.hold_run("prepare");
    w.push("c1");
    let request = w.shop().queue[0].id;
    w.ask(Command::Prepared { request, label: Ok(None) }).unwrap();
    w.settle();
    w.saw(&["build_ok 0.0.0+gc100000"]);
    w.push("c2");
    let request = w.shop().queue[0].id;
    let bad = Err("Cargo.toml: `version` is not a version".to_owned());
    w.ask(Command::Prepared { request, label: bad }).unwrap();
    w.settle();
    w.saw(&["build_start 0.0.0+gc200000", "build_failed 0.0.0+gc200000"]);
}

#[test]
fn rule_05_every_tier_gets_the_artifacts_of_the_one_build() {
    let mut w = World::with(shop([tier("host").gate("tests"), tier("prod").nodes(&["a1"])]));
    w.hold_run("prod/a1");
    w.push("c1");
    let effects = outstanding(&w.state, w.now);
    let Some(Job::Deploy { artifacts, .. }) = work(&w.state, &effects[0]).map(|w| w.job) else {
        panic!("the deploy is under way")
    };
    assert_eq!(artifacts, w.shop().versions["1.0.1"].artifacts);
    assert_eq!(w.count("build_start"), 1);
}

#[test]
fn rule_06_a_failed_build_changes_nothing_for_older_versions() {
    let mut w = World::with(shop([tier("host").gate("tests"), tier("prod").manual()]));
    w.push("c1");
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.push("c2");
    w.saw(&["build_failed 1.0.2"]);
    assert_eq!(w.blockers("prod", "1.0.1"), ["manual"]);
    w.promote("prod", "1.0.1").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn steps_run_as_a_graph_and_a_failed_one_begins_nothing_new() {
    let mut w = World::with(shop([tier("host")]).with(|p| {
        p.build.steps = vec![step("a", &[]), step("b", &[]), step("c", &["a", "b"])];
    }));
    w.hold_run("b");
    w.push("c1");
    assert_eq!(w.count("step_start"), 2);
    w.script("b", [Ends::Is(Classification::CheckFailed)]);
    w.let_go("b");
    w.saw(&["step_done b 1.0.1 check_failed", "build_failed 1.0.1"]);
    assert_eq!(w.count("step_start"), 2, "c never begins");
}

#[test]
fn steps_are_retried_as_told_with_a_run_each() {
    let retry = Retry { times: 2, wait: Span::seconds(10), on: vec![Classification::Timeout] };
    let mut w = World::with(shop([tier("host")]).with(|p| p.build.steps[0].exec.retry = Some(retry)));
    w.script("compile", [Ends::Is(Classification::Timeout), Ends::Is(Classification::Timeout), Ends::Passes]);
    w.push("c1");
    assert_eq!(w.count("step_start"), 1, "the second try waits");
    w.wait(chrono::TimeDelta::seconds(9));
    assert_eq!(w.count("step_start"), 1);
    w.wait(chrono::TimeDelta::seconds(11));
    w.saw(&[
        "step_done compile 1.0.1 timeout",
        "step_done compile 1.0.1 timeout",
        "step_done compile 1.0.1 flaky",
        "build_ok",
    ]);
}

#[test]
fn a_build_that_takes_longer_than_its_timeout_fails() {
    let mut w = World::with(shop([tier("host")]).with(|p| p.build.timeout = Some(Span::seconds(60))));
    w.hold_run("compile");
    w.push("c1");
    w.wait(chrono::TimeDelta::seconds(61));
    w.saw(&["step_done compile 1.0.1 canceled", "build_failed 1.0.1"]);
}

#[test]
fn jobs_bound_steps_and_gates_but_never_deploys() {
    let three = shop([
        tier("host").gate("a").gate("b").gate("c"),
        tier("prod").nodes(&["n1", "n2"]).waves(&[Wave::Count(2)]),
    ]);
    let mut w = World::with(three).jobs(2);
    for gate in ["a", "b", "c"] {
        w.hold_run(&format!("host/{gate}"));
    }
    w.push("c1");
    assert_eq!(w.count("gate_start"), 2);
    w.let_go("host/a");
    assert_eq!(w.count("gate_start"), 3);
    w.let_go("host/b");
    w.let_go("host/c");
    assert_eq!(w.state.busy_slots, 0);
    let mut w = w.jobs(0);
    let retry = Deed::Redeploy { tier: "prod".into(), node: None, version: None };
    w.deed(retry).unwrap();
    assert_eq!(w.count("deploy_ok prod n1 redeploy"), 1);
}

/// Somebody looked: `main` stands at that commit, and was last seen there by the journal before that.
fn looked(w: &mut World, commit: &str, seen: Option<&str>) -> Answer {
    w.push_with(commit, |p| {
        p.news = News::Looked;
        p.old = seen.map(sha);
    })
}

#[test]
fn rule_03_a_look_at_a_known_head_moves_nothing_and_a_real_move_back_does() {
    let mut w = World::with(shop([tier("host")]));
    looked(&mut w, "c1", None);
    looked(&mut w, "c2", Some("c1"));
    assert_eq!(w.current("host"), "1.0.2");
    let mark = w.mark();
    assert!(ignored(&looked(&mut w, "c2", Some("c2"))).contains("since it was last seen"));
    w.crash();
    assert!(ignored(&looked(&mut w, "c2", Some("c2"))).contains("since it was last seen"));
    assert_eq!(w.since(mark).iter().filter(|line| !line.starts_with("controller")).count(), 0);
    // The forge moved the branch back, and the delivery of that was lost: git says so all the same.
    looked(&mut w, "c1", Some("c2"));
    assert_eq!(w.current("host"), "1.0.1");
    assert_eq!(w.count("build_start"), 2, "the same bits move");
}

#[test]
fn rule_03_a_look_that_was_overtaken_is_not_believed() {
    let mut w = World::with(shop([tier("host")]));
    w.push("c1");
    w.push("c2");
    let mark = w.mark();
    // Git said `c3` or `c1` before the push of `c2` came.
    for late in ["c3", "c1"] {
        let answer = looked(&mut w, late, Some("c1"));
        assert_eq!(answer, Answer::Pushed(vec![Pushed::Overtaken { pipeline: "shop".into() }]));
    }
    assert_eq!(w.mark(), mark);
    assert_eq!(w.current("host"), "1.0.2");
}

#[test]
fn what_was_looked_at_is_known_from_then_on_whatever_came_of_it() {
    let mut w = World::with(shop([tier("host")]));
    w.push("c1");
    let on = |name: &'static str, news, seen: Option<&'static str>| {
        move |p: &mut Push| {
            p.ref_name = Some(name.into());
            p.news = news;
            p.old = seen.map(sha);
        }
    };
    let tag = "refs/tags/v1";
    assert!(ignored(&w.push_with("c1", on(tag, News::Looked, None))).contains("built already"));
    assert_eq!(w.count("push_ignored"), 1, "so the next look finds nothing new");
    assert!(ignored(&w.push_with("c1", on(tag, News::Looked, Some("c1")))).contains("last seen"));
    let old = "refs/heads/old";
    assert!(ignored(&w.push_with("c2", on(old, News::FoundThere, None))).contains("before anybody asked"));
    assert!(ignored(&w.push_with("c2", on(old, News::Looked, Some("c2")))).contains("last seen"));
    assert_eq!((w.count("push_ignored"), w.count("rebuild_requested")), (2, 1));
    // From where it stood it may move.
    w.push_with("c3", on(old, News::Looked, Some("c2")));
    assert_eq!(w.count("rebuild_requested"), 2);
}

fn owe(w: &mut World, begun: Option<EventId>) -> EventId {
    let command = Command::OweLooks {
        by: actor("github:ann", Role::Trigger),
        pipelines: vec![("shop".into(), begun), ("gone".into(), None)],
        ref_name: "refs/heads/main".into(),
        sha: sha("c2"),
    };
    w.tell(command);
    w.shop().looks["refs/heads/main"].id
}

#[test]
fn rule_01_a_look_that_is_owed_stays_so_until_it_is_done_and_is_owed_once() {
    let mut w = World::with(shop([tier("host")]));
    let first = owe(&mut w, None);
    assert_eq!(w.shop().looks["refs/heads/main"].by, "github:ann");
    assert_eq!(owe(&mut w, None), first, "it has not begun: it will see this push, too");
    w.crash();
    assert_eq!(w.shop().looks["refs/heads/main"].id, first);
    let second = owe(&mut w, Some(first));
    assert!(second > first, "it has begun, and may have looked before this push");
    assert_eq!(owe(&mut w, Some(first)), second);
    let done = |owed| Command::LookDone {
        pipeline: "shop".into(),
        ref_name: "refs/heads/main".into(),
        owed,
        reason: Some("the ref stands there since it was last seen".into()),
    };
    w.tell(done(first));
    assert_eq!(w.shop().looks.len(), 1, "another one took its place");
    w.tell(done(second));
    assert!(w.shop().looks.is_empty());
    assert_eq!((w.count("look_owed"), w.count("look_done")), (2, 1));
    owe(&mut w, None);
    w.load(shop([tier("host")]).with(|p| p.description = Some("Another".into())));
    assert_eq!(w.shop().looks.len(), 1);
    w.load(shop([tier("host")]).with(|p| p.source.repo = "/srv/git/other.git".into()));
    assert!(w.shop().looks.is_empty(), "it was about another repository");
}

#[test]
fn rule_03_a_hook_that_was_held_up_moves_nothing_back() {
    let mut w = World::with(shop([tier("host")]));
    let moved = |w: &mut World, commit: &str, old: Option<&str>| {
        w.push_with(commit, |push| {
            push.news = News::Moved;
            push.old = old.map(sha);
        })
    };
    let is_taken =
        |answer: &Answer| matches!(answer, Answer::Pushed(all) if matches!(all[0], Pushed::Taken { .. }));
    let is_asked =
        |answer: &Answer| matches!(answer, Answer::Pushed(all) if matches!(all[0], Pushed::Overtaken { .. }));
    assert!(is_taken(&moved(&mut w, "c1", None)));
    assert!(is_taken(&moved(&mut w, "c2", Some("c1"))));
    // The newest is found by looking, before its own hook and that of the one before it.
    w.push_with("c4", |push| {
        push.news = News::Looked;
        push.old = Some(sha("c2"));
    });
    let mark = w.mark();
    assert!(is_asked(&moved(&mut w, "c3", Some("c2"))));
    assert!(is_asked(&moved(&mut w, "c1", None)), "told as if it were new");
    assert!(ignored(&moved(&mut w, "c4", Some("c3"))).contains("built already"));
    assert_eq!(w.mark(), mark, "none of them leaves a trace");
    assert_eq!(w.shop().refs["refs/heads/main"].seen, sha("c4"));
    // Moved back in earnest.
    assert!(is_taken(&moved(&mut w, "c2", Some("c4"))));
}

#[test]
fn refs_that_are_gone_are_forgotten_unless_they_were_seen_elsewhere_since() {
    let mut w = World::with(shop([tier("host")]));
    let topic = |number: u32| RefName::from(format!("refs/heads/topic-{number}"));
    let commit = |number: u32| format!("a{number:02}e");
    let see = |w: &mut World, commit: &str, number: u32| {
        w.push_with(commit, |push| {
            push.ref_name = Some(topic(number));
            push.touched = false;
        });
    };
    (0..50).for_each(|number| see(&mut w, &commit(number), number));
    assert_eq!(w.shop().refs.len(), 50);
    let gone = (0..50).map(|number| (topic(number), sha(&commit(number)))).collect();
    // One of them is pushed to again while git is asked.
    see(&mut w, "b00e", 7);
    w.tell(Command::ForgetRefs { pipeline: "shop".into(), gone });
    assert_eq!(w.shop().refs.keys().collect::<Vec<_>>(), [&topic(7)]);
    w.crash();
    assert_eq!((w.shop().refs.len(), w.count("refs_forgotten")), (1, 1));
}

#[test]
fn what_was_looked_over_is_known_until_the_source_is_another_one() {
    let polled = || {
        let mut pipeline = shop([tier("host")]);
        pipeline.source.poll = Some(Span::parse("1m").unwrap());
        pipeline
    };
    let mut w = World::with(polled());
    let look = |w: &mut World, digest: Option<Digest>| {
        let in_force = w.shop().in_force.as_ref().unwrap().digest.clone();
        w.tell(Command::LookedOver { pipeline: "shop".into(), digest: digest.unwrap_or(in_force) });
    };
    let first = w.shop().in_force.as_ref().unwrap().digest.clone();
    look(&mut w, None);
    look(&mut w, None);
    assert_eq!((w.shop().is_looked_over, w.count("looked_over")), (true, 1), "said once");
    w.crash();
    w.load(Pipeline { description: Some("a shop".into()), ..polled() });
    let mut slower = polled();
    slower.source.poll = Some(Span::parse("5m").unwrap());
    slower.source.paths = vec!["src/**".into()];
    w.load(slower);
    assert!(w.shop().is_looked_over, "the same refs of the same repository");
    let mut more = polled();
    more.source.refs.push("v*".into());
    w.load(more);
    look(&mut w, Some(first));
    assert!(!w.shop().is_looked_over, "the look began under another definition");
    look(&mut w, None);
    let mut silent = polled();
    silent.source.refs.push("v*".into());
    silent.source.poll = None;
    w.load(silent);
    assert!(!w.shop().is_looked_over, "nobody looks");
    w.load(polled());
    look(&mut w, None);
    w.tell(Command::Remove { file: "shop.toml".into() });
    w.load(polled());
    assert_eq!((w.shop().is_looked_over, w.count("looked_over")), (false, 3), "it was away");
}
