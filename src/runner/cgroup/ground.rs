//! The cgroup below which this process may make some. Found once, when the first runner of the process is made.
//!
//! # Whose it is
//! It is the cgroup that this process is in, if it may make another below it. A manager of services gives one away with
//! `Delegate=yes` to the user of the service. Root may make them everywhere, and does so below its own only.
//!
//! # Who sits where
//! The kernel keeps limits below a cgroup only while no process sits in it itself (but at the very top). So this process
//! moves into a leaf called [`LEAF`] before it asks for that, unless it was started there: then the ground is one above.
//! Under systemd it never moves itself: systemd puts the next process of the service into the service's own cgroup, and
//! cannot once limits are kept below it, while steps go on there (`KillMode=process`). It has to be told of the leaf
//! instead (`DelegateSubgroup=`, systemd 254). Without, runs have cgroups there whose limits `limits` counts.

use super::cell::{Cell, Name};
use super::{Controllers, place};
use crate::domain::RunId;
use crate::runner::Limits;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// What the leaf is called in which whoever makes cgroups beside it sits.
const LEAF: &str = "controller";
/// Switches all of this off, when it is `off`.
const VARIABLE: &str = "TIDEGATE_CGROUP";
/// Whoever finds this in its environment was started by systemd.
const UNDER_SYSTEMD: &str = "INVOCATION_ID";

/// Why there are no cgroups for runs. `Display` reads after "no, ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The kernel has none of version 2, or they are not mounted.
    NoVersion2,
    /// Its own cgroup is not to be seen from here.
    Elsewhere,
    /// It may not make one.
    NotDelegated {
        /// Its own.
        folder: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The kernel cannot end all processes of one at once.
    NoKill,
    /// Somebody wants none.
    SwitchedOff,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absent::NoVersion2 => f.write_str("version 2 of cgroups is not mounted"),
            Absent::Elsewhere => {
                f.write_str("the cgroup of this process is not among those that are mounted")
            }
            Absent::NotDelegated { folder, error } => {
                write!(f, "`{}` is not delegated: none can be made in it ({error})", folder.display())
            }
            Absent::NoKill => f.write_str("the kernel has no `cgroup.kill` (Linux 5.14)"),
            Absent::SwitchedOff => write!(f, "`{VARIABLE}` says `off`"),
        }
    }
}

/// Where cgroups of runs are made, and which limits the kernel keeps there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The folder.
    pub folder: PathBuf,
    /// What is kept below it.
    pub controllers: Controllers,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "below `{}`, with the controllers: {}", self.folder.display(), self.controllers)
    }
}

/// What a process can do with cgroups.
pub struct Cgroups {
    ground: Result<Ground, Absent>,
    /// Those whose run is over and that are not empty yet.
    left: Mutex<Vec<PathBuf>>,
}

impl Cgroups {
    /// Those of this process, which are looked for once. It may be in another cgroup after that.
    pub fn of_this_process() -> &'static Cgroups {
        static ALL: LazyLock<Cgroups> = LazyLock::new(|| Cgroups::new(take()));
        &ALL
    }

    /// None at all.
    pub fn none() -> &'static Cgroups {
        static NONE: Cgroups = Cgroups { ground: Err(Absent::SwitchedOff), left: Mutex::new(Vec::new()) };
        &NONE
    }

    fn new(ground: Result<Ground, Absent>) -> Cgroups {
        Cgroups { ground, left: Mutex::default() }
    }

    /// Where runs have theirs, or why they have none.
    pub fn ground(&self) -> Result<&Ground, &Absent> {
        self.ground.as_ref()
    }

    /// Ends the runs of this runner (`house`, a number that it has whatever process it is) that were left when it was
    /// killed, and removes their cgroups. What a deploy left running on purpose lives on, and so does what others left: what
    /// becomes of that is theirs to say. For whoever has looked before for what may be asked to end, and be named
    /// ([`crate::runner::end_abandoned`]).
    pub(in crate::runner) fn end_abandoned(&self, house: u64) {
        super::cell::make_for(house);
        if let Ok(ground) = &self.ground {
            end_abandoned(&ground.folder);
        }
    }

    /// A new one for a run. None: it goes without.
    pub(in crate::runner) fn make(&self, run: RunId, limits: &Limits) -> Option<Cell> {
        let ground = self.ground.as_ref().ok()?;
        self.sweep();
        Cell::make(&ground.folder.join(Name::new(run).to_string()), limits).ok()
    }

    /// To be removed, now or once it is empty.
    pub(in crate::runner) fn let_go(&self, cell: Cell) {
        cell.wait();
        if let Err(folder) = cell.remove() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
        }
    }

    /// Removes what has become empty.
    fn sweep(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|folder| Cell::at(folder).remove().is_err());
    }
}

