//! The kept inputs of each reader, and inputs that are drawn from them by a seed: bytes changed, pieces left out, doubled
//! and put together, words of the languages put in. No fuzzer (it does not see which code is reached), but everywhere.
//!
//! `TIDEGATE_FUZZ=N` draws so many for each reader, `TIDEGATE_FUZZ_SEED=K` others.

use super::{TARGETS, Target};
use std::fs;
use std::path::{Path, PathBuf};

/// Inputs drawn for each reader in an ordinary run.
const DRAWN: u64 = 1_500;
/// No input is longer, in bytes.
const LONGEST: usize = 16 * 1024;

/// Where there are pipeline files, good and bad.
const ALSO_PIPELINES: &[&str] = &["pipelines", "docs/recipes", "tests/suite/definition/cases"];

/// What the languages are made of, and what has been trouble elsewhere.
const WORDS: &[&[u8]] = &[
    b"[[tier]]\n",
    b"[tier.deploy]\n",
    b"name = \"",
    b"run = \"",
    b"after = [",
    b"\"\"\"",
    b"'''",
    b"#",
    b" = ",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\n",
    b"\r\n",
    b"\t",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"4294967296",
    b"2^53",
    b"NaN",
    b"\"kind\":\"",
    b"\"id\":",
    b"\"at\":\"",
    b"\"pipeline\":",
    b"refs/heads/",
    b"refs/tags/",
    b"..",
    b"--",
    b"@{",
    b"$(id)",
    b"%00",
    b"\x00",
    b"\x1b[",
    b"\x1b]0;",
    b"\x1b[31m",
    b"\x9b",
    b"\xc2\x9b",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81",
    b"\xe2\x80\x8d",
    b"\x0d",
    b"0000000000000000000000000000000000000000",
    b"1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
    b"\x00\x00\x00\x00",
];

#[test]
fn what_must_hold_for_readers_holds_for_kept_and_for_drawn_inputs() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (count, seed) = (number("TIDEGATE_FUZZ").unwrap_or(DRAWN), number("TIDEGATE_FUZZ_SEED").unwrap_or(0));
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || try_one(name, *target, count, seed));
        }
    });
}

fn try_one(name: &str, target: Target, count: u64, seed: u64) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("tests/fuzz/corpus").join(name);
    let mut kept = inputs(&folder);
    assert!(!kept.is_empty(), "no input is kept in {}", folder.display());
    if name == "definition" {
        kept.extend(ALSO_PIPELINES.iter().flat_map(|folder| inputs(&here.join(folder))));
    }
    for input in &kept {
        judge(name, target, input);
    }
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ count ^ name.len() as u64 | 1);
    for _ in 0..count {
        judge(name, target, &drawn(&kept, &mut chance));
    }
}

/// What breaks is left in a file, to be put into the corpus, where it is tried for ever.
fn judge(name: &str, target: Target, input: &[u8]) {
    if std::panic::catch_unwind(|| target(input)).is_err() {
        let place = std::env::temp_dir().join(format!("tidegate-fuzzed-{name}"));
        let left = fs::write(&place, input);
        let shown = String::from_utf8_lossy(&input[..input.len().min(400)]);
        panic!("{name} does not hold; the input is in {} ({left:?}): {shown:?}", place.display());
    }
}

fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("an input can be read")).collect()
}

fn drawn(kept: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = chance.one_of(kept).clone();
    for _ in 0..=chance.below(6) {
        change(&mut input, kept, chance);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, kept: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    let to = (at + chance.below(40)).min(input.len());
    match chance.below(7) {
        0 if at < input.len() => input[at] ^= 1 << chance.below(8),
        1 if at < input.len() => input[at] = u8::try_from(chance.below(256)).unwrap_or(0),
        2 => drop(input.drain(at..to)),
        3 => {
            let piece = input[at..to].to_vec();
            let place = chance.below(input.len() + 1);
            input.splice(place..place, piece);
        }
        4 => {
            let other = chance.one_of(kept);
            let from = chance.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        5 => {
            let word = *chance.one_of(WORDS);
            input.splice(at..to, word.iter().copied());
        }
        _ => {
            let word = *chance.one_of(WORDS);
            input.splice(at..at, word.iter().copied());
        }
    }
}

/// Numbers by a seed (xorshift64*, Vigna 2016).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % limit.max(1)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
