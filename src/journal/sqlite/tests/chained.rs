//! The chain in the file: files of earlier layouts that get it, and files that do not fit it.

use super::*;
use crate::journal::{Hash, Head};

/// A file as release 0.1 left it, with so many records.
fn of_an_earlier_layout(home: &Path, count: u64) {
    let mut connection = raw(home);
    connection.execute_batch(VERSION_1).unwrap();
    connection.execute_batch("DELETE FROM events").unwrap();
    let transaction = connection.transaction().unwrap();
    for record in records(1..=count) {
        let sql = "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Record { id, at_us, kind, pipeline, tier, run, body } = record;
        let row =
            rusqlite::params![id.0 as i64, at_us, kind, pipeline, tier, run.map(|run| run as i64), body];
        transaction.execute(sql, row).unwrap();
    }
    transaction.commit().unwrap();
}

/// The head that so many records must have.
fn head_of(count: u64) -> Head {
    let first = Head::first("00112233445566778899aabbccddeeff");
    records(1..=count).iter().fold(first, |head, record| head.then(record.id, &record.body))
}

/// How many records have a value, and whether it is the right one for each.
fn chained(folder: &Path) -> u64 {
    let connection = raw(folder);
    let mut statement = connection.prepare("SELECT hash FROM events ORDER BY id").unwrap();
    let hashes = statement.query_map([], |row| row.get::<_, Option<Vec<u8>>>(0)).unwrap();
    let mut head = head_of(0);
    let mut count = 0;
    for (at, hash) in hashes.enumerate() {
        let record = record(at as u64 + 1);
        head = head.then(record.id, &record.body);
        let Some(hash) = hash.unwrap() else { continue };
        assert_eq!(Hash::from_bytes(&hash), Some(head.hash), "record {}", record.id);
        count += 1;
        assert_eq!(count, record.id.0, "in the order of ids");
    }
    count
}

#[tokio::test]
async fn a_file_of_an_earlier_layout_gets_its_chain_whenever_it_is_interrupted() {
    let home = home();
    of_an_earlier_layout(home.path(), 25);
    let path = home.path().join(FILE);
    for reached in [7, 14, 21] {
        // As far as one chunk, and then the process is gone.
        let mut connection = schema::open_writer(&path).unwrap();
        schema::migrate(&mut connection, &path, schema::MIGRATIONS).unwrap();
        let from = match meta(&connection, chain::REACHED).unwrap().unwrap().as_str() {
            "nothing" => head_of(0),
            text => text.parse().unwrap(),
        };
        let transaction = connection.transaction().unwrap();
        let head = chain::link(&transaction, from, 7).unwrap();
        let noted = [chain::REACHED, &head.to_string()];
        transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", noted).unwrap();
        transaction.commit().unwrap();
        drop(connection);
        assert_eq!(chained(home.path()), reached);
        assert_eq!(Inspector::open(home.path()).unwrap_err(), Error::NoChain);
    }
    let journal = SqliteJournal::open(home.path()).unwrap();
    assert_eq!(journal.chain(), Chain { before: head_of(0), head: head_of(25) });
    journal.append(records(26..=26)).await.unwrap();
    journal.close().await.unwrap();
    drop(journal);
    assert_eq!(chained(home.path()), 26);
    assert_eq!(SqliteJournal::open(home.path()).unwrap().chain().head, head_of(26));
}

/// Set for the copy of this test program that is killed while it opens a file of an earlier layout.
const OLD_FILE: &str = "TIDEGATE_TEST_OLD_FILE";

