//! What is shown: the board as it becomes live, pushes, logs, a controller that is killed, sizes.

use super::Watcher;
use crate::whole::SHOP;
use crate::whole::world::World;

/// A build that goes on until it is let go, writing meanwhile.
const SLOW: &str = r#"
[source]
repo = $REPO

[[build.step]]
name = "make"
run = "echo first words; until test -f $PLACE/go; do sleep 0.05; done; echo last words"

[[tier]]
name = "host"
"#;

#[test]
fn the_board_is_live_and_sees_a_push() {
    let world = World::new(SHOP);
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("live, event");
    watcher.sees("no version");
    world.push("1.0.0", &[]);
    let board = watcher.sees("confirm prod");
    for words in
        ["shop", "ok host", "ok staging", "confirm prod", "← 1.0.0", "1 board", "0 of 1 confirmations"]
    {
        assert!(board.contains(words), "{words}: {board}");
    }
    watcher.press("2");
    let waiting = watcher.sees("shop/prod");
    assert!(waiting.contains("◆") && waiting.contains("0 of 1 confirmations"), "{waiting}");
    watcher.press("4");
    watcher.sees("waits");
    watcher.press("/passed\r");
    let found = watcher.until("the search", |text| text.contains("passed") && !text.contains("waits"));
    assert!(found.contains("staging: 1.0.0 is current"), "{found}");
    watcher.press("\x1b");
    watcher.sees("waits");
    watcher.press("q");
    assert_eq!(watcher.ends(), Some(0));
}

#[test]
fn a_log_is_followed_while_it_is_written() {
    let mut world = World::new(SLOW);
    let mut watcher = Watcher::new(&world, &["shop"], (100, 30));
    watcher.sees("no version");
    world.push("1.0.0", &[]);
    watcher.sees("builds 1.0.0 make");
    watcher.press("3");
    watcher.sees("first words");
    watcher.press("\r");
    watcher.sees("follows");
    std::fs::write(world.path("place/go"), "").expect("a file");
    watcher.sees("last words");
    watcher.sees("passed");
    world.wait("build_ok", &[]);
    // Who comes later sees all of it, from the file.
    let mut late = Watcher::new(&world, &[], (100, 30));
    late.sees("live, event");
    late.press("3");
    late.until("the whole log", |text| text.contains("first words") && text.contains("last words"));
}

#[test]
fn a_controller_that_is_killed_and_comes_back_is_seen_and_nothing_is_lost() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    let mut watcher = Watcher::new(&world, &[], (100, 30));
    watcher.sees("confirm prod");
    world.kill();
    let cut = watcher.sees("CUT OFF for");
    assert!(cut.contains("confirm prod"), "the picture stays: {cut}");
    watcher.sees("CUT OFF for 2s");
    world.start();
    watcher.sees("live, event");
    world.good(&["confirm", "shop", "prod", "1.0.0", "--why", "seen"]);
    watcher.sees("ok prod");
    watcher.press("4");
    watcher.sees("cut off for");
    let history = watcher.sees("started, tidegate");
    assert!(history.contains("by owner (seen)"), "{history}");
}

#[test]
fn any_size_is_drawn_on_and_a_small_one_says_so() {
    let world = World::new(SHOP);
    world.push("1.0.0", &[]);
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("confirm prod");
    for (columns, rows) in
        [(160, 50), (60, 16), (61, 17), (20, 5), (1, 1), (300, 100), (59, 40), (90, 15), (60, 16)]
    {
        watcher.resize(columns, rows);
    }
    watcher.sees("q quit");
    watcher.resize(59, 15);
    watcher.sees("59x15 is too small: 60x16 at least; q quits");
    watcher.resize(60, 16);
    // The tier that is selected is in sight, if not all of them.
    watcher.sees("confirm prod");
    watcher.press("\r");
    watcher.sees("c confirms");
    watcher.press("q");
    assert_eq!(watcher.ends(), Some(0));
}

#[test]
fn the_mouse_selects_opens_and_scrolls() {
    let world = World::new(SHOP);
    world.push("1.0.0", &[]);
    let mut watcher = Watcher::new(&world, &[], (100, 30));
    watcher.sees("confirm prod");
    let place = watcher.place("ok staging");
    watcher.click(place);
    watcher.sees("── shop / staging");
    watcher.click(place);
    watcher.sees("Esc back");
    let place = watcher.place("4 history");
    watcher.click(place);
    watcher.sees("── everything");
    let newest = watcher.text().lines().last().map(str::to_owned);
    watcher.press("\x1b[<64;10;10M\x1b[<64;10;10M\x1b[<64;10;10M");
    watcher.until("an older event", |text| {
        text.contains("f kinds") && text.contains("event ") && {
            newest.is_some() && !text.contains("promote_blocked. waits")
        }
    });
    let place = watcher.place("2 waiting");
    watcher.click(place);
    watcher.sees("shop/prod");
}

/// A step that writes as fast as it can until it is let go.
const LOUD: &str = r#"
[source]
repo = $REPO

[[build.step]]
name = "shout"
run = "until test -f $PLACE/go; do seq 1 200; sleep 0.01; done; echo the end"

[[tier]]
name = "host"
"#;

#[test]
fn no_key_is_lost_while_much_is_said() {
    let mut world = World::new(LOUD);
    let mut watcher = Watcher::new(&world, &[], (160, 30));
    watcher.sees("no version");
    world.push("1.0.0", &[]);
    world.wait("step_start", &[]);
    watcher.press("3");
    watcher.sees("▶ runs");
    watcher.press("4/");
    let typed: String = ('a'..='z').cycle().take(120).collect();
    for key in typed.chars() {
        watcher.press(&key.to_string());
    }
    watcher.sees(&typed);
    std::fs::write(world.path("place/go"), "").expect("a file");
    world.wait("build_ok", &[]);
    // Esc and a key that follows at once would be another key.
    watcher.press("\x1b");
    watcher.sees("f kinds");
    watcher.press("3\r");
    watcher.sees("the end");
}

#[test]
fn nothing_is_said_while_nothing_changes() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("confirm prod");
    watcher.press("?");
    watcher.sees("── help");
    // Nothing on this screen is about time: two seconds of it are silent.
    while let Ok(bytes) = watcher.said.recv_timeout(std::time::Duration::from_millis(500)) {
        watcher.parser.process(&bytes);
    }
    let more = watcher.said.recv_timeout(std::time::Duration::from_secs(2));
    assert!(more.is_err(), "{:?}", more.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
}
