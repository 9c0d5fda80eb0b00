//! `POST /api/plan`: what a definition would change, and what the next version would do with it. Nothing is changed, so
//! it is a question like any other; only its text is too long for an address.

use super::Server;
use super::asking::Json;
use super::problem::Problem;
use super::state::settled;
use crate::definition;
use crate::domain::plan::{Ground, Plan, plan as planned};
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// A definition that is not in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The file's name; its folder does not count.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Plans with it.
pub(super) async fn plan(
    State(server): State<Arc<Server>>,
    Json(request): Json<PlanRequest>,
) -> Result<axum::Json<Plan>, Problem> {
    let file = request.file.clone();
    let loaded = spawn_blocking(move || definition::load(&request.file, request.text.as_bytes())).await;
    let loaded = loaded.expect("BUG: reading a definition panicked").map_err(|diagnostics| {
        let first = diagnostics.first().map(|one| format!("line {}: {}", one.line, one.message));
        let help =
            "`tidegate check` says everything that is wrong with it; use the controller's release of it";
        let detail = format!("the definition does not load: {}", first.unwrap_or_default());
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TG-PLAN-001", detail, help)
    })?;
    let ground = settled(&server, |state| Ground::of(state, &file, &loaded.pipeline)).await?;
    let now = server.options.clock.now();
    let disk_full = server.engine.standstill().is_some_and(|why| why.is_disk_full());
    // Following a version through many tiers is work of its own.
    let plan =
        spawn_blocking(move || planned(&ground, &loaded.digest, &loaded.pipeline, now, disk_full)).await;
    Ok(axum::Json(plan.expect("BUG: planning panicked")))
}
