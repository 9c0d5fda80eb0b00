//! Everything that the command line says to a person goes through a real terminal here and is read back by a terminal's
//! parser: whatever pushers and steps write, only our own colours act on it.

use super::SHOP;
use super::world::World;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

const ROWS: u16 = 4_000;
const COLUMNS: u16 = 400;

/// What a terminal must not act on: titles, clipboards, links, device control, window orders, other screens, moves of
/// the cursor, requests that it would answer, and what only misleads the eye.
fn hostile() -> Vec<Vec<u8>> {
    let text: &[&str] = &[
        "\x1b]0;owned\x07",
        "\x1b]2;owned\x1b\\",
        "\x1b]8;;https://evil.test\x1b\\here\x1b]8;;\x1b\\",
        "\x1b]52;c;cm0gLXJmIH4=\x07",
        "\x1b]52;c;?\x07",
        "\x1b]4;1;rgb:ff/00/00\x07",
        "\x1b]9;done\x07",
        "\x1b]1337;File=:AAAA\x07",
        "\x1bP$q\"p\x1b\\",
        "\x1bP+q544e\x1b\\",
        "\x1b_Gf=24;AAAA\x1b\\",
        "\x1b^secret\x1b\\",
        "\x1b[21t",
        "\x1b[3;0;0t",
        "\x1b[8;10;10t",
        "\x1b[6n",
        "\x1b[c",
        "\x1b[2J",
        "\x1b[1;1H",
        "\x1b[5A",
        "\x1b[2K",
        "\x1b[?1049h",
        "\x1b[?25l",
        "\x1b[?2004h",
        "\x1b[?1000h",
        "\x1bc",
        "\x1b7\x1b8",
        "\x1bM",
        "\x1b#8",
        "\x1b(0",
        "\x0e",
        "\x05",
        "\x07\x07",
        "passed\x08\x08\x08\x08\x08\x08failed",
        "failed\rpassed",
        "\x0b\x0c",
        "\u{9b}2J",
        "\u{9d}0;owned\u{9c}",
        "\u{90}$q\"p\u{9c}",
        "\u{85}\u{8d}",
        "\u{202e}txt.exe\u{202c}",
        "\u{2066}a\u{2069}\u{200f}\u{200b}",
        "\x7f",
    ];
    let mut all: Vec<Vec<u8>> = text.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend([b"\x9b2J".to_vec(), b"\x9d0;owned\x9c".to_vec(), b"\xff\xfe".to_vec()]);
    all.push(format!("e{}", "\u{301}".repeat(5_000)).into_bytes());
    all
}

/// All of it, each between words.
fn all_of_it(between: &[u8]) -> Vec<u8> {
    hostile().iter().flat_map(|one| [b"word ", one.as_slice(), between].concat()).collect()
}

/// What is text, and short enough for a line.
fn one_line() -> String {
    let short = hostile().into_iter().filter(|one| one.len() < 100);
    short.filter_map(|one| String::from_utf8(one).ok()).collect::<Vec<_>>().join(" word ")
}

