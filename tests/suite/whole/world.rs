//! A repository, a pipeline and the real controller in a temporary folder, and what people do with them: push, edit,
//! type commands, kill. What happens is heard as any subscriber hears it.

use super::port::Port;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// No controller takes that long to come to answer.
const LONGEST_START: Duration = Duration::from_secs(180);

pub(crate) struct World {
    pub(crate) folder: TempDir,
    controller: Option<Child>,
    pub(crate) address: String,
    port: Option<Port>,
    events: Option<Receiver<Value>>,
    /// Everything heard so far.
    pub(crate) heard: Vec<Value>,
}

impl World {
    /// A world whose pipeline `shop` is this text; `$REPO` and `$PLACE` in it become paths. The hook is installed and
    /// the controller runs.
    pub(crate) fn new(pipeline: &str) -> World {
        let mut world = World::unborn(pipeline);
        world.start();
        world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
        world.wait("pipeline_loaded", &[]);
        world
    }

    /// The same before the controller is started, without the hook.
    pub(crate) fn unborn(pipeline: &str) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let world = World {
            folder,
            controller: None,
            address: String::new(),
            port: None,
            events: None,
            heard: Vec::new(),
        };
        fs::create_dir(world.path("pipelines")).expect("a folder");
        fs::create_dir(world.path("place")).expect("a folder");
        world.git("", &["init", "-q", "--bare", "-b", "main", "shop.git"]);
        world.git("", &["init", "-q", "-b", "main", "work"]);
        let repo = world.path("shop.git");
        world.git("work", &["remote", "add", "origin", repo.to_str().expect("text")]);
        world.edit(pipeline);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of the pipeline with paths filled in.
    pub(crate) fn filled(&self, pipeline: &str) -> String {
        let quoted = |name: &str| toml::Value::String(self.path(name).display().to_string()).to_string();
        pipeline
            .replace("$REPO", &quoted("shop.git"))
            .replace("$PLACE", &self.path("place").display().to_string())
    }

    /// Saves the pipeline.
    pub(crate) fn edit(&self, pipeline: &str) {
        fs::write(self.path("pipelines/shop.toml"), self.filled(pipeline)).expect("a pipeline");
    }

    pub(crate) fn git(&self, folder: &str, arguments: &[&str]) -> Output {
        let output = self.try_git(folder, arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub(crate) fn try_git(&self, folder: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.folder.path().join(folder));
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
        }
        command.output().expect("git runs")
    }

    /// Commits a version with these files, and returns the commit.
    pub(crate) fn commit(&self, version: &str, files: &[(&str, &str)]) -> String {
        fs::write(self.path("work/VERSION"), version).expect("a file");
        for (name, text) in files {
            fs::write(self.path("work").join(name), text).expect("a file");
        }
        self.git("work", &["add", "-A"]);
        self.git("work", &["commit", "-q", "--allow-empty", "-m", &format!("Version {version}")]);
        let output = self.git("work", &["rev-parse", "HEAD"]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits a version and pushes it, through the hook; what the pusher reads.
    pub(crate) fn push(&self, version: &str, files: &[(&str, &str)]) -> String {
        self.commit(version, files);
        let output = self.git("work", &["push", "origin", "main"]);
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The program, as this world calls it.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.env_remove("TIDEGATE_TOKEN").env("TIDEGATE_STATE", self.path("state")).env("NO_COLOR", "1");
        command.env("XDG_CACHE_HOME", self.path("cache")).current_dir(self.folder.path());
        if !rustix::process::geteuid().is_root() {
            // Tests count its descriptors and find what was left by its environment.
            command.env("TIDEGATE_DUMPABLE", "1");
        }
        if self.path("gitconfig").exists() {
            command.env("GIT_CONFIG_GLOBAL", self.path("gitconfig"));
        }
        if self.path("ssh_config").exists() {
            command.env("TIDEGATE_SSH_COMMAND", format!("ssh -F '{}'", self.path("ssh_config").display()));
        }
        if !self.address.is_empty() {
            command.env("TIDEGATE_URL", format!("http://{}", self.address));
        }
        command
    }

    /// What a command says.
    pub(crate) fn tidegate(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).stdin(Stdio::null()).output().expect("tidegate runs")
    }

    /// A command that goes on while other things happen.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.program();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("tidegate starts")
    }

