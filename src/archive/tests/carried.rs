//! Exports and imports.

use super::*;
use crate::settings::StateDir;

fn exported(folder: &Path) -> String {
    let mut text = Vec::new();
    export(folder, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

async fn imported(text: &str) -> (TempDir, Result<Imported, Error>) {
    let home = tempfile::tempdir().unwrap();
    let result = import(text.as_bytes(), &StateDir::new(home.path())).await;
    (home, result)
}

#[tokio::test]
async fn what_is_exported_and_imported_is_exported_the_same() {
    let (whole, _) = journal(2_500).await;
    let (cut, _) = journal(40).await;
    let open = SqliteJournal::open(cut.path()).unwrap();
    open.forget_before(EventId(12), crate::journal::contract::checkpoint_at(20)).await.unwrap();
    open.append(vec![restored(40), record(&envelope((1 << 32) + 1))]).await.unwrap();
    open.close().await.unwrap();
    drop(open);
    let (to_the_tie, _) = journal(40).await;
    let open = SqliteJournal::open(to_the_tie.path()).unwrap();
    open.forget_before(EventId(21), crate::journal::contract::checkpoint_at(20)).await.unwrap();
    drop(open);
    let empty = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(empty.path()).unwrap());
    for home in [whole, cut, to_the_tie, empty] {
        let text = exported(home.path());
        let (again, result) = imported(&text).await;
        let result = result.unwrap();
        assert_eq!(exported(again.path()), text);
        let proof = verify(again.path(), &[]).unwrap();
        assert!(proof.proven, "{:?}", proof.defects);
        assert_eq!((result.events, proof.head()), (proof.events, format!("{}:{}", result.last, result.hash)));
        let names = std::fs::read_dir(again.path()).unwrap().count();
        assert_eq!(names, 2, "the journal and the lock, nothing half made");
        let one = SqliteJournal::open(home.path()).unwrap();
        let other = SqliteJournal::open(again.path()).unwrap();
        assert_eq!((one.chain(), one.checkpoint()), (other.chain(), other.checkpoint()));
    }
}

/// The event with which a journal goes on that is restored after an id.
fn restored(last: u64) -> Record {
    let last = EventId(last);
    let at = envelope(1).at;
    let event = Event::JournalRestored { last, taken_at: at };
    let fact = Fact { pipeline: None, by: Some("restore".into()), why: None, event };
    record(&Envelope { id: last.next_epoch(), at, fact })
}

#[tokio::test]
async fn the_lines_of_an_export_are_events() {
    let (home, head) = journal(9).await;
    let text = exported(home.path());
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["kind"], &lines[0]["format"]), (&"journal".into(), &1.into()));
    assert_eq!(lines[0]["before"].as_str().unwrap().len(), 64);
    assert_eq!(lines[9]["hash"], head.hash.to_string());
    for (at, line) in text.lines().skip(1).enumerate() {
        let read = crate::wire::decode(line).unwrap();
        assert_eq!(read, envelope(at as u64 + 1), "the field more disturbs nobody");
        assert!(line.ends_with("\"}") && line.contains(",\"hash\":\""));
    }
}

#[tokio::test]
async fn the_first_line_that_does_not_fit_ends_an_import() {
    let (home, _) = journal(9).await;
    let text = exported(home.path());
    let lines: Vec<&str> = text.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        lines.join("\n") + "\n"
    };
    let swapped = {
        let mut lines = lines.clone();
        lines.swap(3, 4);
        lines.join("\n") + "\n"
    };
    let twice = {
        let mut lines = lines.clone();
        lines.insert(4, lines[3]);
        lines.join("\n") + "\n"
    };
    let mut cases = vec![
        (String::new(), 1, "there is none"),
        ("nonsense\n".into(), 1, "no header"),
        (without(0), 1, "no header"),
        (with(0, &lines[0].replace("\"format\":1", "\"format\":2")), 1, "newer release"),
        (with(0, &lines[0].replace("\"kind\":\"journal\"", "\"kind\":\"sluice\"")), 1, "no header"),
        (with(0, &lines[0].replace("\"oldest\":1", "\"oldest\":2")), 2, "2 is due"),
        (with(0, &lines[0].replace("\"instance\":\"", "\"instance\":\"0")), 1, "beginning of the chain"),
        (without(1), 2, "1 is due"),
        (without(5), 6, "5 is due"),
        (swapped, 4, "3 is due"),
        (twice, 5, "4 is due"),
        (with(3, "{\"id\":3}"), 4, "`hash`"),
        (with(3, "nonsense"), 4, "`hash`"),
        (with(3, ""), 4, "`hash`"),
        (with(3, &lines[3].replace("ann", "bob")), 4, "not what was written"),
        (text[..text.len() - 1].to_owned(), 10, "cut off"),
        (text[..text.len() - 30].to_owned(), 10, "cut off"),
    ];
    let cut = text.find("\"id\":6").unwrap();
    cases.push((text[..cut].to_owned(), 7, "cut off"));
    for (case, line, words) in cases {
        let (home, result) = imported(&case).await;
        match result {
            Err(Error::Line { line: found, ref detail }) => {
                assert_eq!(found, line, "{detail} in {case}");
                assert!(detail.contains(words), "{detail}, not {words}");
            }
            other => panic!("{words}: {other:?}"),
        }
        let left: Vec<_> =
            std::fs::read_dir(home.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"], "nothing is left half made");
    }
    let (home, _) = journal(3).await;
    let text = exported(home.path());
    // Every byte of the file counts, but those of the release in the header, which says nothing of the events.
    let release = text.find("\"release\"").unwrap();
    let mut taken = 0;
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'!' { b'#' } else { b'!' };
        let home = tempfile::tempdir().unwrap();
        let result = import(&bytes[..], &StateDir::new(home.path())).await;
        taken += usize::from(result.is_ok());
        let is_said = (release..release + 20).contains(&at);
        assert!(
            result.is_err() || is_said,
            "byte {at}: {}",
            String::from_utf8_lossy(&bytes[at.saturating_sub(9)..])
        );
    }
    assert!(taken < 20, "{taken}");
}

#[tokio::test]
async fn an_import_wants_an_empty_folder() {
    let (home, _) = journal(3).await;
    let text = exported(home.path());
    let result = import(text.as_bytes(), &StateDir::new(home.path())).await;
    assert_eq!(result.unwrap_err().code(), "TG-BACKUP-008");
    let held = SqliteJournal::open(home.path()).unwrap();
    let result = import(text.as_bytes(), &StateDir::new(home.path())).await;
    assert_eq!(result.unwrap_err().code(), "TG-STATE-001");
    drop(held);
}

#[tokio::test]
async fn what_is_damaged_is_not_exported_as_whole() {
    let (home, _) = journal(9).await;
    raw(home.path())
        .execute("UPDATE events SET body = replace(body, 'ann', 'bob') WHERE id = 5", [])
        .unwrap();
    let mut text = Vec::new();
    let error = export(home.path(), &mut text).unwrap_err();
    assert_eq!(error.code(), "TG-JOURNAL-003");
    assert!(error.to_string().contains("event 5"), "{error}");
}
