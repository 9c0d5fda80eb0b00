//! What only the journal on disk has to show: the file, the sync, crashes, damage, a full disk.

mod chained;

use super::*;
use crate::journal::contract::{checkpoint_at, ids, record, records};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open_with(
    home: &Path,
    sync: impl FnMut(&std::fs::File) -> io::Result<()> + Send + 'static,
) -> SqliteJournal {
    let options = Options { sync: Box::new(sync), ..Options::default() };
    SqliteJournal::open_locked(StateLock::acquire(home).unwrap(), options).unwrap()
}

/// Everything in the file, read by another journal opened on a copy of it.
fn all(folder: &Path) -> Vec<u64> {
    let journal = SqliteJournal::open(folder).unwrap();
    let mut seen = Vec::new();
    let mut each = |found: Record| {
        assert_eq!(found, record(found.id.0));
        seen.push(found.id.0);
        Ok(())
    };
    journal.for_each(EventId(0), &mut each).unwrap();
    seen
}

/// Copies database and log as they are, without `-shm`, as after a crash.
fn copy(from: &Path) -> TempDir {
    let to = home();
    for name in ["journal.db", "journal.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.path().join(name)).unwrap();
        }
    }
    to
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join(FILE)).unwrap()
}

#[tokio::test]
async fn it_is_there_again_and_is_the_same_journal() {
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=20)).await.unwrap();
    let instance = journal.meta_get(META_INSTANCE).await.unwrap();
    journal.close().await.unwrap();
    assert!(!home.path().join("journal.db-wal").exists(), "a clean stop leaves one file");
    assert_eq!(meta(&raw(home.path()), META_CLEAN_STOP).unwrap().as_deref(), Some("20"));
    drop(journal);
    let journal = SqliteJournal::open(home.path()).unwrap();
    assert_eq!(journal.last_id(), EventId(20));
    assert_eq!(journal.meta_get(META_INSTANCE).await.unwrap(), instance);
    assert_eq!(journal.meta_get(META_CLEAN_STOP).await.unwrap(), None, "not while it is open");
    journal.append(records(21..=21)).await.unwrap();
    drop(journal);
    assert_eq!(all(home.path()), (1..=21).collect::<Vec<_>>());
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let home = home();
    std::fs::write(home.path().join(FILE), "").unwrap();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=1)).await.unwrap();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm", "lock"] {
        let mode = home.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(journal.size_bytes().unwrap() > 4_096);
}

#[tokio::test]
async fn a_second_one_is_refused_until_the_first_is_closed() {
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    assert_eq!(SqliteJournal::open(home.path()).unwrap_err().code(), "TG-STATE-001");
    journal.close().await.unwrap();
    SqliteJournal::open(home.path()).unwrap();
}

/// Holds syncs back: each waits for one permission.
struct Gate {
    permit: mpsc::Sender<io::Result<()>>,
    begun: mpsc::Receiver<()>,
}

fn gated(home: &Path) -> (SqliteJournal, Gate) {
    let (permit, permits) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    permit.send(Ok(())).unwrap();
    let journal = open_with(home, move |file| {
        let _ = begin.send(());
        permits.recv().unwrap_or(Ok(()))?;
        sync::fdatasync(file)
    });
    begun.recv().unwrap();
    (journal, Gate { permit, begun })
}

