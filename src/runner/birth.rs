//! Starting a process that is, from its first moment, in the cgroup of its run and marked as one of it ([`super::kin`]). To
//! move one into a cgroup takes the kernel ten milliseconds and more; and what a process does before a mark is put on it
//! from outside may be all that it takes to get away. No safe call does either: the standard library starts a process with
//! the limits that this one has, and `CLONE_INTO_CGROUP` is made by nothing but `clone3` itself.
//!
//! What the child does until it is another program is only system calls on what was made ready before: other threads of
//! this process may hold any lock at that moment, that of the allocator too, and nobody lets go of it there. All signals are
//! held back meanwhile, since a handler of this process would speak for this process. Where it can the child uses the
//! memory of this process until then, as that of `posix_spawn` does, and the thread that made it waits: to copy the page
//! tables costs more than all the rest.

use super::fence::Calls;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Rlimit};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// What is started, as the standard library's `Command` would be told.
pub(super) struct Order<'a> {
    /// The file.
    pub(super) program: &'a Path,
    /// What it is called, and its arguments.
    pub(super) argv: &'a [OsString],
    /// All of its environment; of several with one name the last counts.
    pub(super) env: &'a [(OsString, OsString)],
    /// Its working directory.
    pub(super) dir: &'a Path,
    /// Standard output and error. Its input is empty.
    pub(super) output: BorrowedFd<'a>,
    /// User and group that it becomes.
    pub(super) ids: Option<(u32, u32)>,
    /// Its limit of file locks, which is its mark.
    pub(super) mark: Rlimit,
    /// System calls that it cannot make; whoever starts it gains no rights then.
    pub(super) calls: Option<&'a Calls>,
}

/// The first arguments of `clone3`, as far as `CLONE_INTO_CGROUP` (Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 1 << 33;
/// Bytes of stack for a child that shares our memory; it needs a tenth of it.
const STACK: usize = 64 * 1024;

/// Where the child says what failed, once its outputs are in their places.
const REPORT: RawFd = 3;

/// All that the child needs.
struct Ready {
    program: CString,
    dir: CString,
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    input: RawFd,
    output: RawFd,
    ids: Option<(u32, u32)>,
    mark: libc::rlimit,
    calls: Option<libc::sock_fprog>,
    report: RawFd,
    /// What is held back in the program, too: nothing.
    no_signals: libc::sigset_t,
}

impl Order<'_> {
    /// Starts it as the head of a process group.
    pub(super) fn start(&self) -> io::Result<Pid> {
        self.start_by(|ready| born(ready).map(Some))?.ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// Starts it so in the cgroup of that folder. None: this kernel cannot, or may not, and another way has to be taken. The
    /// error is of what was ordered.
    pub(super) fn start_in(&self, cgroup: BorrowedFd<'_>) -> io::Result<Option<Pid>> {
        self.start_by(|ready| Ok(born_in(ready, cgroup)))
    }

    fn start_by(&self, make: impl FnOnce(&Ready) -> io::Result<Option<Pid>>) -> io::Result<Option<Pid>> {
        let argv = self.argv.iter().map(|word| terminated(word)).collect::<io::Result<Vec<_>>>()?;
        let env = environment(self.env)?;
        let null = std::fs::File::open("/dev/null")?;
        // Above the three that the child fills, whatever of those is closed here.
        let [input, output] = [null.as_fd(), self.output].map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3));
        let (input, output) = (input?, output?);
        let (reader, low) = pipe_with(PipeFlags::CLOEXEC)?;
        let writer = rustix::io::fcntl_dupfd_cloexec(&low, 3)?;
        // Its end is what is waited for below.
        drop(low);
        let ready = Ready {
            program: terminated(self.program.as_os_str())?,
            dir: terminated(self.dir.as_os_str())?,
            argv: pointers(&argv),
            env: pointers(&env),
            input: input.as_raw_fd(),
            output: output.as_raw_fd(),
            ids: self.ids,
            mark: libc::rlimit {
                rlim_cur: self.mark.current.unwrap_or(libc::RLIM_INFINITY),
                rlim_max: self.mark.maximum.unwrap_or(libc::RLIM_INFINITY),
            },
            calls: self.calls.map(Calls::program),
            report: writer.as_raw_fd(),
            no_signals: signals(false),
        };
        let Some(pid) = make(&ready)? else { return Ok(None) };
        drop(writer);
        let mut said = [0; 4];
        match read_whole(reader.as_fd(), &mut said) {
            0 => Ok(Some(pid)),
            _ => {
                // It is ours, has ended, and nobody else knows of it.
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
                Err(io::Error::from_raw_os_error(i32::from_ne_bytes(said)))
            }
        }
    }
}

/// Bytes until the end; the other side writes all or nothing.
fn read_whole(from: BorrowedFd<'_>, into: &mut [u8]) -> usize {
    loop {
        match rustix::io::read(from, &mut *into) {
            Err(rustix::io::Errno::INTR) => {}
            read => return read.unwrap_or(0),
        }
    }
}

