//! The runs that a keeper knows: what it notes of each, and what it tells the controller that is there.

use super::frame::{self, Ask, Kept, Tell};
use super::record::{self, Record};
use crate::domain::RunId;
use crate::runner::kin::{self, Mark};
use crate::runner::strays::end_run;
use crate::runner::{Bytes, Exit, How, LocalRunner, Report, Runner, Start, StopCause, Words, drain, spawn};
use rustix::net::Shutdown;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Reports of all runs that may wait to be noted.
const QUEUE: usize = 256;
/// Output up to so many bytes goes with what tells of it; more is read from the log.
const INLINE: usize = 16 << 10;
/// From SIGTERM to SIGKILL for what an earlier keeper left running.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);
/// How long a controller that does not read is waited for. Then it must come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// All of them, and who is told.
#[derive(Clone)]
pub(super) struct Wards(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    runner: LocalRunner,
    reports: Sender<Report>,
    table: Mutex<Table>,
}

struct Table {
    wards: HashMap<RunId, Ward>,
    /// The controller that is there, and which one in order that is.
    link: Option<(u64, UnixStream)>,
    links: u64,
    /// Who came last, until they have gone.
    visit: Weak<()>,
    /// The system asked for the end of this process, and maybe of every step, too.
    is_ending: bool,
}

/// One run.
struct Ward {
    record: Record,
    log: PathBuf,
    mask: Vec<Vec<u8>>,
    words: Option<Words>,
    /// The end of its log.
    logged: u64,
    /// The end of what was told of it.
    told: u64,
    exit: Option<Exit>,
    /// The controller that is there wants to hear of it.
    is_heard: bool,
    /// Nobody wants its end any more.
    is_forgotten: bool,
}

impl Wards {
    /// Those of which the folder tells. What an earlier keeper left running is ended.
    pub(super) fn read(folder: &Path) -> io::Result<Wards> {
        kin::start_nothing_else();
        let mut wards = HashMap::new();
        for (run, read) in record::read_all(folder)? {
            let record::Read { mut record, log, events, exit, .. } = read;
            let exit = match exit {
                Some(exit) => exit,
                None => {
                    let exit = lost(run, &log, &events);
                    record.end(&exit)?;
                    exit
                }
            };
            let logged = fs::metadata(&log).map_or(0, |log| log.len());
            let ward = Ward { logged, exit: Some(exit), ..Ward::new(record, log) };
            wards.insert(run, ward);
        }
        let (reports, noted) = channel(QUEUE);
        let table = Table { wards, link: None, links: 0, visit: Weak::new(), is_ending: false };
        let inner = Inner {
            folder: folder.to_owned(),
            runner: LocalRunner::new(),
            reports,
            table: Mutex::new(table),
        };
        let all = Wards(Arc::new(inner));
        let scribe = all.clone();
        std::thread::Builder::new().name("scribe".into()).spawn(move || scribe.note_all(noted))?;
        Ok(all)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing runs and nobody is there.
    pub(super) fn is_idle(&self) -> bool {
        let table = self.table();
        table.link.is_none() && table.visit.upgrade().is_none() && table.nothing_runs()
    }

    /// Somebody has come.
    pub(super) fn expect(&self, visit: &Arc<()>) {
        self.table().visit = Arc::downgrade(visit);
    }

    /// Asks for the end of everything.
    pub(super) fn end_all(&self) {
        let mut table = self.table();
        table.is_ending = true;
        for (run, _) in table.wards.iter().filter(|(_, ward)| ward.exit.is_none()) {
            self.0.runner.stop(*run, StopCause::Interrupted);
        }
    }

    /// Lets a controller in, in the place of any before.
    pub(super) fn let_in(&self, stream: &UnixStream, release: &str) -> io::Result<u64> {
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut table = self.table();
        table.hang_up();
        table.links += 1;
        let number = table.links;
        let kept =
            |(run, ward): (&RunId, &Ward)| Kept { run: *run, log: ward.log.clone(), mask: ward.mask.clone() };
        let kept = table.wards.iter().filter(|(_, ward)| !ward.is_forgotten).map(kept).collect();
        let welcome = Tell::Welcome { protocol: frame::PROTOCOL, release: release.into(), kept };
        table.link = Some((number, stream.try_clone()?));
        table.tell(&welcome, b"");
        Ok(number)
    }

    /// A controller is gone.
    pub(super) fn let_out(&self, number: u64) {
        let mut table = self.table();
        if table.link.as_ref().is_some_and(|(linked, _)| *linked == number) {
            table.hang_up();
        }
    }

    /// Does what a controller asks. True: it asks for the end of this process.
    pub(super) fn take(&self, ask: Ask) -> bool {
        match ask {
            Ask::Hello { .. } => {}
            Ask::Start(start) => self.start(*start),
            Ask::Stop { run, cause } => self.0.runner.stop(run, cause),
            Ask::TakeUp { run, said, logged } => self.table().take_up(run, said, logged),
            Ask::Forget { run } => self.forget(run),
            Ask::Retire => return self.table().nothing_runs(),
        }
        false
    }

    fn start(&self, start: Start) {
        let run = start.run;
        let mut table = self.table();
        if table.wards.contains_key(&run) {
            return;
        }
        match Record::begin(&self.0.folder, run, &start.log, &start.events) {
            Ok(record) => {
                let logged =
                    if start.append { fs::metadata(&start.log).map_or(0, |log| log.len()) } else { 0 };
                let ward = Ward {
                    words: Words::new(&start.mask),
                    mask: start.mask.clone(),
                    logged,
                    told: logged,
                    is_heard: true,
                    ..Ward::new(record, start.log.clone())
                };
                table.wards.insert(run, ward);
                drop(table);
                self.0.runner.start(start, self.0.reports.clone());
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                let how = spawn::not_started(errno, format!("note that run {run} begins: {error}"), false);
                table.tell(&Tell::Exited { run, exit: Exit::without_process(how) }, b"");
            }
        }
    }

    fn forget(&self, run: RunId) {
        let mut table = self.table();
        let Some(ward) = table.wards.get_mut(&run) else { return };
        ward.is_forgotten = true;
        if ward.exit.is_some() {
            table.remove(run);
        } else {
            self.0.runner.stop(run, StopCause::Interrupted);
        }
    }

    /// Notes and tells what happens, for ever.
    fn note_all(&self, mut reports: Receiver<Report>) {
        while let Some(report) = reports.blocking_recv() {
            self.table().note(report);
        }
    }
}

impl Ward {
    fn new(record: Record, log: PathBuf) -> Ward {
        Ward {
            record,
            log,
            mask: Vec::new(),
            words: None,
            logged: 0,
            told: 0,
            exit: None,
            is_heard: false,
            is_forgotten: false,
        }
    }
}

impl Table {
    fn nothing_runs(&self) -> bool {
        self.wards.values().all(|ward| ward.exit.is_some()) && !drain::is_at_work()
    }