impl Ground {
    /// What a controller has that is this process, or, without one, would have if it were started as this one is. Changes
    /// nothing but that it makes a cgroup and removes it again.
    ///
    /// # Errors
    /// It has none, and why.
    pub fn of(process: Option<u32>) -> Result<Ground, Absent> {
        let Seat { ground, sits } = seat(process)?;
        // One that is at work has asked for all that it can have.
        let would_ask = process.is_none() && sits.may_ask();
        let file = if would_ask { "cgroup.controllers" } else { "cgroup.subtree_control" };
        let controllers = Controllers::listed(&read(&ground, file));
        Ok(Ground { folder: ground, controllers })
    }
}

/// Where a process is in what was given to it.
struct Seat {
    ground: PathBuf,
    sits: Sits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sits {
    /// At the very top, where the rule does not hold.
    AtTheTop,
    /// In the leaf.
    InLeaf,
    /// In the ground itself, and may move.
    Inside,
    /// In the ground itself, where it has to stay.
    Fixed,
}

impl Sits {
    /// Whether it may ask the kernel to keep limits below the ground.
    fn may_ask(self) -> bool {
        self != Sits::Fixed
    }
}

fn seat(process: Option<u32>) -> Result<Seat, Absent> {
    if std::env::var_os(VARIABLE).is_some_and(|word| word == "off") {
        return Err(Absent::SwitchedOff);
    }
    let own = place::folder_of(process)?;
    let above = own.parent().filter(|_| own.file_name().is_some_and(|name| name == LEAF));
    if let Some(above) = above
        && try_out(above).is_ok()
    {
        return Ok(Seat { ground: above.to_owned(), sits: Sits::InLeaf });
    }
    try_out(&own)?;
    // The one at the very top has no type.
    let sits = match (own.join("cgroup.type").exists(), std::env::var_os(UNDER_SYSTEMD)) {
        (false, _) => Sits::AtTheTop,
        (true, None) => Sits::Inside,
        (true, Some(_)) => Sits::Fixed,
    };
    Ok(Seat { ground: own, sits })
}

/// Whether a cgroup can be made there, and be used.
fn try_out(folder: &Path) -> Result<(), Absent> {
    let probe = folder.join(Name::new(RunId(0)).to_string());
    let refused =
        |error: io::Error| Absent::NotDelegated { folder: folder.to_owned(), error: error.to_string() };
    fs::create_dir(&probe).map_err(refused)?;
    let can_kill = probe.join("cgroup.kill").exists();
    fs::remove_dir(&probe).map_err(refused)?;
    if can_kill { Ok(()) } else { Err(Absent::NoKill) }
}

/// Makes it this process's.
fn take() -> Result<Ground, Absent> {
    let Seat { ground, sits } = seat(None)?;
    let missing = |wanted: Controllers| {
        let here = read(&ground, "cgroup.subtree_control");
        wanted.names().find(|name| !here.split_ascii_whitespace().any(|word| word == *name))
    };
    let possible = Controllers::listed(&read(&ground, "cgroup.controllers"));
    if sits.may_ask() && missing(possible).is_some() {
        if sits == Sits::Inside {
            sit_in_leaf(&ground);
        }
        for name in possible.names() {
            // Others sit there, or it is used by a hierarchy of version 1: then it is not kept.
            let _ = fs::write(ground.join("cgroup.subtree_control"), format!("+{name}"));
        }
    }
    let controllers = Controllers::listed(&read(&ground, "cgroup.subtree_control"));
    Ok(Ground { folder: ground, controllers })
}

fn sit_in_leaf(ground: &Path) {
    let leaf = ground.join(LEAF);
    // There already, or refused: what is asked for next then fails as well.
    let _ = fs::create_dir(&leaf);
    let _ = fs::write(leaf.join("cgroup.procs"), "0");
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_default()
}

fn end_abandoned(ground: &Path) {
    for entry in fs::read_dir(ground).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().and_then(Name::parse) else { continue };
        if name.maker_lives() {
            continue;
        }
        let cell = Cell::at(&entry.path());
        if name.is_of_this_house() && !cell.may_stay() {
            cell.end();
            // That does not reach one whose first thread has ended; a signal does.
            cell.signal_all();
            cell.wait();
        }
        // One that is not empty is looked at again by the next process.
        let _ = cell.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_cgroup_is_not_taken_for_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(try_out(dir.path()), Err(Absent::NoKill));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left there");
        let not_there = dir.path().join("gone");
        let Err(Absent::NotDelegated { folder, .. }) = try_out(&not_there) else { panic!("it is refused") };
        assert_eq!(folder, not_there);
    }

