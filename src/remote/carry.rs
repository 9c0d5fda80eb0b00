//! The process of a command that runs on a node: a hidden subcommand, run like any step, between the runner and ssh. It
//! hands the command over, passes its output and events on, and ends with its exit status. A signal to end closes the
//! node's input, and the node's side ends the command; what it writes meanwhile is still passed on.

use super::BEAT;
use super::marks::{self, Marks, Piece};
use super::mux::{self, NotOpened, Session};
use super::payload::{LINE, Payload};
use super::talk::{MOST_PRINTED, keep_last};
use super::trouble::{Kind, Trouble};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::block_in_place;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Name of the hidden subcommand that is the process.
pub const SUBCOMMAND: &str = "remote-step";
/// Variables that the payload comes in, each followed by a number from 0: the system bounds one string, not all.
const VARIABLE: &str = "TIDEGATE_PAYLOAD_";
/// Bytes of one of them.
const CHUNK: usize = 100_000;
/// The exit status when the command's own is not known.
const UNKNOWN: i32 = 255;
/// Bytes of events that are passed on: no more of them would be read.
const MOST_EVENTS: usize = 16 * 1024 * 1024 + 64 * 1024;
/// A node that says nothing at the beginning for so long will not.
const IDLE: Duration = Duration::from_secs(300);
/// How long the last events of a command that has ended are waited for.
const LAST_EVENTS: Duration = Duration::from_secs(10);
/// How long ssh's last words are waited for.
const LINGER: Duration = Duration::from_secs(2);

/// What is to be done on a node.
pub struct Errand {
    /// The node's name for ssh.
    pub host: String,
    /// Where it is told what went wrong, if the command's exit status is not known.
    pub result: PathBuf,
    /// A file that the command's stdout goes to, alone; only its stderr is shown.
    pub output: Option<PathBuf>,
    /// The socket of the connection that it goes through.
    pub socket: PathBuf,
    /// ssh and its arguments, should nobody answer there.
    pub ssh: Vec<OsString>,
}

/// The script that runs a command on a node.
pub struct RemoteCommand<'a> {
    /// Program and arguments.
    pub argv: &'a [OsString],
    /// Over what the login has.
    pub env: &'a [(OsString, OsString)],
    /// What the node calls itself, as [`super::Link::name`] has it.
    pub machine: &'a OsStr,
    /// Whose turn it is there, as [`super::Link::turn`] has it.
    pub turn: &'a str,
    /// Below the home folder.
    pub folder: &'a OsString,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Without a sign of life for so long it is ended.
    pub expiry: Duration,
    /// Whether its stdout is wanted alone.
    pub apart: bool,
}

impl RemoteCommand<'_> {
    /// As environment variables for the hidden subcommand; and names that cannot be variables on a node.
    pub fn to_variables(&self) -> (Vec<(OsString, OsString)>, Vec<OsString>) {
        let (payload, left_out) = Payload::new()
            .set("grace", super::link::seconds(self.grace))
            .set("expiry", super::link::seconds(self.expiry))
            .set("folder", self.folder)
            .set("name", self.machine)
            .set("turn", self.turn)
            .set("apart", if self.apart { "yes" } else { "" })
            .environment(self.env.iter().map(|(name, value)| (name, value)));
        let line = payload.arguments(self.argv).script(include_str!("step.sh")).into_line();
        let variable = |(at, chunk): (usize, &[u8])| {
            (OsString::from(format!("{VARIABLE}{at}")), OsString::from_vec(chunk.to_vec()))
        };
        (line.chunks(CHUNK).enumerate().map(variable).collect(), left_out)
    }
}

