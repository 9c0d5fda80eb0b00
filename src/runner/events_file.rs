//! The file to which a step appends typed events, one JSON line each: cuts it into lines while the step runs. What the
//! lines mean is not known here.
//!
//! The step owns the place in the file system and may do anything to it. So the file is read through the descriptor of
//! its creation only: a symlink, a FIFO or another file put in its place is never opened.

use super::fence::Account;
use super::outbox::Outbox;
use super::spares::{Spare, Spares, is_at};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest line, in bytes.
const LINE_LIMIT: usize = 64 * 1024;
/// Most that is read of one run, in bytes.
const TOTAL_LIMIT: u64 = 16 * 1024 * 1024;

/// The file while its step runs.
pub(super) struct EventsFile {
    file: File,
    path: PathBuf,
    read_to: u64,
    total: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// In a line that is too long: the rest of it is skipped.
    skipping: bool,
    closed: bool,
}

impl EventsFile {
    /// Makes it, empty, out of a spare one where there is one. The error reads after "failed to".
    pub(super) fn create(path: &Path, spares: &Spares) -> Result<Self, (i32, String)> {
        Self::of(spares.take_to(path).map_or_else(|| create_fresh(path), Ok), path)
    }

    fn of(file: io::Result<File>, path: &Path) -> Result<Self, (i32, String)> {
        let file = file.map_err(|error| {
            (
                error.raw_os_error().unwrap_or(0),
                format!("create the events file `{}`: {error}", path.display()),
            )
        })?;
        let path = path.to_owned();
        Ok(Self { file, path, read_to: 0, total: 0, partial: Vec::new(), skipping: false, closed: false })
    }

    /// Makes it, empty, for a step that runs as another account, and gives it away. No other run ever gets that file.
    pub(super) fn create_for(path: &Path, account: &Account) -> Result<Self, (i32, String)> {
        let file = create_fresh(path).and_then(|file| {
            std::os::unix::fs::fchown(&file, Some(account.uid), Some(account.gid))?;
            Ok(file)
        });
        Self::of(file, path)
    }

    /// Reports the lines that are complete by now, as long as the consumer takes them. Says whether there were any.
    pub(super) fn read_lines(&mut self, out: &mut Outbox) -> bool {
        let before = self.read_to;
        while !out.is_behind() && self.read_piece(out) {}
        self.read_to != before
    }

    /// The step is over: reports all that is left, the last line even without its end, and removes the file. It is the
    /// step's own words, in which nothing was masked. Where nobody is left who could write to it (`spares`), it is
    /// emptied and kept for another run instead.
    pub(super) fn finish(mut self, out: &mut Outbox, spares: Option<&Spares>) {
        while self.read_piece(out) {
            while out.is_behind() {
                std::thread::sleep(super::outbox::RETRY);
                out.flush();
            }
        }
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            out.line(line);
        }
        let there = is_at(&self.file, &self.path);
        if there == Some(false) {
            out.warn(
                "the step put another file in the place of the events file, which is not read: append to it"
                    .into(),
            );
        }
        match spares {
            Some(spares) if there == Some(true) => spares.keep(Spare { file: self.file, path: self.path }),
            // One that resists holds nothing that is read again.
            _ => drop(fs::remove_file(&self.path)),
        }
    }

    /// Reads one piece. False: there is no more now.
    fn read_piece(&mut self, out: &mut Outbox) -> bool {
        let size = self.file.metadata().map_or(0, |metadata| metadata.len());
        if size < self.read_to {
            // Emptied by the step, as `>` instead of `>>` does: what it holds now is new.
            (self.read_to, self.skipping) = (0, false);
            self.partial.clear();
        }
        if size == self.read_to || self.closed {
            return false;
        }
        let mut piece = vec![0; LINE_LIMIT];
        let count = match self.file.read_at(&mut piece, self.read_to) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) => {
                self.closed = true;
                out.warn(format!("failed to read the events file: {error}"));
                return false;
            }
        };
        self.read_to += count as u64;
        self.total += count as u64;
        self.cut(&piece[..count], out);
        if self.total > TOTAL_LIMIT {
            self.closed = true;
            self.partial.clear();
            out.warn(format!("the events file passed {TOTAL_LIMIT} bytes, the rest of it is ignored"));
        }
        count > 0
    }

    fn cut(&mut self, piece: &[u8], out: &mut Outbox) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            if !self.skipping && self.partial.len() + text.len() > LINE_LIMIT {
                self.skipping = true;
                self.partial = Vec::new();
                out.warn(format!(
                    "a line of the events file is longer than {LINE_LIMIT} bytes and is ignored"
                ));
            }
            if !self.skipping {
                self.partial.extend_from_slice(text);
            }
            if whole && !std::mem::replace(&mut self.skipping, false) {
                let line = std::mem::take(&mut self.partial);
                out.line(line);
            }
        }
    }
}

