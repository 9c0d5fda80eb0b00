//! Cargo as a child: its output through the sieve, its end and signals passed on. Stdout and stderr are one pipe, so that
//! what was written in an order stays in it.

use super::build::Build;
use super::deny::Deny;
use super::fmt::Fmt;
use super::remarks::Remarks;
use super::sieve::{Listener, Sieve};
use super::{Kind, Verdict, arguments};
use crate::domain::Classification;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Bytes of one read.
const PIECE: usize = 64 * 1024;
/// What is taken after cargo's end of what it left in the pipe, in pieces.
const LAST_PIECES: usize = 16;
/// The exit status by which shells say that a program is not there.
const NOT_FOUND: i32 = 127;
/// Shells add the number of the signal that ended a program to this.
const SIGNALED: i32 = 128;

/// Runs cargo in the current folder and gives the exit status that is to be passed on. `root` is the gate's workspace.
/// Annotations and the verdict go to `$TIDEGATE_EVENTS`. The error is of what hindered this program itself.
pub fn run(kind: Kind, root: &Path, args: &[OsString]) -> io::Result<i32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(carry_out(kind, root, args))
}

async fn carry_out(kind: Kind, root: &Path, args: &[OsString]) -> io::Result<i32> {
    let events = std::env::var_os("TIDEGATE_EVENTS");
    let events = events.map(|path| File::options().append(true).open(path)).transpose()?;
    let remarks = Remarks::new(root, &std::env::current_dir()?);
    let mut work = Work { ear: Ear::new(kind, remarks), sieve: Sieve::default(), events };
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new("cargo");
    command.args(arguments::of(kind, args)).stdin(Stdio::null());
    command.stdout(writer.try_clone()?).stderr(writer);
    let spawned = command.spawn();
    // It holds the ends for writing: the pipe would never end.
    drop(command);
    let child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing = Some("cargo".to_owned());
            work.judge(&Verdict { missing, ..Verdict::of(Classification::MissingTool, None) });
            return Ok(NOT_FOUND);
        }
        Err(error) => return Err(error),
    };
    let status = attend(child, &Receiver::from_owned_fd(OwnedFd::from(reader))?, &mut work).await?;
    work.finish(status);
    Ok(status.code().unwrap_or_else(|| SIGNALED + status.signal().unwrap_or(0)))
}

/// Takes output and signals until the child has ended.
async fn attend(mut child: Child, pipe: &Receiver, work: &mut Work) -> io::Result<ExitStatus> {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let pass_on = |signal: Signal| {
        // Whoever signals the whole group has told the child already; it may be gone.
        let _ = pid.map(|pid| kill_process(pid, signal));
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut is_open = true;
    let status = loop {
        tokio::select! {
            ready = pipe.readable(), if is_open => {
                ready?;
                is_open = work.take(pipe);
            }
            status = child.wait() => break status?,
            Some(()) = terminate.recv() => pass_on(Signal::TERM),
            Some(()) = interrupt.recv() => pass_on(Signal::INT),
            Some(()) = hang_up.recv() => pass_on(Signal::HUP),
        }
    };
    if is_open {
        work.take_rest(pipe);
    }
    Ok(status)
}

/// What is done with output.
struct Work {
    ear: Ear,
    sieve: Sieve,
    events: Option<File>,
}

/// Who listens to a kind of tool.
enum Ear {
    Build(Box<Build>),
    Fmt(Fmt),
    Deny(Deny),
}

impl Ear {
    fn new(kind: Kind, remarks: Remarks) -> Ear {
        match kind {
            Kind::Test | Kind::Clippy => Ear::Build(Box::new(Build::new(kind, remarks))),
            Kind::Fmt => Ear::Fmt(Fmt::new(remarks)),
            Kind::Deny => Ear::Deny(Deny::new(remarks)),
        }
    }

    fn listener(&mut self) -> &mut dyn Listener {
        match self {
            Ear::Build(build) => &mut **build,
            Ear::Fmt(fmt) => fmt,
            Ear::Deny(deny) => deny,
        }
    }

    fn remarks(&mut self) -> &mut Remarks {
        match self {
            Ear::Build(build) => &mut build.remarks,
            Ear::Fmt(fmt) => &mut fmt.remarks,
            Ear::Deny(deny) => &mut deny.remarks,
        }
    }

    fn verdict(&mut self) -> Verdict {
        match self {
            Ear::Build(build) => build.verdict(),
            Ear::Fmt(fmt) => fmt.verdict(),
            Ear::Deny(deny) => deny.verdict(),
        }
    }
}

impl Work {
    /// Takes what is in the pipe. False: it is closed.
    fn take(&mut self, pipe: &Receiver) -> bool {
        let mut piece = vec![0; PIECE];
        match pipe.try_read(&mut piece) {
            Ok(0) => return false,
            Ok(count) => self.feed(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        true
    }

    /// Takes what the child left in the pipe, whether or not the runtime has noticed it yet. Something else may hold the
    /// pipe and go on writing, so there is an end to it.
    fn take_rest(&mut self, pipe: &Receiver) {
        let mut piece = vec![0; PIECE];
        for _ in 0..LAST_PIECES {
            match rustix::io::read(pipe, &mut piece[..]) {
                Ok(0) | Err(_) => return,
                Ok(count) => self.feed(&piece[..count]),
            }
        }
    }

    fn feed(&mut self, piece: &[u8]) {
        let out = self.sieve.feed(piece, self.ear.listener());
        self.pass(&out);
    }

    fn pass(&mut self, out: &[u8]) {
        // Nobody reads any more: then nobody misses it.
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(out).and_then(|()| stdout.flush());
        for line in self.ear.remarks().take() {
            self.say(&line);
        }
    }

    fn finish(&mut self, status: ExitStatus) {
        let out = self.sieve.finish(self.ear.listener());
        self.pass(&out);
        let verdict = match (status.success(), status.signal()) {
            (true, _) => None,
            (false, None) => Some(self.ear.verdict()),
            (false, signal) => Some(Verdict { signal, ..Verdict::of(Classification::Killed, None) }),
        };
        self.ear.remarks().close();
        self.pass(&[]);
        if let Some(verdict) = verdict {
            self.judge(&verdict);
        }
    }

    fn judge(&mut self, verdict: &Verdict) {
        self.say(&verdict.to_line());
    }

    fn say(&mut self, line: &str) {
        if let Some(events) = &mut self.events {
            // In one piece: others may append too. The log says it anyway.
            let _ = events.write_all(format!("{line}\n").as_bytes());
        }
    }
}
