//! What comes in with dependencies is what `.cargo-deny.toml` lets in: their licences, where they come from, and none of
//! those that the house left out. `cargo deny` says so too, and looks for advisories; this needs nothing installed.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

struct Rules {
    allowed: BTreeSet<String>,
    /// By crate, what is allowed to it alone.
    exceptions: Vec<(String, BTreeSet<String>)>,
    denied: Vec<String>,
}

fn rules() -> Rules {
    let text = std::fs::read_to_string(".cargo-deny.toml").expect("the rules");
    let rules: toml::Table = text.parse().expect("TOML");
    let texts = |value: &toml::Value| -> BTreeSet<String> {
        value.as_array().expect("a list").iter().map(|one| one.as_str().expect("text").to_owned()).collect()
    };
    let named = |one: &toml::Value| one["crate"].as_str().expect("a name").to_owned();
    let licences = &rules["licenses"];
    Rules {
        allowed: texts(&licences["allow"]),
        exceptions: licences["exceptions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| (named(one), texts(&one["allow"])))
            .collect(),
        denied: rules["bans"]["deny"].as_array().expect("a list").iter().map(named).collect(),
    }
}

/// Those of other systems, too, which were perhaps never fetched: none if they cannot be now.
fn packages() -> Option<Vec<Value>> {
    let ask = |offline: &[&str]| {
        let arguments = ["metadata", "--locked", "--all-features", "--format-version", "1"];
        Command::new(env!("CARGO")).args(arguments).args(offline).output().expect("cargo")
    };
    let output =
        Some(ask(&["--offline"])).filter(|output| output.status.success()).unwrap_or_else(|| ask(&[]));
    if !output.status.success() {
        println!("not tried: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    Some(metadata["packages"].as_array().expect("a list").clone())
}

/// Whether an expression of SPDX is met by what is allowed: `MIT OR Apache-2.0`, `(A OR B) AND C`. One that cannot be read
/// is not.
fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    // The old way to write `OR`.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    met == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed)?;
    }
    Some(met)
}

fn all(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed)?;
    }
    Some(met)
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let met = any(words, allowed)?;
        return words.next_if_eq(&")").map(|_| met);
    }
    match words.next_if_eq(&"WITH") {
        Some(_) => Some(allowed(&format!("{word} WITH {}", words.next()?))),
        None => Some(allowed(word)),
    }
}

#[test]
fn expressions_of_licences_are_read() {
    let met = |text| is_met(text, &|word| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&word));
    assert!(met("MIT") && met("MIT OR GPL-3.0") && met("GPL-3.0/MIT") && met("(GPL-3.0 OR MIT) AND ISC"));
    assert!(met("Apache-2.0 WITH LLVM-exception OR X"));
    assert!(!met("GPL-3.0") && !met("MIT AND GPL-3.0") && !met("Apache-2.0") && !met("") && !met("MIT OR"));
    assert!(!met("(MIT") && !met("MIT ISC") && !met("(GPL-3.0 OR X) AND MIT"));
}

#[test]
fn what_comes_in_has_a_licence_that_is_allowed_and_a_known_source() {
    let Some(packages) = packages() else { return };
    let rules = rules();
    assert!(packages.len() > 100, "the dependencies are there");
    let mut wrong = Vec::new();
    for package in packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let name = text("name");
        if name == env!("CARGO_PKG_NAME") {
            continue;
        }
        let of_its_own = rules.exceptions.iter().find(|(of, _)| of == name).map(|(_, allowed)| allowed);
        let allowed =
            |word: &str| rules.allowed.contains(word) || of_its_own.is_some_and(|own| own.contains(word));
        if !is_met(text("license"), &allowed) {
            wrong.push(format!("{name}: licence `{}`", text("license")));
        }
        if !text("source").starts_with("registry+") {
            wrong.push(format!("{name}: from `{}`", text("source")));
        }
        if rules.denied.iter().any(|denied| denied == name) {
            wrong.push(format!("{name}: left out on purpose"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
