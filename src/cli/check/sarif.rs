//! Diagnostics as a SARIF 2.1.0 log. Columns count characters there as here, and the end is the first one behind.

use crate::cli::explain::{self, Entry};
use crate::domain::{Diagnostic, Severity};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One log of one run. `here` is the folder that addresses of files are relative to.
pub(super) fn log(diagnostics: &[Diagnostic], here: &Path) -> Value {
    let codes: BTreeSet<&str> = diagnostics.iter().map(|one| one.code.as_str()).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|one| {
            let index = codes.iter().position(|code| *code == one.code);
            result(one, index.expect("BUG: the codes are those of the diagnostics"), here)
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "tidegate",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Value {
    let mut rule = json!({ "id": code });
    if let Some(Entry { title, meaning, way_out, example, .. }) = explain::find(code) {
        rule["shortDescription"] = json!({ "text": title });
        rule["fullDescription"] = json!({ "text": meaning });
        let shown = example.as_ref().map(|text| format!("\n\n```\n{text}\n```")).unwrap_or_default();
        let plain = example.as_ref().map(|text| format!("\n\n{text}")).unwrap_or_default();
        rule["help"] =
            json!({ "text": format!("{way_out}{plain}"), "markdown": format!("{way_out}{shown}") });
    }
    rule
}

fn result(diagnostic: &Diagnostic, index: usize, here: &Path) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let help = diagnostic.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    json!({
        "ruleId": diagnostic.code,
        "ruleIndex": index,
        "level": level,
        "message": { "text": format!("{}{help}", diagnostic.message) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": address(&diagnostic.file, here) },
            "region": {
                "startLine": diagnostic.line,
                "startColumn": diagnostic.column,
                "endLine": diagnostic.end_line,
                "endColumn": diagnostic.end_column,
            },
        } }],
    })
}

/// A file's address, relative to a folder where it lies below it.
fn address(file: &str, here: &Path) -> String {
    let path = Path::new(file);
    let below = path.strip_prefix(here).unwrap_or(path);
    let text = below.to_string_lossy();
    let text = text.strip_prefix("./").unwrap_or(&text);
    let scheme = if below.is_absolute() { "file://" } else { "" };
    let mut address = scheme.to_owned();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                address.push(char::from(byte));
            }
            other => address += &format!("%{other:02X}"),
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_where_they_can_be_and_hold_nothing_but_an_address() {
        let here = Path::new("/srv/shop");
        for (file, expected) in [
            ("pipelines/shop.toml", "pipelines/shop.toml"),
            ("./shop.toml", "shop.toml"),
            ("/srv/shop/shop.toml", "shop.toml"),
            ("/etc/shop.toml", "file:///etc/shop.toml"),
            ("http:a b\n%é.toml", "http%3Aa%20b%0A%25%C3%A9.toml"),
        ] {
            assert_eq!(address(file, here), expected);
        }
    }
}
