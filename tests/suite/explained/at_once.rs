//! What commands say at once, without a controller: each line is a command, what it lacks, and the code.

use crate::whole::refused::{self, refuse};
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{chown, symlink};
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
    // A tool that nobody may run is another matter than one that is not there.
    fs::write(home.join("cargo"), "").expect("a file");
    says(home, &["cargo-gate", "--root", ".", "test"], "TG-CARGO-001", |command| {
        command.env("PATH", home);
    });
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

#[test]
fn a_system_that_refuses_is_said_at_once() {
    let home = repository();
    let serve = &["serve", "--listen", "127.0.0.1:0", "--pipelines", ".", "--state", "state"][..];
    let token = &["token", "create", "ann", "--role", "viewer", "--state", "state"][..];
    let install = &["hook", "install", ".", "--state", "state"][..];
    for (line, calls, code) in [
        (serve, refused::THREADS, "TG-SERVE-002"),
        (&["run", "shop.toml", "--dir", "."], refused::THREADS, "TG-SERVE-002"),
        (&["check", "--watch", "shop.toml"], refused::POLLS, "TG-SERVE-002"),
        (&["check", "--watch", "shop.toml"], refused::THREADS, "TG-WATCH-006"),
        (serve, refused::SIGNALS, "TG-SERVE-003"),
        (&["check", "--watch", "shop.toml"], refused::SIGNALS, "TG-SERVE-003"),
        (serve, refused::CHANGES, "TG-JOURNAL-005"),
        (token, refused::RANDOMNESS, "TG-TOKEN-010"),
        (&["doctor", "--state", "state"], refused::POLLS, "TG-DOCTOR-001"),
        (install, refused::POLLS, "TG-CLI-009"),
    ] {
        says(home.path(), line, code, |command| refuse(command, calls));
    }
}

#[test]
fn a_state_folder_of_somebody_else_is_left_alone() {
    let home = repository();
    let folder = match rustix::process::geteuid().is_root() {
        true => home.path().join("state"),
        false => "/".into(),
    };
    if folder != Path::new("/") {
        fs::create_dir(&folder).expect("a folder");
        chown(&folder, Some(65_534), None).expect("given away");
    }
    let line = ["serve", "--pipelines", ".", "--state", folder.to_str().expect("text")];
    says(home.path(), &line, "TG-STATE-014", |_| {});
}

/// With a tool that lets a call answer what it does not: the folder would have to be on such a disk.
#[test]
fn a_state_folder_on_a_network_disk_is_refused() {
    let has_tool = Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success());
    if !has_tool {
        eprintln!("strace is not on this machine: no folder is taken for one on a network disk");
        return;
    }
    let home = repository();
    let nfs = format!("inject=statfs,fstatfs:poke_exit=@arg2={:016x}", 0x6969_u64.swap_bytes());
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", &nfs, "-o", "/dev/null", env!("CARGO_BIN_EXE_tidegate")]);
    command.args(["serve", "--listen", "127.0.0.1:0", "--pipelines", ".", "--state", "state"]);
    let output = command.current_dir(home.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("error[TG-STATE-002]"), "{said}");
    assert!(said.contains("nfs"), "{said}");
}

#[test]
fn a_first_pipeline_that_cannot_be_is_said_at_once() {
    let home = repository();
    let home = home.path();
    // The pipeline is written, and what stands where the schema should be leads nowhere.
    symlink("/nowhere/schema", home.join("pipeline.schema.json")).expect("a link");
    says(home, &["init", "--out", "new.toml"], "TG-INIT-007", |_| {});
    assert!(home.join("new.toml").exists());
    // A branch may be called what no pattern of branches can be.
    let mut git = Command::new("git");
    assert!(git.args(["checkout", "-q", "-b", "odd{one"]).current_dir(home).status().expect("git").success());
    says(home, &["init", "--out", "odd.toml"], "TG-INIT-004", |_| {});
    assert!(!home.join("odd.toml").exists());
}

/// Where `/proc` is not there, no program knows its own file.
#[test]
fn a_program_that_does_not_find_itself_says_so() {
    let without = |line: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
        command.args(["mount -t tmpfs none /proc && exec \"$@\"", "sh"]).args(line);
        command
    };
    if !without(&["true"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("nobody may take `/proc` away here: no program fails to find itself");
        return;
    }
    let home = repository();
    let line = [env!("CARGO_BIN_EXE_tidegate"), "hook", "install", ".", "--state", "state"];
    let output = without(&line).current_dir(home.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("error[TG-CLI-010]"), "{said}");
}
