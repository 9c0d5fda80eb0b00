//! A backup made while the controller works, and restored: with the very commands that `docs/operating.md` names, where
//! the programs are installed.

use super::SHOP;
use super::world::World;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../../docs/operating.md");

/// The command of the page that begins so, with the places of this world in it.
fn documented(world: &World, program: &str) -> String {
    let line = PAGE.lines().find(|line| line.starts_with(program)).expect("the page says how");
    let place = |name: &str| world.path(name).display().to_string();
    line.replace("/var/lib/tidegate", &place("state")).replace("/backup", &place("backup"))
}

/// Runs it; false: there is no such program here.
fn is_run(command: &str) -> bool {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || output.status.code() == Some(127), "{command}: {said}");
    output.status.success()
}

/// What `rsync -a` does with those exclusions.
fn copy(from: &Path, to: &Path, is_top: bool) {
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("text");
        if is_top && (name == "work" || name == "lock" || name.starts_with("journal.db")) {
            continue;
        }
        let (from, to) = (entry.path(), to.join(name));
        if from.is_dir() {
            fs::create_dir(&to).expect("a folder");
            copy(&from, &to, false);
        } else {
            fs::copy(&from, &to).expect("a file");
        }
    }
}

#[test]
fn a_backup_of_a_controller_at_work_goes_on_where_it_was_made() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    fs::create_dir(world.path("backup")).expect("a folder");
    fs::set_permissions(world.path("backup"), PermissionsExt::from_mode(0o700)).expect("its mode");
    let asked = documented(&world, "sqlite3 ");
    if !is_run(&asked) {
        let statement = asked.split('"').nth(1).expect("a statement");
        let journal = rusqlite::Connection::open(world.path("state/journal.db")).expect("the journal");
        journal.execute(statement, []).expect("a copy");
    }
    if !is_run(&documented(&world, "rsync ")) {
        copy(&world.path("state"), &world.path("backup"), true);
    }
    world.kill();
    world.hear_the_rest();
    fs::rename(world.path("state"), world.path("lost")).expect("lost");
    fs::rename(world.path("backup"), world.path("state")).expect("restored");
    world.start();
    world.wait("controller_started", &[]);
    assert_eq!(world.get("/api/state")["pipelines"][0]["tiers"][1]["current"]["version"], "1.0.0");
    world.good(&["confirm", "shop", "prod"]);
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
    assert_eq!(world.read("place/p2/out.txt"), "1.0.0", "what was built is there too");
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    assert_eq!(world.stop(), 0);
}
