//! Events on stdout as they happen, one line each, with the word that matters in colour.

use super::talk::{self, Tone, tinted};
use crate::domain::Envelope;
use crate::{printable, words};
use chrono::Local;

/// How wide the word stands, so that what follows is aligned.
const WORD: usize = 11;

/// Says an event on stdout.
pub(super) fn say(envelope: &Envelope) {
    let colour = talk::colours(&std::io::stdout());
    let (word, tone, rest) = words::told(envelope);
    let time = envelope.at.with_timezone(&Local).format("%H:%M:%S").to_string();
    let gap = " ".repeat(WORD.saturating_sub(printable::width(word)));
    talk::show(format_args!(
        "{} {}{gap} {}",
        tinted(&time, Tone::Quiet, colour),
        tinted(word, tone, colour),
        printable::line(&rest)
    ));
}
