//! The file that says how far each notice is: `notices.json` in the state folder, replaced in one step.

use super::codes;
use crate::domain::{EventId, PipelineName, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// No such file is larger: it holds some 100,000 notices.
const LIMIT_BYTES: u64 = 16 << 20;

/// How far everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    /// The journal whose numbers these are.
    pub(super) journal: String,
    /// Every event up to and with this one has been looked at for every notice.
    pub(super) upto: EventId,
    /// Whether pipelines go by what their folders are called, as they do from this release on; else by name.
    #[serde(default)]
    pub(super) by_home: bool,
    /// The notices of each pipeline, in the order of its definition.
    pub(super) pipelines: BTreeMap<PipelineName, Vec<Line>>,
    /// The same of pipelines that are removed: should they come back, they go on there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) away: BTreeMap<PipelineName, Away>,
}

/// How far the notices of a pipeline were when it was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Away {
    /// When it was removed.
    pub(super) since: Time,
    /// Its notices, in the order of its definition.
    pub(super) notices: Vec<Line>,
}

/// How far one notice is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Which notice: a digest of what it says.
    pub(super) notice: String,
    /// The last event that it needs not be told of any more.
    pub(super) done: EventId,
}

impl Book {
    /// What a new book says: everything begins after this event.
    pub(super) fn new(journal: &str, upto: EventId) -> Book {
        let (pipelines, away) = Default::default();
        Book { journal: journal.into(), upto, by_home: true, pipelines, away }
    }

    /// Reads the book of a journal that ends at `last`, or begins one there. What cannot be understood, or is about
    /// another journal, is set aside with a warning.
    pub(super) fn open(path: &Path, journal: &str, last: EventId) -> Book {
        let what = match read(path) {
            Ok(None) => return Book::new(journal, last),
            Ok(Some(book)) if book.journal == journal && book.upto <= last => return book,
            Ok(Some(book)) if book.journal == journal => {
                format!("it speaks of event {}, and the journal ends at {last}", book.upto)
            }
            Ok(Some(_)) => "it is about another journal".to_owned(),
            Err(error) => error.to_string(),
        };
        let aside = path.with_extension("json.damaged");
        let kept = match fs::rename(path, &aside) {
            Ok(()) => format!("it is kept as `{}`", aside.display()),
            Err(error) => format!("it cannot be set aside: {error}"),
        };
        let help = "notices begin anew with what happens from now on";
        tracing::warn!(code = codes::DAMAGED, help, "failed to read `{}`: {what}; {kept}", path.display());
        Book::new(journal, last)
    }

    /// Replaces the file, durably: afterwards there is the old one or the new one.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("BUG: a book of notices is always JSON");
        text.push('\n');
        let new = path.with_extension("json.new");
        // What an interrupted run left; the journal's lock keeps other controllers out.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            fs::remove_file(&new).ok();
        }
        written?;
        File::open(path.parent().expect("BUG: a file of the state folder has a folder"))?.sync_all()
    }
}

/// What the file holds; none if there is none.
fn read(path: &Path) -> io::Result<Option<Book>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(LIMIT_BYTES).read_to_string(&mut text)?;
    Ok(Some(serde_json::from_str(&text)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn some() -> Book {
        let line = Line { notice: "abc".into(), done: EventId(7) };
        let away = Away { since: Time::UNIX_EPOCH, notices: vec![line.clone()] };
        Book {
            pipelines: BTreeMap::from([("shop".into(), vec![line])]),
            away: BTreeMap::from([("blog".into(), away)]),
            ..Book::new("j", EventId(9))
        }
    }

    #[test]
    fn what_was_written_is_read_and_nobody_else_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notices.json");
        assert_eq!(Book::open(&path, "j", EventId(3)), Book::new("j", EventId(3)), "none yet");
        fs::write(path.with_extension("json.new"), "half").unwrap();
        some().write(&path).unwrap();
        some().write(&path).unwrap();
        assert_eq!(Book::open(&path, "j", EventId(9)), some());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_and_one_of_another_journal_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notices.json");
        let aside = folder.path().join("notices.json.damaged");
        fs::write(&path, "{\"journal\":\"j\",").unwrap();
        assert_eq!(Book::open(&path, "j", EventId(12)), Book::new("j", EventId(12)));
        assert!(!path.exists() && fs::read_to_string(&aside).unwrap().starts_with("{\"journal\""));
        some().write(&path).unwrap();
        assert_eq!(Book::open(&path, "other", EventId(12)), Book::new("other", EventId(12)));
        some().write(&path).unwrap();
        assert_eq!(Book::open(&path, "j", EventId(8)), Book::new("j", EventId(8)), "a restored journal");
    }
}
