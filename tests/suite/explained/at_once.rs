//! What commands say at once, without a controller: each line is a command, what it lacks, and the code.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

/// Runs a command line in a folder and expects a code.
fn says(folder: &Path, line: &[&str], code: &str, adjust: impl FnOnce(&mut Command)) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(line).current_dir(folder).env_remove("TIDEGATE_URL");
    adjust(&mut command);
    let output = command.output().expect("it runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains(&format!("error[{code}]")), "{line:?}: {text}");
}

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [&["init", "-q"][..], &["commit", "-q", "--allow-empty", "-m", "First"]] {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]).args(arguments);
        assert!(git.current_dir(folder.path()).status().expect("git runs").success());
    }
    let text = "[source]\nrepo = \".\"\n[[tier]]\nname = \"host\"\n";
    fs::write(folder.path().join("shop.toml"), text).expect("a file");
    folder
}

#[test]
fn what_is_named_wrongly_is_said_at_once() {
    let home = repository();
    let home = home.path();
    for (line, code) in [
        (&["schema", "--write", "/dev/null/x"][..], "TG-CLI-004"),
        (&["man", "--write", "/dev/null/x"], "TG-CLI-004"),
        (&["schema", "nonsense"], "TG-CLI-005"),
        (&["hook", "install", "/nowhere", "--state", "state"], "TG-CLI-011"),
        (&["run", "shop.toml", "--dir", "/nowhere"], "TG-CLI-011"),
        (&["run", "shop.toml", "--gate", "unit"], "TG-CLI-041"),
        (&["init", "--name", "a b"], "TG-INIT-003"),
        (&["init", "--out", "/dev/null/x.toml"], "TG-INIT-005"),
        (&["init", "--hook", "--out", "new.toml"], "TG-INIT-008"),
        (&["explain", "TG-DFE-008"], "TG-CLI-052"),
        (&["watch"], "TG-CLI-025"),
    ] {
        says(home, line, code, |_| {});
    }
    fs::create_dir(home.join("odd")).expect("a folder");
    fs::write(home.join("odd").join(OsStr::from_bytes(b"a\xff.toml")), "").expect("a file");
    says(home, &["check", "odd"], "TG-FILE-001", |_| {});
}

#[test]
fn what_the_surroundings_lack_is_said_at_once() {
    let home = repository();
    let home = home.path();
    says(home, &["init", "--out", "new.toml"], "TG-INIT-002", |command| {
        command.env("PATH", "/nowhere");
    });
    says(home, &["token", "list"], "TG-CLI-006", |command| {
        command.env_remove("HOME").env_remove("XDG_STATE_HOME");
    });
    for (line, code) in [(&["run", "shop.toml", "--dir", "."][..], "TG-CLI-014"), (&["demo"], "TG-DEMO-002")]
    {
        says(home, line, code, |command| {
            command.env("TMPDIR", "/nowhere");
        });
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    says(home, &["demo-node", &port, "."], "TG-DEMO-001", |_| {});
    says(home, &["dry-run-gate", "--folder", "/nowhere"], "TG-DRYRUN-001", |_| {});
    let remote = [
        "remote-step",
        "--host",
        "a1",
        "--result",
        "/nowhere/result",
        "--socket",
        "/nowhere/socket",
        "--",
        "/nowhere/ssh",
    ];
    says(home, &remote, "TG-NODE-001", |_| {});
}
