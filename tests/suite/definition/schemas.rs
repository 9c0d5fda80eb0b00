//! The schemas that are checked in are those of the types, and our files satisfy them.

use serde_json::Value;
use std::path::Path;
use tidegate::definition::schema;
use tidegate::settings::{self, Overrides, Settings};

#[test]
fn the_schemas_that_are_checked_in_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let of_settings = (settings::schema::FILE, settings::schema::text());
    for (name, text) in schema::all().into_iter().chain([of_settings]) {
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

/// What editors show when somebody points at a key: what it is, what holds without it, and how it is written.
#[test]
fn every_key_of_a_pipeline_is_described_with_its_default_and_an_example() {
    for root in [schema::pipeline_schema(), settings::schema::settings_schema()] {
        let mut missing = Vec::new();
        look(root, root, "", &mut missing);
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

/// So that completion says what each word means.
#[test]
fn every_word_that_a_key_takes_is_described() {
    for root in [schema::pipeline_schema(), settings::schema::settings_schema()] {
        let mut missing = Vec::new();
        words(root, "", &mut missing);
        assert!(missing.is_empty(), "{missing:#?}");
    }
    let bare = serde_json::json!({ "a": { "enum": ["x"] }, "b": { "const": 1 } });
    let mut missing = Vec::new();
    words(&bare, "", &mut missing);
    assert_eq!(missing, ["/a", "/b"]);
}

fn words(schema: &Value, path: &str, missing: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            let is_bare = map.contains_key("const") && !map.contains_key("description");
            let described = map.get("enumDescriptions").and_then(Value::as_array).map_or(0, Vec::len);
            let listed = map.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
            if is_bare || listed > described {
                missing.push(path.to_owned());
            }
            map.iter().for_each(|(key, value)| words(value, &format!("{path}/{key}"), missing));
        }
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(at, value)| words(value, &format!("{path}/{at}"), missing));
        }
        _ => {}
    }
}

/// The schema and the program agree on what may stand in `tidegate.toml`, and both on every key of the manual.
#[test]
fn settings_that_are_taken_satisfy_their_schema_and_others_do_not() {
    let validator = jsonschema::validator_for(settings::schema::settings_schema()).expect("a valid schema");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tidegate.toml");
    let whole = "pipelines = \"p\"\nstate = \"/s\"\nlisten = \"[::1]:8433\"\ninsecure_http = false\nhosts = [\"a.b\"]\njobs = 2\n\
        ssh_command = [\"ssh\"]\nread = \"token\"\ndrain = \"2h\"\nstall = \"5m\"\nlog_limit = \"1GiB\"\n[retention]\nversions = 3\n\
        logs = \"9d\"\nevents = \"forever\"\nmin_free = \"10 MB\"\n[webhook.github]\nsecret = { file = \"x\" }\n";
    let texts = [
        (true, whole.to_owned()),
        (true, String::new()),
        (true, "[retention]\nevents = \"30d\"\n".into()),
        (true, "listen = \"localhost:0\"\n[webhook.gitea]\nsecret = { env = \"X\" }\n".into()),
        (false, "piplines = \"p\"\n".into()),
        (false, "[retention]\nevent = \"30d\"\n".into()),
        (false, "[retention]\nevents = \"always\"\n".into()),
        (false, "listen = \"8433\"\n".into()),
        (false, "jobs = 0\n".into()),
        (false, "ssh_command = []\n".into()),
        (false, "read = \"closed\"\n".into()),
        (false, "drain = \"soon\"\n".into()),
        (false, "log_limit = \"much\"\n".into()),
        (false, "[webhook.github]\nsecret = \"hunter2\"\n".into()),
        (false, "[webhook.github]\nsecret = { file = \"a\", env = \"B\" }\n".into()),
        (false, "[webhook.svn]\nsecret = { file = \"a\" }\n".into()),
    ];
    for (good, text) in texts {
        std::fs::write(&file, &text).expect("settings");
        let taken = Settings::load(&Overrides { config: Some(file.clone()), ..Overrides::default() });
        assert_eq!(taken.is_ok(), good, "{text}: {taken:?}");
        assert_eq!(validator.is_valid(&json(toml::from_str(&text).expect("TOML"))), good, "{text}");
    }
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let manual = std::fs::read_to_string(manual).expect("the manual");
    keys(settings::schema::settings_schema(), &mut |key| {
        let stands = manual.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == key);
        assert!(stands, "`{key}` is not in docs/operating.md");
    });
}

fn look(schema: &Value, root: &Value, path: &str, missing: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            let required: Vec<&str> = map
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for (key, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if property.get("const").is_none() {
                    let lacks = lacks(property, root, required.contains(&key.as_str()));
                    missing.extend(lacks.map(|what| format!("{path}/{key} lacks {what}")));
                }
            }
            map.iter().for_each(|(key, value)| look(value, root, &format!("{path}/{key}"), missing));
        }
        Value::Array(all) => all.iter().for_each(|value| look(value, root, path, missing)),
        _ => {}
    }
}

/// What is not said of a key.
fn lacks(property: &Value, root: &Value, required: bool) -> Option<&'static str> {
    let said = |word: &str| found(property, root, word);
    let Some(description) = said("description").and_then(Value::as_str) else { return Some("a description") };
    if !required && said("default").is_none() && !description.contains("Default:") {
        return Some("a default, or the word that there is none");
    }
    let item = said("items").unwrap_or(property);
    let is_text = found(item, root, "type").is_some_and(|kind| kind == "string");
    let is_formed = is_text && ["pattern", "format"].iter().any(|word| found(item, root, word).is_some());
    let is_shown = said("examples").or(said("default")).or(found(item, root, "examples")).is_some();
    (is_formed && !is_shown).then_some("an example of its form")
}

/// What a schema says itself, or the one that it refers to.
fn found<'a>(schema: &'a Value, root: &'a Value, word: &str) -> Option<&'a Value> {
    schema.get(word).or_else(|| {
        let reference = schema.get("$ref")?.as_str()?;
        found(root.pointer(&reference[1..])?, root, word)
    })
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
