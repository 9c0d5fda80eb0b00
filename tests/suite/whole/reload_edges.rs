//! Reloading where things are not as they should be: files that cannot be read, no inotify, thousands of files.

use super::SHOP;
use super::world::World;
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Pipelines in an ordinary run; `TIDEGATE_PIPELINES` names another number.
const MANY: usize = 300;

fn described(world: &World, words: &str) -> String {
    world.filled(&format!("description = \"{words}\"\n{SHOP}"))
}

#[test]
fn what_is_no_file_is_refused_and_holds_up_nothing() {
    let mut world = World::new(SHOP);
    let folder = world.path("pipelines");
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe.toml"), fifo, 0o644.into(), 0).expect("a pipe");
    fs::create_dir(folder.join("folder.toml")).expect("a folder");
    fs::File::create(folder.join("huge.toml")).expect("a file").set_len(10 << 30).expect("a sparse file");
    let mut open: Vec<&str> = vec!["pipe.toml", "folder.toml", "huge.toml"];
    while !open.is_empty() {
        let refused = world.wait("pipeline_rejected", &[]);
        let diagnostic = &refused["diagnostics"][0];
        assert!(diagnostic["code"].as_str().is_some_and(|code| code.starts_with("TG-FILE-")), "{refused}");
        assert!(diagnostic["help"].as_str().is_some_and(|help| !help.is_empty()), "{refused}");
        open.retain(|file| refused["file"] != **file);
    }
    fs::write(folder.join("shop.toml"), described(&world, "still heard")).expect("saved");
    world.wait("pipeline_loaded", &[]);
    // `check` reads the same folder, and does not wait for the pipe either.
    let (exit, said) = world.ends(&["check", "pipelines"]);
    assert_eq!(exit, 2, "{said}");
}

#[test]
fn under_a_storm_of_saves_the_last_one_is_in_force() {
    let mut world = World::new(SHOP);
    let begin = Instant::now();
    let text = described(&world, "save NUMBER");
    let file = world.path("pipelines/shop.toml");
    for number in 0..1_000 {
        fs::write(&file, text.replace("NUMBER", &number.to_string())).expect("saved");
    }
    let last = |event: &Value| event["kind"] == "pipeline_loaded" && !event["digest"].is_null();
    while world.get("/api/pipelines/shop")["pipeline"]["description"] != "save 999" {
        world.wait_for("the last save", last);
    }
    let loads = world.kinds().iter().filter(|kind| **kind == "pipeline_loaded").count();
    let most = begin.elapsed().as_millis() / 100 + 3;
    assert!(loads as u128 <= most, "{loads} loads, at most {most}");
    assert!(!world.kinds().contains(&"pipeline_rejected"), "no half of a save was taken");
}

/// In a user namespace of its own the controller gets no inotify instance at all.
fn without_inotify(world: &World) -> Option<Command> {
    let deny = "echo 0 > /proc/sys/user/max_inotify_instances";
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", script]);
        command
    };
    let tried = unshare(deny).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        println!(
            "no user namespaces here: polling for want of inotify is tried beside `src/watch/worker.rs` only"
        );
        return None;
    }
    let mut command = unshare(&format!("{deny} && exec \"$0\" \"$@\""));
    let program = world.program();
    command.arg(program.get_program()).current_dir(world.folder.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(command)
}

#[test]
fn without_inotify_it_says_so_and_looks_every_two_seconds() {
    let mut world = World::unborn(SHOP);
    let Some(command) = without_inotify(&world) else { return };
    world.start_by(command);
    world.wait("pipeline_loaded", &[]);
    let log = world.until_logged("TG-WATCH-003");
    assert!(log.contains("every two seconds") && log.contains("max_user_instances"), "{log}");
    let begin = Instant::now();
    fs::write(world.path("pipelines/shop.toml"), described(&world, "found by looking")).expect("saved");
    world.wait("pipeline_loaded", &[]);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(world.get("/api/pipelines/shop")["pipeline"]["description"], "found by looking");
    fs::write(world.path("pipelines/shop.toml"), "[[teir]]\n").expect("saved");
    world.wait("pipeline_rejected", &[("file", "shop.toml")]);
    assert_eq!(world.stop(), 0);
}

fn number_of_pipelines() -> usize {
    std::env::var("TIDEGATE_PIPELINES").ok().and_then(|text| text.parse().ok()).unwrap_or(MANY)
}

#[test]
fn many_pipelines_load_and_one_of_them_reloads_soon() {
    let many = number_of_pipelines();
    let mut world = World::unborn(SHOP);
    for number in 0..many - 1 {
        let text = world.filled(&format!("name = \"shop-{number}\"\n{SHOP}"));
        fs::write(world.path(&format!("pipelines/shop-{number}.toml")), text).expect("saved");
    }
    let begin = Instant::now();
    world.good(&["check", "pipelines"]);
    println!("check of {many} files: {:?}", begin.elapsed());
    let begin = Instant::now();
    world.start();
    for _ in 0..many {
        world.wait("pipeline_loaded", &[]);
    }
    println!("{many} pipelines loaded after {:?}", begin.elapsed());
    let begin = Instant::now();
    world.edit(&format!("description = \"one of many\"\n{SHOP}"));
    world.wait("pipeline_loaded", &[("pipeline", "shop")]);
    let reload = begin.elapsed();
    println!("one of them reloaded after {reload:?}");
    assert!(reload < Duration::from_secs(5), "one save among {many} took {reload:?}");
    let begin = Instant::now();
    world.kill();
    world.hear_the_rest();
    world.start();
    world.wait("controller_started", &[]);
    println!("with {many} of them it is back after {:?}", begin.elapsed());
    assert_eq!(world.get("/api/state?limit=0")["pipelines"].as_array().map_or(0, Vec::len), many);
    assert_eq!(world.stop(), 0);
}
