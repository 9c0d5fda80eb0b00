//! A connection whose client must read in the end: a write that waits for too long fails. It ends so that the last answer
//! is heard: bytes that were sent and never read would make the system take back what is under way, and a proxy would
//! tell of a broken connection instead of the refusal that it got.

use super::doors::Line;
use super::listen::UnderWay;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long what a client still sends is read, and forgotten, after the last answer.
const GOODBYE: Duration = Duration::from_secs(1);

/// A stream on which a client that reads nothing is given up after a while.
pub(super) struct Patient {
    stream: Line,
    patience: Duration,
    under_way: UnderWay,
    /// Runs while a write waits, which counts as something under way.
    waiting: Option<(Pin<Box<Sleep>>, UnderWay)>,
    /// Runs once everything is said.
    goodbye: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// A write may wait for so long without any byte going out.
    pub(super) fn new(stream: Line, patience: Duration, under_way: UnderWay) -> Patient {
        Patient { stream, patience, under_way, waiting: None, goodbye: None }
    }

    fn timed<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let (patience, under_way) = (self.patience, &self.under_way);
        let (waiting, _) = self.waiting.get_or_insert_with(|| (Box::pin(sleep(patience)), under_way.clone()));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Patient { stream, goodbye, .. } = &mut *self;
        let goodbye = match goodbye {
            Some(goodbye) => goodbye,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                goodbye.insert(Box::pin(sleep(GOODBYE)))
            }
        };
        let mut forgotten = [0; 8192];
        while goodbye.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut forgotten);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
