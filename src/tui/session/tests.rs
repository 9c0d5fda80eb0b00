//! One person looking, without a terminal: what is asked for when, what is drawn when, and that nothing grows for ever.

use super::*;
use crate::domain::{Envelope, Event, Fact, RunId, VersionLabel};
use crate::tui::controller::{LogPart, Refusal};
use crate::tui::picture::Entry;
use crate::wire::Live;
use ratatui::layout::Rect;
use serde_json::json;
use std::sync::Arc;

fn at(millis: i64) -> Time {
    Time::from_timestamp_millis(1_795_424_400_000 + millis).unwrap()
}

fn state(id: u64, versions: &[&str]) -> Message {
    let version = |(order, label): (usize, &&str)| {
        json!({"version": label, "sha": "c0ffee", "order": order + 1, "subject": "s", "author": "a", "at": at(0),
               "stage": "built", "artifacts": [], "tiers": {}})
    };
    let versions: Vec<_> = versions.iter().enumerate().map(version).collect();
    let p = json!({"name": "shop", "queue": [], "tiers": [], "versions": versions});
    let view = json!({"id": id, "at": at(0), "pipelines": [p], "rejected": []});
    Message::State(Box::new(serde_json::from_value(view).unwrap()))
}

fn event(id: u64, event: Event) -> Message {
    let fact = Fact::of(&"shop".into(), event);
    Message::Event(Arc::new(Envelope { id: EventId(id), at: at(0), fact }))
}

fn chunk(run: u64, offset: u64, text: &str) -> Message {
    let (bytes, step) = (text.len() as u64, "make".into());
    let live = Live::BuildLogChunk { run_id: RunId(run), seq: 0, text: text.into(), offset, bytes, step };
    Message::Chunk(Some("shop".into()), live)
}

fn looking(versions: &[&str]) -> Session {
    let mut session = Session::live("here", Palette { colour: false, unicode: true }, None);
    session.take(state(100, versions), at(0));
    session.take(Message::Back, at(0));
    session.take(state(100, versions), at(0));
    session.wants(at(0));
    draw(&mut session, at(0));
    session
}

fn press(session: &mut Session, keys: &str, here: Time) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{2191}' => KeyCode::Up,
            '\u{2193}' => KeyCode::Down,
            key => KeyCode::Char(key),
        };
        session.input(&Input::Key(KeyEvent::new(code, KeyModifiers::NONE)), here);
        draw(session, here);
    }
}

fn draw(session: &mut Session, here: Time) -> String {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: 80, height: 24 });
    session.draw(&mut buffer, here);
    buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect()
}

fn refusal() -> Refusal {
    Refusal { code: "TG-X-001".into(), message: "no".into(), help: String::new(), absent: false }
}

#[test]
fn what_a_run_writes_that_nobody_looks_at_draws_nothing() {
    let mut session = looking(&[]);
    draw(&mut session, at(0));
    session.take(chunk(7, 0, "one\n"), at(0));
    assert!(session.is_dirty(at(0)), "a run that is new is counted above");
    draw(&mut session, at(0));
    session.take(chunk(7, 4, "two\n"), at(0));
    assert!(!session.is_dirty(at(0)));
    press(&mut session, "3", at(0));
    session.take(chunk(7, 8, "three\n"), at(0));
    assert!(session.is_dirty(at(0)), "its end is shown now");
}

#[test]
fn a_log_whose_question_failed_is_asked_for_again_when_its_pause_is_over() {
    let mut session = looking(&[]);
    session.take(chunk(7, 4, "two\n"), at(0));
    press(&mut session, "3", at(0));
    let is_log = |want: &Want| matches!(want, Want::Log(..));
    let wants = session.wants(at(0));
    let want = wants.iter().find(|want| is_log(want)).expect("the log is asked for").clone();
    session.take(Message::Unanswered(want.clone(), refusal()), at(0));
    assert!(!session.wants(at(100)).iter().any(is_log), "not at once");
    assert!(session.wakes(at(100)).unwrap() <= TimeDelta::milliseconds(400));
    assert!(session.wants(at(500)).contains(&want));
    let part = LogPart { from: 0, bytes: b"one\ntwo\n".to_vec(), more: false };
    session.take(Message::Log(RunId(7), Some(part)), at(500));
    assert!(draw(&mut session, at(500)).contains("one"));
}

