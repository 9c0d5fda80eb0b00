//! What a keeper has on the disk of each run: one file, a line for each thing that must not be lost. It is there before
//! the process is, so that a run without a file was never started; a file without an end says that nobody knows how that
//! run ended.
//!
//! Nothing is synced: what a loss of power takes was running then, nothing of it runs any more, and nobody asks for it by the
//! name that this place has after the next start of the machine (`launch::id`).

use super::frame::Tell;
use super::text;
use crate::domain::RunId;
use crate::runner::Exit;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// One line.
#[derive(Serialize, Deserialize)]
enum Line {
    /// The first: it is about to be started.
    Begin {
        #[serde(with = "text")]
        log: PathBuf,
        #[serde(with = "text")]
        events: PathBuf,
    },
    /// What it said.
    Said(Tell),
    /// The last.
    End(Exit),
}

/// The file of a run.
pub(super) struct Record {
    path: PathBuf,
    file: File,
    /// The last line may have no end.
    torn: bool,
}

/// What a file says of a run.
pub(super) struct Read {
    pub(super) record: Record,
    pub(super) log: PathBuf,
    pub(super) events: PathBuf,
    pub(super) exit: Option<Exit>,
}

impl Record {
    /// A new one, before its run begins.
    pub(super) fn begin(folder: &Path, run: RunId, log: &Path, events: &Path) -> io::Result<Record> {
        let path = folder.join(run.to_string());
        let mut options = OpenOptions::new();
        let file = options.append(true).read(true).create_new(true).mode(0o600).open(&path)?;
        let mut record = Record { path, file, torn: false };
        let begun = record.put(&Line::Begin { log: log.to_owned(), events: events.to_owned() });
        if begun.is_err() {
            // What is there in part would say that it began.
            let _ = fs::remove_file(&record.path);
        }
        begun.map(|()| record)
    }

    /// Notes what it said.
    pub(super) fn say(&mut self, tell: &Tell) -> io::Result<()> {
        self.put(&Line::Said(tell.clone()))
    }

    /// Notes its end.
    pub(super) fn end(&mut self, exit: &Exit) -> io::Result<()> {
        self.put(&Line::End(exit.clone()))
    }

    /// Nobody needs to know any more.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }

    /// What it said, from a number on.
    pub(super) fn said(&self, from: u32) -> io::Result<Vec<Tell>> {
        let mut found = Vec::new();
        lines(&self.path, |line| {
            if let Line::Said(tell) = line
                && number(&tell).is_some_and(|number| number >= from)
            {
                found.push(tell);
            }
        })?;
        Ok(found)
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        let mut text = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut text, line).expect("BUG: a line is JSON");
        text.push(b'\n');
        let put = self.file.write_all(&text);
        self.torn = put.is_err();
        put
    }
}

fn number(tell: &Tell) -> Option<u32> {
    match tell {
        Tell::Line { number, .. } | Tell::Warning { number, .. } => Some(*number),
        Tell::Welcome { .. } | Tell::Output { .. } | Tell::Exited { .. } => None,
    }
}

/// All runs of which a folder tells. A file without a whole first line is of a run that was not started, and is removed.
pub(super) fn read_all(folder: &Path) -> io::Result<Vec<(RunId, Read)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(run) = path.file_name().and_then(|name| name.to_str()?.parse().ok()).map(RunId) else {
            continue;
        };
        match read(&path)? {
            Some(read) => found.push((run, read)),
            None => fs::remove_file(&path)?,
        }
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Option<Read>> {
    let (mut begun, mut exit) = (None, None);
    lines(path, |line| match line {
        Line::Begin { log, events } => begun = Some((log, events)),
        Line::Said(_) => {}
        Line::End(end) => exit = Some(end),
    })?;
    let Some((log, events)) = begun else { return Ok(None) };
    let file = OpenOptions::new().append(true).read(true).open(path)?;
    let record = Record { path: path.to_owned(), file, torn: true };
    Ok(Some(Read { record, log, events, exit }))
}

/// Every whole line; what is torn, or of a kind that is not known, is passed over.
fn lines(path: &Path, mut each: impl FnMut(Line)) -> io::Result<()> {
    let text = fs::read(path)?;
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    whole.filter_map(|line| serde_json::from_slice(line).ok()).for_each(&mut each);
    Ok(())
}
