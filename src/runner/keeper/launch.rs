//! Finding the keeper of a state folder, or starting one.

use super::frame::{self, Ask, Kept, Tell};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::{Pid, Signal};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for one that ends.
const PAUSE: Duration = Duration::from_millis(5);

/// Name of the socket in the folder.
const SOCKET: &str = "socket";
/// Name of the file that tells the folder from every other.
const ID: &str = "id";
/// Name of the file with what a controller must know to be let in. A step with `sandbox` may reach the socket, which is no
/// file to be opened, and must not get processes from here that have none.
const KEY: &str = "key";
/// Name of the file whose lock is that of the keeper.
pub(super) const LOCK: &str = "lock";
/// Name of the folder of records.
const RUNS: &str = "runs";

/// What tells one run of this machine from another.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What a keeper says when it can be reached.
pub(super) const READY: &str = "ready\n";

/// Where a state folder has what its keeper has.
pub fn folder(state: &Path) -> PathBuf {
    state.join("runner")
}

pub(super) fn runs(folder: &Path) -> PathBuf {
    folder.join(RUNS)
}

/// There is no keeper, and none can be started. `Display` reads after "failed to".
#[derive(Clone, Debug)]
pub struct Unreached(String);

impl Unreached {
    /// The stable code.
    pub const CODE: &'static str = "TG-SERVE-008";

    pub(super) fn of(what: &str, error: impl fmt::Display) -> Unreached {
        Unreached(format!("{what}: {error}"))
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reach the process that runs steps: {}", self.0)
    }
}

/// A keeper that answers.
pub(super) struct Reached {
    pub(super) stream: UnixStream,
    pub(super) kept: Vec<Kept>,
}

/// Makes the folder, closed to others.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(runs(folder))
}

/// The text that tells a folder, as long as the machine runs, from every other: after the next start of the machine nothing
/// runs that is noted there, and what was noted last may not have come to the disk.
pub(super) fn id(folder: &Path) -> io::Result<String> {
    let boot = fs::read_to_string(BOOT)?;
    Ok(format!("{}.{}", made_once(&folder.join(ID), 16)?, boot.trim()))
}

/// The number of a folder, for what has room for a number only; never 0.
pub(super) fn house(folder: &Path) -> io::Result<u64> {
    let id = made_once(&folder.join(ID), 16)?;
    let number = id.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Ok(number.unwrap_or_default().max(1))
}

/// The same for this very folder: a copy of it, whose original may be at work, has another one.
pub(super) fn house_here(folder: &Path) -> io::Result<u64> {
    let there = fs::metadata(folder)?;
    Ok(house(folder)? ^ there.dev() ^ there.ino())
}

/// What a controller must know, made once.
pub(super) fn key(folder: &Path) -> io::Result<String> {
    made_once(&folder.join(KEY), 32)
}

/// Random bytes as hex digits that a file holds, which only its owner can read.
fn made_once(path: &Path, bytes: usize) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if text.len() == 2 * bytes => return Ok(text),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut drawn = vec![0_u8; bytes];
    getrandom::fill(&mut drawn).map_err(io::Error::other)?;
    let text: String = drawn.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(text)
}

/// Whether runs are noted whose end nobody has taken over.
pub(super) fn has_records(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(runs(folder))?.next().is_some())
}

/// The keeper that there is, if it is of this release or has something to do.
pub(super) fn find(folder: &Path) -> Option<Reached> {
    let (reached, release) = greet(folder, connect(folder).ok()?).ok()?;
    if release == frame::release() || !reached.kept.is_empty() {
        return Some(reached);
    }
    retire(folder, reached);
    None
}

/// The keeper that there is, or a new one. One of another release that has nothing to do is replaced.
pub(super) fn reach(folder: &Path, launch: &Launch) -> Result<Reached, Unreached> {
    if let Some(reached) = find(folder) {
        return Ok(reached);
    }
    start(folder, launch)?;
    let stream = connect(folder).map_err(|error| Unreached::of("connect to it", error))?;
    greet(folder, stream).map(|(reached, _)| reached)
}

