//! The journal as JSON lines: a header that says which journal it is, then every event as it is sent, with its value in
//! the chain as the last field.
//!
//! The header is a line of the kind `journal`: who reads events passes it over, as every kind that is not known. Where
//! retention removed events, it has the value that the chain goes on from, and the checkpoint that stands for them.

use super::Error;
use crate::journal::{self, FoundCheckpoint, Hash, Inspector};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::Path;

/// The form of the header that this release writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    /// Always `journal`.
    pub(super) kind: String,
    /// The version of this form.
    pub(super) format: u32,
    /// The journal's instance id.
    pub(super) instance: String,
    /// The oldest event in it.
    pub(super) oldest: u64,
    /// The value of the chain before that event.
    pub(super) before: String,
    /// The id of the event that this value is of, where that is not the one before `oldest`: it begins an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before_id: Option<u64>,
    /// The release that wrote it.
    pub(super) release: String,
    /// What stands for the events that retention removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checkpoint: Option<CheckpointLine>,
}

/// A checkpoint in the header.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CheckpointLine {
    /// The last event that it stands for.
    pub(super) id: u64,
    /// When it was made, in microseconds since 1970.
    pub(super) at_us: i64,
    /// The release that made it.
    pub(super) release: String,
    /// The version of its text's form.
    pub(super) format: u32,
    /// The value of the chain at its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<String>,
    /// Its text.
    pub(super) body: String,
}

/// Writes the journal of a state folder. Nothing is written after the first event that is not what it was.
///
/// # Errors
/// The journal cannot be read or is damaged, or nothing can be written.
pub fn export(folder: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let inspector = Inspector::open(folder)?;
    let unwritten = |cause: io::Error| Error::Io { tried: "write", path: "the export".into(), cause };
    let before = inspector.before()?;
    let oldest = inspector.oldest()?.map_or(before.id.0 + 1, |oldest| oldest.0);
    let header = Header {
        kind: "journal".into(),
        format: FORMAT,
        instance: inspector.instance()?,
        oldest,
        before: before.hash.to_string(),
        before_id: (before.id.0 + 1 != oldest).then_some(before.id.0),
        release: env!("CARGO_PKG_VERSION").into(),
        checkpoint: inspector.checkpoint()?.map(checkpoint_line),
    };
    let header = serde_json::to_string(&header).expect("BUG: a header is JSON");
    writeln!(out, "{header}").map_err(unwritten)?;
    let mut at = before;
    inspector.each(|found| {
        let record = found.record?;
        at = at.then(record.id, &record.body);
        if found.hash != Some(at.hash) {
            let detail = format!("event {} is not what was written", record.id).into();
            return Err(Error::Journal(journal::Error::Corrupt { detail }));
        }
        let line = with_hash(&record.body, &at.hash).ok_or_else(|| {
            let detail = format!("event {} is no JSON object", record.id).into();
            Error::Journal(journal::Error::Corrupt { detail })
        })?;
        writeln!(out, "{line}").map_err(unwritten)
    })?;
    if inspector.is_stale() {
        return Err(Error::Journal(journal::Error::Busy));
    }
    out.flush().map_err(unwritten)
}

fn checkpoint_line(found: FoundCheckpoint) -> CheckpointLine {
    let FoundCheckpoint { checkpoint, hash, .. } = found;
    CheckpointLine {
        id: checkpoint.id.0,
        at_us: checkpoint.at_us,
        release: checkpoint.release.as_ref().into(),
        format: checkpoint.format,
        hash: hash.map(|hash| hash.to_string()),
        body: checkpoint.body.as_ref().into(),
    }
}

/// An event with its value as the last field; none: it is no object with fields on one line.
fn with_hash(body: &str, hash: &Hash) -> Option<String> {
    let fields = body.strip_suffix('}').filter(|fields| fields.len() > 1 && !body.contains('\n'))?;
    Some(format!("{fields},\"hash\":\"{hash}\"}}"))
}

/// What [`with_hash`] put together.
pub(super) fn without_hash(line: &str) -> Option<(String, Hash)> {
    let (fields, hash) = line.strip_suffix("\"}")?.rsplit_once(",\"hash\":\"")?;
    Some((format!("{fields}}}"), hash.parse().ok()?))
}
