//! The thread that reads files when hints say so, and delivers what differs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::armed::Armed;
use super::files::{Content, FileState, Look, is_candidate, look, version_of};
use super::hints::{Board, QUIET, Signal, Work};
use super::{Change, Note};

/// The least time between two deliveries.
const SPACING: Duration = Duration::from_millis(100);
/// How often to look while the folder is missing, or the system does not tell of changes.
const POLL: Duration = Duration::from_secs(2);

/// Watches until told to stop or until nobody listens any more.
pub(super) fn run(folder: &Path, board: &Arc<Board>, sender: &mpsc::Sender<Change>) {
    let mut worker = Worker::new(folder, Armed::new(board), board);
    let first = worker.look_around();
    let mut delivery = Some(Change { files: first, notes: worker.notes() });
    let mut not_before = Instant::now();
    loop {
        if let Some(change) = delivery.take() {
            if sender.blocking_send(change).is_err() {
                return;
            }
            not_before = Instant::now() + SPACING;
        }
        let poll_at = worker.has_to_poll().then(|| Instant::now() + POLL);
        let Some(work) = board.wait(not_before, poll_at) else { return };
        if sender.is_closed() {
            return;
        }
        let files = worker.work(work);
        let notes = worker.notes();
        delivery = (!files.is_empty() || !notes.is_empty()).then_some(Change { files, notes });
    }
}

/// What the thread knows.
struct Worker {
    folder: PathBuf,
    board: Arc<Board>,
    armed: Armed,
    /// The digest of what was delivered last, of every file that is there.
    delivered: BTreeMap<OsString, [u8; 32]>,
    /// While polling: what each file looked like at the last poll.
    polled: HashMap<OsString, [i64; 5]>,
    /// Files seen empty that had something in them when they were delivered: since when, and how they looked.
    emptied: HashMap<OsString, (Instant, Option<[i64; 5]>)>,
    health: Health,
    /// The health that the notes so far have told of.
    told: Health,
    overflowed: bool,
}

/// A file that differs from what was delivered.
struct Found {
    name: OsString,
    content: Content,
    /// `None` if it is gone.
    digest: Option<[u8; 32]>,
}

/// How the watching itself is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Health {
    lost: Option<String>,
    polling: Option<String>,
    open_to_all: Option<PathBuf>,
}

impl Worker {
    fn new(folder: &Path, armed: Armed, board: &Arc<Board>) -> Self {
        Self {
            folder: folder.to_owned(),
            board: Arc::clone(board),
            armed,
            delivered: BTreeMap::new(),
            polled: HashMap::new(),
            emptied: HashMap::new(),
            health: Health::default(),
            told: Health::default(),
            overflowed: false,
        }
    }

    fn has_to_poll(&self) -> bool {
        self.health.lost.is_some() || self.health.polling.is_some()
    }

    /// Looks at everything that is not in the middle of something.
    fn look_around(&mut self) -> Vec<FileState> {
        self.work(Work { everything: true, ..Work::default() })
    }

    /// Looks at what is due and answers what differs; it counts as delivered from then on.
    fn work(&mut self, work: Work) -> Vec<FileState> {
        self.overflowed |= work.overflow;
        let differing = if work.everything || work.names.iter().any(|name| self.is_link(name)) {
            self.look_at_everything(work.even_unsettled)
        } else {
            work.names.into_iter().filter_map(|name| self.look_at(name)).collect()
        };
        self.accept(differing, work.even_unsettled)
    }

    /// Of files that were read, those whose writing had not begun again before the reading ended. Only asking the
    /// watcher tells: the truncated file that was read a moment ago looked as settled as any.
    fn accept(&mut self, differing: Vec<Found>, even_unsettled: bool) -> Vec<FileState> {
        if differing.is_empty() {
            return Vec::new();
        }
        let is_known = self.armed.catch_up(&self.board);
        let mut accepted = Vec::new();
        for Found { name, content, digest } in differing {
            if !even_unsettled && !is_known {
                self.board.state().hints.file(name, Signal::Other, Instant::now());
                continue;
            }
            if !even_unsettled && self.board.state().hints.is_torn(&name) {
                continue;
            }
            let path = self.folder.join(&name);
            accepted.push(FileState { path, name: name.to_string_lossy().into_owned(), content });
            match digest {
                Some(digest) => drop(self.delivered.insert(name, digest)),
                None => drop(self.delivered.remove(&name)),
            }
        }
        accepted
    }

