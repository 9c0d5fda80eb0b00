//! The controller over a Unix socket: whom it lets in by what the system says of them, and whom it does not.

use super::SHOP;
use super::world::World;
use crate::server::stand::Answered;
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The user `nobody`.
const NOBODY: u32 = 65_534;

/// A world whose controller listens on a socket, with these settings beside its path.
fn world(pipeline: &str, more: &str) -> World {
    let mut world = World::unborn(pipeline);
    open_up(&world);
    fs::write(world.path("tidegate.toml"), format!("[unix]\nsocket = \"s\"\n{more}")).expect("settings");
    world.start();
    world.wait("pipeline_loaded", &[]);
    world
}

/// Others may look at the folder, and put nothing into it.
fn open_up(world: &World) {
    fs::set_permissions(world.folder.path(), Permissions::from_mode(0o755)).expect("a mode");
}

fn url(world: &World) -> String {
    format!("unix:{}", world.path("s").display())
}

/// What events call whoever runs this.
fn ourselves() -> String {
    let id = Command::new("id").arg("-un").output().expect("id");
    format!("unix:{}", String::from_utf8_lossy(&id.stdout).trim())
}

/// A command to which nobody names an address.
fn unnamed(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.program();
    command.env_remove("TIDEGATE_URL").args(arguments);
    command
}

fn says(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A request over the socket, as a program would make it.
fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> Answered {
    let mut stream = UnixStream::connect(world.path("s")).expect("the socket is there");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut head = format!("POST {path} HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        head += "host: localhost\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}content-length: 2\r\n\r\n{{}}").as_bytes()).expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    Answered::parse(&answer)
}

#[test]
fn the_command_line_acts_over_the_socket_as_who_it_is() {
    let mut world = world(SHOP, "");
    assert_eq!(fs::metadata(world.path("s")).expect("a socket").mode() & 0o777, 0o600);
    // There is no token to show, and none is needed.
    fs::rename(world.path("state/token"), world.path("away")).expect("moved");
    fs::copy(world.path("away"), world.path("state/token")).expect("copied");
    let held = unnamed(&world, &["hold", "shop", "host"]).output().expect("it runs");
    assert!(held.status.success(), "{}", says(&held));
    let event = world.wait("hold_set", &[]);
    assert_eq!(event["by"], ourselves().as_str(), "{event}");
    // A token that is named counts for what it may.
    world.good(&["token", "create", "vic", "--role", "viewer"]);
    let made = world.good(&["token", "create", "ann", "--role", "viewer"]);
    let token = made.split_whitespace().find(|word| word.starts_with("tgt_")).expect("a token");
    let refused = unnamed(&world, &["resume", "shop", "host", "--url", &url(&world)])
        .env("TIDEGATE_TOKEN", token)
        .output();
    let refused = refused.expect("it runs");
    assert!(says(&refused).contains("TG-AUTH-002"), "{}", says(&refused));
    // Where the socket is gone the address is asked, as ever.
    fs::remove_file(world.path("s")).expect("gone");
    let settings = format!("listen = \"{}\"\n[unix]\nsocket = \"s\"\n", world.address);
    fs::write(world.path("tidegate.toml"), settings).expect("settings");
    let resumed = unnamed(&world, &["resume", "shop", "host"]).output().expect("it runs");
    assert!(resumed.status.success(), "{}", says(&resumed));
    assert_eq!(world.wait("hold_lifted", &[])["by"], "owner");
    assert_eq!(world.stop(), 0);
}

#[test]
fn what_came_through_a_proxy_or_a_browser_is_nobody_s() {
    let mut world = world(SHOP, "");
    let fine = ask(&world, "/api/pipelines/shop/hold", &[]);
    assert_eq!(fine.status, 200, "{}", fine.text());
    for header in [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.9"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "203.0.113.9"),
        ("host", "127.0.0.1"),
        ("origin", "http://localhost"),
        ("referer", "http://localhost/"),
        ("cookie", "a=b"),
        ("sec-fetch-site", "same-origin"),
    ] {
        let refused = ask(&world, "/api/pipelines/shop/hold", &[header]);
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (401, Some("TG-AUTH-001")),
            "{header:?}"
        );
    }
    let elsewhere = ask(&world, "/api/pipelines/shop/hold", &[("host", "tides.example")]);
    assert_eq!(elsewhere.status, 421);
    let event = world.wait("access_refused", &[("code", "TG-AUTH-001")]);
    assert_eq!(event["from"], ourselves().as_str(), "what a header says is not believed: {event}");
    assert_eq!(world.stop(), 0);
}

