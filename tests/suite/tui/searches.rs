//! Searches: in a log from hit to hit with all around them in view, and kept while something is opened from a list.

use super::drawn::{drawn, press, session, text};
use crate::rules::world::*;
use ratatui::style::Modifier;
use tidegate::tui::{LogPart, Message, Session};

/// Somebody in a log of five hundred lines, every hundredth of which is an error.
fn in_a_log(w: &World) -> Session {
    let mut session = session(w, false);
    let run = *w.state.running.keys().next_back().expect("a run");
    let line =
        |n: usize| if n % 100 == 50 { format!("line {n}: Error {n}\n") } else { format!("line {n}\n") };
    let bytes = (0..500).map(line).collect::<String>().into_bytes();
    session.take(Message::Log(run, Some(LogPart { from: 0, bytes, more: false })), w.now);
    press(&mut session, w, "3\n");
    session
}

fn running() -> World {
    let mut w = World::with(shop([tier("host").gate("tests")]));
    w.hold_run("host/tests");
    w.push("c1");
    w
}

fn seen(session: &mut Session, w: &World) -> String {
    text(&drawn(session, w, (80, 24)))
}

#[test]
fn a_search_of_a_log_goes_from_hit_to_hit_and_keeps_what_stands_around() {
    let w = running();
    let mut session = in_a_log(&w);
    press(&mut session, &w, "/ERROR");
    assert!(seen(&mut session, &w).contains("5 hits"), "while it is written");
    press(&mut session, &w, "\n");
    let last = seen(&mut session, &w);
    assert!(last.contains("hit 5 of 5") && last.contains("line 450: Error 450"), "{last}");
    assert!(last.contains("line 449\n") && last.contains("line 451\n"), "what stands around: {last}");
    press(&mut session, &w, "NN");
    let before = seen(&mut session, &w);
    assert!(before.contains("hit 3 of 5") && before.contains("line 250: Error 250"), "{before}");
    press(&mut session, &w, "n");
    assert!(seen(&mut session, &w).contains("hit 4 of 5"));
    press(&mut session, &w, "nn");
    let first = seen(&mut session, &w);
    assert!(first.contains("hit 1 of 5") && first.contains("line 50: Error 50"), "from the start: {first}");
    // The words that were searched for stand out, and nothing else of the line.
    let buffer = drawn(&mut session, &w, (80, 24));
    let row = first.lines().position(|line| line.contains("Error 50")).unwrap() as u16;
    let out: String = (0..80)
        .filter(|x| buffer[(*x, row)].modifier.contains(Modifier::REVERSED))
        .map(|x| buffer[(x, row)].symbol().to_owned())
        .collect();
    assert_eq!(out, "Error");
    // It stays there though the log goes on; Esc leaves the search, not the place.
    press(&mut session, &w, "\u{1b}");
    let left = seen(&mut session, &w);
    assert!(left.contains("line 50: Error 50") && !left.contains("hit 1"), "{left}");
}

#[test]
fn the_hits_alone_are_shown_where_they_are_wanted() {
    let w = running();
    let mut session = in_a_log(&w);
    press(&mut session, &w, "/error\nf");
    let only = seen(&mut session, &w);
    assert!(only.contains("line 50: Error 50\nline 150: Error 150\n"), "{only}");
    press(&mut session, &w, "f");
    assert!(seen(&mut session, &w).contains("line 451\n"));
}

#[test]
fn a_search_of_a_log_that_finds_nothing_says_so() {
    let w = running();
    let mut session = in_a_log(&w);
    press(&mut session, &w, "/warning\n");
    let none = seen(&mut session, &w);
    assert!(none.contains("no hit") && none.contains("line 499"), "{none}");
    press(&mut session, &w, "n");
    assert!(seen(&mut session, &w).contains("no hit"), "it is no denial");
    press(&mut session, &w, "f");
    let none = seen(&mut session, &w);
    assert!(none.contains("No line that is kept here has these words. f shows all"), "{none}");
}

#[test]
fn a_search_of_the_history_is_there_again_on_the_way_back() {
    let mut w = World::with(shop([tier("host"), tier("prod").manual()]));
    w.push("c1");
    w.push("c2");
    let mut session = session(&w, false);
    press(&mut session, &w, "4/1.0.1 current\n\n");
    assert!(seen(&mut session, &w).contains("shop 1.0.1: its way"));
    press(&mut session, &w, "\u{1b}");
    let back = seen(&mut session, &w);
    assert!(back.contains("/ 1.0.1 current") && back.contains("1 event"), "{back}");
    press(&mut session, &w, "\u{1b}");
    assert!(!seen(&mut session, &w).contains("/ 1.0.1 current"));
}

#[test]
fn an_event_that_leads_nowhere_says_what_to_do() {
    let w = running();
    let mut session = session(&w, false);
    press(&mut session, &w, "4/loaded\n");
    let shown = seen(&mut session, &w);
    assert!(!shown.contains("Enter"), "{shown}");
    for key in ["\n", "o", "v"] {
        press(&mut session, &w, key);
        let said = seen(&mut session, &w);
        assert!(said.contains("no version and no run in this event: it is told below"), "{said}");
    }
}
