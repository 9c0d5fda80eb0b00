//! Rule 26: what is never forgotten, and that everything else is.

use super::world::*;
use tidegate::domain::*;

/// Forgets what is beyond the newest so many.
fn prune(w: &mut World, keep: usize) {
    while w.tell(Command::Prune { keep }) == Answer::Done {}
}

fn known(w: &World) -> Vec<String> {
    w.shop().built.values().map(ToString::to_string).collect()
}

#[test]
fn rule_26_old_versions_go_with_all_that_was_known_of_them() {
    let mut w = World::with(shop([tier("host").gate("tests"), tier("prod").nodes(&["a"])]));
    for n in 1..=9 {
        w.load(shop([tier("host").gate("tests").gate(&format!("g{n}")), tier("prod").nodes(&["a"])]));
        w.push(&format!("c{n}"));
    }
    assert!(w.shop().known.len() > 5, "{}", w.shop().known.len());
    prune(&mut w, 3);
    assert_eq!(known(&w), ["1.0.7", "1.0.8", "1.0.9"]);
    assert_eq!((w.shop().versions.len(), w.shop().by_sha.len()), (3, 3));
    for t in w.shop().tiers.values() {
        assert_eq!((t.standings.len(), t.past.len()), (3, 2));
    }
    assert_eq!(w.shop().known.len(), 3, "the definitions of those that are left");
    assert_eq!(w.count("versions_pruned"), 1);
    w.rollback("prod").unwrap();
    assert_eq!(w.current("prod"), "1.0.8");
    w.crash();
}

#[test]
fn rule_26_what_is_needed_stays_however_old_it_is() {
    let mut w =
        World::with(shop([tier("host"), tier("late").manual(), tier("slow").after(&["host"]).gate("long")]));
    w.push("c1");
    w.promote("late", "1.0.1").unwrap();
    w.push("c2");
    w.promote("late", "1.0.2").unwrap();
    w.push("c3");
    w.deed(Deed::Block { version: "1.0.3".into() }).unwrap();
    w.hold_run("slow/long");
    w.push("c4");
    for n in 5..=9 {
        w.push(&format!("c{n}"));
    }
    prune(&mut w, 1);
    // 1 is where `late` would go back to, 2 its current one, 3 blocked by a person, 4 inside `slow`, the rest wait in
    // front of `late`.
    let all: Vec<String> = (1..=9).map(|n| format!("1.0.{n}")).collect();
    assert_eq!(known(&w), all);
    w.promote("late", "1.0.9").unwrap();
    prune(&mut w, 1);
    // 2 is what `late` would go back to now; 4 is still inside, 5 to 9 wait for `slow`.
    assert_eq!(known(&w), all[1..]);
    w.let_go("slow/long");
    prune(&mut w, 1);
    assert_eq!(known(&w), ["1.0.2", "1.0.3", "1.0.4", "1.0.8", "1.0.9"]);
    w.rollback("late").unwrap();
    assert_eq!(w.current("late"), "1.0.2");
}

#[test]
fn a_commit_whose_version_was_forgotten_is_built_again_as_a_new_one() {
    let mut w = World::with(shop([tier("host")]));
    for n in 1..=5 {
        w.push(&format!("c{n}"));
    }
    prune(&mut w, 2);
    assert_eq!(known(&w), ["1.0.4", "1.0.5"]);
    w.rebuild("c1");
    assert_eq!(w.count("build_ok 1.0.1"), 2);
    assert_eq!(w.current("host"), "1.0.1", "it is the newest request");
    prune(&mut w, 0);
    assert_eq!(known(&w), ["1.0.5", "1.0.1"], "the current one and the one before");
}

#[test]
fn failed_builds_are_forgotten_too() {
    let mut w = World::with(shop([tier("host")]));
    w.push("c1");
    for n in 2..=6 {
        w.script("compile", [Ends::Is(Classification::CompileError)]);
        w.push(&format!("c{n}"));
    }
    prune(&mut w, 2);
    let labels: Vec<String> = w.shop().versions.keys().map(ToString::to_string).collect();
    assert_eq!(labels, ["1.0.1", "1.0.5", "1.0.6"]);
}

#[test]
fn rule_04_a_forgotten_label_is_never_given_to_another_commit() {
    let mut w = World::with(shop([tier("host")]));
    let build = |w: &mut World, commit: &str, label: &str| {
        w.hold_run("prepare");
        w.rebuild(commit);
        let request = w.shop().queue[0].id;
        let read = Command::Prepared { request, label: Ok(Some(label.into())) };
        w.ask(read).unwrap();
        w.let_go("prepare");
    };
    build(&mut w, "c1", "1.0.0");
    build(&mut w, "c2", "1.0.0");
    build(&mut w, "c3", "1.0.0");
    w.saw(&["build_ok 1.0.0", "build_ok 1.0.0+gc200000", "build_ok 1.0.0+gc300000"]);
    prune(&mut w, 1);
    assert_eq!(
        known(&w),
        ["1.0.0+gc200000", "1.0.0+gc300000"],
        "the current one, and what it would go back to"
    );
    assert_eq!(w.shop().spent.len(), 1, "only what was forgotten is noted");
    build(&mut w, "c4", "1.0.0");
    w.saw(&["build_ok 1.0.0+gc400000"]);
    // The commit that had it gets it again.
    build(&mut w, "c1", "1.0.0");
    assert!(known(&w).contains(&"1.0.0".to_owned()), "{:?}", known(&w));
    for n in 5..=8 {
        build(&mut w, &format!("c{n}"), "1.0.0");
    }
    prune(&mut w, 1);
    assert_eq!(known(&w).len(), 2);
    let spent: Vec<&str> = w.shop().spent.keys().map(VersionLabel::as_str).collect();
    assert_eq!(spent, ["1.0.0"], "a label that names its commit needs no note");
    w.crash();
}

