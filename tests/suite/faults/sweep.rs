//! Which calls fail: a sample of some classes in an ordinary run, `TIDEGATE_FAULTS=all` every one until a run passes clean
//! (`TIDEGATE_FAULTS=sync,names:EIO` only those), `TIDEGATE_FAULT=class:N:error` one, `class:N+:error` one and all after it.
//!
//! `TIDEGATE_FAULT_SEED=S` draws another sample, `TIDEGATE_FAULT_LANES=N` lets N worlds be at once, else one for each core; of a sweep,
//! `TIDEGATE_FAULT_FROM=N` begins at a later call, and `TIDEGATE_FAULT_EVERY=N` takes one of N.

use super::class::{CLASSES, Class, Fault};
use super::injector::{Injection, is_possible};
use super::story::{Told, tell};
use crate::simulation::Chance;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Calls that fail in an ordinary run, each once.
const SAMPLE: usize = 24;

/// Of which they are: those classes that were swept to a clean pass. The others are for sweeps until they were, too.
const SAMPLED: [Class; 2] = [Class::Sync, Class::Size];

#[test]
fn whichever_call_fails_nothing_is_lost_and_everything_goes_on() {
    if !is_possible() {
        eprintln!("not tried: this system has no filters that ask (seccomp_unotify)");
        return;
    }
    if let Ok(text) = std::env::var("TIDEGATE_FAULT") {
        let injection = named(&text).unwrap_or_else(|| panic!("`{text}` is no fault such as sync:3:EIO"));
        let told = tell(injection);
        println!("{}", told.fired.as_deref().unwrap_or("there are not so many calls"));
        assert!(told.broken.is_none(), "{}", said(injection, &told));
        return;
    }
    let broken = match std::env::var("TIDEGATE_FAULTS") {
        Ok(wanted) => wanted.split(',').flat_map(swept).collect(),
        Err(_) => sample(),
    };
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

fn named(text: &str) -> Option<Injection> {
    let mut words = text.split(':');
    let (class, nth, fault) = (words.next()?, words.next()?, words.next()?);
    let class = CLASSES.into_iter().find(|known| known.name() == class)?;
    let stays = nth.ends_with('+');
    let nth = nth.trim_end_matches('+').parse().ok()?;
    Some(Injection { class, nth: Some(nth), fault: Fault::named(fault)?, stays })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Some calls of what is sampled; the promises that broke.
fn sample() -> Vec<String> {
    let seed = number("TIDEGATE_FAULT_SEED").unwrap_or(1);
    println!("TIDEGATE_FAULT_SEED={seed}");
    let mut chance = Chance::new(seed);
    let none = |class| Injection { class, nth: None, fault: Fault::Io, stays: false };
    let counted = run(SAMPLED.map(none).into());
    let mut broken = report("without a fault", &counted);
    let drawn = (0..SAMPLE).map(|index| {
        let (Injection { class, .. }, told) = &counted[index % counted.len()];
        let fault = class.faults()[chance.next() as usize % class.faults().len()];
        let nth = Some(1 + chance.next() % told.count.max(1));
        Injection { class: *class, nth, fault, stays: false }
    });
    broken.extend(report("a sample", &run(drawn.collect())));
    broken
}

/// Every call of what is named: `all`, a class, one of its errors (`sync:EIO`), or that for good (`sync:EIO+`).
fn swept(wanted: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for class in CLASSES {
        for &fault in class.faults() {
            for stays in [false, true].into_iter().filter(|stays| !stays || fault.can_stay()) {
                let name = format!("{}:{}{}", class.name(), fault.name(), if stays { "+" } else { "" });
                if ["all", class.name(), &name].contains(&wanted) {
                    broken.extend(sweep(&name, Injection { class, nth: None, fault, stays }));
                }
            }
        }
    }
    broken
}

/// From the first call to the last.
fn sweep(name: &str, injection: Injection) -> Vec<String> {
    let counted = run(vec![injection]);
    // Some more, since no two runs make the same number of calls.
    let count = counted[0].1.count * 21 / 20 + 2;
    let from = number("TIDEGATE_FAULT_FROM").unwrap_or(1);
    let every = number("TIDEGATE_FAULT_EVERY").unwrap_or(1);
    let wanted = (from..=count).step_by(every as usize);
    let all = wanted.map(|nth| Injection { nth: Some(nth), ..injection }).collect();
    let mut broken = report(name, &counted);
    broken.extend(report(name, &run(all)));
    broken
}

/// Tells several at once; what came of each.
fn run(wanted: Vec<Injection>) -> Vec<(Injection, Told)> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let lanes = number("TIDEGATE_FAULT_LANES").unwrap_or(cores as u64);
    let (queue, done) = (Mutex::new(VecDeque::from(wanted)), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(injection) = next else { return };
                    let told = tell(injection);
                    if told.broken.is_some() {
                        // At once: a sweep is long.
                        println!("{}", said(injection, &told));
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((injection, told));
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The promises that broke.
fn report(what: &str, told: &[(Injection, Told)]) -> Vec<String> {
    let fired = told.iter().filter(|(_, told)| told.fired.is_some()).count();
    let broke = told.iter().filter(|(_, told)| told.broken.is_some());
    let broken: Vec<String> = broke.map(|(injection, told)| said(*injection, told)).collect();
    println!(
        "{what}: {} told, {fired} with a call that failed, {} broke a promise",
        told.len(),
        broken.len()
    );
    broken
}

fn said(injection: Injection, told: &Told) -> String {
    let fired = told.fired.as_deref().unwrap_or("no call failed");
    let broken = told.broken.as_deref().unwrap_or("all is well");
    format!("TIDEGATE_FAULT={injection}\n  {fired}\n  {broken}")
}
