//! `/api/journal`: how far the journal's chain has come, for whoever notes its head where the controller's machine cannot
//! reach.

use super::Server;
use super::asking::Parameters;
use super::problem::Problem;
use crate::domain::EventId;
use crate::journal::META_INSTANCE;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How far the journal's chain has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalView {
    /// What tells this journal from every other: 32 hex digits.
    pub instance: String,
    /// The oldest event that is kept.
    pub oldest: EventId,
    /// The last event that is durable.
    pub last: EventId,
    /// The value of the chain at the last event: 64 hex digits. `tidegate verify-journal --expect LAST:HASH` proves later
    /// that it is still in the journal.
    pub hash: String,
}

/// How far the journal's chain has come.
pub(super) async fn journal(
    State(server): State<Arc<Server>>,
    parameters: Parameters,
) -> Result<axum::Json<JournalView>, Problem> {
    parameters.only(&[])?;
    let journal = server.engine.journal();
    let head = journal.chain().head;
    journal.sync(head.id).await?;
    let view = JournalView {
        instance: journal.meta_get(META_INSTANCE).await?.unwrap_or_default(),
        oldest: journal.oldest_id(),
        last: head.id,
        hash: head.hash.to_string(),
    };
    Ok(axum::Json(view))
}
