//! A state folder with the real `tidegate runner` at work in it, and what must not be left there when its runs are over.

use super::programs::{Needs, Program, Text};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidegate::domain::RunId;
use tidegate::runner::{Absent, CgroupGround, Disk, Exit, KeptRunner, Limits, Report, Runner, Start, keeper};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::channel;

/// How long a zombie may lie about, or a descriptor stay open, once everything has ended: threads end by and by.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time in which one that is gone at each look starts the next.
const UNNOTICED: Duration = Duration::from_millis(30);
/// From SIGTERM to SIGKILL: none of them uses it for anything good.
const GRACE: Duration = Duration::from_millis(50);
/// Bytes of a line without an end. `TIDEGATE_TORTURE_LINE` says another number.
const LINE: usize = 4 << 20;

pub(super) fn line_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    let said = || std::env::var("TIDEGATE_TORTURE_LINE").ok().and_then(|bytes| bytes.parse().ok());
    *BYTES.get_or_init(|| said().unwrap_or(LINE))
}

/// How the runner holds the processes of a run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In a cgroup.
    Cgroups,
    /// As on a machine that gives it none.
    Without,
}

/// What came of a run.
pub(super) struct Ran {
    pub(super) exit: Exit,
    pub(super) log: Vec<u8>,
    pub(super) warnings: Vec<String>,
}

/// A runner in a process of its own.
pub(super) struct Yard {
    dir: TempDir,
    way: Way,
    runner: KeptRunner,
    _runtime: Runtime,
    /// The programs of `hostile.c`, where there is a compiler.
    hostile: Option<PathBuf>,
    next: AtomicU64,
    /// Descriptors that the runner has with nothing under way.
    descriptors: OnceLock<usize>,
}