/// What a command writes to a terminal until it ends or has written `enough`.
fn on_a_terminal(world: &World, arguments: &[&str], enough: Option<&str>) -> Vec<u8> {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("granted");
    unlockpt(&terminal).expect("unlocked");
    let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a size");
    let theirs =
        ioctl_tiocgptpeer(&terminal, OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("its other end");
    let mut command = world.program();
    command
        .args(arguments)
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command.stdout(theirs.try_clone().expect("a copy")).stderr(theirs);
    let mut child = command.spawn().expect("tidegate runs");
    drop(command);
    let mut said = Vec::new();
    let mut terminal = File::from(terminal);
    let (begin, mut piece) = (Instant::now(), vec![0; 64 << 10]);
    // The end is an error (EIO) on Linux.
    while let Ok(read @ 1..) = terminal.read(&mut piece) {
        said.extend(&piece[..read]);
        let text = String::from_utf8_lossy(&said);
        if enough.is_some_and(|enough| text.contains(enough)) {
            child.kill().expect("ended");
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{arguments:?} goes on: {text}");
    }
    child.wait().expect("its end");
    said
}

/// What a terminal was told beside text.
#[derive(Default)]
struct Heard(Vec<String>);

impl vt100::Callbacks for Heard {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.0.push("a bell".into());
    }
    fn visual_bell(&mut self, _: &mut vt100::Screen) {
        self.0.push("a flash".into());
    }
    fn resize(&mut self, _: &mut vt100::Screen, size: (u16, u16)) {
        self.0.push(format!("the size {size:?}"));
    }
    fn set_window_icon_name(&mut self, _: &mut vt100::Screen, name: &[u8]) {
        self.0.push(format!("the icon {name:?}"));
    }
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.0.push(format!("the title {title:?}"));
    }
    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.0.push(format!("the clipboard {data:?}"));
    }
    fn paste_from_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8]) {
        self.0.push("what is in the clipboard?".into());
    }
    fn unhandled_control(&mut self, _: &mut vt100::Screen, byte: u8) {
        if byte != b'\r' && byte != b'\n' {
            self.0.push(format!("the control {byte:#x}"));
        }
    }
    fn unhandled_escape(&mut self, _: &mut vt100::Screen, _: Option<u8>, _: Option<u8>, byte: u8) {
        self.0.push(format!("the escape {byte:#x}"));
    }
    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        _: Option<u8>,
        _: Option<u8>,
        _: &[&[u16]],
        end: char,
    ) {
        self.0.push(format!("the sequence {end}"));
    }
    fn unhandled_osc(&mut self, _: &mut vt100::Screen, _: &[&[u8]]) {
        self.0.push("an order to the system".into());
    }
}

/// What a terminal did other than show text in our colours, line after line.
fn offences(said: &[u8]) -> Vec<String> {
    let mut parser = vt100::Parser::new_with_callbacks(ROWS, COLUMNS, 0, Heard::default());
    parser.process(b"above\r\n");
    parser.process(said);
    let mut found = std::mem::take(&mut parser.callbacks_mut().0);
    let screen = parser.screen();
    if screen.rows(0, COLUMNS).next().as_deref() != Some("above") {
        found.push("what stood above is gone".into());
    }
    if screen.alternate_screen() || screen.hide_cursor() || screen.bracketed_paste() {
        found.push("another mode".into());
    }
    if screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None {
        found.push("the mouse".into());
    }
    found.extend(sequences(&String::from_utf8_lossy(said)));
    found
}

/// Characters that a terminal acts on or an eye misses, beyond line ends and SGR.
fn sequences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut rest, mut marks) = (text, 0);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        marks = if ('\u{300}'..='\u{36f}').contains(&c) { marks + 1 } else { 0 };
        let is_fine = match c {
            '\n' | '\t' => true,
            '\r' => rest.starts_with('\n'),
            '\x1b' => {
                let body = rest.split('m').next().unwrap_or_default();
                body.strip_prefix('[')
                    .is_some_and(|codes| codes.chars().all(|c| c.is_ascii_digit() || c == ';'))
            }
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => false,
            c => !c.is_control() && marks < 100,
        };
        if !is_fine {
            found.push(format!("{c:?} before {:?}", rest.chars().take(20).collect::<String>()));
        }
    }
    found
}

#[test]
fn the_reader_of_these_tests_sees_offences() {
    let quiet = ["word ", "passed failed"];
    for bytes in hostile() {
        assert!(
            !offences(&bytes).is_empty()
                || bytes.starts_with(b"\xff")
                || bytes.starts_with(b"\x9b")
                || bytes.starts_with(b"\x9d"),
            "{bytes:?}"
        );
    }
    for text in quiet {
        assert_eq!(offences(text.as_bytes()), [""; 0]);
    }
    assert_eq!(offences(b"\x1b[1;31mred\x1b[0m\r\nplain\r\n"), [""; 0]);
}

/// A pipeline whose step writes `hostile`, and whose gate says it in its reason, too.
const LOUD: &str = r#"
[source]
repo = $REPO
refs = ["**"]

[[build.step]]
name = "make"
run = "cat hostile; cat hostile >&2"

[[tier]]
name = "host"

[[tier.gate]]
name = "says"
kind = "command"
run = "cat hostile; cat said >> $TIDEGATE_EVENTS"
"#;

