//! Every screen as it is drawn, at three sizes, with colours and without: kept as text beside the styles of its cells.
//! `UPDATE_EXPECT=1` writes them anew.

use crate::rules::world::*;
use chrono::TimeDelta;
use expect_test::expect_file;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use std::path::Path;
use std::sync::Arc;
use tidegate::domain::pipeline::*;
use tidegate::domain::*;
use tidegate::server::view::{StateView, Versions};
use tidegate::tui::{LogPart, Message, Palette, Refusal, Session, Want};
use tidegate::wire::Live;

const SIZES: [(u16, u16); 3] = [(60, 16), (80, 24), (160, 50)];

const HOSTILE: &str = "Fix \u{1b}[2Jprices\u{202e} 漢字漢字 e\u{301}\u{301}\ndone\u{7}";

/// Three pipelines: one in the middle of everything, one that does not build, one with names that are much too long.
pub(super) fn busy() -> World {
    let nodes: Vec<String> = (1..=20).map(|n| format!("web{n:02}")).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let prod = tier("prod").nodes(&nodes).waves(&[Wave::Count(1), Wave::Percent(25)]).confirmed_by(1);
    let prod = prod.verify("smoke");
    let tiers = [tier("host").gate("tests"), tier("staging").nodes(&["s1"]), prod];
    let mut w = World::with(shop(tiers).with(|p| p.description = Some("What customers see".into())));
    w.push("c1");
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.1".into() }).unwrap();
    w.wait(TimeDelta::hours(3));
    w.push_with("c2", |push| push.subject = HOSTILE.into());
    w.hold_run("prod/web05");
    w.deed(Deed::Confirm { tier: "prod".into(), version: "1.0.2".into() }).unwrap();
    w.wait(TimeDelta::minutes(70));
    w.push("c3");
    let named = |name: &str, tiers: Vec<Tier>| shop(tiers).with(|p| p.name = name.into());
    w.load(named("api", vec![tier("host"), tier("live").manual()]));
    let other = |name: &'static str| move |push: &mut Push| push.pipeline = name.into();
    w.push_with("c4", other("api"));
    w.script("compile", [Ends::Is(Classification::CheckFailed)]);
    w.push_with("c5", other("api"));
    let long = "a-pipeline-whose-name-is-much-too-long-for-any-board";
    let soak = tier("another-tier-with-a-long-name").with(|t| {
        t.promote.soak = Some(Span::seconds(7_800));
    });
    w.load(named(long, vec![tier("first-of-all-the-tiers"), soak]));
    w.push_with("c6", other(long));
    w.wait(TimeDelta::seconds(42));
    w
}

pub(super) fn session(w: &World, colour: bool) -> Session {
    let palette = Palette { colour, unicode: true };
    let mut session = Session::live("127.0.0.1:8433", palette, None);
    show(&mut session, w);
    session
}

pub(super) fn show(session: &mut Session, w: &World) {
    let versions = Versions { limit: 30, before: None };
    session.take(Message::State(Box::new(StateView::of(&w.state, w.now, versions, None))), w.now);
    session.take(Message::Back, w.now);
    let past = w.said.iter().cloned().map(Arc::new).collect();
    session.take(Message::Past(past, true), w.now);
}

pub(super) fn press(session: &mut Session, w: &World, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '→' => KeyCode::Right,
            '←' => KeyCode::Left,
            '↓' => KeyCode::Down,
            '↑' => KeyCode::Up,
            c => KeyCode::Char(c),
        };
        // What is drawn decides how far a page is.
        drawn(session, w, (80, 24));
        session.input(&Input::Key(KeyEvent::new(code, KeyModifiers::NONE)), w.now);
    }
}

pub(super) fn drawn(session: &mut Session, w: &World, (width, height): (u16, u16)) -> Buffer {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width, height });
    session.draw(&mut buffer, w.now);
    buffer
}

/// What it says, with the digits of times of the day masked: they go by the time zone of whoever looks.
pub(super) fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = tidegate::printable::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        text.push_str(masked(line.trim_end()).as_str());
        text.push('\n');
    }
    text
}

fn masked(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    let is = |chars: &[char], form: &str| {
        chars.len() >= form.len()
            && form.chars().zip(chars).all(|(f, c)| if f == '0' { c.is_ascii_digit() } else { f == *c })
    };
    for at in 0..chars.len() {
        for form in ["0000-00-00 00:00", "00-00 00:00", "00:00:00"] {
            if is(&chars[at..], form) {
                for c in chars.iter_mut().skip(at).take(form.len()).filter(|c| c.is_ascii_digit()) {
                    *c = 'h';
                }
            }
        }
    }
    chars.into_iter().collect()
}

