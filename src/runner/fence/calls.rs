//! System calls that Landlock does not judge, and that would take a step out of what keeps it: a filter for the kernel's
//! seccomp, which becomes part of a process right before it is another program ([`super::super::birth`]).
//!
//! - Who has the user id of another process may set its limits: with none left for files or processor time the controller
//!   ends, and a step would have signalled it after all. A process sets its own limits, and reads those of others.
//! - The limit of locks is the mark that tells whose a process is ([`super::super::kin`]); it stays as it is.
//! - `clone3` makes a process in any cgroup whose folder can be opened, and is asked in memory that a filter cannot see. It
//!   does not exist here, as it does not in older kernels and in most containers; the C library has another way.
//! - Who has a program with the set-user-id bit lying somewhere becomes its owner from any other account: nothing gets that
//!   bit, or that of the group (systemd's `RestrictSUIDSGID=` does the same). `openat2` and `io_uring`, which would make
//!   such files unseen, do not exist.
//! - Who has a terminal open types into it (`TIOCSTI`), for whoever reads there next.
//!
//! It is written out here because it has to answer in two ways, and for programs of 32 bits as well: `seccompiler`, which the
//! tests use, ends these, and does not see the numbers that mean other sizes of pointers.
//!
//! Whatever else a process can do to others of its user (priorities, processors) makes them slow and no more. What modes its
//! files have is for each to say: nobody can tell here which file is meant.

use libc::{sock_filter, sock_fprog};

/// How one kind of processor numbers what is looked at.
struct Kind {
    /// What the kernel calls the kind.
    arch: u32,
    /// Bits of a number that say which call it is; another may say for which size of pointers.
    mask: u32,
    /// Those that each kind numbers in its own way.
    calls: &'static [(u32, Rule)],
}

/// When a call is refused.
#[derive(Clone, Copy)]
enum Rule {
    /// Always: it does not exist.
    Unknown,
    /// For another process, and for the mark.
    Limit,
    /// For the mark.
    OwnLimit,
    /// With the bits of set-id programs in this argument.
    Mode(u32),
    /// The same, where it makes a file: flags are in the argument before it.
    Open(u32),
    /// For typing into a terminal.
    Control,
}

use Rule::{Control, Limit, Mode, Open, OwnLimit, Unknown};

const CLONE3: u32 = 435;
/// Calls that are newer than the differences between processors: `io_uring_setup`, `openat2` and `fchmodat2` beside it.
const NEWER: [(u32, Rule); 4] = [(425, Unknown), (CLONE3, Unknown), (437, Unknown), (452, Mode(2))];

#[cfg(target_arch = "x86_64")]
const KINDS: [Kind; 2] = [
    Kind {
        arch: 0xC000_003E,
        mask: !0x4000_0000,
        calls: &[
            (2, Open(2)),
            (16, Control),
            (85, Mode(1)),
            (90, Mode(1)),
            (91, Mode(1)),
            (133, Mode(1)),
            (160, OwnLimit),
            (257, Open(3)),
            (259, Mode(2)),
            (268, Mode(2)),
            (302, Limit),
        ],
    },
    // Programs of 32 bits.
    Kind {
        arch: 0x4000_0003,
        mask: !0,
        calls: &[
            (5, Open(2)),
            (8, Mode(1)),
            (14, Mode(1)),
            (15, Mode(1)),
            (54, Control),
            (75, OwnLimit),
            (94, Mode(1)),
            (295, Open(3)),
            (297, Mode(2)),
            (306, Mode(2)),
            (340, Limit),
        ],
    },
];
#[cfg(target_arch = "aarch64")]
const KINDS: [Kind; 2] = [
    Kind {
        arch: 0xC000_00B7,
        mask: !0,
        calls: &[
            (29, Control),
            (33, Mode(2)),
            (52, Mode(1)),
            (53, Mode(2)),
            (56, Open(3)),
            (164, OwnLimit),
            (261, Limit),
        ],
    },
    // Programs of 32 bits.
    Kind {
        arch: 0x4000_0028,
        mask: !0,
        calls: &[
            (5, Open(2)),
            (8, Mode(1)),
            (14, Mode(1)),
            (15, Mode(1)),
            (54, Control),
            (75, OwnLimit),
            (94, Mode(1)),
            (322, Open(3)),
            (324, Mode(2)),
            (333, Mode(2)),
            (369, Limit),
        ],
    },
];
/// Others are let through as they are: Landlock alone is their fence.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const KINDS: [Kind; 0] = [];

/// Where what is asked lies in what a filter is given: `struct seccomp_data` of linux/seccomp.h.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The lower half of an argument. Both kinds of processor begin with it.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

