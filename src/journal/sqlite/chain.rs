//! The chain in the file: where retention cut it, where a clean stop left it, and how the records of a layout without it
//! get theirs.
//!
//! That happens when such a file is opened, before anything can be appended: in the order of ids, some thousand records
//! in a transaction, which also notes how far it came. So it can be interrupted at any moment. Once it is through, a
//! record without its value is damage, and gets none.

use super::{ends, meta, writer};
use crate::domain::EventId;
use crate::journal::{Chain, Error, Hash, Head, META_INSTANCE};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

/// Key of the text that says what is before the oldest record left; none: nothing was ever removed.
pub(super) const BEFORE: &str = "chain_before";

/// Key of the head that a clean stop left. It is gone while the journal is open.
pub(super) const AT_STOP: &str = "chain_at_stop";

/// Key of how far the records of an earlier layout have got their values: a head, or [`NOTHING`], which the upgrade of the
/// layout writes. It is gone when all have.
pub(super) const REACHED: &str = "chain_reached";

const NOTHING: &str = "nothing";

/// Records that get their values in one transaction.
pub(super) const CHUNK: u32 = 5_000;

/// The chain of a file. Records that have no values get them first.
pub(super) fn complete(connection: &mut Connection, chunk: u32) -> Result<Chain, Error> {
    let before = before(connection)?;
    let Some(reached) = meta(connection, REACHED)? else {
        let head = below(connection, EventId(i64::MAX.cast_unsigned()))?.unwrap_or(before);
        return Ok(Chain { before, head });
    };
    let mut head = match reached.as_str() {
        NOTHING => before,
        text => text.parse().map_err(|_| strange(REACHED))?,
    };
    loop {
        let transaction = connection.transaction().map_err(failed)?;
        let reached = link(&transaction, head, chunk)?;
        let is_done = reached == head;
        let noted = if is_done {
            tie_checkpoint(&transaction)
                .and_then(|()| tie_checkpoint_to(&transaction, &before))
                .and_then(|()| transaction.execute("DELETE FROM meta WHERE key = ?1", [REACHED]))
        } else {
            let noted = [REACHED, &reached.to_string()];
            transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", noted)
        };
        noted.and_then(|_| transaction.commit()).map_err(failed)?;
        if is_done {
            return Ok(Chain { before, head });
        }
        head = reached;
        // Else the log would become as large as all of the journal.
        writer::checkpoint(connection, "PASSIVE")?;
    }
}

/// Refuses a file that does not end as a clean stop left it: a tail is gone, or something was added.
pub(super) fn check_stop(connection: &Connection) -> Result<(), Error> {
    let Some(text) = meta(connection, AT_STOP)? else { return Ok(()) };
    let stopped: Head = text.parse().map_err(|_| strange(AT_STOP))?;
    let there = below(connection, EventId(i64::MAX.cast_unsigned()))?;
    if there.is_some_and(|there| there != stopped) || (there.is_none() && stopped.id > EventId(0)) {
        let detail = format!("it does not end with event {} as a clean stop left it", stopped.id);
        return Err(Error::Corrupt { detail: detail.into() });
    }
    Ok(())
}

/// Gives some records after a place in the chain their values, and the place after them.
pub(super) fn link(connection: &Connection, from: Head, chunk: u32) -> Result<Head, Error> {
    let next = || -> rusqlite::Result<Head> {
        let mut head = from;
        let mut heads = Vec::new();
        let mut select =
            connection.prepare_cached("SELECT id, body FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let mut rows = select.query(params![from.id.0.cast_signed(), chunk])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(1)?.as_str()?;
            head = head.then(EventId(row.get::<_, i64>(0)?.cast_unsigned()), body);
            heads.push(head);
        }
        let mut update = connection.prepare_cached("UPDATE events SET hash = ?2 WHERE id = ?1")?;
        for head in &heads {
            update.execute(params![head.id.0.cast_signed(), head.hash.as_bytes()])?;
        }
        Ok(head)
    };
    next().map_err(failed)
}

/// The place before the oldest record left. A file that lost records before there was a chain has it begin there.
pub(super) fn before(connection: &Connection) -> Result<Head, Error> {
    if let Some(text) = meta(connection, BEFORE)? {
        return text.parse().map_err(|_| strange(BEFORE));
    }
    let instance = meta(connection, META_INSTANCE)?.ok_or_else(|| strange(META_INSTANCE))?;
    let before = Head { id: EventId(ends(connection)?.0.0.saturating_sub(1)), ..Head::first(&instance) };
    if before.id > EventId(0) {
        connection
            .execute("INSERT INTO meta VALUES (?1, ?2)", [BEFORE, &before.to_string()])
            .map_err(failed)?;
    }
    Ok(before)
}

/// The place of the last record below an id.
pub(super) fn below(connection: &Connection, id: EventId) -> Result<Option<Head>, Error> {
    connection
        .prepare_cached("SELECT id, hash FROM events WHERE id < ?1 ORDER BY id DESC LIMIT 1")
        .and_then(|mut statement| statement.query_row([id.0.cast_signed()], place).optional())
        .map_err(failed)?
        .map(|(id, hash)| Ok(Head { id, hash: hash.ok_or_else(|| strange("hash"))? }))
        .transpose()
}

/// Ties the checkpoint to the chain: the value at its id, and a digest of that and its text.
pub(super) fn tie_checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "SELECT c.id, e.hash, c.body FROM checkpoint c JOIN events e ON e.id = c.id";
    let found = connection.query_row(sql, [], |row| {
        let (id, hash) = place(row)?;
        Ok((id, hash, row.get::<_, String>(2)?))
    });
    // A checkpoint without its record is not ours to judge here.
    let Some((id, Some(hash), body)) = found.optional()? else { return Ok(()) };
    tie(connection, Head { id, hash }, &body)
}

/// The same where its record was removed: it is the one before the oldest left.
pub(super) fn tie_checkpoint_to(connection: &Connection, before: &Head) -> rusqlite::Result<()> {
    let sql = "SELECT body FROM checkpoint WHERE id = ?1";
    let body =
        connection.query_row(sql, [before.id.0.cast_signed()], |row| row.get::<_, String>(0)).optional()?;
    body.map_or(Ok(()), |body| tie(connection, *before, &body))
}

fn tie(connection: &Connection, head: Head, body: &str) -> rusqlite::Result<()> {
    let sum = checkpoint_sum(&head.hash, body);
    let row = params![head.id.0.cast_signed(), head.hash.as_bytes(), &sum[..]];
    connection.execute("UPDATE checkpoint SET hash = ?2, sum = ?3 WHERE id = ?1", row).map(drop)
}

/// The digest that a checkpoint carries.
pub(super) fn checkpoint_sum(hash: &Hash, body: &str) -> [u8; 32] {
    Sha256::new_with_prefix(hash.as_bytes()).chain_update(body).finalize().into()
}

fn place(row: &Row<'_>) -> rusqlite::Result<(EventId, Option<Hash>)> {
    let hash = row.get_ref(1)?.as_blob_or_null()?.and_then(Hash::from_bytes);
    Ok((EventId(row.get::<_, i64>(0)?.cast_unsigned()), hash))
}

fn failed(error: rusqlite::Error) -> Error {
    Error::sqlite("read the chain of the journal", &error)
}

fn strange(what: &str) -> Error {
    Error::Corrupt { detail: format!("`{what}` is not what it should be").into() }
}