impl Yard {
    pub(super) fn new(way: Way) -> Yard {
        let dir = tempfile::tempdir().expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).expect("a mode");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let switch = if way == Way::Without { "TIDEGATE_CGROUP=off " } else { "" };
        let start = dir.path().join("tidegate");
        let text = format!("#!/bin/sh\n{switch}exec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_tidegate"));
        fs::write(&start, text).expect("a script");
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755)).expect("a mode");
        let runner = {
            let _within = runtime.enter();
            KeptRunner::reach_by(&dir.path().join("state"), &start).expect("a runner")
        };
        let hostile = compiled(dir.path());
        let (next, descriptors) = (AtomicU64::new(1), OnceLock::new());
        Yard { dir, way, runner, _runtime: runtime, hostile, next, descriptors }
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Where the runner makes cgroups: it is started from here.
    pub(super) fn ground(&self) -> Result<CgroupGround, Absent> {
        CgroupGround::of(None)
    }

    pub(super) fn can(&self, program: &Program) -> bool {
        let is_there = !matches!(program.text, Text::C(_)) || self.hostile.is_some();
        is_there
            && match program.needs {
                Needs::Nothing => true,
                Needs::Root => rustix::process::geteuid().is_root(),
                Needs::Cgroup => self.way == Way::Cgroups,
            }
    }

    /// Runs something harmless as often at once as anything is run later, and remembers what the runner has open.
    pub(super) fn warm_up(&self) {
        let harmless = super::PROGRAMS.iter().find(|program| program.name == "reads_its_input");
        self.run_all(harmless.expect("it is there"), 32, 16);
        // What opens and closes by the way comes to rest.
        let mut before = self.open_files();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.open_files();
            if now == before {
                break;
            }
            before = now;
        }
        self.descriptors.set(before).expect("once");
    }

    /// Runs it so many times, some of them at once.
    pub(super) fn run_all(&self, program: &Program, rounds: usize, at_once: usize) -> Vec<Ran> {
        let begun = AtomicUsize::new(0);
        let all = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..at_once.min(rounds) {
                scope.spawn(|| {
                    while begun.fetch_add(1, Ordering::Relaxed) < rounds {
                        let ran = self.run(program);
                        all.lock().expect("no panic").push(ran);
                    }
                });
            }
        });
        all.into_inner().expect("no panic")
    }

    fn run(&self, program: &Program) -> Ran {
        let run = RunId(self.next.fetch_add(1, Ordering::Relaxed));
        let place = self.dir.path().join(run.to_string());
        let dir = place.join("workspace");
        fs::create_dir_all(&dir).expect("a folder");
        let start = self.order(program, run, &place, &dir);
        let log = start.log.clone();
        let (sender, mut reports) = channel(64);
        self.runner.start(start, sender);
        let (mut warnings, mut ended) = (Vec::new(), None);
        while let Some(report) = reports.blocking_recv() {
            assert!(ended.is_none(), "one end only: {report:?}");
            match report {
                Report::Warning { message, .. } => warnings.push(message),
                Report::Exited { exit, .. } => ended = Some(exit),
                Report::Started { .. } | Report::Output { .. } | Report::StepLine { .. } => {}
            }
        }
        self.runner.forget(run);
        let log = fs::read(&log).expect("a log");
        // One that may not be entered any more.
        let _ = fs::set_permissions(&dir, fs::Permissions::from_mode(0o700));
        fs::remove_dir_all(&place).expect("removed");
        Ran { exit: ended.expect("an end"), log, warnings }
    }

    fn order(&self, program: &Program, run: RunId, place: &Path, dir: &Path) -> Start {
        let events = place.join("events");
        let mut env = vec![
            ("PATH".into(), std::env::var_os("PATH").expect("a path")),
            ("TIDEGATE_EVENTS".into(), events.clone().into()),
            ("TIDEGATE_RUN_ID".into(), run.to_string().into()),
            ("BYTES".into(), line_bytes().to_string().into()),
        ];
        let argv: Vec<std::ffi::OsString> = match program.text {
            Text::Sh(text) => ["/bin/sh", "-c", text].map(Into::into).to_vec(),
            Text::C(name) => vec![self.hostile.clone().expect("compiled").into(), name.into()],
            Text::Large { variables, argument } => {
                env.extend((0..variables).map(|number| (format!("V{number}").into(), "value".into())));
                ["/bin/sh", "-c", "echo ${#1}", "sh", &"x".repeat(argument)].map(Into::into).to_vec()
            }
        };
        let disk = program.disk.map(|bytes| Disk { bytes, folder: dir.to_owned() });
        Start {
            run,
            argv,
            env,
            dir: dir.to_owned(),
            log: place.join("log"),
            events,
            timeout: Some(Duration::from_millis(program.timeout)),
            grace: GRACE,
            output_limit: u64::MAX,
            leave_running: false,
            append: false,
            mask: Vec::new(),
            fence: Default::default(),
            limits: Limits { memory: program.memory, pids: program.pids, disk, ..Limits::default() },
        }
    }

    /// To be called when all runs have ended: nobody lives any more, and soon nothing shows that they were there.
    pub(super) fn nothing_is_left(&self, name: &str) {
        let over = ticks();
        std::thread::sleep(UNNOTICED);
        // One that starts the next and ends may be gone at each look; the next is new.
        let survivors: Vec<_> =
            below(self.keeper()).into_iter().filter(|one| !one.is_dead || one.started > over).collect();
        assert!(survivors.is_empty(), "{:?} {name}: {survivors:?}", self.way);
        let open = *self.descriptors.get().expect("warmed up");
        let begin = Instant::now();
        loop {
            let dead = below(self.keeper());
            let (now, cgroups) = (self.open_files(), self.cgroups());
            if dead.is_empty() && now <= open && cgroups.is_empty() {
                return;
            }
            let what = format!("zombies {dead:?}, {now} files open instead of {open}, cgroups {cgroups:?}");
            assert!(begin.elapsed() < PATIENCE, "{:?} {name} leaves {what}", self.way);
            // Each end of a run takes what has died since.
            self.run_all(&super::PROGRAMS[0], 1, 1);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The runner's process.
    fn keeper(&self) -> u32 {
        let lock = self.dir.path().join("state/runner/lock");
        fs::read_to_string(lock).expect("a runner").trim().parse().expect("a number")
    }

    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.keeper())).expect("the runner lives").count()
    }

    /// Those that are the runner's.
    fn cgroups(&self) -> BTreeSet<String> {
        let Ok(ground) = self.ground() else { return BTreeSet::new() };
        let whose = format!(".{}.", self.keeper());
        let entries = fs::read_dir(ground.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with("tidegate-") && name.contains(&whose)).collect()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        self.runner.leave();
        keeper::end(&self.dir.path().join("state"));
    }
}

/// None where there is no compiler.
fn compiled(dir: &Path) -> Option<PathBuf> {
    let program = dir.join("hostile");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/torture/hostile.c");
    let done =
        Command::new("cc").args(["-O1", "-pthread"]).arg("-o").arg(&program).arg(source).status().ok()?;
    assert!(done.success(), "hostile.c does not compile");
    Some(program)
}

/// A process that was found.
#[derive(Debug)]
#[expect(dead_code, reason = "all of it is shown when a test fails")]
struct Found {
    pid: u32,
    parent: u32,
    name: String,
    is_dead: bool,
    /// Clock ticks after boot.
    started: u64,
}

/// Now, in clock ticks after boot.
fn ticks() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let a_second = rustix::param::clock_ticks_per_second();
    now.tv_sec.unsigned_abs() * a_second + now.tv_nsec.unsigned_abs() * a_second / 1_000_000_000
}

/// Everybody below a process. Orphans of steps come back to the runner, wherever they went: nobody else is below it.
fn below(root: u32) -> Vec<Found> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let mut all: Vec<Found> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(look_at).collect();
    let mut known = BTreeSet::from([root]);
    loop {
        let more: Vec<u32> =
            all.iter().filter(|one| known.contains(&one.parent)).map(|one| one.pid).collect();
        let before = known.len();
        known.extend(more);
        if known.len() == before {
            break;
        }
    }
    all.retain(|one| one.pid != root && known.contains(&one.pid));
    all
}

fn look_at(pid: u32) -> Option<Found> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let threads: u32 = fields.nth(15)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    Some(Found { pid, parent, name: name.to_owned(), is_dead: is_dead && threads <= 1, started })
}