fn terminated(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn environment(pairs: &[(OsString, OsString)]) -> io::Result<Vec<CString>> {
    let last: std::collections::BTreeMap<_, _> = pairs.iter().map(|(name, value)| (name, value)).collect();
    let entry = |(name, value): (&OsString, &OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
            .map_err(|_| io::ErrorKind::InvalidInput.into())
    };
    last.into_iter().map(entry).collect()
}

/// Valid as long as the strings are.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// All signals, or none.
#[expect(unsafe_code, reason = "a set of signals is made by the C library in memory that is given to it")]
fn signals(all: bool) -> libc::sigset_t {
    // The C library fills what it uses of it.
    let mut set = std::mem::MaybeUninit::zeroed();
    // SAFETY: a set is a row of numbers, all of which are there, and the calls have room for it.
    unsafe {
        if all {
            libc::sigfillset(set.as_mut_ptr())
        } else {
            libc::sigemptyset(set.as_mut_ptr())
        };
        set.assume_init()
    }
}

/// Makes the child in a cgroup. None: the kernel did not.
#[expect(unsafe_code, reason = "no safe call makes a process in a cgroup")]
fn born_in(ready: &Ready, cgroup: BorrowedFd<'_>) -> Option<Pid> {
    let mut arguments = CloneArguments {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArguments::default()
    };
    let number = without_signals(|| {
        // SAFETY: the arguments are whole and of the size that is said. Without `CLONE_VM` and without a stack the child
        // goes on here with a copy of all memory, as after a fork, and calls nothing but `become_program`.
        let number =
            unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<CloneArguments>()) };
        if number == 0 {
            // SAFETY: this is the child of a fork; what `ready` points to is in its memory.
            unsafe { become_program(ready) }
        }
        number
    });
    child(number)
}

/// The child that a call made, by what it answered. None: it made none. What is below zero is no number at all to rustix.
fn child(number: libc::c_long) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok().filter(|number| *number > 0)?)
}

/// Makes the child.
#[expect(unsafe_code, reason = "no safe call marks a process before it runs")]
fn born(ready: &Ready) -> io::Result<Pid> {
    let (number, error) = without_signals(|| {
        let number = if ready.ids.is_some() {
            // Who changes its user while it shares our memory makes the kernel take us for a program with secrets.
            // SAFETY: the child calls nothing but `become_program`.
            let number = unsafe { libc::fork() };
            if number == 0 {
                // SAFETY: this is the child of a fork; what `ready` points to is in its memory.
                unsafe { become_program(ready) }
            }
            number
        } else {
            let mut stack = vec![0_u128; STACK / size_of::<u128>()];
            let shared = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            let top = stack.as_mut_ptr_range().end.cast();
            // SAFETY: the stack grows down from its end, which is aligned for any machine, and lives until this thread goes
            // on, which is when the child is another program or gone. So does `ready`, which nobody changes.
            unsafe { libc::clone(enter, top, shared, ptr::from_ref(ready).cast_mut().cast()) }
        };
        (number, io::Error::last_os_error())
    });
    child(number.into()).ok_or(error)
}

/// Where a child begins that has a stack of its own.
#[expect(unsafe_code, reason = "called by the C library")]
extern "C" fn enter(ready: *mut libc::c_void) -> libc::c_int {
    // SAFETY: it is what `born` gave, which waits meanwhile.
    unsafe { become_program(&*ready.cast::<Ready>()) }
}

/// Does this while no signal comes to this thread.
#[expect(unsafe_code, reason = "signals are held back by the C library")]
fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    let all = signals(true);
    let mut before = signals(false);
    // SAFETY: both sets are whole. Of this thread only, until it is set back below.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) };
    let done = work();
    // SAFETY: the set is the one from above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    done
}