#[test]
fn another_user_has_the_role_that_the_settings_say_or_none() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let mut world = world(SHOP, "mode = \"0666\"\nusers = { nobody = \"operator\" }\n");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tidegate"));
    let copy = world.path("tidegate");
    fs::copy(program, &copy).expect("a copy that anybody may run");
    let by = |uid: u32, arguments: &[&str]| {
        let mut command = Command::new(&copy);
        command.env_clear().args(arguments).args(["--url", &url(&world)]).current_dir("/").uid(uid).gid(uid);
        command.output().expect("it runs")
    };
    let held = by(NOBODY, &["hold", "shop", "host"]);
    assert!(held.status.success(), "{}", says(&held));
    let other = by(54_321, &["resume", "shop", "host"]);
    assert!(says(&other).contains("TG-AUTH-001"), "{}", says(&other));
    let read = by(54_321, &["status"]);
    assert!(read.status.success(), "reading is as open as on loopback: {}", says(&read));
    let event = world.wait("hold_set", &[]);
    assert_eq!(event["by"], "unix:nobody");
    let event = world.wait("access_refused", &[]);
    assert_eq!((&event["from"], &event["by"]), (&"unix:54321".into(), &serde_json::Value::Null));
    assert_eq!(world.stop(), 0);
}

#[test]
fn a_step_s_account_with_a_role_at_the_socket_is_pointed_out() {
    let step = "run = \"echo making";
    let pipeline = SHOP.replace(step, &format!("sandbox = \"user:nobody\"\n{step}"));
    let mut world = world(&pipeline, "mode = \"0666\"\nusers = { nobody = \"operator\" }\n");
    let log = world.until_logged("TG-SERVE-012");
    assert!(log.contains("a step of `shop` runs as `nobody`, which has the role `operator`"), "{log}");
    let (_, said) = world.says(&["doctor"]);
    let due = "warning unix.users nobody (shop): a step runs as this account";
    assert!(said.contains(due) && said.contains("[TG-SERVE-012]"), "{said}");
    assert!(said.contains("which process connects"), "{said}");
    assert_eq!(world.stop(), 0);
}

#[test]
fn what_a_user_may_do_is_as_the_settings_said_at_the_start() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let mut world = world(SHOP, "mode = \"0666\"\nusers = { nobody = \"operator\" }\n");
    let copy = world.path("tidegate");
    fs::copy(env!("CARGO_BIN_EXE_tidegate"), &copy).expect("a copy that anybody may run");
    let hold = |world: &World| {
        let mut command = Command::new(&copy);
        command
            .env_clear()
            .args(["hold", "shop", "--url", &url(world)])
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY);
        command.output().expect("it runs")
    };
    fs::write(world.path("tidegate.toml"), "[unix]\nsocket = \"s\"\nmode = \"0666\"\n").expect("settings");
    let pid = rustix::process::Pid::from_raw(world.pid()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("told");
    world.until_logged("settings are read at the start only");
    let held = hold(&world);
    assert!(held.status.success(), "{}", says(&held));
    assert_eq!(world.stop(), 0);
    world.start();
    let refused = hold(&world);
    assert!(says(&refused).contains("TG-AUTH-001"), "{}", says(&refused));
    assert_eq!(world.stop(), 0);
}

