//! A disk with no room for more: a real one, though small.

use crate::whole::SHOP;
use crate::whole::housekeeping::{SmallDisk, readiness};
use crate::whole::world::World;
use std::fs;

/// Megabytes that are kept free.
const KEPT: usize = 8;

#[test]
fn a_full_disk_stops_what_is_new_and_nothing_else_until_there_is_room() {
    let mut world = World::unborn(SHOP);
    let state = world.path("state");
    let Some(_disk) = SmallDisk::on(&state, "32m") else {
        eprintln!("not tried: a small file system may not be mounted here");
        return;
    };
    let settings = format!("[retention]\nmin_free = \"{KEPT}MiB\"\n");
    fs::write(world.path("tidegate.toml"), settings).expect("settings");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.0", &[]);
    let run = world.wait("step_start", &[])["run_id"].to_string();
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);

    let free = tidegate::disk::free_bytes(&state).expect("its room") as usize;
    let ballast = state.join("ballast");
    fs::write(&ballast, vec![0; free - (KEPT << 20) / 2]).expect("half of what is kept is left");
    world.push("1.2.0", &[]);
    world.wait("rebuild_requested", &[]);
    let (status, said) = readiness(&world);
    assert!(status == 503 && said.contains("TG-DISK-001"), "{status} {said}");
    let why = world.get("/api/pipelines/shop/tiers/staging/why");
    assert!(why.to_string().contains("disk_full"), "{why}");

    let log = String::from_utf8(world.bytes(&format!("/api/runs/{run}/log"))).expect("text");
    assert!(log.contains("making 1.0.0"), "what there is can be read: {log}");
    world.good(&["rollback", "shop", "staging"]);
    world.wait("rollback_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    assert_eq!(world.read("place/staging/out.txt"), "1.0.0", "the way back is open");
    let begun = world.heard.iter().filter(|event| event["kind"] == "build_start").count();
    assert_eq!(begun, 2, "nothing new has begun");

    fs::remove_file(&ballast).expect("room");
    world.wait("promote_complete", &[("tier", "host"), ("version", "1.2.0")]);
    // A rollback holds its tier until somebody has looked.
    world.good(&["resume", "shop", "staging"]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.2.0")]);
    assert_eq!(readiness(&world).0, 200);
    assert_eq!(world.stop(), 0);
}
