//! What the runner costs, as ratios to a small C program that makes only the unavoidable system calls, measured by turns
//! in one go, so that a noisy machine shifts both. Also what the same bulk output costs through `tokio-process-stream`:
//! the reason why steps have a reader of their own; and what it costs that steps are kept by a process of their own, so
//! that they outlive the controller, beside the same in one process.
//!
//! `cargo bench --bench runner` (needs `cc`); after `--` a number says how many turns, a text which comparisons: those
//! whose names begin with it.

#[path = "figures/mod.rs"]
mod figures;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::domain::{EventId, RunId};
use tidegate::journal::{Journal, Record, SqliteJournal};
use tidegate::runner::{How, KeptRunner, LocalRunner, Report, Runner, Start};
use tokio::sync::mpsc::channel;

const TWIN: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static char buffer[65536];
static void step(char **argv, const char *log) {
    int ends[2], out = -1;
    if (log) out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (pipe2(ends, O_CLOEXEC)) exit(9);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    pid_t child;
    if (posix_spawn(&child, argv[0], &actions, NULL, argv, environ)) exit(8);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    ssize_t count;
    while ((count = read(ends[0], buffer, sizeof buffer)) > 0)
        if (out >= 0 && write(out, buffer, count) != count) exit(7);
    int status;
    waitpid(child, &status, 0);
    if (status) exit(6);
    close(ends[0]);
    if (out >= 0) close(out);
}
int main(int argc, char **argv) {
    if (!strcmp(argv[1], "bulk")) {
        step(argv + 3, argv[2]);
    } else if (!strcmp(argv[1], "steps")) {
        int lanes = atoi(argv[3]), steps = atoi(argv[2]) / lanes;
        char *words[] = {"/bin/sh", "-c", "true", NULL}, log[4096];
        for (int half = 0; half < lanes; half++)
            if (!fork()) {
                for (int i = 0; i < steps; i++) {
                    if (argc > 4) snprintf(log, sizeof log, "%s/%d-%d", argv[4], half, i);
                    step(words, argc > 4 ? log : NULL);
                }
                _exit(0);
            }
        while (wait(NULL) > 0) {}
    } else if (!strcmp(argv[1], "lines")) {
        for (int i = atoi(argv[2]); i > 0; i--)
            if (write(1, "nineteen characters\n", 20) != 20) return 5;
    } else {
        memset(buffer, 'x', sizeof buffer);
        for (long left = atol(argv[2]); left > 0; left -= sizeof buffer)
            if (write(1, buffer, sizeof buffer) != sizeof buffer) return 5;
    }
    return 0;
}
"#;

struct Place {
    dir: tempfile::TempDir,
    twin: PathBuf,
    runtime: tokio::runtime::Runtime,
    /// As children of this process, and of another one.
    here: Arc<dyn Runner>,
    kept: Arc<dyn Runner>,
}

