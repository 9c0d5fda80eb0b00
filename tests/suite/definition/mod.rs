//! Pipeline files: each in `cases` beside what `tidegate check` says of it. Look at the difference and run with
//! `UPDATE_EXPECT=1` to take it over.

mod editors;
mod hostile;
mod meaning;
mod schemas;

use expect_test::expect_file;
use std::path::{Path, PathBuf};
use tidegate::definition::{load, render};
use tidegate::domain::Diagnostic;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/definition/cases");
    let entries = std::fs::read_dir(folder).expect("the folder of cases");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    found
}

fn said_of(path: &Path) -> (Vec<Diagnostic>, String) {
    let name = path.file_name().expect("a name").to_str().expect("text");
    let bytes = std::fs::read(path).expect("a case");
    let diagnostics = match load(name, &bytes) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => diagnostics,
    };
    let text = String::from_utf8(bytes).expect("text");
    let drawn = render(&diagnostics, &|_| Some(text.as_str()), false, 120);
    (diagnostics, drawn)
}

#[test]
fn every_mistake_is_said_with_its_place_and_the_way_out() {
    let cases = cases();
    assert!(cases.len() >= 60, "the cases are there");
    for path in cases {
        let (diagnostics, drawn) = said_of(&path);
        assert!(!diagnostics.is_empty(), "{}: something is wrong with it", path.display());
        for diagnostic in &diagnostics {
            let help = diagnostic.help.as_deref().unwrap_or_default();
            assert!(!help.is_empty(), "{}: {} has no way out", path.display(), diagnostic.message);
            assert!(diagnostic.line >= 1 && diagnostic.column >= 1);
            assert!((diagnostic.end_line, diagnostic.end_column) >= (diagnostic.line, diagnostic.column));
        }
        expect_file![path.with_extension("txt")].assert_eq(&drawn);
    }
}

/// A code that no case produces is one that nobody has seen.
#[test]
fn every_code_of_a_single_file_is_produced_by_a_case() {
    let seen: std::collections::BTreeSet<String> =
        cases().iter().flat_map(|path| said_of(path).0).map(|diagnostic| diagnostic.code).collect();
    // 002 is about bytes that are no text, 034 about keys of later releases, 035 about two files, 037 about a mistake of
    // ours, 038 about today, 047 about a file of very many mistakes.
    let expected =
        (1..=47).filter(|n| ![2, 34, 35, 37, 38, 47].contains(n)).map(|n| format!("TG-DEF-{n:03}"));
    let missing: Vec<String> = expected.filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "no case produces {missing:?}");
}
