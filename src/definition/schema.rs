//! The JSON Schemas that editors and tools read, generated from the types.

use super::raw;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The schema of pipeline files, as JSON Schema 2020-12. Made once.
pub fn pipeline_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let mut schema = generator.into_root_schema_for::<raw::File>().to_value();
        without_null(&mut schema);
        close_tables(&mut schema);
        describe_tags(&mut schema);
        schema
    });
    &SCHEMA
}

/// The schemas that are shipped, but that of the settings: names of files, and their texts.
pub fn all() -> [(&'static str, String); 3] {
    [
        ("pipeline.schema.json", pretty(pipeline_schema())),
        ("event.schema.json", pretty(&crate::wire::event_schema())),
        ("step-event.schema.json", pretty(&crate::wire::step_event_schema())),
    ]
}

/// As it stands in a file.
pub(crate) fn pretty(schema: &Value) -> String {
    let mut text = serde_json::to_string_pretty(schema).expect("BUG: a schema is JSON");
    text.push('\n');
    text
}

/// TOML has no null: what may be left out is simply not required.
pub(crate) fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(branches)) = map.get_mut("anyOf") {
                branches.retain(|branch| *branch != json!({ "type": "null" }));
                if let [only] = branches.as_slice() {
                    let only = only.clone();
                    map.remove("anyOf");
                    if let Value::Object(only) = only {
                        only.into_iter().for_each(|(key, value)| {
                            map.entry(key).or_insert(value);
                        });
                    }
                }
            }
            if map
                .get("default")
                .is_some_and(|default| *default == json!([]) || *default == json!({}) || default.is_null())
            {
                map.remove("default");
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(all) => all.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// The word that tells one kind of table from another says what the kind is: that is what editors show at the word.
fn describe_tags(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for branch in map.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
                let Some(words) = branch.get("description").cloned() else { continue };
                let properties = branch.get_mut("properties").and_then(Value::as_object_mut);
                for tag in properties.into_iter().flat_map(|all| all.values_mut()) {
                    if let Some(tag) = tag.as_object_mut().filter(|tag| tag.contains_key("const")) {
                        tag.entry("description").or_insert_with(|| words.clone());
                    }
                }
            }
            map.values_mut().for_each(describe_tags);
        }
        Value::Array(all) => all.iter_mut().for_each(describe_tags),
        _ => {}
    }
}

/// A key that is not known is an error, unless it begins with `x-`.
fn close_tables(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), json!(false));
                map.insert("patternProperties".into(), json!({ "^x-": {} }));
            }
            map.values_mut().for_each(close_tables);
        }
        Value::Array(all) => all.iter_mut().for_each(close_tables),
        _ => {}
    }
}
