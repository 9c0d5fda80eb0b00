//! What a controller keeps in memory of what goes through it: output without an end, and events without an end, with a
//! subscriber to all of it.

#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use super::process::{Controller, git, subscribe, tidegate, wait};
use crate::figures::{is_quick, row};
use std::fs;
use std::io::Read;
use std::process::Stdio;

const MIB: usize = 1 << 20;
/// What one step may say through `$TIDEGATE_EVENTS`, at about 30 bytes each, is less than half of the limit.
const EVENTS_A_STEP: usize = 250_000;

/// 1 GiB without a newline from one step.
pub(crate) fn output() {
    let mib = if is_quick() { 128 } else { 1_024 };
    let step = format!(
        "[[build.step]]\nname = \"bulk\"\nlimits = {{ output = \"2GiB\" }}\nrun = \"head -c {} /dev/zero | tr '\\\\0' x\"\n",
        mib * MIB
    );
    let grown = grown_by(&step);
    row(
        &format!("memory: {mib} MiB from one step to a log and a subscriber, growth"),
        "MiB",
        grown,
        None,
        "≤ 8 MiB",
    );
}

/// A million events, each durable.
pub(crate) fn events() {
    let steps = if is_quick() { 1 } else { 4 };
    let step = |number| {
        format!(
            "[[build.step]]\nname = \"say-{number}\"\n\
             run = '''yes '{{\"kind\":\"progress\",\"percent\":1}}' | head -n {EVENTS_A_STEP} >> \"$TIDEGATE_EVENTS\"'''\n"
        )
    };
    let grown = grown_by(&(0..steps).map(step).collect::<String>());
    let what =
        format!("memory: {} live events to the journal and a subscriber, growth", steps * EVENTS_A_STEP);
    row(&what, "MiB", grown, None, "");
}

/// By how much the controller's largest resident size is above the one before a build with such steps.
fn grown_by(steps: &str) -> f64 {
    let head = "[source]\nrepo = \"shop.git\"\nrefs = [\"main\"]\n\n";
    let controller = Controller::with(&format!("{head}{steps}\n[[tier]]\nname = \"host\"\n"));
    let events = controller.listen();
    wait(&events, "pipeline_loaded");
    git(controller.path(), &["clone", "-q", "shop.git", "work"]);
    let work = controller.path().join("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "One"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    let all = subscribe(&controller.address, "/events?since=0");
    let reader = std::thread::spawn(move || drain(all));
    let before = controller.megabytes("VmRSS");
    let mut rebuild = tidegate(controller.path());
    rebuild.args(["rebuild", "shop"]).env("TIDEGATE_URL", format!("http://{}", controller.address));
    assert!(rebuild.stderr(Stdio::null()).status().unwrap().success());
    wait(&events, "build_ok");
    let (after, highest) = (controller.megabytes("VmRSS"), controller.megabytes("VmHWM"));
    let log = fs::read_dir(controller.path().join("state/logs/shop")).unwrap();
    let largest = log.map(|log| log.unwrap().metadata().unwrap().len()).max().unwrap();
    drop(controller);
    let read = reader.join().unwrap();
    println!(
        "memory: {before:.1} MB before, {after:.1} MB after, {highest:.1} MB at most; the largest log has {largest} bytes, \
         the subscriber got {read}"
    );
    highest - before
}

fn drain(mut stream: impl Read) -> usize {
    let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        total += count;
    }
    total
}
