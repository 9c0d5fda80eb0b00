//! `GET /api/runs/{id}`: one try of one step, as the journal has it.
//!
//! Runs are numbered in the order of the journal, so the place of a run is found by halving, not by reading it all.

use super::asking::Parameters;
use super::log::{self, LogFile, Whole};
use super::log_lines::{self, LogIndex, LogMatch};
use super::problem::Problem;
use super::state::settled;
use super::{Server, guard::Caller};
use crate::domain::event::{DeployMode, Event, StepSaid};
use crate::domain::pipeline::Phase;
use crate::domain::{
    Envelope, EventId, Failure, GateName, NodeName, Outcome, PipelineName, RunId, Scope, StepName, TierName,
    Time, VersionLabel,
};
use crate::journal::Filter;
use crate::wire;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most of what a step said that is shown; all of it is in the journal.
const SAID_LIMIT: usize = 1_000;

/// Most records read at once.
const PAGE: usize = 500;

/// One try of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// Its number.
    pub run_id: RunId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The version.
    pub version: VersionLabel,
    /// What ran.
    #[serde(flatten)]
    pub task: TaskView,
    /// The event of its start.
    pub start_id: EventId,
    /// When it began.
    pub started_at: Time,
    /// How it ended; none: it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RunEnd>,
    /// The log, as a path below the state folder; `/api/runs/{id}/log` has it.
    pub log_ref: String,
    /// What it said through `$TIDEGATE_EVENTS`, and warnings about it.
    pub said: Vec<Said>,
    /// There is more of it than is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub said_more: bool,
}

