//! The log file of a run: what the step wrote, masked, up to a limit, with the SHA-256 of exactly what the file holds.
//! Leaves reading the step's output to [`super::capture`].

use super::{Bytes, Start, mask::Mask};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// After so many pieces in a row that are large, hashing moves to a thread of its own.
const LARGE_PIECES: u32 = 16;
/// What a large piece is, in bytes.
const LARGE: usize = 32 * 1024;
/// How many pieces may wait for that thread.
const HASH_QUEUE: usize = 32;

/// A log file that is being written.
pub(super) struct Log {
    file: File,
    size: u64,
    limit: u64,
    truncated: bool,
    mask: Option<Mask>,
    hash: Hashing,
    failed: Option<String>,
    /// What was written last; none: nothing by this run.
    last: Option<u8>,
}

/// A log file as it is for good.
pub(super) struct Finished {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) truncated: bool,
    /// Why it could not be written to its end.
    pub(super) failed: Option<String>,
}

impl Log {
    /// Creates the file, or opens it at its end. The error reads after "failed to".
    pub(super) fn open(start: &Start) -> Result<Self, String> {
        let opened = open_or_create(&start.log, start.append).and_then(|mut file| {
            let (size, hash) = if start.append { hash_existing(&mut file)? } else { (0, Sha256::new()) };
            Ok(Self {
                file,
                size,
                limit: start.output_limit,
                truncated: false,
                mask: Mask::new(&start.mask),
                hash: Hashing::Here { hash, large: 0 },
                failed: None,
                last: None,
            })
        });
        opened.map_err(|error| format!("open the log `{}`: {error}", start.log.display()))
    }

    /// Takes what the step wrote. Gives what came into the file by it, and where; after a failure nothing ever does.
    pub(super) fn take(&mut self, piece: Bytes) -> Option<(u64, Bytes)> {
        let piece = match &mut self.mask {
            Some(mask) => Bytes::from(mask.feed(&piece)),
            None => piece,
        };
        self.write(piece)
    }

    /// The step has ended: writes what the mask held back.
    pub(super) fn take_last(&mut self) -> Option<(u64, Bytes)> {
        let rest = Bytes::from(self.mask.as_mut()?.finish());
        self.write(rest)
    }

    /// A line of our own, after all that the step wrote. Left out where there is no room for the whole of it.
    pub(super) fn note(&mut self, text: &str) -> Option<(u64, Bytes)> {
        let begin = if self.last.is_none_or(|last| last == b'\n') { "" } else { "\n" };
        let line = format!("{begin}tidegate: {text}\n");
        if self.limit.saturating_sub(self.size) < line.len() as u64 {
            return None;
        }
        self.write(Bytes::from(line))
    }

    /// Whether writing failed: then the step is of no use any more.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    pub(super) fn close(self) -> Finished {
        let sha256 = in_hex(&self.hash.finish());
        let truncated = self.truncated || self.failed.is_some();
        Finished { bytes: self.size, sha256, truncated, failed: self.failed }
    }

    fn write(&mut self, piece: Bytes) -> Option<(u64, Bytes)> {
        let room = usize::try_from(self.limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        self.truncated |= piece.len() > room;
        let wanted = piece.slice(..piece.len().min(room));
        if wanted.is_empty() || self.failed.is_some() {
            return None;
        }
        let (written, error) = write_counted(&mut self.file, &wanted);
        self.failed =
            error.map(|error| format!("write the log after {} bytes: {error}", self.size + written as u64));
        let kept = wanted.slice(..written);
        let offset = self.size;
        self.size += written as u64;
        self.last = kept.last().copied().or(self.last);
        if kept.is_empty() {
            return None;
        }
        self.hash.feed(kept.clone());
        Some((offset, kept))
    }
}

/// Writes all, or says how much was written before the error, so that size and hash stay those of the file.
fn write_counted(file: &mut impl Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

fn open_or_create(path: &Path, append: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    if append {
        options.read(true).append(true)
    } else {
        options.write(true).truncate(true)
    };
    let file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_folder(path.parent().unwrap_or(path))?;
            options.open(path)?
        }
        opened => opened?,
    };
    Ok(file)
}

/// Makes a folder with its parents, for us alone: who may pass is said elsewhere.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Size and SHA-256 of a log as it is.
pub(super) fn measured(path: &Path) -> io::Result<(u64, String)> {
    let (size, hash) = hash_existing(&mut File::open(path)?)?;
    Ok((size, in_hex(&hash.finalize().into())))
}

fn in_hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("BUG: a string takes all");
        hex
    })
}

fn hash_existing(file: &mut File) -> io::Result<(u64, Sha256)> {
    let (mut size, mut hash, mut buffer) = (0, Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, hash)),
            Ok(count) => {
                size += count as u64;
                hash.update(&buffer[..count]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The running SHA-256: in the thread that writes, or beside it once the output turns out to be bulk.
enum Hashing {
    /// Cheapest for the many steps that write little.
    Here { hash: Sha256, large: u32 },
    /// Reading, writing and hashing then share two cores.
    Beside { pieces: SyncSender<Bytes>, thread: JoinHandle<Sha256> },
}

impl Hashing {
    fn feed(&mut self, piece: Bytes) {
        match self {
            Self::Here { hash, large } => {
                *large = if piece.len() >= LARGE { *large + 1 } else { 0 };
                hash.update(&piece);
                if *large == LARGE_PIECES {
                    self.move_beside();
                }
            }
            Self::Beside { pieces, .. } => {
                pieces.send(piece).expect("BUG: the hashing thread lives as long as its channel");
            }
        }
    }

    /// Starts the second thread, or stays when none is to be had (`large` goes past the mark then, so that only another
    /// row of large pieces tries again).
    fn move_beside(&mut self) {
        let Self::Here { hash, .. } = self else { return };
        let (pieces, incoming) = sync_channel::<Bytes>(HASH_QUEUE);
        let mut moved = hash.clone();
        let builder = thread::Builder::new().name("log hash".into()).stack_size(128 * 1024);
        let spawned = builder.spawn(move || {
            for piece in incoming {
                moved.update(&piece);
            }
            moved
        });
        if let Ok(thread) = spawned {
            *self = Self::Beside { pieces, thread };
        }
    }

    fn finish(self) -> [u8; 32] {
        match self {
            Self::Here { hash, .. } => hash.finalize().into(),
            Self::Beside { pieces, thread } => {
                drop(pieces);
                thread.join().expect("BUG: hashing does not panic").finalize().into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, a few at a time, then has no room.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0).min(3);
            self.0 -= taken;
            if taken == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_written_before_an_error_is_counted() {
        let (written, error) = write_counted(&mut Full(8), b"0123456789");
        assert_eq!((written, error.map(|error| error.kind())), (8, Some(ErrorKind::StorageFull)));
        assert_eq!(write_counted(&mut Full(10), b"0123456789").0, 10);
    }
}
