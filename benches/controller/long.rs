//! What lasts: a start, the state and memory with a long journal, and doing nothing.
#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use super::process::{Controller, stop, wait};
use crate::figures::{is_quick, row};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tidegate::domain::{Envelope, Event, EventId, Fact, PipelineName};
use tidegate::engine;
use tidegate::journal::{Journal, Record, SqliteJournal};

/// A start with a long journal, until it answers.
pub(crate) fn start() {
    let mut base = None;
    for events in [0_u64, 100_000, 1_000_000] {
        let controller = Controller::new();
        wait(&controller.listen(), "pipeline_loaded");
        let folder = stop(controller);
        lengthen(&folder.path().join("state"), events);
        let begin = Instant::now();
        let controller = Controller::begin(folder);
        let took = begin.elapsed().as_secs_f64() * 1_000.0;
        let resident = controller.megabytes("VmRSS");
        let answered = median_answer(&controller);
        let goals = if events == 0 { ("≤ 10 ms", "") } else { ("", "") };
        let few = *base.get_or_insert((took, answered, resident));
        let beside = |few: f64| (events > 0).then_some(few);
        println!("start with {events} events: {took:.0} ms, {resident:.1} MB");
        row(&format!("start with {events} events before, beside none"), "ms", took, beside(few.0), goals.0);
        row(
            &format!("status with {events} events before, beside none"),
            "ms",
            answered,
            beside(few.1),
            goals.1,
        );
        row(&format!("memory with {events} events before, beside none"), "MiB", resident, beside(few.2), "");
    }
}

/// How long the state takes that `tidegate status` shows, in the middle of many.
fn median_answer(controller: &Controller) -> f64 {
    let agent = ureq::Agent::new_with_defaults();
    let ask = |_| {
        let begin = Instant::now();
        let mut answer = agent.get(format!("http://{}/api/state", controller.address)).call().unwrap();
        answer.body_mut().read_to_string().unwrap();
        begin.elapsed().as_secs_f64() * 1_000.0
    };
    let mut took: Vec<f64> = (0..if is_quick() { 11 } else { 101 }).map(ask).collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

/// Adds holds and their ends to a journal.
fn lengthen(state: &Path, events: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let journal = SqliteJournal::open(state).unwrap();
    let shop = PipelineName::from("shop");
    runtime.block_on(async {
        let mut last = journal.last_id().0;
        let end = last + events;
        while last < end {
            let batch: Vec<Record> =
                (last + 1..=(last + 1_000).min(end)).map(|id| record(id, &shop)).collect();
            last += batch.len() as u64;
            journal.append(batch).await.unwrap();
        }
        journal.close().await.unwrap();
    });
}

fn record(id: u64, shop: &PipelineName) -> Record {
    let event = if id.is_multiple_of(2) {
        Event::HoldSet { tier: None, of_rollback: false }
    } else {
        Event::HoldLifted { tier: None }
    };
    let fact = Fact { pipeline: Some(shop.clone()), by: Some("ann".into()), why: None, event };
    engine::record(&Envelope { id: EventId(id), at: chrono::DateTime::UNIX_EPOCH, fact })
}

/// What it costs to do nothing.
pub(crate) fn idle() {
    let controller = Controller::new();
    // Threads that are needed now and then end ten seconds after they were.
    std::thread::sleep(Duration::from_secs(14));
    let before = switches(&controller);
    std::thread::sleep(Duration::from_secs(15));
    println!(
        "idle: {:.1} MB resident, {} wake-ups in 15 s without a subscriber",
        controller.megabytes("VmRSS"),
        switches(&controller) - before
    );
    row("idle: wake-ups in 15 s", "wake-ups", (switches(&controller) - before) as f64, None, "≤ 0 wake-ups");
    let rollup = controller.process("smaps_rollup");
    let mib = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1_024.0
    };
    row("idle: proportional set size", "MiB", mib("Pss:"), None, "≤ 5.2 MiB");
    row("idle: of it, what is not pages of the program's file", "MiB", mib("Pss_Anon:"), None, "");
}

fn switches(controller: &Controller) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", controller.child.id())).unwrap();
    let of = |task: PathBuf| {
        let status = fs::read_to_string(task.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.map(|task| of(task.unwrap().path())).sum()
}
