//! `GET /api/history`: what happened, newest first, page by page; and the story of one version. Both read the journal.

use super::Server;
use super::asking::Parameters;
use super::guard::Caller;
use super::measures::before_time;
use super::problem::Problem;
use super::state::settled;
use super::view::{VersionView, version_view};
use crate::domain::{EventId, PipelineName, Rejection, Time, VersionLabel};
use crate::journal::{Filter, KindPattern, Record};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Events of a page unless more or fewer are asked for.
const PAGE: usize = 100;
/// Most events of a page.
pub(super) const PAGE_LIMIT: usize = 1_000;
/// So many events are looked at in one go.
const WINDOW: u64 = 2_000;
/// So many are looked at for one page, that a search which finds nothing ends.
const LOOKED_AT: u64 = 200_000;
/// Most events of a version's story.
const STORY_LIMIT: usize = 5_000;
/// Longest text that is looked for, in bytes.
const TEXT_LIMIT: usize = 200;

/// A page of what happened.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryView {
    /// Newest first, each as `/events` sends it.
    #[schemars(with = "Vec<Value>")]
    pub events: Vec<Box<RawValue>>,
    /// Ask again with `before` this for older ones; none: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<EventId>,
}

/// A version and what happened to it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StoryView {
    /// The last event that is folded in.
    pub id: EventId,
    /// When it was looked at.
    pub at: Time,
    /// The version.
    pub version: VersionView,
    /// Oldest first, each as `/events` sends it.
    #[schemars(with = "Vec<Value>")]
    pub events: Vec<Box<RawValue>>,
    /// There are more than are shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// What is looked for beside what the journal can filter by.
struct Wanted {
    filter: Filter,
    /// In lowercase.
    text: Option<String>,
    by: bool,
}

impl Wanted {
    fn fits(&self, record: &Record) -> bool {
        (!self.by || serde_json::from_str::<Value>(&record.body).is_ok_and(|event| event.get("by").is_some()))
            && self.text.as_ref().is_none_or(|text| record.body.to_lowercase().contains(text))
    }
}

/// What happened, newest first.
pub(super) async fn history(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<Json<HistoryView>, Problem> {
    let parameters = parameters.only(&["before", "limit", "pipeline", "tier", "kind", "text", "by"])?;
    let limit = parameters.read("limit", "a number from 1 to 1000")?.unwrap_or(PAGE);
    if limit == 0 || limit > PAGE_LIMIT {
        let detail = format!("the parameter `limit` is {limit}");
        return Err(Problem::bad_query(detail, format!("it is from 1 to {PAGE_LIMIT}; page with `before`")));
    }
    let text = parameters.one("text")?.filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > TEXT_LIMIT) {
        return Err(Problem::bad_query("the parameter `text` is too long", "look for fewer words"));
    }
    let kinds = parameters.all("kind").map(|kind| {
        kind.parse::<KindPattern>().map_err(|error| {
            Problem::bad_query(format!("failed to {error}"), "such as `deploy_ok` or `deploy_*`")
        })
    });
    let wanted = Wanted {
        filter: Filter {
            pipeline: parameters.all("pipeline").map(Arc::from).collect(),
            tier: parameters.all("tier").map(Arc::from).collect(),
            kinds: kinds.collect::<Result<_, _>>()?,
            run: None,
            scope: caller.scope,
        },
        text: text.map(str::to_lowercase),
        by: parameters.switch("by", false)?,
    };
    let before: Option<u64> = parameters.read("before", "the number of an event")?;
    let last = settled(&server, |state| state.last).await?;
    let before = before.map_or(last.0 + 1, |before| before.min(last.0 + 1));
    Ok(Json(backwards(&server, &wanted, before, limit).await?))
}

