//! Pipeline files.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tidegate::definition::fuzzed::pipeline_file(bytes));
