//! What keys are done to: the row that is selected, the deed that was read, the version that is meant.

use super::drawn::{busy, drawn, press, session, show, text};
use crate::rules::world::*;
use chrono::TimeDelta;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use tidegate::domain::pipeline::*;
use tidegate::domain::*;
use tidegate::server::Done;
use tidegate::tui::{Message, Refusal, Request, Session, Want};

/// Keys that come before anything is drawn.
fn blind(session: &mut Session, w: &World, codes: &[KeyCode]) {
    for code in codes {
        session.input(&Input::Key(KeyEvent::new(*code, KeyModifiers::NONE)), w.now);
    }
}

fn sent(session: &mut Session, w: &World) -> Option<Request> {
    session.wants(w.now).into_iter().find_map(|want| match want {
        Want::Act(request) => Some(request),
        _ => None,
    })
}

fn seen(session: &mut Session, w: &World) -> String {
    text(&drawn(session, w, (80, 24)))
}

fn two_that_wait() -> World {
    let prod = || tier("prod").confirmed_by(1).with(|t| t.promote.pick = Pick::Every);
    let mut w = World::with(shop([prod()]));
    w.load(shop([prod()]).with(|p| p.name = "zed".into()));
    w.push("c1");
    w.push("c2");
    w.push_with("c3", |push| push.pipeline = "zed".into());
    w
}

#[test]
fn keys_act_on_the_row_of_what_waits_that_is_selected() {
    let w = busy();
    let mut session = session(&w, false);
    // Nothing of what is selected on the board waits.
    press(&mut session, &w, "/shop\n→2p");
    let asked = seen(&mut session, &w);
    assert!(asked.contains("promote api/live"), "{asked}");
}

#[test]
fn each_row_of_what_waits_is_come_to_and_acted_on() {
    let w = two_that_wait();
    let mut session = session(&w, false);
    press(&mut session, &w, "2");
    let mut asked = Vec::new();
    for _ in 0..4 {
        press(&mut session, &w, "c\n");
        let request = sent(&mut session, &w).expect("a request");
        asked.push(format!("{} {}", request.pipeline, request.fields.version.clone().unwrap()));
        session.take(Message::Answer(request, Ok(done(Vec::new()))), w.now);
        press(&mut session, &w, "↓");
    }
    assert_eq!(asked, ["shop 1.0.2", "shop 1.0.1", "zed 1.0.3", "zed 1.0.3"]);
}

fn done(waits_for: Vec<Blocker>) -> Done {
    Done { done: true, already: false, ids: Vec::new(), waits_for }
}

#[test]
fn nothing_is_done_that_was_not_drawn() {
    let w = two_that_wait();
    let mut session = session(&w, false);
    press(&mut session, &w, "s→");
    // A key and Enter before the next frame.
    blind(&mut session, &w, &[KeyCode::Char('c'), KeyCode::Enter]);
    assert_eq!(sent(&mut session, &w), None);
    // Another version, chosen unread.
    seen(&mut session, &w);
    blind(&mut session, &w, &[KeyCode::Down, KeyCode::Enter]);
    assert_eq!(sent(&mut session, &w), None);
    // On a terminal that is too small nothing can be read.
    drawn(&mut session, &w, (59, 15));
    blind(&mut session, &w, &[KeyCode::Enter]);
    assert_eq!(sent(&mut session, &w), None);
    seen(&mut session, &w);
    blind(&mut session, &w, &[KeyCode::Enter]);
    let request = sent(&mut session, &w).expect("it was read");
    assert_eq!(request.fields.version, Some("1.0.1".into()));
}

#[test]
fn an_answer_is_that_of_the_deed_that_it_was_for() {
    let w = two_that_wait();
    let mut session = session(&w, false);
    press(&mut session, &w, "s→H\n");
    let hold = sent(&mut session, &w).expect("a hold");
    press(&mut session, &w, "\u{1b}c\n");
    let confirm = sent(&mut session, &w).expect("a confirmation");
    session.take(Message::Answer(hold, Ok(done(Vec::new()))), w.now);
    let after = seen(&mut session, &w);
    assert!(after.contains("done (hold shop/prod)"), "{after}");
    assert!(after.contains("The controller is asked"), "the confirmation goes on: {after}");
    let refusal =
        Refusal { code: "TG-X-001".into(), message: "no".into(), help: String::new(), absent: false };
    session.take(Message::Answer(confirm, Err(refusal)), w.now);
    assert!(seen(&mut session, &w).contains("no [TG-X-001]"));
}

