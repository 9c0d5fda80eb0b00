//! One system call of a program under test fails, or comes to less than was asked for: which one is told by its number
//! among the calls of its class that the controller and its runner make, over all their threads.
//!
//! The program runs below a seccomp filter that asks this process about each call of the class (seccomp_unotify(2)).
//! The calls of what they start (git, shells, steps) go on unasked, and so does every call before the program's own first
//! one. What the chosen call was, and on which file, is kept for whoever must say why a promise broke. The rules of what
//! shall hold after it are the sweep's.

use super::class::{Class, Fault};
use std::fs;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// Which call fails, how, and whether all after it do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Injection {
    pub(super) class: Class,
    /// Counted from 1; none: nothing fails, the calls are only counted.
    pub(super) nth: Option<u64>,
    pub(super) fault: Fault,
    /// From there on all fail, until [`Injector::relent`].
    pub(super) stays: bool,
}

impl std::fmt::Display for Injection {
    /// As `TIDEGATE_FAULT` takes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Injection { class, nth, fault, stays } = self;
        let more = if *stays { "+" } else { "" };
        write!(f, "{}:{}{more}:{}", class.name(), nth.unwrap_or(0), fault.name())
    }
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// The chosen call, in words.
    fired: Option<String>,
    relented: bool,
}

/// Answers for the calls of one program, until it and all that it started is gone.
pub(super) struct Injector {
    seen: Arc<Mutex<Seen>>,
    /// The end at which the program sends; when this is gone too, nobody waits for one that never began.
    _sender: UnixStream,
}

impl Injector {
    /// Puts the filter into a command that has not been started yet.
    pub(super) fn into(command: &mut Command, injection: Injection) -> Injector {
        let (here, there) = UnixStream::pair().expect("a pair of sockets");
        let filter = filter(injection.class.calls());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let kept = seen.clone();
        // It ends with the last process below the filter, or when the command never came to be.
        std::thread::spawn(move || {
            if let Ok(listener) = receive(&here) {
                answer(&listener, injection, &kept);
            }
        });
        let socket = there.as_raw_fd();
        let install = move || install(&filter).and_then(|listener| send(socket, listener));
        // SAFETY: between fork and exec nothing happens but system calls on memory that is there already.
        #[expect(unsafe_code, reason = "a filter must be there before the program begins")]
        unsafe {
            command.pre_exec(install);
        }
        Injector { seen, _sender: there }
    }

    /// The chosen call, once it came.
    pub(super) fn fired(&self) -> Option<String> {
        self.seen().fired.clone()
    }

    /// How many calls of the class there were.
    pub(super) fn count(&self) -> u64 {
        self.seen().count
    }

