//! The JSON of events: one flat object each, `id` and `at` first, as it stands in the journal and goes over the wire.
//!
//! The events of the journal are [`domain::event`](crate::domain::event)'s; this room adds the envelope, the frames
//! that are never journaled (log chunks, `lagged`, `gap`, `error`), and reads what older releases wrote. An event of
//! a kind that this release does not know is [`DecodeError::UnknownKind`], which the reader may pass over.
//!
//! # For subscribers
//!
//! What a program in Rust needs to follow a controller is here: [`decode`] for what is journaled, [`decode_live`] for the
//! rest, and the types that come of it. `examples/follow.rs` is a whole one, with the WebSocket of `tungstenite`.
//!
//! - Each text frame of `/events` is one event. So is what follows `data:` on the same path with `Accept:
//!   text/event-stream`, and each line of `/api/events`.
//! - Keep [`Envelope::id`] of the last one and ask with `since` when the connection broke: nothing is missed, nothing comes
//!   twice. `since=0` is all that is kept; without `since` it begins with what happens now.
//! - A kind or a field that is not known here is a newer release's: pass it over, do not end.
//! - Nothing is said for long where nothing happens, but there is a ping every 20 seconds: after a minute without one
//!   the connection is dead.
//! - `lagged` needs nothing from who has `since` (what it missed follows from the journal); `gap` says that the beginning
//!   is no longer kept, or was lost before a backup was restored; `error` is the last frame.

use crate::domain::Time;
pub use crate::domain::event::{Action, Artifact, DeployMode, KINDS, PromotionEnd, StepSaid, VoidReason};
pub use crate::domain::{Blocker, Classification, Envelope, Event, Fact, Failure, Outcome, Status, id::*};
use chrono::SecondsFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A frame that is sent but never journaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Live {
    /// A piece of a gate's log.
    GateLogChunk {
        /// The run.
        run_id: RunId,
        /// Counts the chunks of the run, from 0.
        seq: u64,
        /// The text; bytes that are not UTF-8 are replaced.
        text: String,
        /// Where it stands in the log file, in bytes.
        offset: u64,
        /// How many bytes of the log file it stands for.
        bytes: u64,
        /// The tier.
        tier: TierName,
        /// The gate's name.
        name: GateName,
    },
    /// A piece of a build step's log.
    BuildLogChunk {
        /// The run.
        run_id: RunId,
        /// Counts the chunks of the run, from 0.
        seq: u64,
        /// The text; bytes that are not UTF-8 are replaced.
        text: String,
        /// Where it stands in the log file, in bytes.
        offset: u64,
        /// How many bytes of the log file it stands for.
        bytes: u64,
        /// The step.
        step: StepName,
    },
    /// A piece of a deploy's log.
    DeployLogChunk {
        /// The run.
        run_id: RunId,
        /// Counts the chunks of the run, from 0.
        seq: u64,
        /// The text; bytes that are not UTF-8 are replaced.
        text: String,
        /// Where it stands in the log file, in bytes.
        offset: u64,
        /// How many bytes of the log file it stands for.
        bytes: u64,
        /// The tier.
        tier: TierName,
        /// The node.
        node: NodeName,
    },
    /// This subscriber fell behind the bus; it stays connected.
    Lagged {
        /// How many envelopes it missed, filters not considered.
        missed: u64,
        /// The last `id` that it was sent before the hole.
        after: EventId,
    },
    /// Events before `oldest` are missing: they are no longer kept, or were lost before a backup was restored.
    Gap {
        /// The first that is kept.
        oldest: EventId,
    },
    /// What was asked for cannot be had.
    Error {
        /// Stable code.
        code: String,
        /// What is wrong.
        message: String,
        /// The way out.
        help: String,
    },
}

impl Live {
    /// The run whose log a piece is of; none: it is no piece of a log.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Live::GateLogChunk { run_id, .. }
            | Live::BuildLogChunk { run_id, .. }
            | Live::DeployLogChunk { run_id, .. } => Some(*run_id),
            Live::Lagged { .. } | Live::Gap { .. } | Live::Error { .. } => None,
        }
    }
}

/// The envelope's own fields around an event.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Frame<E> {
    /// The number in the journal, strictly increasing, never reused; absent on what is not journaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
    /// When, in UTC, to the microsecond.
    #[serde(serialize_with = "write_time")]
    at: Time,
    #[serde(flatten)]
    event: E,
    /// The pipeline that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pipeline: Option<PipelineName>,
    /// The person or token that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Why, in that person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

fn write_time<S: serde::Serializer>(at: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(*at))
}

