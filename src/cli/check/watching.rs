//! `tidegate check --watch`: a round of checking at once and after every change, until it is interrupted. What notices
//! changes is [`crate::watch`]; it may say that something changed and mean nothing to us, so a round whose files are
//! what they were is none.

use super::{Format, Seen, Verdict, draw, judge, look, summarise};
use crate::cli::trouble::Trouble;
use crate::cli::{Exit, talk};
use crate::clock::{Clock, SystemClock};
use crate::printable;
use crate::watch::{Change, Note, Watch, is_candidate};
use chrono::Local;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Changes that wait to be looked at; more of them wait with whoever notices them.
const WAITING: usize = 16;

/// The longest rule that sets rounds apart, in columns.
const RULE_COLUMNS: usize = 80;

/// The files of a folder that are meant; none: all of them.
type Meant = Option<BTreeSet<String>>;

/// Checks until it is interrupted.
pub(super) fn run(named: &[PathBuf], format: Format) -> Result<Exit, Trouble> {
    if matches!(format, Format::Sarif | Format::Github) {
        let message = "one log is of one round: `--watch` goes with `--format human` and `json`";
        return Err(Trouble::new("TG-CLI-050", message, "leave `--watch` out", Exit::Usage));
    }
    let folders = folders(named)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        let message = format!("failed to start threads: {error}");
        Trouble::new("TG-SERVE-002", message, "raise the limit of threads", Exit::Failed)
    })?;
    runtime.block_on(rounds(named, folders, format))
}

/// The folders to watch: those that are named, and those of files that are.
fn folders(named: &[PathBuf]) -> Result<BTreeMap<PathBuf, Meant>, Trouble> {
    let mut folders: BTreeMap<PathBuf, Meant> = BTreeMap::new();
    for path in named {
        if path.is_dir() {
            folders.insert(path.clone(), None);
            continue;
        }
        let name = path.file_name().filter(|name| is_candidate(name)).ok_or_else(|| {
            let message = format!("changes of `{}` are not noticed", path.display());
            let help = "name a folder, or a file whose name ends in `.toml` and does not begin with a dot";
            Trouble::new("TG-CLI-051", message, help, Exit::Usage)
        })?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let meant = folders.entry(folder.to_owned()).or_insert_with(|| Some(BTreeSet::new()));
        meant.iter_mut().for_each(|names| {
            names.insert(name.to_string_lossy().into_owned());
        });
    }
    Ok(folders)
}

async fn rounds(
    named: &[PathBuf],
    folders: BTreeMap<PathBuf, Meant>,
    format: Format,
) -> Result<Exit, Trouble> {
    let (mut interrupt, mut terminate) = (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?);
    let (told, mut changes) = mpsc::channel(WAITING);
    let count = folders.len();
    let mut watches = Vec::new();
    for (folder, meant) in folders {
        let (watch, mut received) = Watch::start(folder);
        watches.push(watch);
        let told = told.clone();
        tokio::spawn(async move {
            let mut is_first = true;
            while let Some(change) = received.recv().await {
                let news = News::of(change, &meant, is_first);
                is_first = false;
                if told.send(news).await.is_err() {
                    return;
                }
            }
        });
    }
    let mut begun = 0;
    let mut last: Option<Result<Seen, String>> = None;
    loop {
        let mut news = tokio::select! {
            Some(news) = changes.recv() => news,
            _ = interrupt.recv() => return Ok(Exit::Interrupted),
            _ = terminate.recv() => return Ok(Exit::Interrupted),
        };
        while let Ok(more) = changes.try_recv() {
            news.add(more);
        }
        for note in &news.notes {
            match note {
                // The round that follows says what became of it.
                Note::FolderLost { .. } | Note::FolderBack { .. } => {}
                Note::Dead { .. } => {
                    let help = "check without `--watch`";
                    return Err(Trouble::new(note.code(), note.to_string(), help, Exit::Failed));
                }
                note => talk::say(printable::line(&format!("{}: {note}", note.code()))),
            }
        }
        begun += news.begun;
        // What changes after a folder is watched is told; so nothing is missed by looking only then.
        if begun < count || !news.concerns {
            continue;
        }
        let seen = look(named);
        if last.as_ref() != Some(&seen) {
            let reason = match last {
                None => "checked; Ctrl-C ends it".to_owned(),
                Some(_) => reason(&news.names),
            };
            show(&seen, &reason, format);
            last = Some(seen);
        }
    }
}

