//! What the journal of a state folder gives, beside the controller that has it or without one: how many events of which
//! kind, the last of them, what they come to, and whether it is what was written. It is read as far as it goes.

use super::{Missing, masked, pretty};
use crate::archive;
use crate::domain::{State, apply};
use crate::engine::{self, ReplayError};
use crate::journal::{self, Found, Inspector};
use crate::server::view::{StateView, Versions};
use crate::wire::{self, DecodeError};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// Versions of a pipeline that are shown in a state.
const VERSIONS: usize = 100;

/// Why the fold ended at an event.
const SPOILT: &str = "an event cannot be read";

/// Everything in one reading.
pub(super) struct Reading {
    counts: Counts,
    last: VecDeque<String>,
    state: State,
    /// Where the fold ended before the journal did.
    broke: Option<Missing>,
}

#[derive(Default)]
struct Counts {
    events: u64,
    unreadable: u64,
    oldest: Option<u64>,
    newest: Option<u64>,
    body_bytes: u64,
    kinds: BTreeMap<String, u64>,
    pipelines: BTreeMap<String, u64>,
}

impl Reading {
    /// Reads it, keeping so many of the last events.
    pub(super) fn of(state: &Path, last: usize) -> Result<Reading, Missing> {
        let inspector = Inspector::open(state).map_err(unread)?;
        let (state, broke) = match begin(&inspector) {
            Ok(state) => (state, None),
            Err(missing) => (State::default(), Some(missing)),
        };
        let mut this = Reading { counts: Counts::default(), last: VecDeque::new(), state, broke };
        let read = inspector.each(|found| {
            this.take(found, last);
            Ok::<(), journal::Error>(())
        });
        if let Err(error) = read {
            this.broke.get_or_insert(unread(error));
        }
        Ok(this)
    }

    fn take(&mut self, found: Found, last: usize) {
        self.counts.events += 1;
        self.counts.oldest.get_or_insert(found.id.0);
        self.counts.newest = Some(found.id.0);
        let record = match found.record {
            Ok(record) => record,
            Err(error) => {
                self.counts.unreadable += 1;
                self.broke.get_or_insert(Missing::because(error.code(), SPOILT));
                return;
            }
        };
        self.counts.body_bytes += record.body.len() as u64;
        *self.counts.kinds.entry(masked::string("kind", &record.kind)).or_default() += 1;
        if let Some(pipeline) = &record.pipeline {
            *self.counts.pipelines.entry(masked::string("pipeline", pipeline)).or_default() += 1;
        }
        if last > 0 {
            if self.last.len() == last {
                self.last.pop_front();
            }
            self.last.push_back(record.body.as_ref().to_owned());
        }
        // What comes behind a hole may fit nothing that is here.
        if self.broke.is_some() || record.id <= self.state.last {
            return;
        }
        match wire::decode(&record.body) {
            // Where events are gone, one may speak of what was never there.
            Ok(envelope) => {
                let state = &mut self.state;
                self.broke = super::or_missing(|| {
                    apply(state, &envelope);
                    Ok(())
                })
                .err();
            }
            Err(DecodeError::UnknownKind(_)) => self.state.last = record.id,
            Err(error) => {
                let error = ReplayError::Event { id: record.id.0, error };
                self.broke = Some(Missing::because(error.code(), SPOILT));
            }
        }
    }

    /// How much there is of what.
    pub(super) fn counts(&self) -> Vec<u8> {
        let Counts { events, unreadable, oldest, newest, body_bytes, kinds, pipelines } = &self.counts;
        pretty(&json!({
            "events": events,
            "unreadable": unreadable,
            "oldest": oldest,
            "newest": newest,
            "body_bytes": body_bytes,
            "kinds": kinds,
            "pipelines": pipelines,
            "folded_up_to": self.state.last,
            "fold_ended_because": self.broke.as_ref().map(Missing::words),
        }))
    }

    /// The last events, a line each.
    pub(super) fn last(&self) -> Vec<u8> {
        let line = |body: &String| match serde_json::from_str::<Value>(body) {
            Ok(event) => masked::json(&event).to_string(),
            Err(_) => json!({ "unreadable_bytes": body.len() }).to_string(),
        };
        self.last.iter().flat_map(|body| (line(body) + "\n").into_bytes()).collect()
    }

    /// What all events come to, as a controller would show it.
    pub(super) fn state(&self) -> Vec<u8> {
        let versions = Versions { limit: VERSIONS, before: None };
        let view = StateView::of(&self.state, chrono::Utc::now(), versions, None);
        pretty(&masked::json(&serde_json::to_value(view).expect("BUG: a state is JSON")))
    }

    /// The definitions in force.
    pub(super) fn definitions(&self) -> Vec<u8> {
        let all = self.state.pipelines.iter().filter_map(|(name, p)| {
            let in_force = p.in_force.as_ref()?;
            let definition = serde_json::to_value(&*in_force.definition).expect("BUG: a pipeline is JSON");
            let told = json!({ "digest": in_force.digest, "at": in_force.at, "definition": masked::json(&definition) });
            Some((masked::string("pipeline", name.as_str()), told))
        });
        pretty(&Value::Object(all.collect::<Map<_, _>>()))
    }
}

/// Where the fold begins.
fn begin(inspector: &Inspector) -> Result<State, Missing> {
    match inspector.checkpoint().map_err(unread)? {
        None => Ok(State::default()),
        Some(found) => engine::state_at(&found.checkpoint)
            .map_err(|error| Missing::because(error.code(), "the checkpoint cannot be read")),
    }
}

/// Whether it is what was written. Details may quote what is in it, and are left out.
pub(super) fn proof(state: &Path) -> Result<Vec<u8>, Missing> {
    let proof = archive::verify(state, &[]).map_err(unread)?;
    let defects: Vec<Value> = proof
        .defects
        .iter()
        .map(|defect| json!({ "what": defect.what, "id": defect.id, "meaning": defect.meaning }))
        .collect();
    Ok(pretty(&json!({
        "proven": proof.proven,
        "instance": masked::string("instance", &proof.instance),
        "events": proof.events,
        "oldest": proof.oldest,
        "last": proof.last,
        "defects": defects,
        "untold": proof.untold,
    })))
}

fn unread(error: journal::Error) -> Missing {
    Missing::because(error.code(), "the journal cannot be read")
}
