//! From a [`Start`] to a process: finding the program, starting it ([`super::birth`]), and saying well why it could not be.

use super::birth::Order;
use super::cgroup::Cell;
use super::fence::{self, Calls, Fence, Ids};
use super::kin::{self, Mark};
use super::{How, Start};
use rustix::process::Pid;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A process that was started.
pub(super) struct Spawned {
    pub(super) pid: Pid,
    /// It is in the cgroup that was meant for it.
    pub(super) is_inside: bool,
}

/// Starts the process in a group of its own, marked, writing to `writer`. All copies of `writer` in this process are closed
/// then.
pub(super) fn spawn(start: &Start, writer: OwnedFd, cell: Option<&Cell>, mark: Mark) -> Result<Spawned, How> {
    fence::spawn_within(start, writer, |writer, ids| spawn_here(start, &writer, ids, cell, mark))
}

fn spawn_here(
    start: &Start,
    writer: &OwnedFd,
    ids: Option<Ids>,
    cell: Option<&Cell>,
    mark: Mark,
) -> Result<Spawned, How> {
    let Some((name, _)) = start.argv.split_first() else {
        return Err(not_started(0, "start a command without words".into(), false));
    };
    let program = find(name, &start.env, &start.dir)?;
    // Landlock does not let its processes gain rights, and without that there is no filter.
    let calls = matches!(start.fence, Fence::Landlock(_)).then(Calls::of_a_fence);
    let order = Order {
        program: &program,
        argv: &start.argv,
        env: &start.env,
        dir: &start.dir,
        output: writer.as_fd(),
        ids: ids.map(|ids| (ids.uid, ids.gid)),
        mark: mark.limit(),
        calls: calls.as_ref(),
    };
    let spawned = start_with(&order, cell).map_err(|error| explain_fenced(&error, &program, start))?;
    // As long as this thread lives nobody else can take it for an orphan.
    kin::register_leader(spawned.pid);
    Ok(spawned)
}

fn start_with(order: &Order<'_>, cell: Option<&Cell>) -> io::Result<Spawned> {
    if let Some(cell) = cell
        && let Ok(cgroup) = cell.handle()
        && let Some(pid) = order.start_in(cgroup.as_fd())?
    {
        return Ok(Spawned { pid, is_inside: true });
    }
    let pid = order.start()?;
    // It may be refused, below a fence above all.
    let is_inside = cell.is_some_and(|cell| cell.take_in(pid).is_ok());
    Ok(Spawned { pid, is_inside })
}

/// The path of a program, as a shell would find it.
pub(super) fn find(name: &OsStr, env: &[(OsString, OsString)], dir: &Path) -> Result<PathBuf, How> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut refused = None;
    for candidate in std::env::split_paths(path).map(|folder| folder.join(name)) {
        // An empty or relative folder in PATH is meant from where the process will be.
        let seen = if candidate.is_absolute() { candidate.clone() } else { dir.join(&candidate) };
        if !seen.is_file() {
            continue;
        }
        if rustix::fs::access(&seen, rustix::fs::Access::EXEC_OK).is_ok() {
            return Ok(seen);
        }
        refused.get_or_insert(seen);
    }
    let name = name.to_string_lossy();
    Err(match refused {
        Some(file) => not_started(
            libc::EACCES,
            format!("start `{name}`: `{}` is not executable", file.display()),
            false,
        ),
        None => not_started(
            libc::ENOENT,
            format!("start `{name}`: no such program in PATH (`{}`)", path.to_string_lossy()),
            true,
        ),
    })
}

pub(super) fn not_started(errno: i32, message: String, missing_program: bool) -> How {
    How::NotStarted { errno, message, missing_program }
}

/// The same, with what a fence may have to do with it.
fn explain_fenced(error: &io::Error, program: &Path, start: &Start) -> How {
    let how = explain(error, program, start);
    let why = match (&start.fence, error.raw_os_error()) {
        (Fence::Landlock(_), Some(libc::EACCES)) => {
            "; `sandbox` closes the state folder, secrets and devices".into()
        }
        (Fence::Landlock(_), Some(libc::ENOSYS | libc::EINVAL)) => {
            "; `sandbox` needs a kernel with seccomp and its filters".into()
        }
        (Fence::Account(account), Some(libc::EACCES)) => format!(
            "; `{}` must be let through every folder on the way to the program and to `{}` (see `namei -l`)",
            account.name,
            start.dir.display()
        ),
        _ => String::new(),
    };
    match how {
        How::NotStarted { errno, message, missing_program } => {
            How::NotStarted { errno, message: message + &why, missing_program }
        }
        other => other,
    }
}

/// What an error of the spawn means, in words. The system gives one number for the folder, the program and its
/// interpreter; looking again tells them apart.
fn explain(error: &io::Error, program: &Path, start: &Start) -> How {
    let errno = error.raw_os_error().unwrap_or(0);
    let (dir, shown) = (start.dir.display(), program.display());
    let there = |path: &Path| start.dir.join(path).exists();
    let (message, missing_program) = match errno {
        libc::ENOENT | libc::ENOTDIR if !start.dir.is_dir() => {
            (format!("enter the working directory `{dir}`: it does not exist or is no directory"), false)
        }
        libc::ENOENT if there(program) => {
            (format!("start `{shown}`: the interpreter that it names does not exist"), true)
        }
        libc::ENOENT | libc::ENOTDIR => (format!("start `{shown}`: no such program"), true),
        libc::EACCES
            if std::fs::read_dir(&start.dir).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied) =>
        {
            (format!("start `{shown}` in `{dir}`: permission denied"), false)
        }
        libc::EACCES => {
            (format!("start `{shown}`: permission denied, it is not executable for this user"), false)
        }
        libc::E2BIG => {
            let (count, bytes) = size_of_strings(start);
            let what = format!("arguments and environment are too large ({count} strings, {bytes} bytes)");
            (format!("start `{shown}`: {what}"), false)
        }
        libc::EAGAIN => {
            (format!("start `{shown}`: the limit of processes of this user or machine is reached"), false)
        }
        libc::EMFILE | libc::ENFILE => (format!("start `{shown}`: no more files can be opened"), false),
        libc::ENOMEM => (format!("start `{shown}`: not enough memory"), false),
        libc::ENOEXEC => (format!("start `{shown}`: it is no program that this machine can run"), false),
        libc::ETXTBSY => (format!("start `{shown}`: the file is being written"), false),
        _ if error.kind() == ErrorKind::InvalidInput => {
            (format!("start `{shown}`: an argument or the environment holds a NUL byte"), false)
        }
        _ => (format!("start `{shown}`: {error}"), false),
    };
    not_started(errno, message, missing_program)
}

fn size_of_strings(start: &Start) -> (usize, usize) {
    let arguments = start.argv.iter().map(|word| word.len() + 1);
    let environment = start.env.iter().map(|(name, value)| name.len() + value.len() + 2);
    arguments.chain(environment).fold((0, 0), |(count, bytes), more| (count + 1, bytes + more))
}
