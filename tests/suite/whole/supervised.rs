//! Under a supervisor that speaks systemd's protocols, and the files in `docs/` that ask for it.

use super::SHOP;
use super::world::World;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A controller that was passed a socket, and whoever is told of it.
struct Supervised {
    child: Child,
    told: UnixDatagram,
}

impl Supervised {
    /// Starts it by a shell, which knows its own process id before it becomes the controller.
    fn start(world: &World, listener: TcpListener, told: UnixDatagram, name: &str) -> Supervised {
        told.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let program = world.program();
        let mut command = Command::new("sh");
        command
            .args(["-c", "LISTEN_PID=$$ exec \"$@\" 3<&0 </dev/null", "sh"])
            .arg(program.get_program())
            .args(["serve", "--pipelines", "pipelines", "--listen", "127.0.0.1:1"])
            .current_dir(world.folder.path())
            .env("TIDEGATE_STATE", world.path("state"))
            .env("LISTEN_FDS", "1")
            .env("NOTIFY_SOCKET", name)
            .env("WATCHDOG_USEC", "200000")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::null());
        Supervised { child: command.spawn().expect("it starts"), told }
    }

    /// What it says next, signs of life left out.
    fn hear(&self) -> String {
        loop {
            let text = self.hear_anything();
            if text != "WATCHDOG=1" {
                return text;
            }
        }
    }

    fn hear_anything(&self) -> String {
        let mut text = [0; 1_024];
        let length = self.told.recv(&mut text).expect("it says something");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).expect("told");
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_takes_the_socket_that_is_passed_and_says_how_it_is() {
    for is_abstract in [false, true] {
        let world = World::unborn(SHOP);
        let (told, name) = if is_abstract {
            let name = format!("tidegate-test-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).expect("an address");
            (UnixDatagram::bind_addr(&address).expect("bound"), format!("@{name}"))
        } else {
            let path = world.path("notify");
            (UnixDatagram::bind(&path).expect("bound"), path.display().to_string())
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        // Who comes before it has started waits in the socket.
        let mut early = TcpStream::connect(address).expect("connected");
        let mut supervised = Supervised::start(&world, listener, told, &name);
        early
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            .expect("asked");
        let mut answer = String::new();
        BufReader::new(&early).read_line(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");

        assert_eq!(supervised.hear(), format!("READY=1\nSTATUS=answers at http://{address}"));
        supervised.signal(rustix::process::Signal::HUP);
        assert!(supervised.hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert!(supervised.hear().starts_with("READY=1\n"));
        while supervised.hear_anything() != "WATCHDOG=1" {}
        supervised.signal(rustix::process::Signal::TERM);
        assert!(supervised.hear().starts_with("STOPPING=1\n"));
        assert_eq!(supervised.child.wait().expect("gone").code(), Some(0));
    }
}

#[test]
fn a_passed_socket_that_is_none_is_refused() {
    let world = World::unborn(SHOP);
    let program = world.program();
    let output = Command::new("sh")
        .args(["-c", "LISTEN_PID=$$ exec \"$@\" 3</dev/null", "sh"])
        .arg(program.get_program())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(world.folder.path())
        .env("TIDEGATE_STATE", world.path("state"))
        .env("LISTEN_FDS", "1")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("TG-SERVE-005") && said.contains("ListenStream"), "{said}");
}

/// A unit of `docs/` as it would stand here.
fn unit(folder: &Path, name: &str) -> std::path::PathBuf {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let text = fs::read_to_string(docs.join(name)).expect("a unit");
    let here = text.replace("/usr/local/bin/tidegate", env!("CARGO_BIN_EXE_tidegate"));
    let path = folder.join(name);
    fs::write(&path, here).expect("a unit");
    path
}

#[test]
fn the_units_are_understood_and_harden_what_they_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let units = ["tidegate.service", "tidegate.socket"].map(|name| unit(folder.path(), name));
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&units).output() else {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    };
    let mut said = String::from_utf8_lossy(&verified.stderr).into_owned();
    said.retain(|c| c != '\r');
    // One older than 254 passes over the one key that it does not know.
    let is_newer = |line: &str| line.contains("Unknown key 'DelegateSubgroup'");
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("tidegate.") && !is_newer(line)).collect();
    assert!(ours.is_empty(), "{said}");
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=60"])
        .arg(&units[0])
        .output();
    let judged = judged.expect("it was there a moment ago");
    let mut shown = Vec::new();
    judged.stdout.as_slice().read_to_end(&mut shown).expect("text");
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&shown));
}
