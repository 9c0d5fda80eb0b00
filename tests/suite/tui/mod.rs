//! The screens of the real program on a real terminal, read back by a terminal's parser, over the real controller.

mod acts;
mod agrees;
mod board;
mod drawn;
mod ends;
mod fits;
mod jumps;
mod offers;
mod recorded;
mod searches;
mod shows;
mod steered;

use crate::whole::refused::{self, refuse};
use crate::whole::world::World;
use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who watches: a terminal, what it shows, and the program in it.
struct Watcher {
    child: Child,
    keys: File,
    said: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// The other end, so that the terminal lives on when the program has gone.
    theirs: OwnedFd,
    before: Termios,
    /// Bytes that came in all.
    heard: Vec<u8>,
    /// How often it was looked at whether the terminal is given back.
    marks: usize,
}

impl Watcher {
    /// Starts `tidegate watch` with these arguments on a terminal of that size.
    fn new(world: &World, arguments: &[&str], (columns, rows): (u16, u16)) -> Watcher {
        Watcher::of(world, &[&["watch"], arguments].concat(), (columns, rows))
    }

    fn of(world: &World, arguments: &[&str], size: (u16, u16)) -> Watcher {
        let program = world.program();
        let program = program.get_program().to_str().expect("a path of letters").to_owned();
        Watcher::by(world, &[&[program.as_str()], arguments].concat(), size)
    }

    /// Starts it from a shell with a script, in which `$0` is the program: one that keeps jobs, as a person's does.
    fn in_shell(world: &World, script: &str, size: (u16, u16)) -> Watcher {
        let program = world.program();
        let program = program.get_program().to_str().expect("a path of letters").to_owned();
        Watcher::by(world, &["sh", "-m", "-c", script, &program], size)
    }

    /// Starts it where some calls fail.
    fn refused(world: &World, arguments: &[&str], calls: &[refused::Call]) -> Watcher {
        let program = world.program();
        let program = program.get_program().to_str().expect("a path of letters").to_owned();
        let line = [&[program.as_str()], arguments].concat();
        Watcher::started(world, &line, (80, 24), |command| refuse(command, calls))
    }

    fn by(world: &World, line: &[&str], size: (u16, u16)) -> Watcher {
        Watcher::started(world, line, size, |_| {})
    }

    fn started(
        world: &World,
        line: &[&str],
        (columns, rows): (u16, u16),
        adjust: impl FnOnce(&mut Command),
    ) -> Watcher {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("granted");
        unlockpt(&terminal).expect("unlocked");
        tcsetwinsize(&terminal, size(columns, rows)).expect("a size");
        let theirs =
            ioctl_tiocgptpeer(&terminal, OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("its other end");
        let before = tcgetattr(&theirs).expect("its modes");
        // The terminal must be the program's own, or it would not hear of a new size.
        let program = world.program();
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(line);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(program.get_current_dir().expect("a folder"));
        command
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("RUST_BACKTRACE", "0");
        let copy = || Stdio::from(theirs.try_clone().expect("a copy"));
        command.stdin(copy()).stdout(copy()).stderr(copy());
        adjust(&mut command);
        let child = command.spawn().expect("tidegate watch starts");
        let keys = File::from(terminal.try_clone().expect("a copy"));
        let mut terminal = File::from(terminal);
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            while let Ok(read @ 1..) = terminal.read(&mut piece) {
                if sender.send(piece[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let parser = vt100::Parser::new(rows, columns, 0);
        Watcher { child, keys, said, parser, theirs, before, heard: Vec::new(), marks: 0 }
    }

    /// The program that a shell has begun.
    fn job(&self) -> Pid {
        let shell = self.child.id();
        let all =
            std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("its children");
        let one = all.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a child");
        Pid::from_raw(one).expect("a process")
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        tcsetwinsize(&self.keys, size(columns, rows)).expect("a size");
        self.parser.screen_mut().set_size(rows, columns);
    }

    fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// Reads until the screen is like that.
    fn until(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let text = self.text();
            if fits(&text) {
                return text;
            }
            let left = PATIENCE.saturating_sub(begin.elapsed());
            match self.said.recv_timeout(left) {
                Ok(bytes) => {
                    self.heard.extend(&bytes);
                    self.parser.process(&bytes);
                }
                Err(_) => panic!("{what} is not shown:\n{text}"),
            }
        }
    }

    fn sees(&mut self, text: &str) -> String {
        self.until(&format!("`{text}`"), |screen| screen.contains(text))
    }

    /// Where a text stands on the screen: column and row, from zero.
    fn place(&self, text: &str) -> (u16, u16) {
        let screen = self.parser.screen();
        let rows = screen.rows(0, screen.size().1);
        for (row, line) in rows.enumerate() {
            if let Some(at) = line.find(text) {
                return (line[..at].chars().count() as u16, row as u16);
            }
        }
        panic!("`{text}` is not there:\n{}", self.text());
    }

    fn click(&mut self, (column, row): (u16, u16)) {
        self.press(&format!("\x1b[<0;{};{}M\x1b[<0;{};{}m", column + 1, row + 1, column + 1, row + 1));
    }

    /// Waits for its end; asserts that the terminal is as it was; the exit status.
    fn ends(&mut self) -> Option<i32> {
        let status = self.child.wait().expect("its end");
        self.is_given_back();
        status.code()
    }

    /// Asserts that the terminal is as it was before.
    fn is_given_back(&mut self) {
        // Everything that was said before the end is in the pipe: a mark of ours comes after it.
        let mut end = File::from(self.theirs.try_clone().expect("a copy"));
        // Each with its number: that of the last time may still stand there.
        self.marks += 1;
        let mark = format!("(that is all: {})", self.marks);
        end.write_all(mark.as_bytes()).expect("a mark");
        self.sees(&mark);
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen(), "the other screen stays");
        assert!(!screen.hide_cursor(), "the cursor stays hidden");
        assert!(!screen.bracketed_paste(), "pastes stay marked");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse stays taken");
        let now = tcgetattr(&self.theirs).expect("its modes");
        assert_eq!(now.local_modes, self.before.local_modes, "what is typed is handled otherwise");
        assert_eq!(now.input_modes, self.before.input_modes);
        assert_eq!(now.output_modes, self.before.output_modes);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
