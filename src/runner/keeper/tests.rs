//! A keeper in a process of its own, controllers that come and go, and either of them killed. The process is this test
//! program once more.

use super::launch::{self, Launch, folder};
use super::{KeptRunner, host};
use crate::domain::RunId;
use crate::runner::{Exit, How, Report, Runner, Start, StopCause};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Receiver, channel};

/// Far more than any test needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Set for the copy of this program that is the keeper: its state folder.
const STATE: &str = "TIDEGATE_TEST_KEEPER_STATE";

#[test]
fn the_keeper_itself() {
    if let Some(state) = std::env::var_os(STATE) {
        host::run(Path::new(&state)).unwrap();
    }
}

/// A state folder, and a runtime for its controllers.
struct Stage {
    dir: TempDir,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Stage {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Stage { dir: tempfile::tempdir().unwrap(), runtime: runtime.unwrap() }
    }

    /// A controller's runner.
    fn controller(&self) -> KeptRunner {
        // An environment is not given to it otherwise.
        let text = format!(
            "exec env {STATE}='{}' '{}' --exact runner::keeper::tests::the_keeper_itself --nocapture",
            self.dir.path().display(),
            std::env::current_exe().unwrap().display()
        );
        let launch = Launch { program: "/bin/sh".into(), arguments: ["-c".into(), text.into()].to_vec() };
        let _in_runtime = self.runtime.enter();
        KeptRunner::launched(&folder(self.dir.path()), launch).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sh(&self, run: u64, text: &str) -> Start {
        let events = self.path(&format!("{run}.events"));
        let env = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("TIDEGATE_EVENTS", events.display().to_string()),
            ("DIR", self.dir.path().display().to_string()),
        ];
        Start {
            run: RunId(run),
            argv: ["/bin/sh", "-c", text].map(Into::into).to_vec(),
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            dir: self.dir.path().to_owned(),
            log: self.path(&format!("{run}.log")),
            events,
            timeout: Some(PATIENCE),
            grace: Duration::from_secs(5),
            output_limit: u64::MAX,
            leave_running: false,
            append: false,
            mask: vec![b"hush".to_vec()],
            fence: Default::default(),
            limits: Default::default(),
        }
    }

    /// The keeper's process, while there is one.
    fn keeper(&self) -> Option<Pid> {
        let lock = fs::read_to_string(folder(self.dir.path()).join("lock")).ok()?;
        let pid = Pid::from_raw(lock.trim().parse().ok()?)?;
        lives(pid).then_some(pid)
    }

    fn wait_for(&self, name: &str) {
        wait_until(name, || self.path(name).exists());
    }
}

/// Whether it runs: one that waits to be reaped does not.
fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What came of a run.
#[derive(Default)]
struct Seen {
    output: Vec<(u64, String)>,
    said: Vec<(u32, String)>,
    exit: Option<Exit>,
}

impl Seen {
    fn of(mut reports: Receiver<Report>) -> Seen {
        let mut seen = Seen::default();
        seen.until(&mut reports, |_| false);
        seen
    }

    fn until(&mut self, reports: &mut Receiver<Report>, enough: impl Fn(&Seen) -> bool) {
        while let Some(report) = reports.blocking_recv() {
            match report {
                Report::Started { .. } => {}
                Report::Output { offset, bytes, .. } => {
                    self.output.push((offset, String::from_utf8(bytes.to_vec()).unwrap()));
                }
                Report::StepLine { line, number, .. } => {
                    self.said.push((number, String::from_utf8(line).unwrap()));
                }
                Report::Warning { message, number, .. } => self.said.push((number, message)),
                Report::Exited { exit, .. } => self.exit = Some(exit),
            }
            if enough(self) {
                return;
            }
        }
    }

    /// All output; that it has no holes from where it begins.
    fn text(&self) -> String {
        let mut end = self.output.first().map_or(0, |(offset, _)| *offset);
        let mut whole = String::new();
        for (offset, text) in &self.output {
            assert_eq!(*offset, end, "a hole in {:?}", self.output);
            end += text.len() as u64;
            whole.push_str(text);
        }
        whole
    }

    fn how(&self) -> &How {
        &self.exit.as_ref().expect("an end").how
    }
}

