//! Making a journal of an export. The chain is worked out as it is read, and what is filed of each event is taken from the
//! event. What does not fit ends it, and nothing is left.

use super::Error;
use super::export::{CheckpointLine, FORMAT, Header, without_hash};
use super::restore::{clear, put};
use super::{backup::JOURNAL, folder};
use crate::domain::EventId;
use crate::engine::record;
use crate::journal::lock::StateLock;
use crate::journal::{Checkpoint, Head, Importer, Record, due_after};
use crate::settings::StateDir;
use crate::wire::{self, DecodeError};
use std::io::BufRead;

/// Events that are written in one transaction.
const CHUNK: usize = 1_000;

/// What an import came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// How many events there were.
    pub events: u64,
    /// The last of them.
    pub last: u64,
    /// The value of the chain at that event.
    pub hash: String,
}

/// Reads an export into a state folder that has nothing in it.
///
/// # Errors
/// A line does not fit, the folder is not empty or a controller has it, or something cannot be written.
pub async fn import(lines: impl BufRead, state: &StateDir) -> Result<Imported, Error> {
    let lock = StateLock::acquire(state.path())?;
    let staging = clear(state)?;
    let result = read(lines, &staging);
    let done = match &result {
        Ok(_) => folder::sync(&staging)
            .and_then(|()| put(&staging, state.path(), JOURNAL))
            .and_then(|()| folder::sync(state.path())),
        Err(_) => Ok(()),
    };
    std::fs::remove_dir_all(&staging).map_err(Error::io("remove", &staging))?;
    done?;
    drop(lock);
    result
}

fn read(mut lines: impl BufRead, staging: &std::path::Path) -> Result<Imported, Error> {
    let mut number = 0;
    let mut next = || -> Result<Option<(usize, String)>, Error> {
        let mut line = String::new();
        number += 1;
        let wrong = |detail: String| Error::Line { line: number, detail };
        match lines.read_line(&mut line).map_err(|error| wrong(error.to_string()))? {
            0 => Ok(None),
            _ if line.ends_with('\n') => {
                line.pop();
                Ok(Some((number, line)))
            }
            _ => Err(wrong("it is cut off".into())),
        }
    };
    let (_, first) = next()?.ok_or(Error::Line { line: 1, detail: "there is none".into() })?;
    let (header, before) = header(&first)?;
    let mut importer = Importer::begin(staging, &header.instance, before)?;
    let mut at = before;
    let mut chunk: Vec<Record> = Vec::new();
    let mut events = 0;
    let mut tie = None;
    while let Some((line, text)) = next()? {
        let wrong = |detail: String| Error::Line { line, detail };
        let (body, hash) =
            without_hash(&text).ok_or_else(|| wrong("it does not end with the event's `hash`".into()))?;
        let record = filed(body).map_err(wrong)?;
        let due = if events == 0 { EventId(header.oldest) } else { due_after(at.id, &record.kind) };
        if record.id != due {
            return Err(wrong(format!("it is event {}, and {due} is due", record.id)));
        }
        at = at.then(record.id, &record.body);
        if at.hash != hash {
            return Err(wrong(format!(
                "event {} is not what was written: its `hash` does not fit",
                record.id
            )));
        }
        if header.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.id == at.id.0) {
            tie = Some(at.hash);
        }
        events += 1;
        chunk.push(record);
        if chunk.len() == CHUNK {
            importer.append(&std::mem::take(&mut chunk))?;
        }
    }
    importer.append(&chunk)?;
    if before.id.0 > 0 && events == 0 {
        return Err(Error::Line { line: 2, detail: "there is no event".into() });
    }
    let checkpoint = header.checkpoint.map(|line| checked(line, before, tie)).transpose()?;
    importer.finish(checkpoint.as_ref())?;
    Ok(Imported { events, last: at.id.0, hash: at.hash.to_string() })
}

/// The first line, and the place in the chain that it begins after.
fn header(text: &str) -> Result<(Header, Head), Error> {
    let wrong = |detail: String| Error::Line { line: 1, detail };
    let header: Header =
        serde_json::from_str(text).map_err(|error| wrong(format!("it is no header: {error}")))?;
    if header.kind != "journal" {
        return Err(wrong("it is no header of an export".into()));
    }
    if header.format > FORMAT {
        let detail =
            format!("a newer release wrote it (form {}, this release knows {FORMAT})", header.format);
        return Err(wrong(detail));
    }
    let hash = header.before.parse().map_err(|_| wrong("`before` is no value of a chain".into()))?;
    let id = EventId(header.before_id.unwrap_or_else(|| header.oldest.saturating_sub(1)));
    let before = Head { id, hash };
    if id == EventId(0) && before != Head::first(&header.instance) {
        return Err(wrong("`before` is not the beginning of the chain of that `instance`".into()));
    }
    Ok((header, before))
}

/// An event as the journal keeps it.
fn filed(body: String) -> Result<Record, String> {
    match wire::decode(&body) {
        // The text stays as it is: what is filed is taken from it.
        Ok(envelope) => Ok(Record { body: body.into(), ..record(&envelope) }),
        Err(DecodeError::UnknownKind(kind)) => unknown(body, &kind),
        Err(error) => Err(error.to_string()),
    }
}

/// An event of a kind that this release does not know, filed by its envelope.
fn unknown(body: String, kind: &str) -> Result<Record, String> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        id: u64,
        at: crate::domain::Time,
        pipeline: Option<String>,
        tier: Option<String>,
        run_id: Option<u64>,
    }
    let Envelope { id, at, pipeline, tier, run_id } =
        serde_json::from_str(&body).map_err(|error| format!("it is no event: {error}"))?;
    Ok(Record {
        id: EventId(id),
        at_us: at.timestamp_micros(),
        kind: kind.into(),
        pipeline: pipeline.map(Into::into),
        tier: tier.map(Into::into),
        run: run_id,
        body: body.into(),
    })
}

/// The checkpoint, if it belongs to the event that it names.
fn checked(
    line: CheckpointLine,
    before: Head,
    tie: Option<crate::journal::Hash>,
) -> Result<Checkpoint, Error> {
    let here = if line.id == before.id.0 { Some(before.hash) } else { tie };
    match (here, &line.hash) {
        (Some(here), Some(said)) if here.to_string() == *said => {}
        _ => {
            return Err(Error::Line {
                line: 1,
                detail: "its checkpoint does not belong to its events".into(),
            });
        }
    }
    Ok(Checkpoint {
        id: EventId(line.id),
        at_us: line.at_us,
        release: line.release.into(),
        format: line.format,
        body: line.body.into(),
    })
}