const ALLOW: sock_filter = answer(libc::SECCOMP_RET_ALLOW);
const REFUSE: sock_filter = answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
const UNKNOWN: sock_filter = answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
/// Of a mode: set-user-id and set-group-id.
const SET_ID: u32 = libc::S_ISUID | libc::S_ISGID;
/// Of flags: a file is made, with a name or without. `O_TMPFILE` is this bit and that of a folder.
const MAKES: u32 = libc::O_CREAT as u32 | libc::O_TMPFILE as u32 & !(libc::O_DIRECTORY as u32);
const TIOCSTI: u32 = 0x5412;
/// Selects and pastes text on a console.
const TIOCLINUX: u32 = 0x541C;

/// The filter. Its parts end with an answer each, so that a step over one is as long as that is.
#[derive(Debug)]
pub(in crate::runner) struct Calls(Vec<sock_filter>);

impl Calls {
    pub(in crate::runner) fn of_a_fence() -> Calls {
        let mut all = Vec::new();
        for kind in &KINDS {
            let body = kind.judge();
            all.extend([load(ARCH), unless_equal(kind.arch, body.len())]);
            all.extend(body);
        }
        all.push(ALLOW);
        Calls(all)
    }

    /// As the kernel takes it; it points into this.
    pub(in crate::runner) fn program(&self) -> sock_fprog {
        let len = u16::try_from(self.0.len()).expect("BUG: the filter has some hundred lines");
        sock_fprog { len, filter: self.0.as_ptr().cast_mut() }
    }
}

impl Kind {
    fn judged(&self) -> impl Iterator<Item = (u32, Rule)> {
        self.calls.iter().copied().chain(NEWER)
    }

    fn judge(&self) -> Vec<sock_filter> {
        let mut body = vec![load(NUMBER), line(libc::BPF_ALU | libc::BPF_AND, self.mask)];
        for (number, rule) in self.judged() {
            let part = rule.judge();
            body.push(unless_equal(number, part.len()));
            body.extend(part);
        }
        body.push(ALLOW);
        body
    }
}

impl Rule {
    fn judge(self) -> Vec<sock_filter> {
        match self {
            Unknown => vec![UNKNOWN],
            Limit => vec![
                // Without a new limit it only reads.
                load(argument(2)),
                unless_equal(0, 3),
                load(argument(2) + 4),
                unless_equal(0, 1),
                ALLOW,
                // Of which process: 0 is itself. The kernel looks at no more than this half.
                load(argument(0)),
                if_equal(0, 1),
                REFUSE,
                load(argument(1)),
                unless_equal(libc::RLIMIT_LOCKS, 1),
                REFUSE,
                ALLOW,
            ],
            OwnLimit => vec![load(argument(0)), unless_equal(libc::RLIMIT_LOCKS, 1), REFUSE, ALLOW],
            Mode(index) => vec![load(argument(index)), unless_any(SET_ID, 1), REFUSE, ALLOW],
            Open(index) => {
                let makes = [load(argument(index - 1)), unless_any(MAKES, 3)];
                let mode = [load(argument(index)), unless_any(SET_ID, 1), REFUSE, ALLOW];
                [&makes[..], &mode].concat()
            }
            Control => {
                let kind = load(argument(1));
                vec![kind, if_equal(TIOCSTI, 1), unless_equal(TIOCLINUX, 1), REFUSE, ALLOW]
            }
        }
    }
}

