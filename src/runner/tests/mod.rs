//! Tests with real processes, and the stage that they stand on. No runtime is needed: reports are taken as they come.

mod cgroups;
mod ending;
mod fences;
mod output;
mod starting;
mod survivors;

use super::{Bytes, Exit, How, LocalRunner, Report, Runner, Start, StopCause};
use crate::domain::RunId;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};

/// Far more than any test needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder, a runner, and orders for it.
struct Stage {
    dir: TempDir,
    runner: LocalRunner,
}

/// What was reported of one run.
#[derive(Default)]
struct Seen {
    pid: u32,
    chunks: Vec<(u64, Bytes)>,
    lines: Vec<String>,
    warnings: Vec<String>,
    exit: Option<Exit>,
}

impl Stage {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), runner: LocalRunner::new() }
    }

    /// The same on a machine that gives no cgroups away.
    fn without_cgroups() -> Self {
        Self { runner: LocalRunner::without_cgroups(), ..Self::new() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// An order for a shell text; every order is a run of its own.
    fn sh(&self, text: &str) -> Start {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let run = RunId(NEXT.fetch_add(1, Ordering::Relaxed));
        let events = self.path().join(format!("{run}.events"));
        let env = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("EVENTS", events.display().to_string()),
            ("DIR", self.path().display().to_string()),
            (super::RUN_ID_VARIABLE, run.to_string()),
        ];
        Start {
            run,
            argv: ["/bin/sh", "-c", text].map(Into::into).to_vec(),
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            dir: self.path().to_owned(),
            log: self.path().join(format!("logs/{run}.log")),
            events,
            timeout: Some(PATIENCE),
            grace: PATIENCE,
            output_limit: u64::MAX,
            leave_running: false,
            append: false,
            mask: Vec::new(),
            fence: Default::default(),
            limits: Default::default(),
        }
    }

    fn begin(&self, start: &Start) -> Receiver<Report> {
        let (sender, receiver) = channel(64);
        self.runner.start(start.clone(), sender);
        receiver
    }

    fn run(&self, start: &Start) -> Seen {
        let mut seen = Seen::default();
        seen.take_all(&mut self.begin(start));
        seen
    }
}

impl Seen {
    /// Takes reports until the end, and checks that nothing comes after it.
    fn take_all(&mut self, reports: &mut Receiver<Report>) {
        self.take_until(reports, |_| false);
        assert!(self.exit.is_some(), "the channel closed without an end");
    }

    fn take_until(&mut self, reports: &mut Receiver<Report>, mut enough: impl FnMut(&Self) -> bool) {
        while let Some(report) = reports.blocking_recv() {
            assert!(self.exit.is_none(), "a report after the end: {report:?}");
            match report {
                Report::Started { pid, .. } => self.pid = pid,
                Report::Output { offset, bytes, .. } => self.chunks.push((offset, bytes)),
                Report::StepLine { line, .. } => self.lines.push(String::from_utf8(line).unwrap()),
                Report::Warning { message, .. } => self.warnings.push(message),
                Report::Exited { exit, .. } => self.exit = Some(exit),
            }
            if enough(self) {
                return;
            }
        }
    }

    fn exit(&self) -> &Exit {
        self.exit.as_ref().unwrap()
    }

    fn how(&self) -> &How {
        &self.exit().how
    }

    /// The chunks put together; they must follow each other from `offset`.
    fn output(&self, offset: u64) -> Vec<u8> {
        let mut whole = Vec::new();
        for (at, bytes) in &self.chunks {
            assert_eq!(*at, offset + whole.len() as u64, "a hole or an overlap");
            whole.extend_from_slice(bytes);
        }
        whole
    }

    fn text(&self) -> String {
        String::from_utf8(self.output(0)).unwrap()
    }

    /// Checks that what was said about the log is so.
    fn check_log(&self, start: &Start) -> Vec<u8> {
        let log = fs::read(&start.log).unwrap();
        assert_eq!(self.exit().log_bytes, log.len() as u64);
        assert_eq!(self.exit().log_sha256, hex(&log));
        log
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a process of this id is there and not dead.
fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
}

/// Waits for a file that a step writes, and gives the number in it.
fn number_in(path: &Path) -> u32 {
    let begin = Instant::now();
    loop {
        if let Some(number) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
            return number;
        }
        assert!(begin.elapsed() < PATIENCE, "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}
