//! However it ends, the terminal is as it was; and where there is none, that is said.

use super::Watcher;
use crate::whole::SHOP;
use crate::whole::refused::{MODES, THREADS};
use crate::whole::world::World;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Action, LocalModes, OptionalActions, tcflow, tcgetattr, tcsetattr};
use std::time::{Duration, Instant};

#[test]
fn signals_and_keys_end_it_and_give_the_terminal_back() {
    let world = World::new(SHOP);
    for (signal, status) in [(Signal::TERM, 130), (Signal::HUP, 130), (Signal::INT, 130), (Signal::QUIT, 130)]
    {
        let mut watcher = Watcher::new(&world, &[], (80, 24));
        watcher.sees("live, event");
        kill_process(Pid::from_child(&watcher.child), signal).expect("told");
        assert_eq!(watcher.ends(), Some(status), "{signal:?}");
    }
    for key in ["q", "\x03"] {
        let mut watcher = Watcher::new(&world, &[], (80, 24));
        watcher.sees("live, event");
        watcher.press(key);
        assert_eq!(watcher.ends(), Some(0), "{key:?}");
    }
}

/// Begins it, says which stop it is when it is stopped, and goes on with it at Enter. The number is what tells a
/// stop from the one before, whose line is still on the screen: an Enter that comes before the shell has taken the
/// terminal back is thrown away with what else was typed.
const JOB: &str = r#""$0" watch; n=0
while jobs %1 >/dev/null 2>&1; do n=$((n+1)); echo "(stop $n)"; read -r _; fg >/dev/null; done"#;

#[test]
fn it_is_suspended_and_comes_back() {
    let world = World::new(SHOP);
    let mut watcher = Watcher::in_shell(&world, JOB, (80, 24));
    watcher.sees("live, event");
    let job = watcher.job();
    // By its key, and from outside.
    for round in 0..2 {
        match round {
            0 => watcher.press("\x1a"),
            _ => kill_process(job, Signal::TSTP).expect("told"),
        }
        watcher.sees(&format!("(stop {})", round + 1));
        watcher.is_given_back();
        watcher.press("\n");
        watcher.sees("live, event");
    }
    watcher.press("q");
    watcher.until("its end", |text| !text.contains("live, event"));
    assert_eq!(watcher.child.wait().expect("its end").code(), Some(0));
    watcher.is_given_back();
}

#[test]
fn one_that_was_stopped_by_force_takes_the_terminal_anew() {
    let world = World::new(SHOP);
    let mut watcher = Watcher::in_shell(&world, JOB, (80, 24));
    watcher.sees("live, event");
    kill_process(watcher.job(), Signal::STOP).expect("told");
    watcher.sees("(stop 1)");
    // Whoever comes by sets the terminal as a shell has it.
    tcsetattr(&watcher.theirs, OptionalActions::Now, &watcher.before).expect("set");
    watcher.press("\n");
    watcher.until("the screen", |text| text.contains("live, event") && !text.contains("(stop 1)"));
    let modes = tcgetattr(&watcher.theirs).expect("its modes").local_modes;
    assert!(!modes.contains(LocalModes::ICANON), "keys would come by the line");
    watcher.press("q");
    assert_eq!(watcher.child.wait().expect("its end").code(), Some(0));
    watcher.is_given_back();
}

#[test]
fn without_a_shell_to_come_back_to_it_is_not_suspended() {
    let world = World::new(SHOP);
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("live, event");
    watcher.press("\x1a");
    watcher.sees("no shell is there");
    watcher.press("4");
    watcher.sees("── everything");
    watcher.press("q");
    assert_eq!(watcher.ends(), Some(0));
}

/// Whether a program's first thread waits in a call that writes, for a tenth of a second.
fn writes(pid: Pid) -> bool {
    let call = || {
        let pid = pid.as_raw_nonzero();
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/syscall")).expect("its call")
    };
    let is_write = |call: &str| call.split(' ').next() == Some(libc::SYS_write.to_string().as_str());
    let before = call();
    is_write(&before) && {
        std::thread::sleep(Duration::from_millis(100));
        call() == before
    }
}

