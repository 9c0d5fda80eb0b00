//! Steps that do all that a process can do to outlive its end, to be in the way, or to take more than it may, run by the
//! real `tidegate runner`: how each ends, and that nothing is left of it.
//!
//! Each program of [`programs`] is run some rounds side by side; when all of them have ended, the runner must have no
//! descendant, no zombie, no descriptor more than before and no cgroup ([`yard`]). All of it is done twice where this
//! machine lets the runner make cgroups: with them, and without. `TIDEGATE_TORTURE=N` is the number of rounds,
//! `TIDEGATE_TORTURE_ONLY=NAME` one program only.

mod programs;
mod yard;

use programs::{End, Log, PROGRAMS, Program};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use yard::{Ran, Way, Yard};

/// Rounds of each program, where nothing else is said.
const ROUNDS: usize = 3;
/// How many run at once.
const AT_ONCE: usize = 4;

fn rounds() -> usize {
    std::env::var("TIDEGATE_TORTURE").ok().and_then(|count| count.parse().ok()).unwrap_or(ROUNDS)
}

fn is_left_out(program: &Program) -> bool {
    std::env::var("TIDEGATE_TORTURE_ONLY").is_ok_and(|only| only != program.name)
}

#[test]
fn with_cgroups_nothing_survives() {
    let yard = Yard::new(Way::Cgroups);
    if yard.ground().is_err() {
        eprintln!("skipped: {}", yard.ground().expect_err("a reason"));
        return;
    }
    torture(&yard);
}

#[test]
fn without_cgroups_nothing_survives() {
    torture(&Yard::new(Way::Without));
}

fn torture(yard: &Yard) {
    let mut bystanders = Bystanders::new();
    yard.warm_up();
    let mut count = 0;
    for program in PROGRAMS.iter().filter(|program| !is_left_out(program)) {
        if !yard.can(program) {
            eprintln!("skipped: {}", program.name);
            continue;
        }
        let begin = Instant::now();
        let ran = yard.run_all(program, rounds(), AT_ONCE);
        ran.iter().for_each(|ran| judge(program, ran));
        yard.nothing_is_left(program.name);
        bystanders.live();
        count += ran.len();
        let longest = ran.iter().map(|ran| ran.exit.elapsed).max().unwrap_or_default();
        eprintln!(
            "{:?} {}: {} runs in {:.1?}, the longest {longest:.1?}",
            yard.way(),
            program.name,
            ran.len(),
            begin.elapsed()
        );
    }
    eprintln!("{:?}: {count} runs, no survivor", yard.way());
}

/// Whether it ended as it should, in time, and its log is what it wrote.
fn judge(program: &Program, ran: &Ran) {
    let Ran { exit, log, warnings } = ran;
    let name = program.name;
    let shown = || format!("{name}: {:?}, {} bytes of log, {warnings:?}", exit, log.len());
    assert!(program.end.fits(&exit.how), "{}, {}", shown(), String::from_utf8_lossy(log));
    assert_eq!(exit.log_bytes, log.len() as u64, "{}", shown());
    assert!(program.log.fits(log), "{}: {:?}", shown(), String::from_utf8_lossy(log));
    assert!(exit.elapsed < Duration::from_secs(40), "{}", shown());
    let given_up = warnings.iter().find(|text| text.contains("failed to") || text.contains("does not die"));
    assert_eq!(given_up, None, "{}", shown());
}

/// Processes that have nothing to do with any step: whoever is hit by a signal that was meant for another is missed.
struct Bystanders(Vec<Child>);

impl Bystanders {
    fn new() -> Bystanders {
        let start = |_| Command::new("sleep").arg("100000").stdin(Stdio::null()).spawn().expect("it starts");
        Bystanders((0..20).map(start).collect())
    }

    fn live(&mut self) {
        for child in &mut self.0 {
            assert_eq!(child.try_wait().expect("a child"), None, "a stranger was signaled");
        }
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Gone already was said above.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn there_are_enough_programs() {
    assert!(PROGRAMS.len() >= 25, "{}", PROGRAMS.len());
    let names: std::collections::BTreeSet<_> = PROGRAMS.iter().map(|program| program.name).collect();
    assert_eq!(names.len(), PROGRAMS.len(), "each has a name of its own");
    assert!(PROGRAMS.iter().any(|program| matches!(program.end, End::Limit(_))));
    assert!(PROGRAMS.iter().any(|program| matches!(program.log, Log::Zeros)));
}
