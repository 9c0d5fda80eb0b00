//! How fast the whole controller is: from a push, or a saved pipeline, to the event that a subscriber sees; what 100
//! subscribers cost; how long a start takes. Each beside the smallest thing that does as much: a hook that appends a
//! line, syncs it and tells a reader; a thread that looks at the folder; a loop that writes to 100 sockets.
//!
//! `cargo bench --bench controller`; names (`push`, `save`, `fan-out`, `start`, `idle`) choose parts.

#![expect(clippy::print_stdout, reason = "a bench talks to whoever started it")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use notify::Watcher;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidegate::domain::{Envelope, Event, EventId, Fact, PipelineName};
use tidegate::journal::{Journal, Record, SqliteJournal};
use tidegate::wire;

const TURNS: usize = 100;
const SUBSCRIBERS: usize = 100;
const EVENTS: usize = 2_000;

const PIPELINE: &str = "
[source]
repo = \"shop.git\"
refs = [\"main\"]

[[build.step]]
name = \"nothing\"
run = \"true\"

[[tier]]
name = \"host\"
";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let parts: [(&str, fn()); 5] =
        [("push", push), ("save", save), ("fan-out", fan_out), ("start", start), ("idle", idle)];
    parts.into_iter().filter(|(name, _)| is_wanted(name)).for_each(|(_, part)| part());
}

fn say(what: &str, ours: &mut [Duration], twin: &mut [Duration]) {
    ours.sort();
    twin.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let at = |times: &[Duration], share: usize| times[times.len() * share / 100];
    println!(
        "{what}: p50 {:.2} ms, twin {:.2} ms, ratio {:.2}, {:+.2} ms; p99 {:.2} ms, twin {:.2} ms",
        ms(at(ours, 50)),
        ms(at(twin, 50)),
        ms(at(ours, 50)) / ms(at(twin, 50)),
        ms(at(ours, 50)) - ms(at(twin, 50)),
        ms(at(ours, 99)),
        ms(at(twin, 99)),
    );
}

/// A controller of its own in a folder of its own.
struct Controller {
    folder: TempDir,
    child: Child,
    address: String,
}

impl Controller {
    fn new() -> Controller {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pipelines")).unwrap();
        fs::write(folder.path().join("pipelines/shop.toml"), PIPELINE).unwrap();
        git(folder.path(), &["init", "-q", "--bare", "-b", "main", "shop.git"]);
        Controller::begin(folder)
    }

