//! Looking into the file of a journal from outside, without changing anything: beside the controller that has it, or
//! without one. What it finds is told as it is, damage included; what that means is for others.
//!
//! Where there is a write-ahead log, the file is read as SQLite does, in one transaction. Where there is none, nobody has
//! it open, and it is read as it lies: else SQLite would leave files beside it. Should a controller begin meanwhile,
//! [`Inspector::is_stale`] says so.

use super::{FILE, chain, meta, read, schema, sync};
use crate::domain::EventId;
use crate::journal::{Checkpoint, Error, Hash, Head, META_CLEAN_STOP, META_INSTANCE, Record};
use rusqlite::{Connection, OpenFlags, Row};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file that is being looked into.
#[derive(Debug)]
pub struct Inspector {
    connection: Connection,
    path: PathBuf,
    /// There was no log when it was opened.
    is_alone: bool,
}

/// One row as it stands.
#[derive(Debug)]
pub struct Found {
    /// Its number.
    pub id: EventId,
    /// What it holds, or what of it cannot be read.
    pub record: Result<Record, Error>,
    /// Its value in the chain; none: it has none, or something else in its place.
    pub hash: Option<Hash>,
}

/// The checkpoint as it stands.
#[derive(Debug)]
pub struct FoundCheckpoint {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The value in the chain of the event that it reaches to.
    pub hash: Option<Hash>,
    /// Whether its text is the one that was written.
    pub is_whole: bool,
}

impl Inspector {
    /// Opens the journal of a state folder, or of a folder that a backup lies in.
    ///
    /// # Errors
    /// It is not there, is no journal, is of a newer release, or has no chain yet.
    pub fn open(folder: &Path) -> Result<Inspector, Error> {
        Inspector::open_file(folder.join(FILE))
    }

    /// The same of a file with another name.
    ///
    /// # Errors
    /// As for [`Inspector::open`].
    pub fn open_file(path: PathBuf) -> Result<Inspector, Error> {
        schema::check_library()?;
        let found = std::fs::metadata(&path).map_err(|error| Error::io("open the journal", &error))?;
        if !found.is_file() || found.len() == 0 {
            return Err(Error::Foreign { path });
        }
        let is_alone = !sync::wal_path(&path).exists();
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let failed = |error| Error::sqlite("open the journal", &error);
        let connection = Connection::open_with_flags(address(&path, is_alone), flags).map_err(failed)?;
        schema::prepare(&connection)?;
        schema::checkpoint_on_close(&connection, false)?;
        let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
        let (application_id, version) = (ask("PRAGMA application_id")?, ask("PRAGMA user_version")?);
        schema::admit_old(application_id, version, &path)?;
        connection.execute_batch("BEGIN").map_err(failed)?;
        let this = Inspector { connection, path, is_alone };
        match this.meta(chain::REACHED)? {
            Some(_) => Err(Error::NoChain),
            None => Ok(this),
        }
    }

    /// Whether somebody began to write to the file since, so that what was read may be of two moments.
    pub fn is_stale(&self) -> bool {
        self.is_alone && sync::wal_path(&self.path).exists()
    }

