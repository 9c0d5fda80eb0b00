//! The fields of `status --json` that the documentation promises are there.

use serde_json::Value;
use std::path::Path;
use tidegate::server::view::StateView;

/// The part of a schema that a reference means.
fn resolved<'a>(root: &'a Value, mut part: &'a Value) -> &'a Value {
    loop {
        let of_any =
            part["anyOf"].as_array().and_then(|all| all.iter().find(|one| one.get("$ref").is_some()));
        let Some(reference) = part["$ref"].as_str().or_else(|| of_any?["$ref"].as_str()) else { return part };
        part = root.pointer(reference.trim_start_matches('#')).expect("what is referred to");
    }
}

/// Whether the schema has a field, by a path such as `pipelines[].tiers[].name`.
fn has(root: &Value, path: &str) -> bool {
    let found = path.split('.').try_fold(root, |part, name| {
        let (name, is_list) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
        let field = resolved(root, part["properties"].get(name)?);
        Some(if is_list { resolved(root, &field["items"]) } else { field })
    });
    found.is_some()
}

#[test]
fn every_field_of_the_state_that_is_promised_is_in_its_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(StateView)).expect("JSON");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/subscribing.md");
    let text = std::fs::read_to_string(file).expect("text");
    let (_, rest) = text.split_once("| field | what |\n|---|---|\n").expect("the table");
    let rows: Vec<&str> = rest.lines().take_while(|line| line.starts_with('|')).collect();
    let named = |row: &&str| {
        row.split('|').nth(1).expect("a cell").split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let paths: Vec<String> = rows.iter().flat_map(named).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let path = path.trim().trim_matches('`');
        assert!(has(&schema, path), "{path}");
    }
    assert!(!has(&schema, "pipelines[].tiers[].colour"));
}