    fn begin(folder: TempDir) -> Controller {
        let mut command = tidegate(folder.path());
        let mut child =
            command.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(" answers at http://") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "the controller ended");
        }
        let address = line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Controller { folder, child, address }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Kinds of events, as they come.
    fn listen(&self) -> Receiver<String> {
        let (sender, receiver) = channel();
        let stream = subscribe(&self.address, "/events?since=0&logs=false");
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let kind = line.split("\"kind\":\"").nth(1).and_then(|rest| rest.split('"').next());
                if kind.is_some_and(|kind| sender.send(kind.to_owned()).is_err()) {
                    return;
                }
            }
        });
        receiver
    }

    fn process(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// A size out of the process's status, in MB.
    fn megabytes(&self, name: &str) -> f64 {
        let status = self.process("status");
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
    }

    /// Processor time that it used so far.
    fn processor(&self) -> Duration {
        let stat = self.process("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // It ends with the bench, however that ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tidegate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.current_dir(folder).env("TIDEGATE_STATE", folder.join("state")).stdout(Stdio::null());
    command
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).stderr(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
    }
    assert!(command.status().unwrap().success(), "git {arguments:?}");
}

fn subscribe(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn wait(events: &Receiver<String>, kind: &str) {
    while events.recv_timeout(Duration::from_secs(30)).unwrap() != kind {}
}

/// From the beginning of `git push` to the event, beside a hook that appends a line, syncs it, and tells a reader.
fn push() {
    let controller = Controller::new();
    let repo = controller.path().join("shop.git");
    let mut install = tidegate(controller.path());
    install.args(["hook", "install", "shop.git", "--url", &format!("http://{}", controller.address)]);
    assert!(install.stderr(Stdio::null()).status().unwrap().success());
    let events = controller.listen();
    let mut ours = pushes(controller.path(), &repo, || wait(&events, "rebuild_requested"));

    let twin = tempfile::tempdir().unwrap();
    git(twin.path(), &["init", "-q", "--bare", "-b", "main", "shop.git"]);
    let repo = twin.path().join("shop.git");
    let listener = std::os::unix::net::UnixListener::bind(twin.path().join("told")).unwrap();
    let hook = repo.join("hooks/post-receive");
    let program = compile(twin.path(), "notify", NOTIFY);
    let place = twin.path().display();
    fs::write(&hook, format!("#!/bin/sh\nexec {} {place}/kept {place}/told\n", program.display())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let mut theirs = pushes(twin.path(), &repo, || drop(listener.accept().unwrap()));
    say("push to rebuild_requested", &mut ours, &mut theirs);
}

/// Appends what it reads to a file, syncs it, and connects to a socket.
const NOTIFY: &str = r#"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char text[4096];
    ssize_t n = read(0, text, sizeof text);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (n < 0 || write(fd, text, n) != n || fdatasync(fd)) return 1;
    struct sockaddr_un to = {AF_UNIX, ""};
    strncpy(to.sun_path, argv[2], sizeof to.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(s, (struct sockaddr *)&to, sizeof to) != 0;
}
"#;

fn compile(folder: &Path, name: &str, text: &str) -> PathBuf {
    let source = folder.join(format!("{name}.c"));
    fs::write(&source, text).unwrap();
    let program = folder.join(name);
    assert!(Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(&source).status().unwrap().success());
    program
}

fn pushes(folder: &Path, repo: &Path, told: impl Fn()) -> Vec<Duration> {
    git(folder, &["init", "-q", "-b", "main", "work"]);
    let work = folder.join("work");
    git(&work, &["remote", "add", "origin", repo.to_str().unwrap()]);
    let one = |_| {
        git(&work, &["commit", "-q", "--allow-empty", "-m", "A change"]);
        let begin = Instant::now();
        let mut push = Command::new("git");
        let mut push = push
            .current_dir(&work)
            .args(["push", "-q", "origin", "main"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        told();
        let took = begin.elapsed();
        assert!(push.wait().unwrap().success());
        took
    };
    (0..TURNS).map(one).collect()
}

/// From a save to the event, beside a thread that is told by the system and appends a line, synced.
fn save() {
    let controller = Controller::new();
    let events = controller.listen();
    wait(&events, "pipeline_loaded");
    let file = controller.path().join("pipelines/shop.toml");
    let text = |n: usize| format!("description = \"{n}\"\n{PIPELINE}");
    let mut by_rename = Vec::new();
    let mut in_place = Vec::new();
    for n in 0..TURNS {
        let fresh = controller.path().join("fresh");
        fs::write(&fresh, text(2 * n)).unwrap();
        by_rename.push(timed(|| fs::rename(&fresh, &file).unwrap(), || wait(&events, "pipeline_loaded")));
        in_place
            .push(timed(|| fs::write(&file, text(2 * n + 1)).unwrap(), || wait(&events, "pipeline_loaded")));
    }

    let twin = tempfile::tempdir().unwrap();
    let (sender, told) = channel();
    let mut kept = fs::File::create(twin.path().join("kept")).unwrap();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let event = event.unwrap();
        let is_saved = event.paths.iter().any(|path| path.ends_with("shop.toml"))
            && matches!(event.kind, notify::EventKind::Modify(_) | notify::EventKind::Access(_));
        if is_saved {
            kept.write_all(b"saved\n").and_then(|()| kept.sync_data()).unwrap();
            sender.send(()).unwrap();
        }
    })
    .unwrap();
    let folder = twin.path().join("pipelines");
    fs::create_dir(&folder).unwrap();
    watcher.watch(&folder, notify::RecursiveMode::NonRecursive).unwrap();
    let mut theirs = Vec::new();
    for n in 0..TURNS {
        let fresh = twin.path().join("fresh");
        fs::write(&fresh, text(n)).unwrap();
        theirs.push(timed(|| fs::rename(&fresh, folder.join("shop.toml")).unwrap(), || told.recv().unwrap()));
        while told.recv_timeout(Duration::from_millis(5)).is_ok() {}
    }
    say("renamed over, to pipeline_loaded", &mut by_rename, &mut theirs.clone());
    say("written in place, to pipeline_loaded", &mut in_place, &mut theirs);
}

/// Saves are as far apart as people's: those that follow at once are held back on purpose.
fn timed(act: impl FnOnce(), told: impl FnOnce()) -> Duration {
    std::thread::sleep(Duration::from_millis(110));
    let begin = Instant::now();
    act();
    told();
    begin.elapsed()
}

/// Everything to 100 subscribers, beside a loop that writes the same bytes to 100 sockets.
fn fan_out() {
    let controller = Controller::new();
    let token = fs::read_to_string(controller.path().join("state/token")).unwrap();
    wait(&controller.listen(), "pipeline_loaded");
    let streams: Vec<TcpStream> =
        (0..SUBSCRIBERS).map(|_| subscribe(&controller.address, "/events?since=2")).collect();
    let readers: Vec<_> =
        streams.into_iter().map(|stream| std::thread::spawn(move || count(stream, EVENTS))).collect();
    let (begin, used) = (Instant::now(), controller.processor());
    let agent = ureq::Agent::new_with_defaults();
    for n in 0..EVENTS {
        let action = if n.is_multiple_of(2) { "hold" } else { "resume" };
        let url = format!("http://{}/api/pipelines/shop/{action}", controller.address);
        let request = agent.post(&url).header("Authorization", format!("Bearer {}", token.trim()));
        request
            .header("Content-Type", "application/json")
            .send("{}")
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
    }
    let asked = begin.elapsed();
    let bytes: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
    let (took, used) = (begin.elapsed(), controller.processor() - used);
    let (twin, twin_used) = fan_out_twin(bytes / SUBSCRIBERS / EVENTS);
    println!(
        "fan-out: {EVENTS} durable events to {SUBSCRIBERS} subscribers in {:.2} s ({:.2} s until the last was asked for), \
         {:.0} deliveries/s, processor {:.2} s, at most {:.1} MB; twin {:.2} s, processor {:.2} s, ratio of processor {:.2}",
        took.as_secs_f64(),
        asked.as_secs_f64(),
        (EVENTS * SUBSCRIBERS) as f64 / took.as_secs_f64(),
        used.as_secs_f64(),
        controller.megabytes("VmHWM"),
        twin.as_secs_f64(),
        twin_used.as_secs_f64(),
        used.as_secs_f64() / twin_used.as_secs_f64(),
    );
}

/// Reads until so many events have come; how many bytes they were.
fn count(stream: TcpStream, events: usize) -> usize {
    let (mut seen, mut bytes) = (0, 0);
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if line.starts_with("data:") {
            (seen, bytes) = (seen + 1, bytes + line.len() + 2);
        }
        if seen == events {
            break;
        }
    }
    bytes
}

/// One thread appends each event to a file, syncs it, and writes it to every socket.
fn fan_out_twin(size: usize) -> (Duration, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reader = |_| {
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut buffer = [0; 16 << 10];
            while stream.read(&mut buffer).unwrap() > 0 {}
        })
    };
    let readers: Vec<_> = (0..SUBSCRIBERS).map(reader).collect();
    let mut sockets: Vec<TcpStream> = (0..SUBSCRIBERS).map(|_| listener.accept().unwrap().0).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut kept = fs::File::create(folder.path().join("kept")).unwrap();
    let event = vec![b'x'; size];
    let (begin, used) = (Instant::now(), thread_time());
    for _ in 0..EVENTS {
        kept.write_all(&event).and_then(|()| kept.sync_data()).unwrap();
        for socket in &mut sockets {
            socket.write_all(&event).unwrap();
        }
    }
    let used = thread_time() - used;
    drop(sockets);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    (begin.elapsed(), used)
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split_whitespace().collect();
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}

