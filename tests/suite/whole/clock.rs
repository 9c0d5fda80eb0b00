//! Builds by the clock, with the real program and real git. Nobody waits for an hour to strike: the journal is made older
//! while the controller is stopped, as if it had been away for so long.

use super::SHOP;
use super::world::World;
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use rusqlite::Connection;
use serde_json::Value;
use tidegate::domain::EventId;
use tidegate::journal::Head;

/// The shop with a daily build of that ref at a time that was half an hour ago.
fn with_schedule(ref_name: &str) -> String {
    let time = Utc::now() - TimeDelta::minutes(30);
    let cron = format!("{} {} * * *", time.minute(), time.hour());
    format!("{SHOP}\n[[schedule]]\ncron = \"{cron}\"\nref = \"{ref_name}\"\n")
}

/// Everything in the journal of a stopped controller happened so much earlier, and was written so.
fn make_older(world: &World, by: TimeDelta) {
    let mut journal = Connection::open(world.path("state/journal.db")).unwrap();
    let change = journal.transaction().unwrap();
    let all: Vec<(i64, i64, String)> = {
        let mut rows = change.prepare("SELECT id, at_us, body FROM events").unwrap();
        let read = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        read.map(Result::unwrap).collect()
    };
    let text = |key: &str| -> String {
        change.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).unwrap()
    };
    let mut head = Head::first(&text("instance"));
    for (id, at_us, body) in all {
        let before = serde_json::from_str::<Value>(&body).unwrap()["at"].as_str().unwrap().to_owned();
        let moment = DateTime::parse_from_rfc3339(&before).unwrap() - by;
        let after = moment.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let body = body.replacen(&before, &after, 1);
        let at_us = at_us - by.num_microseconds().unwrap();
        head = head.then(EventId(id as u64), &body);
        let row = (id, at_us, body, head.hash.as_bytes());
        change.execute("UPDATE events SET at_us = ?2, body = ?3, hash = ?4 WHERE id = ?1", row).unwrap();
    }
    change.execute("UPDATE meta SET value = ?1 WHERE key = 'chain_at_stop'", [head.to_string()]).unwrap();
    change.commit().unwrap();
}

fn count(world: &World, kind: &str, by: &str) -> usize {
    world.heard.iter().filter(|event| event["kind"] == kind && event["by"] == by).count()
}

#[test]
fn a_controller_that_was_away_builds_what_it_missed_once_and_for_everybody() {
    let mut world = World::new(&with_schedule("main"));
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    let status = world.good(&["status", "shop"]);
    assert!(status.contains("the clock builds main next"), "{status}");
    assert_eq!(world.stop(), 0);
    world.hear_the_rest();
    assert!(!world.kinds().contains(&"schedule_due"), "what was before the load is not missed");
    make_older(&world, TimeDelta::hours(3));
    world.start();
    let due = world.wait("schedule_due", &[]);
    let moment = |value: &Value| DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    let late = moment(&due["at"]) - moment(&due["due"]);
    assert!(late >= TimeDelta::minutes(30) && late < TimeDelta::minutes(35), "{due}");
    let asked = world.wait("rebuild_requested", &[("by", "schedule"), ("anew", "true")]);
    world.wait("schedule_done", &[("owed", &due["id"].to_string())]);
    let passed = world.wait("promote_complete", &[("tier", "staging")]);
    let version = passed["version"].as_str().unwrap();
    let at = moment(&asked["at"]).format("%Y%m%d.%H%M");
    assert_eq!(version, format!("1.0.0+{at}"));
    let deploys = world.read("place/deploys");
    assert_eq!(deploys, format!("deploy 1.0.0 over nothing\ndeploy {version} over 1.0.0\n"));
    // After a crash nothing of that comes again.
    world.kill();
    world.start();
    world.wait("controller_started", &[]);
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    assert_eq!(count(&world, "rebuild_requested", "schedule"), 1);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "schedule_due").count(), 1);
    let told = String::from_utf8(world.tidegate(&["events", "--since", "0"]).stdout).unwrap();
    assert!(told.contains("schedule_due"), "{told}");
}

#[test]
fn what_the_clock_asked_for_while_the_repository_was_away_is_built_after_a_kill() {
    let mut world = World::new(&with_schedule("main"));
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    assert_eq!(world.stop(), 0);
    world.hear_the_rest();
    make_older(&world, TimeDelta::hours(3));
    std::fs::rename(world.path("shop.git"), world.path("away.git")).unwrap();
    world.start();
    let due = world.wait("schedule_due", &[]);
    world.until_logged("a schedule asks for, is looked at again");
    let status = world.good(&["status", "shop"]);
    assert!(status.contains("the repository is still to be asked for what was due"), "{status}");
    world.kill();
    world.hear_the_rest();
    std::fs::rename(world.path("away.git"), world.path("shop.git")).unwrap();
    world.start();
    world.wait("rebuild_requested", &[("by", "schedule")]);
    world.wait("schedule_done", &[("owed", &due["id"].to_string())]);
    world.wait_for("the new version passes", |event| {
        event["kind"] == "promote_complete"
            && event["version"].as_str().unwrap_or_default().starts_with("1.0.0+")
    });
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "schedule_due").count(), 1);
    assert_eq!(count(&world, "rebuild_requested", "schedule"), 1);
}

#[test]
fn a_schedule_is_checked_planned_and_said_where_its_ref_is_not_there() {
    let mut world = World::new(&with_schedule("nightly"));
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    let (code, said) = world.says(&["check", "pipelines/shop.toml"]);
    assert!(code == 0 && said.contains("`refs` of [source] does not take `nightly`"), "{said}");
    let (_, plan) = world.says(&["plan", "pipelines/shop.toml"]);
    assert!(plan.contains("the clock builds nightly next"), "{plan}");
    assert_eq!(world.stop(), 0);
    world.hear_the_rest();
    make_older(&world, TimeDelta::hours(3));
    world.start();
    let done = world.wait("schedule_done", &[]);
    assert_eq!(done["reason"], "there is no branch or tag `nightly`");
    let status = world.good(&["status", "shop"]);
    assert!(
        status.contains("nothing was built for what was due") && status.contains("`nightly`"),
        "{status}"
    );
}
