//! Sizes in the settings file.

use crate::domain::parse_size;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;

/// A size in a file, in bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bytes(pub(super) u64);

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A size: digits and a unit, B, kB, MB, GB, TB (powers of 1,000), KiB, MiB, GiB or TiB (of 1,024).",
            "pattern": "^[0-9]+ ?(B|[kK]B|MB|GB|TB|KiB|MiB|GiB|TiB)$",
            "examples": ["512KiB", "100MiB", "2GiB"]
        })
    }
}

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_size(&text).map(Self).map_err(|reason| format!("expected a size, but {reason}"))
    }
}
