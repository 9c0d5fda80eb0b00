//! From the beginning of `git push` to what follows, beside a hook that appends a line, syncs it, and tells a reader.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use super::process::{Controller, git, tidegate, wait};
use super::{TURNS, say};
use crate::figures::is_quick;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// From the beginning of `git push` to the event, beside a hook that appends a line, syncs it, and tells a reader.
pub(crate) fn push() {
    let controller = Controller::new();
    let repo = controller.path().join("shop.git");
    let mut install = tidegate(controller.path());
    install.args(["hook", "install", "shop.git", "--url", &format!("http://{}", controller.address)]);
    assert!(install.stderr(Stdio::null()).status().unwrap().success());
    let events = controller.listen();
    let settled = || wait(&events, "build_ok");
    let mut ours = pushes(controller.path(), "one", &repo, || wait(&events, "rebuild_requested"), settled);
    let mut begun = pushes(controller.path(), "two", &repo, || wait(&events, "step_start"), settled);

    let twin = tempfile::tempdir().unwrap();
    git(twin.path(), &["init", "-q", "--bare", "-b", "main", "shop.git"]);
    let repo = twin.path().join("shop.git");
    let listener = std::os::unix::net::UnixListener::bind(twin.path().join("told")).unwrap();
    let hook = repo.join("hooks/post-receive");
    let program = compile(twin.path(), "notify", NOTIFY);
    let place = twin.path().display();
    fs::write(&hook, format!("#!/bin/sh\nexec {} {place}/kept {place}/told\n", program.display())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let mut theirs = pushes(twin.path(), "one", &repo, || drop(listener.accept().unwrap()), || ());
    say("`git push` → `rebuild_requested`", &mut ours, &mut theirs, "≤ 1.05×");
    say("`git push` → first step, checkout included", &mut begun, &mut theirs, "≤ 1.5×");
}

/// Appends what it reads to a file, syncs it, and connects to a socket.
const NOTIFY: &str = r#"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char text[4096];
    ssize_t n = read(0, text, sizeof text);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (n < 0 || write(fd, text, n) != n || fdatasync(fd)) return 1;
    struct sockaddr_un to = {AF_UNIX, ""};
    strncpy(to.sun_path, argv[2], sizeof to.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(s, (struct sockaddr *)&to, sizeof to) != 0;
}
"#;

fn compile(folder: &Path, name: &str, text: &str) -> PathBuf {
    let source = folder.join(format!("{name}.c"));
    fs::write(&source, text).unwrap();
    let program = folder.join(name);
    assert!(Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(&source).status().unwrap().success());
    program
}

fn pushes(folder: &Path, name: &str, repo: &Path, told: impl Fn(), settled: impl Fn()) -> Vec<Duration> {
    git(folder, &["init", "-q", "-b", "main", name]);
    let work = folder.join(name);
    git(&work, &["remote", "add", "origin", repo.to_str().unwrap()]);
    let one = |_| {
        git(&work, &["commit", "-q", "--allow-empty", "-m", &format!("A change of {name}")]);
        let begin = Instant::now();
        let mut push = Command::new("git");
        let mut push = push
            .current_dir(&work)
            .args(["push", "-q", "-f", "origin", "main"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        told();
        let took = begin.elapsed();
        assert!(push.wait().unwrap().success());
        settled();
        took
    };
    (0..if is_quick() { TURNS / 5 } else { TURNS }).map(one).collect()
}
