//! What must hold for what steps say through `$TIDEGATE_EVENTS`.

use super::said::Ear;
use super::secrets::Secrets;
use crate::domain::event::{Event, StepSaid};
use crate::domain::{EventId, Fact, RunId};
use crate::wire::{self, Envelope};

/// The lines of an events file: each is an event that can be sent and read back, or a warning, or nothing.
pub fn events_file(bytes: &[u8]) {
    for is_gate in [true, false] {
        let mut ear = Ear::new(is_gate, Secrets::default());
        for said in bytes.split(|&byte| byte == b'\n').filter_map(|line| ear.hear(line)) {
            assert!(is_gate || !matches!(said, StepSaid::Blocked { .. }), "only a gate can be blocked");
            crosses(said);
        }
    }
}

fn crosses(said: StepSaid) {
    let event = Event::StepEvent { run_id: RunId(1), event: said, number: None };
    let fact = Fact { pipeline: Some("p".into()), by: None, why: None, event };
    let sent = wire::encode(&Envelope { id: EventId(1), at: chrono::DateTime::UNIX_EPOCH, fact });
    let read = wire::decode(&sent).unwrap_or_else(|error| panic!("{error}: {sent}"));
    assert_eq!(wire::encode(&read), sent);
}