    /// What a command that must do well prints.
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let output = self.tidegate(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tidegate {arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// How a command ends, and what it says on stderr.
    pub(crate) fn ends(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.tidegate(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().expect("an exit status"), said)
    }

    /// How a command ends, and everything that it says.
    pub(crate) fn says(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.tidegate(arguments);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("an exit status"), String::from_utf8_lossy(&said).into_owned())
    }

    /// Starts the controller, again on the same address if it had one, and subscribes.
    pub(crate) fn start(&mut self) {
        self.start_by(self.program());
    }

    /// The same by this command, which becomes the program: `serve` and its options are added to it.
    pub(crate) fn start_by(&mut self, program: Command) {
        if let Err(words) = self.try_start_by(program) {
            panic!("the controller says: {words}");
        }
        self.events = Some(self.subscribe());
    }

    /// The same without a subscription. What it says, where it does not come to answer.
    pub(crate) fn try_start_by(&mut self, mut program: Command) -> Result<(), String> {
        let listen = if self.address.is_empty() {
            // It may be killed, and nobody else shall have its port then.
            format!("127.0.0.1:{}", self.port.insert(Port::reserve()).number)
        } else {
            self.address.clone()
        };
        let mut child = program
            .args(["serve", "--listen", &listen, "--pipelines", "pipelines", "--jobs", "4"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the controller starts");
        let mut said = BufReader::new(child.stderr.take().expect("its stderr"));
        self.controller = Some(child);
        self.address = listen;
        let mut log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut words = String::new();
        let _begun = ends_unless_begun(self.pid());
        loop {
            let mut line = String::new();
            if said.read_line(&mut line).expect("its words") == 0 {
                return Err(words);
            }
            log.write_all(line.as_bytes()).expect("written");
            words.push_str(&line);
            if line.contains(" answers at http://") {
                break;
            }
        }
        std::thread::spawn(move || std::io::copy(&mut said, &mut log));
        Ok(())
    }

    /// How the controller ended, if it did so by itself: its status, and whatever it has said so far.
    pub(crate) fn has_ended(&mut self) -> Option<std::process::ExitStatus> {
        let status = self.controller.as_mut()?.try_wait().expect("its status")?;
        self.controller = None;
        Some(status)
    }

    fn subscribe(&self) -> Receiver<Value> {
        let since = self.heard.iter().rev().find_map(|event| event["id"].as_u64()).unwrap_or(0);
        let url = format!("http://{}/events?since={since}", self.address);
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let answer = ureq::get(&url).header("Accept", "text/event-stream").call();
            let Ok(answer) = answer else { return };
            let lines = BufReader::new(answer.into_body().into_reader()).lines();
            for line in lines.map_while(Result::ok) {
                let event =
                    line.strip_prefix("data:").and_then(|data| serde_json::from_str(data.trim()).ok());
                if event.is_some_and(|event| sender.send(event).is_err()) {
                    return;
                }
            }
        });
        receiver
    }

    /// The process of the controller.
    pub(crate) fn pid(&self) -> i32 {
        self.controller.as_ref().expect("a controller").id() as i32
    }

    /// Ends the controller as a crash does.
    pub(crate) fn kill(&mut self) {
        let mut child = self.controller.take().expect("a controller");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// Processes of this world that run something else than the controller does: what it just began has not told its own
    /// name yet, so the program counts.
    pub(crate) fn strays(&self) -> Vec<(i32, String)> {
        let program = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).ok();
        let ours = program(self.pid());
        let mut all = those_with(self.folder.path());
        all.retain(|(pid, _)| program(*pid).is_some_and(|program| Some(program) != ours));
        all
    }

    /// Kills the process that runs steps, if there is one now, and waits until it is gone.
    pub(crate) fn kill_runner(&self) {
        let said = fs::read_to_string(self.path("state/runner/lock")).unwrap_or_default();
        let Some(pid) = said.trim().parse().ok().and_then(rustix::process::Pid::from_raw) else { return };
        // It ends by itself when it has nothing to do; its number may be somebody else's then.
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if !line.contains(self.folder.path().to_str().expect("text")) {
            return;
        }
        // It may have ended by itself just now.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        // One that waits to be reaped is gone.
        let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while stat().rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills the controller, and the process that runs steps for it.
    pub(crate) fn kill_all(&mut self) {
        self.kill();
        self.kill_runner();
    }

    /// Waits for the end of a controller that was told of it; how it ended.
    pub(crate) fn ended(&mut self) -> i32 {
        self.controller.take().expect("a controller").wait().expect("gone").code().expect("an exit status")
    }

    /// Ends the controller as an operator does, and waits; how it ended.
    pub(crate) fn stop(&mut self) -> i32 {
        let mut child = self.controller.take().expect("a controller");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told");
        child.wait().expect("gone").code().expect("an exit status")
    }

    /// Hears events until one of this kind with these fields comes; those heard before do not count.
    pub(crate) fn wait(&mut self, kind: &str, fields: &[(&str, &str)]) -> Value {
        let fits = |event: &Value| {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            event["kind"] == kind && fields.iter().all(|(name, value)| text(&event[*name]) == *value)
        };
        self.wait_for(&format!("{kind} {fields:?}"), fits)
    }

    pub(crate) fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            let events = self.events.as_ref().expect("a subscription");
            let Ok(event) = events.recv_timeout(left) else {
                let kinds: Vec<String> = self.heard.iter().rev().take(40).map(short).collect();
                let log = fs::read_to_string(self.path("log")).unwrap_or_default();
                panic!("{what} did not come; the last events are {kinds:#?}; the log is {log}");
            };
            self.heard.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    /// Waits until the controller's log says that; the log so far.
    pub(crate) fn until_logged(&self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            let log = self.read("log");
            if log.contains(text) {
                return log;
            }
            assert!(begin.elapsed() < PATIENCE, "`{text}` is not in the log: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What was said before the controller was ended and has not been heard yet.
    pub(crate) fn hear_the_rest(&mut self) {
        let events = self.events.take();
        self.heard.extend(events.iter().flatten());
    }

    /// What was said up to now and has not been heard yet.
    pub(crate) fn hear_the_rest_so_far(&mut self) {
        let events = self.events.as_ref().expect("a subscription");
        self.heard.extend(events.try_iter());
    }

    /// The kinds of the events that were heard, logs left out.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        let journaled = self.heard.iter().filter(|event| event["id"].is_u64());
        journaled.filter_map(|event| event["kind"].as_str()).collect()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        serde_json::from_slice(&self.bytes(path)).expect("JSON")
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let answer = ureq::get(format!("http://{}{path}", self.address)).call().expect("an answer");
        let mut bytes = Vec::new();
        answer.into_body().into_reader().read_to_end(&mut bytes).expect("a body");
        bytes
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn short(event: &Value) -> String {
    let mut event = event.clone();
    if let Some(fields) = event.as_object_mut() {
        for name in ["at", "digest", "definition", "text", "pipeline", "artifacts"] {
            fields.remove(name);
        }
    }
    event.to_string()
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut child) = self.controller.take() {
            // A test that failed still ends what it began.
            let _ = child.kill();
            let _ = child.wait();
        }
        end_those_with(self.folder.path());
    }
}

/// Processes whose environment names a folder: those that steps left.
pub(crate) fn those_with(folder: &Path) -> Vec<(i32, String)> {
    let needle = folder.as_os_str().as_encoded_bytes();
    those_that(|environ| environ.windows(needle.len()).any(|window| window == needle))
}

/// Processes with such an environment, but this one.
pub(crate) fn those_that(fits: impl Fn(&[u8]) -> bool) -> Vec<(i32, String)> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| *pid != std::process::id() as i32).filter_map(|pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let is_ours = fits(&environ);
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_dead = state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        (is_ours && !is_dead).then(|| (pid, name.trim().to_owned()))
    });
    ours.collect()
}

/// Ends them.
pub(crate) fn end_those_with(folder: &Path) {
    for (pid, _) in those_with(folder) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            // Gone already is what is wanted.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Kills a controller that never comes to answer, so that whoever waits for its words gets their end. Dropped, it leaves
/// the controller alone. Until that one is waited for, its number means nobody else.
fn ends_unless_begun(pid: i32) -> Sender<()> {
    let (begun, waits) = channel();
    std::thread::spawn(move || {
        let pid = rustix::process::Pid::from_raw(pid).expect("a number");
        if waits.recv_timeout(LONGEST_START) == Err(RecvTimeoutError::Timeout) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        }
    });
    begun
}