#[test]
fn only_our_own_colours_reach_a_terminal() {
    let mut world = World::new(LOUD);
    let line = one_line();
    let said = serde_json::json!({"kind": "blocked", "reason": line, "help": line});
    let more =
        serde_json::json!({"kind": "annotation", "level": "error", "file": line, "line": 1, "message": line});
    fs::write(world.path("work/hostile"), all_of_it(b"\n")).expect("a file");
    world.commit("1.0.0", &[("said", &format!("{said}\n{more}\n"))]);
    // Git takes no control characters in an author that end a line, and none of C0 in a ref.
    let author = format!("{} <ann@example.org>", line.replace(['<', '>', '\n', '\0'], ""));
    world.git("work", &["commit", "-q", "--amend", "--cleanup=verbatim", "--author", &author, "-m", &line]);
    let branch = "HEAD:refs/heads/odd\u{202e}\u{9b}2J\u{9d}0;owned\u{9c}";
    world.git("work", &["push", "-q", "origin", branch]);
    let done = world.wait("gate_done", &[("name", "says")]);
    assert_eq!(done["outcome"]["classification"], "step_says", "{done}");
    world.wait("promote_blocked", &[("tier", "host")]);
    fs::create_dir(world.path("bad")).expect("a folder");
    let bad =
        format!("name = {line:?}\n[\u{9b}2J\n{line}\n[[tier]]\nnmae = \"\u{202e}\u{9d}0;owned\u{9c}\"\n");
    fs::write(world.path("bad/\u{9b}2J\x1b]0;owned\x07.toml"), bad).expect("a file");
    let (run, last) = (done["run_id"].to_string(), done["id"].to_string());
    let build =
        world.heard.iter().find(|event| event["kind"] == "step_done").expect("a step")["run_id"].to_string();
    let commands: &[&[&str]] = &[
        &["status"],
        &["status", "--short"],
        &["status", "--json"],
        &["why", "shop", "host"],
        &["why", "shop", "host", "--json"],
        &["events"],
        &["logs", &run],
        &["logs", &build],
        &["logs", &build, "--json"],
        &["check", "bad"],
        &["check", "bad", "--json"],
        &["plan", "pipelines/shop.toml"],
        &["doctor", "--pipelines", "bad"],
        &["run", "pipelines/shop.toml", "--dir", "work"],
        &["why", &line, &line],
        &["rebuild", "shop", &line],
        &["hold", "shop", "--why", &line],
        &["status"],
    ];
    for arguments in commands {
        let said = on_a_terminal(&world, arguments, None);
        assert!(!said.is_empty(), "{arguments:?} says nothing");
        // What takes the last line of `run` away is ours; nothing that comes from outside may hold it.
        let said = String::from_utf8_lossy(&said).replace("\r\u{1b}[K", "").into_bytes();
        let found = offences(&said);
        assert!(
            found.is_empty(),
            "{arguments:?}: {found:#?} in {}",
            String::from_utf8_lossy(&said).escape_debug()
        );
    }
    let said =
        on_a_terminal(&world, &["events", "--follow", "--since", "0"], Some(&format!("\"id\":{last},")));
    assert_eq!(offences(&said), [""; 0], "events --follow");
}

#[test]
fn a_run_shows_on_its_last_line_what_goes_on_and_leaves_the_lines_above_whole() {
    let slow = SHOP.replace(
        "run = \"! grep -q",
        "run = \"printf half; while ! test -e $PLACE/go; do sleep 0.05; done; echo; ! grep -q",
    );
    let world = World::unborn(&slow);
    std::fs::write(world.path("work/VERSION"), "1.0.0\n").expect("a file");
    let mut screen = vt100::Parser::new(ROWS, COLUMNS, 0);
    let arguments = ["run", "pipelines/shop.toml", "--dir", "work"];
    let said = on_a_terminal(&world, &arguments, Some("1/2 done | host: test "));
    screen.process(&said);
    let shown = screen.screen().contents();
    let last = shown.lines().last().expect("a line");
    assert!(last.starts_with("> 1/2 done | host: test "), "{shown}");
    std::fs::write(world.path("place/go"), "").expect("a file");
    let mut screen = vt100::Parser::new(ROWS, COLUMNS, 0);
    screen.process(&on_a_terminal(&world, &arguments, None));
    let shown = screen.screen().contents();
    assert!(!shown.contains(" done |") && shown.contains("test | half\n"), "{shown}");
    assert!(shown.lines().last().expect("a line").ends_with("2 of 2 passed"), "{shown}");
}
