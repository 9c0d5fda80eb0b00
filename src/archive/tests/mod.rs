//! Journals that are proven, carried and kept, and what they are made of here.

mod carried;
mod kept;
mod proofs;

use super::*;
use crate::domain::event::Event;
use crate::domain::{Envelope, EventId, Fact};
use crate::engine::record;
use crate::journal::{Head, Journal, Record, SqliteJournal};
use rusqlite::Connection;
use std::path::Path;
use tempfile::TempDir;

/// Events of every shape that the columns know.
fn envelope(id: u64) -> Envelope {
    let event = match id % 3 {
        0 => Event::HoldSet { tier: Some("prod".into()), of_rollback: false },
        1 => Event::ControllerStarted { release: "1.2.3".into(), runner: None, kept: Vec::new() },
        _ => Event::StepStart {
            run_id: crate::domain::RunId(id),
            sha: "c0".into(),
            version: "1.0.0".into(),
            step: "compile".into(),
        },
    };
    let pipeline = (id % 3 != 1).then(|| "shop".into());
    let at = chrono::DateTime::from_timestamp_micros(1_700_000_000_000_000 + id as i64).unwrap();
    Envelope { id: EventId(id), at, fact: Fact { pipeline, by: Some("ann".into()), why: None, event } }
}

fn records(ids: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    ids.map(|id| record(&envelope(id))).collect()
}

/// A journal of so many events that was stopped cleanly, and its head.
async fn journal(count: u64) -> (TempDir, Head) {
    let home = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(home.path()).unwrap();
    journal.append(records(1..=count)).await.unwrap();
    journal.close().await.unwrap();
    (home, journal.chain().head)
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join("journal.db")).unwrap()
}
