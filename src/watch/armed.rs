//! Which folders the system tells us about, and what its events mean.
//!
//! Watched are: the pipeline folder, and every folder in which a link on the way to it or to one of its files, or the
//! target of one, is an entry. The folder's own parent is among them, because a folder that is removed and made again
//! takes its watch with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::fence::Fence;
use super::files::is_candidate;
use super::hints::{Board, QUIET, Signal, State};
use super::links::{Place, places};

/// What a change of some entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// The pipeline file of this name, by way of a link.
    File(OsString),
    /// The pipeline folder itself.
    Folder,
}

/// What events mean at present.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// The pipeline folder without links; `None` while it is not there.
    folder: Option<PathBuf>,
    /// By folder and entry: what depends on it.
    meanings: HashMap<PathBuf, HashMap<OsString, Vec<Meaning>>>,
    /// Watched folders whose watch ended.
    ended: BTreeSet<PathBuf>,
    /// Pipeline files that are links.
    links: HashSet<OsString>,
}

impl Interest {
    /// What matters for `folder` (absolute) and the links in it as they are now.
    pub(super) fn survey(folder: &Path) -> Self {
        let mut interest = Self { folder: folder.canonicalize().ok(), ..Self::default() };
        for place in places(folder) {
            interest.add(place, Meaning::Folder);
        }
        let entries = interest.folder.as_deref().and_then(|folder| std::fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name();
            if is_candidate(&name) && entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                for place in places(&entry.path()) {
                    interest.add(place, Meaning::File(name.clone()));
                }
                interest.links.insert(name);
            }
        }
        interest
    }

    fn add(&mut self, place: Place, meaning: Meaning) {
        let meanings = self.meanings.entry(place.folder).or_default().entry(place.entry).or_default();
        if !meanings.contains(&meaning) {
            meanings.push(meaning);
        }
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        self.meanings.keys().chain(&self.folder).cloned().collect()
    }

    /// Whether reading this file means following a link.
    pub(super) fn is_link(&self, name: &std::ffi::OsStr) -> bool {
        self.links.contains(name)
    }

    fn is_watched(&self, path: &Path) -> bool {
        self.folder.as_deref() == Some(path) || self.meanings.contains_key(path)
    }
}

/// The folders that are watched.
#[derive(Debug)]
pub(super) struct Armed {
    watcher: Option<RecommendedWatcher>,
    /// Each with its device and inode.
    folders: BTreeMap<PathBuf, (u64, u64)>,
    /// Why the system does not tell us of everything, if it does not.
    refused: Option<String>,
    fence: Option<Fence>,
}

impl Armed {
    /// Watches nothing yet; hints will be left on `board`.
    pub(super) fn new(board: &Arc<Board>) -> Self {
        let board = Arc::clone(board);
        let heard = move |event: notify::Result<notify::Event>| {
            let mut state = board.state();
            if hear(&mut state, event, Instant::now()) {
                drop(state);
                board.ring();
            }
        };
        let (watcher, refused) = match notify::recommended_watcher(heard) {
            Ok(mut watcher) => match watcher.configure(notify::Config::default()) {
                Ok(_) => (Some(watcher), None),
                // It has got no thread, of which it says nothing, and would panic at everything else, its end too.
                Err(_) => {
                    std::mem::forget(watcher);
                    (None, Some("no thread could be started for it".to_owned()))
                }
            },
            Err(error) => (None, Some(error.to_string())),
        };
        Self { watcher, folders: BTreeMap::new(), refused, fence: None }
    }

    /// As if the system had refused to tell of changes.
    #[cfg(test)]
    pub(super) fn refusing(cause: &str) -> Self {
        Self { watcher: None, folders: BTreeMap::new(), refused: Some(cause.to_owned()), fence: None }
    }

    /// Why files have to be looked at from time to time, if they have.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Returns when everything that happened before the call is on the board; `false` if events were lost instead.
    pub(super) fn catch_up(&mut self, board: &Board) -> bool {
        let (Some(watcher), Some(fence)) = (&mut self.watcher, self.fence.take()) else { return true };
        if fence.pass(board) {
            self.fence = Some(fence);
            return true;
        }
        fence.remove(watcher);
        false
    }

