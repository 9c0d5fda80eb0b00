//! One run of git: input in, bounded output out, a time limit, and no process left when the asker goes away.
//!
//! Output is read here and not by tokio-process-stream: that ends only when both pipes are closed, and an ssh that stays
//! behind for later connections (`ControlPersist`) keeps stderr open for minutes.

use super::error::Error;
use super::git::Git;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Standard limit on what git may write, in bytes.
const LIMIT: usize = 8 << 20;
/// What is kept of stderr, in bytes.
const STDERR_LIMIT: usize = 16 << 10;

/// A question to git, being put together.
pub(super) struct Call {
    command: Command,
    what: String,
    input: Option<Vec<u8>>,
    held: Option<File>,
    limit: usize,
    time: Duration,
    location: String,
}

/// What git answered. The exit status may be a failure.
pub(super) struct Answer {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) status: ExitStatus,
    /// More was written than the limit; the rest is lost and git was ended.
    pub(super) truncated: bool,
}

impl Git {
    /// A git subcommand in the repository at `git_dir`. `location` is what errors name.
    pub(super) fn call(&self, what: &str, git_dir: &Path, location: &str) -> Call {
        let mut call = Call::new(self.command(), what, location, self.local_limit);
        call.command.env("GIT_DIR", git_dir);
        call
    }

    /// A git subcommand outside any repository, with a limit on time that suits a network.
    pub(super) fn remote_call(&self, what: &str, location: &str) -> Call {
        let mut call = Call::new(self.command(), what, location, self.transfer_limit);
        // Without this git would look for a repository around the folder that tidegate was started in.
        call.command.env("GIT_DIR", "/dev/null");
        call
    }

    /// A git subcommand that sees the user's settings as they are.
    pub(super) fn plain_call(&self, what: &str, git_dir: &Path, location: &str) -> Call {
        let mut call = Call::new(self.bare_command(), what, location, self.local_limit);
        call.command.env("GIT_DIR", git_dir);
        call
    }
}

impl Call {
    fn new(mut command: Command, what: &str, location: &str, time: Duration) -> Self {
        command.arg(what);
        Self {
            command,
            what: what.to_owned(),
            input: None,
            held: None,
            limit: LIMIT,
            time,
            location: location.to_owned(),
        }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(super) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = Some(input);
        self
    }

    /// Gives the process a file to hold as its stdin, so that a lock on it lives as long as the process.
    pub(super) fn holding(mut self, file: File) -> Self {
        self.held = Some(file);
        self
    }

    pub(super) fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    pub(super) fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Runs it; an exit status other than 0 is an error, told from what git said.
    pub(super) async fn ok(self) -> Result<Vec<u8>, Error> {
        let (what, location, limit) = (self.what.clone(), self.location.clone(), self.limit);
        let answer = self.answer().await?;
        if answer.truncated {
            return Err(Error::OutputTooLarge { what, limit });
        }
        if !answer.status.success() {
            return Err(classify(&what, &location, answer.status, &answer.stderr));
        }
        Ok(answer.stdout)
    }

    /// Runs it, whatever its exit status.
    pub(super) async fn answer(mut self) -> Result<Answer, Error> {
        let stdin = match (self.held.take(), &self.input) {
            (Some(file), _) => Stdio::from(file),
            (None, Some(_)) => Stdio::piped(),
            (None, None) => Stdio::null(),
        };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.process_group(0).kill_on_drop(true);
        let program = self.command.as_std().get_program().to_owned();
        let mut child = self.command.spawn().map_err(|error| not_started(&program, error))?;
        // Declared after the child, so dropped before it: the group is ended while its leader is not yet reaped.
        let mut group = Group::of(&child);
        let work = converse(&mut child, self.input.take(), self.limit, &mut group);
        match tokio::time::timeout(self.time, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Error::Io { what: "talk to", path: program.into(), error }),
            Err(_) => Err(Error::Timeout { what: self.what, after: self.time }),
        }
    }
}

fn not_started(program: &OsStr, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::GitMissing { program: program.into() },
        _ => Error::Io { what: "start", path: program.into(), error },
    }
}

