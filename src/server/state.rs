//! The state over HTTP, at an event that it names; shown only when all that it says is durable.

use super::Server;
use super::asking::Parameters;
use super::guard::Caller;
use super::problem::Problem;
use super::view::{PipelineView, SizesView, StandstillView, StateView, TroubleView, Versions, is_shown};
use crate::disk::free_bytes;
use crate::domain::{EventId, PipelineName, Rejection, Scope, State as Truth, Time};
use crate::engine::Standstill;
use crate::notice::NoticeState;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Versions of a pipeline that are shown unless more or fewer are asked for.
const VERSIONS: usize = 100;

/// Most versions of a pipeline that are shown at once.
pub(super) const VERSIONS_LIMIT: usize = 1000;

/// One pipeline at an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OnePipeline {
    /// The last event that is folded in.
    pub id: EventId,
    /// When it was looked at.
    pub at: Time,
    /// The pipeline.
    pub pipeline: PipelineView,
    /// Why nothing new begins for now; none: whatever may begin does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<StandstillView>,
    /// What is not as it should be with the controller itself, though it goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleView>,
}

/// The last answer, for those who ask the same at the same moment: with fifty pages open an event makes fifty of them ask.
pub(super) type LastAnswer = tokio::sync::Mutex<Option<Answered>>;

/// An answer, as long as nothing has happened since.
#[derive(Debug)]
pub(super) struct Answered {
    id: EventId,
    limit: usize,
    beside: Beside,
    made: Instant,
    json: Bytes,
}

/// What is shown beside the fold of events, and changes without one.
#[derive(Clone, Debug, PartialEq)]
struct Beside {
    standstill: Option<Standstill>,
    troubles: Vec<TroubleView>,
    notices: Vec<NoticeState>,
}

impl Beside {
    fn of(server: &Server) -> Beside {
        let notices = (server.options.notices)().notices.into_iter();
        Beside {
            standstill: server.engine.standstill(),
            troubles: (server.options.troubles)(),
            notices: notices.filter(|notice| notice.trouble.is_some()).collect(),
        }
    }
}

/// What depends on the time alone is not older than this.
const FRESH: Duration = Duration::from_millis(500);

/// Everything.
pub(super) async fn state(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let versions = versions(parameters.only(&["limit"])?)?;
    // What is kept for others who ask is what everybody sees who sees everything.
    if !caller.scope.sees_all() {
        let view = everything(&server, &caller.scope, versions, Beside::of(&server)).await?;
        return Ok(Json(view).into_response());
    }
    // Whoever comes while it is being made waits for it, and then has it too.
    let mut last = server.last_state.lock().await;
    let id = server.engine.read(|state| state.last);
    let beside = Beside::of(&server);
    let known = last.as_ref().filter(|one| {
        (one.id, one.limit) == (id, versions.limit) && one.beside == beside && one.made.elapsed() < FRESH
    });
    let json = match known {
        Some(known) => known.json.clone(),
        None => {
            let made = Instant::now();
            let view = everything(&server, &caller.scope, versions, beside.clone()).await?;
            let json: Bytes =
                serde_json::to_vec(&view).expect("BUG: a state that cannot be written as JSON").into();
            let (id, limit, json_kept) = (view.id, versions.limit, json.clone());
            *last = Some(Answered { id, limit, beside, made, json: json_kept });
            json
        }
    };
    drop(last);
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

async fn everything(
    server: &Server,
    scope: &Scope,
    versions: Versions,
    beside: Beside,
) -> Result<StateView, Problem> {
    let now = server.options.clock.now();
    let Beside { standstill, troubles, mut notices } = beside;
    notices.retain(|notice| scope.sees(notice.pipeline.as_str()));
    let look = |state: &Truth| StateView::seen_by(scope, state, now, versions, standstill.as_ref());
    let view = settled(server, look).await?;
    Ok(StateView { sizes: sizes(server), notices, troubles, ..view })
}

/// Every pipeline: the same without what belongs to none.
pub(super) async fn pipelines(
    state: State<Arc<Server>>,
    caller: Extension<Caller>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    self::state(state, caller, parameters).await
}

/// One pipeline.
pub(super) async fn pipeline(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<OnePipeline>, Problem> {
    let versions = versions(parameters.only(&["limit", "before"])?)?;
    let now = server.options.clock.now();
    let name = PipelineName::from(name);
    let standstill = server.engine.standstill();
    let disk_full = standstill.as_ref().is_some_and(|why| why.is_disk_full());
    let view = settled(&server, |state| {
        let p = state.pipeline(&name).filter(|p| is_shown(p))?;
        let pipeline = PipelineView::of(state, &name, p, now, versions, disk_full);
        let standstill = standstill.as_ref().map(StandstillView::from);
        let troubles = (server.options.troubles)();
        Some(OnePipeline { id: state.last, at: now, pipeline, standstill, troubles })
    });
    view.await?.map(Json).ok_or_else(|| Rejection::UnknownPipeline(name).into())
}

/// None when the disk cannot be asked.
fn sizes(server: &Server) -> Option<SizesView> {
    let journal = server.engine.journal().size_bytes().ok()?;
    let free = free_bytes(server.options.state.path()).ok()?;
    Some(SizesView::of(journal, free, server.options.gauge.get()))
}

fn versions(parameters: Parameters) -> Result<Versions, Problem> {
    let limit = parameters.read("limit", "a number from 0 to 1000")?.unwrap_or(VERSIONS);
    if limit > VERSIONS_LIMIT {
        return Err(Problem::bad_query(
            format!("the parameter `limit` is {limit}"),
            format!("it is at most {VERSIONS_LIMIT}; page with `before`"),
        ));
    }
    let before = parameters.read("before", "the `order` of a version")?;
    Ok(Versions { limit, before: before.map(EventId) })
}

/// Looks at the state, and shows what was seen when it is durable.
pub(super) async fn settled<R>(server: &Server, look: impl FnOnce(&Truth) -> R) -> Result<R, Problem> {
    let seen = server.engine.read(look);
    server.engine.settled().await?;
    Ok(seen)
}