fn start(controller: &KeptRunner, start: Start) -> Receiver<Report> {
    let (sender, reports) = channel(64);
    controller.start(start, sender);
    reports
}

fn take_up(controller: &KeptRunner, run: u64) -> Option<(Vec<Vec<u8>>, Receiver<Report>)> {
    let (sender, reports) = channel(64);
    Some((controller.take_up(RunId(run), sender)?, reports))
}

#[test]
fn a_step_runs_as_anywhere() {
    let stage = Stage::new();
    let controller = stage.controller();
    let text = "echo out; echo '{\"hush\":1}' >>$TIDEGATE_EVENTS; echo hush; exit 3";
    let seen = Seen::of(start(&controller, stage.sh(1, text)));
    assert_eq!(seen.text(), "out\n***\n");
    assert_eq!(seen.how(), &How::Code(3));
    assert_eq!(seen.said, [(0, "{\"***\":1}".to_owned())], "hidden before it comes to the disk");
    let exit = seen.exit.unwrap();
    assert_eq!((exit.log_bytes, exit.log_truncated), (8, false));
    controller.leave();
}

#[test]
fn gigabytes_are_read_from_the_log_and_nothing_is_left_out() {
    let stage = Stage::new();
    let controller = stage.controller();
    let seen = Seen::of(start(&controller, stage.sh(1, "head -c 20000000 /dev/zero | tr '\\0' x")));
    assert_eq!(seen.text().len(), 20_000_000);
    assert_eq!(seen.exit.unwrap().log_bytes, 20_000_000);
    controller.leave();
}

#[test]
fn a_step_can_be_stopped() {
    let stage = Stage::new();
    let controller = stage.controller();
    let mut reports = start(&controller, stage.sh(1, "echo on; sleep 60"));
    let mut seen = Seen::default();
    seen.until(&mut reports, |seen| !seen.output.is_empty());
    controller.stop(RunId(1), StopCause::Canceled);
    seen.until(&mut reports, |_| false);
    assert_eq!(seen.how(), &How::Stopped(StopCause::Canceled));
    controller.leave();
}

#[test]
fn a_step_outlives_its_controller_and_the_next_one_goes_on_where_that_was() {
    let stage = Stage::new();
    let first = stage.controller();
    let text = "echo one; echo '{\"n\":1}' >>$TIDEGATE_EVENTS; while ! [ -e $DIR/go ]; do sleep 0.01; done
        echo two; echo '{\"n\":2}' >>$TIDEGATE_EVENTS; touch $DIR/over; exit 7";
    let mut reports = start(&first, stage.sh(1, text));
    let mut seen = Seen::default();
    seen.until(&mut reports, |seen| !seen.output.is_empty() && !seen.said.is_empty());
    first.leave();
    drop((first, reports));
    fs::write(stage.path("go"), "").unwrap();
    stage.wait_for("over");
    let next = stage.controller();
    let (mask, reports) = take_up(&next, 1).expect("it is known");
    assert_eq!(mask, [b"hush".to_vec()]);
    let seen = Seen::of(reports);
    assert_eq!(seen.output, [(4, "two\n".to_owned())], "what the first one had is not told again");
    assert_eq!(seen.said, [(0, "{\"n\":1}".to_owned()), (1, "{\"n\":2}".to_owned())]);
    assert_eq!(seen.how(), &How::Code(7));
    // Until its end is kept elsewhere, whoever comes next is told again.
    next.leave();
    let last = stage.controller();
    let (_, reports) = take_up(&last, 1).expect("it is known");
    assert_eq!(Seen::of(reports).how(), &How::Code(7));
    last.forget(RunId(1));
    last.leave();
    wait_until("the end of the keeper", || stage.keeper().is_none());
    assert!(take_up(&stage.controller(), 1).is_none());
    assert!(fs::read_dir(folder(stage.dir.path()).join("runs")).unwrap().next().is_none());
}

#[test]
fn who_does_not_know_the_key_is_not_let_in() {
    use std::io::{Read, Write};
    let stage = Stage::new();
    let controller = stage.controller();
    Seen::of(start(&controller, stage.sh(1, "true")));
    let hello = super::frame::Ask::Hello { protocol: 1, release: "x".into(), key: "0".repeat(64) };
    let socket = folder(stage.dir.path()).join("socket");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.write_all(&super::frame::packed(&hello, b"")).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "hung up without a word");
    // And nobody who was there is sent away for that.
    assert_eq!(Seen::of(start(&controller, stage.sh(2, "exit 2"))).how(), &How::Code(2));
    controller.leave();
}

