//! The lock on a state folder: one controller at a time, on a file system that can be trusted.
//!
//! The lock is `flock` on the file `lock` in the folder, so that the kernel lets go of it however the process ends.
//! The file's text (process id, boot id) only tells people who has it; nothing is decided by it.

use super::Error;
use rustix::fs::FlockOperation;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the lock of a process that is gone is waited for, and between two looks.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// File systems that have no locks or no shared memory to rely upon, by the magic number of statfs(2).
const NETWORK: [(u32, &str); 7] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x5346_414f, "afs"),
    (0x7375_7245, "coda"),
    (0x564c, "ncp"),
];

/// A state folder that is ours until this is dropped.
#[derive(Debug)]
pub struct StateLock {
    folder: PathBuf,
    /// The lock lives as long as this open file does.
    _file: File,
}

impl StateLock {
    /// Makes the folder if need be (0700), and takes it. Fails at once when somebody else has it.
    pub fn acquire(folder: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| Error::io("make the state folder", &error))?;
        let folder = folder.canonicalize().map_err(|error| Error::io("find the state folder", &error))?;
        refuse_network(&folder)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(|error| Error::io("open the lock file", &error))?;
        lock(&file, &folder)?;
        sign(&file).map_err(|error| Error::io("write the lock file", &error))?;
        Ok(Self { folder, _file: file })
    }

    /// The folder, as an absolute path without links.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Takes the lock, or tells who has it. A process that was killed while it was starting another one leaves the lock to
/// that one until it is executed: a moment that is waited for.
fn lock(file: &File, folder: &Path) -> Result<(), Error> {
    let begin = Instant::now();
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(Error::io("lock the state folder", &errno.into())),
        }
        let pid = owner(file);
        if !pid.is_some_and(is_gone) || begin.elapsed() > PATIENCE {
            return Err(Error::InUse { pid, folder: folder.to_owned() });
        }
        std::thread::sleep(PAUSE);
    }
}

fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn refuse_network(folder: &Path) -> Result<(), Error> {
    let found = rustix::fs::statfs(folder)
        .map_err(|errno| Error::io("examine the state folder", &errno.into()))?
        .f_type;
    match network_kind(found as u32) {
        Some(kind) => Err(Error::NetworkFilesystem { folder: folder.to_owned(), kind }),
        None => Ok(()),
    }
}

fn network_kind(magic: u32) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == magic).map(|(_, kind)| *kind)
}

/// Who wrote itself into the lock file. A torn or strange text is nobody.
fn owner(file: &File) -> Option<u32> {
    let mut bytes = [0; 256];
    let length = file.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(&bytes[..length]).ok()?.split_whitespace().next()?.parse().ok()
}

fn sign(mut file: &File) -> std::io::Result<()> {
    // The boot id makes the process id mean something after a restart of the machine; some systems have none.
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.set_len(0)?;
    file.write_all(format!("{} {}\n", std::process::id(), boot_id.trim()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_other_is_told_who() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/state");
        let lock = StateLock::acquire(&folder).unwrap();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(folder.join("lock").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let refused = StateLock::acquire(&folder).unwrap_err();
        assert_eq!(refused.code(), "TG-STATE-001");
        let message = format!("in use by pid {}", std::process::id());
        assert!(refused.to_string().contains(&message), "{refused}");
        drop(lock);
        StateLock::acquire(&folder).unwrap();
    }

    /// Set for the copy of this test program that tries to take a folder from us.
    const FOLDER: &str = "TIDEGATE_TEST_TAKEN_FOLDER";

    #[test]
    fn another_process_is_refused() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            let refused = StateLock::acquire(Path::new(&folder)).unwrap_err();
            return println!("refused with {}: {refused}", refused.code());
        }
        let home = tempfile::tempdir().unwrap();
        let _lock = StateLock::acquire(home.path()).unwrap();
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::lock::tests::another_process_is_refused", "--nocapture"])
            .env(FOLDER, home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(said.contains("refused with TG-STATE-001"), "{said}");
        assert!(said.contains(&format!("in use by pid {}", std::process::id())), "{said}");
    }

    #[test]
    fn a_strange_lock_file_names_nobody() {
        let home = tempfile::tempdir().unwrap();
        let lock = StateLock::acquire(home.path()).unwrap();
        std::fs::write(home.path().join("lock"), [0xff, 0xfe]).unwrap();
        let refused = StateLock::acquire(home.path()).unwrap_err();
        assert!(matches!(refused, Error::InUse { pid: None, .. }), "{refused:?}");
        drop(lock);
    }

    #[test]
    fn network_file_systems_are_known_by_their_number() {
        assert_eq!(network_kind(0x6969), Some("nfs"));
        assert_eq!(network_kind(0xff53_4d42), Some("cifs"));
        assert_eq!(network_kind(0xef53), None, "ext4");
        assert!(NETWORK.iter().all(|(_, kind)| !kind.is_empty()));
    }
}