    /// A cgroup with a process in it, by somebody who is gone.
    fn abandoned(ground: &Ground, name: Name) -> (PathBuf, std::process::Child) {
        let folder = ground.folder.join(name.to_string());
        fs::create_dir(&folder).unwrap();
        let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        fs::write(folder.join("cgroup.procs"), child.id().to_string()).unwrap();
        (folder, child)
    }

    #[test]
    fn what_a_killed_runner_left_is_ended_and_what_may_stay_stays() {
        let Ok(ground) = Ground::of(None) else {
            eprintln!("skipped: no cgroups here");
            return;
        };
        let (others, mut lives) = abandoned(&ground, Name::of_the_dead(RunId(1)));
        // No other test of this process minds.
        super::super::cell::make_for(0x7e57);
        let (folder, mut child) = abandoned(&ground, Name::of_the_dead(RunId(1)));
        let (staying, mut stays) = abandoned(&ground, Name::of_the_dead(RunId(1)));
        Cell::at(&staying).let_stay();
        end_abandoned(&ground.folder);
        assert!(!child.wait().unwrap().success());
        assert!(stays.try_wait().unwrap().is_none(), "it lives on");
        assert!(lives.try_wait().unwrap().is_none(), "it is no business of ours");
        assert!(!folder.exists() && staying.exists() && others.exists());
        for child in [&mut stays, &mut lives] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        end_abandoned(&ground.folder);
        assert!(!staying.exists() && !others.exists(), "nobody is in there any more");
    }

    #[test]
    fn why_there_is_none_reads_well() {
        let absent =
            Absent::NotDelegated { folder: "/sys/fs/cgroup/a".into(), error: "Permission denied".into() };
        assert_eq!(
            absent.to_string(),
            "`/sys/fs/cgroup/a` is not delegated: none can be made in it (Permission denied)"
        );
        let ground = Ground { folder: "/c".into(), controllers: Controllers::listed("cpuset cpu io memory") };
        assert_eq!(ground.to_string(), "below `/c`, with the controllers: memory, cpu");
        let none = Ground { folder: "/c".into(), controllers: Controllers::listed("hugetlb") };
        assert_eq!(none.to_string(), "below `/c`, with the controllers: none");
    }
}
