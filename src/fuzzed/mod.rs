//! The readers of text from outside, each with what must hold for it whatever the bytes are. What holds stands beside
//! each reader, in the `fuzzed` of its room; here is the list, for a fuzzer (`tests/fuzz`) and for the test below, which
//! tries the kept inputs and, from those, a few thousand more that are drawn.
//!
//! Compiled for tests and under a fuzzer only.

#[cfg(test)]
mod drawn;

use crate::wire;
use crate::{definition, interpreter, printable, server, source};

/// One reader and what must hold for it: panics where it does not.
pub type Target = fn(&[u8]);

/// Each by the name of its folder in `tests/fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("definition", definition::fuzzed::pipeline_file),
    ("wire", event),
    ("step_event", interpreter::fuzzed::events_file),
    ("git", source::fuzzed::words_of_git),
    ("http_body", server::fuzzed::body),
    ("terminal", printable::fuzzed::shown_text),
];

/// A frame of `/events`: it is read, and says the same when it is sent again; or it is refused.
pub fn event(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(event) = wire::decode(text) {
        let sent = wire::encode(&event);
        let again = wire::decode(&sent).unwrap_or_else(|error| panic!("{error}: {sent}"));
        assert_eq!(wire::encode(&again), sent);
        assert_eq!((again.id, &again.fact), (event.id, &event.fact));
    }
    if let Ok((pipeline, live)) = wire::decode_live_of(text) {
        let sent = wire::encode_live(chrono::DateTime::UNIX_EPOCH, pipeline.as_ref(), &live);
        let again = wire::decode_live_of(&sent).unwrap_or_else(|error| panic!("{error}: {sent}"));
        assert_eq!(again, (pipeline, live));
    }
}
