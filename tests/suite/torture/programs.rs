//! The programs, what each may use, and how it must end. What a shell cannot do is in `hostile.c`.

use tidegate::runner::{How, Limit, StopCause};

/// What is run.
pub(super) enum Text {
    /// By the shell.
    Sh(&'static str),
    /// A name of one in `hostile.c`.
    C(&'static str),
    /// With so many variables more in its environment, and an argument of so many bytes.
    Large { variables: usize, argument: usize },
}

/// How it must end.
pub(super) enum End {
    /// By itself.
    Code(i32),
    /// By a signal that the runner did not send.
    Signal(i32),
    /// After its `timeout`.
    Timeout,
    /// Because it used too much.
    Limit(Limit),
    /// Before it began, for this reason.
    NotStarted(i32),
}

/// What its log must be.
pub(super) enum Log {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(&'static [u8]),
    /// One of these.
    OneOf(&'static [&'static [u8]]),
    /// As many zeros as it was told.
    Zeros,
    /// These, and more.
    Begins(&'static [u8]),
}

/// What must be so for it to be tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// The runner is root's.
    Root,
    /// Each run has a cgroup: without, it is a known gap.
    Cgroup,
}

/// One of them.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) text: Text,
    pub(super) end: End,
    pub(super) log: Log,
    /// Milliseconds.
    pub(super) timeout: u64,
    pub(super) memory: Option<u64>,
    pub(super) pids: Option<u32>,
    pub(super) disk: Option<u64>,
    pub(super) needs: Needs,
}

/// Longer than any that ends by itself takes on a busy machine.
const LONG: u64 = 60_000;
/// For those that do not end: after it had time to begin.
const SHORT: u64 = 150;

const fn of(name: &'static str, text: Text, end: End, log: Log) -> Program {
    let timeout = if matches!(end, End::Timeout) { SHORT } else { LONG };
    let needs = Needs::Nothing;
    Program { name, text, end, log, timeout, memory: None, pids: None, disk: None, needs }
}

const fn sh(name: &'static str, text: &'static str, end: End, log: Log) -> Program {
    of(name, Text::Sh(text), end, log)
}

const fn c(name: &'static str, end: End) -> Program {
    of(name, Text::C(name), end, Log::Empty)
}

const MIB: u64 = 1 << 20;

pub(super) const PROGRAMS: &[Program] = &[
    sh("exits_at_once", "exit 7", End::Code(7), Log::Empty),
    sh("kills_its_group", "setsid sleep 60 & kill -9 0", End::Signal(9), Log::Empty),
    sh("setsid", "setsid sleep 60 & echo begun", End::Code(0), Log::Bytes(b"begun\n")),
    sh(
        "double_fork",
        "(setsid sh -c 'sleep 60 & exit' &); (setsid sleep 60 &); echo begun",
        End::Code(0),
        Log::Bytes(b"begun\n"),
    ),
    sh(
        "double_fork_without_environment",
        "env -i setsid -f sh -c 'sleep 60 & sleep 60' >/dev/null 2>&1; echo begun",
        End::Code(0),
        Log::Bytes(b"begun\n"),
    ),
    c("thrice_without_trace", End::Code(0)),
    Program { needs: Needs::Cgroup, ..c("without_mark", End::Code(0)) },
    sh("holds_its_output", "sleep 60 & echo begun; exit 3", End::Code(3), Log::Bytes(b"begun\n")),
    sh(
        "closes_its_output_and_goes_on",
        "echo begun; exec >&- 2>&-; sleep 0.1; exit 5",
        End::Code(5),
        Log::Bytes(b"begun\n"),
    ),
    sh(
        "ignores_sigterm",
        "trap '' TERM HUP INT; (trap '' TERM; setsid sleep 60) & while :; do sleep 1; done",
        End::Timeout,
        Log::Empty,
    ),
    sh("stops_itself", "setsid sleep 60 & kill -STOP $$; echo never", End::Timeout, Log::Empty),
    sh("stops_its_group", "sleep 60 & setsid sleep 60 & kill -STOP 0; echo never", End::Timeout, Log::Empty),
    sh(
        "leaves_stopped_ones",
        "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; kill -STOP $$; sleep 60' & done; exit 0",
        End::Code(0),
        Log::Empty,
    ),
    c("fork_loop", End::Code(0)),
    c("headless", End::Code(0)),
    Program {
        pids: Some(24),
        ..sh(
            "fork_bomb",
            "echo begun; b() { n=$1; test $n -gt 0 || exec sleep 60; b $((n - 1)) & (setsid sh -c 'sleep 60' &) ; b $((n - 1)) & wait; }; b 7",
            End::Limit(Limit::Pids),
            Log::Begins(b"begun\n"),
        )
    },
    Program {
        memory: Some(48 * MIB),
        ..of(
            "hog_memory",
            Text::C("hog_memory"),
            End::Limit(Limit::Memory),
            Log::Begins(b"tidegate: memory limit 48 MiB passed: "),
        )
    },
    Program {
        disk: Some(4 * MIB),
        ..sh(
            "hog_disk",
            "mkdir deep; for i in $(seq 16); do head -c 1M /dev/zero > deep/$i; done; exec sleep 60",
            End::Limit(Limit::Disk),
            Log::Begins(b"tidegate: disk limit 4 MiB passed: "),
        )
    },
    sh("endless_line", "exec head -c $BYTES /dev/zero", End::Code(0), Log::Zeros),
    sh(
        "binary_output",
        r"printf '\000\001\377\376\200\r\n\303\050\000'",
        End::Code(0),
        Log::Bytes(b"\x00\x01\xff\xfe\x80\r\n\xc3\x28\x00"),
    ),
    sh(
        "escape_sequences",
        r"printf '\033]0;title\007\033[2J\033[31mred\033]8;;http://x\033\\\220\233'",
        End::Code(0),
        Log::Bytes(b"\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b]8;;http://x\x1b\\\x90\x9b"),
    ),
    sh(
        "output_after_its_end",
        "(sleep 0.01; echo late; sleep 60) & echo first",
        End::Code(0),
        Log::OneOf(&[b"first\n", b"first\nlate\n", b"late\nfirst\n"]),
    ),
    sh("floods_after_its_end", "(trap '' TERM; setsid yes) & exit 4", End::Code(4), Log::Begins(b"")),
    sh("reads_its_input", "cat; read line; echo $?", End::Code(0), Log::Bytes(b"1\n")),
    c("vfork_and_leave", End::Code(0)),
    c("wait_uninterruptibly", End::Timeout),
    c("clone_parent", End::Code(0)),
    c("new_pid_namespace", End::Code(0)),
    c("trace_child", End::Timeout),
    c("leave_traced_child", End::Code(0)),
    Program { needs: Needs::Root, ..c("become_nobody", End::Code(0)) },
    c("reaper_of_its_own", End::Code(0)),
    sh(
        "deletes_its_workspace",
        "rm -rf \"$PWD\"; setsid sleep 60 & echo gone",
        End::Code(0),
        Log::Bytes(b"gone\n"),
    ),
    sh(
        "shuts_its_workspace",
        "mkdir in; setsid sleep 60 & chmod 000 in .; echo shut",
        End::Code(0),
        Log::Bytes(b"shut\n"),
    ),
    of(
        "ten_thousand_variables",
        Text::Large { variables: 10_000, argument: 1 },
        End::Code(0),
        Log::Bytes(b"1\n"),
    ),
    of(
        "too_large_an_argument",
        Text::Large { variables: 0, argument: 200_000 },
        End::NotStarted(libc::E2BIG),
        Log::Empty,
    ),
    c("many_short_ones", End::Code(0)),
];

impl End {
    pub(super) fn fits(&self, how: &How) -> bool {
        match (self, how) {
            (End::Code(wanted), How::Code(code)) => wanted == code,
            (End::Signal(wanted), How::Signal(signal)) => wanted == signal,
            (End::Timeout, How::Stopped(StopCause::Timeout)) => true,
            (End::Limit(wanted), How::LimitPassed(passed)) => *wanted == passed.limit,
            (End::NotStarted(wanted), How::NotStarted { errno, .. }) => wanted == errno,
            _ => false,
        }
    }
}

impl Log {
    pub(super) fn fits(&self, log: &[u8]) -> bool {
        match self {
            Log::Empty => log.is_empty(),
            Log::Bytes(wanted) => log == *wanted,
            Log::OneOf(all) => all.contains(&log),
            Log::Zeros => log.len() == super::yard::line_bytes() && log.iter().all(|byte| *byte == 0),
            Log::Begins(wanted) => log.starts_with(wanted),
        }
    }
}
