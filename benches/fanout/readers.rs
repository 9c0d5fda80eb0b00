//! One thread that reads many sockets and counts what comes.

use rustix::event::epoll;
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// The thread, and how far it is.
pub(crate) struct Readers {
    /// Bytes that the slowest socket has got.
    slowest: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Readers {
    /// Reads until each socket has got exactly so many bytes.
    pub(crate) fn start(sockets: Vec<TcpStream>, bytes: usize) -> Readers {
        let slowest = Arc::new(AtomicUsize::new(0));
        let told = slowest.clone();
        Readers { slowest, thread: std::thread::spawn(move || read(sockets, bytes, &told)) }
    }

    pub(crate) fn slowest(&self) -> usize {
        self.slowest.load(Ordering::Acquire)
    }

    pub(crate) fn join(self) {
        self.thread.join().unwrap();
    }
}

fn read(mut sockets: Vec<TcpStream>, bytes: usize, slowest: &AtomicUsize) {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for (number, socket) in sockets.iter().enumerate() {
        epoll::add(&poll, socket, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN).unwrap();
    }
    let mut got = vec![0; sockets.len()];
    let mut buffer = vec![0; 64 << 10];
    let mut events = Vec::with_capacity(256);
    while slowest.load(Ordering::Relaxed) < bytes {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None).unwrap();
        for event in &events {
            let number = usize::try_from(event.data.u64()).unwrap();
            let count = sockets[number].read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the other side closed");
            got[number] += count;
        }
        slowest.store(got.iter().copied().min().unwrap(), Ordering::Release);
    }
    assert!(got.iter().all(|got| *got == bytes), "something was sent beside the messages");
}