/// How this program is started as a keeper.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<std::ffi::OsString>,
}

fn start(folder: &Path, launch: &Launch) -> Result<(), Unreached> {
    let mut command = Command::new(&launch.program);
    command.arg0("tidegate").args(&launch.arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Unreached::of("start it", error))?;
    let mut said = String::new();
    let stdout = child.stdout.take().expect("BUG: it is piped");
    // It closes it once it can be reached, or ends.
    let read = stdout.take(4096).read_to_string(&mut said);
    if read.is_ok() && said.ends_with(READY) {
        // It lives on, longer than we do or not: then it must not stay as a zombie.
        let waiting = std::thread::Builder::new().name("runner's end".into()).stack_size(64 << 10);
        return waiting
            .spawn(move || child.wait())
            .map(drop)
            .map_err(|error| Unreached::of("watch it", error));
    }
    let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let place = folder.display();
    Err(Unreached::of(
        "start it",
        format!("it ended at once ({status}) and said `{}` ({place})", said.trim()),
    ))
}

fn greet(folder: &Path, mut stream: UnixStream) -> Result<(Reached, String), Unreached> {
    let refused = |error: io::Error| Unreached::of("be let in", error);
    stream.set_read_timeout(Some(PATIENCE)).map_err(refused)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(refused)?;
    let key = key(folder).map_err(refused)?;
    let hello = Ask::Hello { protocol: frame::PROTOCOL, release: frame::release().into(), key };
    frame::write(&mut stream, &hello, b"").map_err(refused)?;
    let answer = frame::read::<Tell>(&mut stream).map_err(refused)?;
    stream.set_read_timeout(None).map_err(refused)?;
    match answer {
        Some((Tell::Welcome { release, kept, .. }, _)) => Ok((Reached { stream, kept }, release)),
        _ => Err(Unreached::of("be let in", "it hung up")),
    }
}

/// The process that keeps a state folder's runs, or kept them last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// There has been none.
    None,
    /// This one.
    Is(i32),
    /// It cannot be read, or is being written.
    Unknown,
}

/// Which that is.
pub fn keeper_of(state: &Path) -> Keeper {
    match fs::read_to_string(folder(state).join(LOCK)) {
        Ok(text) => text.trim().parse().map_or(Keeper::Unknown, Keeper::Is),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Keeper::None,
        Err(_) => Keeper::Unknown,
    }
}

/// Ends the keeper of a state folder, if there is one, and all that it keeps. Waits for a second at most.
pub fn end(state: &Path) {
    let folder = folder(state);
    let lock = folder.join(LOCK);
    let Ok(file) = fs::File::open(&lock) else { return };
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return;
    }
    // Whoever has the lock has written its number there.
    let pid = fs::read_to_string(&lock).ok().and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
    if let Some(pid) = pid {
        // Gone already is what is wanted.
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        wait_until_gone(&folder);
    }
}

/// Waits until there is no keeper, for a second at most: one that was told to end does so at once.
pub(super) fn wait_until_gone(folder: &Path) {
    let begin = Instant::now();
    let Ok(file) = fs::File::open(folder.join(LOCK)) else { return };
    while rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err()
        && begin.elapsed() < Duration::from_secs(1)
    {
        std::thread::sleep(PAUSE);
    }
}

/// Waits for its end, once it was asked to.
fn retire(folder: &Path, mut reached: Reached) {
    let _ = frame::write(&mut reached.stream, &Ask::Retire, b"");
    wait_until_gone(folder);
}

pub(super) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let held = hold(folder)?;
    match fs::remove_file(folder.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(short(&held))
}

fn connect(folder: &Path) -> io::Result<UnixStream> {
    let held = hold(folder)?;
    UnixStream::connect(short(&held))
}

fn hold(folder: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The path of the socket, which must be short, however long the folder's is.
fn short(folder: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()).into()
}