    /// What a link leads to may be watched elsewhere from now on.
    fn is_link(&self, name: &OsStr) -> bool {
        self.board.state().interest.is_link(name)
            || self.folder.join(name).symlink_metadata().is_ok_and(|found| found.is_symlink())
    }

    /// Watches first, then lists and reads, so that nothing falls between.
    fn look_at_everything(&mut self, even_unsettled: bool) -> Vec<Found> {
        self.armed.arm(&self.folder, &self.board);
        let found = match list(&self.folder) {
            Ok(found) => found,
            Err(error) => {
                self.health.lost = Some(error.to_string());
                return Vec::new();
            }
        };
        let was_polling = self.health.polling.is_some();
        self.health = Health {
            lost: None,
            polling: self.armed.refused().map(str::to_owned).or_else(|| untold_changes(&self.folder)),
            open_to_all: open_to_all(&self.folder, &found),
        };
        let names: BTreeSet<_> = found.into_iter().chain(self.delivered.keys().cloned()).collect();
        let mut differing = Vec::new();
        for name in names {
            let waits = !even_unsettled && self.is_unsettled(&name, was_polling);
            if !waits {
                differing.extend(self.look_at(name));
            }
        }
        differing
    }

    /// Whether a file should be left alone for now: there is a later hint about it, or, while polling, it does not
    /// look as it did at the last poll.
    fn is_unsettled(&mut self, name: &OsStr, is_polling: bool) -> bool {
        if self.board.state().hints.is_unsettled(name) {
            return true;
        }
        if !is_polling {
            return false;
        }
        let now = version_of(&self.folder.join(name));
        let before = match now {
            Some(now) => self.polled.insert(name.to_owned(), now),
            None => self.polled.remove(name),
        };
        now != before
    }

    /// The file if it differs from what was delivered.
    fn look_at(&mut self, name: OsString) -> Option<Found> {
        let Look::Settled(content) = look(&self.folder, &name) else {
            self.board.state().hints.file(name, Signal::Other, Instant::now());
            return None;
        };
        if self.is_just_emptied(&name, &content) {
            self.board.state().hints.file(name, Signal::Other, Instant::now());
            return None;
        }
        // When the folder itself is what is gone, its pipelines stay.
        let is_gone = content == Content::Gone;
        if is_gone && !self.folder.is_dir() {
            return None;
        }
        let digest = (!is_gone).then(|| content.digest());
        (self.delivered.get(&name) != digest.as_ref()).then_some(Found { name, content, digest })
    }

    /// Whether a file that had something in it has only just become empty. That is how a save in place begins, and the
    /// system tells of it only after the space was freed, which may take long: the same emptiness has to last.
    fn is_just_emptied(&mut self, name: &OsStr, content: &Content) -> bool {
        let is_empty = matches!(content, Content::Text(bytes) if bytes.is_empty());
        if !is_empty || !self.delivered.contains_key(name) {
            self.emptied.remove(name);
            return false;
        }
        let (now, version) = (Instant::now(), version_of(&self.folder.join(name)));
        match self.emptied.get(name) {
            Some((since, same)) if *same == version => now.duration_since(*since) < QUIET,
            _ => {
                self.emptied.insert(name.to_owned(), (now, version));
                true
            }
        }
    }

    /// What has not been said yet.
    fn notes(&mut self) -> Vec<Note> {
        let folder = || self.folder.clone();
        let mut notes = Vec::new();
        match (&self.health.lost, &self.told.lost) {
            (Some(cause), None) => notes.push(Note::FolderLost { folder: folder(), cause: cause.clone() }),
            (None, Some(_)) => notes.push(Note::FolderBack { folder: folder() }),
            _ => {}
        }
        if let (Some(cause), None) = (&self.health.polling, &self.told.polling) {
            notes.push(Note::Polling { cause: cause.clone() });
        }
        if let (Some(place), None) = (&self.health.open_to_all, &self.told.open_to_all) {
            notes.push(Note::OpenToAll { place: place.clone() });
        }
        if std::mem::take(&mut self.overflowed) {
            notes.push(Note::Overflow);
        }
        self.told = self.health.clone();
        notes
    }
}

