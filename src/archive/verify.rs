//! Whether a journal is what it was: every value of the chain worked out again, every column compared with the body it
//! was taken from, and the file looked over by SQLite.
//!
//! Each record is judged by the value that stands in front of it, so that one defect is told once and where it is, and not
//! of everything behind it. What the chain cannot show by itself is a tail that was cut off, or a file that was written
//! anew as a whole by somebody who works out its chain: against these there are heads that were noted elsewhere.

use crate::domain::EventId;
use crate::engine::record;
use crate::journal::{self, Found, Hash, Head, Inspector, RESTORED, Record, due_after};
use crate::wire::{self, DecodeError};
use serde::Serialize;
use std::path::Path;

/// Most defects that are told one by one.
const TOLD: usize = 50;

/// How often a file is read again because a controller began on it meanwhile.
const TRIES: usize = 5;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A body is not the one that was written.
    Changed,
    /// A value of the chain is not the one that was written; the bodies are.
    HashChanged,
    /// Records are gone.
    Missing,
    /// A record is there that was not written by a controller.
    Added,
    /// A record stands where another belongs.
    Reordered,
    /// What is filed of a record is not what its body says.
    Columns,
    /// The file or a text in it cannot be read as what it is.
    Damaged,
    /// The checkpoint is not the one that was written.
    Checkpoint,
    /// A head that was noted is not in this journal.
    Head,
}

impl What {
    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            What::Changed => "this event does not say what it said when it was written",
            What::HashChanged => {
                "the events are what they were; somebody or something wrote over a value of the chain"
            }
            What::Missing => "events that were written are not there any more",
            What::Added => "this event was not written by a controller",
            What::Reordered => "events were put where others belong",
            What::Columns => {
                "filters and retention go by something that the event does not say; the event is whole"
            }
            What::Damaged => "the disk, or something that wrote to the file, destroyed a part of it",
            What::Checkpoint => "what the removed events came to is not what was written",
            What::Head => "this is not the journal that the head was noted of, or it was written anew since",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// What.
    pub what: What,
    /// The event where it shows; none: the file as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// What was found.
    pub detail: String,
    /// What it means.
    pub meaning: &'static str,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// Nothing is wrong.
    pub proven: bool,
    /// The journal's instance id.
    pub instance: String,
    /// The oldest event left.
    pub oldest: EventId,
    /// The last event.
    pub last: EventId,
    /// The value of the chain at the last event, as worked out.
    pub hash: String,
    /// How many events were looked at.
    pub events: u64,
    /// What is wrong, in the order of ids.
    pub defects: Vec<Defect>,
    /// How many more defects there are than are told.
    pub untold: u64,
}

impl Proof {
    /// The head, to be noted elsewhere.
    pub fn head(&self) -> String {
        format!("{}:{}", self.last, self.hash)
    }
}

/// Looks at the journal in a folder. Changes nothing. Heads in `expected` must be in it.
///
/// # Errors
/// It cannot be read at all.
pub fn verify(folder: &Path, expected: &[Head]) -> Result<Proof, journal::Error> {
    for _ in 1..TRIES {
        let inspector = Inspector::open(folder)?;
        let result = look(&inspector, expected);
        if !inspector.is_stale() {
            return result;
        }
    }
    look(&Inspector::open(folder)?, expected)
}

/// Looks at the file of a journal that nobody writes to.
pub(super) fn verify_file(file: &Path) -> Result<Proof, journal::Error> {
    look(&Inspector::open_file(file.to_owned())?, &[])
}

fn look(inspector: &Inspector, expected: &[Head]) -> Result<Proof, journal::Error> {
    let mut findings = Findings::default();
    for damage in inspector.damage()? {
        findings.add(What::Damaged, None, damage);
    }
    if inspector.lost_its_log()? {
        let detail = "its write-ahead log `journal.db-wal` is gone, and it was not stopped cleanly: what was only in \
                      there is lost";
        findings.add(What::Missing, None, detail.into());
    }
    let before = inspector.before()?;
    let checkpoint = inspector.checkpoint()?.map(|found| found.checkpoint.id);
    let mut walk = Walk::new(before, expected, checkpoint);
    let read = inspector.each(|found| {
        walk.step(found, &mut findings);
        Ok::<(), journal::Error>(())
    });
    match read {
        Err(journal::Error::Corrupt { detail }) => {
            findings.add(What::Damaged, Some(EventId(walk.at.id.0 + 1)), format!("cannot be read: {detail}"));
        }
        Err(error) => return Err(error),
        Ok(()) => ends(inspector, &mut walk, &mut findings)?,
    }
    let Walk { at, oldest, count, .. } = walk;
    let Findings { defects, untold } = findings;
    Ok(Proof {
        proven: defects.is_empty(),
        instance: inspector.instance()?,
        oldest: oldest.unwrap_or(EventId(before.id.0 + 1)),
        last: at.id,
        hash: at.hash.to_string(),
        events: count,
        defects,
        untold,
    })
}

