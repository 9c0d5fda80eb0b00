//! The bytes of a file on their way to a node: from the file into ssh's input without a copy in between, on a thread of
//! their own.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Bytes that are moved at once, and that ssh's input may hold.
const PIECE: usize = 1024 * 1024;
/// Bytes of a copy, where nothing can be moved without one.
const COPY: usize = 64 * 1024;
/// A node that takes nothing for so long will not.
pub(super) const STALL: Duration = Duration::from_secs(300);
/// How often it is looked whether anybody still wants it.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Why bytes were not sent.
pub(super) enum Unsent {
    /// The file cannot be read, or has become shorter.
    Read(io::Error),
    /// Nobody reads any more.
    Closed,
    /// Nobody has read for too long.
    Stalled,
}

/// How many bytes were sent, again and again until all are. Dropped, no more are.
pub(super) type Sending = mpsc::UnboundedReceiver<Result<u64, Unsent>>;

/// Sends these bytes of a file, exactly as many as that, into a pipe that does not block.
pub(super) fn send(path: &Path, bytes: Range<u64>, pipe: OwnedFd) -> Sending {
    let (sender, sending) = mpsc::unbounded_channel();
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        // Smaller than that it works as well.
        let _ = fcntl_setpipe_size(&pipe, PIECE);
        let mut way = match File::open(path) {
            Ok(file) => Way { file, pipe, copies: false },
            Err(error) => return drop(sender.send(Err(Unsent::Read(error)))),
        };
        let mut at = bytes.start;
        while at < bytes.end {
            let sent = way.some(at, bytes.end - at, &sender);
            at += sent.as_ref().map_or(0, |sent| *sent);
            let is_over = sent.is_err();
            if sender.send(sent).is_err() || is_over {
                return;
            }
        }
    });
    sending
}

struct Way {
    file: File,
    pipe: OwnedFd,
    /// Whether the file's disk can do no better.
    copies: bool,
}

impl Way {
    /// Sends some bytes, one at least; none if nobody wants them any more.
    fn some(
        &mut self,
        at: u64,
        most: u64,
        wanted: &mpsc::UnboundedSender<Result<u64, Unsent>>,
    ) -> Result<u64, Unsent> {
        let waits = Instant::now();
        loop {
            match self.try_some(at, most) {
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(Errno::INVAL | Errno::NOSYS) if !self.copies => {
                    self.copies = true;
                    continue;
                }
                Err(Errno::PIPE) => return Err(Unsent::Closed),
                Err(error) => return Err(Unsent::Read(error.into())),
                Ok(0) => return Err(Unsent::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => return Ok(sent as u64),
            }
            if wanted.is_closed() {
                return Err(Unsent::Closed);
            }
            if waits.elapsed() > STALL {
                return Err(Unsent::Stalled);
            }
            let fd = self.pipe.as_fd();
            // Whatever hinders the waiting, the next try says it.
            let _ = poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&LOOK));
        }
    }

    fn try_some(&self, at: u64, most: u64) -> rustix::io::Result<usize> {
        let most = usize::try_from(most).unwrap_or(PIECE);
        if !self.copies {
            let mut from = at;
            return splice(
                &self.file,
                Some(&mut from),
                &self.pipe,
                None,
                most.min(PIECE),
                SpliceFlags::NONBLOCK,
            );
        }
        let mut piece = [0; COPY];
        let most = most.min(COPY);
        let read = self.file.read_at(&mut piece[..most], at);
        let read = read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if read == 0 { Ok(0) } else { rustix::io::write(&self.pipe, &piece[..read]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn file(size: usize) -> (tempfile::NamedTempFile, Vec<u8>) {
        let bytes: Vec<u8> = (0..size).map(|at| (at / 251 % 256) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        (file, bytes)
    }

    fn pipe() -> (std::io::PipeReader, OwnedFd) {
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        (reader, writer.into())
    }

    async fn sum(mut sending: Sending) -> Result<u64, Unsent> {
        let mut sum = 0;
        while let Some(bytes) = sending.recv().await {
            sum += bytes?;
        }
        Ok(sum)
    }

    #[tokio::test]
    async fn exactly_the_bytes_that_are_wanted_are_sent() {
        let (file, bytes) = file(3_000_001);
        let (mut reader, writer) = pipe();
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        let sent = sum(send(file.path(), 70_000..3_000_000, writer)).await;
        assert!(matches!(sent, Ok(2_930_000)));
        assert!(reading.join().unwrap() == bytes[70_000..3_000_000]);
    }

    #[test]
    fn what_cannot_be_moved_is_copied() {
        let (file, bytes) = file(100);
        let (mut reader, pipe) = pipe();
        let way = Way { file: file.reopen().unwrap(), pipe, copies: true };
        assert_eq!(way.try_some(10, 50), Ok(50));
        drop(way);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, bytes[10..60]);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_and_a_reader_that_left_are_said() {
        let (file, _) = file(100);
        let (_reader, writer) = pipe();
        assert!(matches!(sum(send(file.path(), 0..101, writer)).await, Err(Unsent::Read(_))));
        let (reader, writer) = pipe();
        drop(reader);
        assert!(matches!(sum(send(file.path(), 0..100, writer)).await, Err(Unsent::Closed)));
    }
}