#[tokio::test]
async fn durable_is_what_was_committed_before_a_sync_began() {
    let home = home();
    let (journal, gate) = gated(home.path());
    let mut durable = journal.durable();
    journal.append(records(1..=1)).await.unwrap();
    gate.begun.recv().unwrap();
    // These are committed, and read, while the first sync is under way.
    for id in 2..=50 {
        journal.append(records(id..=id)).await.unwrap();
    }
    assert_eq!(ids(&journal.read(EventId(0), 100, &Filter::default()).await.unwrap()).len(), 50);
    assert_eq!(*durable.borrow_and_update(), Watermark::Durable(EventId(0)));
    gate.permit.send(Ok(())).unwrap();
    durable.changed().await.unwrap();
    assert_eq!(*durable.borrow_and_update(), Watermark::Durable(EventId(1)), "not what came during the sync");
    gate.begun.recv().unwrap();
    gate.permit.send(Ok(())).unwrap();
    durable.changed().await.unwrap();
    assert_eq!(*durable.borrow_and_update(), Watermark::Durable(EventId(50)), "one sync for all that waited");
    drop(gate);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_is_for_ever() {
    let home = home();
    let (journal, gate) = gated(home.path());
    journal.append(records(1..=1)).await.unwrap();
    let waiting = journal.sync(EventId(1));
    gate.permit.send(Err(io::Error::from_raw_os_error(5))).unwrap();
    let error = waiting.await.unwrap_err();
    assert_eq!(error.code(), "TG-JOURNAL-002");
    assert_eq!(journal.append(records(2..=2)).await, Err(error.clone()));
    assert_eq!(journal.meta_set("x", "y").await, Err(error.clone()));
    assert_eq!(*journal.durable().borrow(), Watermark::Failed(error.clone()));
    assert_eq!(journal.close().await, Err(error.clone()));
    assert_eq!(journal.close().await, Err(error));
    assert!(home.path().join("journal.db-wal").metadata().unwrap().len() > 0, "nothing was checkpointed");
    drop(journal);
    assert_eq!(all(home.path()), [1], "the next process goes on with what is there");
}

#[tokio::test]
async fn a_panic_while_syncing_is_a_failed_sync() {
    let home = home();
    let mut count = 0;
    let journal = open_with(home.path(), move |_| {
        count += 1;
        assert!(count < 3, "the third sync panics, as meant");
        Ok(())
    });
    journal.append(records(1..=1)).await.unwrap();
    journal.sync(EventId(1)).await.unwrap();
    journal.append(records(2..=2)).await.unwrap();
    let error = journal.sync(EventId(2)).await.unwrap_err();
    assert_eq!(error.code(), "TG-JOURNAL-002");
    assert_eq!(journal.append(records(3..=3)).await, Err(error.clone()));
    assert_eq!(journal.close().await, Err(error));
}

#[tokio::test]
async fn retention_is_synced_too() {
    let home = home();
    let (journal, gate) = gated(home.path());
    journal.append(records(1..=5_000)).await.unwrap();
    gate.begun.recv().unwrap();
    gate.permit.send(Ok(())).unwrap();
    journal.sync(EventId(5_000)).await.unwrap();
    let forgotten = journal.forget_before(EventId(4_500), checkpoint_at(9_999));
    gate.begun.recv().unwrap();
    drop(gate);
    assert_eq!(forgotten.await.unwrap(), EventId(4_500));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_log_that_was_taken_away_is_a_failed_sync() {
    for is_replaced in [false, true] {
        let home = home();
        let journal = SqliteJournal::open(home.path()).unwrap();
        let wal = home.path().join("journal.db-wal");
        let bytes = std::fs::read(&wal).unwrap();
        std::fs::rename(&wal, home.path().join("elsewhere")).unwrap();
        if is_replaced {
            std::fs::write(&wal, bytes).unwrap();
        }
        journal.append(records(1..=1)).await.unwrap();
        assert_eq!(journal.sync(EventId(1)).await.unwrap_err().code(), "TG-JOURNAL-002");
        assert!(journal.close().await.is_err());
    }
}

#[tokio::test]
async fn the_loss_of_power_takes_a_tail_of_what_was_not_durable() {
    let home = home();
    let size = Arc::new(AtomicU64::new(0));
    let is_on = Arc::new(AtomicBool::new(true));
    let (seen, on) = (size.clone(), is_on.clone());
    // While it is off nothing reaches the disk, and the size of the log at the last sync is what a crash leaves.
    let journal = open_with(home.path(), move |file| {
        if on.load(Ordering::SeqCst) {
            seen.store(file.metadata()?.len(), Ordering::SeqCst);
        }
        Ok(())
    });
    for id in 1..=30 {
        journal.append(records(id..=id)).await.unwrap();
    }
    journal.sync(EventId(30)).await.unwrap();
    is_on.store(false, Ordering::SeqCst);
    for id in 31..=40 {
        journal.append(records(id..=id)).await.unwrap();
    }
    let crashed = copy(home.path());
    let wal = crashed.path().join("journal.db-wal");
    let (least, most) = (size.load(Ordering::SeqCst), wal.metadata().unwrap().len());
    assert!(most > least);
    let mut lengths: Vec<u64> = (least..most).step_by(512).collect();
    lengths.push(most);
    let mut kept_before = 0;
    for length in lengths {
        let after = copy(crashed.path());
        let torn = std::fs::OpenOptions::new().write(true).open(after.path().join("journal.db-wal")).unwrap();
        torn.set_len(length).unwrap();
        let kept = all(after.path());
        assert_eq!(kept, (1..=kept.len() as u64).collect::<Vec<_>>(), "a prefix, at {length} bytes");
        assert!(kept.len() >= 30 && kept.len() >= kept_before, "{} at {length} bytes", kept.len());
        kept_before = kept.len();
    }
    assert_eq!(kept_before, 40);
}

#[tokio::test]
async fn it_survives_a_crash_at_every_stage_of_the_logs_life() {
    let home = home();
    let lock = StateLock::acquire(home.path()).unwrap();
    let options = Options { checkpoint_frames: 10, ..Options::default() };
    let journal = SqliteJournal::open_locked(lock, options).unwrap();
    for id in 1..=150 {
        journal.append(records(id..=id)).await.unwrap();
        // The writer is idle once it has answered and checkpointed: this asks it for something after that.
        journal.meta_set("idle", &id.to_string()).await.unwrap();
        if id % 3 == 0 {
            assert_eq!(all(copy(home.path()).path()).len() as u64, id);
        }
    }
    let wal = home.path().join("journal.db-wal").metadata().unwrap().len();
    assert!(wal < 40 * 4_200, "the log began anew, and did not grow to {wal} bytes");
}

/// Set for the copy of this test program that runs on a small file system of its own.
const SMALL_DISK: &str = "TIDEGATE_TEST_SMALL_DISK";

#[tokio::test]
async fn a_full_disk_loses_nothing_and_ends() {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        return fill_and_go_on(Path::new(&disk)).await;
    }
    let disk = home();
    let name = "journal::sqlite::tests::a_full_disk_loses_nothing_and_ends";
    let script = "mount -t tmpfs -o size=400k small \"$1\" || exit 77; exec \"$2\" --exact \"$3\"";
    let ran = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([disk.path().as_os_str(), std::env::current_exe().unwrap().as_os_str(), name.as_ref()])
        .env(SMALL_DISK, disk.path())
        .output();
    match ran {
        Ok(ran) if ran.status.success() => {
            assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"), "{ran:?}");
        }
        // No unshare here, or it may not mount: the test needs a file system that can be full.
        Ok(ran) if matches!(ran.status.code(), Some(1 | 77)) => {
            eprintln!("skipped: no file system of our own")
        }
        Ok(ran) => panic!("{}", String::from_utf8_lossy(&ran.stdout)),
        Err(error) => eprintln!("skipped: {error}"),
    }
}

async fn fill_and_go_on(disk: &Path) {
    let journal = SqliteJournal::open(disk).unwrap();
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, [0; 64 << 10]).unwrap();
    let mut next = 1;
    let failure = loop {
        match journal.append(records(next..=next + 9)).await {
            Ok(()) => next += 10,
            Err(error) => break error,
        }
    };
    assert_eq!((failure, next > 10), (Error::Full, true));
    assert_eq!(journal.append(records(next..=next + 9)).await, Err(Error::Full), "it goes on saying so");
    journal.sync(EventId(next - 1)).await.unwrap();
    assert_eq!(journal.last_id(), EventId(next - 1));
    std::fs::remove_file(&ballast).unwrap();
    journal.append(records(next..=next + 4)).await.unwrap();
    journal.sync(EventId(next + 4)).await.unwrap();
    drop(journal);
    assert_eq!(all(disk), (1..=next + 4).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_not_touched() {
    let home = home();
    SqliteJournal::open(home.path()).unwrap().close().await.unwrap();
    raw(home.path()).execute_batch("PRAGMA user_version=99; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    let before = std::fs::read(home.path().join(FILE)).unwrap();
    let refused = SqliteJournal::open(home.path()).unwrap_err();
    assert_eq!(refused, Error::Newer { found: 99, known: schema::MIGRATIONS.len() as i64 });
    assert_eq!(refused.code(), "TG-JOURNAL-001");
    assert!(refused.to_string().contains("written by a newer release"));
    assert_eq!(std::fs::read(home.path().join(FILE)).unwrap(), before);
    let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == FILE || name == "lock"), "{names:?}");
}

#[test]
fn what_is_not_a_journal_is_refused() {
    for content in ["hello, this is not a database", &"x".repeat(5_000)] {
        let home = home();
        std::fs::write(home.path().join(FILE), content).unwrap();
        assert_eq!(SqliteJournal::open(home.path()).unwrap_err().code(), "TG-JOURNAL-007");
        assert_eq!(std::fs::read_to_string(home.path().join(FILE)).unwrap(), content);
    }
    for made in ["", "PRAGMA application_id=7;", "PRAGMA journal_mode=WAL; PRAGMA user_version=1;"] {
        let home = home();
        raw(home.path()).execute_batch(&format!("CREATE TABLE recipes (name TEXT); {made}")).unwrap();
        let before = std::fs::read(home.path().join(FILE)).unwrap();
        assert_eq!(SqliteJournal::open(home.path()).unwrap_err().code(), "TG-JOURNAL-007", "{made}");
        assert_eq!(std::fs::read(home.path().join(FILE)).unwrap(), before, "{made}");
    }
}

#[tokio::test]
async fn a_birth_that_came_to_nothing_is_gone_on_with() {
    // What a disk that failed, or a kill, leaves of the first moments: a database with nothing in it.
    let home = home();
    raw(home.path()).execute_batch("CREATE TABLE t (x); DROP TABLE t;").unwrap();
    assert!(std::fs::metadata(home.path().join(FILE)).unwrap().len() > 0);
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=3)).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(all(home.path()), [1, 2, 3]);
}