    /// No call fails any more.
    pub(super) fn relent(&self) {
        self.seen().relented = true;
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a program can be run so here: as a user who may, on a system that can.
pub(super) fn is_possible() -> bool {
    let mut command = Command::new("true");
    let injection = Injection { class: Class::Sync, nth: None, fault: Fault::Io, stays: false };
    let _injector = Injector::into(&mut command, injection);
    command.status().is_ok_and(|status| status.success())
}

/// Where in what is known of a call its number stands, and the architecture.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xc000_00b7;

/// Asks about these calls and lets all others go on.
fn filter(calls: &[libc::c_long]) -> Vec<libc::sock_filter> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let end = (libc::BPF_RET | libc::BPF_K) as u16;
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let count = u8::try_from(calls.len()).expect("few calls");
    let mut program = vec![line(load, 0, 0, ARCHITECTURE), line(equal, 0, count + 1, OURS)];
    program.push(line(load, 0, 0, NUMBER));
    for (index, call) in (0..count).zip(calls) {
        // Over those that are left, and over the line that lets it go on.
        program.push(line(equal, count - index, 0, u32::try_from(*call).expect("a small number")));
    }
    program.push(line(end, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(line(end, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    program
}

/// Puts this thread below the filter; the descriptor that hears of its calls.
#[expect(unsafe_code, reason = "seccomp(2) has no safe form that gives a listener")]
fn install(filter: &[libc::sock_filter]) -> io::Result<RawFd> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the program lives until the call returns, which is when the kernel has its own copy.
    let listener = unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    if listener < 0 { Err(io::Error::last_os_error()) } else { Ok(listener as RawFd) }
}

/// Room for one descriptor beside a message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Beside([u8; 24]);

/// Sends a descriptor. No call in it is one that a filter asks about.
#[expect(unsafe_code, reason = "it happens between fork and exec, where nothing may be allocated")]
fn send(socket: RawFd, descriptor: RawFd) -> io::Result<()> {
    let (mut byte, mut beside) = ([0_u8], Beside([0; 24]));
    // SAFETY: all that the message points to lives here; its header has room for one descriptor.
    let sent = unsafe {
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = beside.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor);
        libc::sendmsg(socket, &raw const message, 0)
    };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = rustix::net::RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    let flags = rustix::net::RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(socket, &mut parts, &mut beside, flags)?;
    for message in beside.drain() {
        if let rustix::net::RecvAncillaryMessage::ScmRights(mut descriptors) = message
            && let Some(descriptor) = descriptors.next()
        {
            return Ok(descriptor);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Answers until nobody is below the filter any more.
fn answer(listener: &OwnedFd, injection: Injection, seen: &Mutex<Seen>) {
    while is_asked(listener) {
        let Some(asked) = next(listener) else { continue };
        let mut answer = none(asked.id);
        answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        if is_ours(asked.pid) {
            let call = Call { asked: &asked };
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if injection.class.counts(injection.fault, &call) {
                seen.count += 1;
                if is_chosen(injection, &seen) {
                    if seen.fired.is_none() {
                        seen.fired = Some(format!("{injection}: {}", call.words()));
                    }
                    let fails = none(asked.id);
                    answer = match injection.fault {
                        Fault::Short => match call.half() {
                            Some(written) => libc::seccomp_notif_resp { val: written, ..fails },
                            None => answer,
                        },
                        fault => libc::seccomp_notif_resp { error: -fault.errno(), ..fails },
                    };
                }
            }
        }
        reply(listener, &answer);
    }
}

fn is_chosen(injection: Injection, seen: &Seen) -> bool {
    !seen.relented
        && injection.nth.is_some_and(|nth| seen.count == nth || (injection.stays && seen.count > nth))
}

fn none(id: u64) -> libc::seccomp_notif_resp {
    libc::seccomp_notif_resp { id, val: 0, error: 0, flags: 0 }
}

/// Waits for a question. False: nobody is left who could ask.
fn is_asked(listener: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut polled = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut polled, None) {
        Ok(_) => polled[0].revents().contains(PollFlags::IN),
        Err(error) => error == rustix::io::Errno::INTR,
    }
}

/// The next question. None: whoever asked is gone.
#[expect(unsafe_code, reason = "seccomp_unotify(2) is made of ioctls")]
fn next(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    // SAFETY: plain numbers, of which all may be zero, as the kernel wants them to be.
    unsafe {
        let mut asked: libc::seccomp_notif = zeroed();
        let result = libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut asked);
        (result == 0).then_some(asked)
    }
}

#[expect(unsafe_code, reason = "seccomp_unotify(2) is made of ioctls")]
fn reply(listener: &OwnedFd, answer: &libc::seccomp_notif_resp) {
    let answer = *answer;
    // Whoever asked may have been killed meanwhile.
    // SAFETY: it reads one answer, which lives until it returns.
    let _ =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw const answer) };
}

/// The controller or its runner, and not what they started.
fn is_ours(thread: u32) -> bool {
    let line = fs::read(format!("/proc/{thread}/cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    words.next().is_some_and(|program| program.ends_with(b"tidegate"))
        && words.next().is_some_and(|word| super::PROGRAMS.iter().any(|name| name.as_bytes() == word))
}

/// A call that somebody waits for an answer to.
pub(super) struct Call<'a> {
    asked: &'a libc::seccomp_notif,
}

impl Call<'_> {
    /// Its number.
    pub(super) fn number(&self) -> libc::c_long {
        libc::c_long::from(self.asked.data.nr)
    }

    /// One of its arguments.
    pub(super) fn argument(&self, index: usize) -> u64 {
        self.asked.data.args[index]
    }

    /// A path that is its argument.
    pub(super) fn path(&self, index: usize) -> Option<String> {
        let memory = fs::File::open(format!("/proc/{}/mem", self.asked.pid)).ok()?;
        let mut bytes = vec![0; 4096];
        let begin = self.argument(index);
        // A page at a time would do; at the end of what is mapped less can be read.
        let length = memory.read_at(&mut bytes, begin).ok()?;
        let end = bytes[..length].iter().position(|byte| *byte == 0)?;
        String::from_utf8(bytes[..end].to_owned()).ok()
    }

    /// What a descriptor that is its argument leads to.
    pub(super) fn target(&self, index: usize) -> Option<String> {
        let link = fs::read_link(format!("/proc/{}/fd/{}", self.asked.pid, self.argument(index) as i32));
        Some(link.ok()?.display().to_string())
    }

    /// Where in the program it is made: the file that is mapped there.
    pub(super) fn origin(&self) -> Option<String> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.asked.pid)).ok()?;
        let at = self.asked.data.instruction_pointer;
        let line = maps.lines().find(|line| {
            let range = line.split(' ').next().unwrap_or_default().split_once('-');
            let ends = range.map(|(from, to)| [from, to].map(|end| u64::from_str_radix(end, 16)));
            matches!(ends, Some([Ok(from), Ok(to)]) if (from..to).contains(&at))
        })?;
        Some(line.split_whitespace().nth(5)?.to_owned())
    }

    fn words(&self) -> String {
        let who = fs::read_to_string(format!("/proc/{}/comm", self.asked.pid)).unwrap_or_default();
        let line = fs::read(format!("/proc/{}/cmdline", self.asked.pid)).unwrap_or_default();
        let program = line.split(|byte| *byte == 0).nth(1).map(String::from_utf8_lossy).unwrap_or_default();
        let name = super::class::name(self.number());
        let paths: Vec<String> = match super::class::paths(self.number()) {
            [] => self.target(0).into_iter().collect(),
            paths => paths.iter().filter_map(|index| self.path(*index)).collect(),
        };
        format!("{name} {} in {program} ({})", paths.join(" "), who.trim())
    }

    /// Does half of a write in the place of whoever asked for it; how much that was. None: it is too short to be cut.
    fn half(&self) -> Option<i64> {
        let length = self.argument(2) as usize / 2;
        if !matches!(self.number(), libc::SYS_write | libc::SYS_pwrite64) || length == 0 {
            return None;
        }
        let mut bytes = vec![0; length];
        let memory = fs::File::open(format!("/proc/{}/mem", self.asked.pid)).ok()?;
        memory.read_exact_at(&mut bytes, self.argument(1)).ok()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.asked.pid)).ok()?;
        let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
        let process = rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(group)?,
            rustix::process::PidfdFlags::empty(),
        )
        .ok()?;
        let file = taken(&process, self.argument(0) as RawFd)?;
        let written = match self.number() {
            libc::SYS_pwrite64 => file.write_at(&bytes, self.argument(3)),
            _ => io::Write::write(&mut &file, &bytes),
        };
        // What cannot be written now goes on as it is.
        Some(written.ok()? as i64)
    }
}

/// A descriptor of another process, as a file.
#[expect(unsafe_code, reason = "pidfd_getfd(2) has no safe form")]
fn taken(process: &OwnedFd, descriptor: RawFd) -> Option<fs::File> {
    // SAFETY: what is returned is a new descriptor, and nobody else's.
    unsafe {
        let got = libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0);
        (got >= 0).then(|| fs::File::from_raw_fd(got as RawFd))
    }
}
