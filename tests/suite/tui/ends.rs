//! However it ends, the terminal is as it was; and where there is none, that is said.

use super::Watcher;
use crate::whole::SHOP;
use crate::whole::world::World;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

#[test]
fn signals_and_keys_end_it_and_give_the_terminal_back() {
    let world = World::new(SHOP);
    for (signal, status) in [(Signal::TERM, 130), (Signal::HUP, 130), (Signal::INT, 130)] {
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

#[test]
fn it_is_suspended_and_comes_back() {
    let world = World::new(SHOP);
    let mut watcher = Watcher::new(&world, &[], (80, 24));
    watcher.sees("live, event");
    watcher.press("\x1a");
    let pid = Pid::from_child(&watcher.child);
    let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("waited").expect("a change");
    assert!(stopped.1.stopped(), "{stopped:?}");
    watcher.is_given_back();
    kill_process(pid, Signal::CONT).expect("told");
    watcher.sees("live, event");
    watcher.press("q");
    assert_eq!(watcher.ends(), Some(0));
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