fn hear(kind: SignalKind) -> Result<Signal, Trouble> {
    signal(kind).map_err(|error| {
        Trouble::new("TG-SERVE-003", format!("failed to listen for signals: {error}"), "", Exit::Failed)
    })
}

/// What changed, as far as it concerns us.
struct News {
    /// Folders that are watched from now on.
    begun: usize,
    /// Whether a file that is meant may be another.
    concerns: bool,
    names: BTreeSet<String>,
    notes: Vec<Note>,
}

impl News {
    fn of(change: Change, meant: &Meant, is_first: bool) -> News {
        let is_meant = |name: &String| meant.as_ref().is_none_or(|names| names.contains(name));
        let files = change.files.into_iter().map(|file| file.name).filter(is_meant);
        // At the beginning every file is new.
        let names: BTreeSet<String> = files.filter(|_| !is_first).collect();
        let moved = |note: &Note| matches!(note, Note::FolderLost { .. } | Note::FolderBack { .. });
        let concerns = is_first || !names.is_empty() || change.notes.iter().any(moved);
        News { begun: usize::from(is_first), concerns, names, notes: change.notes }
    }

    fn add(&mut self, mut more: News) {
        self.begun += more.begun;
        self.concerns |= more.concerns;
        self.names.append(&mut more.names);
        self.notes.append(&mut more.notes);
    }
}

fn show(seen: &Result<Seen, String>, reason: &str, format: Format) {
    let verdict = seen.as_ref().map(judge);
    if format == Format::Json {
        let at = SystemClock::new().now();
        let line = match &verdict {
            Ok(Verdict { diagnostics, good, all }) => {
                json!({ "at": at, "files": all, "good": good, "diagnostics": diagnostics })
            }
            Err(message) => json!({ "at": at, "error": { "code": "TG-CLI-003", "message": message } }),
        };
        return talk::json(line);
    }
    talk::data(rule(reason));
    match (seen, verdict) {
        (Ok(seen), Ok(verdict)) => {
            draw(&seen.files, &verdict.diagnostics);
            if verdict.diagnostics.is_empty() {
                talk::data("all is well");
            }
            summarise(&verdict);
        }
        (Err(message), _) | (_, Err(message)) => {
            talk::fail("TG-CLI-003", message, "it is checked as soon as it is there again");
        }
    }
}

/// Why there is a round.
fn reason(names: &BTreeSet<String>) -> String {
    match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => "the folder changed".to_owned(),
        [only] => format!("{only} changed"),
        [first, rest @ ..] => format!("{first} and {} more changed", rest.len()),
    }
}

/// What sets a round apart from the one before: when it was, and why.
fn rule(reason: &str) -> String {
    let time = SystemClock::new().now().with_timezone(&Local).format("%H:%M:%S");
    let text = printable::line(&format!("── {time} {reason} ")).into_owned();
    let columns = talk::columns().min(RULE_COLUMNS);
    let rest = columns.saturating_sub(printable::width(&text));
    format!("{text}{}", "─".repeat(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_watched_by_its_folder_and_a_folder_that_is_named_is_meant_whole() {
        let home = tempfile::tempdir().unwrap();
        let in_home = |name: &str| home.path().join(name);
        let two = folders(&[in_home("a.toml"), in_home("b.toml")]).unwrap();
        let names = BTreeSet::from(["a.toml".into(), "b.toml".into()]);
        assert_eq!(two, BTreeMap::from([(home.path().to_owned(), Some(names))]));
        for named in [[in_home("a.toml"), home.path().into()], [home.path().into(), in_home("a.toml")]] {
            assert_eq!(folders(&named).unwrap(), BTreeMap::from([(home.path().to_owned(), None)]));
        }
        assert_eq!(folders(&["shop.txt".into()]).unwrap_err().code, "TG-CLI-051");
    }
}
