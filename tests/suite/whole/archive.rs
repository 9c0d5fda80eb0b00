//! The journal proven, copied, carried and restored by the real program, beside a controller at work and without one.

use super::SHOP;
use super::world::World;
use crate::simulation::Chance;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The first number of the second epoch.
const EPOCH: u64 = 1 << 32;

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The lines of `/api/events`.
fn events(world: &World, since: u64) -> Vec<Value> {
    let bytes = world.bytes(&format!("/api/events?since={since}"));
    let lines = String::from_utf8(bytes).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_controller_is_lost_and_its_backup_goes_on_elsewhere() {
    let mut world = World::new(SHOP);
    let backup = world.path("kept");
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    let mut noted = String::new();
    for number in 1..=4 {
        // Builds, gates and deploys are under way while it is made.
        world.push(&format!("1.{number}.0"), &[]);
        noted = world.good(&["backup", text(&backup)]).trim().to_owned();
    }
    let (last, _) = noted.split_once(':').expect("ID:HASH");
    let last: u64 = last.parse().expect("a number");
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.4.0")]);
    let before = events(&world, 0);
    let lost = before.iter().filter(|event| event["id"].as_u64() > Some(last)).count();
    assert!(lost > 0, "something happened after the backup");
    let (exit, said) = world.ends(&["restore", text(&backup)]);
    assert!(exit == 1 && said.contains("TG-STATE-001"), "a controller has it: {exit} {said}");
    world.kill();
    world.hear_the_rest();
    let heard = world.heard.iter().rev().find_map(|event| event["id"].as_u64()).expect("an id");
    assert!(heard > last, "this subscriber knows what is lost");
    let (exit, said) = world.ends(&["restore", text(&backup)]);
    assert!(exit == 1 && said.contains("TG-BACKUP-008"), "there is a journal: {exit} {said}");
    fs::rename(world.path("state"), world.path("lost")).expect("lost");
    world.good(&["restore", text(&backup)]);
    assert_eq!(
        world.good(&["verify-journal", "--expect", &noted]).trim().split(':').next(),
        Some("4294967296")
    );

    world.start();
    let gap = world.wait("gap", &[]);
    assert_eq!(gap["oldest"], EPOCH, "it is told first that what it saw is not there");
    let restored = world.wait_for("the next one", |event| event["id"].is_u64());
    assert_eq!((&restored["kind"], &restored["id"]), (&"journal_restored".into(), &EPOCH.into()));
    assert_eq!(restored["last"], last);
    world.wait("controller_started", &[]);
    let after = events(&world, 0);
    assert_eq!(after[..last as usize], before[..last as usize], "what was before is all there, as it was");
    let on = events(&world, last);
    assert_eq!(on[0]["kind"], "journal_restored", "who had seen no more misses nothing");
    let hold = &world.get("/api/state")["pipelines"][0]["hold"];
    assert_eq!(hold["by"], "restore", "{hold}");
    assert!(hold["why"].as_str().is_some_and(|why| why.contains("compare what runs")), "{hold}");
    world.good(&["resume", "shop"]);
    world.push("2.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "2.0.0")]);
    let history = world.get("/api/history?limit=500");
    let ids = |events: &[Value]| events.iter().filter_map(|event| event["id"].as_u64()).collect::<Vec<_>>();
    let told = ids(history["events"].as_array().expect("events"));
    let mut whole = ids(&events(&world, 0));
    whole.reverse();
    assert_eq!(told, whole[..told.len()], "the history goes over the hole");
    let all = ids(&world.heard);
    assert!(all.windows(2).all(|two| two[0] < two[1]), "no number comes twice: {all:?}");
    let runs = |event: &&Value| event["kind"] == "step_start";
    let runs: Vec<u64> =
        world.heard.iter().filter(runs).filter_map(|event| event["run_id"].as_u64()).collect();
    assert!(runs.windows(2).all(|two| two[0] < two[1]), "nor does one of a run: {runs:?}");
    let head = world.get("/api/journal");
    let head = format!("{}:{}", head["last"], head["hash"].as_str().expect("a value"));
    assert_eq!(world.stop(), 0);
    world.good(&["verify-journal", "--expect", &head, "--expect", &noted]);
    // It can be lost again.
    world.good(&["backup", text(&backup)]);
    world.good(&["restore", text(&backup), "--state", text(&world.path("third"))]);
    let head = world.good(&["verify-journal", "--state", text(&world.path("third"))]);
    assert!(head.starts_with("8589934592:"), "{head}");
}

#[test]
fn a_backup_that_is_killed_at_any_moment_leaves_one_that_can_be_restored() {
    let mut world = World::new(SHOP);
    let backup = world.path("kept");
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    world.good(&["backup", text(&backup)]);
    let begin = Instant::now();
    world.good(&["backup", text(&backup)]);
    let (whole, mut chance) = (begin.elapsed(), Chance::new(7));
    let last = |folder: &Path| -> u64 {
        let manifest = fs::read(folder.join("backup.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        manifest["last"].as_u64().expect("a number")
    };
    let mut before = last(&backup);
    let (mut old, mut new) = (0, 0);
    for round in 0..24 {
        for deed in ["hold", "resume"] {
            world.good(&[deed, "shop"]);
        }
        fs::write(world.path("state/logs").join(format!("9{round}.log")), "x".repeat(100_000))
            .expect("a log");
        let mut child = world
            .program()
            .args(["backup", text(&backup)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it begins");
        match round % 8 {
            0 => {}
            1 => drop(child.wait().expect("done")),
            // The moment is the point, whatever the program is at then.
            _ => std::thread::sleep(Duration::from_micros(chance.below(whole.as_micros() as usize) as u64)),
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        let after = last(&backup);
        assert!(after >= before);
        if after > before {
            new += 1
        } else {
            old += 1
        }
        before = after;
        let again = world.path(&format!("again{round}"));
        world.good(&["restore", text(&backup), "--state", text(&again)]);
        world.good(&["verify-journal", "--state", text(&again)]);
    }
    assert!(old > 0 && new > 0, "some were killed early ({old}), and some late or not at all ({new})");
    assert_eq!(world.stop(), 0);
}

#[test]
fn what_was_tampered_with_is_named_and_how_it_ends_is_told_by_a_number() {
    let mut world = World::new(SHOP);
    let noted = world.good(&["verify-journal"]).trim().to_owned();
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    world.good(&["verify-journal", "--expect", &noted]);
    let exported = world.path("journal.jsonl");
    world.good(&["export", "--out", text(&exported)]);
    assert!(
        tidegate::tui::Recording::read(world.read("journal.jsonl").as_bytes()).is_ok(),
        "it can be played"
    );
    assert_eq!(world.stop(), 0);
    world.good(&["import", text(&exported), "--state", text(&world.path("other"))]);
    assert_eq!(world.good(&["export", "--state", text(&world.path("other"))]), world.read("journal.jsonl"));
    let (exit, said) = world.ends(&["import", text(&exported), "--state", text(&world.path("other"))]);
    assert!(exit == 1 && said.contains("TG-BACKUP-008"), "{exit} {said}");
    let (exit, said) = world.ends(&["import", text(&world.path("nowhere"))]);
    assert!(exit == 2 && said.contains("TG-IMPORT-002"), "{exit} {said}");
    let (exit, said) = world.ends(&["export", "--out", text(&exported)]);
    assert!(exit == 1 && said.contains("TG-EXPORT-001"), "{exit} {said}");

    let journal = rusqlite::Connection::open(world.path("state/journal.db")).expect("the journal");
    let sql = "UPDATE events SET body = replace(body, '1.0.0', '1.0.1') WHERE kind = 'build_ok'";
    assert_eq!(journal.execute(sql, []).expect("changed"), 1);
    let id: u64 = journal
        .query_row("SELECT id FROM events WHERE kind = 'build_ok'", [], |row| row.get::<_, i64>(0))
        .expect("its id") as u64;
    drop(journal);
    let (exit, said) = world.says(&["verify-journal"]);
    assert!(exit == 1 && said.contains("TG-PROOF-001"), "{exit} {said}");
    assert!(said.contains(&format!("changed at event {id}: ")), "{said}");
    let output = world.tidegate(&["verify-journal", "--json"]);
    let proof: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&proof["proven"], &proof["defects"][0]["what"]), (&false.into(), &"changed".into()));
    assert_eq!(proof["defects"][0]["id"], id);
    let serve = world.program().args(["serve", "--listen", "127.0.0.1:0"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&serve.stderr);
    assert!(
        !serve.status.success() && said.contains("TG-JOURNAL-003"),
        "it is not served as history: {said}"
    );
    assert_eq!(world.ends(&["verify-journal", "--expect", "nonsense"]).0, 2);
    assert_eq!(world.ends(&["verify-journal", "--state", text(&world.path("nowhere"))]).0, 4);
}