#[test]
fn what_nobody_wants_any_more_is_ended() {
    let stage = Stage::new();
    let first = stage.controller();
    let mut reports = start(&first, stage.sh(1, "echo on; sleep 60"));
    Seen::default().until(&mut reports, |seen| !seen.output.is_empty());
    first.leave();
    let next = stage.controller();
    next.forget_others(&HashSet::new());
    assert!(take_up(&next, 1).is_none());
    next.leave();
    wait_until("the end of the keeper", || stage.keeper().is_none());
}

#[test]
fn of_a_keeper_that_is_killed_what_ended_counts_and_what_ran_is_ended_and_lost() {
    let stage = Stage::new();
    let controller = stage.controller();
    assert_eq!(Seen::of(start(&controller, stage.sh(1, "echo done"))).how(), &How::Code(0));
    let mut reports = start(&controller, stage.sh(2, "echo $$ >$DIR/pid; echo on; sleep 60"));
    let mut seen = Seen::default();
    seen.until(&mut reports, |seen| !seen.output.is_empty());
    kill_process(stage.keeper().expect("a keeper"), Signal::KILL).unwrap();
    // The controller starts another one by itself.
    seen.until(&mut reports, |_| false);
    assert_eq!(seen.how(), &How::Lost);
    let pid: i32 = fs::read_to_string(stage.path("pid")).unwrap().trim().parse().unwrap();
    assert!(!lives(Pid::from_raw(pid).unwrap()), "it still runs");
    assert_eq!(Seen::of(start(&controller, stage.sh(3, "echo again"))).text(), "again\n");
    controller.leave();
    let next = stage.controller();
    let (_, reports) = take_up(&next, 1).expect("its end is on the disk");
    assert_eq!(Seen::of(reports).how(), &How::Code(0));
    let (_, reports) = take_up(&next, 2).expect("its end is on the disk");
    let exit = Seen::of(reports).exit.unwrap();
    assert_eq!((exit.how, exit.log_bytes), (How::Lost, 3));
    next.leave();
}

#[test]
fn a_copy_of_a_folder_ends_nothing_of_its_original() {
    let dir = tempfile::tempdir().unwrap();
    let [original, copy] = ["original", "copy"].map(|name| dir.path().join(name));
    fs::create_dir_all(&original).unwrap();
    let number = launch::house(&original).unwrap();
    assert!(std::process::Command::new("cp").arg("-a").args([&original, &copy]).status().unwrap().success());
    assert_eq!(
        launch::house(&copy).unwrap(),
        number,
        "its cgroups say by themselves whether their maker lives"
    );
    let marks = [&original, &copy].map(|folder| launch::house_here(folder).unwrap());
    assert_ne!(marks[0], marks[1]);
    assert_eq!(launch::house_here(&original).unwrap(), marks[0], "it stays");
}

#[test]
fn a_keeper_of_which_the_folder_is_gone_ends_and_all_that_it_keeps() {
    let stage = Stage::new();
    let controller = stage.controller();
    let mut reports = start(&controller, stage.sh(1, "echo on; sleep 60"));
    Seen::default().until(&mut reports, |seen| !seen.output.is_empty());
    let keeper = stage.keeper().expect("a keeper");
    controller.leave();
    fs::remove_dir_all(stage.dir.path()).unwrap();
    wait_until("the end of the keeper", || !lives(keeper));
}

#[test]
fn one_that_is_told_to_end_calls_what_it_ends_interrupted() {
    let stage = Stage::new();
    let controller = stage.controller();
    let mut reports = start(&controller, stage.sh(1, "echo on; sleep 60"));
    let mut seen = Seen::default();
    seen.until(&mut reports, |seen| !seen.output.is_empty());
    kill_process(stage.keeper().expect("a keeper"), Signal::TERM).unwrap();
    seen.until(&mut reports, |_| false);
    assert_eq!(seen.how(), &How::Stopped(StopCause::Interrupted));
    controller.leave();
}
