//! Backups: which are kept, what becomes of them when names change, and which one a dry run restores.

use super::world::*;
use chrono::TimeDelta;
use tidegate::domain::pipeline::*;
use tidegate::domain::state::Backup;
use tidegate::domain::*;

fn backup(name: &str, keep: u32) -> Gate {
    let check = Check::Backup {
        node: "a".into(),
        run: Some(Script::Shell("dump".into())),
        path: None,
        verify: None,
        shrink: None,
        keep,
    };
    Gate { check, ..gate(name, Phase::Check) }
}

fn dry_run(of: Option<&str>, needs: &[&str]) -> Gate {
    let check = Check::MigrationDryRun {
        engine: "sqlite".into(),
        migrate: Script::Shell("migrate".into()),
        restore: None,
        server: None,
        backup: of.map(Into::into),
        max_age: None,
        within: None,
    };
    Gate { check, needs: needs.iter().map(|need| (*need).into()).collect(), ..gate("dry", Phase::Check) }
}

fn prod(gates: impl IntoIterator<Item = Gate>) -> Tier {
    tier("prod").nodes(&["a"]).with(|t| t.gates.extend(gates))
}

/// The run of that gate, which is held.
fn run_of(w: &World, wanted: &str) -> RunId {
    let of_gate =
        |place: &state::Place| matches!(&place.task, state::Task::Gate(_, name) if *name == *wanted);
    let mut runs = w.state.running.iter().filter(|(_, place)| of_gate(place));
    *runs.next().unwrap_or_else(|| panic!("`{wanted}` does not run")).0
}

/// What the gate fetches while it runs: a backup of that content. Then it passes.
fn fetches(w: &mut World, gate: &str, content: &str) {
    let run = run_of(w, gate);
    let (source, sha256) = ("local:dump".to_owned(), content.to_owned());
    w.tell(Command::BackupKept { run, source, byte_size: 100, sha256 });
    w.tell(Command::RunEnded { run, outcome: Outcome::of(Classification::Ok) });
}

/// What of a tier is kept, oldest first.
fn kept(w: &World, tier: &str) -> Vec<String> {
    w.shop().tiers[tier].backups.iter().map(|backup| backup.sha256.clone()).collect()
}

/// The backup that a run that goes on has to do with.
fn given(w: &World, gate: &str) -> Option<String> {
    let work = work(&w.state, &Effect::Run(run_of(w, gate))).expect("work");
    let Job::Gate { backup, .. } = work.job else { panic!("a gate") };
    backup.map(|backup: Box<Backup>| backup.sha256)
}

#[test]
fn the_newest_of_each_gate_are_kept() {
    let mut w = World::with(shop([prod([backup("db", 2), backup("files", 7)])]));
    w.hold_run("prod/db");
    w.hold_run("prod/files");
    for n in 1..=4 {
        w.push(&format!("c{n}"));
        fetches(&mut w, "db", &format!("db{n}"));
        fetches(&mut w, "files", &format!("f{n}"));
    }
    assert_eq!(w.current("prod"), "1.0.4");
    assert_eq!(kept(&w, "prod"), ["f1", "f2", "db3", "f3", "db4", "f4"]);
    w.saw(&["backup_fetched prod db 1.0.1", "backup_fetched prod files 1.0.4"]);
    let envelope = w.said.iter().find(|envelope| envelope.fact.event.kind() == "backup_fetched").unwrap();
    let said: serde_json::Value = serde_json::from_str(&tidegate::wire::encode(envelope)).unwrap();
    assert_eq!((&said["gate"], &said["phase"]), (&"backup".into(), &"check".into()), "{said}");
    assert_eq!(envelope.fact.event.run(), Some(RunId(said["run_id"].as_u64().unwrap())));
    w.crash();
    assert_eq!(kept(&w, "prod").len(), 6);
}

#[test]
fn they_live_with_the_pipeline_and_its_tier_under_whatever_name() {
    let mut w = World::with(shop([prod([backup("db", 2)])]));
    w.hold_run("prod/db");
    w.push("c1");
    fetches(&mut w, "db", "first");
    let renamed = prod([backup("db", 2)]).with(|t| (t.name, t.was) = ("live".into(), Some("prod".into())));
    w.load(shop([renamed]));
    assert_eq!(kept(&w, "live"), ["first"]);
    // Neither forgetting the version nor taking the gate away takes them away.
    w.load(shop([tier("live").nodes(&["a"])]));
    for n in 2..=5 {
        w.push(&format!("c{n}"));
    }
    w.tell(Command::Prune { keep: 1 });
    assert!(!w.shop().versions.contains_key("1.0.1"));
    assert_eq!(kept(&w, "live"), ["first"]);
}

