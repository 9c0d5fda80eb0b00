//! What connections cost the real controller: nothing once they are gone, and no more than its limits while they are
//! there.

use super::SHOP;
use super::world::World;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Rounds of connections; each opens four. `TIDEGATE_ROUNDS` says more.
fn rounds() -> usize {
    std::env::var("TIDEGATE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

fn number(world: &World, name: &str) -> u64 {
    let text = String::from_utf8(world.bytes("/metrics")).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not in {text}"))
}

fn descriptors(world: &World) -> usize {
    fs::read_dir(format!("/proc/{}/fd", world.pid())).expect("its descriptors").count()
}

/// Clock ticks of processor time that the controller has used.
fn ticks(world: &World) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", world.pid())).expect("its numbers");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn handshake(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "GET /events?since=0 HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 101");
    stream
}

/// Comes and goes in four ways: silently, with half a head, as a subscriber, and as an impatient reader.
fn come_and_go(world: &World, rounds: usize) {
    for _ in 0..rounds {
        drop(TcpStream::connect(&world.address).expect("a connection"));
        let mut half = TcpStream::connect(&world.address).expect("a connection");
        half.write_all(b"GET /healthz HTTP/1.1\r\nho").expect("sent");
        drop(handshake(&world.address));
        let mut impatient = TcpStream::connect(&world.address).expect("a connection");
        let head =
            format!("GET /events HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n", world.address);
        impatient.write_all(head.as_bytes()).expect("sent");
    }
}

#[test]
fn connections_that_come_and_go_leave_nothing() {
    let world = World::new(SHOP);
    // What is allocated once is no leak.
    come_and_go(&world, 50);
    until("the first are gone", || number(&world, "tidegate_subscribers") == 1);
    let (before, resident) = (descriptors(&world), number(&world, "process_resident_memory_bytes"));
    let begin = Instant::now();
    come_and_go(&world, rounds());
    // A few more than before may be those of our own questions.
    until("all are gone", || {
        descriptors(&world) <= before + 8 && number(&world, "tidegate_subscribers") == 1
    });
    let grown = number(&world, "process_resident_memory_bytes").saturating_sub(resident);
    println!("{} connections in {:?}, {} KiB more", rounds() * 4, begin.elapsed(), grown >> 10);
    assert!(grown < 16 << 20, "{grown} bytes for {} connections", rounds() * 4);
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let world = World::new(SHOP);
    let pid = rustix::process::Pid::from_raw(world.pid());
    let few = descriptors(&world) as u64 + 8;
    let limit = rustix::process::Rlimit { current: Some(few), maximum: Some(few) };
    rustix::process::prlimit(pid, rustix::process::Resource::Nofile, limit).expect("its limit");
    let kept: Vec<TcpStream> =
        (0..64).map(|_| TcpStream::connect(&world.address).expect("the kernel takes it")).collect();
    until("it says what it lacks", || world.read("log").contains("cannot take a connection"));
    // It does not spin: of half a second it uses little.
    let (begin, used) = (Instant::now(), ticks(&world));
    std::thread::sleep(Duration::from_millis(500));
    let share = (ticks(&world) - used) as f64 * 10.0 / begin.elapsed().as_millis() as f64;
    assert!(share < 0.3, "it uses {share} of a processor");
    drop(kept);
    assert_eq!(world.bytes("/healthz"), b"ok\n");
}
