//! Starts that cannot be, ordinary stops, and what a crash leaves behind.

use super::SHOP;
use super::world::{World, those_with};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The shop with a gate that lasts until a file is there.
fn patient() -> String {
    SHOP.replace(
        "run = \"! grep -q bad-build",
        "run = \"while ! test -f $PLACE/go; do sleep 0.02; done; ! grep -q bad-build",
    )
}

/// Tells the controller what a terminal or a supervisor does.
fn tell(world: &World, signal: Signal) {
    kill_process(Pid::from_raw(world.pid()).expect("a process"), signal).expect("told");
}

fn starts_of_the_gate(world: &World) -> usize {
    world.heard.iter().filter(|event| event["kind"] == "gate_start" && event["name"] == "test").count()
}

#[test]
fn from_a_terminal_a_stop_lets_what_runs_finish_and_begins_nothing() {
    let mut world = World::new(&patient());
    world.push("1.0.0", &[]);
    world.wait("gate_start", &[("name", "test")]);
    tell(&world, Signal::INT);
    world.wait("controller_stopping", &[]);
    fs::write(world.path("place/go"), "").expect("a file");
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["outcome"]["status"], "pass");
    assert_eq!(world.stop(), 0);
    world.start();
    world.wait("controller_started", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    assert_eq!(starts_of_the_gate(&world), 1, "the gate that passed is not run again");
}

#[test]
fn a_second_word_from_there_ends_what_runs_and_it_runs_again_after_the_restart() {
    let mut world = World::new(&patient());
    world.push("1.0.0", &[]);
    world.wait("gate_start", &[("name", "test")]);
    tell(&world, Signal::INT);
    world.wait("controller_stopping", &[]);
    tell(&world, Signal::INT);
    assert_eq!(world.ended(), 0);
    assert!(those_with(&world.path("state/logs")).is_empty(), "nothing is left");
    fs::write(world.path("place/go"), "").expect("a file");
    world.start();
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["outcome"]["classification"], "interrupted", "{done}");
    assert_eq!(done["will_retry"], true);
    world.wait("promote_complete", &[("tier", "staging")]);
}

/// A gate that says and writes something before and after it waits, and the build before it.
fn telling() -> String {
    SHOP.replace(
        "run = \"! grep -q bad-build",
        "run = \"echo before; echo '{\\\"kind\\\":\\\"progress\\\",\\\"percent\\\":10}' >>$TIDEGATE_EVENTS; \
         while ! test -f $PLACE/go; do sleep 0.02; done; \
         echo '{\\\"kind\\\":\\\"progress\\\",\\\"percent\\\":90}' >>$TIDEGATE_EVENTS; echo after; ! grep -q bad-build",
    )
}

/// A gate goes on while `away` has no controller running, and its end counts.
fn outlives(away: impl Fn(&mut World)) {
    let mut world = World::new(&telling());
    world.push("1.0.0", &[]);
    let begun = world.wait("gate_start", &[("name", "test")]);
    world.wait("step_event", &[]);
    away(&mut world);
    fs::write(world.path("place/go"), "").expect("a file");
    let log = world.path(&format!("state/logs/shop/{}.log", begun["run_id"]));
    wait_until("it goes on without a controller", || {
        fs::read_to_string(&log).is_ok_and(|log| log == "before\nafter\n")
    });
    world.start();
    let started = world.wait("controller_started", &[]);
    assert_eq!(started["kept"], serde_json::json!([begun["run_id"]]), "{started}");
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["run_id"], begun["run_id"], "{done}");
    assert_eq!(done["outcome"]["status"], "pass", "{done}");
    assert_eq!(done["outcome"]["log_bytes"], 13, "{done}");
    world.wait("promote_complete", &[("tier", "staging")]);
    assert_eq!(starts_of_the_gate(&world), 1);
    let said: Vec<String> = world
        .heard
        .iter()
        .filter(|event| event["kind"] == "step_event")
        .map(|event| event["event"]["percent"].to_string())
        .collect();
    assert_eq!(said, ["10.0", "90.0"], "each once");
    wait_until("what is in the journal is kept nowhere else", || {
        fs::read_dir(world.path("state/runner/runs")).expect("a folder").count() == 0
    });
}

