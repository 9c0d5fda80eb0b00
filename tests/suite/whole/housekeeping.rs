//! A full disk, and what goes when its time is over.

use super::SHOP;
use super::world::World;
use std::fs;
use std::path::Path;
use std::process::Command;

/// How the controller answers `/readyz`: the status and the text.
pub(crate) fn readiness(world: &World) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let mut answer = agent.get(format!("http://{}/readyz", world.address)).call().expect("an answer");
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
}

#[test]
fn with_too_little_free_nothing_begins_and_after_that_everything_goes_on() {
    let mut world = World::unborn(SHOP);
    fs::write(world.path("tidegate.toml"), "[retention]\nmin_free = \"1000TiB\"\n").expect("settings");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.0", &[]);
    world.wait("rebuild_requested", &[]);
    let (status, said) = readiness(&world);
    assert!(status == 503 && said.contains("TG-DISK-001") && said.contains("min_free"), "{status} {said}");
    let shown = world.good(&["status"]);
    assert!(shown.contains("1 to be built") && shown.contains("(the disk is full)"), "{shown}");
    assert!(shown.contains("TG-DISK-001"), "{shown}");
    assert_eq!(world.get("/api/state")["standstill"]["disk_full"], true);
    let waited = world.tidegate(&["status", "--wait", "shop", "--timeout", "60s"]);
    let said = String::from_utf8_lossy(&waited.stdout).into_owned();
    assert_eq!(waited.status.code(), Some(3), "somebody must make room: {said}");
    assert!(said.contains("it waits to be built") && said.contains("build: the disk is full"), "{said}");
    let plan = world.tidegate(&["plan", "pipelines/shop.toml"]);
    let said = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert_eq!(plan.status.code(), Some(3), "{said}");
    assert!(said.contains("stops   the disk is full"), "{said}");
    let (exit, said) = world.ends(&["why", "shop", "staging"]);
    assert!(exit != 0 && said.contains("nearly full"), "{exit} {said}");
    assert_eq!(world.stop(), 0);
    assert!(!world.kinds().contains(&"build_start"), "{:?}", world.kinds());

    fs::write(world.path("tidegate.toml"), "[retention]\nmin_free = \"1MiB\"\n").expect("settings");
    world.start();
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    assert_eq!(readiness(&world).0, 200);
    assert_eq!(world.stop(), 0);

    // With a version in place, too, `why` says what keeps the next one.
    fs::write(world.path("tidegate.toml"), "[retention]\nmin_free = \"1000TiB\"\n").expect("settings");
    world.start();
    world.wait("controller_started", &[]);
    world.push("1.1.0", &[]);
    world.wait("rebuild_requested", &[]);
    let why = world.tidegate(&["why", "shop", "staging"]);
    let said = String::from_utf8_lossy(&why.stdout).into_owned();
    assert_eq!(why.status.code(), Some(3), "{said}");
    assert!(said.contains("has not begun") && said.contains("- the disk is full"), "{said}");
    assert!(said.contains("TG-DISK-001"), "{said}");
}

/// The shop without a tier that waits for a person.
fn without_prod() -> String {
    SHOP.split("[[tier]]\nname = \"prod\"").next().expect("the rest").to_owned()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Makes every file of a folder look as if it had been written so many days ago.
pub(super) fn age(folder: &Path, days: u64) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(days * 86_400);
    for path in files(folder) {
        // The store's files may only be read: their time is set through a handle for reading all the same.
        fs::File::open(&path).and_then(|file| file.set_modified(then)).expect("aged");
    }
}