#[test]
fn a_mode_keeps_others_out() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let mut world = world(SHOP, "");
    let copy = world.path("tidegate");
    fs::copy(env!("CARGO_BIN_EXE_tidegate"), &copy).expect("a copy that anybody may run");
    let mut command = Command::new(copy);
    command.env_clear().args(["status", "--url", &url(&world)]).current_dir("/").uid(NOBODY).gid(NOBODY);
    let refused = command.output().expect("it runs");
    assert!(says(&refused).contains("Permission denied"), "{}", says(&refused));
    assert_eq!(world.stop(), 0);
}

#[test]
fn a_step_is_nobody_at_the_socket_although_it_is_the_same_user() {
    let program = env!("CARGO_BIN_EXE_tidegate");
    let tries = format!(
        "{program} hold shop host --url unix:$PLACE/../s >$PLACE/said 2>&1; \
         (setsid {program} hold shop host --url unix:$PLACE/../s >$PLACE/away 2>&1 &) ; \
         while ! grep -q help: $PLACE/away; do sleep 0.1; done; cp VERSION out.txt"
    );
    let step = "run = \"echo making $TIDEGATE_VERSION; cp VERSION out.txt\"";
    assert!(SHOP.contains(step));
    let mut world = world(&SHOP.replace(step, &format!("run = '''\n{tries}\n'''")), "");
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.push("0.1.0", &[]);
    world.wait("build_ok", &[]);
    for said in ["place/said", "place/away"] {
        let said = world.read(said);
        assert!(said.contains("TG-AUTH-001"), "{said}");
    }
    assert!(!world.kinds().contains(&"hold_set"));
    assert_eq!(world.stop(), 0);
}

#[test]
fn what_a_killed_controller_left_is_replaced_and_a_living_one_is_not() {
    let mut world = world(SHOP, "");
    let other = tempfile::tempdir().expect("a folder");
    let socket = world.path("s");
    let second = || {
        let mut command = world.program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--unix"]).arg(&socket);
        command.env("TIDEGATE_STATE", other.path().join("state")).output().expect("it runs")
    };
    let refused = second();
    assert_eq!(refused.status.code(), Some(1));
    assert!(says(&refused).contains("TG-SERVE-011"), "{}", says(&refused));
    world.kill();
    assert!(socket.exists(), "it is left behind");
    world.start();
    assert_eq!(ask(&world, "/api/pipelines/shop/hold", &[]).status, 200);
    assert_eq!(world.stop(), 0);
    assert!(!socket.exists(), "and goes with a controller that ends well");
    fs::set_permissions(world.folder.path(), Permissions::from_mode(0o777)).expect("a mode");
    let mut command = world.program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--unix"]).arg(&socket);
    let refused = command.env("TIDEGATE_STATE", other.path().join("state")).output().expect("it runs");
    assert!(says(&refused).contains("TG-SERVE-010"), "{}", says(&refused));
}

#[test]
fn a_socket_that_is_passed_is_taken_beside_the_address() {
    let mut world = World::unborn(SHOP);
    let listener = UnixListener::bind(world.path("s")).expect("a socket");
    let program = world.program();
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$@\" 3<&0 </dev/null", "sh"])
        .arg(program.get_program())
        .current_dir(world.folder.path())
        .env("TIDEGATE_STATE", world.path("state"))
        .env("LISTEN_FDS", "1")
        .stdin(Stdio::from(OwnedFd::from(listener)));
    world.start_by(command);
    world.wait("pipeline_loaded", &[]);
    let held = unnamed(&world, &["hold", "shop", "host"]).output().expect("it runs");
    assert!(held.status.success(), "{}", says(&held));
    assert_eq!(world.wait("hold_set", &[])["by"], ourselves().as_str());
    assert_eq!(world.stop(), 0);
    assert!(world.path("s").exists(), "it stays with whoever made it");
}