#[test]
fn what_would_be_another_thing_by_now_is_read_again_first() {
    let mut w = two_that_wait();
    let mut session = session(&w, false);
    press(&mut session, &w, "s→c");
    assert!(seen(&mut session, &w).contains("1 of 1"));
    w.load(shop([tier("prod").confirmed_by(2).with(|t| t.promote.pick = Pick::Every)]));
    show(&mut session, &w);
    press(&mut session, &w, "\n");
    assert_eq!(sent(&mut session, &w), None);
    let again = seen(&mut session, &w);
    assert!(again.contains("Something has changed") && again.contains("1 of 2"), "{again}");
    press(&mut session, &w, "\n");
    assert!(sent(&mut session, &w).is_some());
}

#[test]
fn a_freeze_can_be_waited_for_or_lifted() {
    let mut w = World::with(shop([tier("prod").manual()]));
    let frozen = Freeze { from: w.now, to: w.now + TimeDelta::days(3), why: "fair".into() };
    w.load(shop([tier("prod").manual().with(|t| t.promote.freeze = vec![frozen])]));
    w.push("c1");
    let mut session = session(&w, false);
    press(&mut session, &w, "s→p");
    let asked = seen(&mut session, &w);
    assert!(asked.contains("freeze") && asked.contains("1 of 2"), "{asked}");
    press(&mut session, &w, "\n");
    let plain = sent(&mut session, &w).expect("an operator may ask for it");
    assert!(!plain.fields.lift);
    press(&mut session, &w, "\u{1b}p↓\n");
    assert_eq!(sent(&mut session, &w), None, "to lift takes a reason");
    press(&mut session, &w, "fire\n");
    assert!(sent(&mut session, &w).expect("to lift it").fields.lift);
}

#[test]
fn what_a_deed_waits_for_is_counted_down() {
    let w = two_that_wait();
    let mut session = session(&w, false);
    press(&mut session, &w, "s→H\n");
    let hold = sent(&mut session, &w).expect("a hold");
    let soak = Blocker::Soak { until: Some(w.now + TimeDelta::minutes(9)) };
    session.take(Message::Answer(hold, Ok(done(vec![soak]))), w.now);
    let first = seen(&mut session, &w);
    assert!(first.contains("it stands, and waits for: "), "{first}");
    assert!(session.wakes(w.now).unwrap() <= TimeDelta::seconds(1));
    let mut later =
        ratatui::buffer::Buffer::empty(ratatui::layout::Rect { x: 0, y: 0, width: 80, height: 24 });
    session.draw(&mut later, w.now + TimeDelta::minutes(5));
    assert_ne!(text(&later), first, "four minutes are left");
}

#[test]
fn before_a_word_is_given_what_comes_is_told_as_far_as_there_is_room() {
    let w = busy();
    let mut session = session(&w, false);
    press(&mut session, &w, ":shop prod\nc");
    let all = text(&drawn(&mut session, &w, (160, 50)));
    for words in [
        "Since 1.0.1, which is current: 2 commits.",
        "- 1.0.3 A change",
        "- 1.0.2 Fix ",
        "Wave 1: web01; wave 2: web02 to web06; wave 3: ",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
    let small = text(&drawn(&mut session, &w, (60, 16)));
    for words in ["This will give your word for 1.0.3", "Enter does it, Esc leaves", "why: ", "…"] {
        assert!(small.contains(words), "{words}: {small}");
    }
    // What is sent back brings nothing.
    press(&mut session, &w, "\u{1b}R");
    assert!(!text(&drawn(&mut session, &w, (160, 50))).contains("Since 1.0.1"));
}
