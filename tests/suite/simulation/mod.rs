//! Seeded simulation of the real engine: a clock that is told, an interpreter that only pretends, a journal that fails
//! now and then, people who do anything, and a controller that is killed at any moment. After every event the
//! promises are asserted; `promises`, `doors` and `clockwork` list them. `jumps` is about clocks that are set.
//!
//! `TIDEGATE_SEEDS=N` runs N seeds, `TIDEGATE_SEED=K` only one, and prints what happened.

mod clockwork;
mod doors;
mod hands;
mod jumps;
mod promises;
mod story;

pub(crate) use story::history;

use hands::Hands;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate::bus::Bus;
use tidegate::clock::Clock;
use tidegate::disk::ToldDisk;
use tidegate::engine::{self, Engine, Options, Parts};
use tidegate::journal::{self, MemoryJournal};
use tokio::task::JoinHandle;

/// Seeds in an ordinary run.
const SEEDS: u64 = 10_000;

/// Seeds of the clock in an ordinary run.
const SEEDS_OF_CLOCK: u64 = 200;

#[test]
fn the_promises_hold_whatever_happens() {
    run(SEEDS, story::tell);
}

#[test]
fn the_promises_of_schedules_hold_wherever_the_clock_is_put() {
    run(SEEDS_OF_CLOCK, jumps::tell);
}

fn run(seeds: u64, tell: fn(u64, bool)) {
    if let Some(seed) = number("TIDEGATE_SEED") {
        tell(seed, true);
        return;
    }
    let seeds = number("TIDEGATE_SEEDS").unwrap_or(seeds);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let told = std::panic::catch_unwind(|| tell(seed, false));
                    if let Err(reason) = told {
                        next.store(seeds, Ordering::Relaxed);
                        eprintln!("seed {seed} breaks a promise: run it alone with TIDEGATE_SEED={seed}");
                        std::panic::resume_unwind(reason);
                    }
                }
            });
        }
    });
}

/// Lets a story happen in simulated time.
fn in_no_time(story: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(story);
}

/// A controller, from its journal, with hands that only pretend.
struct Controller {
    hands: Hands,
    engine: Engine,
    task: JoinHandle<Result<(), journal::Error>>,
}

impl Controller {
    fn start(
        journal: &Arc<MemoryJournal>,
        clock: Arc<dyn Clock>,
        disk: &ToldDisk,
        jobs: u32,
        runner: Option<String>,
    ) -> Controller {
        let state = engine::replay(&**journal).unwrap();
        let (hands, reports) = Hands::new();
        let parts = Parts {
            journal: journal.clone(),
            bus: Bus::new(journal.clone()),
            clock,
            disk: Arc::new(disk.clone()),
            interpreter: Arc::new(hands.clone()),
            reports,
        };
        let (engine, task) = engine::start(state, parts, Options { jobs, release: "test".into(), runner });
        Controller { hands, engine, task: tokio::spawn(task) }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Random numbers from a seed (SplitMix64, the published constants).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())) }
    }
}