/// Ends the process group when dropped, unless its leader has been reaped: then the number may be somebody else's.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn end(&mut self) {
        if let Some(leader) = self.0.take() {
            // It may have ended by itself.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

async fn converse(
    child: &mut Child,
    input: Option<Vec<u8>>,
    limit: usize,
    group: &mut Group,
) -> io::Result<Answer> {
    let mut stdin = child.stdin.take();
    let mut stdout = child.stdout.take().expect("BUG: stdout is a pipe");
    let mut stderr = child.stderr.take().expect("BUG: stderr is a pipe");
    let (mut out, mut err) = (Taken::default(), Taken::default());
    let mut write = pin!(async move {
        if let (Some(pipe), Some(bytes)) = (&mut stdin, input) {
            // Git may end without reading all of it; its exit status says what matters.
            let _ = pipe.write_all(&bytes).await;
        }
    });
    let mut written = false;
    let status = loop {
        tokio::select! {
            () = &mut write, if !written => written = true,
            open = out.read(&mut stdout, limit), if out.open => {
                open?;
                if out.over { group.end(); }
            }
            open = err.read(&mut stderr, STDERR_LIMIT), if err.open => open?,
            status = child.wait() => {
                group.0 = None;
                break status?;
            }
        }
    };
    out.drain(&stdout, limit)?;
    err.drain(&stderr, STDERR_LIMIT)?;
    Ok(Answer { stdout: out.bytes, stderr: err.bytes, status, truncated: out.over })
}

/// Bytes taken from a pipe, up to a limit; beyond it they are read and dropped.
struct Taken {
    bytes: Vec<u8>,
    /// On the heap: it would make every future that asks git large.
    buffer: Box<[u8]>,
    open: bool,
    over: bool,
}

impl Default for Taken {
    fn default() -> Self {
        Self { bytes: Vec::new(), buffer: vec![0; 16 << 10].into(), open: true, over: false }
    }
}

impl Taken {
    async fn read(&mut self, pipe: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<()> {
        let count = pipe.read(&mut self.buffer).await?;
        self.keep(count, limit);
        Ok(())
    }

    /// Takes what is in the pipe now, without waiting for more: something else may hold the pipe open. Asks the kernel,
    /// not tokio, whose idea of what is readable may be older than the end of the process.
    fn drain(&mut self, pipe: impl AsFd, limit: usize) -> io::Result<()> {
        while self.open {
            match rustix::io::read(&pipe, &mut self.buffer[..]) {
                Ok(count) => self.keep(count, limit),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Keeps what is in the buffer, as far as the limit allows.
    fn keep(&mut self, count: usize, limit: usize) {
        self.open = count > 0;
        let kept = count.min(limit - self.bytes.len());
        self.over |= kept < count;
        self.bytes.extend_from_slice(&self.buffer[..kept]);
    }
}

/// Tells from what git said why it failed. The texts are those of git 2.30 to 2.50 and of OpenSSH, in English.
pub(super) fn classify(what: &str, location: &str, status: ExitStatus, stderr: &[u8]) -> Error {
    let said = String::from_utf8_lossy(stderr);
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    let location = location.to_owned();
    let detail = summary(&said);
    if has(&["detected dubious ownership"]) {
        return Error::DubiousOwnership { location };
    }
    if has(&[
        "Permission denied (",
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "Host key verification failed",
        "terminal prompts disabled",
        "The requested URL returned error: 401",
        "The requested URL returned error: 403",
    ]) {
        return Error::AuthFailed { location, detail };
    }
    if has(&[
        "Could not resolve host",
        "Connection refused",
        "Connection timed out",
        "Connection reset",
        "Connection closed",
        "No route to host",
        "Network is unreachable",
        "Failed to connect",
        "Couldn't connect to server",
        "early EOF",
        "The requested URL returned error: 5",
        "hung up unexpectedly",
    ]) {
        return Error::Unreachable { location, detail };
    }
    if has(&[
        "does not appear to be a git repository",
        "not a git repository",
        "repository not found",
        "' not found",
    ]) || said.contains("repository '") && said.contains("does not exist")
    {
        return Error::NotARepository { location };
    }
    Error::Failed { what: what.to_owned(), status: status.to_string(), detail }
}

/// What git said, on one line without passwords: from its first complaint on, at most 400 bytes.
fn summary(said: &str) -> String {
    let mut lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.dedup();
    let start =
        lines.iter().position(|line| line.starts_with("fatal:") || line.starts_with("error:")).unwrap_or(0);
    // Before git's own complaint stands what ssh said, which is the better half.
    let start = if lines.get(start).is_some_and(|line| line.contains("Could not read from remote")) {
        0
    } else {
        start
    };
    let mut text = String::new();
    for line in &lines[start.min(lines.len())..] {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&super::location::without_passwords(line));
        if text.len() > 400 {
            text.truncate(text.floor_char_boundary(400));
            break;
        }
    }
    if text.is_empty() {
        text.push_str("git said nothing");
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