impl Errand {
    /// Words of the hidden subcommand, after its name.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> =
            vec!["--host".into(), self.host.clone().into(), "--result".into(), self.result.clone().into()];
        words.extend(["--socket".into(), self.socket.clone().into()]);
        if let Some(output) = &self.output {
            words.extend(["--output".into(), output.into()]);
        }
        words.push("--".into());
        words.extend(self.ssh.iter().cloned());
        words
    }

    /// Runs it and gives the exit status that is to be passed on. The error is of what hindered this program itself.
    pub fn run(&self) -> io::Result<i32> {
        // Signs of life go out on a thread of their own: whoever reads our output may be slow, or stand still.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        match runtime.block_on(self.carry_out())? {
            Ok(status) => Ok(status),
            Err(trouble) => {
                let text = serde_json::to_vec(&trouble).expect("BUG: trouble is JSON");
                options().create_new(true).open(&self.result)?.write_all(&text)?;
                Ok(UNKNOWN)
            }
        }
    }

    async fn carry_out(&self) -> io::Result<Result<i32, Trouble>> {
        let mark = marks::random();
        let output: Box<dyn io::Write> = match &self.output {
            Some(path) => {
                Box::new(Reserved::new(options().create(true).truncate(true).open(path)?, free_and_all))
            }
            None => Box::new(io::stdout()),
        };
        let stop = CancellationToken::new();
        let ending = tokio::spawn(wait_for_signal(stop.clone())?);
        let opened = tokio::select! {
            opened = self.open() => opened?,
            // Nothing has begun there.
            () = stop.cancelled() => return Ok(Ok(UNKNOWN)),
        };
        let Opened { stdin, stdout, stderr, mut way } = match opened {
            Ok(opened) => opened,
            Err(trouble) => return Ok(Err(trouble)),
        };
        // What the command itself knows must not be the mark; and no other command has ever had it.
        let token = marks::random();
        let line = [format!("unset mark token;mark={mark};token={token};").into_bytes(), payload()].concat();
        let feeding = tokio::spawn(feed(stdin, line, stop.clone()));
        let mut listening = tokio::spawn(listen(stderr, Marks::new(&mark), self.output.is_some()));
        let mut hearing =
            Hearing { marks: Marks::new(&mark), output, started: false, printed: 0, kept: Vec::new() };
        let heard = hearing.hear(stdout).await;
        // The node's side waits for the end of its input once it has told all events.
        let patience = if matches!(heard, Ok(Some(End::Status(_)))) { LAST_EVENTS } else { LINGER };
        let first = timeout(patience, &mut listening);
        let ssh_said = tokio::select! {
            ssh_said = first => ssh_said.ok(),
            () = stop.cancelled() => timeout(LINGER, &mut listening).await.ok(),
        };
        stop.cancel();
        let ssh_said = ssh_said.and_then(Result::ok).unwrap_or_default();
        let _ = feeding.await;
        ending.abort();
        let result = match heard? {
            Some(End::Status(status)) => Ok(status),
            Some(End::No(what)) => Err(no(&self.host, &what)),
            Some(End::PrintsOn) => Err(Trouble::prints_on(&self.host)),
            Some(End::Silent) => Err(silent(&self.host)),
            None => {
                let (status, last_word) = way.ended().await;
                let ssh_said = if ssh_said.trim().is_empty() { last_word.to_owned() } else { ssh_said };
                let printed = String::from_utf8_lossy(&hearing.kept);
                Err(if hearing.started {
                    Trouble::lost(&self.host, &ssh_said)
                } else {
                    Trouble::before_start(&self.host, status, &ssh_said, &printed)
                })
            }
        };
        Ok(result)
    }
}

/// A session on the node.
struct Opened {
    stdin: Box<dyn AsyncWrite + Send + Unpin>,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Box<dyn AsyncRead + Send + Unpin>,
    way: Way,
}

/// What keeps a session up.
enum Way {
    /// The master, asked by ourselves: that saves a process of ssh.
    Master(Session),
    /// A process of ssh.
    Ssh(Child),
}

impl Way {
    /// How it ended, once its output has; and what there is to say where ssh says nothing.
    async fn ended(&mut self) -> (Option<ExitStatus>, &'static str) {
        match self {
            Way::Master(session) => {
                let status = timeout(LINGER, session.ended()).await.ok().flatten();
                let status = status.and_then(|status| i32::try_from(status).ok());
                (status.map(|status| ExitStatus::from_raw((status & 0xff) << 8)), "the connection has ended")
            }
            Way::Ssh(child) => (timeout(LINGER, child.wait()).await.ok().and_then(Result::ok), ""),
        }
    }
}

impl Errand {
    async fn open(&self) -> io::Result<Result<Opened, Trouble>> {
        let ((their_stdin, stdin), (stdout, their_stdout), (stderr, their_stderr)) =
            (io::pipe()?, io::pipe()?, io::pipe()?);
        let files = [their_stdin.into(), their_stdout.into(), their_stderr.into()];
        let opening = mux::open(&self.socket, LINE, environment(), files);
        let Ok(opened) = timeout(IDLE, opening).await else { return Ok(Err(silent(&self.host))) };
        match opened {
            Ok(session) => Ok(Ok(Opened {
                stdin: Box::new(pipe::Sender::from_owned_fd(stdin.into())?),
                stdout: Box::new(pipe::Receiver::from_owned_fd(stdout.into())?),
                stderr: Box::new(pipe::Receiver::from_owned_fd(stderr.into())?),
                way: Way::Master(session),
            })),
            Err(NotOpened::Refused(why)) => Ok(Err(Trouble::before_start(&self.host, None, &why, ""))),
            // Its own client may know better, or say better why not.
            Err(NotOpened::NoMaster) => self.spawn(),
        }
    }

