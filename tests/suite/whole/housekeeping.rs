//! A full disk.

use super::SHOP;
use super::world::World;
use std::fs;
use std::path::Path;
use std::process::Command;

/// How the controller answers `/readyz`: the status and the text.
fn readiness(world: &World) -> (u16, String) {
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
    assert!(shown.contains("1 to be built") && shown.contains("TG-DISK-001"), "{shown}");
    assert_eq!(world.get("/api/state")["standstill"]["disk_full"], true);
    let (exit, said) = world.ends(&["why", "shop", "staging"]);
    assert!(exit != 0 && said.contains("nearly full"), "{exit} {said}");
    assert_eq!(world.stop(), 0);
    assert!(!world.kinds().contains(&"build_start"), "{:?}", world.kinds());

    fs::write(world.path("tidegate.toml"), "[retention]\nmin_free = \"1MiB\"\n").expect("settings");
    world.start();
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    assert_eq!(readiness(&world).0, 200);
}

/// A small file system on a folder, gone when this is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// None where that is not allowed.
    fn on(folder: &'a Path, size: &str) -> Option<SmallDisk<'a>> {
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
