//! What started the controller and watches over it, if that speaks systemd's protocols: `sd_notify` (datagrams of
//! `NAME=value` lines to the socket named in `NOTIFY_SOCKET`) and socket activation (descriptors from 3 on are sockets
//! that listen already, if `LISTEN_PID` is this process). Both are documented in sd_notify(3) and sd_listen_fds(3).
//!
//! Without these variables nothing of it happens. A supervisor that does not listen any more stops nothing.

use super::super::Exit;
use super::super::trouble::Trouble;
use crate::engine::Engine;
use rustix::net::AddressFamily;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The first descriptor that is passed.
const FIRST_PASSED: i32 = 3;

/// Whoever watches over this process.
#[derive(Debug, Default)]
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// How long it waits for a sign of life before it ends this process.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    pub(super) fn find() -> Supervisor {
        let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return Supervisor::default() };
        match connect(&name) {
            Ok(socket) => Supervisor { socket: Some(socket), watchdog: watchdog() },
            Err(error) => {
                tracing::warn!(%error, "failed to reach the supervisor at `NOTIFY_SOCKET`; going on without");
                Supervisor::default()
            }
        }
    }

    /// It answers there from now on.
    pub(super) fn ready(&self, address: SocketAddr) {
        self.say(&format!("READY=1\nSTATUS=answers at http://{address}"));
    }

    /// It looks at its files again; [`Supervisor::ready`] ends that.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=looks at its files again"));
    }

    /// It begins nothing new, and ends.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=stopping: what runs has its time to end");
    }

    /// Gives signs of life as long as the engine gives them: twice as often as is asked for, and only when its loop has
    /// answered within that time and what was decided can become durable. Never resolves.
    pub(super) async fn keep_alive(&self, engine: Engine) {
        let Some(patience) = self.watchdog else { return std::future::pending().await };
        loop {
            tokio::time::sleep(patience / 2).await;
            let lives = async {
                engine.ping().await?;
                engine.settled().await
            };
            if tokio::time::timeout(patience / 4, lives).await.is_ok_and(|lives| lives.is_ok()) {
                self.say("WATCHDOG=1");
            }
        }
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // Who does not hear it any more needs no answer.
            let _ = socket.send(text.as_bytes());
        }
    }
}

fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.strip_prefix('@') {
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name.as_bytes())?;
            socket.connect_addr(&address)?;
        }
        None => socket.connect(name)?,
    }
    // A supervisor that is slow to read must not hold up anything.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// How long the supervisor waits, if it waits for this process.
fn watchdog() -> Option<Duration> {
    let for_us = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (for_us && micros > 0).then(|| Duration::from_micros(micros))
}

/// The sockets that were passed to this process, listening already.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) tcp: Option<TcpListener>,
    pub(super) unix: Option<UnixListener>,
}

/// What was passed.
pub(super) fn passed_listeners() -> Result<Passed, Trouble> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let for_us = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    if !for_us || count == 0 || TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Passed::default());
    }
    let refused = |what: &str| {
        let message = format!("failed to take what was passed to listen on: {what}");
        let help = "pass one TCP socket that listens, one Unix socket, or one of each: `ListenStream=` with an address and a \
                    port, or with a path";
        Trouble::new("TG-SERVE-005", message, help, Exit::Failed)
    };
    if count > 2 {
        return Err(refused(&format!("there are {count}")));
    }
    let mut passed = Passed::default();
    for at in 0..i32::try_from(count).unwrap_or_default() {
        let number = FIRST_PASSED + at;
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            return Err(refused(&format!("descriptor {number} is not open")));
        }
        passed.add(take(number)).map_err(|what| refused(&what))?;
    }
    Ok(passed)
}

impl Passed {
    fn add(&mut self, socket: OwnedFd) -> Result<(), String> {
        let kind = || -> std::io::Result<Option<AddressFamily>> {
            rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&socket, true)?;
            let listens = rustix::net::sockopt::socket_acceptconn(&socket)?;
            Ok(listens.then_some(rustix::net::sockopt::socket_domain(&socket)?))
        };
        let is_second = match kind().map_err(|error| error.to_string())? {
            Some(AddressFamily::INET | AddressFamily::INET6) => self.tcp.replace(socket.into()).is_some(),
            Some(AddressFamily::UNIX) => self.unix.replace(socket.into()).is_some(),
            _ => return Err("it does not listen on TCP, and is no Unix socket that listens".into()),
        };
        if is_second { Err("there are two of a kind".into()) } else { Ok(()) }
    }
}

/// A descriptor that was passed, from now on ours.
#[expect(unsafe_code, reason = "a descriptor that is only known by its number has no safe form")]
fn take(number: i32) -> OwnedFd {
    // SAFETY: it is open (looked up above), it was passed to this very process for this use (`LISTEN_PID`), nothing
    // else here knows it by its number, and it is taken once in a process (`TAKEN`).
    unsafe { OwnedFd::from_raw_fd(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Bus;
    use crate::clock::SystemClock;
    use crate::disk::EndlessDisk;
    use crate::domain::{Effect, State, Work};
    use crate::engine::{self, Options, Parts};
    use crate::interpreter::{Interpreter, StopCause};
    use crate::journal::MemoryJournal;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    /// Nothing is asked of it here.
    struct Idle;

    impl Interpreter for Idle {
        fn begin(&self, _: Effect, _: Work) {}
        fn stop(&self, _: &Effect, _: StopCause) {}
    }

    #[tokio::test]
    async fn an_engine_that_hangs_gives_no_sign_of_life() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let theirs = tokio::net::UnixDatagram::from_std(theirs).unwrap();
        let patience = Duration::from_millis(200);
        let supervisor = Supervisor { socket: Some(ours), watchdog: Some(patience) };
        let journal = Arc::new(MemoryJournal::new());
        let (_reports, reports) = mpsc::channel(1);
        let parts = Parts {
            journal: journal.clone(),
            bus: Bus::new(journal),
            clock: Arc::new(SystemClock::new()),
            disk: Arc::new(EndlessDisk),
            interpreter: Arc::new(Idle),
            reports,
        };
        let options = Options { jobs: 1, release: "0.0.0".into(), runner: None };
        // Its loop is there, and does not go round.
        let (engine, hanging) = engine::start(State::default(), parts, options);
        let alive = supervisor.keep_alive(engine);
        tokio::pin!(alive);
        let mut words = [0; 64];
        let heard = async {
            tokio::select! {
                () = &mut alive => unreachable!("it never resolves"),
                heard = theirs.recv(&mut words) => heard.unwrap(),
            }
        };
        assert!(tokio::time::timeout(5 * patience, heard).await.is_err(), "it would have been ended");
        tokio::spawn(hanging);
        let count = tokio::select! {
            () = &mut alive => unreachable!("it never resolves"),
            heard = theirs.recv(&mut words) => heard.unwrap(),
        };
        assert_eq!(&words[..count], b"WATCHDOG=1");
    }
}