/// The styles of its cells, a letter each.
fn styles(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let letters: String = (0..buffer.area.width).map(|x| letter(&buffer[(x, y)])).collect();
        text.push_str(letters.trim_end_matches('.'));
        text.push('\n');
    }
    text
}

fn letter(cell: &ratatui::buffer::Cell) -> char {
    let letter = match cell.fg {
        Color::Reset => '.',
        Color::Green => 'g',
        Color::Red => 'r',
        Color::Yellow => 'y',
        Color::Cyan => 'c',
        Color::DarkGray => 'd',
        other => panic!("{other:?} is none of our colours"),
    };
    assert_eq!(cell.bg, Color::Reset);
    match letter {
        _ if cell.modifier.contains(Modifier::REVERSED) => '#',
        '.' if cell.modifier.contains(Modifier::BOLD) => 'b',
        '.' if cell.modifier.contains(Modifier::DIM) => 'q',
        letter => letter,
    }
}

/// Draws it at every size, with and without colours, and compares.
#[track_caller]
fn golden(name: &str, w: &World, prepare: impl Fn(&mut Session)) {
    for size in SIZES {
        let [colour, plain] = [true, false].map(|colour| {
            let mut session = session(w, colour);
            prepare(&mut session);
            drawn(&mut session, w, size)
        });
        kept(name, size, &colour, &plain);
    }
}

#[track_caller]
fn kept(name: &str, (width, height): (u16, u16), colour: &Buffer, plain: &Buffer) {
    let shown = text(colour);
    assert_eq!(shown, text(plain), "colour is never needed");
    let is_safe = |c: char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c);
    assert!(shown.lines().all(|line| line.chars().all(is_safe)), "{shown:?}");
    let kept = match width {
        160.. => shown,
        _ => format!("{shown}\ncolours:\n{}\nwithout:\n{}", styles(colour), styles(plain)),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/tui/drawn");
    expect_file![folder.join(format!("{name}-{width}x{height}.txt"))].assert_eq(&kept);
}

#[test]
fn the_board() {
    let w = busy();
    golden("board", &w, |_| {});
    golden("board-by-name", &w, |session| press(session, &w, "s↓↓→→→"));
    golden("board-search", &w, |session| press(session, &w, "/api\n"));
}

#[test]
fn a_board_with_nothing_on_it() {
    let mut w = World::with(shop([tier("host")]));
    golden("board-fresh", &w, |_| {});
    w.state = State::default();
    golden("board-empty", &w, |_| {});
    for size in SIZES {
        let [colour, plain] = [true, false].map(|colour| {
            let mut session = Session::live("127.0.0.1:8433", Palette { colour, unicode: true }, None);
            drawn(&mut session, &w, size)
        });
        kept("connecting", size, &colour, &plain);
    }
}

#[test]
fn a_pipeline_and_a_version() {
    let w = busy();
    golden("pipeline", &w, |session| press(session, &w, "/shop\n\n↓"));
    golden("pipeline-tier", &w, |session| press(session, &w, "/shop\n→→→\n"));
    golden("version", &w, |session| press(session, &w, "/shop\n→→→v"));
}

#[test]
fn what_waits_runs_and_happened() {
    let w = busy();
    golden("waiting", &w, |session| press(session, &w, "2"));
    golden("runs", &w, |session| {
        log_of(session, &w);
        press(session, &w, "3");
    });
    golden("log", &w, |session| {
        log_of(session, &w);
        press(session, &w, "3\n");
    });
    golden("log-search", &w, |session| {
        log_of(session, &w);
        press(session, &w, "3\n/progress\n");
    });
    golden("history", &w, |session| press(session, &w, "4"));
    golden("history-filtered", &w, |session| press(session, &w, "4f"));
    golden("help", &w, |session| press(session, &w, "?"));
}

/// The run that goes on writes something, among it what nobody should write.
fn log_of(session: &mut Session, w: &World) {
    let run = *w.state.running.keys().next_back().expect("a run");
    let text =
        format!("uploading\n{HOSTILE}\nprogress 10%\rprogress 20%\n\u{1b}[31mred\u{1b}[0m tab\tstop\n");
    let bytes = text.len() as u64;
    let (tier, node) = ("prod".into(), "web05".into());
    let live = Live::DeployLogChunk { run_id: run, seq: 0, text, offset: 0, bytes, tier, node };
    session.take(Message::Chunk(Some("shop".into()), live), w.now);
}