#[test]
fn rule_32_what_waits_in_a_removed_pipeline_or_tier_is_not_forgotten() {
    let whole = || shop([tier("host"), tier("prod").manual(), tier("late").manual().after(&["host"])]);
    let mut w = World::with(whole());
    w.push("c1");
    w.push("c2");
    w.deed(Deed::Confirm { tier: "late".into(), version: "1.0.2".into() }).unwrap_err();
    w.promote("late", "1.0.1").unwrap();
    // `late` is removed while 2 waits there, and `prod` takes the newest.
    w.load(shop([tier("host"), tier("prod").manual()]));
    for n in 3..=6 {
        w.push(&format!("c{n}"));
    }
    w.promote("prod", "1.0.6").unwrap();
    prune(&mut w, 1);
    assert_eq!(known(&w), ["1.0.1", "1.0.2", "1.0.5", "1.0.6"], "1 is current in `late`, 2 waits there");
    w.load(whole());
    w.promote("late", "1.0.2").unwrap();
    assert_eq!(w.current("late"), "1.0.2", "it goes on where it was");
    // A removed pipeline forgets nothing.
    w.push("c7");
    w.push("c8");
    w.tell(Command::Remove { file: "shop.toml".into() });
    let before = known(&w);
    prune(&mut w, 0);
    assert_eq!(known(&w), before);
    w.load(whole());
    w.promote("prod", "1.0.7").unwrap();
    assert_eq!(w.current("prod"), "1.0.7", "what waited waits again");
    w.crash();
}

/// What became of the push of a tag on that commit.
fn tagged(w: &mut World, commit: &str, news: News) -> Vec<Pushed> {
    let answer = w.push_with(commit, |push| {
        push.ref_name = Some(format!("refs/tags/{commit}").as_str().into());
        push.news = news;
    });
    let Answer::Pushed(all) = answer else { panic!("{answer:?}") };
    all
}

#[test]
fn rule_03_a_forgotten_commit_is_built_again_by_a_person_or_a_branch_only() {
    let mut w = World::with(shop([tier("host").manual()]));
    for n in 1..=5 {
        w.push(&format!("c{n}"));
    }
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.push("c6");
    w.push("c7");
    w.promote("host", "1.0.7").unwrap();
    prune(&mut w, 1);
    assert_eq!(known(&w), ["1.0.7"]);
    for news in [News::Told, News::Looked] {
        let said = tagged(&mut w, "c1", news);
        assert!(
            matches!(&said[..], [Pushed::Ignored { reason, .. }] if reason.contains("rebuild")),
            "{said:?}"
        );
    }
    // A repeated delivery of an old push, too.
    let again = w.push("c3");
    assert!(
        matches!(&again, Answer::Pushed(all) if matches!(all[..], [Pushed::Ignored { .. }])),
        "{again:?}"
    );
    assert_eq!(w.count("build_start 1.0.1"), 1);
    // What failed was never built; a branch that is moved back, and a person, mean it.
    assert!(matches!(tagged(&mut w, "c6", News::Told)[..], [Pushed::Taken { .. }]));
    w.push_with("c2", |push| push.old = Some(sha("c7")));
    w.rebuild("c4");
    assert_eq!((w.count("build_ok 1.0.2"), w.count("build_ok 1.0.4")), (2, 2));
    prune(&mut w, 0);
    let begins = |commit: &str| u64::from_str_radix(&sha(commit).as_str()[..16], 16).unwrap();
    let count = |commit: &str| w.shop().forgotten.iter().filter(|it| **it == begins(commit)).count();
    assert_eq!(["c1", "c2", "c3", "c5"].map(count), [1, 1, 1, 1], "each is noted once");
    w.crash();
}

#[test]
fn rule_04_the_labels_of_commits_that_nobody_knows_any_more_are_free() {
    let mut w = World::with(shop([tier("host")]));
    for n in 1..=3 {
        w.push(&format!("c{n}"));
    }
    prune(&mut w, 2);
    assert_eq!(w.shop().spent.len(), 1);
    let known = &mut w.state.pipelines.get_mut("shop").unwrap().forgotten;
    known.extend(1..100_000);
    w.push("c4");
    prune(&mut w, 2);
    let spent: Vec<String> = w.shop().spent.keys().map(ToString::to_string).collect();
    assert_eq!((w.shop().forgotten.len(), spent), (100_000, vec!["1.0.2".to_owned()]));
}
