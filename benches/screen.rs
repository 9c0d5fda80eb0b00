//! How long it takes to draw a frame: a log of 10,000 lines of which a screen is shown, and the same while it is searched.

mod figures;

use chrono::{TimeZone as _, Utc};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use std::time::Instant;
use tidegate::domain::{RunId, State, Time};
use tidegate::server::view::{StateView, Versions};
use tidegate::tui::{Message, Palette, Session};
use tidegate::wire::Live;

const LINES: usize = 10_000;

fn main() {
    let now = Utc.with_ymd_and_hms(2026, 11, 26, 9, 0, 0).unwrap();
    let frames = if figures::is_quick() { 200 } else { 1_000 };
    let mut session = session(now);
    let log = frame_ms(&mut session, now, frames);
    figures::row("frame, log of 10,000 lines", "ms", log, None, "≤ 5");
    for key in "/7".chars() {
        press(&mut session, KeyCode::Char(key), now);
    }
    press(&mut session, KeyCode::Enter, now);
    let searched = frame_ms(&mut session, now, frames / 10);
    figures::row("frame, the same searched", "ms", searched, None, "≤ 33");
}

/// Somebody who looks at a log.
fn session(now: Time) -> Session {
    let mut session = Session::live("127.0.0.1:8433", Palette { colour: true, unicode: true }, None);
    let view = StateView::of(&State::default(), now, Versions { limit: 30, before: None }, None);
    session.take(Message::State(Box::new(view)), now);
    session.take(Message::Back, now);
    let text: String =
        (0..LINES).map(|n| format!("{n} compiling a crate v0.1.{n} (/src/crates/{n})\n")).collect();
    let bytes = text.len() as u64;
    let live = Live::BuildLogChunk { run_id: RunId(1), seq: 0, text, offset: 0, bytes, step: "make".into() };
    session.take(Message::Chunk(Some("shop".into()), live), now);
    let mut buffer = Buffer::empty(area());
    session.draw(&mut buffer, now);
    press(&mut session, KeyCode::Char('3'), now);
    session.draw(&mut buffer, now);
    press(&mut session, KeyCode::Enter, now);
    session
}

fn area() -> Rect {
    Rect { x: 0, y: 0, width: 160, height: 50 }
}

fn press(session: &mut Session, code: KeyCode, now: Time) {
    session.input(&Input::Key(KeyEvent::new(code, KeyModifiers::NONE)), now);
}

/// The median of so many frames.
fn frame_ms(session: &mut Session, now: Time, frames: usize) -> f64 {
    let mut took: Vec<f64> = (0..frames)
        .map(|_| {
            let mut buffer = Buffer::empty(area());
            let begin = Instant::now();
            session.draw(&mut buffer, now);
            begin.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}