#[test]
fn killed_while_a_file_gets_its_chain() {
    const COUNT: u64 = 60_000;
    if let Some(folder) = std::env::var_os(OLD_FILE) {
        println!("opening");
        drop(SqliteJournal::open(Path::new(&folder)));
        return;
    }
    let home = home();
    of_an_earlier_layout(home.path(), COUNT);
    let name = "journal::sqlite::tests::chained::killed_while_a_file_gets_its_chain";
    let mut kills = 0;
    loop {
        let before =
            raw(home.path()).query_row("SELECT value FROM meta WHERE key = 'chain_reached'", [], |row| {
                row.get::<_, String>(0)
            });
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(OLD_FILE, home.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as it came further than where it began.
        let watched = raw(home.path());
        watched.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        let ended = loop {
            let now = watched.query_row("SELECT value FROM meta WHERE key = 'chain_reached'", [], |row| {
                row.get::<_, String>(0)
            });
            if child.try_wait().unwrap().is_some() {
                break true;
            }
            if now.is_ok() && now != before {
                break false;
            }
            std::thread::yield_now();
        };
        let _ = child.kill();
        child.wait().unwrap();
        if ended {
            break;
        }
        kills += 1;
        let reached = chained(home.path());
        assert!(reached <= COUNT);
    }
    assert!(kills > 2, "it was killed in the middle, {kills} times");
    let journal = SqliteJournal::open(home.path()).unwrap();
    assert_eq!(journal.chain().head, head_of(COUNT));
    drop(journal);
    assert_eq!(chained(home.path()), COUNT);
}

#[test]
fn a_checkpoint_whose_event_is_gone_is_tied_to_the_chains_beginning() {
    for checkpoint in [9, 12] {
        let home = home();
        of_an_earlier_layout(home.path(), 20);
        let connection = raw(home.path());
        connection.execute_batch(schema::MIGRATIONS[1]).unwrap();
        let sql = "INSERT INTO checkpoint VALUES (?1, 5, '0.1.0', 1, '{}')";
        connection.execute(sql, [checkpoint]).unwrap();
        connection.execute_batch("DELETE FROM events WHERE id < 10; PRAGMA user_version=2").unwrap();
        drop(connection);
        drop(SqliteJournal::open(home.path()).unwrap());
        let inspector = Inspector::open(home.path()).unwrap();
        assert_eq!(inspector.before().unwrap(), Head { id: EventId(9), ..head_of(0) });
        assert!(inspector.checkpoint().unwrap().unwrap().is_whole, "{checkpoint}");
    }
}

#[tokio::test]
async fn a_file_that_does_not_end_as_a_clean_stop_left_it_is_refused() {
    for (change, is_refused) in [
        ("DELETE FROM events WHERE id > 7", true),
        ("DELETE FROM events", true),
        (
            "INSERT INTO events SELECT 10, at_us, kind, pipeline, tier, run, body, hash FROM events WHERE id = 9",
            true,
        ),
        ("UPDATE events SET hash = x'00' WHERE id = 9", true),
        ("DELETE FROM events WHERE id > 7; DELETE FROM meta WHERE key LIKE '%_stop'", false),
    ] {
        let home = home();
        let journal = SqliteJournal::open(home.path()).unwrap();
        journal.append(records(1..=9)).await.unwrap();
        journal.close().await.unwrap();
        raw(home.path()).execute_batch(change).unwrap();
        for _ in 0..2 {
            let opened = SqliteJournal::open(home.path()).map(drop);
            assert_eq!(opened.is_err(), is_refused, "{change}: {opened:?}");
        }
    }
}

#[tokio::test]
async fn a_record_without_its_value_is_damage_and_gets_none() {
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=3)).await.unwrap();
    journal.close().await.unwrap();
    raw(home.path()).execute("UPDATE events SET hash = NULL WHERE id = 3", []).unwrap();
    assert_eq!(SqliteJournal::open(home.path()).unwrap_err().code(), "TG-JOURNAL-003");
}

#[tokio::test]
async fn no_flipped_bit_and_no_cut_is_served_as_history() {
    const COUNT: u64 = 60;
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=COUNT)).await.unwrap();
    journal.close().await.unwrap();
    drop(journal);
    let whole = std::fs::read(home.path().join(FILE)).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        // xorshift
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    for _ in 0..400 {
        let (at, bit) = (draw(whole.len()), draw(8));
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        damaged.push((format!("bit {bit} of byte {at}"), bytes));
    }
    for length in (0..whole.len()).step_by(512) {
        damaged.push((format!("cut to {length}"), whole[..length].to_vec()));
    }
    let mut refused = 0;
    for (what, bytes) in &damaged {
        let copy = self::home();
        std::fs::write(copy.path().join(FILE), bytes).unwrap();
        let mut seen = Vec::new();
        let read = SqliteJournal::open(copy.path()).and_then(|journal| {
            journal.for_each(EventId(0), &mut |record| {
                seen.push((record.id, record.body));
                Ok(())
            })
        });
        let is_empty = bytes.is_empty();
        let right: Vec<_> = records(1..=COUNT).into_iter().map(|record| (record.id, record.body)).collect();
        match read {
            // An empty file is a journal that nothing was ever written to.
            Ok(()) => assert!(seen == right || is_empty, "{what}: {} events", seen.len()),
            Err(_) => refused += 1,
        }
        assert!(right.starts_with(&seen), "{what}: what was given out is what was written");
    }
    assert!(refused > 100, "{refused}");
}
