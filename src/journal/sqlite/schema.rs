//! The file of the journal: how a connection is set up, what its tables are, and which files are let in.
//!
//! `application_id` says that a file is a journal, `user_version` how many of [`MIGRATIONS`] it has been through. A file
//! that has been through more of them than this release knows is refused before SQLite opens it, so that not even its
//! `-wal` is touched.

use crate::journal::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// "TIDE" in the header of the file.
pub(super) const APPLICATION_ID: i64 = 0x5449_4445;

/// The oldest SQLite whose write-ahead log is without known faults, as `sqlite3_libversion_number` says it.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a connection waits for a lock of somebody outside.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// What was done to the tables, in order. Only ever added to: entry *n* leads from version *n* to version *n* + 1.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE events (
        id       INTEGER PRIMARY KEY,
        at_us    INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        pipeline TEXT,
        tier     TEXT,
        run      INTEGER,
        body     TEXT NOT NULL
    ) STRICT;
    CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE checkpoint (
        id      INTEGER PRIMARY KEY,
        at_us   INTEGER NOT NULL,
        release TEXT NOT NULL,
        format  INTEGER NOT NULL,
        body    TEXT NOT NULL
    ) STRICT;
",
    // What is written from here on has its value in the chain; what was there gets it when the journal is opened.
    "
    ALTER TABLE events ADD COLUMN hash BLOB;
    ALTER TABLE checkpoint ADD COLUMN hash BLOB;
    ALTER TABLE checkpoint ADD COLUMN sum BLOB;
    INSERT INTO meta VALUES ('chain_reached', 'nothing');
",
];

/// Refuses a library that is too old.
pub(super) fn check_library() -> Result<(), Error> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(Error::OldSqlite { version: rusqlite::version().into() });
    }
    Ok(())
}

/// Bytes of the first page that say what a file is: those of the file, and those of the table of tables.
const HEADER: usize = 108;
/// The kind of page that the table of tables is while it is small.
const LEAF: u8 = 13;

/// Looks at the first bytes of the file with nothing but a read, and makes an empty one (0600) when there is none.
///
/// No connection of this process may be open on the file: closing any descriptor of it drops SQLite's locks.
pub(super) fn check_header(path: &Path) -> Result<(), Error> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match opened {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("make the journal", &error)),
    }
    let mut header = [0; HEADER];
    let found = File::open(path)
        .and_then(|file| read_upto(file, &mut header))
        .map_err(|error| Error::io("open the journal", &error))?;
    let foreign = || Error::Foreign { path: path.to_owned() };
    match found {
        0 => {}
        HEADER if header.starts_with(b"SQLite format 3\0") => {
            let number = |at: usize| {
                i64::from(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
            };
            let (application_id, version) = (number(68), number(60));
            // Both are 0 when the first migration is still in the write-ahead log only: then the file is in WAL mode, as
            // ours are from the second on. A copy that SQLite made is not (`VACUUM INTO`), and has its number. One with
            // nothing in it is nobody's: a disk that failed, or a kill, can leave a journal so at its birth.
            // Anything else is somebody's, and opening it would change it.
            let is_empty = header[100] == LEAF && header[103..105] == [0, 0];
            if header[18] != 2 && application_id != APPLICATION_ID && !is_empty {
                return Err(foreign());
            }
            admit(application_id, version, MIGRATIONS.len()).ok_or_else(foreign)??;
        }
        _ => return Err(foreign()),
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|error| Error::io("protect the journal", &error))
}

fn read_upto(file: File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut text = Vec::new();
    file.take(buffer.len() as u64).read_to_end(&mut text)?;
    buffer[..text.len()].copy_from_slice(&text);
    Ok(text.len())
}