#[tokio::test]
async fn a_copy_that_sqlite_made_is_the_same_journal() {
    let (home, copy) = (home(), home());
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=3)).await.unwrap();
    journal.sync(EventId(3)).await.unwrap();
    let into = copy.path().join(FILE);
    raw(home.path()).execute("VACUUM INTO ?1", [into.to_str().unwrap()]).unwrap();
    assert_eq!(std::fs::read(&into).unwrap()[18], 1, "it is not in WAL mode");
    assert_eq!(all(copy.path()), [1, 2, 3]);
    let restored = SqliteJournal::open(copy.path()).unwrap();
    restored.append(records(4..=4)).await.unwrap();
    restored.close().await.unwrap();
    assert_eq!(all(copy.path()), [1, 2, 3, 4]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn what_fails_in_the_middle_leaves_nothing() {
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=9)).await.unwrap();
    raw(home.path())
        .execute(
            "INSERT INTO events SELECT 11, at_us, kind, NULL, NULL, NULL, '', hash FROM events LIMIT 1",
            [],
        )
        .unwrap();
    let refused = journal.append(records(10..=12)).await.unwrap_err();
    assert_eq!(refused.code(), "TG-JOURNAL-003", "{refused}");
    assert_eq!(journal.last_id(), EventId(9));
    raw(home.path()).execute("DELETE FROM events WHERE id = 11", []).unwrap();
    journal.append(records(10..=12)).await.unwrap();
    drop(journal);
    assert_eq!(all(home.path()), (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_newer_file_that_crashed_keeps_its_log() {
    // The newer version is in the database, or still in the log only.
    for is_in_database in [true, false] {
        let home = home();
        SqliteJournal::open(home.path()).unwrap().close().await.unwrap();
        let newer = raw(home.path());
        newer.execute_batch("PRAGMA wal_autocheckpoint=0; PRAGMA user_version=99;").unwrap();
        if is_in_database {
            newer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM meta;").unwrap();
        }
        let crashed = copy(home.path());
        let bytes =
            || ["journal.db", "journal.db-wal"].map(|name| std::fs::read(crashed.path().join(name)).unwrap());
        let before = bytes();
        assert!(!before[1].is_empty());
        assert_eq!(SqliteJournal::open(crashed.path()).unwrap_err().code(), "TG-JOURNAL-001");
        assert!(bytes() == before, "not touched, in the database: {is_in_database}");
        let shm = crashed.path().join("journal.db-shm").exists();
        assert_eq!(shm, !is_in_database, "not even opened when its first bytes say enough");
    }
}

/// How release 0.1 made its file. Never to be edited: files like this exist.
const VERSION_1: &str = "
    PRAGMA journal_mode=WAL;
    CREATE TABLE events (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, pipeline TEXT, tier TEXT,
        run INTEGER, body TEXT NOT NULL) STRICT;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    PRAGMA application_id=1414087749;
    PRAGMA user_version=1;
    INSERT INTO events VALUES (1, 5, 'gate_done', 'shop', 'prod', 7, '{\"id\":1}'), (2, 6, 'x', NULL, NULL, NULL, '{}');
    INSERT INTO meta VALUES ('instance', '00112233445566778899aabbccddeeff');
";

#[tokio::test]
async fn a_file_of_the_first_release_opens() {
    let home = home();
    raw(home.path()).execute_batch(VERSION_1).unwrap();
    let journal = SqliteJournal::open(home.path()).unwrap();
    let page = journal.read(EventId(0), 10, &Filter::default()).await.unwrap();
    assert_eq!(ids(&page), [1, 2]);
    assert_eq!(page.records[0].run, Some(7));
    assert_eq!(page.records[1].pipeline, None);
    let instance = journal.meta_get(META_INSTANCE).await.unwrap();
    assert_eq!(instance.as_deref(), Some("00112233445566778899aabbccddeeff"));
}

#[test]
fn upgrades_go_step_by_step_and_only_once() {
    let home = home();
    let path = home.path().join(FILE);
    let mut connection = raw(home.path());
    let steps = [schema::MIGRATIONS[0], "ALTER TABLE meta ADD COLUMN note TEXT;"];
    assert_eq!(schema::migrate(&mut connection, &path, &steps[..1]), Ok(true));
    assert_eq!(schema::migrate(&mut connection, &path, &steps), Ok(true));
    connection.execute("INSERT INTO meta (key, value, note) VALUES ('a', 'b', 'c')", []).unwrap();
    assert_eq!(schema::migrate(&mut connection, &path, &steps), Ok(false));
    let refused = schema::migrate(&mut connection, &path, &steps[..1]);
    assert_eq!(refused, Err(Error::Newer { found: 2, known: 1 }));
    let broken = [steps[0], steps[1], "CREATE TABLE half (x); SELECT nonsense;"];
    assert!(schema::migrate(&mut connection, &path, &broken).is_err());
    let halves: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name='half'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(halves, 0, "an upgrade that fails changes nothing");
}

#[tokio::test]
async fn damage_is_found_after_a_stop_that_was_not_clean() {
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=2_000)).await.unwrap();
    drop(journal);
    let _ = SqliteJournal::open(home.path()).map(drop);
    let path = home.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 100].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let _ = std::fs::remove_file(home.path().join("journal.db-wal"));
    let refused = SqliteJournal::open(home.path()).unwrap_err();
    assert_eq!(refused.code(), "TG-JOURNAL-003", "{refused}");
}

