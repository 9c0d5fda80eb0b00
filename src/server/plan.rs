//! `POST /api/plan`: what a definition would change, and what the next version would do with it. Nothing is changed, so
//! it is a question like any other; only its text is too long for an address.

use super::asking::Json;
use super::guard::Caller;
use super::problem::Problem;
use super::state::settled;
use super::{Server, scope};
use crate::definition;
use crate::domain::plan::{Ground, Plan, TooLarge, plan as planned};
use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

/// Plans that are made at once.
pub(super) const AT_ONCE: usize = 2;

/// A definition that is not in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// The file's name; its folder does not count.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Plans with it. Work and its text are bounded before the text is read: whoever may read may ask.
pub(super) async fn plan(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<axum::Json<Plan>, Problem> {
    let permit = server.plans.clone().try_acquire_owned().map_err(|_| busy())?;
    let Json(request) = Json::<PlanRequest>::from_request(request, &server).await?;
    let file = request.file.clone();
    let (loaded, permit) =
        blocking(permit, move || definition::load(&request.file, request.text.as_bytes())).await;
    let loaded = loaded.map_err(|diagnostics| {
        let first = diagnostics.first().map(|one| format!("line {}: {}", one.line, one.message));
        let help =
            "`tidegate check` says everything that is wrong with it; use the controller's release of it";
        let detail = format!("the definition does not load: {}", first.unwrap_or_default());
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TG-PLAN-001", detail, help)
    })?;
    let known = [Some(&loaded.pipeline.name), loaded.pipeline.was.as_ref()];
    if let Some(name) = known.into_iter().flatten().find(|name| !caller.scope.sees(name.as_str())) {
        return Err(scope::not_there(name.as_str()));
    }
    let ground =
        settled(&server, |state| Ground::seen_by(&caller.scope, state, &file, &loaded.pipeline)).await?;
    let now = server.options.clock.now();
    let disk_full = server.engine.standstill().is_some_and(|why| why.is_disk_full());
    // Following a version through many tiers is work of its own.
    let work = move || {
        let mut plan = planned(&ground, &loaded.digest, &loaded.pipeline, now, disk_full)?;
        let before = ground.text(&loaded.pipeline);
        plan.edit.keys = before.map(|text| definition::differences(text, &loaded.text)).unwrap_or_default();
        Ok(plan)
    };
    let (plan, _) = blocking(permit, work).await;
    plan.map(axum::Json).map_err(|error: TooLarge| {
        let detail = format!("failed to {error}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, TooLarge::CODE, detail, TooLarge::HELP)
    })
}

/// Works on a thread of its own. The permit is held until that is done, even if nobody waits for it any more.
async fn blocking<R: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> R + Send + 'static,
) -> (R, OwnedSemaphorePermit) {
    spawn_blocking(move || (work(), permit)).await.expect("BUG: planning panicked")
}

fn busy() -> Problem {
    let detail = format!("{AT_ONCE} plans are being made already");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "TG-PLAN-002", detail, "ask again in a moment")
        .with(header::RETRY_AFTER, "2")
}
