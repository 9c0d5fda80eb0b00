//! `tidegate explain` has words for every stable code, and for no other; and no code is one that nobody has seen.

mod at_once;
mod unseen;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use unseen::UNSEEN;

fn explain(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate")).arg("explain").args(arguments).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text") + &String::from_utf8_lossy(&output.stderr)
}

fn entries() -> Vec<Value> {
    serde_json::from_slice(&explain(&["--json"]).stdout).expect("JSON")
}

fn explained() -> BTreeSet<String> {
    entries().iter().map(|entry| entry["code"].as_str().expect("a code").to_owned()).collect()
}

/// The text files below a folder with one of these endings.
fn texts(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|it| endings.iter().any(|ending| it == *ending)) {
            let text = fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
    found
}

/// `TG-`, a room in capitals, and three digits, wherever they stand.
fn codes(text: &str) -> impl Iterator<Item = String> {
    text.match_indices("TG-").filter_map(|(at, _)| {
        let (room, rest) = text[at + 3..].split_once('-')?;
        let number = rest.get(..3)?;
        let is_code = !room.is_empty()
            && room.bytes().all(|b| b.is_ascii_uppercase())
            && number.bytes().all(|b| b.is_ascii_digit());
        is_code.then(|| format!("TG-{room}-{number}"))
    })
}

/// What of the source is the program, and what its tests are.
fn program_and_tests() -> (String, String) {
    let (mut program, mut tests) = (String::new(), String::new());
    for (path, text) in texts("src", &["rs"]) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("text");
        if name.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            tests += &text;
            continue;
        }
        let (ours, theirs) = text.split_once("\n#[cfg(test)]\nmod ").unwrap_or((&text, ""));
        let said = ours.lines().filter(|line| !line.trim_start().starts_with("//"));
        said.for_each(|line| program += &format!("{line}\n"));
        tests += theirs;
    }
    (program, tests)
}

/// Those of pipeline files are numbered by the order of their names.
fn of_pipeline_files() -> impl Iterator<Item = String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/definition/codes.rs");
    let text = fs::read_to_string(path).expect("text");
    let (_, rest) = text.split_once("enum Code {").expect("the codes");
    let (inside, _) = rest.split_once("\n}").expect("their end");
    let is_name = |line: &&str| line.trim().ends_with(',') && !line.trim().starts_with("//");
    (1..=inside.lines().filter(is_name).count()).map(|number| format!("TG-DEF-{number:03}"))
}

fn known() -> BTreeSet<String> {
    codes(&program_and_tests().0).chain(of_pipeline_files()).collect()
}

#[test]
fn every_code_is_explained_and_no_other() {
    let (known, explained) = (known(), explained());
    assert!(known.len() > 200, "{}", known.len());
    let without_words: Vec<_> = known.difference(&explained).collect();
    assert!(without_words.is_empty(), "say what they mean in docs/codes: {without_words:?}");
    let of_nobody: Vec<_> = explained.difference(&known).collect();
    assert!(of_nobody.is_empty(), "nothing says these any more: {of_nobody:?}");
    assert_eq!(entries().len(), explained.len(), "each is explained once");
}

#[test]
fn the_words_are_whole_and_short() {
    for entry in entries() {
        let part = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let (title, meaning, way_out) = (part("title"), part("meaning"), part("way_out"));
        let is_title = !title.is_empty() && title.chars().count() <= 60 && !title.ends_with('.');
        assert!(is_title, "{entry}");
        for text in [&meaning, &way_out] {
            let ends = text.ends_with(['.', '`']);
            assert!(text.len() >= 8 && text.len() <= 500 && ends, "{entry}");
        }
    }
}

#[test]
fn codes_that_the_documentation_names_exist() {
    let explained = explained();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let mut all = texts("docs", &["md"]);
    all.push((readme.clone(), fs::read_to_string(readme).expect("text")));
    for (path, text) in all {
        let unknown: Vec<_> = codes(&text).filter(|code| !explained.contains(code)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
}

/// The variants of errors that a code is given to: `Self::NotBuilt(_) => "TG-…"`.
fn variants(program: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in program.lines() {
        let Some((pattern, value)) = line.split_once("=> \"TG-") else { continue };
        let Some((_, rest)) = pattern.split_once("::") else { continue };
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        codes(&format!("TG-{value}")).for_each(|code| {
            found.entry(code).or_default().insert(name.clone());
        });
    }
    found
}

/// A code that no test names, itself or as the error that has it, is one that nobody has seen.
#[test]
fn codes_are_seen_by_a_test() {
    let (program, mut tests) = program_and_tests();
    for (path, text) in texts("tests", &["rs", "txt"]) {
        if !path.ends_with("unseen.rs") && !path.ends_with("codes.rs") {
            tests += &text;
        }
    }
    let mut seen: BTreeSet<String> = codes(&tests).collect();
    let names: BTreeSet<&str> = tests
        .split("::")
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
        .collect();
    let by_name = variants(&program)
        .into_iter()
        .filter(|(_, all)| all.iter().any(|name| names.contains(name.as_str())));
    seen.extend(by_name.map(|(code, _)| code));
    let unseen: BTreeSet<String> = known().difference(&seen).cloned().collect();
    let listed: BTreeSet<String> = UNSEEN.iter().map(|(code, _)| (*code).to_owned()).collect();
    let new: Vec<_> = unseen.difference(&listed).collect();
    assert!(new.is_empty(), "no test produces {new:?}: write one, or say in unseen.rs why there is none");
    let gone: Vec<_> = listed.difference(&unseen).collect();
    assert!(gone.is_empty(), "a test produces these, or nothing does: {gone:?}");
    assert!(UNSEEN.iter().all(|(_, why)| !why.is_empty()));
}

#[test]
fn one_is_explained_with_the_way_out_and_an_example() {
    let output = explain(&["def-8"]);
    assert_eq!(output.status.code(), Some(0));
    let text = said(&output);
    assert!(text.starts_with("TG-DEF-008: this is not a length of time\n\n"), "{text}");
    assert!(text.contains("\n\nWay out: ") && text.contains("\n    timeout = \"1h30m\"\n"), "{text}");

    let output = explain(&["--json", "tg-def-008"]);
    let entry: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(entry["example"], "timeout = \"1h30m\"");
    assert_eq!(said(&explain(&[])).lines().count(), entries().len());
}

#[test]
fn an_unknown_code_gets_the_nearest() {
    let output = explain(&["TG-DFE-008"]);
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    assert!(text.contains("error[TG-CLI-052]") && text.contains("did you mean `TG-DEF-008`?"), "{text}");
    assert!(!said(&explain(&["\u{1b}[2J"])).contains('\u{1b}'));
}