#[test]
fn one_that_a_step_says_it_fetched_is_told_of_and_not_kept() {
    let mut w = World::with(shop([prod([backup("db", 2)])]));
    w.hold_run("prod/db");
    w.push("c1");
    let run = run_of(&w, "db");
    let said = event::StepSaid::BackupFetched { source: "elsewhere".into(), byte_size: 7 };
    w.tell(Command::RunSaid { run, said, number: None });
    w.saw(&["backup_fetched prod db 1.0.1"]);
    assert_eq!(kept(&w, "prod"), [""; 0]);
}

#[test]
fn what_ended_meanwhile_keeps_nothing() {
    let mut w = World::with(shop([prod([backup("db", 2)])]));
    w.hold_run("prod/db");
    w.push("c1");
    let run = run_of(&w, "db");
    w.let_go("prod/db");
    let late = Command::BackupKept { run, source: "x".into(), byte_size: 1, sha256: "late".into() };
    assert_eq!(w.ask(late).unwrap(), Answer::Already);
    assert_eq!(kept(&w, "prod"), [""; 0]);
}

#[test]
fn a_backup_is_taken_anew_each_time_and_other_gates_are_not_repeated() {
    let blocked = || Ends::Is(Classification::StepSays);
    let mut w =
        World::with(shop([prod([backup("db", 2), gate("other", Phase::Check), dry_run(None, &["db"])])]));
    w.script("prod/dry", [blocked()]);
    w.push("c1");
    w.saw(&["gate_done prod db 1.0.1 ok", "promote_blocked prod 1.0.1 [step_says]"]);
    w.wait(TimeDelta::minutes(1));
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(w.count("gate_done prod db"), 2, "the restore may have failed for the backup");
    assert_eq!(w.count("gate_done prod other"), 1);
}

#[test]
fn a_dry_run_restores_the_newest_of_its_tier_else_of_any() {
    let tiers = || {
        shop([
            tier("early").with(|t| t.gates.push(Gate { required: false, ..dry_run(None, &[]) })),
            prod([backup("db", 3), backup("files", 3)]),
            tier("last").nodes(&["a"]).with(|t| t.gates.extend([backup("db", 3), dry_run(Some("db"), &[])])),
        ])
    };
    let mut w = World::with(tiers());
    for run in ["early/dry", "prod/db", "prod/files", "last/db", "last/dry"] {
        w.hold_run(run);
    }
    let passes = |w: &mut World, gate: &str| {
        let run = run_of(w, gate);
        w.tell(Command::RunEnded { run, outcome: Outcome::of(Classification::Ok) });
    };
    w.push("c1");
    assert_eq!(given(&w, "dry"), None, "there is none yet");
    passes(&mut w, "dry");
    fetches(&mut w, "db", "prod1");
    assert_eq!(given(&w, "files"), None, "the last one of its own gate");
    fetches(&mut w, "files", "files1");
    assert_eq!(given(&w, "db"), None, "another tier's gate of that name is another gate");
    assert_eq!(given(&w, "dry"), None, "its own tier has one of that name, so no other will do");
    fetches(&mut w, "db", "last1");
    passes(&mut w, "dry");
    assert_eq!(w.current("last"), "1.0.1");

    w.push("c2");
    assert_eq!(given(&w, "dry").as_deref(), Some("last1"), "the newest of any tier");
    passes(&mut w, "dry");
    fetches(&mut w, "db", "prod2");
    fetches(&mut w, "files", "files2");
    assert_eq!(given(&w, "dry").as_deref(), Some("last1"), "that of its own tier, though another is newer");
    w.push("c3");
    // A gate that is gone is no source any more, and a tier is known by its former name.
    let mut changed = tiers();
    changed.tiers[1].gates.pop();
    changed.tiers[1].name = "live".into();
    changed.tiers[1].was = Some("prod".into());
    changed.tiers[2].after = vec!["live".into()];
    changed.tiers[2].gates.clear();
    w.load(changed);
    let given_early = |w: &World| {
        let mut runs = w.state.running.iter();
        let early =
            runs.find(|(_, place)| matches!(&place.task, state::Task::Gate(tier, _) if *tier == *"early"));
        let Job::Gate { backup, .. } = work(&w.state, &Effect::Run(*early.unwrap().0)).unwrap().job else {
            panic!()
        };
        backup.map(|backup| backup.sha256)
    };
    assert_eq!(given_early(&w).as_deref(), Some("files2"), "what is inside goes by what it entered with");
    w.deed(Deed::Cancel { tier: Some("early".into()), version: None }).unwrap();
    w.push("c4");
    assert_eq!(given_early(&w).as_deref(), Some("prod2"));
}
