//! What another process of the same user finds out about the controller and about what runs its steps: nothing. And neither
//! leaves a core file.

use super::SHOP;
use super::world::World;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// A user who is nobody, where this is root.
const NOBODY: u32 = 65_534;

fn give(place: &Path) {
    chown(place, Some(NOBODY), Some(NOBODY)).expect("given");
    for entry in std::fs::read_dir(place).expect("a folder").flatten() {
        match entry.file_type().expect("a kind").is_dir() {
            true => give(&entry.path()),
            false => chown(entry.path(), Some(NOBODY), Some(NOBODY)).expect("given"),
        }
    }
}

/// The command as the user of the controller.
fn as_user(mut command: Command) -> Command {
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY).env("HOME", "/nonexistent");
    }
    command
}

/// The same, with core files as large as may be.
fn with_cores(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c $(ulimit -H -c); exec \"$@\"", "sh"]).arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(program.get_current_dir().expect("a folder"));
    command
}

/// What that user may learn of a process.
fn learns(pid: i32) -> String {
    let script = format!(
        "cd /proc/{pid} && head -c 1 environ >/dev/null && echo environment; readlink fd/0 exe cwd; \
         head -c 1 maps >/dev/null && echo maps; exit 0"
    );
    let mut command = as_user(Command::new("sh"));
    let output = command.args(["-c", &script]).stderr(Stdio::null()).output().expect("sh runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn other_processes_of_its_user_learn_nothing_and_no_core_is_left() {
    let pipeline = SHOP.replace(
        "run = \"echo making",
        "run = \"cat /proc/self/environ >/dev/null && echo open; echo making",
    );
    let mut world = World::unborn(&pipeline);
    let sha = world.commit("1.0.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    if rustix::process::geteuid().is_root() {
        give(world.folder.path());
    }
    let mut program = as_user(with_cores(&world.program()));
    program.env_remove("TIDEGATE_DUMPABLE");
    world.start_by(program);
    world.wait("pipeline_loaded", &[]);
    let asked = as_user(world.program()).args(["rebuild", "shop", &sha]).output().expect("tidegate runs");
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    // Unprivileged it does its own work, with the files that the system shows of each process.
    world.wait("promote_complete", &[("tier", "staging")]);
    assert!(
        String::from_utf8_lossy(&world.bytes("/api/runs/1/log")).starts_with("open\n"),
        "a step is open to itself"
    );
    let numbers = String::from_utf8(world.bytes("/metrics")).expect("text");
    assert!(numbers.contains("\nprocess_open_fds "), "{numbers}");
    let runner: i32 = world.read("state/runner/lock").trim().parse().expect("a number");
    let mut other = as_user(Command::new("sleep")).arg("60").spawn().expect("sleep runs");
    assert!(learns(other.id() as i32).starts_with("environment\n"), "else nothing is shown here");
    other.kill().and_then(|()| other.wait()).expect("gone");
    assert_eq!(learns(world.pid()), "", "of the controller");
    assert_eq!(learns(runner), "", "of what runs steps");
    let pid = Pid::from_raw(world.pid()).expect("a process");
    kill_process(pid, Signal::ABORT).expect("told");
    let status = loop {
        match world.has_ended() {
            Some(status) => break status,
            None => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    };
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}