fn create_fresh(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            super::log::make_folder(path.parent().unwrap_or(path))?
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::remove_file(path)?,
        opened => return opened,
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::*;
    use crate::domain::RunId;
    use std::io::Write;
    use tokio::sync::mpsc::{Receiver, channel};

    fn given() -> (tempfile::TempDir, EventsFile, Outbox, Receiver<Report>) {
        let dir = tempfile::tempdir().unwrap();
        let file = EventsFile::create(&dir.path().join("deep/events"), &Spares::default()).unwrap();
        let (sender, receiver) = channel(1000);
        (dir, file, Outbox::new(RunId(7), sender), receiver)
    }

    fn append(file: &EventsFile, text: &[u8]) {
        OpenOptions::new().append(true).open(&file.path).unwrap().write_all(text).unwrap();
    }

    fn told(receiver: &mut Receiver<Report>) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_recv().ok())
            .map(|report| match report {
                Report::StepLine { line, .. } => String::from_utf8(line).unwrap(),
                Report::Warning { message, .. } => format!("warning: {message}"),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn lines_come_when_they_are_whole_and_the_last_one_anyway() {
        let (_dir, mut file, mut out, mut receiver) = given();
        assert!(!file.read_lines(&mut out));
        append(&file, b"one\ntw");
        assert!(file.read_lines(&mut out));
        assert_eq!(told(&mut receiver), ["one"]);
        append(&file, b"o\n\nthree");
        let path = file.path.clone();
        file.finish(&mut out, None);
        assert_eq!(told(&mut receiver), ["two", "", "three"]);
        assert!(!path.exists(), "what is not masked is not kept");
    }

    #[test]
    fn a_file_that_is_kept_for_another_run_is_empty() {
        let (dir, file, mut out, mut receiver) = given();
        let (spares, first) = (Spares::default(), file.path.clone());
        append(&file, b"a secret\n");
        file.finish(&mut out, Some(&spares));
        assert_eq!(fs::read(&first).unwrap(), b"");
        let next = dir.path().join("deep/next");
        let mut second = EventsFile::create(&next, &spares).unwrap();
        assert!(!first.exists() && next.exists());
        append(&second, b"new\n");
        second.read_lines(&mut out);
        assert_eq!(told(&mut receiver), ["a secret", "new"]);
        second.finish(&mut out, Some(&spares));
        drop(spares);
        assert!(!next.exists(), "nothing is left in the end");
    }

    #[test]
    fn a_line_too_long_is_a_warning_and_the_next_one_counts() {
        let (_dir, file, mut out, mut receiver) = given();
        append(&file, &vec![b'x'; 3 * LINE_LIMIT]);
        append(&file, b"\nshort\n");
        append(&file, &vec![b'y'; LINE_LIMIT]);
        append(&file, b"\n");
        file.finish(&mut out, None);
        let told = told(&mut receiver);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("warning: a line"));
        assert_eq!((told[1].as_str(), told[2].len()), ("short", LINE_LIMIT));
    }

    #[test]
    fn a_file_that_was_emptied_is_read_from_its_beginning() {
        let (_dir, mut file, mut out, mut receiver) = given();
        append(&file, b"a long first line\n");
        file.read_lines(&mut out);
        fs::write(&file.path, b"new\n").unwrap();
        file.finish(&mut out, None);
        assert_eq!(told(&mut receiver), ["a long first line", "new"]);
    }

    #[test]
    fn another_file_in_its_place_is_not_followed() {
        let (_dir, file, mut out, mut receiver) = given();
        fs::remove_file(&file.path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file.path).unwrap();
        file.finish(&mut out, None);
        let told = told(&mut receiver);
        assert!(told.len() == 1 && told[0].starts_with("warning: the step put another file"), "{told:?}");
    }

    #[test]
    fn a_flood_ends_with_a_warning() {
        let (_dir, mut file, mut out, mut receiver) = given();
        append(&file, &vec![b'\n'; 500]);
        file.total = TOTAL_LIMIT;
        file.finish(&mut out, None);
        assert!(told(&mut receiver).pop().unwrap().contains("ignored"));
    }
}
