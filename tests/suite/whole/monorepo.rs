//! Ten pipelines of one repository, each of a folder: a push builds those that it touches.

use super::world::World;
use std::collections::BTreeSet;
use std::fs;

/// Pipelines of the repository.
const COUNT: usize = 10;

/// A pipeline of the folder `svcN`; the first two are also of what they share.
fn pipeline(number: usize) -> String {
    let shared = if number < 2 { ", \"lib\"" } else { "" };
    format!(
        r#"
[source]
repo = $REPO
refs = ["main"]
paths = ["svc{number}/**"{shared}]

[[build.step]]
name = "make"
run = "echo svc{number} $TIDEGATE_SHA >> $PLACE/built"

[[tier]]
name = "host"
"#
    )
}

fn name(number: usize) -> String {
    format!("svc{number}")
}

/// Commits what was changed, pushes it, and waits until those are built that took it; their numbers, which must be all
/// that was built.
fn push(world: &mut World, version: &str) -> Vec<usize> {
    let head = world.commit(version, &[]);
    let before = world.heard.len();
    world.git("work", &["push", "-q", "origin", "main"]);
    // Every pipeline has decided before the push is answered.
    let mut open: BTreeSet<String> = (0..COUNT).map(name).collect();
    let mut taken = BTreeSet::new();
    while !open.is_empty() {
        let decided = world.wait_for("all have decided", |event| {
            event["sha"] == *head && (event["kind"] == "rebuild_requested" || event["kind"] == "push_ignored")
        });
        let pipeline = decided["pipeline"].as_str().unwrap().to_owned();
        assert!(open.remove(&pipeline), "{pipeline} decides once");
        if decided["kind"] == "rebuild_requested" {
            taken.insert(pipeline);
        } else {
            assert!(decided["reason"].as_str().unwrap().contains("paths"), "{decided}");
        }
    }
    let is_passed = |heard: &[serde_json::Value], pipeline: &String| {
        heard.iter().any(|event| event["kind"] == "promote_complete" && event["pipeline"] == **pipeline)
    };
    while !taken.iter().all(|pipeline| is_passed(&world.heard[before..], pipeline)) {
        world.wait("promote_complete", &[]);
    }
    let built = fs::read_to_string(world.path("place/built")).unwrap_or_default();
    let built: BTreeSet<String> =
        built.lines().filter_map(|line| line.strip_suffix(&format!(" {head}"))).map(str::to_owned).collect();
    assert_eq!(built, taken, "what was taken is what was built");
    (0..COUNT).filter(|number| taken.contains(&name(*number))).collect()
}

#[test]
fn a_push_to_a_repository_of_ten_pipelines_builds_those_that_it_touches() {
    let mut world = World::unborn(&pipeline(0));
    fs::remove_file(world.path("pipelines/shop.toml")).unwrap();
    for number in 0..COUNT {
        let file = world.path("pipelines").join(format!("svc{number}.toml"));
        fs::write(file, world.filled(&pipeline(number))).unwrap();
        fs::create_dir_all(world.path("work").join(name(number))).unwrap();
        fs::write(world.path("work").join(format!("svc{number}/code")), format!("{number}\n").repeat(40))
            .unwrap();
    }
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().unwrap()]);
    (0..COUNT).for_each(|_| drop(world.wait("pipeline_loaded", &[])));
    assert_eq!(push(&mut world, "1.0.0"), Vec::from_iter(0..COUNT), "the first push is everybody's");
    let write = |world: &World, file: &str, text: &str| {
        let path = world.path("work").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(&world, "svc3/code", "new");
    assert_eq!(push(&mut world, "1.0.1"), [3]);
    write(&world, "README", "what nobody builds");
    assert_eq!(push(&mut world, "1.0.2"), Vec::<usize>::new());
    write(&world, "lib/deep/code", "shared");
    assert_eq!(push(&mut world, "1.0.3"), [0, 1]);
    // Moved from one to another, and removed from a third.
    fs::rename(world.path("work/svc4/code"), world.path("work/svc5/moved")).unwrap();
    fs::remove_file(world.path("work/svc6/code")).unwrap();
    assert_eq!(push(&mut world, "1.0.4"), [4, 5, 6]);
    // Several commits in one push; what the last of them does not touch counts, too. A name that begins like another's
    // is none of its business.
    write(&world, "svc7/code", "new");
    world.commit("1.0.5", &[]);
    write(&world, "svc10/code", "new");
    assert_eq!(push(&mut world, "1.0.6"), [7]);
    // There and back again within one push: nothing differs from what was built.
    write(&world, "svc8/code", "other");
    world.commit("1.0.7", &[]);
    write(&world, "svc8/code", &"8\n".repeat(40));
    assert_eq!(push(&mut world, "1.0.8"), Vec::<usize>::new());
    // A merge of a branch that nobody builds.
    world.git("work", &["checkout", "-q", "-b", "topic"]);
    write(&world, "svc2/code", "from a branch");
    world.commit("1.0.8", &[]);
    world.git("work", &["push", "-q", "origin", "topic"]);
    world.git("work", &["checkout", "-q", "main"]);
    write(&world, "svc9/code", "new");
    world.commit("1.0.8", &[]);
    world.git("work", &["merge", "-q", "--no-edit", "topic"]);
    assert_eq!(push(&mut world, "1.0.9"), [2, 9]);
    // What was ignored is compared again with what was built, not with what was pushed last.
    let state = world.get("/api/state");
    let current = |number: usize| {
        let all = state["pipelines"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == name(number)).unwrap();
        one["tiers"][0]["current"]["version"].as_str().unwrap().to_owned()
    };
    let versions: Vec<String> = (0..COUNT).map(current).collect();
    let expected = ["1.0.3", "1.0.3", "1.0.9", "1.0.1", "1.0.4", "1.0.4", "1.0.4", "1.0.6", "1.0.0", "1.0.9"];
    assert_eq!(versions, expected);
}
