//! `docs/reference`: made of the schemas and of the command line. Look at the difference and run with `UPDATE_EXPECT=1`
//! to take it over.

use super::root;
use clap::{Arg, Command};
use expect_test::expect_file;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

#[test]
fn it_is_what_the_program_says() {
    let folder = root().join("docs/reference");
    let events = tidegate::wire::event_schema();
    let mut text = head("Events", "what `/events` sends, from the event's schema");
    let envelope = &events["$defs"]["Frame"];
    text.push_str("## Every event\n\n");
    text.push_str(&table(envelope));
    text.push_str("\nWhat is not journaled has no `id`. Below, *maybe* is what may be left out.\n");
    for (title, frame) in [("What is in the journal", "Frame"), ("What is only sent", "Frame2")] {
        let _ = write!(text, "\n## {title}\n");
        variants(&mut text, &events["$defs"][frame], "###");
    }
    text.push_str("\n## What they are made of\n");
    shapes(&mut text, &events, &[&events["$defs"]["Frame"], &events["$defs"]["Frame2"]], &["Pipeline"]);
    expect_file![folder.join("events.md")].assert_eq(&text);

    let mut text =
        head("Keys", "what may stand in pipeline files and in `tidegate.toml`, from their schemas");
    let pipeline = tidegate::definition::schema::pipeline_schema();
    text.push_str("## A pipeline file\n\n");
    whole(&mut text, pipeline, &[]);
    let settings: Value = serde_json::from_str(&tidegate::settings::schema::text()).expect("JSON");
    text.push_str("\n## `tidegate.toml`\n\n");
    whole(&mut text, &settings, &[]);
    expect_file![folder.join("keys.md")].assert_eq(&text);

    let mut text = head("Commands", "what `--help` says");
    let mut program = tidegate::cli::commands();
    program.build();
    commands(&mut text, &program, "tidegate");
    expect_file![folder.join("commands.md")].assert_eq(&text);
}

fn head(title: &str, of: &str) -> String {
    format!("# {title}\n\nThis is {of}. Made by a test; do not edit.\n\n")
}

/// One line that a cell of a table takes.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn said(schema: &Value) -> String {
    // A link of rustdoc is none here.
    cell(schema["description"].as_str().unwrap_or_default()).replace("[`", "`").replace("`]", "`")
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(all) = schema[word].as_array() {
            let kinds: Vec<String> = all.iter().filter(|one| one["type"] != "null").map(kind).collect();
            return kinds.join(" or ");
        }
    }
    if let Some(one) = schema.get("const") {
        return format!("`{one}`");
    }
    if let Some(all) = schema["enum"].as_array() {
        return all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(one) if one == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(one) if one == "object" => {
            let inner: Vec<String> = inside(schema).into_iter().map(kind).collect();
            if inner.is_empty() { "table".into() } else { format!("table of {}", inner.join(", ")) }
        }
        Value::Array(all) => all.iter().filter_map(named).collect::<Vec<_>>().join(" or "),
        one => named(one).unwrap_or("anything").into(),
    }
}

/// What the values of a table are whose keys are anybody's choice.
fn inside(schema: &Value) -> Vec<&Value> {
    let mut found = vec![&schema["additionalProperties"]];
    found.extend(schema["patternProperties"].as_object().into_iter().flat_map(|map| map.values()));
    found.retain(|one| one.get("type").or(one.get("$ref")).or(one.get("anyOf")).is_some());
    found
}

fn named(kind: &Value) -> Option<&str> {
    kind.as_str().filter(|one| *one != "null").map(word)
}

fn word(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "integer" | "number" => "number",
        "boolean" => "true or false",
        "object" => "table",
        other => other,
    }
}

/// Its properties, a row each.
fn table(schema: &Value) -> String {
    let mut out = "| name | is | |\n|---|---|---|\n".to_owned();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if property.get("const").is_some() {
            continue;
        }
        let default = property.get("default").filter(|one| !one.is_null() && **one != serde_json::json!(""));
        let default = default.map(|one| format!(" Default: `{one}`."));
        let maybe = if required.contains(&name.as_str()) { "" } else { ", maybe" };
        let _ = writeln!(
            out,
            "| `{name}` | {}{maybe} | {}{} |",
            cell(&kind(property)),
            said(property),
            default.unwrap_or_default()
        );
    }
    out
}

fn has_rows(schema: &Value) -> bool {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.into_iter().any(|(_, property)| property.get("const").is_none())
}