/// Becomes the program, or says why not and ends.
///
/// # Safety
/// To be called in a child only that does not share the table of files and of handlers, with pointers that are valid there.
/// Makes system calls only, and leaves the memory as it is, but for the stack and the number of an error.
#[expect(unsafe_code, reason = "system calls between fork and exec")]
unsafe fn become_program(ready: &Ready) -> ! {
    // SAFETY: every pointer is to memory of this process that nobody changes, terminated as the calls want it. Calls that
    // the C library would pass on to other threads (of which there are none here) are made without it.
    unsafe {
        let mut report = ready.report;
        let failed = |report: RawFd| -> ! {
            let errno = (*libc::__errno_location()).to_ne_bytes();
            libc::write(report, errno.as_ptr().cast(), errno.len());
            libc::_exit(127)
        };
        reset_handlers();
        let must = |result: libc::c_int| {
            if result < 0 {
                failed(ready.report);
            }
        };
        // Refused where this machine allows no limit so high: then it has no mark, and is known by the rest.
        libc::setrlimit(libc::RLIMIT_LOCKS, &ready.mark);
        must(libc::setpgid(0, 0));
        must(libc::dup2(ready.input, 0));
        must(libc::dup2(ready.output, 1));
        must(libc::dup2(ready.output, 2));
        // What other threads of ours wait to see closed is closed here now: what follows may take as long as a disk does.
        // An old kernel cannot, and it is when the program begins.
        if report == REPORT || libc::dup3(report, REPORT, libc::O_CLOEXEC) == REPORT {
            report = REPORT;
            libc::syscall(libc::SYS_close_range, REPORT + 1, libc::c_uint::MAX, 0);
        }
        let must = |result: libc::c_int| {
            if result < 0 {
                failed(report);
            }
        };
        if let Some((user, group)) = ready.ids {
            must(libc::syscall(libc::SYS_setgid, group) as libc::c_int);
            must(libc::syscall(libc::SYS_setuid, user) as libc::c_int);
        }
        must(libc::chdir(ready.dir.as_ptr()));
        if let Some(calls) = &ready.calls {
            // Without the last word an older kernel slows such a process down for the sake of others.
            let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
            let set = libc::SECCOMP_SET_MODE_FILTER;
            must(libc::syscall(libc::SYS_seccomp, set, flags, ptr::from_ref(calls)) as libc::c_int);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &ready.no_signals, ptr::null_mut());
        libc::execve(ready.program.as_ptr(), ready.argv.as_ptr(), ready.env.as_ptr());
        failed(report)
    }
}

/// Lets no signal reach code of ours; those that are ignored stay so, but for the one that this process ignores itself.
///
/// # Safety
/// As above.
#[expect(unsafe_code, reason = "system calls between fork and exec")]
unsafe fn reset_handlers() {
    // SAFETY: an action of zeros is the default one with no flags and no signals held back, and the calls read and write
    // whole actions.
    unsafe {
        let standard: libc::sigaction = std::mem::zeroed();
        // The C library keeps a lock for that of SIGABRT, which another thread that starts a process may hold: here nobody
        // would let go of it. Nobody has a handler for it either.
        for number in (1..=libc::SIGRTMAX()).filter(|number| *number != libc::SIGABRT) {
            let mut action: libc::sigaction = std::mem::zeroed();
            let is_known = libc::sigaction(number, ptr::null(), &mut action) == 0;
            let is_ours = number == libc::SIGPIPE || action.sa_sigaction != libc::SIG_IGN;
            if is_known && is_ours {
                libc::sigaction(number, &standard, ptr::null_mut());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Resource, WaitOptions, getrlimit, waitpid};
    use std::io::Read;
    use std::process::Command;

    #[test]
    fn where_the_system_made_no_child_there_is_none() {
        assert_eq!([-1, 0, libc::c_long::MAX].map(child), [None; 3]);
        assert_eq!(child(7), Pid::from_raw(7));
    }

    /// What a shell says, started with these words.
    fn said(words: &[&str], dir: &Path) -> io::Result<String> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let argv: Vec<OsString> = words.iter().map(Into::into).collect();
        let env = [("A".into(), "first".into()), ("A".into(), "last".into())];
        let mark = Rlimit { current: Some(77), ..getrlimit(Resource::Locks) };
        let order = Order {
            program: Path::new(words[0]),
            argv: &argv,
            env: &env,
            dir,
            output: writer.as_fd(),
            ids: None,
            mark,
            calls: None,
        };
        let pid = order.start()?;
        drop(writer);
        let mut text = String::new();
        std::fs::File::from(reader).read_to_string(&mut text)?;
        assert!(waitpid(Some(pid), WaitOptions::empty())?.is_some_and(|(_, status)| status.exited()));
        Ok(text)
    }

    #[test]
    fn it_has_what_was_ordered_its_mark_and_no_signals_held_back() {
        let text = "echo $A; pwd; grep -c 'SigBlk:.0*$' /proc/self/status; ls /proc/self/fd | wc -l; \
                    grep locks /proc/self/limits";
        let said = said(&["/bin/sh", "-c", text], Path::new("/usr")).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        // `ls` has the folder open that it lists.
        assert_eq!(lines[..4], ["last", "/usr", "1", "4"], "{said}");
        assert_eq!(lines[4].split_ascii_whitespace().nth(3), Some("77"), "{said}");
    }

    #[test]
    fn what_failed_is_said_and_nobody_is_left() {
        let missing = said(&["/bin/nothing-of-this-name"], Path::new("/")).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        let folder = said(&["/bin/sh"], Path::new("/nothing-of-this-name")).unwrap_err();
        assert_eq!(folder.raw_os_error(), Some(libc::ENOENT));
    }

    /// The C library holds locks of its own while it starts a process.
    #[test]
    fn others_may_start_processes_at_the_same_time() {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    (0..60).for_each(|_| assert!(Command::new("true").status().unwrap().success()))
                });
                scope.spawn(|| {
                    (0..60)
                        .for_each(|_| assert_eq!(said(&["/bin/echo", "a"], Path::new("/")).unwrap(), "a\n"));
                });
            }
        });
    }
}
