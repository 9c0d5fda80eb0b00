//! Journals that were tampered with, and what is said of them.

use super::*;
use crate::archive::What;
use crate::journal::Head;
use std::path::Path;
use tempfile::TempDir;

/// Does something to a copy of a journal, and verifies that.
fn tampered(home: &Path, sql: &str) -> Proof {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(home.join("journal.db"), copy.path().join("journal.db")).unwrap();
    let connection = raw(copy.path());
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    drop(connection);
    verify(copy.path(), &[]).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn found(proof: &Proof) -> Vec<(What, u64)> {
    assert_eq!(proof.proven, proof.defects.is_empty());
    proof.defects.iter().map(|defect| (defect.what, defect.id.map_or(0, |id| id.0))).collect()
}

#[tokio::test]
async fn a_journal_is_proven_while_it_is_written_and_after_any_end() {
    let home = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(home.path()).unwrap();
    assert!(verify(home.path(), &[]).unwrap().proven, "an empty one");
    for last in [1, 5, 9] {
        journal.append(records(journal.last_id().0 + 1..=last)).await.unwrap();
        let proof = verify(home.path(), &[]).unwrap();
        assert_eq!(
            (found(&proof), proof.events, proof.head()),
            (vec![], last, journal.chain().head.to_string())
        );
    }
    drop(journal);
    assert!(verify(home.path(), &[]).unwrap().proven, "after a stop that was not clean");
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.close().await.unwrap();
    let names = || {
        let entries = std::fs::read_dir(home.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    assert!(verify(home.path(), &[journal.chain().head]).unwrap().proven);
    assert_eq!(names(), before, "it leaves nothing beside a journal that nobody has open");
}

#[tokio::test]
async fn every_byte_of_a_body_and_of_a_value_counts() {
    let (home, _) = journal(6).await;
    let lengths = |column: &str| -> Vec<(u64, usize)> {
        let sql = format!("SELECT id, length(CAST({column} AS BLOB)) FROM events");
        let connection = raw(home.path());
        let mut statement = connection.prepare(&sql).unwrap();
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as usize)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let mut tried = 0;
    for (column, kind) in [("body", "TEXT"), ("hash", "BLOB")] {
        for (id, length) in lengths(column) {
            for at in 1..=length {
                // Another byte in its place: `!`, or `#` where that stands there already.
                let blob = format!("CAST({column} AS BLOB)");
                let changed = format!(
                    "UPDATE events SET {column} = CAST(substr({blob}, 1, {at} - 1) ||
                     CASE substr({blob}, {at}, 1) WHEN x'21' THEN x'23' ELSE x'21' END ||
                     substr({blob}, {at} + 1) AS {kind}) WHERE id = {id}"
                );
                let proof = tampered(home.path(), &changed);
                let what = match column {
                    "body" => What::Changed,
                    _ => What::HashChanged,
                };
                assert_eq!(found(&proof), [(what, id)], "byte {at} of {column} of {id}: {:?}", proof.defects);
                tried += 1;
            }
        }
    }
    assert!(tried > 600, "{tried}");
    // A number in a body that becomes another number is a change, and no move.
    let proof = tampered(
        home.path(),
        "UPDATE events SET body = replace(body, '\"id\":3,', '\"id\":5,') WHERE id = 3",
    );
    assert_eq!(found(&proof), [(What::Changed, 3)]);
}

#[tokio::test]
async fn columns_must_say_what_the_body_says() {
    let (home, _) = journal(6).await;
    for (column, value, id) in [
        ("at_us", "at_us + 1", 2),
        ("kind", "'hold_sat'", 3),
        ("pipeline", "'shop2'", 3),
        ("pipeline", "NULL", 3),
        ("pipeline", "'shop'", 4),
        ("tier", "'prof'", 6),
        ("run", "7", 5),
        ("run", "7", 1),
        ("run", "NULL", 2),
    ] {
        let proof = tampered(home.path(), &format!("UPDATE events SET {column} = {value} WHERE id = {id}"));
        assert_eq!(found(&proof), [(What::Columns, id)], "{column}: {:?}", proof.defects);
        assert!(proof.defects[0].detail.contains(column), "{:?}", proof.defects);
    }
}

#[tokio::test]
async fn what_is_removed_added_or_put_elsewhere_is_named() {
    let (home, head) = journal(9).await;
    for id in 1..=9 {
        let proof = tampered(home.path(), &format!("DELETE FROM events WHERE id = {id}"));
        assert_eq!(found(&proof), [(What::Missing, id)], "{:?}", proof.defects);
    }
    let all_up = "DELETE FROM events WHERE id = 4; UPDATE events SET id = -id + 1 WHERE id > 4;
                  UPDATE events SET id = -id WHERE id < 0;";
    let proof = tampered(home.path(), all_up);
    assert_eq!(found(&proof), [(What::Missing, 4), (What::Missing, 9)], "{:?}", proof.defects);
    let row = |id: i64, hash: &str| {
        format!(
            "INSERT INTO events SELECT {id}, at_us, kind, pipeline, tier, run, replace(body, '\"id\":9,', '\"id\":{id},'), {hash} FROM events WHERE id = 9;"
        )
    };
    for (id, hash) in [(10, "NULL"), (10, "hash"), (0, "hash"), (-3, "NULL")] {
        let proof = tampered(home.path(), &row(id, hash));
        let named = found(&proof);
        let what = if id < 1 { (What::Added, id as u64) } else { (What::Added, 10) };
        assert!(named.contains(&what), "{id} {hash}: {named:?}");
    }
    let all_down = format!(
        "UPDATE events SET id = -id - 1 WHERE id > 4; UPDATE events SET id = -id WHERE id < 0; {}",
        "INSERT INTO events SELECT 5, at_us, kind, pipeline, tier, run, replace(body, '\"id\":4,', '\"id\":5,'), hash FROM events WHERE id = 4;"
    );
    let named = found(&tampered(home.path(), &all_down));
    assert!(named.contains(&(What::Added, 5)), "{named:?}");
    for (one, other) in [(1, 2), (3, 7), (8, 9), (1, 9)] {
        let swap = format!(
            "UPDATE events SET id = -1 WHERE id = {one}; UPDATE events SET id = {one} WHERE id = {other};
             UPDATE events SET id = {other} WHERE id = -1;"
        );
        let named = found(&tampered(home.path(), &swap));
        assert_eq!(named, [(What::Reordered, one), (What::Reordered, other)]);
    }
    // The tail is cut, and nothing of the stop is left: only a head that was noted tells.
    let cut =
        "DELETE FROM events WHERE id > 7; DELETE FROM meta WHERE key IN ('clean_stop', 'chain_at_stop');
               PRAGMA journal_mode = DELETE;";
    raw(home.path()).execute_batch(cut).unwrap();
    assert!(verify(home.path(), &[]).unwrap().proven);
    assert_eq!(found(&verify(home.path(), &[head]).unwrap()), [(What::Missing, 8)]);
}

#[tokio::test]
async fn a_head_that_was_noted_is_found_again_or_not() {
    let (home, head) = journal(9).await;
    let early: Head = verify(journal_copy(home.path(), 4).await.path(), &[]).unwrap().head().parse().unwrap();
    let proof = verify(home.path(), &[head]).unwrap();
    assert!(proof.proven, "{:?}", proof.defects);
    // Another journal has other heads, whatever its events.
    let named = found(&verify(home.path(), &[early]).unwrap());
    assert_eq!(named, [(What::Head, 4)]);
    let connection = raw(home.path());
    let sql = "SELECT id || ':' || lower(hex(hash)) FROM events WHERE id = 4";
    let noted: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(verify(home.path(), &[noted.parse().unwrap(), head]).unwrap().proven);
}

/// Another journal with so many of the same events.
async fn journal_copy(_: &Path, count: u64) -> TempDir {
    journal(count).await.0
}

#[tokio::test]
async fn retention_keeps_the_rest_provable() {
    let (home, _) = journal(30).await;
    let journal = SqliteJournal::open(home.path()).unwrap();
    let checkpoint = crate::journal::contract::checkpoint_at(20);
    journal.forget_before(EventId(12), checkpoint).await.unwrap();
    journal.close().await.unwrap();
    let proof = verify(home.path(), &[journal.chain().before, journal.chain().head]).unwrap();
    assert!(proof.proven, "{:?}", proof.defects);
    assert_eq!((proof.oldest.0, proof.last.0, proof.events), (12, 30, 19));
    let old = Head { id: EventId(3), ..journal.chain().head };
    assert_eq!(found(&verify(home.path(), &[old]).unwrap()), [(What::Head, 3)]);
    for (sql, what, id) in [
        ("UPDATE checkpoint SET body = body || ' '", What::Checkpoint, 20),
        ("UPDATE checkpoint SET hash = x'00'", What::Checkpoint, 20),
        ("UPDATE checkpoint SET id = 21", What::Checkpoint, 21),
        ("DELETE FROM events WHERE id = 12", What::Missing, 12),
        ("UPDATE events SET body = replace(body, 'ann', 'bob') WHERE id = 12", What::Changed, 12),
        (
            "UPDATE meta SET value = replace(value, '11:', '10:') WHERE key = 'chain_before'",
            What::Missing,
            11,
        ),
        ("DELETE FROM events WHERE id > 19; DELETE FROM meta WHERE key = 'clean_stop'", What::Missing, 20),
    ] {
        let named = found(&tampered(home.path(), sql));
        assert!(named.contains(&(what, id)), "{sql}: {named:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_is_said_to_be() {
    let (home, _) = journal(2_000).await;
    let path = home.path().join("journal.db");
    let whole = std::fs::read(&path).unwrap();
    for (from, length) in [(whole.len() / 2 / 4096 * 4096, 100), (4096 * 3, 4096), (whole.len() / 3, 2_000)] {
        let mut bytes = whole.clone();
        bytes[from..from + length].fill(0xee);
        std::fs::write(&path, bytes).unwrap();
        match verify(home.path(), &[]) {
            Ok(proof) => assert!(!proof.proven, "{from} {length}"),
            Err(error) => assert_eq!(error.code(), "TG-JOURNAL-003"),
        }
    }
    for length in [whole.len() / 2, whole.len() - 4096, 5_000] {
        std::fs::write(&path, &whole[..length]).unwrap();
        match verify(home.path(), &[]) {
            Ok(proof) => assert!(!proof.proven, "cut to {length}"),
            Err(error) => assert_eq!(error.code(), "TG-JOURNAL-003"),
        }
    }
}

#[tokio::test]
async fn a_log_that_is_lost_or_of_another_journal_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let open = SqliteJournal::open(home.path()).unwrap();
    open.append(records(1..=40)).await.unwrap();
    let crashed = tempfile::tempdir().unwrap();
    let copy = |name: &str| std::fs::copy(home.path().join(name), crashed.path().join(name)).unwrap();
    copy("journal.db");
    let proof = verify(crashed.path(), &[]).unwrap();
    assert_eq!(found(&proof), [(What::Missing, 0)], "{:?}", proof.defects);
    assert!(proof.defects[0].detail.contains("journal.db-wal"));
    copy("journal.db-wal");
    assert!(verify(crashed.path(), &[]).unwrap().proven);
    let (other, _) = journal(300).await;
    std::fs::copy(other.path().join("journal.db"), crashed.path().join("journal.db")).unwrap();
    // What SQLite makes of the two together depends on their pages; nothing of it is taken for proven.
    match verify(crashed.path(), &[]) {
        Ok(proof) => assert!(!proof.proven),
        Err(error) => assert_eq!(error.code(), "TG-JOURNAL-003", "{error}"),
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(verify(home.path(), &[]).unwrap_err().code(), "TG-JOURNAL-011");
    std::fs::write(home.path().join("journal.db"), "").unwrap();
    assert_eq!(verify(home.path(), &[]).unwrap_err().code(), "TG-JOURNAL-007");
    std::fs::write(home.path().join("journal.db"), "x".repeat(9_000)).unwrap();
    assert_eq!(verify(home.path(), &[]).unwrap_err().code(), "TG-JOURNAL-003");
    std::fs::remove_file(home.path().join("journal.db")).unwrap();
    raw(home.path()).execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    assert_eq!(verify(home.path(), &[]).unwrap_err().code(), "TG-JOURNAL-007");
    raw(home.path()).execute_batch("PRAGMA application_id = 1414087749; PRAGMA user_version = 99").unwrap();
    assert_eq!(verify(home.path(), &[]).unwrap_err().code(), "TG-JOURNAL-001");
    raw(home.path()).execute_batch("PRAGMA user_version = 2").unwrap();
    assert_eq!(verify(home.path(), &[]).unwrap_err().code(), "TG-JOURNAL-012");
}