/// What can be said when all of it was read.
fn ends(inspector: &Inspector, walk: &mut Walk, findings: &mut Findings) -> Result<(), journal::Error> {
    walk.end_of_moves(findings);
    let last = walk.at.id;
    if let Some((stopped, head)) = inspector.at_stop()? {
        if let Some((real, told)) = walk.doubt.take()
            && head == Some(Head { id: last, hash: real })
        {
            findings.only_its_value(told);
        }
        if stopped > last {
            let detail = format!("a clean stop says that the last event is {stopped}, and it is {last}");
            findings.add(What::Missing, Some(EventId(last.0 + 1)), detail);
        } else if stopped < last {
            let detail = format!("a clean stop says that the last event is {stopped}");
            findings.add(What::Added, Some(due_after(stopped, "")), detail);
        } else if head.is_none_or(|head| head != walk.at) && findings.defects.is_empty() {
            let detail = "the chain does not end with what a clean stop noted".into();
            findings.add(What::HashChanged, Some(last), detail);
        }
    }
    if let Some(found) = inspector.checkpoint()? {
        let id = found.checkpoint.id;
        if !found.is_whole {
            findings.add(What::Checkpoint, Some(id), "its digest does not fit its text".into());
        } else if id > last {
            let detail = format!("the checkpoint reaches to event {id}, and the last is {last}");
            findings.add(What::Missing, Some(EventId(last.0 + 1)), detail);
        } else if walk.checkpoint.is_none_or(|hash| found.hash != Some(hash)) && walk.is_sound {
            findings.add(What::Checkpoint, Some(id), "it does not belong to the event that it names".into());
        }
    }
    for head in &walk.missed {
        if head.id > last {
            let detail = format!("the head {head} was noted, and the last event is {last}");
            findings.add(What::Missing, Some(EventId(last.0 + 1)), detail);
        } else if head.id < walk.before.id {
            let detail = format!(
                "whether {head} was in it cannot be told any more: retention removed what is before {}",
                walk.before.id.0 + 1
            );
            findings.add(What::Head, Some(head.id), detail);
        } else {
            findings.add(What::Head, Some(head.id), format!("event {} has not the value of {head}", head.id));
        }
    }
    Ok(())
}

/// What is wrong so far.
#[derive(Default)]
struct Findings {
    defects: Vec<Defect>,
    untold: u64,
}

impl Findings {
    fn add(&mut self, what: What, id: Option<EventId>, detail: String) {
        if self.defects.len() == TOLD {
            self.untold += 1;
        } else {
            self.defects.push(Defect { what, id, detail, meaning: what.meaning() });
        }
    }

    /// What was told of a body turns out to be so of its value only.
    fn only_its_value(&mut self, told: usize) {
        if let Some(defect) = self.defects.get_mut(told) {
            defect.what = What::HashChanged;
            defect.meaning = What::HashChanged.meaning();
            defect.detail = "its value in the chain does not fit, its body does".into();
        }
    }
}

/// The way through the records.
struct Walk {
    before: Head,
    /// The event that the checkpoint reaches to, and its value when it is passed.
    checkpoint_id: Option<EventId>,
    checkpoint: Option<Hash>,
    /// Heads that were noted and have not been passed.
    missed: Vec<Head>,
    /// The place that the next record is judged by: the value as it stands, or as worked out where none stands.
    at: Head,
    oldest: Option<EventId>,
    count: u64,
    /// The last record did not fit: its value as worked out, and which defect said so.
    doubt: Option<(Hash, usize)>,
    /// What comes next cannot fit, because of what was told already.
    is_excused: bool,
    /// Nothing was wrong with a value up to here.
    is_sound: bool,
    /// Records whose bodies say another id, with that id.
    moved: Vec<(EventId, u64)>,
}

