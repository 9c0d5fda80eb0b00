//! What steps say through `$TIDEGATE_EVENTS`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate::interpreter::fuzzed::events_file(bytes));
