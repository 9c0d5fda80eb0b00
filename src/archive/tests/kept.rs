//! Backups and restores.

use super::*;
use crate::settings::StateDir;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn now() -> crate::domain::Time {
    chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A state folder with a journal, two logs, an artifact, and what is not kept.
async fn state(events: u64) -> (TempDir, StateDir) {
    let (home, _) = journal(events).await;
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let state = StateDir::new(home.path());
    for (name, text) in [
        ("logs/1.log", "one"),
        ("logs/2.log", "two"),
        ("artifacts/sha256/ab/cd", "made"),
        ("artifacts/incoming/x", "half"),
        ("work/shop/y", "made again"),
        ("tokens.json", "{}"),
        ("token", "secret"),
        ("reserve", "room"),
        ("lock", ""),
    ] {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (home, state)
}

/// Every file below a folder, with its text.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let names = crate::archive::folder::files_in(folder).unwrap();
    names.into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_iter().map(|(name, _)| name).collect()
}

/// A place for a folder that is not there yet.
fn nowhere() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("there");
    (home, path)
}

async fn appended(home: &Path, count: u64) {
    let journal = SqliteJournal::open(home).unwrap();
    let last = journal.last_id().0;
    journal.append(records(last + 1..=last + count)).await.unwrap();
    journal.close().await.unwrap();
}