/// What every user of this machine may change, and with it a pipeline: the folder, one of the files, or where a link leads.
fn open_to_all(folder: &Path, names: &[OsString]) -> Option<PathBuf> {
    let mode = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.mode());
    let is_open_folder = |path: &Path| mode(path) & 0o1002 == 0o002;
    if is_open_folder(folder) {
        return Some(folder.to_owned());
    }
    names.iter().find_map(|name| {
        let path = folder.join(name);
        if mode(&path) & 0o002 != 0 {
            return Some(path);
        }
        let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        let target = is_link.then(|| path.canonicalize().ok()).flatten()?;
        target.parent().filter(|parent| is_open_folder(parent)).map(Path::to_owned)
    })
}

fn list(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if is_candidate(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Why the system would not tell of every change in `folder`: other machines can change it, too.
fn untold_changes(folder: &Path) -> Option<String> {
    const REMOTE: &[(u32, &str)] = &[
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x0102_1997, "9P"),
        (0x6573_5546, "FUSE"),
        (0x786f_4256, "a shared folder of a virtual machine"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
    ];
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    // The width of the type differs between machines, its low 32 bits do not.
    let kind = (i128::from(kind) & 0xffff_ffff) as u32;
    let (_, name) = REMOTE.iter().find(|(number, _)| *number == kind)?;
    Some(format!("the folder is on {name}, where others can change it unseen"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::texts;
    use std::fs;
    use std::io::Write as _;

    /// A worker to which the system tells nothing.
    #[test]
    fn without_the_systems_help_files_are_polled_and_taken_when_they_rest() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::write(at("p.toml"), "old").unwrap();
        let board = Arc::new(Board::default());
        let mut worker = Worker::new(temp.path(), Armed::refusing("no inotify left"), &board);
        let poll = |worker: &mut Worker| texts(&worker.look_around());
        assert_eq!(poll(&mut worker), ["p.toml=old"]);
        let notes = worker.notes();
        assert_eq!(notes, [Note::Polling { cause: "no inotify left".into() }]);
        assert!(
            notes[0].help().contains("max_user_watches") && notes[0].to_string().contains("no inotify left")
        );
        assert!(worker.has_to_poll());
        assert_eq!(poll(&mut worker), [""; 0]);

        fs::write(at("p.toml"), "half").unwrap();
        assert_eq!(poll(&mut worker), [""; 0], "it may still be written");
        fs::write(at("p.toml"), "half and whole").unwrap();
        assert_eq!(poll(&mut worker), [""; 0]);
        assert_eq!(poll(&mut worker), ["p.toml=half and whole"], "it rested");
        fs::remove_file(at("p.toml")).unwrap();
        assert_eq!([poll(&mut worker), poll(&mut worker)].concat(), ["p.toml gone"]);
        assert_eq!(worker.notes(), [], "said once");
    }

    /// A worker that is told of changes but acts only when the test says so.
    fn worker_at(folder: &Path) -> (Worker, Arc<Board>) {
        let board = Arc::new(Board::default());
        let mut worker = Worker::new(folder, Armed::new(&board), &board);
        assert_eq!(texts(&worker.look_around()), ["p.toml=old"]);
        (worker, board)
    }

    fn only_p() -> Work {
        Work { names: vec!["p.toml".into()], ..Work::default() }
    }

    fn insisting() -> Work {
        Work { everything: true, even_unsettled: true, ..Work::default() }
    }

    #[test]
    fn what_was_read_while_a_save_began_is_not_believed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("p.toml");
        fs::write(&path, "old").unwrap();
        let (mut worker, board) = worker_at(temp.path());
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(texts(&worker.work(only_p())), [""; 0]);
        assert!(board.state().hints.is_unsettled("p.toml".as_ref()), "it will be looked at again");
        assert_eq!(texts(&worker.work(insisting())), ["p.toml=half"], "unless somebody insists");
    }

    #[test]
    fn files_are_not_gone_when_their_folder_is() {
        let temp = tempfile::tempdir().unwrap();
        let defs = temp.path().join("defs");
        fs::create_dir(&defs).unwrap();
        fs::write(defs.join("p.toml"), "old").unwrap();
        let (mut worker, _board) = worker_at(&defs);
        fs::remove_dir_all(&defs).unwrap();
        assert_eq!(texts(&worker.work(only_p())), [""; 0]);
        assert_eq!(texts(&worker.look_around()), [""; 0]);
        assert_eq!(worker.notes()[0].code(), "TG-WATCH-001");
        fs::create_dir(&defs).unwrap();
        assert_eq!(texts(&worker.work(insisting())), ["p.toml gone"], "now it is");
        assert_eq!(worker.notes()[0].code(), "TG-WATCH-002");
    }
}