#[test]
fn the_way_of_a_version_is_asked_for_once_it_is_rested_on() {
    let mut session = looking(&["3", "2", "1"]);
    let is_way = |want: &Want| matches!(want, Want::Way(..));
    press(&mut session, "\n\u{2193}", at(0));
    for (millis, _) in [(0, "3"), (50, "2"), (100, "1")] {
        assert!(!session.wants(at(millis)).iter().any(is_way), "a key that is held down asks nothing");
        assert!(session.wakes(at(millis)).unwrap() <= TimeDelta::milliseconds(200));
        press(&mut session, "\u{2193}", at(millis));
    }
    session.wants(at(100));
    let asked: Vec<Want> = session.wants(at(300)).into_iter().filter(is_way).collect();
    let [Want::Way(_, version, ..)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(version.as_str(), "1");
    assert!(!session.wants(at(9_000)).iter().any(is_way), "once");
    session.take(Message::Unanswered(asked[0].clone(), refusal()), at(9_000));
    assert!(!session.wants(at(9_100)).iter().any(is_way));
    assert_eq!(session.wants(at(9_500)).into_iter().find(is_way), Some(asked[0].clone()));
}

#[test]
fn of_another_journal_nothing_of_the_old_one_stays_selected() {
    let mut session = looking(&[]);
    session.take(chunk(7, 0, "old words\n"), at(0));
    session.take(event(101, Event::LookedOver), at(0));
    session.take(event(102, Event::LookedOver), at(0));
    press(&mut session, "4\u{2191}3\n", at(0));
    assert!(draw(&mut session, at(0)).contains("old words"));
    session.take(Message::Anew, at(0));
    session.take(state(500, &[]), at(0));
    assert_eq!((session.look.run, session.look.entry), (None, None));
    assert_eq!(*session.look.screen(), Screen::Runs);
    assert!(!draw(&mut session, at(0)).contains("old words"));
    assert_eq!(session.picture.fresh.next(at(0)), Some(crate::tui::picture::Fetch::State));
}

#[test]
fn an_event_that_is_selected_and_falls_out_gives_way_to_the_oldest() {
    let mut session = looking(&[]);
    (101..140).for_each(|id| session.take(event(id, Event::LookedOver), at(0)));
    press(&mut session, "4\u{2191}\u{2191}", at(0));
    assert_eq!(session.look.entry, Some(EventId(137)));
    (140..140 + crate::tui::HISTORY as u64).for_each(|id| session.take(event(id, Event::LookedOver), at(0)));
    assert!(draw(&mut session, at(0)).contains("event 140 at"), "the oldest that is kept is selected");
    press(&mut session, "\u{2193}", at(0));
    assert_eq!(session.look.entry, Some(EventId(141)));
}

#[test]
fn a_search_of_the_history_goes_on_with_what_happens() {
    let mut session = looking(&[]);
    let blocked = |version: &str| Event::VersionBlocked { version: version.into() };
    session.take(event(101, blocked("1.0.0")), at(0));
    press(&mut session, "4/2.0.0\n", at(0));
    assert!(draw(&mut session, at(0)).contains("0 events"));
    session.take(event(102, blocked("2.0.0")), at(0));
    session.take(event(103, blocked("1.0.0")), at(0));
    assert!(draw(&mut session, at(0)).contains("1 event"));
    let older =
        Arc::new(Envelope { id: EventId(50), at: at(0), fact: Fact::of(&"shop".into(), blocked("2.0.0")) });
    session.take(Message::Past(vec![older], true), at(0));
    assert!(draw(&mut session, at(0)).contains("2 events"));
}

fn recording(seconds: &[i64]) -> Recording {
    let line = |(id, second): (usize, &i64)| {
        let fact = Fact::of(&"shop".into(), Event::LookedOver);
        crate::wire::encode(&Envelope { id: EventId(id as u64 + 1), at: at(second * 1_000), fact })
    };
    let lines: Vec<String> = seconds.iter().enumerate().map(line).collect();
    Recording::read(lines.join("\n").as_bytes()).unwrap()
}

fn place(session: &Session) -> usize {
    session.player.as_ref().unwrap().place().0
}

#[test]
fn a_recording_goes_on_where_it_was_stopped_however_long_ago() {
    let palette = Palette { colour: false, unicode: true };
    let mut session = Session::replay("story", recording(&[0, 2, 4, 6, 8]), palette, 1.0, None, None);
    assert!(session.is_dirty(at(0)));
    session.is_dirty(at(2_500));
    assert_eq!(place(&session), 2);
    press(&mut session, " ", at(2_600));
    // Nothing wakes it while it is stopped.
    press(&mut session, " ", at(600_000));
    session.is_dirty(at(600_000));
    assert_eq!(place(&session), 2, "the time that it stood did not pass");
    session.is_dirty(at(601_600));
    assert_eq!(place(&session), 3);
    // Nor does the time that the program was suspended.
    session.redraw();
    session.is_dirty(at(900_000));
    session.is_dirty(at(900_100));
    assert_eq!(place(&session), 3);
}

#[test]
fn a_recording_makes_its_state_anew_only_when_it_is_another() {
    let palette = Palette { colour: false, unicode: true };
    let mut session = Session::replay("story", recording(&[0, 60]), palette, 1.0, None, None);
    let player = session.player.as_mut().unwrap();
    assert!(player.new_view(false).is_some());
    assert!(player.new_view(true).is_none(), "nothing happened, and no second passed");
    assert!(player.new_view(false).is_some(), "nothing is shown");
    player.seek(2);
    assert!(player.new_view(true).is_some());
}

/// How many events are told; more by the environment.
fn many() -> u64 {
    std::env::var("TIDEGATE_EVENTS").ok().and_then(|many| many.parse().ok()).unwrap_or(50_000)
}

#[test]
fn nothing_grows_for_ever_whatever_is_told() {
    let mut session = looking(&["1.0.0", "0.9.0"]);
    press(&mut session, "4/built\n", at(0));
    let mut offset = 0;
    for turn in 0..many() {
        let (id, run) = (101 + turn, RunId(turn / 2));
        let version: VersionLabel = format!("1.0.{}", turn % 50).as_str().into();
        let (sha, step) = ("c0ffee".into(), "make".into());
        let here = at(turn as i64);
        // Of every run the beginning is told, of none the end.
        let told = match turn % 2 {
            0 => Event::StepStart { run_id: run, sha, version: version.clone(), step },
            _ => Event::VersionBlocked { version: version.clone() },
        };
        session.take(event(id, told), here);
        // One line that never ends, and many runs that write.
        let text = "x".repeat(200);
        session.take(chunk(1_000_000_000, offset, &text), here);
        offset += text.len() as u64;
        session.take(chunk(run.0, 0, "a line\n"), here);
        if turn % 1_000 == 0 {
            session.take(Message::Cut("gone".into()), here);
            session.take(Message::Back, here);
            session.picture.ways.wanted(&("shop".into(), version), &session.picture.history, here);
            session.take(state(id, &["1.0.0"]), here);
            draw(&mut session, here);
            session.wants(here);
        }
    }
    let picture = &session.picture;
    assert!(picture.history.entries.len() <= crate::tui::HISTORY);
    assert!(matches!(picture.history.entries.back(), Some(Entry::Event(_))));
    assert!(picture.runs.all.len() <= 2_001, "{} runs", picture.runs.all.len());
    let (tails, bytes) = picture.logs.size();
    assert!(tails <= 24 && bytes <= 5 << 20, "{tails} logs of {bytes} bytes");
    assert!(picture.ways.len() <= 30);
    assert!(session.wants(at(many() as i64)).len() <= 5);
    assert!(session.look.stack.len() <= 2 && session.look.spots.len() <= 100);
}
