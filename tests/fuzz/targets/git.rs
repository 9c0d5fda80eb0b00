//! What git says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate::source::fuzzed::words_of_git(bytes));
