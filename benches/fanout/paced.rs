//! 20,000 deliveries a second: how long each takes, and the processor time that they cost.

use super::ours::Server;
use super::readers::{Readers, Sent};
use super::{FRAME, pairs};
use crate::{figures, time};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DELIVERIES_A_SECOND: usize = 20_000;

/// What one turn showed.
struct Turn {
    p50: f64,
    p99: f64,
    /// Seconds of processor time of all but the reading thread.
    processor: f64,
}

pub(crate) fn compare(server: &Arc<Server>, subscribers: usize, turns: usize) {
    let (mut ours, mut twins) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        ours.push(ours_once(server, subscribers));
        twins.push(twin_once(subscribers));
    }
    let work = format!("fan-out to {subscribers}, {DELIVERIES_A_SECOND} deliveries a second");
    let median = |turns: &[Turn], what: fn(&Turn) -> f64| super::median(turns.iter().map(what).collect());
    let row = |name: &str, unit: &str, what: fn(&Turn) -> f64, goal: &str| {
        figures::row(&format!("{work}: {name}"), unit, median(&ours, what), Some(median(&twins, what)), goal);
    };
    row("p50", "ms", |turn| turn.p50, "");
    row("p99", "ms", |turn| turn.p99, "≤ 1.15×");
    row("processor time", "s", |turn| turn.processor, "≤ 1.2×");
}

fn ours_once(server: &Arc<Server>, subscribers: usize) -> Turn {
    let sockets = (0..subscribers).map(|_| server.subscribe()).collect();
    server.until_there(subscribers);
    let publisher = server.clone();
    let turn = paced(sockets, subscribers, move |pace, sent| {
        server.work(async move {
            for (frame, due) in pace.enumerate() {
                tokio::time::sleep_until(due.into()).await;
                sent.mark(frame);
                publisher.publish_one();
            }
        });
    });
    server.until_gone();
    turn
}

/// One thread that writes to one socket after the other.
fn twin_once(subscribers: usize) -> Turn {
    let (sockets, mut ends) = pairs(subscribers);
    let bytes = vec![b'x'; FRAME];
    paced(sockets, subscribers, |pace, sent| {
        for (frame, due) in pace.enumerate() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sent.mark(frame);
            ends.iter_mut().for_each(|end| end.write_all(&bytes).unwrap());
        }
    })
}

/// Has frames sent, each at its time, and measures.
fn paced(sockets: Vec<TcpStream>, subscribers: usize, send: impl FnOnce(Pace, Arc<Sent>)) -> Turn {
    let a_second = DELIVERIES_A_SECOND / subscribers;
    let frames = a_second * if figures::is_quick() { 2 } else { 5 };
    let sent = Sent::new(frames);
    let used = time::of_process();
    let readers = Readers::start(sockets, frames * FRAME, Some(sent.clone()));
    let period = Duration::from_secs(1) / u32::try_from(a_second).unwrap();
    send(Pace { due: Instant::now(), period, left: frames }, sent);
    let (mut took, reading) = readers.join();
    let processor = time::of_process() - used - reading;
    took.sort_unstable();
    let at = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1_000.0;
    Turn { p50: at(50), p99: at(99), processor: processor.as_secs_f64() }
}

/// When the frames are due.
struct Pace {
    due: Instant,
    period: Duration,
    left: usize,
}

impl Iterator for Pace {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        self.left = self.left.checked_sub(1)?;
        self.due += self.period;
        Some(self.due)
    }
}
