//! The kernel's Landlock: what a process may do with files, whoever it runs as, for itself and all that it starts.
//!
//! Landlock only lets through and never shuts: to close a folder, everything beside it and beside each folder on the way
//! to it is let through instead. So what is made there later is closed as well, and the folders on the way cannot be
//! listed, since a right to list one would be a right to list all below.
//!
//! A kernel that cannot keep files from being read, written *and* cut short is refused: half a fence looks like one.
//! What came to Landlock later is used where it is there: signals and abstract sockets (Linux 6.12), commands to devices
//! (6.10), named sockets.

use super::Ground;
use ::landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What must be kept: with it came the right to cut files short (Linux 6.2).
const NEEDED: ABI = ABI::V3;
/// The newest that this was written for.
const WANTED: ABI = ABI::V7;
/// Where devices are. Raw disks have every file on them, so only harmless ones are let through.
const DEVICES: &str = "/dev";
/// Devices that may be read and written. No terminals: one folder has them all, and who has one open reads what others
/// of the same user type there.
const HARMLESS: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// What root keeps: rights over files and ids, which Landlock holds in bounds or which have nothing to do with it.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// How much of a fence the kernel of this machine can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlock {
    /// Files, signals and abstract sockets.
    Whole,
    /// Files only: a step may signal other processes of its user.
    FilesOnly,
    /// Too little to be used, or nothing.
    None,
}

impl Landlock {
    /// Asks the kernel. Restricts nothing.
    pub fn of_this_machine() -> Landlock {
        let hard = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let can = |rules: Result<Ruleset, RulesetError>| rules.and_then(Ruleset::create).is_ok();
        if !can(hard().handle_access(AccessFs::from_all(NEEDED))) {
            return Landlock::None;
        }
        match can(hard().scope(Scope::from_all(ABI::V6))) {
            true => Landlock::Whole,
            false => Landlock::FilesOnly,
        }
    }
}

/// Restricts the calling thread. The error reads after "failed to".
pub(super) fn enter(ground: &Ground, events: &Path) -> Result<(), String> {
    let status = restrict(ground, events).map_err(|error| match Landlock::of_this_machine() {
        Landlock::None => without(),
        _ => format!("put Landlock around the step: {error}"),
    })?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err(without());
    }
    let given_up = give_up_rights_of_root();
    given_up.map_err(|error| format!("give up what root may beside files: {}", std::io::Error::from(error)))
}

/// Some rights of root's go around Landlock: since Linux 6.15 whoever may measure others (`CAP_PERFMON`, and
/// `CAP_SYS_ADMIN` with it) reads the environment of any process, and others load modules or read the memory of the kernel.
/// Gaining no rights, what is started cannot get them back. Who is not root has none of them.
fn give_up_rights_of_root() -> Result<(), Errno> {
    let mut sets = capabilities(None)?;
    let before = sets;
    for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
        *set &= KEPT;
    }
    if sets == before { Ok(()) } else { set_capabilities(None, sets) }
}

fn without() -> String {
    "put Landlock around the step: the kernel of this machine has none, or one older than that of Linux 6.2; boot a \
     kernel with `lsm=landlock,…`, or say sandbox = \"user:NAME\""
        .into()
}

fn restrict(ground: &Ground, events: &Path) -> Result<RestrictionStatus, RulesetError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(BitFlags::<AccessFs>::from(AccessFs::ResolveUnix))?
        .scope(Scope::from_all(WANTED))?
        .create()?;
    let mut rules = Rules { rules: Some(rules), closed: closed(&ground.closed) };
    rules.open(Path::new("/"))?;
    let read = read_rights();
    let write = read | AccessFs::from_all(WANTED);
    for place in &ground.readable {
        rules.allow(place, read)?;
    }
    for place in &ground.writable {
        // Devices are not made: who may make one may read the disk.
        rules.allow(place, write & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev))?;
    }
    rules.allow(events, write)?;
    for device in HARMLESS {
        let rights = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        rules.allow(&Path::new(DEVICES).join(device), rights)?;
    }
    rules.rules.take().expect("BUG: rules are there between two of them").restrict_self()
}

fn read_rights() -> BitFlags<AccessFs> {
    AccessFs::from_read(WANTED) | AccessFs::ResolveUnix
}

/// Real paths of what is closed. Of what is not there the part that is counts, with the rest behind it.
fn closed(places: &[PathBuf]) -> BTreeSet<PathBuf> {
    let real = |place: &PathBuf| {
        let place = std::path::absolute(place).ok()?;
        place.ancestors().find_map(|there| {
            let rest = place.strip_prefix(there).ok()?;
            let real = there.canonicalize().ok()?;
            Some(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
        })
    };
    places.iter().filter_map(real).chain([DEVICES.into()]).collect()
}

struct Rules {
    /// None only while one is added.
    rules: Option<RulesetCreated>,
    closed: BTreeSet<PathBuf>,
}

impl Rules {
    /// Lets this be read, with all below, but for what is closed.
    fn open(&mut self, place: &Path) -> Result<(), RulesetError> {
        if self.closed.contains(place) {
            return Ok(());
        }
        if !self.closed.iter().any(|closed| closed.starts_with(place)) {
            return self.allow(place, read_rights());
        }
        // What may not be listed cannot be gone through, so nothing there is let through.
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            self.open(&entry.path())?;
        }
        Ok(())
    }

    /// A link is left out: where it leads is let through by its own name, or is not.
    fn allow(&mut self, place: &Path, rights: BitFlags<AccessFs>) -> Result<(), RulesetError> {
        let Ok((file, kind)) = handle(place) else { return Ok(()) };
        let rights = match kind {
            FileType::Symlink => return Ok(()),
            FileType::Directory => rights,
            _ => rights & AccessFs::from_file(ABI::V10),
        };
        let rules = self.rules.take().expect("BUG: rules are there between two of them");
        self.rules = Some(rules.add_rule(PathBeneath::new(file, rights))?);
        Ok(())
    }
}

fn handle(place: &Path) -> Result<(OwnedFd, FileType), Errno> {
    let file = openat(CWD, place, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
    Ok((file, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_goes_by_its_real_name_even_before_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::create_dir(real.join("state")).unwrap();
        std::os::unix::fs::symlink("state", real.join("link")).unwrap();
        let found = closed(&[real.join("link"), real.join("later/key")]);
        assert!(found.contains(&real.join("state")) && found.contains(&real.join("later/key")), "{found:?}");
    }
}
