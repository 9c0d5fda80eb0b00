//! What others do to the state folder while the controller works in it.

use super::SHOP;
use super::world::World;
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::fs;
use std::os::unix::fs::{FileExt, symlink};

/// Who asks keeps a connection.
struct Asker(ureq::Agent);

impl Asker {
    fn new() -> Asker {
        Asker(ureq::Agent::config_builder().http_status_as_error(false).build().new_agent())
    }

    /// The `ETag` of the log of a run.
    fn digest_of(&self, world: &World, run: &str) -> Option<String> {
        let answer =
            self.0.get(format!("http://{}/api/runs/{run}/log", world.address)).call().expect("an answer");
        answer.headers().get("etag").map(|value| value.to_str().expect("text").to_owned())
    }

    /// What is answered, whatever its status.
    fn asks(&self, world: &World, path: &str) -> (u16, String) {
        let mut answer = self.0.get(format!("http://{}{path}", world.address)).call().expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
    }
}

#[test]
fn a_database_shell_that_keeps_the_journal_locked_is_named_as_the_cause() {
    let mut world = World::new(SHOP);
    let mut shell = Connection::open(world.path("state/journal.db")).expect("the journal");
    let change = shell.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("a lock");
    let (exit, said) = world.ends(&["hold", "shop", "--why", "a fair"]);
    assert!(exit != 0 && said.contains("error[TG-JOURNAL-006]"), "{exit} {said}");
    change.rollback().expect("let go");
    world.good(&["hold", "shop", "--why", "a fair"]);
    world.wait("hold_set", &[]);
}

#[test]
fn an_event_that_was_spoilt_is_told_from_one_that_is_not_there() {
    let world = World::new(SHOP);
    let shell = Connection::open(world.path("state/journal.db")).expect("the journal");
    shell.execute("UPDATE events SET body = 'not JSON' WHERE id = 1", []).expect("spoilt");
    let (status, said) = Asker::new().asks(&world, "/api/history");
    assert!(status == 500 && said.contains("TG-HTTP-030"), "{status} {said}");
}

#[test]
fn a_log_that_cannot_be_read_is_told_from_one_that_is_gone() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    let run = world.wait("step_start", &[])["run_id"].to_string();
    world.wait("promote_blocked", &[("tier", "prod")]);
    let (asker, path) = (Asker::new(), format!("/api/runs/{run}/log/index"));
    assert_eq!(asker.asks(&world, &path).0, 200);
    let pid = Pid::from_raw(world.pid());
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Nofile) };
    let before = prlimit(pid, Resource::Nofile, none).expect("its limit");
    let (status, said) = asker.asks(&world, &path);
    assert!(status == 500 && said.contains("TG-HTTP-031"), "{status} {said}");
    prlimit(pid, Resource::Nofile, before).expect("its limit");
    let log = world.path(&format!("state/logs/shop/{run}.log"));
    // What a disk lost of it shows: nothing stands for the digest of the whole any more.
    let (whole, full) = (asker.digest_of(&world, &run), fs::metadata(&log).expect("the log").len());
    assert!(whole.is_some() && full > 1, "{full} bytes, {whole:?}");
    assert_eq!(world.ends(&["logs", &run]).0, 0);
    let file = fs::OpenOptions::new().write(true).open(&log).expect("the log");
    // A byte of zeros shows to who reads all of it.
    let first = fs::read(&log).expect("the log")[0];
    file.write_all_at(&[0], 0).expect("spoilt");
    let (exit, said) = world.ends(&["logs", &run]);
    assert!(exit == 1 && said.contains("error[TG-CLI-053]"), "{exit} {said}");
    file.write_all_at(&[first], 0).expect("mended");
    assert_eq!(world.ends(&["logs", &run]).0, 0);
    file.set_len(full - 1).expect("cut");
    assert_eq!(asker.digest_of(&world, &run), None);
    let (exit, said) = world.ends(&["logs", &run]);
    assert!(exit == 1 && said.contains("error[TG-CLI-053]"), "{exit} {said}");
    // A link out of the folder of logs is none of them.
    fs::remove_file(&log).expect("the log");
    symlink("/etc/passwd", &log).expect("a link");
    let (status, said) = asker.asks(&world, &path);
    assert!(status == 410 && said.contains("TG-HTTP-023"), "{status} {said}");
}
