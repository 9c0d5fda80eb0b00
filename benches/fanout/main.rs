//! What a subscriber costs: the bus and the server of this process beside a thread that encoded everything before and
//! writes 64 frames at once to one socket after the other. As fast as all of them take it; ours never further ahead of
//! the slowest than the bus holds, so that nobody lags.
//!
//! The same thread reads for both, and counts bytes: every message has the same length, so a gap or a word too many
//! would be seen. Paced, too: what a delivery costs, and how long it takes, when there is time enough.
//! `cargo bench --bench fanout`; `-- --quick` for less; `saturated`, `paced` choose one.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

#[path = "../figures/mod.rs"]
mod figures;
mod ours;
mod paced;
mod readers;
mod time;

use readers::Readers;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

/// Bytes of one frame, with its head of four: about as many as a `gate_done` has.
const FRAME: usize = 304;
/// Deliveries of one saturated turn.
const DELIVERIES: usize = 1_000_000;
/// Frames that the twin writes at once.
const BATCH: usize = 64;

fn main() {
    let turns = if figures::is_quick() { 3 } else { 5 };
    let server = ours::Server::start();
    let is_wanted = |part: &str| {
        let mut named = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|word| word == part)
    };
    for subscribers in if is_wanted("saturated") { &[1, 100, 1_000][..] } else { &[] } {
        let subscribers = *subscribers;
        let (mut ours, mut twins) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            ours.push(saturated(&server, subscribers));
            twins.push(twin(subscribers));
        }
        let (ours, twin) = (median(ours), median(twins));
        let work = format!("fan-out to {subscribers}, saturated");
        figures::row(&work, "messages/s", ours, Some(twin), "≥ 0.6×");
    }
    // To one alone this pace would be one event in 50 µs: more than the bus holds, should the machine pause for 13 ms.
    for subscribers in if is_wanted("paced") { &[100, 1_000][..] } else { &[] } {
        paced::compare(&server, *subscribers, turns);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Messages a second to so many subscribers of the server.
fn saturated(server: &Arc<ours::Server>, subscribers: usize) -> f64 {
    let events = DELIVERIES / subscribers;
    let sockets = (0..subscribers).map(|_| server.subscribe()).collect();
    server.until_there(subscribers);
    let readers = Readers::start(sockets, events * FRAME, None);
    let begin = Instant::now();
    server.publish(events);
    readers.join();
    let took = begin.elapsed();
    server.until_gone();
    (events * subscribers) as f64 / took.as_secs_f64()
}

/// The same by one thread that does nothing but write.
fn twin(subscribers: usize) -> f64 {
    let events = DELIVERIES / subscribers;
    let (sockets, mut ends) = pairs(subscribers);
    let readers = Readers::start(sockets, events * FRAME, None);
    let frames = vec![b'x'; BATCH * FRAME];
    let begin = Instant::now();
    for first in (0..events).step_by(BATCH) {
        let bytes = BATCH.min(events - first) * FRAME;
        ends.iter_mut().for_each(|end| end.write_all(&frames[..bytes]).unwrap());
    }
    readers.join();
    (events * subscribers) as f64 / begin.elapsed().as_secs_f64()
}

/// Sockets that are connected: to read from, and to write to.
fn pairs(count: usize) -> (Vec<TcpStream>, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (0..count).map(|_| (TcpStream::connect(address).unwrap(), listener.accept().unwrap().0)).unzip()
}