/// What ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum TaskView {
    /// A build step.
    Step {
        /// Its name.
        step: StepName,
    },
    /// A gate.
    Gate {
        /// The tier.
        tier: TierName,
        /// The gate's kind.
        gate: String,
        /// The gate's name.
        name: GateName,
        /// Before or after the deploy.
        phase: Phase,
    },
    /// A version on its way to a node.
    Deploy {
        /// The tier.
        tier: TierName,
        /// The node.
        node: NodeName,
        /// Why it is put there.
        mode: DeployMode,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnd {
    /// The event of its end.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// Whether another try follows at once, as a run of its own.
    pub will_retry: bool,
    /// Of a step or gate: how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Of a deploy: what failed; none: it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Of a deploy that failed: what went wrong and the way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Something that a step said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// The event.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// What.
    pub event: StepSaid,
}

/// One run.
pub(super) async fn run(
    State(server): State<Arc<Server>>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<Json<RunView>, Problem> {
    parameters.only(&[])?;
    Ok(Json(find(&server, &caller.scope, number(&run)?).await?))
}

/// Its log.
pub(super) async fn log(
    State(server): State<Arc<Server>>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    method: Method,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let parameters = parameters.only(&["follow"])?;
    let follow = parameters.switch("follow", false)?;
    let file = file_of(&server, &caller.scope, number(&run)?).await?;
    log::answer(server, file, method, &headers, follow, caller).await
}

/// Where the pages of its log begin.
pub(super) async fn log_index(
    State(server): State<Arc<Server>>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<Json<LogIndex>, Problem> {
    let parameters = parameters.only(&["line", "from"])?;
    let file = file_of(&server, &caller.scope, number(&run)?).await?;
    Ok(Json(log_lines::index(&server, file, &parameters).await?))
}

/// Where a text stands in its log.
pub(super) async fn log_find(
    State(server): State<Arc<Server>>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<Json<LogMatch>, Problem> {
    let parameters = parameters.only(&["text", "line", "backwards"])?;
    let file = file_of(&server, &caller.scope, number(&run)?).await?;
    Ok(Json(log_lines::find(&server, file, &parameters).await?))
}

async fn file_of(server: &Server, scope: &Scope, run: RunId) -> Result<LogFile, Problem> {
    let view = find(server, scope, run).await?;
    let has_ended = view.end.is_some();
    let outcome = view.end.and_then(|end| end.outcome);
    let bytes = outcome.as_ref().and_then(|outcome| outcome.log_bytes);
    let sha256 = outcome.and_then(|outcome| outcome.log_sha256);
    let whole = sha256.clone().map(|sha256| Whole { bytes, sha256 });
    let found = LogFile::find(server.options.state.path(), run, &view.log_ref, whole);
    // One that ended and says what its log was had one.
    found.map_err(|problem| match &sha256 {
        Some(sha256) if has_ended => Problem::forgotten_log(run.0, Some(sha256)),
        _ => problem,
    })
}

fn number(text: &str) -> Result<RunId, Problem> {
    let good = text.parse().ok().filter(|_| text.bytes().all(|digit| digit.is_ascii_digit()));
    good.map(RunId).ok_or_else(Problem::no_such_path)
}

/// One run; one of a pipeline that is out of scope is not there.
async fn find(server: &Server, scope: &Scope, run: RunId) -> Result<RunView, Problem> {
    let view = found(server, run).await?;
    match scope.sees(view.pipeline.as_str()) {
        true => Ok(view),
        false => Err(Problem::unknown_run(run.0)),
    }
}

async fn found(server: &Server, run: RunId) -> Result<RunView, Problem> {
    // What runs is in the state; what was never begun is not looked for.
    let (is_running, last_run) =
        settled(server, |state| (state.running.contains_key(&run), state.last_run)).await?;
    if run.0 == 0 || run > last_run {
        return Err(Problem::unknown_run(run.0));
    }
    let journal = server.engine.journal();
    let mut after = place_before(server, run).await?;
    let filter = Filter { run: Some(run.0), ..Filter::default() };
    let mut view = None;
    loop {
        let page = journal.read(after, PAGE, &filter).await?;
        for record in &page.records {
            if let Ok(envelope) = wire::decode(&record.body) {
                fold(server, &mut view, envelope);
            }
        }
        let is_over = view.as_ref().is_none_or(|view: &RunView| view.end.is_some());
        // A run whose start is not where it must be is gone; one that runs has an end later or not at all.
        if page.scanned <= after || is_over && (view.is_some() || !is_running) {
            let gone = journal.oldest_id() > EventId(1);
            return view.ok_or_else(|| match gone {
                true => Problem::forgotten_run(run.0),
                false => Problem::unknown_run(run.0),
            });
        }
        after = page.scanned;
    }
}

/// An event right before the start of a run, if that is still there.
async fn place_before(server: &Server, run: RunId) -> Result<EventId, Problem> {
    let journal = server.engine.journal();
    let starts = ["step_start", "gate_start", "deploy_start"];
    let kinds = starts.map(|kind| kind.parse().expect("BUG: a kind that is no pattern")).to_vec();
    let filter = Filter { kinds, ..Filter::default() };
    let (mut low, mut high) = (journal.oldest_id().0.saturating_sub(1), journal.last_id().0);
    // The start is after `low`, and not after `high`.
    while high - low > PAGE as u64 {
        let middle = low + (high - low) / 2;
        let page = journal.read(EventId(middle), 1, &filter).await?;
        match page.records.first().and_then(|record| Some((record.id, record.run?))) {
            Some((_, first)) if first <= run.0 => low = middle,
            Some(_) => high = middle,
            // No start within what was looked at: it is further on, or there is none.
            None if page.scanned.0 > middle && page.scanned.0 < high => {
                let beyond = journal.read(page.scanned, 1, &filter).await?;
                match beyond.records.first().and_then(|record| record.run) {
                    Some(first) if first <= run.0 => low = page.scanned.0,
                    _ => high = middle,
                }
            }
            None => high = middle,
        }
    }
    Ok(EventId(low))
}

fn fold(server: &Server, view: &mut Option<RunView>, envelope: Envelope) {
    let (id, at) = (envelope.id, envelope.at);
    let pipeline = envelope.fact.pipeline;
    let begin = |run_id: RunId, version: VersionLabel, task: TaskView| {
        let pipeline = pipeline?;
        let home = server.engine.read(|state| state.pipeline(&pipeline).map(|p| p.home.clone()));
        let log_ref = (server.options.log_ref)(home.as_ref().unwrap_or(&pipeline), run_id);
        let (start_id, started_at) = (id, at);
        let (end, said, said_more) = (None, Vec::new(), false);
        Some(RunView { run_id, pipeline, version, task, start_id, started_at, end, log_ref, said, said_more })
    };
    match envelope.fact.event {
        Event::StepStart { run_id, version, step, .. } => {
            *view = begin(run_id, version, TaskView::Step { step });
        }
        Event::GateStart { run_id, tier, version, gate, name, phase } => {
            *view = begin(run_id, version, TaskView::Gate { tier, gate, name, phase });
        }
        Event::DeployStart { run_id, tier, node, version, mode } => {
            *view = begin(run_id, version, TaskView::Deploy { tier, node, mode });
        }
        event => {
            if let Some(view) = view {
                go_on(view, id, at, event);
            }
        }
    }
}

fn go_on(view: &mut RunView, id: EventId, at: Time, event: Event) {
    let mut end = RunEnd { id, at, will_retry: false, outcome: None, failure: None, message: None };
    let log_ref = match event {
        Event::StepEvent { event, .. } if view.said.len() < SAID_LIMIT => {
            return view.said.push(Said { id, at, event });
        }
        Event::StepEvent { .. } => return view.said_more = true,
        Event::StepDone { outcome, will_retry, .. } | Event::GateDone { outcome, will_retry, .. } => {
            end.will_retry = will_retry;
            let log_ref = outcome.log_ref.clone();
            end.outcome = Some(outcome);
            log_ref
        }
        Event::DeployOk { log_ref, .. } => log_ref,
        Event::DeployFailed { failure, message, log_ref, will_retry, .. } => {
            (end.failure, end.message, end.will_retry) = (Some(failure), Some(message), will_retry);
            log_ref
        }
        _ => return,
    };
    view.end = Some(end);
    if let Some(log_ref) = log_ref {
        view.log_ref = log_ref;
    }
}
