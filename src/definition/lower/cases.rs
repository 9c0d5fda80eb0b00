//! Tests of the pipeline.

use crate::definition::raw;
use crate::domain::pipeline::TestCase;

pub(super) fn tests(raw: &[raw::Test]) -> Vec<TestCase> {
    raw.iter()
        .map(|raw| TestCase {
            name: raw.name.clone().unwrap_or_default(),
            given: raw.given.clone(),
            expect: raw.expect.clone().unwrap_or_default(),
        })
        .collect()
}
