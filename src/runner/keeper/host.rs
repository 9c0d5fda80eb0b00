//! The process that keeps runs: lets its controller in, and ends when nothing is left to do.

use super::frame::{self, Ask};
use super::launch::{self, LOCK, READY};
use super::wards::Wards;
use crate::runner::{Cgroups, kin};
use rustix::fs::FlockOperation;
use rustix::process::geteuid;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

/// How often is looked whether there is anything left to do.
const LOOK: Duration = Duration::from_secs(1);
/// How long the lock of another is waited for, and between two looks.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
/// How long the first controller is waited for.
const FIRST: Duration = Duration::from_secs(30);

/// Keeps the runs of a state folder until there are none. Errors are those of the beginning; nothing runs then.
pub fn run(state: &Path) -> io::Result<()> {
    // Whatever ends a terminal or a group of processes must not end this.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"tidegate-runner");
    let folder = launch::folder(state);
    launch::prepare(&folder)?;
    let _lock = lock(&folder)?;
    let key = launch::key(&folder)?;
    kin::mark_for(launch::house_here(&folder)?);
    let wards = Wards::read(&launch::runs(&folder))?;
    // Of those runs whoever was found was asked to end, and named. This takes the rest.
    Cgroups::of_this_process().end_abandoned(launch::house(&folder)?);
    let listener = launch::listen(&folder)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = UnixListener::from_std(listener)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // A limit of the size of files is an error of the write from here on, and not the end.
        let _ = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
        say_ready()?;
        let begin = Instant::now();
        let mut was_there = false;
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => was_there |= let_in(stream.into_std()?, &wards, &key),
                    // No descriptors, say: the next look tries again.
                    Err(_) => tokio::time::sleep(LOOK).await,
                },
                _ = terminate.recv() => wards.end_all(),
                _ = interrupt.recv() => {}
                _ = look.tick() => {
                    if !folder.exists() {
                        wards.end_all();
                    }
                    if wards.is_idle() && (was_there || begin.elapsed() > FIRST || !folder.exists()) {
                        return Ok(());
                    }
                }
            }
        }
    })
}

/// One at a time, whoever starts how many.
fn lock(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
    let begin = Instant::now();
    // One that was killed has it for a moment after its connections are gone.
    while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK || begin.elapsed() > PATIENCE {
            return Err(error.into());
        }
        std::thread::sleep(PAUSE);
    }
    // For people, and for `launch::end`.
    file.set_len(0)?;
    (&file).write_all(format!("{}\n", std::process::id()).as_bytes())?;
    Ok(file)
}

/// Tells whoever started this process, and lets go of its pipe.
fn say_ready() -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(READY.as_bytes())?;
    out.flush()?;
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// Serves a controller on a thread of its own, if it is one of ours.
fn let_in(stream: UnixStream, wards: &Wards, key: &str) -> bool {
    let is_ours = rustix::net::sockopt::socket_peercred(&stream).is_ok_and(|peer| peer.uid == geteuid());
    if !is_ours || stream.set_nonblocking(false).is_err() {
        return false;
    }
    // From here on somebody is there.
    let visit = Arc::new(());
    wards.expect(&visit);
    let (wards, key) = (wards.clone(), key.to_owned());
    let serve = move || {
        let _visit = visit;
        if let Err(error) = serve(stream, &wards, &key) {
            tracing::debug!(%error, "a controller is gone");
        }
    };
    std::thread::Builder::new().name("controller".into()).spawn(serve).is_ok()
}

fn serve(mut stream: UnixStream, wards: &Wards, key: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let Some((Ask::Hello { key: said, .. }, _)) = frame::read(&mut stream)? else { return Ok(()) };
    if !bool::from(said.as_bytes().ct_eq(key.as_bytes())) {
        return Ok(());
    }
    stream.set_read_timeout(None)?;
    let number = wards.let_in(&stream, frame::release())?;
    let served = loop {
        match frame::read(&mut stream) {
            Ok(Some((ask, _))) => {
                if wards.take(ask) {
                    std::process::exit(0);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    wards.let_out(number);
    served
}
