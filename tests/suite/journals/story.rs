//! A story in which everything happens that can, told twice: the first half comes to a checkpoint in whose middle much
//! is under way, the second half follows it event by event.

use crate::rules::world::*;
use std::collections::BTreeSet;
use tidegate::domain::event::StepSaid;
use tidegate::domain::pipeline::*;
use tidegate::domain::state::State;
use tidegate::domain::*;

/// The state in the middle, the kinds of event after it, and the world at the end.
pub(super) fn told() -> (State, BTreeSet<&'static str>, World) {
    let mut w = World::with(pipeline(1));
    half(&mut w, 1);
    let (middle, mark) = (w.state.clone(), w.mark());
    finish(&mut w);
    half(&mut w, 2);
    restored(&mut w);
    let kinds = w.said[mark..].iter().map(|envelope| envelope.fact.event.kind()).collect();
    (middle, kinds, w)
}

/// The controller is lost, and a backup of its journal is restored.
fn restored(w: &mut World) {
    let (last, at) = (w.state.last, w.now);
    let event = Event::JournalRestored { last, taken_at: at };
    let fact = Fact { pipeline: None, by: Some("restore".into()), why: None, event };
    let envelope = Envelope { id: last.next_epoch(), at, fact };
    apply(&mut w.state, &envelope);
    w.said.push(envelope);
}

/// Its definition, different in each half, with a tier of its own for what is adopted.
fn pipeline(half: usize) -> Pipeline {
    let many = tier("prod").nodes(&["p1", "p2"]).verify("answers").manual().confirmed_by(2);
    shop([
        tier("host").gate("tests"),
        tier("staging").nodes(&["a", "b"]).verify("smoke").waves(&[Wave::Count(1), Wave::Percent(100)]),
        many.after(&["staging"]),
        tier("edge").nodes(&["e"]).gate("scan").after(&["host"]),
        tier("slow").gate("long").after(&["host"]),
        tier(&format!("lab{half}")).nodes(&["l"]).manual().after(&["slow"]),
    ])
    .with(|p| {
        let (cron, zone) = ("0 3 * * *".into(), "Europe/Berlin".into());
        p.schedule = vec![Schedule { cron, zone, ref_name: "main".into() }];
    })
}

fn commit(half: usize, number: usize) -> String {
    format!("c{half}{number}")
}

fn version(half: usize, number: usize) -> VersionLabel {
    format!("1.0.{half}{number}").into()
}

fn words(w: &mut World, tier: &str, version: &VersionLabel, people: &[&str]) {
    for name in people {
        let deed = Deed::Confirm { tier: tier.into(), version: version.clone() };
        w.deed_of(&actor(name, Role::Operator), deed).unwrap();
    }
}

fn half(w: &mut World, n: usize) {
    w.tell(Command::Started { release: "0.1.0".into(), runner: None });
    builds(w, n);
    production(w, n);
    ways_back(w, n);
    by_hand(w, n);
    looks(w, n);
    clock(w, n);
    definitions(w, n);
    under_way(w, n);
}

/// Pushes of every kind, and builds that come to every end.
fn builds(w: &mut World, n: usize) {
    w.push(&commit(n, 1));
    w.push_with(&commit(n, 2), |push| push.touched = false);
    w.script("compile", [Ends::Is(Classification::CompileError)]);
    w.push(&commit(n, 3));
    w.hold_run("compile");
    w.push(&commit(n, 4));
    let run = *w.state.running.keys().next().unwrap();
    let said = StepSaid::Progress { percent: 40.0, note: Some("half way".into()) };
    w.tell(Command::RunSaid { run, said, number: None });
    let said = StepSaid::BackupFetched { source: "ssh://a1/shop.dump".into(), byte_size: 4096 };
    w.tell(Command::RunSaid { run, said, number: None });
    w.push(&commit(n, 5));
    w.let_go("compile");
}

/// People let versions in, deny one, and their word is voided by an edit.
fn production(w: &mut World, n: usize) {
    let (first, later) = (version(n, 1), version(n, 5));
    if w.current("prod").is_empty() {
        words(w, "prod", &first, &["ann", "bob"]);
        w.promote("prod", first.as_str()).unwrap();
    }
    words(w, "prod", &later, &["ann"]);
    let mut edited = pipeline(n);
    edited.tiers[2].promote.soak = Some(Span::parse("1s").unwrap());
    w.load(edited);
    w.load(pipeline(n));
    w.push(&commit(n, 6));
    let newest = version(n, 6);
    words(w, "prod", &newest, &["ann", "bob"]);
    w.promote("prod", newest.as_str()).unwrap();
    w.push(&commit(n, 7));
    w.deed(Deed::Deny { tier: "prod".into(), version: version(n, 7) }).unwrap();
}

/// Rollouts that fail, and ways back that succeed or do not.
fn ways_back(w: &mut World, n: usize) {
    w.script("staging/b", [Ends::Breaks(Failure::Activate)]);
    w.push(&commit(n, 8));
    w.retry("staging", version(n, 8).as_str()).unwrap();
    w.script("staging/smoke", [Ends::Is(Classification::TestFailure)]);
    w.script("staging/a rollback", [Ends::Breaks(Failure::Unreachable)]);
    w.push(&commit(n, 9));
    w.wait(chrono::TimeDelta::minutes(2));
    w.deed(Deed::Resume { tier: Some("staging".into()) }).unwrap();
    w.rollback("prod").unwrap();
}