    /// Whether the log is missing that a file in this state must have: it was not stopped cleanly, and is no copy.
    pub fn lost_its_log(&self) -> Result<bool, Error> {
        let mut header = [0; 100];
        let read = std::fs::File::open(&self.path)
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut header));
        read.map_err(|error| Error::io("open the journal", &error))?;
        Ok(self.is_alone && header[18] == 2 && self.meta(META_CLEAN_STOP)?.is_none())
    }

    /// The id that tells this journal from every other.
    pub fn instance(&self) -> Result<String, Error> {
        self.meta(META_INSTANCE)?.ok_or_else(|| Error::Corrupt { detail: "it has no instance id".into() })
    }

    /// The place in the chain before the oldest record left.
    pub fn before(&self) -> Result<Head, Error> {
        match self.meta(chain::BEFORE)? {
            Some(text) => {
                text.parse().map_err(|_| Error::Corrupt { detail: "the chain's beginning is damaged".into() })
            }
            None => Ok(Head::first(&self.instance()?)),
        }
    }

    /// The oldest record left, if there is any.
    pub fn oldest(&self) -> Result<Option<EventId>, Error> {
        self.connection
            .query_row("SELECT min(id) FROM events", [], |row| row.get::<_, Option<i64>>(0))
            .map(|id| id.map(|id| EventId(id.cast_unsigned())))
            .map_err(|error| Error::sqlite("read the journal", &error))
    }

    /// What a clean stop said of the end, if there was one: the id, and the head where that can be read.
    pub fn at_stop(&self) -> Result<Option<(EventId, Option<Head>)>, Error> {
        let id = self.meta(META_CLEAN_STOP)?.and_then(|text| text.parse().ok()).map(EventId);
        let head = self.meta(chain::AT_STOP)?.and_then(|text| text.parse().ok());
        Ok(id.map(|id| (id, head)))
    }

    /// The checkpoint, if there is one.
    pub fn checkpoint(&self) -> Result<Option<FoundCheckpoint>, Error> {
        let Some(checkpoint) = read::checkpoint(&self.connection)? else { return Ok(None) };
        let tie = self.connection.query_row(
            "SELECT hash, sum FROM checkpoint ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?)),
        );
        let (hash, sum) = tie.map_err(|error| Error::sqlite("read the journal", &error))?;
        let hash = hash.and_then(|bytes| Hash::from_bytes(&bytes));
        let is_whole = hash
            .is_some_and(|hash| sum.is_some_and(|sum| sum == chain::checkpoint_sum(&hash, &checkpoint.body)));
        Ok(Some(FoundCheckpoint { checkpoint, hash, is_whole }))
    }

    /// Every row in the order of ids, whatever they are. Ends at the first error: of the file, or of `each`.
    pub fn each<E: From<Error>>(&self, mut each: impl FnMut(Found) -> Result<(), E>) -> Result<(), E> {
        let failed = |error| E::from(Error::sqlite("read the journal", &error));
        let mut names = read::Names::default();
        let mut statement = self
            .connection
            .prepare("SELECT id, at_us, kind, pipeline, tier, run, body, hash FROM events ORDER BY id")
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(found(row, &mut names).map_err(failed)?)?;
        }
        Ok(())
    }

    /// What SQLite itself finds wrong with the file.
    pub fn damage(&self) -> Result<Vec<String>, Error> {
        let ask = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare("PRAGMA integrity_check(20)")?;
            let lines = statement.query_map([], |row| row.get(0))?;
            lines.filter(|line| line.as_ref().ok().is_none_or(|line: &String| line != "ok")).collect()
        };
        match ask().map_err(|error| Error::sqlite("check the journal", &error)) {
            Err(Error::Corrupt { detail }) => Ok(vec![detail.to_string()]),
            other => other,
        }
    }

    /// Writes a consistent copy of all of it to a file that is not there yet.
    pub fn copy_to(&self, file: &Path) -> Result<(), Error> {
        let copied = self
            .connection
            .execute_batch("COMMIT")
            .and_then(|()| self.connection.execute("VACUUM INTO ?1", [file.to_string_lossy()]));
        copied.map(drop).map_err(|error| Error::sqlite("copy the journal", &error))
    }

    fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        meta(&self.connection, key)
    }
}

fn found(row: &Row<'_>, names: &mut read::Names) -> rusqlite::Result<Found> {
    let id = EventId(row.get::<_, i64>(0)?.cast_unsigned());
    let hash = row.get_ref(7)?.as_blob_or_null().ok().flatten().and_then(Hash::from_bytes);
    Ok(Found { id, record: read::record(row, names), hash })
}

/// The file as a URI.
fn address(path: &Path, is_alone: bool) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            // Writing to a string cannot fail.
            other => drop(write!(uri, "%{other:02X}")),
        }
    }
    uri.push_str(if is_alone { "?immutable=1" } else { "?mode=ro" });
    uri
}
