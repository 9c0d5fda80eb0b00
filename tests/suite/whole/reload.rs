//! A saved pipeline is in force at once, however it was saved; a bad one never is.

use super::SHOP;
use super::world::World;
use std::fs;
use std::os::unix::fs::symlink;

/// The shop with another description, which changes its meaning and nothing else.
fn described(world: &World, words: &str) -> String {
    world.filled(&format!("description = \"{words}\"\n{SHOP}"))
}

#[test]
fn every_way_of_saving_loads_once() {
    let mut world = World::new(SHOP);
    let file = world.path("pipelines/shop.toml");
    let folder = world.path("pipelines");

    fs::write(&file, described(&world, "in place")).expect("saved");
    world.wait("pipeline_loaded", &[]);

    fs::write(folder.join(".shop.toml.swp"), described(&world, "renamed over")).expect("saved");
    fs::rename(folder.join(".shop.toml.swp"), &file).expect("renamed");
    world.wait("pipeline_loaded", &[]);

    // vim: the old file becomes a backup, a new one takes its name, the backup goes.
    fs::rename(&file, folder.join("shop.toml~")).expect("renamed");
    fs::write(&file, described(&world, "as vim does")).expect("saved");
    fs::remove_file(folder.join("shop.toml~")).expect("removed");
    world.wait("pipeline_loaded", &[]);

    fs::write(world.path("other.toml"), described(&world, "behind a link")).expect("saved");
    symlink(world.path("other.toml"), folder.join("link")).expect("linked");
    fs::rename(folder.join("link"), &file).expect("renamed");
    world.wait("pipeline_loaded", &[]);
    fs::write(world.path("other.toml"), described(&world, "behind the same link")).expect("saved");
    world.wait("pipeline_loaded", &[]);

    let loads = world.kinds().iter().filter(|kind| **kind == "pipeline_loaded").count();
    assert_eq!(loads, 6, "each once");
    let removals = world.kinds().iter().filter(|kind| **kind == "pipeline_removed").count();
    assert_eq!(removals, 0, "none looked like a removal");
    assert_eq!(world.get("/api/pipelines/shop")["pipeline"]["description"], "behind the same link");
}

#[test]
fn a_bad_file_is_refused_visibly_and_the_last_good_one_stays_over_a_restart() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    world.edit(&SHOP.replace("[[tier.gate]]", "[[tier.gaet]]"));
    let refused = world.wait("pipeline_rejected", &[("file", "shop.toml")]);
    assert_eq!(refused["diagnostics"][0]["code"], "TG-DEF-003");
    assert_eq!(refused["diagnostics"][0]["help"], "did you mean `gate`?");
    world.kill();
    world.start();
    world.wait("controller_started", &[]);
    let view = world.get("/api/pipelines/shop");
    assert_eq!(view["pipeline"]["rejected"][0]["file"], "shop.toml");
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    world.edit(SHOP);
    world.wait("pipeline_loaded", &[]);
    assert!(world.get("/api/pipelines/shop")["pipeline"]["rejected"].is_null());
}

