//! The script that runs a command on a node, by itself and by every shell that a node may have as `/bin/sh`: what of it
//! depends on who reads its output, and on what else runs there.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidegate::remote::carry::RemoteCommand;

const PATIENCE: Duration = Duration::from_secs(30);

/// A session as sshd would start it.
struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// The shells of this machine that a node's `/bin/sh` may be.
fn shells() -> Vec<&'static [&'static str]> {
    let all: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];
    let is_there = |shell: &&[&str]| Command::new(shell[0]).args(["-c", "true"]).output().is_ok();
    all.into_iter().filter(is_there).collect()
}

/// A home folder with a lock that is held by `turn`.
fn home(parent: &TempDir, name: &str) -> PathBuf {
    let home = parent.path().join(name);
    fs::create_dir_all(home.join(".tidegate")).expect("a folder");
    fs::write(home.join(".tidegate/here.turn"), "turn\n").expect("written");
    home
}

impl Session {
    fn begin(shell: &[&str], home: &Path, run: &str) -> Session {
        let argv = ["sh", "-c", run].map(OsString::from);
        let command = RemoteCommand {
            argv: &argv,
            env: &[],
            machine: "here".as_ref(),
            turn: "turn",
            folder: &".".into(),
            grace: Duration::from_secs(1),
            expiry: Duration::from_secs(60),
            apart: false,
        };
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", "IFS= read -r s; eval \"$s\""])
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(b"mark=m;token=t;").expect("written");
        for (_, part) in command.to_variables().0 {
            stdin.write_all(part.as_encoded_bytes()).expect("written");
        }
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Session { child, stdin: Some(stdin), stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line
    }

    /// All that it still says, and its end.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        drop(self.stdin.take());
        self.child.wait().expect("it ends");
        rest
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_free(home: &Path) -> bool {
    let lock = home.join(".tidegate/here.steps");
    Command::new("flock").arg("-n").arg(lock).arg("true").status().expect("flock").success()
}

fn with(what: &str) -> usize {
    let mark = what.as_bytes().to_vec();
    crate::whole::world::those_that(|environ| environ.split(|byte| *byte == 0).any(|one| one == mark)).len()
}

#[test]
fn a_command_that_has_ended_keeps_nobody_from_the_node_although_nobody_reads_its_output() {
    let parent = tempfile::tempdir().expect("a folder");
    for shell in shells() {
        let home = home(&parent, shell[0]);
        // It is over once the pipe is full, and what it left in the background fills it for ever.
        let run = "(trap '' PIPE; exec yes) & sleep 0.5; echo over > $HOME/over; exit 3";
        let session = Session::begin(shell, &home, run);
        until("the command ends", || home.join("over").exists());
        until("the node is still held", || is_free(&home));
        let mut child = session.child;
        drop((session.stdout, session.stdin));
        child.wait().expect("it ends");
    }
}

#[test]
fn whoever_reads_the_events_of_a_command_holds_up_nobody() {
    let parent = tempfile::tempdir().expect("a folder");
    for shell in shells() {
        let home = home(&parent, shell[0]);
        let run = "exec 9<\"$TIDEGATE_EVENTS\"; cat <&9 >/dev/null 2>&1 & cat <&9 >/dev/null 2>&1 & \
                   cat <&9 >/dev/null 2>&1 & cat <&9 >/dev/null 2>&1 & sleep 0.2; echo over";
        let mut session = Session::begin(shell, &home, run);
        assert_eq!(session.line(), "\u{1e}m start\n");
        assert_eq!(session.line(), "over\n", "{shell:?}");
        assert_eq!(session.line(), "\u{1e}m end 0\n", "{shell:?}");
        until("the node is still held", || is_free(&home));
        // Nothing of ours stays once the controller has gone.
        drop(session.stdin.take());
        let mut child = session.child;
        until("the session ends", || {
            let pid = rustix::process::Pid::from_child(&child);
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
        });
        child.wait().expect("it ends");
        for (pid, _) in crate::whole::world::those_with(&home) {
            let pid = rustix::process::Pid::from_raw(pid).expect("a process");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn a_command_can_be_interrupted_where_env_can_see_to_that() {
    let has_env = Command::new("env").args(["--default-signal=INT", "true"]).output();
    if !has_env.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested here: `env` knows no `--default-signal`");
        return;
    }
    let parent = tempfile::tempdir().expect("a folder");
    for shell in shells() {
        let home = home(&parent, shell[0]);
        for _ in 0..2 {
            let run = "sh -c 'kill -s INT $$; echo deaf'; sh -c 'kill -s QUIT $$; echo deaf'; echo on";
            let said = Session::begin(shell, &home, run).rest_after_input();
            assert!(!said.contains("deaf") && said.contains("on\n"), "{shell:?}: {said}");
        }
    }
}

#[test]
fn what_left_the_group_is_found_wherever_the_home_folder_is() {
    let parent = tempfile::tempdir().expect("a folder");
    for shell in shells() {
        let home = home(&parent, &format!("{} a[b*", shell[0]));
        let run = "setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' & echo up; wait";
        let mut session = Session::begin(shell, &home, run);
        session.line();
        assert_eq!(session.line(), "up\n", "{shell:?}");
        let begin = Instant::now();
        drop(session.stdin.take());
        session.rest();
        let took = begin.elapsed();
        assert_eq!(with(&format!("HOME={}", home.display())), 0, "{shell:?}: it lives on");
        assert!(took < Duration::from_secs(10), "{shell:?}: {took:?} of a second's grace");
    }
}

impl Session {
    /// All that it says while its input stays open until it has told how the command ended.
    fn rest_after_input(mut self) -> String {
        let mut all = String::new();
        loop {
            let line = self.line();
            all.push_str(&line);
            if line.is_empty() || line.starts_with("\u{1e}m end") {
                break;
            }
        }
        drop(self.stdin.take());
        all + &self.rest()
    }
}

#[test]
fn a_lock_that_cannot_be_taken_is_said() {
    let parent = tempfile::tempdir().expect("a folder");
    for shell in shells() {
        let home = home(&parent, shell[0]);
        fs::create_dir(home.join(".tidegate/here.steps")).expect("a folder");
        let said = Session::begin(shell, &home, "echo ran").rest();
        assert!(said.contains("m no ") && !said.contains("ran"), "{shell:?}: {said}");
    }
}