#[tokio::test]
async fn a_hole_is_damage() {
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=10)).await.unwrap();
    journal.close().await.unwrap();
    raw(home.path()).execute("DELETE FROM events WHERE id = 5", []).unwrap();
    let journal = SqliteJournal::open(home.path()).unwrap();
    let found = journal.for_each(EventId(0), &mut |_| Ok(())).unwrap_err();
    assert_eq!(found.code(), "TG-JOURNAL-003");
}

#[tokio::test]
async fn what_retention_frees_is_given_back_to_the_disk() {
    let home = home();
    let journal = SqliteJournal::open(home.path()).unwrap();
    for from in (1..40_000).step_by(4_000) {
        journal.append(records(from..=from + 3_999)).await.unwrap();
    }
    journal.close().await.unwrap();
    drop(journal);
    let before = std::fs::metadata(home.path().join(FILE)).unwrap().len();
    let journal = SqliteJournal::open(home.path()).unwrap();
    let forgotten = journal.forget_before(EventId(39_000), checkpoint_at(40_000));
    // An append in the middle does not wait for the end of it.
    journal.append(records(40_001..=40_001)).await.unwrap();
    assert_eq!(forgotten.await.unwrap(), EventId(39_000));
    journal.close().await.unwrap();
    drop(journal);
    let after = std::fs::metadata(home.path().join(FILE)).unwrap().len();
    assert!(after < before / 4, "{before} bytes before, {after} after");
    let journal = SqliteJournal::open(home.path()).unwrap();
    assert_eq!((journal.oldest_id(), journal.last_id()), (EventId(39_000), EventId(40_001)));
    assert_eq!(journal.checkpoint().unwrap(), Some(checkpoint_at(40_000)));
}

#[tokio::test]
async fn a_journal_without_checkpoints_is_upgraded() {
    let home = home();
    let connection = raw(home.path());
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection
        .execute_batch(&format!(
            "{} PRAGMA application_id={}; PRAGMA user_version=1;
             INSERT INTO events VALUES (1, 5, 'hold_set', NULL, NULL, NULL, '{{}}');
             PRAGMA wal_checkpoint(TRUNCATE);",
            schema::MIGRATIONS[0],
            schema::APPLICATION_ID
        ))
        .unwrap();
    drop(connection);
    let journal = SqliteJournal::open(home.path()).unwrap();
    assert_eq!((journal.last_id(), journal.checkpoint()), (EventId(1), Ok(None)));
    journal.append((2..=9).map(record).collect()).await.unwrap();
    assert_eq!(journal.forget_before(EventId(7), checkpoint_at(9)).await.unwrap(), EventId(7));
    journal.close().await.unwrap();
}