#[tokio::test]
async fn what_is_backed_up_is_restored_and_goes_on_in_a_new_epoch() {
    let (home, state) = state(20).await;
    let (_kept, into) = nowhere();
    let made = backup(&state, &into, now() + chrono::TimeDelta::nanoseconds(9)).unwrap();
    assert_eq!((made.last, made.files, made.copied), (20, 5, 5));
    let manifest = crate::archive::folder::manifest(&into).unwrap().unwrap();
    assert_eq!(manifest.taken_at, now(), "as events say their times");
    let mut wanted =
        ["artifacts/sha256/ab/cd", "backup.json", "backup.lock", "journal.db", "logs/1.log"].to_vec();
    wanted.extend(["logs/2.log", "tokens.json"]);
    assert_eq!(names(&into), wanted);
    for (name, _) in files(&into) {
        assert_eq!(fs::metadata(into.join(&name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    for folder in ["", "logs", "artifacts/sha256/ab"] {
        assert_eq!(fs::metadata(into.join(folder)).unwrap().permissions().mode() & 0o777, 0o700, "{folder}");
    }
    appended(home.path(), 5).await;
    let (_again, place) = nowhere();
    let restored = restore(&into, &StateDir::new(&place), now()).await.unwrap();
    assert_eq!((restored.last, restored.event, restored.files), (20, 1 << 32, 5));
    let wanted = ["artifacts/sha256/ab/cd", "journal.db", "lock", "logs/1.log", "logs/2.log", "tokens.json"];
    assert_eq!(names(&place), wanted);
    let proof = verify(&place, &[format!("{}:{}", made.last, made.hash).parse().unwrap()]).unwrap();
    assert!(proof.proven, "{:?}", proof.defects);
    assert_eq!(proof.last, EventId(1 << 32));
    let journal = SqliteJournal::open(&place).unwrap();
    let mut seen = Vec::new();
    let read = journal.for_each(EventId(0), &mut |record| {
        seen.push(record);
        Ok(())
    });
    read.unwrap();
    assert_eq!(seen[..20], records(1..=20));
    let last = crate::wire::decode(&seen[20].body).unwrap();
    assert_eq!(last.fact.event, Event::JournalRestored { last: EventId(20), taken_at: now() });
    // Once more from there: epochs follow each other.
    drop(journal);
    let state = StateDir::new(&place);
    let (_third, other) = nowhere();
    assert_eq!(backup(&state, &other, now()).unwrap().last, 1 << 32);
    let (_fourth, place) = nowhere();
    assert_eq!(restore(&other, &StateDir::new(&place), now()).await.unwrap().event, 2 << 32);
}

#[tokio::test]
async fn a_second_backup_copies_what_is_new_and_lets_go_of_what_is_gone() {
    let (home, state) = state(20).await;
    let (_kept, into) = nowhere();
    backup(&state, &into, now()).unwrap();
    assert_eq!(backup(&state, &into, now()).unwrap().copied, 1, "the journal alone");
    appended(home.path(), 5).await;
    fs::write(home.path().join("logs/2.log"), "two, and more").unwrap();
    fs::write(home.path().join("logs/3.log"), "three").unwrap();
    fs::remove_file(home.path().join("logs/1.log")).unwrap();
    let made = backup(&state, &into, now()).unwrap();
    assert_eq!((made.last, made.files, made.copied), (25, 5, 3));
    assert!(!into.join("logs/1.log").exists());
    assert_eq!(fs::read_to_string(into.join("logs/2.log")).unwrap(), "two, and more");
    assert!(names(&into).iter().all(|name| !name.ends_with(".next")));
    let (_again, place) = nowhere();
    restore(&into, &StateDir::new(&place), now()).await.unwrap();
    assert_eq!(fs::read_to_string(place.join("logs/3.log")).unwrap(), "three");
}

#[tokio::test]
async fn a_backup_of_a_journal_that_is_open_is_of_one_moment() {
    let (home, state) = state(20).await;
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(21..=30)).await.unwrap();
    let (_kept, into) = nowhere();
    assert_eq!(backup(&state, &into, now()).unwrap().last, 30);
    assert!(verify(&into, &[journal.chain().head]).unwrap().proven, "it can be verified where it lies");
}

#[tokio::test]
async fn every_moment_of_a_backup_leaves_one_that_can_be_restored() {
    let (home, state) = state(20).await;
    let (_kept, first) = nowhere();
    backup(&state, &first, now()).unwrap();
    appended(home.path(), 5).await;
    fs::write(home.path().join("logs/2.log"), "two, and more").unwrap();
    fs::write(home.path().join("logs/3.log"), "three").unwrap();
    let (_other, second) = nowhere();
    copy_all(&first, &second);
    backup(&state, &second, now()).unwrap();
    let (old, new) = (files(&first), files(&second));
    let manifest = new.iter().find(|(name, _)| name == "backup.json").unwrap().1.clone();
    let differ: Vec<_> = new.iter().filter(|file| !old.contains(file) && file.0 != "backup.json").collect();
    assert!(differ.len() > 2);
    // Interrupted after so many files were written beside; then after so many got their names behind the manifest.
    for done in 0..=2 * differ.len() {
        let (_home, place) = nowhere();
        copy_all(&first, &place);
        for (at, (name, bytes)) in differ.iter().enumerate() {
            let path = place.join(name);
            if done > differ.len() && at < done - differ.len() {
                fs::write(&path, bytes).unwrap();
            } else if at < done {
                fs::write(place.join(format!("{name}.next")), bytes).unwrap();
            }
        }
        if done >= differ.len() {
            fs::write(place.join("backup.json"), &manifest).unwrap();
        } else if done > 0 {
            // The one that was being written is torn.
            let (name, bytes) = differ[done - 1];
            fs::write(place.join(format!("{name}.next")), &bytes[..bytes.len() / 2]).unwrap();
        }
        let (_again, again) = nowhere();
        let restored = restore(&place, &StateDir::new(&again), now()).await.unwrap();
        assert_eq!(restored.last, if done >= differ.len() { 25 } else { 20 }, "after {done}");
        // The next backup puts it in order, whatever was left.
        backup(&state, &place, now()).unwrap();
        assert_eq!(names(&place), names(&second), "after {done}");
        let (_again, again) = nowhere();
        assert_eq!(restore(&place, &StateDir::new(&again), now()).await.unwrap().last, 25);
    }
}

fn copy_all(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_refused_and_nothing_is_put_in_place() {
    let (_home, state) = state(20).await;
    let (_kept, whole) = nowhere();
    backup(&state, &whole, now()).unwrap();
    for (name, bytes) in files(&whole).into_iter().filter(|(name, _)| name != "backup.lock") {
        let half = bytes.len() / 2;
        let flipped: Vec<u8> =
            bytes.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == half)).collect();
        for damage in [None, Some(bytes[..half].to_vec()), Some([&bytes[..], b"x"].concat()), Some(flipped)] {
            let (_copy, damaged) = nowhere();
            copy_all(&whole, &damaged);
            match &damage {
                Some(bytes) => fs::write(damaged.join(&name), bytes).unwrap(),
                None => fs::remove_file(damaged.join(&name)).unwrap(),
            }
            let (_again, place) = nowhere();
            let error = restore(&damaged, &StateDir::new(&place), now()).await.unwrap_err();
            match error {
                Error::Damaged { ref files } => assert!(files[0].contains(&name), "{error}"),
                Error::NotABackup { .. } => assert_eq!(name, "backup.json"),
                other => panic!("{name}: {other}"),
            }
            assert!(!place.exists(), "{name}: nothing is made");
        }
    }
    let manifest = fs::read_to_string(whole.join("backup.json")).unwrap();
    for (from, to, code) in [
        ("\"format\": 1", "\"format\": 2", "TG-BACKUP-006"),
        ("logs/1.log", "../1.log", "TG-BACKUP-007"),
        ("\"logs/1.log\"", "\"/etc/1.log\"", "TG-BACKUP-007"),
        ("\"last\": 20", "\"last\": 19", "TG-BACKUP-007"),
    ] {
        assert!(manifest.contains(from), "{from}");
        let (_copy, damaged) = nowhere();
        copy_all(&whole, &damaged);
        fs::write(damaged.join("backup.json"), manifest.replace(from, to)).unwrap();
        let (_again, place) = nowhere();
        let error = restore(&damaged, &StateDir::new(&place), now()).await.unwrap_err();
        assert_eq!(error.code(), code, "{to}: {error}");
        assert!(!place.join("journal.db").exists());
    }
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_not_restored_into() {
    let (home, state) = state(20).await;
    let (_kept, into) = nowhere();
    backup(&state, &into, now()).unwrap();
    let refused = async |place: &Path| restore(&into, &StateDir::new(place), now()).await.unwrap_err().code();
    assert_eq!(refused(home.path()).await, "TG-BACKUP-008");
    let held = SqliteJournal::open(home.path()).unwrap();
    assert_eq!(refused(home.path()).await, "TG-STATE-001");
    drop(held);
    for name in
        ["journal.db", "journal.db-wal", "logs/7.log", "artifacts/sha256/aa/b", "tokens.json", "letters/x"]
    {
        let (_again, place) = nowhere();
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        assert_eq!(refused(&place).await, "TG-BACKUP-008", "{name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
    // What a controller made that began and wrote nothing is in nobody's way.
    let (_again, place) = nowhere();
    let fresh = StateDir::new(&place);
    fresh.prepare().unwrap();
    fs::write(fresh.token(), "secret").unwrap();
    restore(&into, &fresh, now()).await.unwrap();
    assert_eq!(fs::read_to_string(fresh.token()).unwrap(), "secret");
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_done_again() {
    let (_home, state) = state(20).await;
    let (_kept, into) = nowhere();
    backup(&state, &into, now()).unwrap();
    let (_again, place) = nowhere();
    let half = StateDir::new(&place);
    half.prepare().unwrap();
    fs::create_dir_all(half.restoring().join("logs")).unwrap();
    fs::write(half.restoring().join("journal.db"), "half").unwrap();
    fs::write(half.logs().join("1.log"), "one").unwrap();
    let refused = half.prepare().unwrap_err();
    assert_eq!(refused.code(), "TG-STATE-016", "no controller begins on it: {refused}");
    restore(&into, &half, now()).await.unwrap();
    half.prepare().unwrap();
    assert!(verify(&place, &[]).unwrap().proven);
}

#[tokio::test]
async fn a_folder_of_something_else_is_not_backed_up_into() {
    let (home, state) = state(20).await;
    let (_other, full) = nowhere();
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letter"), "mine").unwrap();
    assert_eq!(backup(&state, &full, now()).unwrap_err().code(), "TG-BACKUP-002");
    assert_eq!(names(&full), ["letter"]);
    let (_kept, into) = nowhere();
    backup(&state, &into, now()).unwrap();
    let (_home, stranger) = self::state(30).await;
    assert_eq!(backup(&stranger, &into, now()).unwrap_err().code(), "TG-BACKUP-003");
    let (_again, place) = nowhere();
    assert_eq!(restore(&into, &StateDir::new(&place), now()).await.unwrap().last, 20, "it is as it was");
    assert_eq!(backup(&state, &home.path().join("in"), now()).unwrap_err().code(), "TG-BACKUP-009");
    assert_eq!(backup(&state, home.path().parent().unwrap(), now()).unwrap_err().code(), "TG-BACKUP-009");
    let lock = fs::File::open(into.join("backup.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(backup(&state, &into, now()).unwrap_err().code(), "TG-BACKUP-005");
}

#[tokio::test]
async fn a_damaged_journal_takes_no_good_backups_place() {
    let (home, state) = state(20).await;
    let (_kept, into) = nowhere();
    backup(&state, &into, now()).unwrap();
    raw(home.path())
        .execute("UPDATE events SET body = replace(body, 'ann', 'bob') WHERE id = 5", [])
        .unwrap();
    let error = backup(&state, &into, now()).unwrap_err();
    assert_eq!(error.code(), "TG-BACKUP-004");
    assert!(error.to_string().contains("event 5"), "{error}");
    let (_again, place) = nowhere();
    assert_eq!(restore(&into, &StateDir::new(&place), now()).await.unwrap().last, 20);
}
