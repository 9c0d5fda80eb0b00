//! `:`: to a place by its name.

use super::Watcher;
use super::drawn::{busy, drawn, press, session, text};
use crate::rules::world::World;
use crate::whole::SHOP;
use tidegate::tui::Session;

fn seen(session: &mut Session, w: &World) -> String {
    text(&drawn(session, w, (80, 24)))
}

#[test]
fn a_line_leads_to_pipelines_tiers_screens_and_logs() {
    let w = busy();
    let mut session = session(&w, false);
    for (line, there) in [
        (":shop prod\n", "── shop / prod"),
        (":history\n", "── everything"),
        (":log 32\n", "run 32"),
        (":api\n", "── api ─"),
        (":waiting\n", "◆ api/live"),
        (":help\n", "── help"),
        (":board\n", "attention first"),
        (":\n", "attention first"),
    ] {
        press(&mut session, &w, line);
        let shown = seen(&mut session, &w);
        assert!(shown.contains(there), "{line}: {shown}");
    }
}

#[test]
fn what_could_follow_is_shown_and_completed() {
    let w = busy();
    let mut session = session(&w, false);
    press(&mut session, &w, ":");
    let all = seen(&mut session, &w);
    assert!(all.contains("board  waiting  logs  history") && all.contains("api"), "{all}");
    press(&mut session, &w, "sh\t");
    let tiers = seen(&mut session, &w);
    assert!(tiers.contains(" :shop ") && tiers.contains("host  staging  prod"), "{tiers}");
    press(&mut session, &w, "p\t\n");
    assert!(seen(&mut session, &w).contains("── shop / prod"));
}

#[test]
fn what_is_not_there_is_said_and_the_line_stays() {
    let w = busy();
    let mut session = session(&w, false);
    for (line, why) in [
        (":shpo\n", "did you mean `shop`?"),
        (":shop live\n", "shop has no tier `live`: there are host, staging, prod"),
        (":log 4711\n", "run 4711 is not known here"),
    ] {
        press(&mut session, &w, line);
        let said = seen(&mut session, &w);
        assert!(said.contains(why) && said.contains(line.trim_end()), "{line}: {said}");
        press(&mut session, &w, "\u{1b}");
        let left = seen(&mut session, &w);
        assert!(!left.contains(why) && left.contains("q quit"), "{left}");
    }
}

#[test]
fn on_a_terminal_it_goes_there() {
    let world = crate::whole::world::World::new(SHOP);
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("no version");
    watcher.press(":sh\t");
    watcher.sees(" :shop ");
    watcher.press("pro\t\r");
    watcher.sees("── shop / prod");
    watcher.press(":log 1\r");
    watcher.sees("run 1 is not known here");
    watcher.press("\x1b");
    watcher.sees("q quit");
    watcher.press("q");
    assert_eq!(watcher.ends(), Some(0));
}