/// Each of those that it may be, told apart by `kind`.
fn variants(out: &mut String, schema: &Value, level: &str) {
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        let name = one["properties"]["kind"]["const"].as_str().expect("a kind");
        let _ = write!(out, "\n{level} `{name}`\n\n{}\n", said(one));
        if has_rows(one) {
            let _ = write!(out, "\n{}", table(one));
        }
    }
}

/// The definition of a name.
fn shape(out: &mut String, name: &str, schema: &Value) {
    let _ = write!(out, "\n### {name}\n\n{}\n", said(schema));
    let all = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    match all {
        Some(all) if all.iter().any(|one| one["properties"]["kind"]["const"].is_string()) => {
            variants(out, schema, "####");
        }
        Some(all) => {
            out.push('\n');
            for one in all {
                let _ = writeln!(
                    out,
                    "- {}{}{}",
                    kind(one),
                    if said(one).is_empty() { "" } else { ": " },
                    said(one)
                );
                if has_rows(one) {
                    let _ = write!(out, "\n{}\n", table(one));
                }
            }
        }
        None if has_rows(schema) => {
            let _ = write!(out, "\n{}", table(schema));
        }
        None => {
            let forms = [("pattern", &schema["pattern"]), ("such as", &schema["examples"][0])];
            let _ = writeln!(out, "\n- {}", kind(schema));
            for (word, form) in forms.iter().filter(|(_, form)| form.is_string()) {
                let _ = writeln!(out, "- {word} `{}`", form.as_str().unwrap_or_default());
            }
        }
    }
}

/// All definitions that these lead to, but those that are left out.
fn shapes(out: &mut String, root: &Value, from: &[&Value], without: &[&str]) {
    let mut names = BTreeSet::new();
    from.iter().for_each(|schema| gather(schema, root, without, &mut names));
    names.iter().for_each(|name| shape(out, name, &root["$defs"][name.as_str()]));
    without.iter().for_each(|name| {
        let _ = write!(
            out,
            "\n### {name}\n\n{} [The schema](../../schemas/event.schema.json) has it whole.\n",
            said(&root["$defs"][*name])
        );
    });
}

fn gather(schema: &Value, root: &Value, without: &[&str], names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
            if let Some(name) = name.filter(|name| !without.contains(name))
                && names.insert(name.to_owned())
            {
                gather(&root["$defs"][name], root, without, names);
            }
            map.iter()
                .filter(|(key, _)| *key != "$defs")
                .for_each(|(_, one)| gather(one, root, without, names));
        }
        Value::Array(all) => all.iter().for_each(|one| gather(one, root, without, names)),
        _ => {}
    }
}

/// A file: its own keys, those of tables that have no name of their own, and all definitions.
fn whole(out: &mut String, root: &Value, without: &[&str]) {
    out.push_str(&table(root));
    for (name, property) in root["properties"].as_object().into_iter().flatten() {
        if has_rows(property) {
            let _ = write!(out, "\n### `[{name}]`\n\n{}\n\n{}", said(property), table(property));
        }
    }
    shapes(out, root, &[root], without);
}

fn commands(out: &mut String, program: &Command, name: &str) {
    for command in program.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
        let name = format!("{name} {}", command.get_name());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = command.clone().bin_name(&name).render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim().to_owned();
        let _ = write!(out, "## {name}\n\n{about}.\n\n```text\n{usage}\n```\n\n");
        let shown: Vec<&Arg> =
            command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help").collect();
        if !shown.is_empty() {
            out.push_str("| option | |\n|---|---|\n");
            for arg in shown {
                let _ = writeln!(
                    out,
                    "| {} | {} |",
                    option(arg),
                    cell(&arg.get_help().map(ToString::to_string).unwrap_or_default())
                );
            }
            out.push('\n');
        }
        if let Some(more) = command.get_after_help() {
            let _ = write!(
                out,
                "{}\n\n",
                more.to_string().replace("Example: ", "```\n").trim_end().to_owned() + "\n```"
            );
        }
        commands(out, command, &name);
    }
}

fn option(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
    let value = value.unwrap_or_else(|| arg.get_id().to_string().to_uppercase());
    let names = arg.get_short().map(|short| format!("-{short}"));
    let names: Vec<String> =
        names.into_iter().chain(arg.get_long().map(|long| format!("--{long}"))).collect();
    match (names.is_empty(), arg.get_action().takes_values()) {
        (true, _) => format!("`{value}`"),
        (false, true) => format!("`{} {value}`", names.join("`, `")),
        (false, false) => format!("`{}`", names.join("`, `")),
    }
}
