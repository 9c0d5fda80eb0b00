//! A controller as a process of its own, and what is asked of it.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use super::PIPELINE;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// A controller of its own in a folder of its own.
pub(crate) struct Controller {
    folder: TempDir,
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Controller {
    pub(crate) fn new() -> Controller {
        Controller::with(PIPELINE)
    }

    /// With this pipeline `shop`.
    pub(crate) fn with(pipeline: &str) -> Controller {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pipelines")).unwrap();
        fs::write(folder.path().join("pipelines/shop.toml"), pipeline).unwrap();
        git(folder.path(), &["init", "-q", "--bare", "-b", "main", "shop.git"]);
        Controller::begin(folder)
    }

    pub(crate) fn begin(folder: TempDir) -> Controller {
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

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Kinds of events, as they come.
    pub(crate) fn listen(&self) -> Receiver<String> {
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

    pub(crate) fn process(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// A size out of the process's status, in MB.
    pub(crate) fn megabytes(&self, name: &str) -> f64 {
        let status = self.process("status");
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
    }

    /// Processor time that it used so far.
    pub(crate) fn processor(&self) -> Duration {
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

pub(crate) fn tidegate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.current_dir(folder).env("TIDEGATE_STATE", folder.join("state")).stdout(Stdio::null());
    command
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments).stderr(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
    }
    assert!(command.status().unwrap().success(), "git {arguments:?}");
}

pub(crate) fn subscribe(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

pub(crate) fn wait(events: &Receiver<String>, kind: &str) {
    while events.recv_timeout(Duration::from_secs(30)).unwrap() != kind {}
}

/// Ends a controller well; what is left is its folder.
pub(crate) fn stop(mut controller: Controller) -> TempDir {
    let pid = rustix::process::Pid::from_child(&controller.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    controller.child.wait().unwrap();
    let empty = tempfile::tempdir().unwrap();
    std::mem::replace(&mut controller.folder, empty)
}