/// A moment as it is sent: `2026-11-23T09:00:00.123456Z`.
pub fn time_text(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The JSON of a journaled event.
pub fn encode(envelope: &Envelope) -> String {
    let frame = Frame {
        id: Some(envelope.id),
        at: envelope.at,
        event: &envelope.fact.event,
        pipeline: envelope.fact.pipeline.clone(),
        by: envelope.fact.by.clone(),
        why: envelope.fact.why.clone(),
    };
    serde_json::to_string(&frame).expect("BUG: an event that cannot be written as JSON")
}

/// The JSON of a frame that is not journaled.
pub fn encode_live(at: Time, pipeline: Option<&PipelineName>, live: &Live) -> String {
    let frame = Frame { id: None, at, event: live, pipeline: pipeline.cloned(), by: None, why: None };
    serde_json::to_string(&frame).expect("BUG: a frame that cannot be written as JSON")
}

/// Why a frame cannot be read as an event.
#[derive(Debug)]
pub enum DecodeError {
    /// Its kind is not one that this release journals.
    UnknownKind(String),
    /// It is not what this release or an older one wrote.
    Malformed(serde_json::Error),
    /// It has no `id`.
    NotJournaled,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::UnknownKind(kind) => {
                write!(f, "the event is of a kind `{kind}` that is not known here")
            }
            DecodeError::Malformed(error) => write!(f, "the event is malformed: {error}"),
            DecodeError::NotJournaled => f.write_str("the event has no `id`"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads the JSON of a journaled event, of this release or an older one.
pub fn decode(text: &str) -> Result<Envelope, DecodeError> {
    match serde_json::from_str::<Frame<Event>>(text) {
        Ok(frame) => Ok(Envelope {
            id: frame.id.ok_or(DecodeError::NotJournaled)?,
            at: frame.at,
            fact: Fact { pipeline: frame.pipeline, by: frame.by, why: frame.why, event: frame.event },
        }),
        Err(error) => Err(why_not(text, error)),
    }
}

/// Reads the JSON of a frame that is sent but never journaled.
pub fn decode_live(text: &str) -> Result<Live, DecodeError> {
    decode_live_of(text).map(|(_, live)| live)
}

/// The same with the pipeline that it is about; none: the stream as a whole.
pub fn decode_live_of(text: &str) -> Result<(Option<PipelineName>, Live), DecodeError> {
    match serde_json::from_str::<Frame<Live>>(text) {
        Ok(frame) => Ok((frame.pipeline, frame.event)),
        Err(error) => Err(why_not(text, error)),
    }
}

fn why_not(text: &str, error: serde_json::Error) -> DecodeError {
    #[derive(Deserialize)]
    struct Tag {
        kind: String,
    }
    match serde_json::from_str::<Tag>(text) {
        // Frames that are only sent, too, and the first line of an export.
        Ok(tag) if !KINDS.contains(&tag.kind.as_str()) || error.to_string().contains("unknown variant") => {
            DecodeError::UnknownKind(tag.kind)
        }
        _ => DecodeError::Malformed(error),
    }
}

/// The schema of every frame that `/events` sends.
#[derive(JsonSchema)]
#[schemars(title = "tidegate event")]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is asked for")]
enum AnyFrame {
    /// What is in the journal.
    Journaled(Frame<Event>),
    /// What is only sent.
    Live(Frame<Live>),
}

/// The schema of every frame that `/events` sends, as JSON Schema 2020-12.
pub fn event_schema() -> serde_json::Value {
    schemars::schema_for!(AnyFrame).to_value()
}

/// The same as a part of a larger description.
pub fn frame(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<AnyFrame>()
}

/// The schema of a line of `$TIDEGATE_EVENTS`, as JSON Schema 2020-12.
pub fn step_event_schema() -> serde_json::Value {
    schemars::schema_for!(crate::domain::event::StepSaid).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Time {
        chrono::DateTime::from_timestamp_micros(micros).unwrap()
    }

    #[test]
    fn the_wire_form_is_flat_with_microseconds() {
        let envelope = Envelope {
            id: EventId(7),
            at: at(1_795_424_400_123_456),
            fact: Fact::of(
                &"shop".into(),
                Event::GateStart {
                    run_id: RunId(42),
                    tier: "host".into(),
                    version: "0.8.12".into(),
                    gate: "cargo_test".into(),
                    name: "tests".into(),
                    phase: crate::domain::pipeline::Phase::Check,
                },
            ),
        };
        let text = encode(&envelope);
        assert_eq!(
            text,
            r#"{"id":7,"at":"2026-11-23T09:00:00.123456Z","kind":"gate_start","run_id":42,"tier":"host","version":"0.8.12","gate":"cargo_test","name":"tests","phase":"check","pipeline":"shop"}"#
        );
        assert_eq!(decode(&text).unwrap(), envelope);
    }

    #[test]
    fn whole_seconds_still_have_six_digits() {
        let text = encode_live(at(1_000_000), None, &Live::Lagged { missed: 3, after: EventId(9) });
        assert_eq!(text, r#"{"at":"1970-01-01T00:00:01.000000Z","kind":"lagged","missed":3,"after":9}"#);
        assert_eq!(decode_live(&text).unwrap(), Live::Lagged { missed: 3, after: EventId(9) });
        assert!(matches!(decode(&text), Err(DecodeError::UnknownKind(kind)) if kind == "lagged"));
        let text = encode_live(at(1_000_000), Some(&"shop".into()), &Live::Gap { oldest: EventId(9) });
        let told = decode_live_of(&text).unwrap();
        assert_eq!(told, (Some("shop".into()), Live::Gap { oldest: EventId(9) }));
    }

    #[test]
    fn an_unknown_kind_is_told_from_a_malformed_event() {
        let newer = r#"{"id":1,"at":"2026-11-23T09:00:00Z","kind":"sluice_opened"}"#;
        assert!(matches!(decode(newer), Err(DecodeError::UnknownKind(kind)) if kind == "sluice_opened"));
        let bad = r#"{"id":1,"at":"2026-11-23T09:00:00Z","kind":"gate_start","run_id":"x"}"#;
        assert!(matches!(decode(bad), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn fields_and_times_of_older_releases_are_read() {
        let text = r#"{"id":3,"at":"2026-11-23T09:00:00Z","kind":"promote_complete","tier":"host","version":"1.0.0","new_field":1}"#;
        let envelope = decode(text).unwrap();
        assert!(matches!(envelope.fact.event, Event::PromoteComplete { nodes, .. } if nodes.is_empty()));
    }
}