    fn hang_up(&mut self) {
        if let Some((_, stream)) = self.link.take() {
            // It wakes whoever reads there.
            let _ = rustix::net::shutdown(&stream, Shutdown::Both);
        }
        self.wards.values_mut().for_each(|ward| ward.is_heard = false);
    }

    /// A controller that does not take it is gone: it must come again, and will be told then.
    fn tell(&mut self, tell: &Tell, bytes: &[u8]) {
        let Some((_, stream)) = &mut self.link else { return };
        if frame::write(stream, tell, bytes).is_err() {
            self.hang_up();
        }
    }

    fn take_up(&mut self, run: RunId, said: u32, logged: Option<u64>) {
        let Some(ward) = self.wards.get_mut(&run) else { return };
        ward.is_heard = true;
        let from = logged.unwrap_or(ward.told);
        ward.told = ward.logged.max(from);
        let length = ward.told - from;
        let exit = ward.exit.clone();
        match ward.record.said(said) {
            Ok(all) => all.iter().for_each(|tell| self.tell(tell, b"")),
            Err(error) => tracing::warn!(%run, %error, "what the step said cannot be read again"),
        }
        if length > 0 {
            self.tell(&Tell::Output { run, offset: from, length }, b"");
        }
        if let Some(exit) = exit {
            self.tell(&Tell::Exited { run, exit }, b"");
        }
    }

    fn note(&mut self, report: Report) {
        let (run, tell, bytes) = match report {
            Report::Started { .. } => return,
            Report::Output { run, offset, bytes } => {
                let length = bytes.len() as u64;
                let Some(ward) = self.wards.get_mut(&run) else { return };
                ward.logged = offset + length;
                if !ward.is_heard {
                    return;
                }
                ward.told = ward.logged;
                let inline = if bytes.len() <= INLINE { bytes } else { Bytes::new() };
                return self.tell(&Tell::Output { run, offset, length }, &inline);
            }
            Report::StepLine { run, line, number } => {
                let words = self.wards.get(&run).and_then(|ward| ward.words.as_ref());
                let line = words.and_then(|words| words.hide(&line)).unwrap_or(line);
                (run, Tell::Line { run, number, line }, Bytes::new())
            }
            Report::Warning { run, message, number } => {
                (run, Tell::Warning { run, number, message }, Bytes::new())
            }
            Report::Exited { run, exit } => return self.ended(run, exit),
        };
        let Some(ward) = self.wards.get_mut(&run) else { return };
        if let Err(error) = ward.record.say(&tell) {
            tracing::warn!(%run, %error, "what the step said is not on the disk");
        }
        if ward.is_heard {
            self.tell(&tell, &bytes);
        }
    }

    fn ended(&mut self, run: RunId, mut exit: Exit) {
        if self.is_ending && exit.how == How::Signal(libc::SIGTERM) {
            // Whoever ends us has ended the step with us.
            exit.how = How::Stopped(StopCause::Interrupted);
        }
        let Some(ward) = self.wards.get_mut(&run) else { return };
        if let Err(error) = ward.record.end(&exit) {
            tracing::warn!(%run, %error, "how the step ended is not on the disk");
        }
        ward.logged = ward.logged.max(exit.log_bytes);
        ward.exit = Some(exit.clone());
        if ward.is_forgotten {
            return self.remove(run);
        }
        if ward.is_heard {
            self.tell(&Tell::Exited { run, exit }, b"");
        }
    }

    fn remove(&mut self, run: RunId) {
        let Some(ward) = self.wards.remove(&run) else { return };
        if let Err(error) = ward.record.remove() {
            tracing::warn!(%run, %error, "the record of a run stays");
        }
    }
}

/// The end of a run that an earlier keeper watched: whatever runs of it is ended, and how it would have ended nobody
/// knows.
fn lost(run: RunId, log: &Path, events: &Path) -> Exit {
    let variable = [b"TIDEGATE_EVENTS=", events.as_os_str().as_encoded_bytes()].concat();
    let strays = end_run(Mark::of(run), &variable, LEFTOVER_GRACE);
    // What it said there went unheard, and nothing in it was masked.
    let _ = fs::remove_file(events);
    let (log_bytes, log_sha256) = crate::runner::log::measured(log).unwrap_or_default();
    Exit { log_bytes, log_sha256, log_truncated: true, strays, ..Exit::without_process(How::Lost) }
}
