//! `GET /api/pipelines/{p}/definition`: the definition in force as its file was read.

use super::Server;
use super::asking::Parameters;
use super::problem::Problem;
use super::state::settled;
use super::view::{is_shown, shown_repo};
use crate::domain::{Digest, EventId, PipelineName, Rejection, Time};
use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A definition in force, with its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DefinitionText {
    /// The last event that is folded in.
    pub id: EventId,
    /// Its digest.
    pub digest: Digest,
    /// The file's name.
    pub file: String,
    /// Since when it is in force.
    pub at: Time,
    /// The file's text.
    pub text: String,
}

/// The text as anybody may see it: a password that stands in the address of the repository does not.
fn without_password(text: &str, repo: &str) -> String {
    let shown = shown_repo(repo);
    if repo.is_empty() || shown == repo { text.to_owned() } else { text.replace(repo, &shown) }
}

/// The text of a definition.
pub(super) async fn definition(
    State(server): State<Arc<Server>>,
    Path(pipeline): Path<String>,
    parameters: Parameters,
) -> Result<Json<DefinitionText>, Problem> {
    parameters.only(&[])?;
    let name = PipelineName::from(pipeline);
    let view = settled(&server, |state| {
        let p = state.pipeline(&name).filter(|p| is_shown(p));
        let p = p.ok_or_else(|| Rejection::UnknownPipeline(name.clone()))?;
        // Of one that is removed nothing is in force.
        let in_force = p.in_force.as_ref().ok_or_else(|| Rejection::UnknownPipeline(name.clone()))?;
        Ok::<_, Problem>(DefinitionText {
            id: state.last,
            digest: in_force.digest.clone(),
            file: in_force.file.clone(),
            at: in_force.at,
            text: without_password(&in_force.text, &in_force.definition.source.repo),
        })
    });
    Ok(Json(view.await??))
}