/// Whether a file with these two numbers may come in: `None` when it is not a journal.
fn admit(application_id: i64, version: i64, known: usize) -> Option<Result<(), Error>> {
    let known = known as i64;
    match (application_id, version) {
        (0, 0) => Some(Ok(())),
        (APPLICATION_ID, found) if found > known => Some(Err(Error::Newer { found, known })),
        (APPLICATION_ID, _) => Some(Ok(())),
        _ => None,
    }
}

/// The connection that writes. It never syncs on commit and never checkpoints by itself: see the module's page.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let connection = open(path)?;
    checkpoint_on_close(&connection, false)?;
    let pages: i64 = connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .map_err(|error| Error::sqlite("open the journal", &error))?;
    if pages == 0 {
        // Possible while the file is empty only: then what retention frees is given back to the disk bit by bit.
        set(&connection, "PRAGMA auto_vacuum=INCREMENTAL;")?;
    }
    let mode: String = connection
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .map_err(|error| Error::sqlite("open the journal", &error))?;
    if mode != "wal" {
        let detail = format!("no write-ahead log is possible here, only `{mode}`").into();
        return Err(Error::Io { tried: "open the journal", detail });
    }
    set(&connection, "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;")?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = open(path)?;
    set(&connection, "PRAGMA query_only=ON;")?;
    checkpoint_on_close(&connection, false)?;
    Ok(connection)
}

/// Whether SQLite copies the log into the database, and removes it, when this connection is the last to close. Only
/// after a clean stop: a file that is refused is left as it was, and one that is not trusted as well.
pub(super) fn checkpoint_on_close(connection: &Connection, is_wanted: bool) -> Result<(), Error> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted)
        .map(drop)
        .map_err(|error| Error::sqlite("set up the journal", &error))
}

fn open(path: &Path) -> Result<Connection, Error> {
    let failed = |error| Error::sqlite("open the journal", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    prepare(&connection)?;
    Ok(connection)
}

/// What every connection is told, whatever it does.
pub(super) fn prepare(connection: &Connection) -> Result<(), Error> {
    set(
        connection,
        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;
         PRAGMA cell_size_check=ON; PRAGMA journal_size_limit=67108864;",
    )
}

/// Refuses what is no journal of this release's layout, for those who only look.
pub(super) fn admit_old(application_id: i64, version: i64, path: &Path) -> Result<(), Error> {
    let known = MIGRATIONS.len();
    match admit(application_id, version, known) {
        Some(Ok(())) if version == known as i64 => Ok(()),
        Some(Ok(())) if version > 0 => Err(Error::NoChain),
        Some(Err(error)) => Err(error),
        _ => Err(Error::Foreign { path: path.to_owned() }),
    }
}

fn set(connection: &Connection, pragmas: &str) -> Result<(), Error> {
    connection.execute_batch(pragmas).map_err(|error| Error::sqlite("set up the journal", &error))
}

/// Brings the tables to the newest version, in one transaction. True when something was done.
pub(super) fn migrate(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<bool, Error> {
    let failed = |error| Error::sqlite("upgrade the journal", &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let ask = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let (application_id, version) = (ask("PRAGMA application_id")?, ask("PRAGMA user_version")?);
    let foreign = || Error::Foreign { path: path.to_owned() };
    admit(application_id, version, steps.len()).ok_or_else(foreign)??;
    if application_id == 0 && ask("SELECT count(*) FROM sqlite_schema")? != 0 {
        return Err(foreign());
    }
    let version = usize::try_from(version).map_err(|_| foreign())?;
    for step in &steps[version..] {
        transaction.execute_batch(step).map_err(failed)?;
    }
    if version == steps.len() {
        return Ok(false);
    }
    transaction
        .execute_batch(&format!(
            "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={};",
            steps.len()
        ))
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(true)
}

/// Looks for damage; for a journal whose last stop was not a clean one.
pub(super) fn check_pages(connection: &Connection) -> Result<(), Error> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| Error::sqlite("check the journal", &error))?;
    if verdict == "ok" { Ok(()) } else { Err(Error::Corrupt { detail: verdict.into() }) }
}
