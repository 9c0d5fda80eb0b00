//! Programs that follow a controller: the very files of `examples`, against a real one. Each hears what was, what comes,
//! and what came while the controller was away, once.

#[path = "../../../examples/follow.rs"]
mod follow;

use crate::page::browser::Browser;
use crate::whole::receiver::Receiver;
use crate::whole::world::World;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};
use std::time::Duration;

const SHOP: &str = r#"
[source]
repo = $REPO
[[tier]]
name = "prod"
[[tier.node]]
name = "p1"
[tier.deploy]
run = "test ! -f $PLACE/bad-$TIDEGATE_VERSION"
"#;

/// Names which process is to follow instead of testing.
const FOLLOWS: &str = "TIDEGATE_TEST_FOLLOWS";

/// A program whose lines are heard.
struct Follower {
    child: Child,
    lines: Lines<String>,
    heard: Vec<String>,
}

impl Follower {
    fn new(world: &World, mut command: Command) -> Follower {
        command.env("TIDEGATE_URL", format!("http://{}", world.address)).env_remove("TIDEGATE_TOKEN");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        let (sender, receiver) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Follower { child, lines: receiver, heard: Vec::new() }
    }

    /// Waits until it prints a line with these words.
    #[track_caller]
    fn says(&mut self, words: &str) {
        while !self.heard.last().is_some_and(|line| line.contains(words)) {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            self.heard.push(line.unwrap_or_else(|_| panic!("`{words}` is not said: {:?}", self.heard)));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn push(world: &mut World, version: &str, end: &str) {
    world.push(version, &[]);
    world.wait(end, &[("version", version)]);
}

/// The controller is away for a moment, and when it is back a version fails.
fn comes_back(world: &mut World) {
    world.stop();
    world.start();
    fs::write(world.path("place/bad-2.0.0"), "").expect("a file");
    push(world, "2.0.0", "promote_failed");
}

#[track_caller]
fn follows(command: Command, [old, new, node, tier]: [&str; 4]) {
    let mut world = World::new(SHOP);
    push(&mut world, "1.0.0", "promote_complete");
    let mut follower = Follower::new(&world, command);
    follower.says(old);
    push(&mut world, "1.1.0", "promote_complete");
    follower.says(new);
    comes_back(&mut world);
    follower.says(node);
    follower.says(tier);
    let again = follower.heard.iter().filter(|line| line.contains(old)).count();
    assert_eq!(again, 1, "what was heard does not come twice: {:?}", follower.heard);
}

/// Not a test of its own: what the test below starts.
#[test]
fn the_one_in_rust_as_a_process() {
    if std::env::var_os(FOLLOWS).is_some() {
        follow::main();
    }
}

#[test]
fn the_one_in_rust_follows() {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "clients::the_one_in_rust_as_a_process", "--nocapture", "--test-threads=2"]);
    command.env(FOLLOWS, "1");
    follows(
        command,
        ["1.0.0 is on p1", "1.1.0 is on p1", "2.0.0 is not on p1: ", "2.0.0 is rejected in prod: "],
    );
}

#[test]
fn the_one_in_python_follows() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("not tested here: there is no python3");
        return;
    }
    let mut command = Command::new("python3");
    command.arg(example("follow.py"));
    follows(
        command,
        ["deploy_ok 1.0.0 p1", "deploy_ok 1.1.0 p1", "deploy_failed 2.0.0 p1", "promote_failed 2.0.0 prod"],
    );
}

#[test]
fn the_one_in_a_page_of_a_host_that_is_named_follows_and_others_are_told_nothing() {
    let Some(browser) = Browser::open() else { return };
    let mut world = World::unborn(SHOP);
    fs::write(world.path("tidegate.toml"), "hosts = [\"lamp.localhost\"]\n").expect("settings");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    push(&mut world, "1.0.0", "promote_complete");
    let pages = Receiver::answering(|_, request| Some(page(&request.path)));
    let address = |host: &str| {
        let port = pages.address.port();
        format!("http://{host}:{port}/follow.html?controller=ws://{}", world.address)
    };
    browser.call("Page.navigate", json!({ "url": address("other.localhost") }));
    browser.until("document.querySelector('#said') && document.readyState === 'complete'");
    let refused = "new Promise((done) => { const socket = new WebSocket(controller + '/events?since=0');
        socket.onmessage = () => done('told'); socket.onclose = () => done('refused'); })";
    assert_eq!(browser.value(refused), "refused");
    assert_eq!(browser.value("document.querySelectorAll('li').length"), 0);
    browser.call("Page.navigate", json!({ "url": address("lamp.localhost") }));
    browser.until("location.hostname === 'lamp.localhost'");
    browser.reads("deploy_ok 1.0.0 p1");
    push(&mut world, "1.1.0", "promote_complete");
    browser.reads("deploy_ok 1.1.0 p1");
    comes_back(&mut world);
    browser.reads("deploy_failed 2.0.0 p1");
    browser.reads("promote_failed 2.0.0 prod");
    let again =
        "[...document.querySelectorAll('li')].filter((one) => one.textContent.includes('1.0.0')).length";
    assert_eq!(browser.value(again), 1);
}

/// A file of the examples, as a web server sends it.
fn page(path: &str) -> String {
    let name = path.trim_start_matches('/').split('?').next().unwrap_or_default();
    let kind = if name.ends_with(".js") { "text/javascript" } else { "text/html" };
    match fs::read_to_string(example(name)) {
        Ok(text) => {
            let length = text.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
            )
        }
        Err(_) => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
    }
}

#[test]
fn they_are_as_short_as_the_book_says() {
    let lines = |name: &str, comment: &str| {
        let text = fs::read_to_string(example(name)).expect("an example");
        let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(comment));
        code.filter(|line| !line.starts_with("\"\"\"")).count()
    };
    assert!(lines("follow.py", "#") <= 15 && lines("follow.js", "//") <= 15);
}
