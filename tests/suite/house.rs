//! The house keeps its order: modules import only what stands above them in `src/lib.rs`, every file says what it is
//! for, files stay small, and nothing is called what says nothing.
//!
//! The reading of Rust here is rough on purpose: comments, literals and test modules are blanked, and what remains is
//! searched for paths. What it cannot see: names that a macro puts together.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_LIMIT: usize = 600;

const BANNED_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "manager", "types", "imp", "core", "misc"];

/// `text` with the same lines, but comments, strings, characters and everything under `#[cfg(test)]` blanked.
fn code_only(text: &str) -> String {
    without_tests(&without_literals(text))
}

fn without_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            out.extend(text[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            let c = text[at..].chars().next().expect("BUG: inside the text");
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` if none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let is_word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment_len(rest),
        [b'"', ..] => at + quoted_len(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !is_word_before || bytes[at - 1] == b'b' => {
            at + raw_len(rest).unwrap_or(0)
        }
        // A character, not a lifetime.
        [b'\'', b'\\', ..] => at + quoted_len(rest, b'\''),
        [b'\'', first, ..] => {
            let len = match first {
                0..=0x7f => 1,
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            if rest.get(1 + len) == Some(&b'\'') { at + len + 2 } else { at }
        }
        _ => at,
    }
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = &rest[2 + hashes..];
    let len = body.windows(end.len()).position(|window| window == end)?;
    Some(2 + hashes + len + end.len())
}

/// Blanks every item under `#[cfg(test)]`, to the end of its block or its semicolon.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let (before, item) = rest.split_at(at);
        out.push_str(before);
        let len = MARK.len() + item_len(&item[MARK.len()..]);
        out.extend(item[..len].chars().filter(|&c| c == '\n'));
        rest = &item[len..];
    }
    out + rest
}

fn item_len(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + 1;
                }
            }
            ';' | ',' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// The modules of this crate that a file names, each with its line: `crate::x`, `crate::{x, y::z}`.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate") {
        let is_word_before = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        let Some(after) = code[at + 5..].trim_start().strip_prefix("::") else { continue };
        if is_word_before {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let after = after.trim_start();
        let names = match after.strip_prefix('{') {
            Some(group) => group_heads(group),
            None => vec![word(after)],
        };
        found.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    found
}

/// The first word of every part of a group, up to its closing brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut part) = (Vec::new(), 0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(word(group[part..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(word(group[part..at].trim_start()));
                part = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    let text = text.strip_prefix("r#").unwrap_or(text);
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The modules in the order in which `lib.rs` declares them.
fn module_order(lib: &str) -> Vec<String> {
    let code = code_only(lib);
    let declared = code.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')).map(str::to_owned)
    });
    declared.collect()
}

/// What is wrong with the imports of one file of `module`.
fn order_offences(order: &[String], module: &str, text: &str) -> Vec<String> {
    let Some(own) = order.iter().position(|name| name == module) else {
        return vec![format!("`{module}` is not declared in lib.rs")];
    };
    let place = |name: &str| order.iter().position(|known| known == name);
    crate_paths(&code_only(text))
        .into_iter()
        .filter(|(_, name)| place(name).is_some_and(|at| at > own))
        .map(|(line, name)| format!("line {line}: `{module}` imports `{name}`, which stands below it"))
        .collect()
}

/// What is wrong with a file apart from its imports.
fn file_offences(path: &Path, text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    if !text.starts_with("//! ") {
        offences.push("does not open with `//!`".to_owned());
    }
    let lines = text.lines().count();
    if lines > LINES_LIMIT {
        offences.push(format!("has {lines} lines, the limit is {LINES_LIMIT}"));
    }
    let names =
        path.iter().map(|part| part.to_string_lossy()).map(|part| part.trim_end_matches(".rs").to_owned());
    offences.extend(
        names.filter(|name| BANNED_NAMES.contains(&name.as_str())).map(|name| format!("is called `{name}`")),
    );
    if path == Path::new("errors.rs") || path == Path::new("error.rs") {
        offences.push("is one list of errors for the whole crate".to_owned());
    }
    offences
}

