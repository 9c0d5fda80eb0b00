//! One thread that reads many sockets, counts what comes, and takes the time of each frame if asked to.

use crate::{FRAME, time};
use rustix::event::{Timespec, epoll};
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the next message may be under way.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// When each frame was sent.
pub(crate) struct Sent {
    begin: Instant,
    after_ns: Vec<AtomicU64>,
}

impl Sent {
    /// Of so many frames.
    pub(crate) fn new(frames: usize) -> Arc<Sent> {
        let after_ns = (0..frames).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Sent { begin: Instant::now(), after_ns })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap()
    }

    /// This frame is sent now.
    pub(crate) fn mark(&self, frame: usize) {
        self.after_ns[frame].store(self.now(), Ordering::Release);
    }
}

/// The thread.
pub(crate) struct Readers(JoinHandle<(Vec<Duration>, Duration)>);

impl Readers {
    /// Reads until each socket has got exactly so many bytes. With `sent`, notes how long each frame took to each.
    pub(crate) fn start(sockets: Vec<TcpStream>, bytes: usize, sent: Option<Arc<Sent>>) -> Readers {
        Readers(std::thread::spawn(move || read(sockets, bytes, sent.as_deref())))
    }

    /// How long each frame took, in no order, and the thread's own processor time.
    pub(crate) fn join(self) -> (Vec<Duration>, Duration) {
        self.0.join().unwrap()
    }
}

fn read(mut sockets: Vec<TcpStream>, bytes: usize, sent: Option<&Sent>) -> (Vec<Duration>, Duration) {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for (number, socket) in sockets.iter().enumerate() {
        epoll::add(&poll, socket, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN).unwrap();
    }
    let mut got = vec![0; sockets.len()];
    let mut took = Vec::with_capacity(sent.map_or(0, |_| sockets.len() * bytes / FRAME));
    let mut buffer = vec![0; 64 << 10];
    let mut events = Vec::with_capacity(256);
    let mut there = 0;
    while there < sockets.len() {
        events.clear();
        let room = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&poll, room, Some(&PATIENCE)).unwrap();
        assert!(!events.is_empty(), "nothing came for {} s: a message was lost", PATIENCE.tv_sec);
        for event in &events {
            let number = usize::try_from(event.data.u64()).unwrap();
            let count = sockets[number].read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the other side closed");
            let before = got[number];
            got[number] += count;
            there += usize::from(got[number] >= bytes);
            if let Some(sent) = sent {
                let now = sent.now();
                let frames = before / FRAME..got[number] / FRAME;
                took.extend(frames.map(|frame| {
                    Duration::from_nanos(now.saturating_sub(sent.after_ns[frame].load(Ordering::Acquire)))
                }));
            }
        }
    }
    assert!(got.iter().all(|got| *got == bytes), "something was sent beside the messages");
    (took, time::of_thread())
}
