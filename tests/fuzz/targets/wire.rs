//! Frames of `/events`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate::fuzzed::event(bytes));