const fn line(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn load(offset: u32) -> sock_filter {
    line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

const fn answer(what: u32) -> sock_filter {
    line(libc::BPF_RET, what)
}

/// Goes on with the next line where what was loaded is this, else steps over so many.
fn unless_equal(value: u32, over: usize) -> sock_filter {
    let jf = u8::try_from(over).expect("BUG: parts are short");
    sock_filter { jf, ..line(libc::BPF_JMP | libc::BPF_JEQ, value) }
}

/// Goes on with the next line where what was loaded has one of these bits, else steps over so many.
fn unless_any(bits: u32, over: u8) -> sock_filter {
    sock_filter { jf: over, ..line(libc::BPF_JMP | libc::BPF_JSET, bits) }
}

/// Steps over so many lines where what was loaded is this, else goes on with the next.
fn if_equal(value: u32, over: u8) -> sock_filter {
    sock_filter { jt: over, ..line(libc::BPF_JMP | libc::BPF_JEQ, value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn answered(arch: u32, number: u32, arguments: &[u64]) -> sock_filter {
        let Calls(lines) = Calls::of_a_fence();
        let loaded = |offset: u32| match offset {
            NUMBER => number,
            ARCH => arch,
            _ => {
                let [index, rest] = [(offset - 16) / 8, (offset - 16) % 8];
                (arguments.get(index as usize).unwrap_or(&0) >> (8 * rest)) as u32
            }
        };
        let (mut at, mut held) = (0, 0);
        loop {
            let line = lines[at];
            at += 1;
            match u32::from(line.code) & 7 {
                libc::BPF_LD => held = loaded(line.k),
                libc::BPF_ALU => held &= line.k,
                libc::BPF_RET => return line,
                _ => {
                    let has_bits = u32::from(line.code) & 0xf0 == libc::BPF_JSET;
                    let holds = if has_bits { held & line.k != 0 } else { held == line.k };
                    at += usize::from(if holds { line.jt } else { line.jf });
                }
            }
        }
    }

    const SOMEWHERE: u64 = 0x7f00_0000_0000;
    const HIGH: u64 = u64::MAX << 32;

    fn asked_of_a_rule(ask: impl Fn(&[u64]) -> sock_filter, rule: Rule) {
        let files = u64::from(libc::RLIMIT_NOFILE);
        let locks = u64::from(libc::RLIMIT_LOCKS);
        match rule {
            Unknown => assert_eq!(ask(&[SOMEWHERE, 88]), UNKNOWN),
            Limit => {
                assert_eq!(ask(&[1234, files, SOMEWHERE]), REFUSE);
                assert_eq!(ask(&[1234, files, 0x8000]), REFUSE, "a pointer below four GiB");
                assert_eq!(ask(&[HIGH | 1234, files, SOMEWHERE]), REFUSE);
                assert_eq!(ask(&[0, files, SOMEWHERE]), ALLOW);
                assert_eq!(ask(&[0, locks, SOMEWHERE]), REFUSE);
                assert_eq!(ask(&[HIGH, HIGH | locks, SOMEWHERE]), REFUSE);
                assert_eq!(ask(&[1234, locks, 0]), ALLOW, "it only reads");
            }
            OwnLimit => {
                assert_eq!(ask(&[locks, SOMEWHERE]), REFUSE);
                assert_eq!(ask(&[files, SOMEWHERE]), ALLOW);
            }
            Mode(index) => {
                let with = |mode| [vec![SOMEWHERE; index as usize], vec![mode]].concat();
                for (mode, answer) in [(0o4755, REFUSE), (0o2711, REFUSE), (0o755, ALLOW), (0o1777, ALLOW)] {
                    assert_eq!(ask(&with(mode)), answer, "{mode:o}");
                    assert_eq!(ask(&with(HIGH | mode)), answer, "{mode:o}");
                }
            }
            Open(index) => {
                let with = |flags, mode| [vec![SOMEWHERE; index as usize - 1], vec![flags, mode]].concat();
                for flags in [libc::O_CREAT, libc::O_TMPFILE, libc::O_CREAT | libc::O_WRONLY] {
                    assert_eq!(ask(&with(flags as u64, 0o4755)), REFUSE);
                    assert_eq!(ask(&with(flags as u64, 0o755)), ALLOW);
                }
                let without = (libc::O_RDWR | libc::O_DIRECTORY) as u64;
                assert_eq!(ask(&with(without, 0o7777)), ALLOW, "its mode is no argument");
            }
            Control => {
                assert_eq!(ask(&[0, u64::from(TIOCSTI)]), REFUSE);
                assert_eq!(ask(&[0, HIGH | u64::from(TIOCLINUX)]), REFUSE);
                assert_eq!(ask(&[0, u64::from(TIOCSTI) + 1]), ALLOW);
            }
        }
    }

    #[test]
    fn each_call_is_judged_by_its_rule_and_every_other_one_is_let_through() {
        for kind in &KINDS {
            for (number, rule) in kind.judged() {
                for number in [number, number | !kind.mask] {
                    asked_of_a_rule(|arguments| answered(kind.arch, number, arguments), rule);
                }
            }
            for number in (0..600).filter(|number| kind.judged().all(|(judged, _)| judged != *number)) {
                assert_eq!(answered(kind.arch, number, &[0o7777; 6]), ALLOW);
            }
        }
        assert_eq!(answered(1, CLONE3, &[]), ALLOW, "another kind of processor");
    }

    #[test]
    fn the_numbers_are_those_of_this_system() {
        let Some(kind) = KINDS.first() else { return };
        let known = |number: libc::c_long| kind.judged().any(|(judged, _)| i64::from(judged) == number);
        for number in [
            libc::SYS_prlimit64,
            libc::SYS_setrlimit,
            libc::SYS_clone3,
            libc::SYS_io_uring_setup,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchmodat2,
            libc::SYS_mknodat,
            libc::SYS_ioctl,
        ] {
            assert!(known(number), "{number}");
        }
        #[cfg(target_arch = "x86_64")]
        for number in [libc::SYS_open, libc::SYS_creat, libc::SYS_chmod, libc::SYS_mknod] {
            assert!(known(number), "{number}");
        }
    }
}
