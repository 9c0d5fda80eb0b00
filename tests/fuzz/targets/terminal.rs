//! Text on its way to a terminal.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate::printable::fuzzed::shown_text(bytes));
