//! Everything that a step started ends with it, whatever it does to get away, and its log is what it wrote.

use super::SHOP;
use super::world::{World, those_with};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// Ways in which a gate tries to leave something running.
const ESCAPES: &str = r#"
sleep 301 &
setsid sleep 302 &
(setsid sh -c 'sleep 303 & exit' &)
sh -c 'trap "" TERM HUP INT; while :; do sleep 0.1; done' &
sh -c 'kill -STOP $$' &
(exec >/dev/null 2>&1; setsid nohup sleep 304 &)
setsid sh -c 'exec sleep 305' 3>&1 &
echo done
"#;

#[test]
fn nothing_that_a_gate_started_outlives_it() {
    let gate =
        format!("name = \"test\"\nkind = \"command\"\ngrace = \"200ms\"\nrun = '''{ESCAPES}'''\nx-old = ");
    let mut world = World::new(&SHOP.replace("name = \"test\"\nkind = \"command\"\nrun = ", &gate));
    world.push("1.0.0", &[]);
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["outcome"]["status"], "pass", "{done}");
    world.wait("promote_complete", &[("tier", "staging")]);
    let events = format!("{}/logs", world.path("state").display());
    let left = those_with(std::path::Path::new(&events));
    assert!(left.is_empty(), "still there: {left:?}");
    let log = world.bytes(&format!("/api/runs/{}/log", done["run_id"]));
    assert_eq!(log, b"done\n");
}

#[test]
fn a_timeout_ends_the_whole_tree_in_time() {
    let gate = "name = \"test\"\nkind = \"command\"\ntimeout = \"300ms\"\ngrace = \"200ms\"\nrun = '''trap '' TERM; sleep 400 & setsid sleep 401 & echo begun; wait'''\nx-old = ";
    let mut world = World::new(&SHOP.replace("name = \"test\"\nkind = \"command\"\nrun = ", gate));
    world.push("1.0.0", &[]);
    world.wait("gate_start", &[("name", "test")]);
    let begin = Instant::now();
    let done = world.wait("gate_done", &[("name", "test")]);
    assert_eq!(done["outcome"]["classification"], "timeout");
    assert!(begin.elapsed() < Duration::from_secs(10));
    world.wait("promote_failed", &[("tier", "host")]);
    let events = format!("{}/logs", world.path("state").display());
    assert!(those_with(std::path::Path::new(&events)).is_empty());
}

#[test]
fn a_log_is_what_was_written_byte_for_byte_in_order() {
    let step = r#"run = '''
head -c 300000 /dev/zero | tr '\0' '\377'
printf 'a\0b\r\n\033[31mred'
for n in $(seq 1 2000); do echo "out $n"; echo "err $n" >&2; done
cp VERSION out.txt
'''
x-old = "#;
    let mut world = World::new(&SHOP.replace("run = \"echo making", &format!("{step}\"echo making")));
    world.push("1.0.0", &[]);
    let done = world.wait("step_done", &[("step", "make")]);
    let mut expected = vec![0xff; 300_000];
    expected.extend(b"a\0b\r\n\x1b[31mred");
    for n in 1..=2000 {
        expected.extend(format!("out {n}\nerr {n}\n").bytes());
    }
    let log = world.bytes(&format!("/api/runs/{}/log", done["run_id"]));
    assert!(log == expected, "{} bytes of {}", log.len(), expected.len());
    let hex: String = Sha256::digest(&log).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(done["outcome"]["log_sha256"], hex);
    assert_eq!(done["outcome"]["log_bytes"], log.len());
    let kept = std::fs::read(world.path("state").join(done["outcome"]["log_ref"].as_str().expect("a path")));
    assert!(kept.expect("the log file") == expected);
}

#[test]
fn what_a_deploy_leaves_running_lives_on_only_where_it_may() {
    let deploy = |leave: bool| {
        let run = format!(
            "run = \"setsid sleep 500 >/dev/null 2>&1 & echo $! > $PLACE/pid\"\nleave_running = {leave}\nx-old = "
        );
        SHOP.replace("run = \"echo $TIDEGATE_MODE", &format!("{run}\"echo $TIDEGATE_MODE"))
    };
    let mut world = World::new(&deploy(true));
    let runs = |world: &World| {
        let pid = world.read("place/pid").trim().to_owned();
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    assert!(runs(&world), "it may live on");
    world.stop();
    assert!(runs(&world), "over a restart of the controller too");
    world.start();
    world.wait("controller_started", &[]);
    assert!(runs(&world));
    world.edit(&deploy(false));
    world.wait("pipeline_loaded", &[]);
    world.push("1.1.0", &[]);
    let warned = world.wait("step_event", &[]);
    assert!(
        warned["event"]["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("ended what the step left")),
        "{warned}"
    );
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    assert!(!runs(&world), "it was ended, and named in a warning");
}
