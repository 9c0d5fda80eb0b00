//! Reading the journal: connections that only read, pages, and the fast replay at start.
//!
//! A page is one statement, begun and ended within one call, so that no reader ever keeps the log from starting anew.

use super::schema;
use crate::domain::EventId;
use crate::journal::{Checkpoint, Error, Filter, Hash, Page, Record, due_after};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most records that one page looks at.
const SCAN_LIMIT: i64 = 20_000;

/// Bytes of bodies after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

/// Most connections kept for later.
const IDLE_LIMIT: usize = 4;

/// Most names remembered at once while reading; beyond that they are not shared.
const NAMES_LIMIT: usize = 1_024;

/// Connections that only read. More are opened when all are in use.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Some(Vec::new())) }
    }

    /// Lends a connection.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let kept = self.lock().as_mut().ok_or(Error::Closed)?.pop();
        let connection = match kept {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let result = work(&connection);
        if let Some(idle) = self.lock().as_mut().filter(|idle| idle.len() < IDLE_LIMIT) {
            idle.push(connection);
        }
        result
    }

    /// Closes those that are idle; those in use close when they come back.
    pub(super) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The checkpoint, if there is one.
pub(super) fn checkpoint(connection: &Connection) -> Result<Option<Checkpoint>, Error> {
    let row = |row: &Row<'_>| {
        Ok(Checkpoint {
            id: EventId(row.get::<_, i64>(0)?.cast_unsigned()),
            at_us: row.get(1)?,
            release: row.get::<_, String>(2)?.into(),
            format: row.get(3)?,
            body: row.get::<_, String>(4)?.into(),
        })
    };
    connection
        .query_row(
            "SELECT id, at_us, release, format, body FROM checkpoint ORDER BY id DESC LIMIT 1",
            [],
            row,
        )
        .optional()
        .map_err(|error| Error::sqlite("read the journal", &error))
}

/// One page of what lies after an id, up to another.
pub(super) fn page(
    connection: &Connection,
    after: EventId,
    upto: EventId,
    limit: usize,
    filter: &Filter,
) -> Result<Page, Error> {
    let mut page = Page { scanned: after, ..Page::default() };
    let mut names = Names::default();
    let mut bytes = 0;
    scan(connection, after, upto, |row| {
        let id = id(row)?;
        page.first.get_or_insert(id);
        page.scanned = id;
        let run = number(row, 5)?.map(i64::cast_unsigned);
        if !filter.matches(text(row, 2)?, optional(row, 3)?, optional(row, 4)?, run) {
            return Ok(true);
        }
        let record = record(row, &mut names)?;
        bytes += record.body.len();
        page.records.push(record);
        Ok(page.records.len() < limit && bytes < PAGE_BYTES)
    })?;
    Ok(page)
}

/// The last id below another; 0: none.
pub(super) fn last_below(connection: &Connection, id: EventId) -> Result<EventId, Error> {
    let id = i64::try_from(id.0).unwrap_or(i64::MAX);
    connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM events WHERE id < ?1")
        .and_then(|mut statement| statement.query_row([id], |row| row.get::<_, i64>(0)))
        .map(|id| EventId(id.cast_unsigned()))
        .map_err(|error| Error::sqlite("read the journal", &error))
}

/// Every record after an id, up to another. A hole is damage: there is none but in front of an epoch. So is a record that
/// is not the one that was written, by its value in the chain: `at` is that of the last one before them.
pub(super) fn for_each(
    connection: &Connection,
    after: EventId,
    upto: EventId,
    at: Hash,
    each: &mut dyn FnMut(Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut at = at;
    let mut names = Names::default();
    let mut last: Option<EventId> = None;
    let mut from = after;
    while from < upto {
        scan(connection, from, upto, |row| {
            let record = record(row, &mut names)?;
            if let Some(last) = last
                && record.id != due_after(last, &record.kind)
            {
                let detail = format!("event {} is followed by {}", last, record.id).into();
                return Err(Error::Corrupt { detail });
            }
            last = Some(record.id);
            at = at.next(&record.body);
            if row.get_ref(7).ok().and_then(|value| value.as_blob().ok()) != Some(at.as_bytes()) {
                let detail = format!("event {} is not what was written", record.id).into();
                return Err(Error::Corrupt { detail });
            }
            each(record)?;
            Ok(true)
        })?;
        match last {
            Some(last) if last > from => from = last,
            _ => return Err(Error::Corrupt { detail: format!("event {upto} is missing").into() }),
        }
    }
    Ok(())
}

/// Goes over rows, at most [`SCAN_LIMIT`], until told `false`.
fn scan(
    connection: &Connection,
    after: EventId,
    upto: EventId,
    mut each: impl FnMut(&Row<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let failed = |error| Error::sqlite("read the journal", &error);
    let mut statement: CachedStatement<'_> = connection
        .prepare_cached(
            "SELECT id, at_us, kind, pipeline, tier, run, body, hash FROM events \
             WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )
        .map_err(failed)?;
    let clamp = |id: EventId| i64::try_from(id.0).unwrap_or(i64::MAX);
    let mut rows = statement.query([clamp(after), clamp(upto), SCAN_LIMIT]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if !each(row)? {
            break;
        }
    }
    Ok(())
}

pub(super) fn record(row: &Row<'_>, names: &mut Names) -> Result<Record, Error> {
    Ok(Record {
        id: id(row)?,
        at_us: number(row, 1)?.ok_or_else(|| strange(1))?,
        kind: names.share(text(row, 2)?),
        pipeline: optional(row, 3)?.map(|name| names.share(name)),
        tier: optional(row, 4)?.map(|name| names.share(name)),
        run: number(row, 5)?.map(i64::cast_unsigned),
        body: text(row, 6)?.into(),
    })
}

fn id(row: &Row<'_>) -> Result<EventId, Error> {
    number(row, 0)?.map(|id| EventId(id.cast_unsigned())).ok_or_else(|| strange(0))
}

fn number(row: &Row<'_>, column: usize) -> Result<Option<i64>, Error> {
    row.get_ref(column).ok().and_then(|value| value.as_i64_or_null().ok()).ok_or_else(|| strange(column))
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, Error> {
    optional(row, column)?.ok_or_else(|| strange(column))
}

fn optional<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>, Error> {
    match row.get_ref(column) {
        Ok(ValueRef::Null) => Ok(None),
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).map(Some).map_err(|_| strange(column)),
        _ => Err(strange(column)),
    }
}

fn strange(column: usize) -> Error {
    Error::Corrupt { detail: format!("column {column} of an event does not hold what it should").into() }
}

/// Names seen so far: a million records have a handful of kinds, pipelines and tiers.
#[derive(Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let new: Arc<str> = name.into();
        if self.0.len() < NAMES_LIMIT {
            self.0.insert(new.clone());
        }
        new
    }
}