impl Walk {
    fn new(before: Head, expected: &[Head], checkpoint_id: Option<EventId>) -> Walk {
        let is_behind = |head: &&Head| head.id != before.id;
        Walk {
            before,
            checkpoint_id,
            checkpoint: (checkpoint_id == Some(before.id)).then_some(before.hash),
            missed: expected.iter().filter(is_behind).copied().collect(),
            at: before,
            oldest: None,
            count: 0,
            doubt: None,
            is_excused: false,
            is_sound: true,
            moved: Vec::new(),
        }
    }
    fn step(&mut self, found: Found, findings: &mut Findings) {
        let Found { id, record, hash } = found;
        if id <= self.at.id || i64::try_from(id.0).is_err() {
            let detail = format!("it stands before the oldest event that is kept, {}", self.before.id.0 + 1);
            return findings.add(What::Added, Some(id), detail);
        }
        self.count += 1;
        self.oldest.get_or_insert(id);
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                findings.add(What::Damaged, Some(id), format!("failed to {error}"));
                self.pass(id, None, hash);
                self.is_excused = true;
                return;
            }
        };
        let due = due_after(self.at.id, &record.kind);
        if id != due && !self.follows_a_hole(id, &record) {
            let upto = id.0 - 1;
            let gone = match (self.at.id.0 + 1, upto) {
                (one, other) if one == other => format!("event {one} is not there"),
                (from, upto) => format!("events {from} to {upto} are not there"),
            };
            findings.add(What::Missing, Some(EventId(self.at.id.0 + 1)), gone);
            self.is_excused = true;
        }
        let said = said_id(&record.body);
        match said {
            Some(said) if said != id.0 => {
                self.moved.push((id, said));
                self.pass(id, Some(self.at.hash.next(&record.body)), hash);
                self.is_excused = true;
            }
            _ => self.judge(&record, hash, findings),
        }
    }

    /// Whether a record far behind the last one begins an epoch of ids: only such a one does, and no other may.
    fn follows_a_hole(&self, id: EventId, record: &Record) -> bool {
        record.kind.as_ref() == RESTORED && id == self.at.id.next_epoch()
    }

    /// Judges a record that stands at its place by its value.
    fn judge(&mut self, record: &Record, hash: Option<Hash>, findings: &mut Findings) {
        let computed = self.at.hash.next(&record.body);
        let id = record.id;
        let fits = hash == Some(computed);
        if fits {
            self.compare(record, findings);
        } else if hash.is_none() {
            let detail = "it has no value in the chain".into();
            let what = if self.is_excused { What::Damaged } else { What::Added };
            findings.add(what, Some(id), detail);
            self.doubt = None;
            self.pass(id, Some(computed), hash);
            return;
        } else if let Some((real, told)) = self.doubt.take()
            && hash == Some(real.next(&record.body))
        {
            // The one before is what it was: what stands there as its value is not.
            findings.only_its_value(told);
            self.compare(record, findings);
        } else if !self.is_excused {
            let told = findings.defects.len();
            let detail = "its body does not fit its value in the chain".to_owned();
            findings.add(What::Changed, Some(id), detail);
            self.pass(id, Some(computed), hash);
            self.doubt = Some((computed, told));
            return;
        }
        self.is_excused = false;
        self.doubt = None;
        self.pass(id, Some(computed), hash);
    }

    /// Goes on behind a record.
    fn pass(&mut self, id: EventId, computed: Option<Hash>, stored: Option<Hash>) {
        self.is_sound &= computed == stored;
        let hash = stored.or(computed).unwrap_or_default();
        self.at = Head { id, hash };
        if self.checkpoint_id == Some(id) {
            self.checkpoint = Some(hash);
        }
        self.missed.retain(|head| head.id != id || head.hash != hash);
    }

    /// Compares what is filed of a record with what its body says.
    fn compare(&self, filed: &Record, findings: &mut Findings) {
        let differ = match wire::decode(&filed.body) {
            Ok(envelope) => differences(filed, &record(&envelope)),
            // Of a newer release, or of one that had a kind which is gone: only the envelope is known.
            Err(DecodeError::UnknownKind(kind)) => {
                differences(filed, &Record { kind: kind.as_str().into(), ..filed.clone() })
            }
            Err(error) => return findings.add(What::Damaged, Some(filed.id), error.to_string()),
        };
        if !differ.is_empty() {
            let detail = format!("{} not as in the body", differ.join(" and "));
            findings.add(What::Columns, Some(filed.id), detail);
        }
    }

    /// Tells of the records whose bodies say another id: all up to the end by the same number, or each.
    fn end_of_moves(&mut self, findings: &mut Findings) {
        let moved = std::mem::take(&mut self.moved);
        let Some((first, said)) = moved.first().copied() else { return };
        let shift = |(id, said): &(EventId, u64)| i128::from(*said) - i128::from(id.0);
        let by = i128::from(said) - i128::from(first.0);
        let is_tail = first.0 + moved.len() as u64 == self.at.id.0 + 1;
        if is_tail && moved.len() > 1 && moved.iter().all(|one| shift(one) == by) {
            let (what, at, detail) = if by > 0 {
                (
                    What::Missing,
                    first.0,
                    format!("events {first} to {} are gone, and those behind moved up", said - 1),
                )
            } else {
                let from = said;
                (What::Added, from, format!("from here on there are {} events more than were written", -by))
            };
            return findings.add(what, Some(EventId(at)), detail);
        }
        let places: std::collections::HashSet<u64> = moved.iter().map(|(id, _)| id.0).collect();
        for (id, said) in moved {
            // Where the other one stands at its place, nothing was moved: the number itself is another.
            let what = if places.contains(&said) { What::Reordered } else { What::Changed };
            findings.add(what, Some(id), format!("its body says that it is event {said}"));
        }
    }
}

/// The id that a body says.
fn said_id(body: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        id: u64,
    }
    serde_json::from_str::<Numbered>(body).ok().map(|numbered| numbered.id)
}

/// The columns in which two records differ.
fn differences(one: &Record, other: &Record) -> Vec<&'static str> {
    let columns = [
        ("at_us", one.at_us != other.at_us),
        ("kind", one.kind != other.kind),
        ("pipeline", one.pipeline != other.pipeline),
        ("tier", one.tier != other.tier),
        ("run", one.run != other.run),
    ];
    columns.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}
