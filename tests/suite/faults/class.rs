//! Kinds of system calls that can fail, and the ways in which each does.

use super::injector::Call;

/// Calls that fail for the same reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Bytes go to a file, a pipe or a socket.
    Write,
    /// The same, but only to regular files.
    Store,
    /// What was written is to reach the disk.
    Sync,
    /// A name is made, changed or removed.
    Names,
    /// A file is opened.
    Open,
    /// A process or a thread begins, or a program.
    Fork,
    /// A descriptor is made that is no file's.
    Descriptors,
    /// A file gets another length, or room.
    Size,
    /// Memory is asked for.
    Map,
}

/// All of them.
pub(super) const CLASSES: [Class; 9] = [
    Class::Sync,
    Class::Names,
    Class::Store,
    Class::Size,
    Class::Fork,
    Class::Descriptors,
    Class::Open,
    Class::Write,
    Class::Map,
];

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The device does not do it.
    Io,
    /// There is no room.
    NoSpace,
    /// No descriptor is left.
    NoDescriptor,
    /// Not now.
    Again,
    /// There is no memory.
    NoMemory,
    /// A signal came.
    Interrupted,
    /// The program is being written to.
    Busy,
    /// Half is done, and said to be.
    Short,
}

/// The calls of a class on every machine, and those that only older kinds have.
macro_rules! calls {
    ($($name:ident)* ; $($older:ident)*) => {
        &[$(libc::$name,)* $(#[cfg(target_arch = "x86_64")] libc::$older,)*]
    };
}

impl Class {
    /// As `TIDEGATE_FAULT` names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::Write => "write",
            Class::Store => "store",
            Class::Sync => "sync",
            Class::Names => "names",
            Class::Open => "open",
            Class::Fork => "fork",
            Class::Descriptors => "descriptors",
            Class::Size => "size",
            Class::Map => "map",
        }
    }

    /// The numbers of its calls.
    pub(super) fn calls(self) -> &'static [libc::c_long] {
        match self {
            Class::Write | Class::Store => {
                calls!(SYS_write SYS_pwrite64 SYS_writev SYS_pwritev2 SYS_copy_file_range SYS_sendfile;)
            }
            Class::Sync => calls!(SYS_fsync SYS_fdatasync;),
            Class::Names => calls!(
                SYS_renameat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_unlinkat SYS_mkdirat;
                SYS_rename SYS_link SYS_symlink SYS_unlink SYS_mkdir SYS_rmdir
            ),
            Class::Open => calls!(SYS_openat SYS_openat2; SYS_open SYS_creat),
            Class::Fork => calls!(SYS_clone SYS_clone3 SYS_execve; SYS_fork SYS_vfork),
            Class::Descriptors => calls!(
                SYS_pipe2 SYS_socketpair SYS_socket SYS_accept4 SYS_eventfd2 SYS_epoll_create1 SYS_pidfd_open
                SYS_memfd_create SYS_inotify_init1 SYS_dup SYS_fcntl;
                SYS_pipe
            ),
            Class::Size => calls!(SYS_ftruncate SYS_fallocate;),
            Class::Map => calls!(SYS_mmap;),
        }
    }

    /// How its calls fail.
    pub(super) fn faults(self) -> &'static [Fault] {
        match self {
            Class::Write | Class::Store => &[Fault::NoSpace, Fault::Io, Fault::Short, Fault::Interrupted],
            Class::Sync => &[Fault::Io, Fault::NoSpace],
            Class::Names => &[Fault::Io, Fault::NoSpace],
            Class::Open => &[Fault::NoDescriptor, Fault::Io],
            Class::Fork => &[Fault::Again, Fault::NoMemory],
            Class::Descriptors => &[Fault::NoDescriptor],
            Class::Size => &[Fault::NoSpace, Fault::Io],
            Class::Map => &[Fault::NoMemory],
        }
    }

    /// Whether a call of its numbers is meant: not what the loader does, and no call that cannot fail so.
    pub(super) fn counts(self, fault: Fault, call: &Call<'_>) -> bool {
        let is_library = |path: &str| path.contains(".so") || path.contains("/ld-");
        match self {
            // What wakes a thread of the program itself never fails so; and no disk is behind what it says on stderr.
            Class::Write if call.argument(0) as i32 == libc::STDERR_FILENO => false,
            Class::Write => !call.target(0).is_some_and(|target| {
                let has_disk = !["pipe:", "socket:"].iter().any(|kind| target.starts_with(kind));
                target.contains("[eventfd]") || (fault.is_of_a_disk() && !has_disk)
            }),
            Class::Store => call.target(0).is_some_and(|target| {
                target.starts_with('/') && !target.starts_with("/dev/") && !target.starts_with("/proc/")
            }),
            Class::Open => !call.path(1).is_some_and(|path| is_library(&path)),
            Class::Descriptors => {
                call.number() != libc::SYS_fcntl || call.argument(1) as i32 == libc::F_DUPFD_CLOEXEC
            }
            // What is mapped from files is the loader's; and so is all that it asks for.
            Class::Map => {
                call.argument(4) as i32 == -1 && !call.origin().is_some_and(|origin| origin.contains("/ld-"))
            }
            _ => true,
        }
    }
}

