//! Short commands whose whole output is wanted in memory: versions, health checks, tools. For steps there is
//! [`super::Runner`].
//!
//! The output comes through `tokio-process-stream`: two pipes, taken as they come. Its stream ends only when both pipes
//! are closed, so the process's own end is watched beside it; it leaves stdin, groups and dropping to its user, so
//! these are set here.

use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::fmt;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;
use tokio::process::Command;
use tokio_process_stream::{Item, ProcessChunkStream};
use tokio_stream::Stream;
use tokio_util::bytes::Bytes;

/// How long output may still come after the process has ended, from something that holds its pipes.
const LINGER: Duration = Duration::from_millis(50);

/// A command to run.
pub struct Tool {
    /// Program and arguments, never empty. A program without `/` is looked up in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory.
    pub dir: PathBuf,
    /// After that the command is killed with its group.
    pub timeout: Duration,
    /// Bytes kept of each of stdout and stderr; the rest is read and thrown away.
    pub output_limit: usize,
}

/// What a command said.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its stdout, up to the limit.
    pub stdout: Vec<u8>,
    /// Its stderr, up to the limit.
    pub stderr: Vec<u8>,
    /// One of them was longer.
    pub truncated: bool,
}

/// Why there is no output.
#[derive(Clone, Debug)]
pub enum Error {
    /// The process could not be started. The message reads after "failed to".
    NotStarted {
        /// For people.
        message: String,
        /// The program is not there.
        missing_program: bool,
    },
    /// It did not end in time, and was killed.
    Timeout(Duration),
    /// Its status could not be had.
    Wait(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { message, .. } => f.write_str(message),
            Self::Timeout(limit) => write!(f, "end within {limit:?}"),
            Self::Wait(message) => write!(f, "learn how the command ended: {message}"),
        }
    }
}

impl std::error::Error for Error {}

/// Runs a command to its end. When it takes too long, or the future is dropped, its group is killed; what a command that
/// ended by itself leaves behind is not looked for.
pub async fn run(tool: Tool) -> Result<Output, Error> {
    let mut running = start(&tool)?;
    let mut kept = Kept { limit: tool.output_limit, ..Kept::default() };
    let status = tokio::time::timeout(tool.timeout, collect(&mut running.0, &mut kept)).await;
    let status = status.map_err(|_| Error::Timeout(tool.timeout))??;
    if !kept.is_closed {
        // Something may hold the pipes: a moment for what is on its way, no more.
        let _ = tokio::time::timeout(LINGER, take_until_closed(&mut running.0, &mut kept)).await;
    }
    Ok(Output { status, stdout: kept.stdout, stderr: kept.stderr, truncated: kept.truncated })
}

/// A command and its output. Dropped before the command's end it kills the group, whose id is its own till then.
struct Running(ProcessChunkStream);

impl Drop for Running {
    fn drop(&mut self) {
        let unreaped = self.0.child().and_then(tokio::process::Child::id);
        if let Some(group) = unreaped.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn start(tool: &Tool) -> Result<Running, Error> {
    let Some((name, arguments)) = tool.argv.split_first() else {
        let message = "start a command without words".to_owned();
        return Err(Error::NotStarted { message, missing_program: false });
    };
    let program = super::spawn::find(name, &tool.env, &tool.dir).map_err(not_started)?;
    let child = Command::new(&program)
        .arg0(name)
        .args(arguments)
        .env_clear()
        .envs(tool.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&tool.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::NotStarted {
            message: format!("start `{}`: {error}", program.display()),
            missing_program: error.kind() == std::io::ErrorKind::NotFound && tool.dir.is_dir(),
        })?;
    Ok(Running(ProcessChunkStream::from(child)))
}

fn not_started(how: super::How) -> Error {
    match how {
        super::How::NotStarted { message, missing_program, .. } => {
            Error::NotStarted { message, missing_program }
        }
        other => Error::Wait(format!("{other:?}")),
    }
}

#[derive(Default)]
struct Kept {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    limit: usize,
    truncated: bool,
    is_closed: bool,
}

impl Kept {
    fn take(&mut self, item: Item<Bytes>) -> Option<std::io::Result<ExitStatus>> {
        let (kept, bytes) = match item {
            Item::Stdout(bytes) => (&mut self.stdout, bytes),
            Item::Stderr(bytes) => (&mut self.stderr, bytes),
            Item::Done(status) => {
                self.is_closed = true;
                return Some(status);
            }
        };
        let room = self.limit - kept.len();
        self.truncated |= bytes.len() > room;
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        None
    }
}

/// Takes output until the process has ended, whoever still holds its pipes.
async fn collect(stream: &mut ProcessChunkStream, kept: &mut Kept) -> Result<ExitStatus, Error> {
    let status = poll_fn(|context| {
        loop {
            match Pin::new(&mut *stream).poll_next(context) {
                Poll::Ready(Some(item)) => {
                    if let Some(status) = kept.take(item) {
                        return Poll::Ready(status);
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into())),
                Poll::Pending => break,
            }
        }
        let Some(child) = stream.child_mut() else { return Poll::Pending };
        pin!(child.wait()).poll(context)
    });
    status.await.map_err(|error| Error::Wait(error.to_string()))
}

async fn take_until_closed(stream: &mut ProcessChunkStream, kept: &mut Kept) {
    poll_fn(|context| {
        loop {
            match Pin::new(&mut *stream).poll_next(context) {
                Poll::Ready(Some(item)) => {
                    if kept.take(item).is_some() {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(text: &str) -> Tool {
        Tool {
            argv: ["sh", "-c", text].map(Into::into).to_vec(),
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            dir: "/".into(),
            timeout: Duration::from_secs(60),
            output_limit: 100_000,
        }
    }

    #[tokio::test]
    async fn both_outputs_and_the_status_come_back() {
        let output = run(sh("echo out; cat; printf '\\377' >&2; exit 3")).await.unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"\xff"[..]));
        assert_eq!((output.status.code(), output.truncated), (Some(3), false));
    }

    #[tokio::test]
    async fn long_output_is_cut_and_does_not_hold_the_command() {
        let output = run(sh("head -c 1000000 /dev/zero")).await.unwrap();
        assert_eq!((output.stdout.len(), output.truncated, output.status.success()), (100_000, true, true));
    }

    #[tokio::test]
    async fn something_that_holds_the_pipes_does_not_hold_the_answer() {
        let output = run(sh("sleep 1000 & echo $!")).await.unwrap();
        let left: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(left).unwrap(), Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_killed_with_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let text = "sleep 1000 & echo $! > child; wait";
        let tool = Tool { timeout: Duration::from_millis(300), dir: dir.path().into(), ..sh(text) };
        assert!(matches!(run(tool).await, Err(Error::Timeout(_))));
        let child: i32 = std::fs::read_to_string(dir.path().join("child")).unwrap().trim().parse().unwrap();
        let begin = std::time::Instant::now();
        while crate::runner::kin::look_at(Pid::from_raw(child).unwrap()).is_some_and(|child| !child.dead) {
            assert!(begin.elapsed() < Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_missing_tool_is_named() {
        let tool = Tool { argv: vec!["no-such-tool".into()], ..sh("") };
        let Err(Error::NotStarted { message, missing_program: true }) = run(tool).await else { panic!() };
        assert!(message.contains("`no-such-tool`"), "{message}");
    }
}
