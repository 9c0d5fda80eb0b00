//! `docs/hardening.md` names tests: they are there.

use std::path::Path;

/// Files and tests that the last cell of a row names.
fn named(cell: &str) -> (Vec<&str>, Vec<&str>) {
    let files = cell.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs"));
    let words =
        cell.split('`').step_by(2).flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'));
    (files.collect(), words.filter(|word| word.matches('_').count() > 1).collect())
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/hardening.md")).unwrap();
    let (table, _) = text.split_once("\n## In full\n").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| id "));
    let mut rows_seen = 0;
    for row in rows {
        rows_seen += 1;
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        let (files, tests) = named(cells[3]);
        let read = |file: &&str| {
            let folder = if file.starts_with("src/") { root.to_owned() } else { root.join("tests/suite") };
            std::fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let texts: String = files.iter().map(read).collect();
        for test in tests {
            assert!(texts.contains(&format!("fn {test}(")), "there is no {test} in {files:?}");
        }
    }
    assert!(rows_seen > 30, "the table is there");
}
