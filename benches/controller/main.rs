//! How fast the whole controller is: from a push, or a saved pipeline, to the event that a subscriber sees; what 100
//! subscribers cost; how long a start takes; what bulk costs in memory. A twin is the smallest thing that does as much: a
//! hook that appends a line, syncs it and tells a reader; a thread that looks at the folder; a loop that writes to 100
//! sockets.
//!
//! `cargo bench --bench controller`; names (`push`, `save`, `fan-out`, `start`, `idle`, `output`, `events`) choose parts.

#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]

#[path = "../figures/mod.rs"]
mod figures;
mod bulk;
mod long;
mod many;
mod process;
mod pushes;
mod saves;

use std::time::Duration;

const TURNS: usize = 100;
const SUBSCRIBERS: usize = 100;
const EVENTS: usize = 2_000;

const PIPELINE: &str = "
[source]
repo = \"shop.git\"
refs = [\"main\"]

[[build.step]]
name = \"nothing\"
run = \"true\"

[[tier]]
name = \"host\"
";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let parts: [(&str, fn()); 7] = [
        ("push", pushes::push),
        ("save", saves::save),
        ("fan-out", many::fan_out),
        ("start", long::start),
        ("idle", long::idle),
        ("output", bulk::output),
        ("events", bulk::events),
    ];
    parts.into_iter().filter(|(name, _)| is_wanted(name)).for_each(|(_, part)| part());
}

fn say(what: &str, ours: &mut [Duration], twin: &mut [Duration], goal: &str) {
    ours.sort();
    twin.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let at = |times: &[Duration], share: usize| times[times.len() * share / 100];
    println!(
        "{what}: p50 {:.2} ms, twin {:.2} ms, ratio {:.2}, {:+.2} ms; p99 {:.2} ms, twin {:.2} ms",
        ms(at(ours, 50)),
        ms(at(twin, 50)),
        ms(at(ours, 50)) / ms(at(twin, 50)),
        ms(at(ours, 50)) - ms(at(twin, 50)),
        ms(at(ours, 99)),
        ms(at(twin, 99)),
    );
    figures::row(what, "ms", ms(at(ours, 50)), Some(ms(at(twin, 50))), goal);
}