#[test]
fn a_gate_outlives_a_controller_that_a_supervisor_stops() {
    outlives(|world| assert_eq!(world.stop(), 0));
}

#[test]
fn a_gate_outlives_a_controller_that_is_killed() {
    outlives(World::kill);
}

#[test]
fn a_deploy_on_this_machine_outlives_a_controller_that_is_killed() {
    let mut world = World::new(&SHOP.replace(
        "run = \"echo $TIDEGATE_MODE",
        "run = \"echo before; while ! test -f $PLACE/go; do sleep 0.02; done; echo after; echo $TIDEGATE_MODE",
    ));
    world.push("1.0.0", &[]);
    let begun = world.wait("deploy_start", &[("tier", "staging")]);
    let log = world.path(&format!("state/logs/shop/{}.log", begun["run_id"]));
    wait_until("it runs", || fs::read_to_string(&log).is_ok_and(|log| log.contains("before")));
    world.kill();
    fs::write(world.path("place/go"), "").expect("a file");
    world.start();
    let done = world.wait("deploy_ok", &[("tier", "staging")]);
    assert_eq!(done["run_id"], begun["run_id"], "{done}");
    world.wait("promote_complete", &[("tier", "staging")]);
    let deploys =
        world.heard.iter().filter(|event| event["kind"] == "deploy_start" && event["tier"] == "staging");
    assert_eq!(deploys.count(), 1);
    assert!(fs::read_to_string(&log).expect("a log").ends_with("before\nafter\n"));
}

#[test]
fn a_gate_whose_runner_is_killed_too_is_interrupted_and_runs_again() {
    let mut world = World::new(&telling());
    world.push("1.0.0", &[]);
    world.wait("gate_start", &[("name", "test")]);
    world.wait("step_event", &[]);
    world.kill_all();
    fs::write(world.path("place/go"), "").expect("a file");
    world.start();
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["outcome"]["classification"], "interrupted", "{done}");
    assert_eq!(done["will_retry"], true, "{done}");
    world.wait("promote_complete", &[("tier", "staging")]);
}

#[test]
fn while_the_controller_lives_a_runner_that_is_killed_costs_the_run_and_nothing_else() {
    let mut world = World::new(&telling());
    world.push("1.0.0", &[]);
    world.wait("gate_start", &[("name", "test")]);
    world.wait("step_event", &[]);
    world.kill_runner();
    fs::write(world.path("place/go"), "").expect("a file");
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["outcome"]["classification"], "interrupted", "{done}");
    world.wait("promote_complete", &[("tier", "staging")]);
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
}

#[test]
fn words_that_come_while_it_ends_do_no_harm() {
    let mut world = World::new(SHOP);
    for _ in 0..15 {
        for _ in 0..3 {
            tell(&world, Signal::TERM);
        }
        assert_eq!(world.stop(), 0);
        world.start();
    }
}

#[test]
fn after_a_kill_of_both_what_they_left_is_ended_and_the_gate_runs_again() {
    let mut world = World::new(
        &patient().replace("run = \"while", "run = \"test -f $PLACE/again || setsid sleep 600 & while"),
    );
    world.push("1.0.0", &[]);
    let begun = world.wait("gate_start", &[("name", "test")]);
    let logs = world.path("state/logs");
    wait_until("the stray is there", || {
        those_with(&logs).iter().any(|(_, name)| name == "sleep" || name == "setsid")
    });
    world.kill_all();
    assert!(those_with(&logs).iter().any(|(_, name)| name == "sleep"), "it outlives both");
    fs::write(world.path("place/again"), "").expect("a file");
    world.start();
    let done = world.wait("gate_done", &[("name", "test"), ("will_retry", "true")]);
    assert_eq!(done["run_id"], begun["run_id"]);
    let of_before = format!("shop/{}.events", begun["run_id"]);
    let still: Vec<_> = those_with(&logs.join(of_before));
    assert!(still.is_empty(), "what the run of before left: {still:?}");
    fs::write(world.path("place/go"), "").expect("a file");
    world.wait("promote_complete", &[("tier", "staging")]);
}