#[test]
fn a_comment_changes_nothing_and_a_folder_that_vanishes_removes_nothing() {
    let mut world = World::new(SHOP);
    world.edit(&format!("# a comment\n{SHOP}"));
    fs::rename(world.path("pipelines"), world.path("elsewhere")).expect("moved");
    let begin = std::time::Instant::now();
    while !world.read("log").contains("TG-WATCH-001") {
        assert!(begin.elapsed().as_secs() < 30, "the loss is not noticed");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(world.get("/api/state")["pipelines"][0]["name"], "shop");
    fs::create_dir(world.path("pipelines")).expect("made again");
    fs::write(world.path("pipelines/shop.toml"), described(&world, "back")).expect("saved");
    world.wait("pipeline_loaded", &[]);
    let kinds = world.kinds();
    assert_eq!(kinds.iter().filter(|kind| **kind == "pipeline_loaded").count(), 2);
    assert!(!kinds.contains(&"pipeline_removed"), "{kinds:?}");
}

#[test]
fn files_of_one_name_are_both_refused_and_removal_and_return_keep_the_history() {
    let mut world = World::new(SHOP);
    let twin = world.path("pipelines/twin.toml");
    fs::write(&twin, world.filled(&format!("name = \"shop\"\n{SHOP}"))).expect("saved");
    for _ in 0..2 {
        let refused = world.wait("pipeline_rejected", &[]);
        assert_eq!(refused["diagnostics"][0]["code"], "TG-DEF-035");
    }
    fs::remove_file(&twin).expect("removed");
    world.wait_for("both are let go", |event| {
        event["kind"] == "pipeline_loaded" && event["file"] == "shop.toml"
    });
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    fs::rename(world.path("pipelines/shop.toml"), world.path("away.toml")).expect("moved");
    world.wait("pipeline_removed", &[]);
    fs::rename(world.path("away.toml"), world.path("pipelines/shop.toml")).expect("moved");
    world.wait("pipeline_loaded", &[]);
    let view = world.get("/api/pipelines/shop");
    assert_eq!(view["pipeline"]["tiers"][1]["current"]["version"], "1.0.0");
}

#[test]
fn while_a_file_is_broken_no_other_one_takes_its_pipeline_over() {
    let mut world = World::new(SHOP);
    world.edit(&SHOP.replace("[[tier.gate]]", "[[tier.gaet]]"));
    world.wait("pipeline_rejected", &[("file", "shop.toml")]);
    let open = world.filled(&format!("name = \"shop\"\n{}", SHOP.replace("confirm = { count = 1 }", "")));
    fs::write(world.path("pipelines/b.toml"), &open).expect("saved");
    let refused = world.wait("pipeline_rejected", &[("file", "b.toml")]);
    assert_eq!(refused["diagnostics"][0]["code"], "TG-DEF-035", "{refused}");
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    let blocked = world.wait("promote_blocked", &[("tier", "prod")]);
    assert_eq!(blocked["blockers"][0]["kind"], "confirm_missing", "the last good definition is in force");
    // Over a restart, too: which of the two is seen first must not matter.
    world.kill();
    world.start();
    world.wait("controller_started", &[]);
    assert_eq!(world.get("/api/pipelines/shop")["pipeline"]["definition"]["file"], "shop.toml");
    // Once the broken one is gone on purpose the other one is the pipeline's.
    fs::remove_file(world.path("pipelines/shop.toml")).expect("removed");
    world.wait("pipeline_loaded", &[("file", "b.toml")]);
}

#[test]
fn a_pipeline_that_is_renamed_while_it_builds_goes_on_in_its_workspace() {
    let two = SHOP.replace(
        "name = \"make\"",
        "name = \"half\"\nrun = \"while test -e $PLACE/wait; do sleep 0.02; done; echo half > half\"\n\n[[build.step]]\nname = \"make\"",
    );
    let two = two.replace("echo making", "test -e half && echo making");
    let mut world = World::new(&two);
    fs::write(world.path("place/wait"), "").expect("a file");
    world.push("1.0.0", &[]);
    world.wait("step_start", &[("step", "half")]);
    world.edit(&format!("name = \"store\"\nwas = \"shop\"\n{two}"));
    world.wait("pipeline_loaded", &[("pipeline", "store")]);
    fs::remove_file(world.path("place/wait")).expect("removed");
    world.wait("promote_complete", &[("pipeline", "store"), ("tier", "staging")]);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "build_start").count(), 1);
    // Another one may take the old name, and does not meet the folders of the first.
    let other = world.filled(&format!("name = \"shop\"\n{SHOP}"));
    fs::write(world.path("pipelines/other.toml"), other).expect("saved");
    world.wait("pipeline_loaded", &[("pipeline", "shop")]);
    world.good(&["rebuild", "shop"]);
    world.wait("build_ok", &[("pipeline", "shop")]);
    let works = fs::read_dir(world.path("state/work")).expect("the work folder").count();
    assert!(works >= 2, "each has its own");
}

#[test]
fn what_runs_under_a_name_of_before_can_be_stopped() {
    let slow = SHOP.replace("echo making", "touch $PLACE/begun; sleep 600; echo making");
    let mut world = World::new(&slow);
    world.push("1.0.0", &[]);
    world.wait("step_start", &[]);
    world.edit(&format!("name = \"store\"\nwas = \"shop\"\n{slow}"));
    world.wait("pipeline_loaded", &[("pipeline", "store")]);
    world.good(&["cancel", "store"]);
    let done = world.wait("step_done", &[("pipeline", "store")]);
    assert_eq!(done["outcome"]["classification"], "canceled");
    world.wait("build_aborted", &[("pipeline", "store")]);
}

#[test]
fn a_change_that_the_system_does_not_tell_of_is_found_on_sighup() {
    let mut world = World::new(SHOP);
    // Written through another name of the same file, in a folder that nobody watches.
    fs::create_dir(world.path("elsewhere")).expect("a folder");
    let unseen = world.path("elsewhere/shop.toml");
    fs::hard_link(world.path("pipelines/shop.toml"), &unseen).expect("linked");
    fs::write(&unseen, described(&world, "unseen")).expect("saved");
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    let loads = |world: &World| world.kinds().iter().filter(|kind| **kind == "pipeline_loaded").count();
    assert_eq!(loads(&world), 1, "nobody told of it");
    let pid = rustix::process::Pid::from_raw(world.pid()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("told");
    world.wait("pipeline_loaded", &[]);
    assert_eq!(world.get("/api/pipelines/shop")["pipeline"]["description"], "unseen");
    // When nothing differs, nothing is said; and the controller goes on.
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("told");
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    assert_eq!(loads(&world), 2);
}

#[test]
fn who_listens_before_a_pipeline_is_there_hears_of_it_by_its_name() {
    use std::io::{BufRead, BufReader};
    let world = World::new(SHOP);
    let listen = |query: &str| {
        let url = format!("http://{}/events{query}", world.address);
        let answer = ureq::get(&url).header("Accept", "text/event-stream").call().expect("a stream");
        BufReader::new(answer.into_body().into_reader()).lines()
    };
    let streams = [listen(""), listen("?pipeline=late")];
    fs::write(world.path("pipelines/late.toml"), world.filled(SHOP)).expect("saved");
    for stream in streams {
        let mut lines = stream.map_while(Result::ok);
        let heard = lines.find(|line| line.contains("\"pipeline_loaded\"") && line.contains("\"late\""));
        assert!(heard.is_some(), "the stream ended");
    }
}