/// Reads windows from the end to the beginning.
async fn backwards(
    server: &Server,
    wanted: &Wanted,
    before: u64,
    limit: usize,
) -> Result<HistoryView, Problem> {
    let journal = server.engine.journal();
    let oldest = journal.oldest_id().0;
    let (mut upper, mut looked_at) = (before, 0);
    let mut events: Vec<Box<RawValue>> = Vec::new();
    while upper > oldest && looked_at < LOOKED_AT {
        // In front of an epoch of ids there is nothing to look at for a long way.
        upper = journal.last_below(EventId(upper)).await?.0 + 1;
        let lower = upper.saturating_sub(WINDOW + 1).max(oldest - 1);
        for record in between(server, lower, upper, &wanted.filter).await?.iter().rev() {
            if !wanted.fits(record) {
                continue;
            }
            if events.len() == limit {
                let before = events.last().map(|_| EventId(record.id.0 + 1));
                return Ok(HistoryView { events, before });
            }
            events.push(raw(record)?);
        }
        looked_at += upper - lower;
        upper = lower + 1;
    }
    Ok(HistoryView { events, before: (upper > oldest).then_some(EventId(upper)) })
}

/// The records after one id and before another, in order.
async fn between(server: &Server, lower: u64, upper: u64, filter: &Filter) -> Result<Vec<Record>, Problem> {
    let mut after = EventId(lower);
    let mut found = Vec::new();
    while after.0 + 1 < upper {
        let page = server.engine.journal().read(after, WINDOW as usize, filter).await?;
        if page.scanned <= after {
            break;
        }
        after = page.scanned;
        found.extend(page.records.into_iter().take_while(|record| record.id.0 < upper));
    }
    Ok(found)
}

fn raw(record: &Record) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(record.body.to_string()).map_err(|error| {
        let detail = format!("event {} is not JSON: {error}", record.id);
        Problem::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "TG-HTTP-030",
            detail,
            "`tidegate doctor` says more",
        )
    })
}

/// A version and what happened to it.
pub(super) async fn story(
    State(server): State<Arc<Server>>,
    Path((pipeline, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<StoryView>, Problem> {
    parameters.only(&[])?;
    let (pipeline, version) = (PipelineName::from(pipeline), VersionLabel::from(version));
    let at = server.options.clock.now();
    let looked = settled(&server, |state| {
        let p = state.pipeline(&pipeline).ok_or_else(|| Rejection::UnknownPipeline(pipeline.clone()))?;
        let v = p
            .versions
            .get(&version)
            .ok_or_else(|| Rejection::UnknownVersion(pipeline.clone(), version.clone()))?;
        Ok::<_, Problem>((state.last, version_view(p, &version, v)))
    });
    let (id, view) = looked.await??;
    let (events, more) = told(&server, &pipeline, &view, id).await?;
    Ok(Json(StoryView { id, at, version: view, events, more }))
}

/// The parts of an event that say which version it is about.
#[derive(Deserialize)]
struct About {
    version: Option<String>,
    sha: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// What happened to a version since it was first asked for.
async fn told(
    server: &Server,
    pipeline: &PipelineName,
    view: &VersionView,
    upto: EventId,
) -> Result<(Vec<Box<RawValue>>, bool), Problem> {
    let filter = Filter { pipeline: vec![pipeline.as_str().into()], ..Filter::default() };
    let label = view.version.as_str();
    let (mut events, mut runs) = (Vec::new(), BTreeSet::new());
    // The request from which its place follows may be a later one than that from which it was built.
    let built = before_time(server.engine.journal().as_ref(), view.at).await?;
    let mut after = EventId(view.order.0.saturating_sub(1).min(built.0));
    while after < upto {
        let page = server.engine.journal().read(after, WINDOW as usize, &filter).await?;
        if page.scanned <= after {
            break;
        }
        after = page.scanned;
        for record in page.records.iter().filter(|record| record.id <= upto) {
            let about: About = match serde_json::from_str(&record.body) {
                Ok(about) => about,
                Err(_) => continue,
            };
            let is_named =
                [&about.version, &about.from, &about.to].iter().any(|name| name.as_deref() == Some(label));
            // Of a commit that is built twice each version has a request of its own.
            let is_asked_for = &*record.kind == "rebuild_requested" && record.id == view.order
                || &*record.kind != "rebuild_requested"
                    && about.version.is_none()
                    && about.sha.as_deref() == Some(view.sha.as_str());
            let is_said = record.run.is_some_and(|run| runs.contains(&run));
            if is_named && let Some(run) = record.run {
                runs.insert(run);
            }
            if is_named || is_asked_for || is_said {
                if events.len() == STORY_LIMIT {
                    return Ok((events, true));
                }
                events.push(raw(record)?);
            }
        }
    }
    Ok((events, false))
}
