//! Everything to 100 subscribers, durable events included, beside a loop that writes the same bytes to 100 sockets.
#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use super::process::{Controller, subscribe, wait};
use super::{EVENTS, SUBSCRIBERS};
use crate::figures::row;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Everything to 100 subscribers, beside a loop that writes the same bytes to 100 sockets.
pub(crate) fn fan_out() {
    let controller = Controller::new();
    let token = fs::read_to_string(controller.path().join("state/token")).unwrap();
    wait(&controller.listen(), "pipeline_loaded");
    let streams: Vec<TcpStream> =
        (0..SUBSCRIBERS).map(|_| subscribe(&controller.address, "/events?since=2")).collect();
    let readers: Vec<_> =
        streams.into_iter().map(|stream| std::thread::spawn(move || count(stream, EVENTS))).collect();
    let (begin, used) = (Instant::now(), controller.processor());
    let agent = ureq::Agent::new_with_defaults();
    for n in 0..EVENTS {
        let action = if n.is_multiple_of(2) { "hold" } else { "resume" };
        let url = format!("http://{}/api/pipelines/shop/{action}", controller.address);
        let request = agent.post(&url).header("Authorization", format!("Bearer {}", token.trim()));
        request
            .header("Content-Type", "application/json")
            .send("{}")
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
    }
    let asked = begin.elapsed();
    let bytes: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
    let (took, used) = (begin.elapsed(), controller.processor() - used);
    let (twin, twin_used) = fan_out_twin(bytes / SUBSCRIBERS / EVENTS);
    println!(
        "fan-out: {EVENTS} durable events to {SUBSCRIBERS} subscribers in {:.2} s ({:.2} s until the last was asked for), \
         {:.0} deliveries/s, processor {:.2} s, at most {:.1} MB; twin {:.2} s, processor {:.2} s, ratio of processor {:.2}",
        took.as_secs_f64(),
        asked.as_secs_f64(),
        (EVENTS * SUBSCRIBERS) as f64 / took.as_secs_f64(),
        used.as_secs_f64(),
        controller.megabytes("VmHWM"),
        twin.as_secs_f64(),
        twin_used.as_secs_f64(),
        used.as_secs_f64() / twin_used.as_secs_f64(),
    );
    let work = "2,000 events asked for over HTTP, to 100 subscribers: processor time";
    row(work, "s", used.as_secs_f64(), Some(twin_used.as_secs_f64()), "");
}

/// Reads until so many events have come; how many bytes they were.
fn count(stream: TcpStream, events: usize) -> usize {
    let (mut seen, mut bytes) = (0, 0);
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if line.starts_with("data:") {
            (seen, bytes) = (seen + 1, bytes + line.len() + 2);
        }
        if seen == events {
            break;
        }
    }
    bytes
}

/// One thread appends each event to a file, syncs it, and writes it to every socket.
fn fan_out_twin(size: usize) -> (Duration, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reader = |_| {
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut buffer = [0; 16 << 10];
            while stream.read(&mut buffer).unwrap() > 0 {}
        })
    };
    let readers: Vec<_> = (0..SUBSCRIBERS).map(reader).collect();
    let mut sockets: Vec<TcpStream> = (0..SUBSCRIBERS).map(|_| listener.accept().unwrap().0).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut kept = fs::File::create(folder.path().join("kept")).unwrap();
    let event = vec![b'x'; size];
    let (begin, used) = (Instant::now(), thread_time());
    for _ in 0..EVENTS {
        kept.write_all(&event).and_then(|()| kept.sync_data()).unwrap();
        for socket in &mut sockets {
            socket.write_all(&event).unwrap();
        }
    }
    let used = thread_time() - used;
    drop(sockets);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    (begin.elapsed(), used)
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split_whitespace().collect();
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}
