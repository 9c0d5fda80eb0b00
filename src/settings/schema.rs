//! The JSON Schema of `tidegate.toml`, generated from the types.

use super::file::SettingsFile;
use crate::definition::schema::{pretty, without_null};
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::sync::LazyLock;

/// The file that it is shipped as.
pub const FILE: &str = "settings.schema.json";

/// The schema, as JSON Schema 2020-12. Made once.
pub fn settings_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let mut schema = generator.into_root_schema_for::<SettingsFile>().to_value();
        without_null(&mut schema);
        schema
    });
    &SCHEMA
}

/// The text of the file.
pub fn text() -> String {
    pretty(settings_schema())
}