    fn spawn(&self) -> io::Result<Result<Opened, Trouble>> {
        let (program, arguments) =
            self.ssh.split_first().ok_or_else(|| io::Error::other("there is no ssh to run"))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A signal to our group is for us: ssh must live on until the node's side has ended.
        command.process_group(0).kill_on_drop(true).env_clear().envs(environment());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(Err(Trouble::no_client(&program.to_string_lossy(), &error))),
        };
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            unreachable!("BUG: all three are pipes")
        };
        let (stdin, stdout, stderr) = (Box::new(stdin), Box::new(stdout), Box::new(stderr));
        Ok(Ok(Opened { stdin, stdout, stderr, way: Way::Ssh(child) }))
    }
}

/// What ssh gets: our own environment, without the payload.
fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| !name.as_bytes().starts_with(VARIABLE.as_bytes()))
}

/// What was written into a result file. It is gone then.
pub fn take_result(path: &Path) -> Option<Trouble> {
    let text = fs::read(path).ok()?;
    let _ = fs::remove_file(path);
    serde_json::from_slice(&text).ok()
}

fn no(host: &str, what: &str) -> Trouble {
    match what {
        "turn" => Trouble::turn(host),
        "folder" => {
            let message =
                format!("the folder `dir` is not there in the home folder of the account on `{host}`");
            Trouble::new(Kind::Failed, message)
        }
        "guard" => {
            let message = format!("a guard made `{host}` go back before the command could begin");
            Trouble::new(Kind::Failed, message)
        }
        other => Trouble::unfit(host, other),
    }
}

fn silent(host: &str) -> Trouble {
    let message = format!("`{host}` said nothing for {} s", IDLE.as_secs());
    Trouble::new(Kind::Unreachable, message)
}

fn options() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options
}

fn payload() -> Vec<u8> {
    let parts = (0..).map_while(|at| std::env::var_os(format!("{VARIABLE}{at}")));
    parts.flat_map(OsString::into_vec).collect()
}

/// Gives ssh its input: the script, then a line now and then until it is time to stop.
async fn feed(mut stdin: Box<dyn AsyncWrite + Send + Unpin>, line: Vec<u8>, stop: CancellationToken) {
    let feeding = async {
        stdin.write_all(&line).await?;
        loop {
            tokio::time::sleep(BEAT).await;
            stdin.write_all(b"\n").await?;
        }
        #[expect(unreachable_code, reason = "names the type of the error")]
        io::Result::Ok(())
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = feeding => stop.cancelled().await,
    }
}

fn wait_for_signal(stop: CancellationToken) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
        stop.cancel();
    })
}

/// How the command ended, as far as the node says.
enum End {
    Status(i32),
    No(String),
    PrintsOn,
    Silent,
}

/// A file that a node fills, and that leaves some of the disk to others.
struct Reserved {
    file: File,
    /// What is free on its disk, and all that it has, in bytes.
    free_and_all: fn(&File) -> Option<(u64, u64)>,
    unlooked: u64,
}

/// What stays free, in bytes, or the twentieth part of a small disk.
const RESERVE: u64 = 256 * 1024 * 1024;
/// Bytes between two looks.
const LOOK: u64 = 8 * 1024 * 1024;

impl Reserved {
    fn new(file: File, free_and_all: fn(&File) -> Option<(u64, u64)>) -> Reserved {
        Reserved { file, free_and_all, unlooked: 0 }
    }
}

impl io::Write for Reserved {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unlooked >= LOOK {
            self.unlooked = 0;
            if let Some((free, all)) = (self.free_and_all)(&self.file)
                && free < RESERVE.min(all / 20)
            {
                let why = "No space left on device: what is still free there is left to the controller";
                return Err(io::Error::new(io::ErrorKind::StorageFull, why));
            }
        }
        let count = self.file.write(bytes)?;
        self.unlooked += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn free_and_all(file: &File) -> Option<(u64, u64)> {
    let disk = rustix::fs::fstatvfs(file).ok()?;
    Some((disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
}

struct Hearing {
    marks: Marks,
    output: Box<dyn io::Write>,
    started: bool,
    printed: usize,
    /// What a login printed last.
    kept: Vec<u8>,
}

impl Hearing {
    /// Passes output on. Where nobody reads it any more, the controller has been killed: the command goes on all the same.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.output.write_all(bytes).and_then(|()| self.output.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.output = Box::new(io::sink());
                Ok(())
            }
            passed => passed,
        }
    }

