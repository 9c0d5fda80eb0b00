//! When each token was used last, to the minute. It is kept in a file of its own, so that the list of tokens changes only
//! when somebody changes it. Nothing depends on it: one that cannot be read or written is begun anew.
//!
//! The server notes uses in memory, and writes them now and then; up to a minute of them is lost with its process. The
//! owner's token is not among them, as it is not in the list.

use super::file::{self, Stamp};
use super::{Entry, OWNER, TokenDigest, TokenError, Tokens};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What was noted since the start.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    at: BTreeMap<TokenDigest, DateTime<Utc>>,
    /// Whether the file does not say all of it.
    is_new: bool,
}

/// When each token was used last, as the file says.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LastUses {
    /// A token that was replaced by another of its name is another one: so by digest.
    used: BTreeMap<TokenDigest, DateTime<Utc>>,
}

impl LastUses {
    /// When a token was used last, to the minute; none: never, as far as is known.
    pub fn of(&self, entry: &Entry) -> Option<DateTime<Utc>> {
        self.used.get(&entry.sha256).copied()
    }
}

impl Tokens {
    /// Notes that a token is used. Costs nothing but memory.
    pub fn note_use(&self, entry: &Entry, now: DateTime<Utc>) {
        if entry.name == OWNER {
            return;
        }
        let minute = now.timestamp() - now.timestamp().rem_euclid(60);
        let Some(minute) = DateTime::from_timestamp(minute, 0) else { return };
        let mut noted = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = noted.at.insert(entry.sha256, minute);
        noted.is_new |= before != Some(minute);
    }

    /// Writes what was noted, if the file does not say it yet: for whoever has the state folder to itself.
    ///
    /// # Errors
    /// It cannot be written. It is tried again with the next call.
    pub fn keep_uses(&self) -> Result<(), TokenError> {
        let mut noted = {
            let mut noted = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::take(&mut noted.is_new) {
                return Ok(());
            }
            noted.at.clone()
        };
        // Whatever is there instead of what should be is written over.
        let mut all = self.last_uses().unwrap_or_default();
        all.used.append(&mut noted);
        if let Ok(list) = self.list() {
            all.used.retain(|digest, _| list.iter().any(|entry| entry.sha256 == *digest));
        }
        let path = self.state.tokens_used();
        let mut text = serde_json::to_string_pretty(&all).expect("BUG: uses of tokens are always JSON");
        text.push('\n');
        file::replace(&path, text.as_bytes()).map_err(|cause| {
            self.uses.0.lock().unwrap_or_else(PoisonError::into_inner).is_new = true;
            TokenError::Io { path, cause }
        })
    }

    /// When tokens were used last, as it was last written.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn last_uses(&self) -> Result<LastUses, TokenError> {
        let path = self.state.tokens_used();
        if Stamp::of(&path).is_none() {
            return Ok(LastUses::default());
        }
        file::read_json(&path)
    }
}
