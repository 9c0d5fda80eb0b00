//! What is shown: the board as it becomes live, pushes, logs, a controller that is killed, sizes.

use super::Watcher;
use crate::server::stand::Stand;
use crate::whole::SHOP;
use crate::whole::world::World;
use std::time::{Duration, Instant};
use tidegate::domain::{Actor, Command, Deed, Role};

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
    // The age goes on, whichever second a slow machine draws.
    watcher.until("how old it is", |text| {
        let age = text.split_once("CUT OFF for ").and_then(|(_, rest)| rest.split_once('s')?.0.parse().ok());
        age.is_some_and(|seconds: u32| seconds >= 2)
    });
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
    // What is told below the list is told of an older one.
    let told = |text: &str| {
        text.lines().rfind(|line| line.contains("event ") && line.contains(" at 20")).map(str::to_owned)
    };
    let newest = told(&watcher.until("an event", |text| told(text).is_some()));
    watcher.press("\x1b[<64;10;10M\x1b[<64;10;10M\x1b[<64;10;10M");
    watcher.until("an older event", |text| told(text).is_some() && told(text) != newest);
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

/// Ten thousand events, a thousand each second.
async fn a_storm(stand: &Stand) {
    let deed = |set: bool| {
        let tier = Some("prod".into());
        Command::ByHand {
            actor: Actor { name: "ann".into(), role: Role::Operator, email: None },
            why: None,
            pipeline: "shop".into(),
            deed: if set { Deed::Hold { tier } } else { Deed::Resume { tier } },
        }
    };
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..1_000 {
        beat.tick().await;
        let asked = (0..10).map(|n| stand.engine.ask(deed(n % 2 == 0)));
        for answer in futures_util::future::join_all(asked).await {
            answer.expect("done");
        }
    }
    stand.engine.ask(deed(true)).await.expect("done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_lost_while_a_thousand_events_come_each_second() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    let url = format!("http://{}", stand.addr);
    let (last, when_over) = tokio::sync::oneshot::channel::<u64>();
    let watching = tokio::task::spawn_blocking(move || {
        let world = World::unborn(SHOP);
        // Wide enough for all that is typed.
        let mut watcher = Watcher::new(&world, &["--url", &url], (520, 30));
        watcher.sees("live, event");
        watcher.press("4/");
        let typed: String = ('a'..='z').cycle().take(480).collect();
        for key in typed.chars() {
            watcher.press(&key.to_string());
            std::thread::sleep(Duration::from_millis(20));
        }
        watcher.sees(&typed);
        let last = when_over.blocking_recv().expect("it ends");
        watcher.press("\x1b");
        watcher.sees("f kinds");
        watcher.sees(&format!("live, event {last}"));
        watcher.press("1");
        watcher.sees("held prod");
        watcher.press("q");
        assert_eq!(watcher.ends(), Some(0));
    });
    let begin = Instant::now();
    a_storm(&stand).await;
    println!("10,001 events in {:?}", begin.elapsed());
    last.send(stand.engine.read(|state| state.last.0)).expect("somebody watches");
    watching.await.expect("it is as it should be");
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
    // Nothing on this screen is about time: once all has come, two seconds of it are silent.
    let begin = Instant::now();
    while let Ok(bytes) = watcher.said.recv_timeout(Duration::from_secs(2)) {
        watcher.parser.process(&bytes);
        let said = String::from_utf8_lossy(&bytes);
        assert!(begin.elapsed() < super::PATIENCE, "it goes on and on: {said:?}");
    }
}