/// All Rust files below a folder of this package: paths from that folder, and texts.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).expect("the folder can be read") {
            let path = folder.join(entry.expect("the folder can be read to its end").file_name());
            if root.join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(root.join(&path)).expect("the file can be read");
                found.push((path, text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no files in {folder}");
    found
}

#[test]
fn modules_import_only_what_stands_above_them() {
    let all = files("src");
    let lib = &all.iter().find(|(path, _)| path == Path::new("lib.rs")).unwrap().1;
    let order = module_order(lib);
    assert!(order.len() > 10, "{order:?}");
    let mut offences = Vec::new();
    for (path, text) in all.iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
        let first = path.iter().next().unwrap().to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if !["lib", "main"].contains(&module) {
            let found = order_offences(&order, module, text);
            offences.extend(found.into_iter().map(|offence| format!("src/{}: {offence}", path.display())));
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn files_say_what_they_are_for_and_stay_small() {
    let mut offences = Vec::new();
    for folder in ["src", "tests/suite"] {
        for (path, text) in files(folder) {
            let found = file_offences(&path, &text);
            offences
                .extend(found.into_iter().map(|offence| format!("{folder}/{} {offence}", path.display())));
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn the_checker_finds_every_way_to_import_from_below() {
    let order = ["a", "b", "c"].map(str::to_owned);
    let lines = |text: &str| -> Vec<String> {
        order_offences(&order, "b", text).iter().map(|it| it.split(':').next().unwrap().to_owned()).collect()
    };
    for bad in [
        "use crate::c;",
        "pub(crate) use crate::c::X;",
        "use crate::{a, c};",
        "use crate::{a::{self, X}, c::Y};",
        "use crate::{\n    a,\n    c,\n};",
        "fn f() { crate::c::g() }",
        "fn f(x: &'static crate::c::X) {}",
        "fn f() { let q = '\"'; crate::c::g(); let r = '\"'; }",
        "use crate :: c;",
        "use crate::r#c;",
        "#[cfg(test)]\nmod tests;\nuse crate::c;",
        "#[cfg(test)]\nmod tests { fn x() { {} } }\nuse crate::c;",
        "#[cfg(test)]\nuse crate::a; use crate::c;",
        "/* /* nested */ */ use crate::c;",
        "const X: &str = r#\"\"#; use crate::c;",
    ] {
        assert_eq!(lines(bad).len(), 1, "{bad}");
    }
    for good in [
        "use crate::a;",
        "use crate::b::x;",
        "use crate::{a, b};",
        "use crate::{a::{c, d}};",
        "use super::c;",
        "use other_crate::c;",
        "// crate::c",
        "/* crate::c */",
        "/// See [`crate::c`].\nfn f() {}",
        "const X: &str = \"crate::c \\\" crate::c\";",
        "const X: &str = r#\"crate::c \"quoted\" crate::c\"#;",
        "#[cfg(test)]\nmod tests {\n    use crate::c;\n    fn f() { if x { crate::c::g() } }\n}",
        "#[cfg(test)]\nuse crate::c;",
        "#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests { use crate::c; }",
        "#[cfg(test)]\nfn f(a: [u8; 2], b: &str) -> crate::c::X { crate::c::g() }",
        "pub(crate) fn c() {}",
        "fn f<'a>(x: &'a str) -> &'a str { x }",
    ] {
        assert_eq!(lines(good), [""; 0], "{good}");
    }
    assert_eq!(lines("use crate::a;\n\nuse crate::c;"), ["line 3"]);
    assert_eq!(lines("#[cfg(test)]\nmod t {\n}\nuse crate::c;"), ["line 4"]);
    assert_eq!(order_offences(&order, "stray", "").len(), 1);
}

#[test]
fn the_checker_reads_the_order_from_declarations_only() {
    let lib = "//! pub mod z;\n/* mod y; */\npub mod b;\nmod a;\n#[cfg(test)]\nmod tests;\nmod inline { }\n";
    assert_eq!(module_order(lib), ["b", "a"]);
}

#[test]
fn the_checker_finds_files_that_break_the_house() {
    let count = |path: &str, text: &str| file_offences(Path::new(path), text).len();
    assert_eq!(count("runner/spawn.rs", "//! Spawns.\n"), 0);
    assert_eq!(count("runner/spawn.rs", "use std::fs;\n//! Late.\n"), 1);
    assert_eq!(count("runner/spawn.rs", ""), 1);
    assert_eq!(count("runner/spawn.rs", &format!("//! x\n{}", "\n".repeat(LINES_LIMIT))), 1);
    assert_eq!(count("runner/spawn.rs", &format!("//! x\n{}", "\n".repeat(LINES_LIMIT - 1))), 0);
    assert_eq!(count("runner/utils.rs", "//! x"), 1);
    assert_eq!(count("common/mod.rs", "//! x"), 1);
    assert_eq!(count("core.rs", "//! x"), 1);
    assert_eq!(count("errors.rs", "//! x"), 1);
    assert_eq!(count("settings/error.rs", "//! x"), 0);
}
