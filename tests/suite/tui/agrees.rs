//! The picture of a recording is the controller's own: at any event, forward and back.

use crate::simulation::history;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use tidegate::domain::{Envelope, EventId, State, Time, apply};
use tidegate::server::view::{StateView, Versions};
use tidegate::tui::{Palette, Recording, Session};

/// Stories of the simulation that are played.
const SEEDS: u64 = 25;

/// What the controller showed right after an event.
fn shown(events: &[Envelope], last: EventId) -> StateView {
    let mut state = State::default();
    let past = events.iter().take_while(|event| event.id <= last);
    let at = past.inspect(|event| apply(&mut state, event)).last().expect("an event").at;
    StateView::of(&state, at, Versions { limit: 30, before: None }, None)
}

fn played(lines: &str, from: EventId) -> Session {
    let recording = Recording::read(lines.as_bytes()).expect("a recording");
    let palette = Palette { colour: false, unicode: true };
    Session::replay("story", recording, palette, 1.0, Some(from), None)
}

fn press(session: &mut Session, key: char, here: Time) {
    session.input(&Input::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)), here);
}

#[test]
fn a_recording_shows_what_the_controller_showed() {
    let here = chrono::DateTime::UNIX_EPOCH;
    for seed in 0..SEEDS {
        let lines = history(seed);
        let events: Vec<Envelope> = lines.iter().map(|line| tidegate::wire::decode(line).unwrap()).collect();
        let (text, last) = (lines.join("\n"), events.last().unwrap().id);
        for part in [1, 3, 5, 8, 10] {
            let at = EventId((last.0 * part / 10).max(1));
            let session = played(&text, at);
            assert_eq!(session.state(), Some(shown(&events, at)), "seed {seed}, event {at}");
        }
        // Forward and back: stopped, so that no time passes.
        let mut session = played(&text, last);
        press(&mut session, ' ', here);
        for key in [',', '[', '[', ',', '.', ']', '[', '[', '.', '['] {
            press(&mut session, key, here);
            assert_eq!(session.state(), Some(shown(&events, session.last())), "seed {seed}, `{key}`");
            let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: 80, height: 24 });
            session.draw(&mut buffer, here);
        }
    }
}
