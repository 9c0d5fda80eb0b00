//! A journal that was exported, played; and that its picture is the controller's.

use super::Watcher;
use crate::whole::SHOP;
use crate::whole::world::World;

#[test]
fn an_exported_journal_is_played_stopped_and_stepped_through() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    world.good(&["confirm", "shop", "prod", "1.0.0", "--why", "seen"]);
    world.wait("promote_complete", &[("tier", "prod")]);
    std::fs::write(world.path("journal.jsonl"), world.good(&["events", "--since", "0"])).expect("a file");
    world.kill();
    let file = "journal.jsonl";
    let mut watcher = Watcher::new(&world, &["--replay", file, "--speed", "1000"], (100, 30));
    let end = watcher.sees("ok prod");
    assert!(end.contains("replay ") && !end.contains("live"), "{end}");
    watcher.sees("stopped");
    watcher.press("[[[[[[[[[[[[");
    // With the space before it: 31 of 31 ends alike.
    watcher.sees(" 1/");
    watcher.press("...");
    watcher.sees(" 4/");
    watcher.press(",");
    watcher.sees(" 3/");
    watcher.press("c");
    watcher.press("]]]]]]]]]]]]");
    let end = watcher.sees("ok prod");
    assert!(!end.contains("Enter does it"), "nothing can be done: {end}");
    watcher.press("4/seen\r");
    watcher.sees("by owner (seen)");
    watcher.press("q");
    assert_eq!(watcher.ends(), Some(0));
}

#[test]
fn it_begins_where_it_is_told_and_refuses_what_is_no_journal() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    let built = world.wait("build_ok", &[])["id"].to_string();
    world.wait("promote_blocked", &[("tier", "prod")]);
    std::fs::write(world.path("journal.jsonl"), world.good(&["events", "--since", "0"])).expect("a file");
    let arguments = ["--replay", "journal.jsonl", "--speed", "0.1", "--at", &built];
    let mut watcher = Watcher::new(&world, &arguments, (80, 24));
    watcher.sees("1.0.0 built");
    watcher.press("q");
    assert_eq!(watcher.ends(), Some(0));
    std::fs::write(world.path("no.jsonl"), "{\"kind\":\"looked_over\"}\nnonsense\n").expect("a file");
    let mut watcher = Watcher::new(&world, &["--replay", "no.jsonl"], (80, 24));
    watcher.sees("TG-CLI-028");
    assert_eq!(watcher.ends(), Some(2));
}