#[test]
fn old_versions_go_after_a_build_and_what_they_left_when_its_time_is_over() {
    let mut world = World::unborn(&without_prod());
    fs::write(world.path("tidegate.toml"), "[retention]\nversions = 2\nlogs = \"10d\"\n").expect("settings");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    let mut runs = Vec::new();
    for n in 1..=4 {
        let version = format!("1.{n}.0");
        world.push(&version, &[]);
        runs.push(world.wait("step_start", &[("version", &version)])["run_id"].to_string());
        world.wait("promote_complete", &[("tier", "staging"), ("version", &version)]);
    }
    world.push("1.5.0", &[]);
    let pruned = world.wait_for("1.2.0 is forgotten", |event| {
        event["kind"] == "versions_pruned" && event["versions"].to_string().contains("1.2.0")
    });
    assert_eq!(pruned["pipeline"], "shop");
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.5.0")]);
    let artifacts = world.path("state/artifacts/sha256");
    assert_eq!(files(&artifacts).len(), 5, "what is young is spared: a build may have just stored it");
    let log = format!("/api/runs/{}/log", runs[0]);
    assert!(!world.bytes(&log).is_empty());
    world.stop();

    age(&artifacts, 2);
    age(&world.path("state/logs"), 11);
    let young = files(&world.path("state/logs"));
    fs::File::open(&young[0])
        .and_then(|file| file.set_modified(std::time::SystemTime::now()))
        .expect("young again");
    world.start();
    let begin = std::time::Instant::now();
    while files(&artifacts).len() > 2 || files(&world.path("state/logs")).len() > 1 {
        assert!(begin.elapsed().as_secs() < 60, "{:?}", files(&world.path("state")));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(files(&world.path("state/logs")), young[..1]);
    let gone = if young[0].ends_with(format!("{}.log", runs[0])) { &runs[1] } else { &runs[0] };
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let url = format!("http://{}/api/runs/{gone}/log", world.address);
    let mut answer = agent.get(url).call().expect("an answer");
    let said = answer.body_mut().read_to_string().expect("text");
    assert!(answer.status() == 410 && said.contains("TG-HTTP-023") && said.contains("SHA-256"), "{said}");
    world.good(&["rollback", "shop", "staging"]);
    world.wait("rollback_complete", &[("tier", "staging"), ("version", "1.4.0")]);
    assert_eq!(world.read("place/staging/out.txt"), "1.4.0", "its artifacts are still there");
    let sizes = &world.get("/api/state")["sizes"];
    assert!(sizes["journal_bytes"].as_u64() > Some(0) && sizes["free_bytes"].as_u64() > Some(0), "{sizes}");
    assert!(world.good(&["status"]).contains("state folder: journal "));
}

/// A small file system on a folder, gone when this is dropped.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// None where that is not allowed.
    pub(crate) fn on(folder: &'a Path, size: &str) -> Option<SmallDisk<'a>> {
        fs::create_dir(folder).expect("a folder");
        let size = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // What cannot be taken away now goes with the machine.
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_disk_that_is_full_to_the_last_byte_is_said_and_survived() {
    let mut world = World::unborn(SHOP);
    let state = world.path("state");
    let Some(_disk) = SmallDisk::on(&state, "32m") else {
        eprintln!("skipped: a small file system may not be mounted here");
        return;
    };
    // Nothing is kept free: the journal itself meets the end of the disk.
    fs::write(world.path("tidegate.toml"), "[retention]\nmin_free = \"0B\"\n").expect("settings");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    let ballast = state.join("ballast");
    let fill =
        Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", ballast.display())).arg("bs=4k").output();
    assert!(!fill.expect("dd runs").status.success(), "dd ends when nothing is left");
    // The log of the journal has room within its pages for a few: then no more.
    let mut refused = String::new();
    for round in 0..2_000 {
        let turn = if round % 2 == 0 { "hold" } else { "resume" };
        let (exit, said) = world.ends(&[turn, "shop"]);
        if exit != 0 {
            refused = said;
            break;
        }
    }
    assert!(refused.contains("TG-JOURNAL-004"), "{refused}");
    let (status, said) = readiness(&world);
    assert!(status == 503 && said.contains("TG-JOURNAL-004"), "{status} {said}");
    let shown = world.good(&["status"]);
    assert!(shown.contains("TG-JOURNAL-004"), "{shown}");
    fs::remove_file(&ballast).expect("room");
    world.ends(&["resume", "shop"]);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    world.kill();
    world.start();
    world.wait("controller_started", &[]);
    world.stop();
}

#[test]
fn a_build_that_fills_the_disk_fails_and_leaves_room_for_the_next() {
    let greedy =
        SHOP.replace("echo making", "test ! -e greedy || head -c 64000000 /dev/zero > blob; echo making");
    let mut world = World::unborn(&greedy);
    let state = world.path("state");
    let Some(_disk) = SmallDisk::on(&state, "32m") else {
        eprintln!("skipped: a small file system may not be mounted here");
        return;
    };
    fs::write(world.path("tidegate.toml"), "[retention]\nmin_free = \"4MiB\"\n").expect("settings");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    // No version needs this any more, and its hour is over.
    let stray = state.join("artifacts/sha256/00").join("0".repeat(62));
    fs::create_dir_all(stray.parent().expect("a folder")).expect("made");
    fs::write(&stray, "left").expect("written");
    age(&state.join("artifacts/sha256/00"), 1);
    world.push("1.1.0", &[("greedy", "yes")]);
    world.wait("build_failed", &[("version", "1.1.0")]);
    // Nobody has to make room: what the build left goes, and so does the rest that nothing needs.
    world.until_logged("workspaces of builds that are over are removed");
    let log = world.until_logged("artifacts that nothing needs are removed");
    assert!(log.contains("its reserve is used"), "the end was noted in the last of the room: {log}");
    world.git("work", &["rm", "-q", "greedy"]);
    world.push("1.2.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.2.0")]);
    assert!(fs::metadata(state.join("reserve")).is_ok_and(|kept| kept.len() > 0), "for the next time");
}

#[test]
fn a_backup_goes_once_a_newer_one_took_its_place_and_with_nothing_else() {
    let gate = "[[tier.gate]]\nname = \"data\"\nkind = \"backup\"\nnode = \"local\"\npath = \"$PLACE/data\"\nkeep = 1\n";
    let without =
        "[source]\nrepo = $REPO\n[[tier]]\nname = \"prod\"\n[tier.deploy]\nrun = \"echo deployed\"\n"
            .to_owned();
    let mut world = World::new(&format!("{without}{gate}"));
    let fetch = |world: &mut World, version: &str| {
        fs::write(world.path("place/data"), format!("data of {version}")).expect("data");
        world.push(version, &[]);
        let said = world.wait("backup_fetched", &[("version", version)]);
        let digest = said["sha256"].as_str().expect("a digest");
        world.wait("promote_complete", &[("version", version)]);
        world.path(&format!("state/artifacts/sha256/{}/{}", &digest[..2], &digest[2..]))
    };
    let first = fetch(&mut world, "1.0.0");
    assert!(first.exists());
    age(&world.path("state/artifacts"), 1);
    let second = fetch(&mut world, "1.0.1");
    world.until_logged("artifacts that nothing needs are removed");
    let begin = std::time::Instant::now();
    while first.exists() {
        assert!(begin.elapsed().as_secs() < 60, "it goes, though no version does");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Neither its version's end nor its gate's is its own.
    assert_eq!(world.stop(), 0);
    fs::write(world.path("tidegate.toml"), "[retention]\nversions = 1\n").expect("settings");
    world.edit(&without);
    age(&world.path("state/artifacts"), 1);
    world.hear_the_rest();
    world.start();
    for version in ["1.0.2", "1.0.3"] {
        world.push(version, &[]);
        world.wait("promote_complete", &[("version", version)]);
    }
    world.push("1.0.4", &[]);
    world.wait_for("the end of 1.0.1", |event| {
        event["kind"] == "versions_pruned"
            && event["versions"].as_array().is_some_and(|all| all.iter().any(|one| one == "1.0.1"))
    });
    world.push("1.0.5", &[]);
    world.wait("promote_complete", &[("version", "1.0.5")]);
    assert_eq!(world.stop(), 0);
    assert_eq!(fs::read_to_string(&second).expect("it is kept"), "data of 1.0.1");
}
