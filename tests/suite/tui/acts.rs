//! What people do from the screens: said first, done with an Enter, refused as the controller refuses.

use super::Watcher;
use crate::whole::SHOP;
use crate::whole::world::World;

fn waiting_in_prod() -> World {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    world
}

#[test]
fn a_confirmation_with_its_reason_lands_in_the_journal() {
    let mut world = waiting_in_prod();
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("confirm prod");
    let is_known = |line: &str| line.contains("  admin ") || line.contains("  operator ");
    watcher.until("who looks", |text| text.lines().next().is_some_and(is_known));
    watcher.press("c");
    let asked = watcher.sees("Enter does it");
    for words in [
        "confirm shop/prod",
        "give your word for 1.0.0, 1 of 1",
        "2 nodes (p1,",
        "in 2 waves",
        "shop.toml",
        "No version is current here yet.",
        "Wave 1: p1; wave 2: p2.",
    ] {
        assert!(asked.contains(words), "{words}: {asked}");
    }
    watcher.press("seen q on staging\r");
    let confirmed = world.wait("manual_confirm", &[("tier", "prod"), ("version", "1.0.0")]);
    assert_eq!(confirmed["why"], "seen q on staging", "{confirmed}");
    world.wait("promote_complete", &[("tier", "prod")]);
    watcher.sees("ok prod");
    watcher.sees("done (confirm shop/prod 1.0.0)");
}

#[test]
fn a_tier_is_sent_back_held_and_resumed() {
    let mut world = waiting_in_prod();
    world.good(&["confirm", "shop", "prod", "1.0.0"]);
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
    world.push("1.1.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod"), ("version", "1.1.0")]);
    world.good(&["confirm", "shop", "prod", "1.1.0"]);
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.1.0")]);
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("ok prod");
    let place = watcher.place("ok prod");
    watcher.click(place);
    watcher.sees("── shop / prod");
    watcher.press("R");
    let asked = watcher.sees("Enter does it");
    assert!(asked.contains("This will send shop/prod back from 1.1.0 to 1.0.0, on 2 nodes"), "{asked}");
    watcher.press("it is slow\r");
    let back = world.wait("rollback", &[("tier", "prod"), ("from", "1.1.0"), ("to", "1.0.0")]);
    assert_eq!(back["why"], "it is slow", "{back}");
    world.wait("rollback_complete", &[("tier", "prod")]);
    watcher.sees("held prod");
    watcher.press("U");
    watcher.sees("lift the hold");
    watcher.press("\r");
    world.wait("hold_lifted", &[("tier", "prod")]);
    watcher.sees("done (resume shop/prod)");
    watcher.sees("rejected prod");
    // Esc leaves, and nothing is done.
    watcher.press("H");
    watcher.sees("This will hold shop/prod");
    watcher.press("\x1b");
    watcher.until("the board", |text| !text.contains("This will hold"));
    world.hear_the_rest_so_far();
    assert!(
        !world
            .kinds()
            .iter()
            .rev()
            .take_while(|kind| **kind != "hold_lifted")
            .any(|kind| *kind == "hold_set")
    );
}

#[test]
fn what_cannot_be_done_says_why_and_a_refusal_is_shown_as_it_is() {
    let world = waiting_in_prod();
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("confirm prod");
    watcher.press("a");
    let menu = watcher.sees("do with shop/prod");
    assert!(menu.contains("rollback  cannot: nothing is here"), "{menu}");
    watcher.press("\x1b");
    watcher.until("no menu", |text| !text.contains("do with"));
    watcher.press("c");
    watcher.sees("Enter does it");
    // Meanwhile somebody else says no.
    world.good(&["deny", "shop", "prod", "1.0.0", "--why", "the prices are wrong"]);
    watcher.sees("rejected");
    watcher.press("\r");
    let refused = watcher.sees("Enter tries again");
    assert!(refused.contains("[TG-ASK-"), "{refused}");
    watcher.press("\x1b");
    watcher.until("no dialog", |text| !text.contains("Esc leaves"));
}
