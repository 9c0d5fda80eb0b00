//! The schemas that are checked in are those of the types, and our files satisfy them.

use serde_json::Value;
use std::path::Path;
use tidegate::definition::schema;

#[test]
fn the_schemas_that_are_checked_in_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, text) in schema::all() {
        let kept = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            kept == text,
            "schemas/{name} is stale: write it anew with `cargo run -- schema --write schemas`"
        );
    }
}

#[test]
fn our_pipelines_satisfy_the_schema_and_a_mistyped_key_does_not() {
    let validator = jsonschema::validator_for(schema::pipeline_schema()).expect("a valid schema");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    for entry in std::fs::read_dir(folder).expect("pipelines") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a pipeline");
        let good = json(toml::from_str(&text).expect("TOML"));
        let errors: Vec<String> = validator.iter_errors(&good).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        let bad = json(toml::from_str(&text.replacen("refs =", "rfes =", 1)).expect("TOML"));
        assert!(!validator.is_valid(&bad), "{}", path.display());
    }
}

/// TOML as a validator of JSON sees it: dates are text.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
        toml::Value::Array(all) => all.into_iter().map(json).collect(),
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        plain => serde_json::to_value(plain).expect("a plain value"),
    }
}

/// What editors show when somebody points at a key.
#[test]
fn every_key_of_a_pipeline_is_described() {
    let mut bare = Vec::new();
    look(schema::pipeline_schema(), schema::pipeline_schema(), "", &mut bare);
    assert!(bare.is_empty(), "without a description: {bare:?}");
}

fn look(schema: &Value, root: &Value, path: &str, bare: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (key, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let target = property
                    .get("$ref")
                    .and_then(Value::as_str)
                    .and_then(|reference| root.pointer(&reference[1..]));
                let described =
                    property.get("description").or(target.and_then(|target| target.get("description")));
                if described.is_none() && property.get("const").is_none() {
                    bare.push(format!("{path}/{key}"));
                }
            }
            map.iter().for_each(|(key, value)| look(value, root, &format!("{path}/{key}"), bare));
        }
        Value::Array(all) => all.iter().for_each(|value| look(value, root, path, bare)),
        _ => {}
    }
}

/// `pipelines/shop.toml` is where people look for a key.
#[test]
fn every_key_of_a_pipeline_stands_in_the_long_example() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/shop.toml");
    let text = std::fs::read_to_string(shop).expect("the long example");
    let mut missing = Vec::new();
    keys(schema::pipeline_schema(), &mut |key| {
        let stands = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == key);
        if !stands && !missing.contains(&key.to_owned()) {
            missing.push(key.to_owned());
        }
    });
    assert!(missing.is_empty(), "not in the long example: {missing:?}");
}

fn keys(schema: &Value, note: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(map) => {
            let properties = map.get("properties").and_then(Value::as_object);
            properties.into_iter().flatten().for_each(|(key, _)| note(key));
            map.values().for_each(|value| keys(value, note));
        }
        Value::Array(all) => all.iter().for_each(|value| keys(value, note)),
        _ => {}
    }
}
