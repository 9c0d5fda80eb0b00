//! Sizes in the settings file.

use crate::domain::parse_size;
use serde::Deserialize;

/// A size in a file, in bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bytes(pub(super) u64);

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_size(&text).map(Self).map_err(|reason| format!("expected a size, but {reason}"))
    }
}