fn main() {
    let turns = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(if figures::is_quick() { 3 } else { 5 });
    let dir = tempfile::tempdir().expect("a folder");
    let (source, twin) = (dir.path().join("twin.c"), dir.path().join("twin"));
    std::fs::write(&source, TWIN).expect("written");
    let compiled = Command::new("cc").args(["-O2", "-o"]).arg(&twin).arg(&source).status().expect("cc");
    assert!(compiled.success());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let keeper = {
        let _within = runtime.enter();
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        KeptRunner::reach_by(&dir.path().join("state"), program).expect("a runner")
    };
    let place =
        Place { dir, twin, runtime, here: Arc::new(LocalRunner::new()), kept: Arc::new(keeper.clone()) };
    let gigabyte = (1u64 << 30).to_string();
    compare(
        turns,
        "1 GiB",
        "≤ 1.15×",
        || place.twin_bulk("bulk-out", &gigabyte),
        || place.run_bulk(&*place.here, "bulk-out", &gigabyte),
    );
    compare(
        turns,
        "1 GiB, by the crate's stream, without order and digest",
        "",
        || place.twin_bulk("bulk-out", &gigabyte),
        || place.stream_bulk("bulk-out", &gigabyte),
    );
    compare(
        turns,
        "1 M lines",
        "≤ 0.95×",
        || place.twin_bulk("lines", "1000000"),
        || place.run_bulk(&*place.here, "lines", "1000000"),
    );
    let steps = [(1_000, 2, "≤ 1.15×"), (1_000, 1, "≤ 1.08×"), (10_000, 2, "≤ 1.1×")];
    for (count, lanes, goal) in steps {
        let turns = if count > 1_000 { turns.min(3) } else { turns };
        if figures::is_quick() && count > 1_000 {
            continue;
        }
        let how = if lanes == 1 { "in a chain" } else { "two at a time" };
        let ours = || place.run_steps(&*place.here, count, lanes);
        let what = format!("{count} steps {how}, with log and two events each");
        compare(
            turns,
            &format!("{what}; twin without either"),
            goal,
            || place.twin_steps(count, lanes, false),
            ours,
        );
        compare(turns, &format!("{what}; twin with log"), "", || place.twin_steps(count, lanes, true), ours);
    }
    for (what, much, name) in [("bulk-out", gigabyte.as_str(), "1 GiB"), ("lines", "1000000", "1 M lines")] {
        compare(
            turns,
            &format!("{name}, kept by another process; twin here"),
            "",
            || place.run_bulk(&*place.here, what, much),
            || place.run_bulk(&*place.kept, what, much),
        );
    }
    for (lanes, how) in [(1, "in a chain"), (2, "two at a time")] {
        compare(
            turns,
            &format!("1000 steps {how}, kept by another process; twin here"),
            "",
            || place.run_steps(&*place.here, 1_000, lanes),
            || place.run_steps(&*place.kept, 1_000, lanes),
        );
    }
    keeper.leave();
}

fn compare(
    turns: usize,
    what: &str,
    goal: &str,
    mut twin: impl FnMut() -> Duration,
    mut ours: impl FnMut() -> Duration,
) {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word.starts_with(|c: char| c != '-') && word.parse::<usize>().is_err())
        .collect();
    if !wanted.is_empty() && !wanted.iter().any(|word| what.starts_with(word)) {
        return;
    }
    let (mut theirs, mut own): (Vec<_>, Vec<_>) = (0..turns).map(|_| (twin(), ours())).unzip();
    theirs.sort();
    own.sort();
    let (theirs, own) = (theirs[turns / 2].as_secs_f64(), own[turns / 2].as_secs_f64());
    report(&format!(
        "{what}: twin {theirs:.3} s, ours {own:.3} s, ratio {:.2} (medians of {turns})",
        own / theirs
    ));
    figures::row(what, "s", own, Some(theirs), goal);
}

#[expect(clippy::print_stdout, reason = "this is what a measurement is for")]
fn report(line: &str) {
    println!("{line}");
}

impl Place {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn twin_bulk(&self, what: &str, much: &str) -> Duration {
        let log = self.path().join("twin.log");
        let _ = std::fs::remove_file(&log);
        timed(Command::new(&self.twin).arg("bulk").arg(log).arg(&self.twin).args([what, much]))
    }

    /// A folder that stays until the end: right after deleting many files, making new ones is dearer.
    fn kept_folder(&self) -> PathBuf {
        tempfile::tempdir_in(self.path()).expect("a folder").keep()
    }

    fn twin_steps(&self, count: usize, lanes: usize, with_log: bool) -> Duration {
        let logs = self.kept_folder();
        let mut command = Command::new(&self.twin);
        command.args(["steps", &count.to_string(), &lanes.to_string()]);
        if with_log {
            command.arg(logs);
        }
        timed(&mut command)
    }

    fn order(&self, run: u64, words: &[&str], logs: &Path) -> Start {
        Start {
            run: RunId(run),
            argv: words.iter().map(Into::into).collect(),
            env: std::env::vars_os().collect(),
            dir: self.path().to_owned(),
            log: logs.join(run.to_string()),
            events: logs.join(format!("{run}.events")),
            timeout: Some(Duration::from_secs(600)),
            grace: Duration::from_secs(10),
            output_limit: u64::MAX,
            leave_running: false,
            append: false,
            mask: Vec::new(),
            fence: Default::default(),
            limits: Default::default(),
        }
    }