    /// Passes output on until the command has ended. None: ssh ended first.
    async fn hear(&mut self, mut stdout: impl AsyncRead + Unpin) -> io::Result<Option<End>> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            let patience = if self.started { Duration::MAX } else { IDLE };
            let Ok(read) = timeout(patience, stdout.read(&mut piece)).await else {
                return Ok(Some(End::Silent));
            };
            let count = match read {
                Ok(0) | Err(_) => {
                    // What looked like the beginning of a line of ours was none.
                    let rest = self.marks.finish();
                    self.pass(if self.started { &rest } else { &[] })?;
                    return Ok(None);
                }
                Ok(count) => count,
            };
            for piece in self.marks.feed(&piece[..count]) {
                match piece {
                    Piece::Other(bytes) if self.started => self.pass(&bytes)?,
                    Piece::Other(bytes) => {
                        self.printed += bytes.len();
                        keep_last(&mut self.kept, &bytes);
                        if self.printed > MOST_PRINTED {
                            return Ok(Some(End::PrintsOn));
                        }
                    }
                    Piece::Said(said) => match said.split_once(' ').unwrap_or((&said, "")) {
                        ("start", _) => self.started = true,
                        ("end", status) => {
                            return Ok(Some(End::Status(status.parse().unwrap_or(UNKNOWN))));
                        }
                        (_, what) => return Ok(Some(End::No(what.to_owned()))),
                    },
                }
            }
        }
    }
}

/// Passes events on until there are no more, and gives what else ssh said. `shows`: that is the command's own stderr.
async fn listen(stderr: impl AsyncRead + Unpin, marks: Marks, shows: bool) -> String {
    let events = std::env::var_os("TIDEGATE_EVENTS");
    let events = events.and_then(|path| File::options().append(true).open(path).ok());
    pass_events(stderr, marks, shows, events).await
}

async fn pass_events(
    mut stderr: impl AsyncRead + Unpin,
    mut marks: Marks,
    shows: bool,
    mut events: Option<File>,
) -> String {
    let mut bytes_left = MOST_EVENTS;
    let (mut kept, mut piece) = (Vec::new(), vec![0; 16 * 1024]);
    'all: while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        for piece in marks.feed(&piece[..count]) {
            match piece {
                Piece::Other(bytes) => {
                    if shows {
                        let _ = block_in_place(|| io::stderr().write_all(&bytes));
                    }
                    keep_last(&mut kept, &bytes);
                }
                Piece::Said(said) => match said.strip_prefix("event ") {
                    Some(line) => {
                        let line = format!("{line}\n");
                        bytes_left = bytes_left.saturating_sub(line.len());
                        if let Some(events) = events.as_mut().filter(|_| bytes_left > 0) {
                            // In one piece, as every step should.
                            let _ = events.write_all(line.as_bytes());
                        }
                    }
                    None => break 'all,
                },
            }
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_node_fills_leaves_some_of_the_disk_free() {
        let piece = vec![0; 1024 * 1024];
        let until_full = |free_and_all| {
            let mut file = Reserved::new(tempfile::tempfile().unwrap(), free_and_all);
            (0..20).find_map(|_| file.write_all(&piece).err())
        };
        let full = until_full(|_| Some((RESERVE - 1, u64::MAX))).unwrap();
        assert!(full.to_string().contains("No space left on device"), "{full}");
        assert!(until_full(|_| Some((RESERVE, u64::MAX))).is_none());
        // A small disk.
        assert!(until_full(|_| Some((5, 100))).is_none());
        assert!(until_full(|_| Some((4, 100))).is_some());
        assert!(until_full(|_| None).is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_events_are_passed_on_than_anybody_reads() {
        let line = format!("\u{1e}m event {}\n", "x".repeat(60_000));
        let endless = Lines { line: line.into_bytes(), at: 0, left: 400 };
        let events = tempfile::NamedTempFile::new().unwrap();
        let file = events.reopen().unwrap();
        pass_events(endless, Marks::new("m"), false, Some(file)).await;
        let size = events.as_file().metadata().unwrap().len();
        assert!((16 << 20..17 << 20).contains(&size), "{size}");
    }

    /// The same line again and again.
    struct Lines {
        line: Vec<u8>,
        at: usize,
        left: usize,
    }

    impl AsyncRead for Lines {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            into: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if self.at == self.line.len() {
                self.at = 0;
                self.left -= 1;
            }
            if self.left > 0 {
                let end = self.line.len().min(self.at + into.remaining());
                into.put_slice(&self.line[self.at..end]);
                self.at = end;
            }
            std::task::Poll::Ready(Ok(()))
        }
    }
}