    /// Watches what matters for `folder` now, and puts on the board what events mean from now on.
    pub(super) fn arm(&mut self, folder: &Path, board: &Board) {
        if let (Some(watcher), None) = (&mut self.watcher, &self.fence) {
            self.fence = Fence::new(watcher, board);
        }
        // Links may move while they are followed: what was surveyed is surveyed again once it is watched.
        for _ in 0..4 {
            let interest = Interest::survey(folder);
            let wanted = interest.folders();
            let ended = {
                let mut state = board.state();
                let ended = std::mem::take(&mut state.interest.ended);
                state.interest = interest;
                ended
            };
            if !self.watch_exactly(&wanted, &ended) {
                break;
            }
        }
    }

    /// Whether anything had to be changed for that.
    fn watch_exactly(&mut self, wanted: &BTreeSet<PathBuf>, ended: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let mut refused = None;
        let mut changed = false;
        self.folders.retain(|path, identity| {
            let stays =
                wanted.contains(path) && !ended.contains(path) && identity_of(path) == Some(*identity);
            if !stays {
                // It may have ended by itself already.
                watcher.unwatch(path).ok();
                changed = true;
            }
            stays
        });
        for path in wanted {
            if self.folders.contains_key(path) {
                continue;
            }
            let Some(identity) = identity_of(path) else { continue };
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(path.clone(), identity);
                    changed = true;
                }
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                Err(error) => refused = Some(format!("`{}`: {error}", path.display())),
            }
        }
        self.refused = refused;
        changed
    }
}

fn identity_of(folder: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(folder).ok().filter(|found| found.is_dir()).map(|found| (found.dev(), found.ino()))
}

/// Writes on the board what an event hints at; says whether it hints at anything.
fn hear(state: &mut State, event: notify::Result<notify::Event>, now: Instant) -> bool {
    let event = match event {
        Ok(event) if event.need_rescan() => {
            state.hints.lost_count(now);
            return true;
        }
        Ok(event) => event,
        Err(_) => {
            state.hints.everything(now, QUIET);
            return true;
        }
    };
    let Some(signal) = signal_of(&event) else { return false };
    let mut hinted = false;
    for path in &event.paths {
        if signal == Signal::Written && state.fence.hear(path) {
            return true;
        }
        hinted |= hear_path(state, path, event.kind, signal, now);
    }
    hinted
}

/// `None` for what does not matter, above all our own reading.
fn signal_of(event: &notify::Event) -> Option<Signal> {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Signal::Closed),
        EventKind::Access(_) => None,
        // The two halves of a rename have been told one by one.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Signal::Renamed),
        EventKind::Modify(ModifyKind::Data(_)) => Some(Signal::Written),
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(Signal::Touched),
        EventKind::Create(CreateKind::File) => {
            let made = event.paths.first().and_then(|path| path.symlink_metadata().ok());
            // A new ordinary file has a writer that will close it; a link or a second name is complete.
            let has_writer = made.is_some_and(|made| made.is_file() && made.nlink() == 1);
            Some(if has_writer { Signal::Written } else { Signal::Other })
        }
        _ => Some(Signal::Other),
    }
}

fn hear_path(state: &mut State, path: &Path, kind: EventKind, signal: Signal, now: Instant) -> bool {
    let mut hinted = false;
    if state.interest.is_watched(path) && signal != Signal::Closed && signal != Signal::Written {
        // Permissions aside, a watched folder that is itself the subject has lost its watch.
        if !matches!(kind, EventKind::Modify(ModifyKind::Metadata(_))) {
            state.interest.ended.insert(path.to_owned());
        }
        state.hints.everything(now, QUIET);
        hinted = true;
    }
    let (Some(folder), Some(entry)) = (path.parent(), path.file_name()) else { return hinted };
    if state.interest.folder.as_deref() == Some(folder) && is_candidate(entry) {
        state.hints.file(entry.to_owned(), signal, now);
        hinted = true;
    }
    let meanings = state.interest.meanings.get(folder).and_then(|entries| entries.get(entry));
    for meaning in meanings.into_iter().flatten() {
        match meaning {
            Meaning::File(name) => state.hints.file(name.clone(), signal, now),
            Meaning::Folder => {
                let delay = if signal == Signal::Renamed { Duration::ZERO } else { QUIET };
                state.hints.everything(now, delay);
            }
        }
        hinted = true;
    }
    hinted
}