#[test]
fn a_second_signal_ends_it_though_the_terminal_takes_nothing() {
    let world = World::new(SHOP);
    let mut watcher = Watcher::new(&world, &[], (300, 100));
    watcher.sees("live, event");
    tcflow(&watcher.theirs, Action::OOff).expect("stopped");
    // More than the terminal takes: until it waits in a call that writes.
    let pid = Pid::from_child(&watcher.child);
    let begin = Instant::now();
    for key in ["?", "4", "1"].iter().cycle() {
        if writes(pid) {
            break;
        }
        assert!(begin.elapsed() < super::PATIENCE, "the terminal takes all of it");
        watcher.press(key);
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(pid, Signal::TERM).expect("told");
    std::thread::sleep(Duration::from_millis(200));
    assert!(watcher.child.try_wait().expect("asked").is_none(), "it waits for the terminal");
    // Where the first has not been heard yet, the second is one with it: so there may be a third.
    let status = loop {
        kill_process(pid, Signal::TERM).expect("told");
        std::thread::sleep(Duration::from_secs(1));
        if let Some(status) = watcher.child.try_wait().expect("asked") {
            break status;
        }
        assert!(begin.elapsed() < 2 * super::PATIENCE, "it does not end");
    };
    assert_eq!(status.code(), Some(130));
    let now = tcgetattr(&watcher.theirs).expect("its modes");
    assert_eq!(now.local_modes, watcher.before.local_modes);
}

#[test]
fn without_a_terminal_or_a_controller_it_says_what_to_do() {
    let world = World::unborn(SHOP);
    let (status, said) = world.ends(&["watch"]);
    assert_eq!(status, 2);
    assert!(said.contains("tidegate status") && said.contains("tidegate events"), "{said}");
    let mut watcher = Watcher::new(&world, &["--url", "http://127.0.0.1:1"], (80, 24));
    watcher.sees("no controller answers");
    assert_eq!(watcher.ends(), Some(4));
    let world = World::new(SHOP);
    let mut watcher = Watcher::new(&world, &["shpo"], (80, 24));
    watcher.sees("there are `shop`");
    assert_eq!(watcher.ends(), Some(2));
}

#[test]
fn where_nothing_can_be_drawn_that_is_said() {
    let world = World::unborn(SHOP);
    let mut watcher = Watcher::in_shell(&world, r#"TERM=dumb "$0" watch"#, (80, 24));
    watcher.sees("error[TG-CLI-026]");
    assert_eq!(watcher.ends(), Some(2));
    let world = World::new(SHOP);
    let mut watcher = Watcher::refused(&world, &["watch"], MODES);
    watcher.sees("error[TG-CLI-027]");
    assert_eq!(watcher.ends(), Some(1));
}

/// A system without threads to spare makes it panic once the terminal is taken.
#[test]
fn a_panic_gives_the_terminal_back_and_then_says_what_it_was() {
    let world = World::new(SHOP);
    let story = world.good(&["events", "--since", "0", "--json"]);
    std::fs::write(world.path("story"), story).expect("a file");
    let mut watcher = Watcher::refused(&world, &["watch", "--replay", "story"], THREADS);
    assert_eq!(watcher.ends(), Some(101));
    let text = watcher.text();
    assert!(text.contains("panicked at") && text.contains("thread"), "{text}");
    let was_taken = watcher.heard.windows(8).any(|bytes| bytes == b"\x1b[?1049h");
    assert!(was_taken, "it panics on the other screen");
}

#[test]
fn whoever_says_no_to_the_demo_ends_it() {
    let world = World::unborn(SHOP);
    let mut watcher = Watcher::of(&world, &["demo"], (120, 40));
    watcher.sees("[Y/n]");
    watcher.press("n\r");
    watcher.sees("error[TG-DEMO-005]");
    assert_eq!(watcher.child.wait().expect("its end").code(), Some(130));
}