#[test]
fn what_is_about_to_be_done() {
    let w = busy();
    golden("menu", &w, |session| press(session, &w, "/shop\n→→→a"));
    golden("dialog", &w, |session| press(session, &w, "/shop\n→→→Rtoo slow \u{202e}x"));
    golden("refused", &w, |session| {
        press(session, &w, "/shop\n→→→R\n");
        let wants = session.wants(w.now);
        let request = wants.iter().find_map(|want| match want {
            Want::Act(request) => Some(request.clone()),
            _ => None,
        });
        let request = request.unwrap_or_else(|| panic!("{wants:?}"));
        let refusal = Refusal {
            code: "TG-AUTH-002".into(),
            message: "this takes a token of role operator".into(),
            help: "`tidegate token create` makes one".into(),
            absent: false,
        };
        session.take(Message::Answer(request, Err(refusal)), w.now);
    });
    golden("menu-of-long-names", &w, |session| press(session, &w, "/much-too-long\n→→a↓↓"));
    golden("cannot", &w, |session| press(session, &w, "/shop\n→U"));
}

#[test]
fn cut_off_and_odd() {
    let w = busy();
    golden("cut", &w, |session| {
        let long_ago = w.now - TimeDelta::seconds(12);
        session.take(Message::Cut("no controller answers at http://127.0.0.1:8433".into()), long_ago);
    });
    golden("lagged", &w, |session| session.take(Message::Lagged(300, EventId(12)), w.now));
}

#[test]
fn a_terminal_of_ascii_only() {
    let w = busy();
    let palette = Palette { colour: false, unicode: false };
    let mut session = Session::live("127.0.0.1:8433", palette, None);
    show(&mut session, &w);
    let buffer = drawn(&mut session, &w, (80, 24));
    assert!(text(&buffer).is_ascii(), "{}", text(&buffer));
    kept("ascii", (80, 24), &buffer, &buffer);
}

#[test]
fn any_size_can_be_drawn_on() {
    let w = busy();
    for screen in ["", "2", "3", "3\n", "4", "?", "\n", "v", "a", "c"] {
        let mut session = session(&w, true);
        log_of(&mut session, &w);
        press(&mut session, &w, screen);
        for (width, height) in (0..70).map(|n| (n * 3, n)).chain((0..70).map(|n| (200 - n, 16 + n % 9))) {
            drawn(&mut session, &w, (width, height));
        }
    }
}

#[test]
fn selection_stays_with_what_is_selected() {
    let mut w = busy();
    let mut session = session(&w, false);
    press(&mut session, &w, "s↓↓");
    let before = text(&drawn(&mut session, &w, (80, 24)));
    assert!(before.contains(">shop"), "{before}");
    w.load(shop([tier("host")]).with(|p| p.name = "early".into()));
    w.load(shop([tier("host")]).with(|p| p.name = "another".into()));
    let view = StateView::of(&w.state, w.now, Versions { limit: 30, before: None }, None);
    session.take(Message::State(Box::new(view)), w.now);
    let after = text(&drawn(&mut session, &w, (80, 24)));
    assert!(after.contains(">shop"), "{after}");
}

#[test]
fn a_log_that_is_not_followed_stands_still() {
    let w = busy();
    let mut session = session(&w, false);
    let run = *w.state.running.keys().next_back().expect("a run");
    let lines = |from: usize, to: usize| -> String { (from..to).map(|n| format!("line {n}\n")).collect() };
    let bytes = lines(0, 500).into_bytes();
    let offset = bytes.len() as u64;
    session.take(Message::Log(run, Some(LogPart { from: 0, bytes, more: false })), w.now);
    press(&mut session, &w, "3\n↑↑");
    let before = text(&drawn(&mut session, &w, (80, 24)));
    assert!(before.contains("line 497\n") && !before.contains("line 498"), "{before}");
    let text_of_more = lines(500, 600);
    let live = Live::DeployLogChunk {
        run_id: run,
        seq: 1,
        bytes: text_of_more.len() as u64,
        text: text_of_more,
        offset,
        tier: "prod".into(),
        node: "web05".into(),
    };
    session.take(Message::Chunk(Some("shop".into()), live), w.now);
    assert_eq!(text(&drawn(&mut session, &w, (80, 24))), before);
    press(&mut session, &w, "G");
    assert!(text(&drawn(&mut session, &w, (80, 24))).contains("line 599"));
}
