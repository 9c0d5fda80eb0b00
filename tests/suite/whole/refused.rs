//! A system that refuses: a program under test some of whose calls fail, as they do where the machine is short of
//! something. Only that program and what it starts are concerned.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// A kind of call, and how it fails.
pub(crate) struct Call {
    number: libc::c_long,
    /// Only those whose argument of that index is so under that mask.
    only: Option<(u8, u64, u64)>,
    errno: i32,
}

const fn every(number: libc::c_long, errno: i32) -> Call {
    Call { number, only: None, errno }
}

const fn some(number: libc::c_long, index: u8, mask: u64, value: u64, errno: i32) -> Call {
    Call { number, only: Some((index, mask, value)), errno }
}

/// No thread can be started, but processes can. Where `clone3` is not there, `clone` is taken.
pub(crate) const THREADS: &[Call] = &[
    every(libc::SYS_clone3, libc::ENOSYS),
    some(libc::SYS_clone, 0, libc::CLONE_THREAD as u64, libc::CLONE_THREAD as u64, libc::EAGAIN),
];

/// Nobody can wait for several files at once: no handle is left.
pub(crate) const POLLS: &[Call] = &[every(libc::SYS_epoll_create1, libc::EMFILE)];

/// SIGTERM cannot be heard.
pub(crate) const SIGNALS: &[Call] =
    &[some(libc::SYS_rt_sigaction, 0, u32::MAX as u64, libc::SIGTERM as u64, libc::EINVAL)];

/// There are no good random numbers (those for hashing may be bad ones). Without pages that the kernel may drop, the C
/// library asks for each by a call.
pub(crate) const RANDOMNESS: &[Call] = &[
    some(libc::SYS_mmap, 3, 0xf, 0x8, libc::EINVAL),
    some(libc::SYS_getrandom, 2, u32::MAX as u64, 0, libc::EIO),
];

/// No file can be opened to read and write it.
pub(crate) const CHANGES: &[Call] =
    &[some(libc::SYS_openat, 2, libc::O_ACCMODE as u64, libc::O_RDWR as u64, libc::EROFS)];

/// Folders cannot be removed.
pub(crate) const REMOVALS: &[Call] = &[
    #[cfg(target_arch = "x86_64")]
    every(libc::SYS_rmdir, libc::EBUSY),
    some(libc::SYS_unlinkat, 2, u32::MAX as u64, libc::AT_REMOVEDIR as u64, libc::EBUSY),
];

/// TCSETS and TCSETS2, whose types are others with each C library.
const SET_MODES: [u64; 2] = [0x5402, 0x402c_542b];

/// The modes of a terminal cannot be set.
pub(crate) const MODES: &[Call] = &[
    some(libc::SYS_ioctl, 1, u32::MAX as u64, SET_MODES[0], libc::EIO),
    some(libc::SYS_ioctl, 1, u32::MAX as u64, SET_MODES[1], libc::EIO),
];

/// Lets these calls fail in the program of a command.
pub(crate) fn refuse(command: &mut Command, calls: &[Call]) {
    let filters: Vec<BpfProgram> = calls.iter().map(filter).collect();
    let apply = move || filters.iter().try_for_each(|filter| apply_filter(filter).map_err(io::Error::other));
    // SAFETY: between fork and exec nothing happens but two system calls for each program, which is made already.
    #[expect(unsafe_code, reason = "a filter must be there before the program begins")]
    unsafe {
        command.pre_exec(apply);
    }
}

fn filter(call: &Call) -> BpfProgram {
    let rules = call.only.map(|(index, mask, value)| {
        let is = SeccompCmpOp::MaskedEq(mask);
        let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, is, value).unwrap();
        SeccompRule::new(vec![condition]).unwrap()
    });
    let rules = BTreeMap::from([(call.number, rules.into_iter().collect())]);
    let fails = SeccompAction::Errno(u32::try_from(call.errno).unwrap());
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, fails, arch).unwrap().try_into().unwrap()
}
