//! Names and numbers that identify things. A name is a checked or opaque string; two kinds of names never mix.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }
        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

name! {
    /// Name of a pipeline: what identifies it, over edits of its file and restarts.
    PipelineName
}
name! {
    /// Name of a tier within its pipeline.
    TierName
}
name! {
    /// Name of a gate within its tier; its kind unless the file says otherwise.
    GateName
}
name! {
    /// Name of a node within its tier.
    NodeName
}
name! {
    /// Name of a build step within its pipeline.
    StepName
}
name! {
    /// Full object name of a commit: 40 (SHA-1) or 64 (SHA-256) hex digits in lower case.
    Sha
}
name! {
    /// Label of a version, such as `0.8.12` or `0.8.12+g1a2b3c4`; unique within its pipeline, never compared by order.
    VersionLabel
}
name! {
    /// Digest of a definition's meaning: `sha256:` and 64 hex digits. Comments and layout do not change it.
    Digest
}
name! {
    /// A full ref name such as `refs/heads/main`. Text from outside: data only, never part of a command line or path.
    RefName
}

/// Number of an event in the journal: from 1, strictly increasing, never reused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct EventId(pub u64);

/// How many numbers an epoch has: a journal that is restored goes on at the next multiple.
const EPOCH: u64 = 1 << 32;

impl EventId {
    /// The first number of this one's epoch; 0 in the first.
    pub fn epoch(self) -> EventId {
        EventId(self.0 / EPOCH * EPOCH)
    }

    /// The first number of the epoch after this one's. (JavaScript holds whole numbers up to 2^53: two million epochs.)
    pub fn next_epoch(self) -> EventId {
        EventId(self.epoch().0 + EPOCH)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a run, one try of one step: unique for ever in one journal.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl RunId {
    /// The first number of the epoch after this one's, as of events.
    pub fn next_epoch(self) -> RunId {
        RunId((self.0 / EPOCH + 1) * EPOCH)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
