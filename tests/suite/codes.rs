//! Stable codes of errors: each means one thing. What is said in several places with one meaning is listed here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Codes that several files give, each with the same meaning.
const SHARED: [&str; 15] = [
    "TG-ASK-001",
    "TG-ASK-002",
    "TG-ASK-004",
    "TG-ASK-015",
    "TG-CLI-001",
    "TG-CLI-003",
    "TG-CLI-004",
    "TG-CLI-006",
    "TG-CLI-011",
    "TG-CLI-012",
    "TG-GIT-002",
    "TG-HTTP-005",
    "TG-PUSH-004",
    "TG-SERVE-002",
    "TG-SERVE-003",
];

#[test]
fn a_code_means_one_thing() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    look_through(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut places);
    assert!(places.len() > 100, "{}", places.len());
    let several = places.iter().filter(|(_, files)| files.len() > 1);
    let unknown: Vec<_> = several.filter(|(code, _)| !SHARED.contains(&code.as_str())).collect();
    assert!(
        unknown.is_empty(),
        "the same code in several files: another meaning takes a new one: {unknown:#?}"
    );
}

fn look_through(folder: &Path, places: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            look_through(&path, places);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = fs::read_to_string(&path).expect("text");
            let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
            for literal in code.split('"').filter(|literal| is_code(literal)) {
                places.entry(literal.to_owned()).or_default().insert(path.display().to_string());
            }
        }
    }
}

/// `TG-`, a room in capitals, and three digits.
fn is_code(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let room = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase());
    let number = |part: &str| part.len() == 3 && part.chars().all(|c| c.is_ascii_digit());
    parts.next() == Some("TG") && parts.next().is_some_and(room) && parts.next().is_some_and(number)
}