/// A start with a long journal, until it answers.
fn start() {
    for events in [0_u64, 100_000, 1_000_000] {
        let controller = Controller::new();
        wait(&controller.listen(), "pipeline_loaded");
        let folder = stop(controller);
        lengthen(&folder.path().join("state"), events);
        let begin = Instant::now();
        let controller = Controller::begin(folder);
        println!(
            "start with {events} events: {:.0} ms, {:.1} MB",
            begin.elapsed().as_secs_f64() * 1_000.0,
            controller.megabytes("VmRSS")
        );
    }
}

/// Ends a controller well; what is left is its folder.
fn stop(mut controller: Controller) -> TempDir {
    let pid = rustix::process::Pid::from_child(&controller.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    controller.child.wait().unwrap();
    let empty = tempfile::tempdir().unwrap();
    std::mem::replace(&mut controller.folder, empty)
}

/// Adds holds and their ends to a journal.
fn lengthen(state: &Path, events: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let journal = SqliteJournal::open(state).unwrap();
    let shop = PipelineName::from("shop");
    runtime.block_on(async {
        let mut last = journal.last_id().0;
        let end = last + events;
        while last < end {
            let batch: Vec<Record> =
                (last + 1..=(last + 1_000).min(end)).map(|id| record(id, &shop)).collect();
            last += batch.len() as u64;
            journal.append(batch).await.unwrap();
        }
        journal.close().await.unwrap();
    });
}

fn record(id: u64, shop: &PipelineName) -> Record {
    let event = if id.is_multiple_of(2) {
        Event::HoldSet { tier: None, of_rollback: false }
    } else {
        Event::HoldLifted { tier: None }
    };
    let (at, kind) = (chrono::DateTime::UNIX_EPOCH, event.kind());
    let fact = Fact { pipeline: Some(shop.clone()), by: Some("ann".into()), why: None, event };
    let body = wire::encode(&Envelope { id: EventId(id), at, fact });
    Record {
        id: EventId(id),
        at_us: at.timestamp_micros(),
        kind: kind.into(),
        pipeline: Some("shop".into()),
        tier: None,
        run: None,
        body: body.into(),
    }
}

/// What it costs to do nothing.
fn idle() {
    let controller = Controller::new();
    let events = controller.listen();
    wait(&events, "pipeline_loaded");
    // Threads that are needed now and then end ten seconds after they were.
    std::thread::sleep(Duration::from_secs(14));
    let before = switches(&controller);
    std::thread::sleep(Duration::from_secs(15));
    println!(
        "idle: {:.1} MB resident, {} wake-ups in 15 s with one subscriber",
        controller.megabytes("VmRSS"),
        switches(&controller) - before
    );
}

fn switches(controller: &Controller) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", controller.child.id())).unwrap();
    let of = |task: PathBuf| {
        let status = fs::read_to_string(task.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.map(|task| of(task.unwrap().path())).sum()
}
