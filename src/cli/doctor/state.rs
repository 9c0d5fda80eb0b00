//! The state folder: who may look inside, what it lies on, and the token files in it.

use super::{Findings, OwnerToken};
use crate::settings::{Privacy, Settings, StateDirError, read_token_file};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Below this much free space it is said, in bytes.
const LITTLE: u64 = 1 << 30;

pub(super) fn look(settings: &Settings, findings: &mut Findings) -> OwnerToken {
    let state = &settings.state;
    let path = state.path().display().to_string();
    let Some(there) = state.path().ancestors().find(|folder| folder.exists()) else {
        return OwnerToken::Usable;
    };
    if there == state.path() {
        folder(state.path(), &path, findings);
    } else if rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_ok() {
        findings.ok("state", &path, "it is not there yet; `tidegate serve` makes it");
    } else {
        let help = "name another with `--state DIR`, or let this user make it";
        findings.bad(
            "state",
            &path,
            format!("it is not there, and `{}` may not be written", there.display()),
            help,
        );
    }
    disk(there, &path, settings.retention.min_free_bytes, findings);
    let owner = if state.token().exists() { token(&state.token(), findings) } else { OwnerToken::Usable };
    if let Ok(about) = std::fs::metadata(state.tokens()) {
        let place = state.tokens().display().to_string();
        match about.mode() & 0o077 {
            0 => findings.ok("tokens", &place, "only its owner can read it"),
            _ => findings.bad(
                "tokens",
                &place,
                format!("others can read it (mode {:04o})", about.mode() & 0o777),
                &format!("chmod 600 {place}"),
            ),
        }
    }
    owner
}

fn folder(folder: &Path, place: &str, findings: &mut Findings) {
    let error = match std::fs::metadata(folder) {
        Err(cause) => StateDirError::Unusable { path: folder.into(), cause },
        Ok(about) => {
            let us = rustix::process::geteuid().as_raw();
            let mode = about.mode() & 0o777;
            if !about.is_dir() {
                StateDirError::NotAFolder { path: folder.into() }
            } else if about.uid() != us {
                StateDirError::NotOurs { path: folder.into(), owner: about.uid(), us }
            } else if mode & 0o077 == 0o011 {
                let found = "only its owner can look inside; steps that run as an account pass through";
                return findings.ok("state", place, found);
            } else if mode & 0o077 != 0 {
                StateDirError::Exposed { path: folder.into(), mode }
            } else if let Err(error) = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK) {
                StateDirError::NotWritable { path: folder.into(), cause: error.into() }
            } else {
                return findings.ok("state", place, "only its owner can look inside");
            }
        }
    };
    findings.bad("state", place, format!("failed to {error} [{}]", error.code()), &error.help());
}

fn token(path: &Path, findings: &mut Findings) -> OwnerToken {
    let place = path.display().to_string();
    match read_token_file(path, Privacy::Owner) {
        Ok(_) => {
            findings.ok("token", &place, "only its owner can read it");
            OwnerToken::Usable
        }
        Err(error) => {
            findings.bad("token", &place, format!("failed to {error} [{}]", error.code()), &error.help());
            OwnerToken::Refused
        }
    }
}

fn disk(there: &Path, place: &str, least: u64, findings: &mut Findings) {
    if let Ok(about) = rustix::fs::statvfs(there) {
        let free = about.f_bavail.saturating_mul(about.f_frsize);
        let found = format!("{} free; below {} (`min_free`) nothing new begins", size(free), size(least));
        let help = "make room, or say less as `min_free` below `[retention]` in tidegate.toml";
        if free < least {
            findings.bad("disk", place, found, help);
        } else if free < LITTLE {
            let found = format!("{found}; less than {} is soon used up by builds", size(LITTLE));
            findings.warning("disk", place, found, help);
        } else {
            findings.ok("disk", place, found);
        }
    }
    let Ok(about) = rustix::fs::statfs(there) else { return };
    match kind(about.f_type as u32) {
        Kind::Network(name) => {
            let help = "keep the state folder on a disk of this machine: locks and the journal do not hold over a network";
            findings.warning("file-system", place, format!("{name}, over a network"), help);
        }
        Kind::Memory => {
            findings.warning(
                "file-system",
                place,
                "in memory: gone when the machine stops",
                "name a folder on a disk with `--state DIR`",
            );
        }
        Kind::Local => findings.ok("file-system", place, "of this machine"),
    }
}

enum Kind {
    Local,
    Network(&'static str),
    Memory,
}

/// Numbers of file systems, from linux/magic.h.
fn kind(magic: u32) -> Kind {
    match magic {
        0x6969 => Kind::Network("NFS"),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => Kind::Network("SMB"),
        0x0102_1997 => Kind::Network("9P"),
        0x00C3_6400 => Kind::Network("Ceph"),
        0x5346_414F | 0x6B41_4653 => Kind::Network("AFS"),
        0x0BD0_0BD0 => Kind::Network("Lustre"),
        0x6573_5546 => Kind::Network("FUSE"),
        0x0102_1994 | 0x8584_58F6 => Kind::Memory,
        _ => Kind::Local,
    }
}

/// A size, as people say it.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}