    async fn one(&self, runner: &dyn Runner, start: Start) -> u64 {
        let (sender, mut reports) = channel(16);
        let run = start.run;
        runner.start(start, sender);
        let mut live = 0;
        while let Some(report) = reports.recv().await {
            match report {
                Report::Output { bytes, .. } => live += bytes.len() as u64,
                Report::Exited { exit, .. } => {
                    assert_eq!(exit.how, How::Code(0));
                    assert_eq!(exit.log_bytes, live);
                }
                _ => {}
            }
        }
        runner.forget(run);
        live
    }

    fn run_bulk(&self, runner: &dyn Runner, what: &str, much: &str) -> Duration {
        let logs = tempfile::tempdir_in(self.path()).expect("a folder");
        let twin = self.twin.display().to_string();
        let begin = Instant::now();
        self.runtime.block_on(self.one(runner, self.order(1, &[&twin, what, much], logs.path())));
        begin.elapsed()
    }

    /// Each step with a log and, as in the controller, two events that are committed before it goes on and durable in
    /// the end.
    fn run_steps(&self, runner: &dyn Runner, count: usize, lanes: usize) -> Duration {
        let logs = self.kept_folder();
        let journal = SqliteJournal::open(&logs.join("state")).expect("a journal");
        let last = std::cell::Cell::new(0);
        let note = |kind: &str, run: usize| {
            last.set(last.get() + 1);
            journal.append(vec![record(last.get(), kind, run)])
        };
        let lane = async |lane: usize| {
            for run in (lane..count).step_by(lanes) {
                note("step_start", run).await.expect("committed");
                self.one(runner, self.order(run as u64, &["/bin/sh", "-c", "true"], &logs)).await;
                note("step_done", run).await.expect("committed");
            }
        };
        let begin = Instant::now();
        self.runtime.block_on(async {
            if lanes == 1 {
                lane(0).await;
            } else {
                tokio::join!(lane(0), lane(1));
            }
            journal.sync(EventId(last.get())).await.expect("durable");
        });
        let took = begin.elapsed();
        self.runtime.block_on(journal.close()).expect("closed");
        took
    }

    /// As steps would be read with the crate: its chunks, gathered for a blocking writer. Without hash and reports.
    fn stream_bulk(&self, what: &str, much: &str) -> Duration {
        use tokio_stream::StreamExt;
        let mut log = std::fs::File::create(self.path().join("stream.log")).expect("a log");
        let (gathers, incoming) = std::sync::mpsc::sync_channel::<Vec<u8>>(16);
        let writer = std::thread::spawn(move || {
            for gather in incoming {
                std::io::Write::write_all(&mut log, &gather).expect("written");
            }
        });
        let begin = Instant::now();
        self.runtime.block_on(async {
            let mut command = tokio::process::Command::new(&self.twin);
            command.args([what, much]);
            let mut stream = tokio_process_stream::ProcessChunkStream::try_from(command).expect("started");
            let mut gather = Vec::with_capacity(64 * 1024);
            while let Some(item) = stream.next().await {
                let Some(chunk) = item.stdout() else { continue };
                gather.extend_from_slice(chunk);
                if gather.len() > 60 * 1024 {
                    gathers
                        .send(std::mem::replace(&mut gather, Vec::with_capacity(64 * 1024)))
                        .expect("taken");
                }
            }
            gathers.send(gather).expect("taken");
        });
        drop(gathers);
        writer.join().expect("written");
        let took = begin.elapsed();
        let _ = std::fs::remove_file(self.path().join("stream.log"));
        took
    }
}

fn record(id: u64, kind: &str, run: usize) -> Record {
    Record {
        id: EventId(id),
        at_us: 1_700_000_000_000_000 + id as i64,
        kind: kind.into(),
        pipeline: Some("shop".into()),
        tier: None,
        run: Some(run as u64),
        body: "x".repeat(300).into(),
    }
}

fn timed(command: &mut Command) -> Duration {
    let begin = Instant::now();
    assert!(command.status().expect("the twin").success());
    begin.elapsed()
}
