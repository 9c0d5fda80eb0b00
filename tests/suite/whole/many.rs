//! Thousands of pipelines under one controller.

use super::SHOP;
use super::world::World;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// Enough that work which looks at all of them for each is seen.
const MANY: usize = 3_000;

/// Processor time of a process so far, in seconds.
fn cpu_seconds(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 =
        fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
    // The kernel shows a hundred to a second, whatever it counts by.
    ticks as f64 / 100.0
}

/// Each costs the same however many there are, and none costs anything once it is loaded: notices are as far as the
/// journal is as soon as the last one is.
#[test]
fn thousands_of_pipelines_load_in_their_turn() {
    let mut world = World::unborn(SHOP);
    for number in 0..MANY {
        let text = format!(
            "[source]\nrepo = \"/srv/git/{number}.git\"\n[[tier]]\nname = \"t\"\n[[tier.gate]]\nkind = \"command\"\nrun = \"true\"\n"
        );
        fs::write(world.path(&format!("pipelines/p{number}.toml")), text).expect("a pipeline");
    }
    let begin = Instant::now();
    world.start();
    for _ in 0..=MANY {
        world.wait("pipeline_loaded", &[]);
    }
    let last = world.heard.last().expect("an event")["id"].as_u64().expect("a number");
    let upto = || {
        let book = fs::read(world.path("state/notices.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&book).unwrap_or_default()["upto"].as_u64().unwrap_or(0)
    };
    // The file says how far it is whenever a thousand events were looked at, or a definition changed.
    while upto() < last {
        assert!(begin.elapsed() < Duration::from_secs(120), "notices are at {} of {last}", upto());
        std::thread::sleep(Duration::from_millis(20));
    }
    let cpu = cpu_seconds(world.pid());
    assert!(cpu < 12.0, "{MANY} pipelines took {cpu} s of the processor");
    assert_eq!(world.stop(), 0);
}