/// Looks until something is so that no event tells of.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(begin.elapsed().as_secs() < 30, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn one_runner_for_a_state_folder_and_a_folder_for_the_runner() {
    let mut world = World::new(SHOP);
    let state = world.path("state").display().to_string();
    let (exit, said) = world.ends(&["runner", "--state", &state]);
    assert_eq!(exit, 1);
    assert!(said.contains("TG-SERVE-009"), "{said}");
    world.stop();
    let runner = world.path("state/runner");
    wait_until("the runner ends", || fs::remove_dir_all(&runner).is_ok() && !runner.exists());
    fs::write(&runner, "").expect("a file");
    let (exit, said) = world.ends(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(exit, 1);
    assert!(said.contains("TG-SERVE-008"), "{said}");
}

#[test]
fn a_start_that_cannot_be_says_why_and_changes_nothing() {
    let mut world = World::new(SHOP);
    let (exit, said) = world.ends(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(exit, 1);
    assert!(said.contains("TG-STATE-001") && said.contains("in use by pid"), "{said}");
    let other = world.path("state2");
    let (exit, said) =
        world.ends(&["serve", "--state", other.to_str().expect("text"), "--listen", &world.address.clone()]);
    assert_eq!(exit, 1);
    assert!(said.contains("TG-SERVE-001") && said.contains("--listen"), "{said}");
    let (exit, said) = world.ends(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(exit, 2);
    assert!(said.contains("insecure"), "{said}");
    world.stop();

    let journal = world.path("state/journal.db");
    let connection = rusqlite::Connection::open(&journal).expect("the journal");
    connection.pragma_update(None, "user_version", 999).expect("a newer release");
    drop(connection);
    let (exit, said) = world.ends(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(exit, 1);
    assert!(said.contains("TG-JOURNAL-001"), "{said}");

    fs::set_permissions(world.path("state"), fs::Permissions::from_mode(0o755)).expect("opened");
    let (exit, said) = world.ends(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(exit, 1);
    assert!(said.contains("TG-STATE-013") && said.contains("chmod 700"), "{said}");
}

#[test]
fn a_repository_that_disappears_fails_the_build_with_a_reason_and_comes_back() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    let sha = world.commit("1.1.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    fs::rename(world.path("shop.git"), world.path("gone.git")).expect("moved");
    let (exit, said) = world.ends(&["rebuild", "shop", &sha]);
    assert_ne!(exit, 0);
    assert!(said.contains("TG-GIT-"), "{said}");
    fs::rename(world.path("gone.git"), world.path("shop.git")).expect("moved back");
    world.push("1.2.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.2.0")]);
}

/// Nothing runs and nobody listens: there is nothing to wait for, whatever hangs on a connection.
#[test]
fn an_idle_controller_stops_at_once() {
    use std::io::{Read, Write};
    let mut world = World::unborn(SHOP);
    // Without the subscription of the world.
    let mut program = world.program();
    program.args(["serve", "--listen", "127.0.0.1:0"]).stderr(std::process::Stdio::piped());
    let mut child = program.spawn().expect("the controller starts");
    let mut words = std::io::BufReader::new(child.stderr.take().expect("its stderr"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut words, &mut line).expect("its words");
    let (_, rest) = line.split_once(" answers at http://").expect("an address");
    world.address = rest.split_whitespace().next().expect("an address").to_owned();
    let connect = || std::net::TcpStream::connect(&world.address).expect("a connection");
    let silent = connect();
    let mut halfway = connect();
    halfway.write_all(b"GET /healthz HTTP/1.1\r\nHo").expect("half a request");
    let mut kept = connect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", world.address);
    kept.write_all(request.as_bytes()).expect("a request");
    let mut answer = [0; 1024];
    assert!(kept.read(&mut answer).expect("an answer") > 0);
    kept.write_all(b"GET /heal").expect("half of another");
    world.bytes("/healthz");
    let begin = std::time::Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told");
    assert!(child.wait().expect("gone").success());
    // A fifth of a second on a quiet machine; the head of a request would be waited for ten.
    assert!(begin.elapsed() < std::time::Duration::from_secs(2), "{:?}", begin.elapsed());
    drop((silent, halfway, kept));
}
