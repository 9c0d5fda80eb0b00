//! Running programs in git's place, to see what becomes of their output and their descendants.

use super::*;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A shell script in git's place; `$fifo` in it is a named pipe.
fn script(body: &str) -> (TempDir, Git, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let (program, fifo) = (temp.path().join("git"), temp.path().join("fifo"));
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::write(&program, format!("#!/bin/sh\nfifo='{}'\n{body}\n", fifo.display())).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    (temp, Git::default().with_program(program), fifo)
}

/// Reads the pipe until everybody who could write has ended; opens it before anybody writes.
async fn all_ended(fifo: PathBuf, opened: tokio::sync::oneshot::Sender<()>) {
    let read = move || {
        let mut file = File::open(fifo).unwrap();
        opened.send(()).unwrap();
        file.read_to_end(&mut Vec::new()).unwrap();
    };
    tokio::task::spawn_blocking(read).await.unwrap();
}

const DESCENDANTS: &str = "exec 9>\"$fifo\"\nsleep 1000 &\nsleep 1000";

#[tokio::test]
async fn a_time_limit_ends_descendants_too() {
    let (_temp, git, fifo) = script(DESCENDANTS);
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let ended = tokio::spawn(all_ended(fifo, opened));
    let call = git.remote_call("x", "here").time(Duration::from_millis(500));
    assert_eq!(call.ok().await.unwrap_err().code(), "TG-GIT-011");
    is_open.await.unwrap();
    ended.await.unwrap();
}

#[tokio::test]
async fn an_asker_that_goes_away_ends_descendants_too() {
    let (_temp, git, fifo) = script(DESCENDANTS);
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let ended = tokio::spawn(all_ended(fifo, opened));
    let asker = tokio::spawn(git.remote_call("x", "here").ok());
    is_open.await.unwrap();
    asker.abort();
    ended.await.unwrap();
}

#[tokio::test]
async fn output_is_whole_though_something_holds_the_pipe() {
    // What stays behind ends when the pipe is opened for writing and closed.
    let (_temp, git, fifo) = script("cat \"$fifo\" &\nhead -c 3000000 /dev/zero\nexit 0");
    let output = git.remote_call("x", "here").ok().await.unwrap();
    drop(File::options().write(true).open(fifo).unwrap());
    assert_eq!(output.len(), 3_000_000);
}

#[tokio::test]
async fn output_is_bounded() {
    let (_temp, git, _) = script("cat /dev/zero");
    let error = git.remote_call("x", "here").limit(100_000).ok().await.unwrap_err();
    assert_eq!(error.code(), "TG-GIT-012");
}

#[tokio::test]
async fn input_larger_than_a_pipe_is_given_and_need_not_be_read() {
    let (_temp, git, _) = script("cat");
    let input = vec![b'x'; 1 << 20];
    assert_eq!(git.remote_call("x", "here").input(input.clone()).ok().await.unwrap(), input);
    let (_temp, git, _) = script("exit 0");
    assert_eq!(git.remote_call("x", "here").input(input).ok().await.unwrap(), b"");
}

#[test]
fn failures_are_told_apart_by_what_git_says() {
    let failed = std::process::Command::new("false").status().unwrap();
    for (said, code) in [
        ("fatal: detected dubious ownership in repository at '/x'", "TG-GIT-010"),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "TG-GIT-008",
        ),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "TG-GIT-008"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "TG-GIT-008"),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "TG-GIT-009"),
        (
            "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote",
            "TG-GIT-009",
        ),
        ("fatal: '/x' does not appear to be a git repository", "TG-GIT-002"),
        ("fatal: repository 'https://h/x/' not found", "TG-GIT-002"),
        ("fatal: something new", "TG-GIT-013"),
    ] {
        let error = classify("fetch", "here", failed, said.as_bytes());
        assert_eq!(error.code(), code, "{said}");
        assert!(!error.help().is_empty());
    }
    let error = classify("fetch", "here", failed, b"fatal: no 'https://me:pw@h/x'\x1b[2J\n");
    assert!(error.to_string().ends_with("fatal: no 'https://me:***@h/x' [2J"), "{error}");
}