impl Fault {
    /// As `TIDEGATE_FAULT` names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Io => "EIO",
            Fault::NoSpace => "ENOSPC",
            Fault::NoDescriptor => "EMFILE",
            Fault::Again => "EAGAIN",
            Fault::NoMemory => "ENOMEM",
            Fault::Interrupted => "EINTR",
            Fault::Busy => "ETXTBSY",
            Fault::Short => "short",
        }
    }

    /// Its number.
    pub(super) fn errno(self) -> i32 {
        match self {
            Fault::Io => libc::EIO,
            Fault::NoSpace => libc::ENOSPC,
            Fault::NoDescriptor => libc::EMFILE,
            Fault::Again => libc::EAGAIN,
            Fault::NoMemory => libc::ENOMEM,
            Fault::Interrupted => libc::EINTR,
            Fault::Busy => libc::ETXTBSY,
            Fault::Short => 0,
        }
    }

    /// Whether calls can go on failing so: no signal comes for ever, and whoever is interrupted tries again at once.
    pub(super) fn can_stay(self) -> bool {
        self != Fault::Interrupted
    }

    /// Whether only what keeps bytes answers so: a pipe and a socket never do.
    fn is_of_a_disk(self) -> bool {
        matches!(self, Fault::Io | Fault::NoSpace)
    }

    pub(super) fn named(name: &str) -> Option<Fault> {
        use Fault::*;
        [Io, NoSpace, NoDescriptor, Again, NoMemory, Interrupted, Busy, Short]
            .into_iter()
            .find(|fault| fault.name() == name)
    }
}

/// Names of calls with the arguments that are paths; of the others the first is a descriptor.
const NAMES: &[(libc::c_long, &str, &[usize])] = &[
    (libc::SYS_write, "write", &[]),
    (libc::SYS_pwrite64, "pwrite64", &[]),
    (libc::SYS_writev, "writev", &[]),
    (libc::SYS_pwritev2, "pwritev2", &[]),
    (libc::SYS_copy_file_range, "copy_file_range", &[]),
    (libc::SYS_sendfile, "sendfile", &[]),
    (libc::SYS_fsync, "fsync", &[]),
    (libc::SYS_fdatasync, "fdatasync", &[]),
    (libc::SYS_ftruncate, "ftruncate", &[]),
    (libc::SYS_fallocate, "fallocate", &[]),
    (libc::SYS_renameat, "renameat", &[1, 3]),
    (libc::SYS_renameat2, "renameat2", &[1, 3]),
    (libc::SYS_linkat, "linkat", &[1, 3]),
    (libc::SYS_symlinkat, "symlinkat", &[0, 2]),
    (libc::SYS_unlinkat, "unlinkat", &[1]),
    (libc::SYS_mkdirat, "mkdirat", &[1]),
    (libc::SYS_openat, "openat", &[1]),
    (libc::SYS_openat2, "openat2", &[1]),
    (libc::SYS_execve, "execve", &[0]),
    (libc::SYS_clone, "clone", &[]),
    (libc::SYS_clone3, "clone3", &[]),
    (libc::SYS_pipe2, "pipe2", &[]),
    (libc::SYS_socketpair, "socketpair", &[]),
    (libc::SYS_socket, "socket", &[]),
    (libc::SYS_accept4, "accept4", &[]),
    (libc::SYS_eventfd2, "eventfd2", &[]),
    (libc::SYS_epoll_create1, "epoll_create1", &[]),
    (libc::SYS_pidfd_open, "pidfd_open", &[]),
    (libc::SYS_memfd_create, "memfd_create", &[]),
    (libc::SYS_inotify_init1, "inotify_init1", &[]),
    (libc::SYS_dup, "dup", &[]),
    (libc::SYS_fcntl, "fcntl(F_DUPFD_CLOEXEC)", &[]),
    (libc::SYS_mmap, "mmap", &[]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename", &[0, 1]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, "link", &[0, 1]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_symlink, "symlink", &[0, 1]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink", &[0]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir", &[0]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir", &[0]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", &[0]),
];

/// The name of a call.
pub(super) fn name(number: libc::c_long) -> String {
    let found = NAMES.iter().find(|(known, ..)| *known == number);
    found.map_or_else(|| format!("call {number}"), |(_, name, _)| (*name).to_owned())
}

/// Which of its arguments are paths.
pub(super) fn paths(number: libc::c_long) -> &'static [usize] {
    NAMES.iter().find(|(known, ..)| *known == number).map_or(&[], |(.., paths)| paths)
}
