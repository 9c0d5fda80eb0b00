//! The chain of the journal: a value of each record that stands for it and for all before it.
//!
//! The value of record *n* is `SHA-256(value(n-1) || body(n))`, the body being its JSON text exactly as it is sent; that
//! of no record is SHA-256 of [`LABEL`] and the journal's instance id. Who knows one value and its id, the *head*, can
//! tell whether anything up to it was changed since, whoever had the file meanwhile.

use crate::domain::EventId;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// What the value before the first record is made of, in front of the instance id.
const LABEL: &[u8] = b"tidegate journal chain 1\n";

/// One value of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The value before the first record of a journal.
    pub fn first(instance: &str) -> Hash {
        Hash(Sha256::new_with_prefix(LABEL).chain_update(instance).finalize().into())
    }

    /// The value of the record that comes next.
    pub fn next(&self, body: &str) -> Hash {
        Hash(Sha256::new_with_prefix(self.0).chain_update(body).finalize().into())
    }

    /// The value as the file keeps it; none: it is not 32 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Hash, BadHead> {
        let digit = |at: usize| text.as_bytes().get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return Err(BadHead);
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            let (Some(high), Some(low)) = (digit(2 * at), digit(2 * at + 1)) else { return Err(BadHead) };
            *byte = (high * 16 + low) as u8;
        }
        Ok(Hash(bytes))
    }
}

/// A place in the chain: an id, and the value up to and with it. Written `ID:HASH`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The last id that the value stands for; 0: none.
    pub id: EventId,
    /// The value.
    pub hash: Hash,
}

impl Head {
    /// Before the first record of a journal.
    pub fn first(instance: &str) -> Head {
        Head { id: EventId(0), hash: Hash::first(instance) }
    }

    /// With one more record.
    #[must_use]
    pub fn then(&self, id: EventId, body: &str) -> Head {
        Head { id, hash: self.hash.next(body) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.hash)
    }
}

/// A text that is no `ID:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHead;

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a colon and 64 hex digits, as `tidegate verify-journal` prints them")
    }
}

impl std::error::Error for BadHead {}

impl FromStr for Head {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Head, BadHead> {
        let (id, hash) = text.trim().split_once(':').ok_or(BadHead)?;
        Ok(Head { id: EventId(id.parse().map_err(|_| BadHead)?), hash: hash.parse()? })
    }
}

/// What of a chain is there: from the value before the oldest record left, to that of the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    /// The record before the oldest one left; in a whole journal [`Head::first`].
    pub before: Head,
    /// The last record; equal to `before` where there is none.
    pub head: Head,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_for_ever() {
        // Noted heads must be found again by every release: worked out with another program.
        let first = Head::first("00112233445566778899aabbccddeeff");
        assert_eq!(first.to_string(), "0:3fae81ea6ebb80676c1350dfa5bed4ba24fcfe453026168ec78954e9fccde783");
        let one = first.then(EventId(1), "{\"id\":1}");
        assert_eq!(one.to_string(), "1:3bb3e1380debfd10039262db3afebeb8690c5bc70d26beb96bd5efcd34582689");
        assert_eq!(one.to_string().parse(), Ok(one));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let hash = "0".repeat(64);
        for bad in ["", "1", "1:", ":ab", "1:abcd", &format!("x:{hash}"), &format!("1:{hash}0")] {
            assert_eq!(bad.parse::<Head>(), Err(BadHead), "{bad}");
        }
        assert!(format!("1:g{}", &hash[1..]).parse::<Head>().is_err());
        assert!(format!("1:ä{}", &hash[2..]).parse::<Head>().is_err());
    }
}
