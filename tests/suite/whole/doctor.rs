//! `tidegate doctor`: what is right is said to be so, and each thing that is wrong with the way out.

use super::SHOP;
use super::world::World;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What was found, and how the command ended.
fn doctor(world: &World) -> (Vec<Value>, i32) {
    let output = world.tidegate(&["doctor", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (found, output.status.code().expect("an exit status"))
}

#[track_caller]
fn level(found: &[Value], what: &str) -> (String, String, String) {
    let one = found.iter().find(|one| one["what"] == what).unwrap_or_else(|| panic!("{what}: {found:#?}"));
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    (text("level"), text("found"), text("help"))
}

#[test]
fn all_is_well_beside_a_running_controller() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("build_ok", &[]);
    let (found, _) = doctor(&world);
    for what in [
        "git",
        "sqlite",
        "kernel",
        "landlock",
        "accounts",
        "state",
        "token",
        "controller",
        "check",
        "repository",
        "hook",
    ] {
        assert_eq!(level(&found, what).0, "ok", "{what}: {:?}", level(&found, what));
    }
    let (watch, said, _) = level(&found, "watch");
    assert!(watch == "ok" || said.contains("not noticed"), "{said}");
    let left = fs::read_dir(world.path("pipelines")).expect("a folder").count();
    assert_eq!(left, 1, "what was touched is gone");
    let lines = world.tidegate(&["doctor"]);
    assert!(
        String::from_utf8_lossy(&lines.stdout)
            .lines()
            .any(|line| line.starts_with("ok      git: git version"))
    );
}

#[test]
fn every_wrong_thing_is_said_with_its_way_out() {
    let mut world = World::new(SHOP);
    world.stop();
    // A hook whose token is worthless, a folder that others can read, a file that does not load, a repository that is gone.
    fs::write(world.path("shop.git/hooks/tidegate.token"), "tgt_0000").expect("a token");
    fs::write(world.path("pipelines/bad.toml"), "[[teir]]\n").expect("a file");
    fs::write(
        world.path("pipelines/gone.toml"),
        world.filled(&SHOP.replace("shop.git", "x")).replace("shop.git", "gone.git"),
    )
    .expect("a file");
    let (found, exit) = doctor(&world);
    assert_eq!(exit, 1);
    assert_eq!(level(&found, "controller").0, "warning");
    assert!(level(&found, "controller").2.contains("tidegate serve"));
    let hook = found.iter().find(|one| one["what"] == "hook").expect("a hook");
    assert_eq!(hook["level"], "bad", "{hook}");
    assert!(hook["help"].as_str().expect("help").contains("tidegate hook install"), "{hook}");
    let bad: Vec<&Value> = found.iter().filter(|one| one["level"] == "bad").collect();
    let says = |what: &str, words: &str| {
        bad.iter().any(|one| {
            one["what"] == what && one["where"].as_str().is_some_and(|place| place.contains(words))
        })
    };
    assert!(says("check", "bad.toml") && says("repository", "gone.git"), "{bad:#?}");
    assert!(bad.iter().all(|one| one["help"].as_str().is_some_and(|help| !help.is_empty())), "{bad:#?}");

    fs::set_permissions(world.path("state"), fs::Permissions::from_mode(0o755)).expect("opened");
    let (found, _) = doctor(&world);
    let (state, said, help) = level(&found, "state");
    assert_eq!(state, "bad");
    assert!(said.contains("TG-STATE-013") && help.contains("chmod 700"), "{said} {help}");
    world.good(&[
        "hook",
        "uninstall",
        world.path("shop.git").to_str().expect("text"),
        "--state",
        "elsewhere",
    ]);
    let (found, _) = doctor(&world);
    assert!(level(&found, "hook").1.contains("none is installed"));
}

/// A doctor called from anywhere looks at the controller of its state folder.
#[test]
fn a_running_controller_is_known_and_its_files_are_looked_at_from_anywhere() {
    let mut world = World::new(SHOP);
    fs::create_dir(world.path("elsewhere")).expect("a folder");
    let from_elsewhere = |world: &World| {
        let mut doctor = world.program();
        doctor.env_remove("TIDEGATE_URL").current_dir(world.path("elsewhere"));
        let output = doctor.args(["doctor", "--json"]).output().expect("tidegate runs");
        serde_json::from_slice::<Vec<Value>>(&output.stdout).expect("JSON")
    };
    let found = from_elsewhere(&world);
    let place = |what: &str| found.iter().find(|one| one["what"] == what).expect(what)["where"].clone();
    assert_eq!(place("port"), world.address.as_str());
    assert_eq!(level(&found, "port").1, "the controller listens there");
    assert_eq!(level(&found, "controller").0, "ok");
    assert!(place("watch").as_str().expect("a path").ends_with("/pipelines"), "{found:#?}");
    assert!(level(&found, "disk").1.contains("below 256 MiB (`min_free`) nothing new begins"), "{found:#?}");

    // One open token is one finding, and its port is still the controller's own.
    fs::set_permissions(world.path("state/token"), fs::Permissions::from_mode(0o644)).expect("opened");
    let found = from_elsewhere(&world);
    let about: Vec<&Value> = found.iter().filter(|one| one.to_string().contains("TG-TOKEN-002")).collect();
    assert_eq!(about.len(), 1, "{about:#?}");
    let bad: Vec<&Value> = found.iter().filter(|one| one["level"] == "bad").collect();
    assert_eq!(bad.len(), 1, "{bad:#?}");
    assert_eq!(level(&found, "port").1, "the controller listens there");

    world.stop();
    let found = from_elsewhere(&world);
    assert_eq!(level(&found, "pipelines").1, "there is no such folder", "without one it looks where it is");
}

#[test]
fn what_pipelines_take_from_the_machine_is_tried_without_reading_or_running_it() {
    let world = World::unborn(SHOP);
    let more = r#"
[env]
X = "1"
[secrets]
THERE = { file = "$PLACE/there" }
GONE = { file = "$PLACE/gone" }
SET = { env = "PATH" }
UNSET = { env = "TIDEGATE_NOBODY_SETS_THIS" }
ASKED = { command = ["sh", "-c", "touch $PLACE/asked"] }
UNASKED = { command = ["no-such-program-anywhere"] }
[[notify]]
kinds = ["build_ok"]
run = "./told.sh --now"
[[notify]]
kinds = ["build_ok"]
run = ["./shut.sh"]
[[notify]]
kinds = ["build_ok"]
run = "echo $TIDEGATE_EVENT | cat"
[[notify]]
kinds = ["build_ok"]
run = ["./gone.sh"]
"#;
    world.edit(&format!("{SHOP}{more}"));
    fs::write(world.path("place/there"), "hidden-value").expect("a secret");
    fs::set_permissions(world.path("place/there"), fs::Permissions::from_mode(0o600)).expect("a mode");
    for (name, mode) in [("told.sh", 0o755), ("shut.sh", 0o644)] {
        fs::write(world.path(&format!("pipelines/{name}")), "#!/bin/sh\ntouch told\n").expect("a script");
        let path = world.path(&format!("pipelines/{name}"));
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let (found, exit) = doctor(&world);
    assert_eq!(exit, 0, "another machine may have what this one lacks: {found:#?}");
    let level = |what: &str, place: &str| {
        let one = found
            .iter()
            .find(|one| one["what"] == what && one["where"].as_str().is_some_and(|it| it.starts_with(place)));
        let one = one.unwrap_or_else(|| panic!("{what} {place}: {found:#?}"));
        assert!(one["level"] == "ok" || !one["help"].as_str().unwrap_or_default().is_empty(), "{one}");
        (one["level"].as_str().expect("a level").to_owned(), one["found"].as_str().expect("text").to_owned())
    };
    for (what, place, want, words) in [
        ("secret", "THERE ", "ok", "can be read"),
        ("secret", "GONE ", "warning", "No such file"),
        ("secret", "SET ", "ok", "is set here"),
        ("secret", "UNSET ", "warning", "is not set here"),
        ("secret", "ASKED ", "ok", "was not run"),
        ("secret", "UNASKED ", "warning", "is not in the PATH"),
        ("notice", "1 ", "ok", "can be run"),
        ("notice", "2 ", "warning", "cannot be executed"),
        ("notice", "4 ", "warning", "there is no `"),
    ] {
        let (level, found) = level(what, place);
        assert!(level == want && found.contains(words), "{place}: {level} {found}");
    }
    assert!(
        !found.iter().any(|one| one["what"] == "notice" && one["where"] == "3 (shop)"),
        "that is the shell's"
    );
    assert!(!found.iter().any(|one| one.to_string().contains("hidden-value")));
    assert!(!world.path("place/asked").exists() && !world.path("pipelines/told").exists());
    let output = world.tidegate(&["check"]);
    assert!(
        output.status.success() && !world.path("place/asked").exists(),
        "`check` asks nothing of the machine"
    );
}

#[test]
fn a_fence_that_cannot_be_put_up_is_said_before_a_step_meets_it() {
    let world = World::unborn(SHOP);
    let gate = "name = \"test\"\nkind = \"command\"\n";
    world.edit(&SHOP.replace(gate, &format!("{gate}sandbox = \"user:no-such-account\"\n")));
    let (found, exit) = doctor(&world);
    let (level, said, help) = level(&found, "sandbox");
    assert!(exit != 0 && level == "bad" && !help.is_empty(), "{found:#?}");
    assert!(said.contains("no such account") || said.contains("this is not root"), "{said}");
    let left = fs::read_dir(std::env::temp_dir()).expect("a folder");
    let left = left.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let left: Vec<String> =
        left.filter(|name| name.starts_with("tidegate-doctor-") && name.contains("shop")).collect();
    assert!(left.iter().all(|name| !name.ends_with(".lock")), "{left:?}");
}

#[test]
fn names_from_outside_stay_text() {
    let world = World::unborn(SHOP);
    let text = world.filled(SHOP).replace("shop.git", "\\u001b]0;owned\\u0007");
    fs::write(world.path("pipelines/shop.toml"), text).expect("a file");
    fs::write(world.path("pipelines/\u{1b}[31mred.toml"), "[").expect("a file");
    let output = world.tidegate(&["doctor"]);
    let said = [output.stdout, output.stderr].concat();
    assert!(!said.contains(&0x1b) && !said.contains(&7), "{}", String::from_utf8_lossy(&said));
}
