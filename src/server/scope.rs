//! What a token with a scope comes to. A request whose path names a pipeline is judged here, before its handler is asked;
//! what a handler reads beside that (events, the state, runs, numbers) it narrows by [`Caller::scope`].
//!
//! Judged by the names that are asked for, and before anything is looked up: so what is out of scope is answered alike,
//! whether it is there or not. To read it is as if it were not there (404); to act on it is refused (403), and the answer
//! says what the token may.
//!
//! [`Caller::scope`]: super::guard::Caller::scope

use super::guard::Caller;
use super::problem::{Problem, shorten};
use super::routes::Rule;
use crate::domain::{PipelineName, Rejection, Scope};
use axum::extract::RawPathParams;
use axum::http::StatusCode;

/// Lets a caller through to what the path names, or says why not.
pub(super) fn admit(caller: &Caller, rule: Rule, named: Option<&RawPathParams>) -> Result<(), Problem> {
    let value = |name: &str| {
        let mut pairs = named.into_iter().flatten();
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    };
    let (scope, pipeline) = (&caller.scope, value("pipeline"));
    // A path that is no text names nothing that is in scope.
    if named.is_none() && *scope != Scope::default() {
        return Err(Problem::no_such_path());
    }
    match rule {
        Rule::Open | Rule::Signature => Ok(()),
        Rule::Read => match pipeline {
            Some(pipeline) if !scope.sees(pipeline) => Err(not_there(pipeline)),
            _ => Ok(()),
        },
        Rule::Token(_) => {
            let may = match pipeline {
                Some(pipeline) => scope.acts_on(pipeline, value("tier")),
                // Builds are a pipeline's, not a tier's; which pipelines, the handler sees in the body.
                None => scope.tiers.is_all(),
            };
            if may { Ok(()) } else { Err(beyond(caller)) }
        }
    }
}

/// A pipeline that is not there, or not for this caller.
pub(super) fn not_there(pipeline: &str) -> Problem {
    Rejection::UnknownPipeline(PipelineName::from(shorten(pipeline))).into()
}

/// To act there is beyond the token's scope.
fn beyond(caller: &Caller) -> Problem {
    let scope = &caller.scope;
    let whole = if scope.tiers.is_all() { "" } else { ", and on nothing of a whole pipeline" };
    let help = format!("it may act on: {scope}{whole}; use a token whose scope reaches");
    Problem::new(StatusCode::FORBIDDEN, "TG-AUTH-010", "this is beyond the token's scope", help)
}
