//! The reading end of a step's pipe: gathers, buffers, and how eagerly to read. Leaves what is done with the bytes to
//! others, and knows no process.

use super::Bytes;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio_util::bytes::BytesMut;

/// Most that one gather holds.
pub(super) const GATHER: usize = 64 * 1024;
/// Less than this is copied out of the buffer, so that a queued report of a short line does not hold 64 KiB.
const SMALL: usize = 4 * 1024;
/// Buffers kept for use again.
const POOL: usize = 64;
/// A busy step's pipe, in bytes; a default one holds 64 KiB.
const LARGE_PIPE: usize = 256 * 1024;
/// So many small reads in quick succession mean a step that writes line by line as fast as it can.
const CHATTY: u32 = 8;
/// What quick succession is.
const QUICK: Duration = Duration::from_millis(2);
/// How long such a step's output is left to gather: each wake-up slows both sides more than the bytes do.
const REST: Duration = Duration::from_millis(1);

/// The reading end.
pub(super) struct Capture {
    pipe: OwnedFd,
    /// Nobody holds the writing end any more.
    ended: bool,
    buffer: Option<BytesMut>,
    /// Buffers whose bytes went out; free again when nobody else refers to them.
    lent: VecDeque<Bytes>,
    enlarged: bool,
    full_reads: u32,
    small_reads: u32,
    last_read: Instant,
    rest_until: Option<Instant>,
}

impl Capture {
    /// A pipe: the reading end as a capture, and the writing end for the step.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (pipe, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        let capture = Self {
            pipe,
            ended: false,
            buffer: None,
            lent: VecDeque::new(),
            enlarged: false,
            full_reads: 0,
            small_reads: 0,
            last_read: Instant::now(),
            rest_until: None,
        };
        Ok((capture, writer))
    }

    pub(super) fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    pub(super) fn into_pipe(self) -> OwnedFd {
        self.pipe
    }

    /// Whether every writer has closed its end and all was read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Until when the pipe should be left alone to fill.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        self.rest_until
    }

    pub(super) fn rest_is_over(&mut self) {
        self.rest_until = None;
    }

    /// Bytes in the pipe now.
    pub(super) fn waiting(&self) -> usize {
        rustix::io::ioctl_fionread(&self.pipe).map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Takes what is there, at most `most` bytes and at most one gather. Empty: there is nothing now, or for ever.
    pub(super) fn read(&mut self, most: usize) -> Bytes {
        let mut buffer = self.buffer.take().unwrap_or_else(|| self.fresh_buffer());
        let most = most.min(GATHER);
        let filled = loop {
            match rustix::io::read(&self.pipe, &mut buffer[..most]) {
                Ok(count) => {
                    self.ended = count == 0 && most > 0;
                    break count;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break 0,
                // A pipe knows no other errors; if it ever does, there is nothing more to be had from it.
                Err(_) => {
                    self.ended = true;
                    break 0;
                }
            }
        };
        self.learn(filled);
        self.hand_out(buffer, filled)
    }

    fn hand_out(&mut self, buffer: BytesMut, filled: usize) -> Bytes {
        if filled < SMALL {
            let bytes = Bytes::copy_from_slice(&buffer[..filled]);
            self.buffer = Some(buffer);
            return bytes;
        }
        let whole = buffer.freeze();
        let bytes = whole.slice(..filled);
        if self.lent.len() < POOL {
            self.lent.push_back(whole);
        }
        bytes
    }

    fn fresh_buffer(&mut self) -> BytesMut {
        match self.lent.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(free)) => free,
            Some(Err(in_use)) => {
                self.lent.push_back(in_use);
                BytesMut::zeroed(GATHER)
            }
            None => BytesMut::zeroed(GATHER),
        }
    }

    /// Makes the pipe of a busy step larger, and lets the output of a chatty one gather.
    fn learn(&mut self, count: usize) {
        let now = Instant::now();
        let quick = now.duration_since(self.last_read) < QUICK;
        self.last_read = now;
        self.full_reads = if count == GATHER { self.full_reads + 1 } else { 0 };
        self.small_reads = match count {
            _ if !quick => 0,
            0..SMALL => self.small_reads.saturating_add(1),
            GATHER.. => self.small_reads,
            _ if self.small_reads > CHATTY => self.small_reads,
            _ => 0,
        };
        let chatty = self.small_reads > CHATTY;
        if !self.enlarged && (chatty || self.full_reads > 4) {
            // Refused when the user has too much in pipes already: then the pipe stays as it is.
            self.enlarged = true;
            let _ = fcntl_setpipe_size(&self.pipe, LARGE_PIPE);
        }
        self.rest_until = (chatty && count < GATHER).then(|| now + REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_when_nobody_holds_them() {
        let (mut capture, writer) = Capture::new().unwrap();
        let mut places = Vec::new();
        for _ in 0..4 {
            rustix::io::write(&writer, &[7; 8192]).unwrap();
            let bytes = capture.read(GATHER);
            assert_eq!(bytes.len(), 8192);
            places.push(bytes.as_ptr());
        }
        places.dedup();
        assert_eq!(places.len(), 1);
        rustix::io::write(&writer, b"small").unwrap();
        assert_eq!(capture.read(GATHER), &b"small"[..]);
        assert!(!capture.has_ended());
        drop(writer);
        // A process that another test starts just now has a copy until it is another program.
        while !capture.has_ended() {
            assert!(capture.read(GATHER).is_empty());
            std::thread::yield_now();
        }
    }

    #[test]
    fn no_more_is_taken_than_asked() {
        let (mut capture, writer) = Capture::new().unwrap();
        rustix::io::write(&writer, b"0123456789").unwrap();
        assert_eq!(capture.read(4), &b"0123"[..]);
        assert_eq!(capture.waiting(), 6);
    }
}