fn by_hand(w: &mut World, n: usize) {
    w.deed(Deed::Hold { tier: None }).unwrap();
    w.deed(Deed::Resume { tier: None }).unwrap();
    w.deed(Deed::Block { version: version(n, 5) }).unwrap();
    w.deed(Deed::Unblock { version: version(n, 5) }).unwrap();
    w.deed(Deed::Block { version: version(n, 6) }).unwrap();
    let again = Deed::Redeploy { tier: "edge".into(), node: None, version: None };
    w.deed(again).unwrap();
    let old = sha(&format!("a{n}"));
    let label = format!("0.9.{n}").into();
    let about = Box::default();
    w.deed(Deed::Adopt { tier: format!("lab{n}").into(), version: label, sha: old, about }).unwrap();
    w.rebuild(&commit(n, 1));
    w.tell(Command::Prune { keep: 3 });
}

/// A forge tells of a ref, git says where it stands, and once that it is gone.
fn looks(w: &mut World, n: usize) {
    let ref_name = RefName::from(format!("refs/heads/topic{n}"));
    let owe = |commit: usize| Command::OweLooks {
        by: actor("forge", Role::Trigger),
        pipelines: vec![("shop".into(), None)],
        ref_name: ref_name.clone(),
        sha: sha(&format!("topic{n}{commit}")),
    };
    w.tell(owe(1));
    let owed = w.state.last;
    w.tell(Command::LookDone { pipeline: "shop".into(), ref_name: ref_name.clone(), owed, reason: None });
    w.push_with(&format!("topic{n}1"), |push| push.ref_name = Some(ref_name.clone()));
    let digest = w.shop().in_force.as_ref().map(|in_force| in_force.digest.clone()).unwrap();
    w.tell(Command::LookedOver { pipeline: "shop".into(), digest });
    w.tell(Command::ForgetRefs {
        pipeline: "shop".into(),
        gone: vec![(ref_name.clone(), sha(&format!("topic{n}1")))],
    });
    w.tell(owe(2));
}

/// A schedule asks for a commit that is built, and stays owing for the next time.
fn clock(w: &mut World, n: usize) {
    let daily = |w: &mut World| {
        w.wait(chrono::TimeDelta::hours(24));
        w.shop().schedules[0].owed.as_ref().map(|run| run.id).unwrap()
    };
    let owed = daily(w);
    let ref_name = RefName::from("refs/heads/main");
    let old = w.shop().refs.get(&ref_name).map(|head| head.seen.clone());
    let found = Ok(Box::new(Push { old, news: News::Looked, ..a_push(&commit(n, 9)) }));
    w.tell(Command::Scheduled { pipeline: "shop".into(), owed, found });
    daily(w);
}

fn definitions(w: &mut World, n: usize) {
    let problem = Diagnostic {
        code: "TG-TOML-001".into(),
        severity: Severity::Error,
        file: format!("quay{n}.toml"),
        line: 3,
        column: 1,
        end_line: 3,
        end_column: 4,
        message: "unknown key".into(),
        help: Some("take it out".into()),
        text: Some("key = 1".into()),
    };
    w.tell(Command::Reject { file: format!("quay{n}.toml"), diagnostics: vec![problem] });
    w.load(Pipeline { name: format!("pier{n}").into(), ..shop([tier("only")]) });
    w.tell(Command::Remove { file: format!("pier{n}.toml") });
    w.load(pipeline(n));
}

/// What stays under way: a build and one that waits, gates, a node, a redeploy, a way back that could not be gone.
fn under_way(w: &mut World, n: usize) {
    w.script("edge/scan", [Ends::Is(Classification::MissingTool)]);
    w.script("staging/smoke", [Ends::Is(Classification::TestFailure)]);
    w.script("staging/b rollback", [Ends::Breaks(Failure::Unreachable)]);
    w.hold_run("slow/long");
    w.push(&commit(n, 91));
    let long = |place: &state::Place| matches!(&place.task, state::Task::Gate(_, name) if *name == *"long");
    let run = *w.state.running.iter().find(|(_, place)| long(place)).unwrap().0;
    let (source, sha256) = ("ssh://a1#dump".to_owned(), "ab".repeat(32));
    w.tell(Command::BackupKept { run, source, byte_size: 4096, sha256 });
    let again = Deed::Redeploy { tier: "prod".into(), node: None, version: None };
    w.hold_run("prod/p1 redeploy");
    w.deed(again).unwrap();
    w.deed(Deed::Hold { tier: Some("edge".into()) }).unwrap();
    w.hold_run("compile");
    w.push_with(&commit(n, 92), |push| push.ref_name = Some("refs/heads/next".into()));
    w.push_with(&commit(n, 93), |push| push.ref_name = Some("refs/heads/other".into()));
    w.tell(Command::AccessRefused {
        by: Some("ann".into()),
        code: "TG-AUTH-002".into(),
        method: "POST".into(),
        route: "/rebuild".into(),
        count: 3,
        from: Some("127.0.0.1".into()),
    });
    w.tell(Command::Stopping { release: "0.1.0".into() });
}

/// Ends what the first half left under way.
fn finish(w: &mut World) {
    w.crash();
    for run in ["compile", "prod/p1 redeploy", "slow/long"] {
        w.let_go(run);
    }
    for tier in ["edge", "staging"] {
        w.deed(Deed::Resume { tier: Some(tier.into()) }).unwrap();
    }
    w.load(pipeline(2));
    w.wait(chrono::TimeDelta::hours(3));
}
