//! What must hold for the bodies of requests, whatever is in them.

use super::actions::{ActionRequest, OF_PIPELINE, OF_TIER, pipeline_deed, tier_deed};
use super::asking::parse;
use super::problem::Problem;
use super::rebuild::{RebuildRequest, check};
use super::webhook::payload::{Told, read};
use crate::domain::pipeline::Forge;
use axum::http::HeaderMap;

/// A body, as every route that takes one would read it.
pub fn body(bytes: &[u8]) {
    for (forge, name) in [
        (Forge::Github, "x-github-event"),
        (Forge::Gitlab, "x-gitlab-event"),
        (Forge::Gitea, "x-gitea-event"),
        (Forge::Forgejo, "x-forgejo-event"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, "push".parse().expect("BUG: a header's value"));
        match read(forge, &headers, bytes) {
            Ok(Told::Moved(moved)) => {
                let hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
                assert!(moved.after.bytes().all(hex), "{:?}", moved.after);
                assert!(!moved.urls.is_empty() && moved.ref_name.as_str().starts_with("refs/"));
            }
            Ok(Told::Nothing(why)) => assert!(!why.is_empty()),
            Err(problem) => refused(&problem),
        }
    }
    match parse::<RebuildRequest>(bytes).and_then(|request| check(&request).map(|_| ())) {
        Ok(()) => {}
        Err(problem) => refused(&problem),
    }
    for verb in OF_TIER {
        // It asks git, too.
        if verb.name == "adopt" {
            continue;
        }
        let deed =
            parse::<ActionRequest>(bytes).and_then(|request| tier_deed("t".into(), verb.name, request));
        deed.map_or_else(|problem| refused(&problem), |_| ());
    }
    for verb in OF_PIPELINE {
        let deed = parse::<ActionRequest>(bytes).and_then(|request| pipeline_deed(verb.name, request));
        deed.map_or_else(|problem| refused(&problem), |_| ());
    }
}

fn refused(problem: &Problem) {
    assert!(problem.status().is_client_error(), "a body is refused as a fault of ours: {problem:?}");
}
