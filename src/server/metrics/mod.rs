//! `GET /metrics`: numbers for Prometheus. What is true now comes from the state; what happened is counted since the
//! controller began (`counts`); names, units and labels are contract, and labels are bounded (`exposition`).

mod counts;
mod exposition;
mod process;

pub(super) use counts::Counts;

use super::Server;
use super::asking::Parameters;
use super::guard::Caller;
use super::problem::Problem;
use crate::domain::state::{PipelineState, State as Truth, Task};
use crate::domain::{PipelineName, Time, promotion};
use crate::notice::Notices;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use exposition::{Family, Format, Kind};
use std::sync::Arc;

/// All numbers; for somebody to whom only some pipelines are there the numbers of these, and none of the whole.
pub(super) async fn answer(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let format = format(&headers);
    let mut families = vec![build_info()];
    families.extend(of_state(&server));
    families.extend(of_server(&server));
    families.extend(of_notices(&(server.options.notices)()));
    families.extend(server.counts.families(&**server.engine.journal()).await);
    families.extend(process::families(server.options.state.path()));
    if !caller.scope.sees_all() {
        families.retain_mut(|family| family.keep(|pipeline| caller.scope.sees(pipeline)));
        families.insert(0, build_info());
    }
    let text = exposition::text(&families, format);
    Ok(([(header::CONTENT_TYPE, format.content_type())], text).into_response())
}

fn format(headers: &HeaderMap) -> Format {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accept.flat_map(|value| value.split(','));
    // Who names it wants it: scrapers that take both name it first.
    match ranges.any(|range| range.trim().starts_with("application/openmetrics-text")) {
        true => Format::OpenMetrics,
        false => Format::Text,
    }
}

fn build_info() -> Family {
    let mut family =
        Family::new("tidegate_build_info", Kind::Gauge, "Always 1; the release is its label.", &["version"]);
    family.add(&[env!("CARGO_PKG_VERSION")], 1.0);
    family
}

/// What is true beside the state.
fn of_server(server: &Server) -> Vec<Family> {
    let gauge = |name, help, value: f64| Family::new(name, Kind::Gauge, help, &[]).with(value);
    let journal = server.engine.journal();
    let most = server.options.limits.subscribers;
    let subscribers = most.saturating_sub(server.subscribers.available_permits());
    let ready = server.engine.is_ready() && !server.shutdown.is_cancelled();
    let mut families = vec![
        gauge(
            "process_start_time_seconds",
            "When the controller began to answer, in seconds since 1970.",
            server.counts.begun.timestamp_micros() as f64 / 1e6,
        ),
        gauge("tidegate_ready", "1 while it takes commands.", f64::from(u8::from(ready))),
        gauge("tidegate_jobs", "Build steps and gates that may run at once.", f64::from(server.options.jobs)),
        gauge("tidegate_subscribers", "Subscribers of events that are connected.", subscribers as f64),
        gauge(
            "tidegate_subscribers_backlog",
            "Messages that the slowest subscriber has not taken yet; beyond 256 it misses some.",
            server.engine.bus().backlog() as f64,
        ),
        gauge("tidegate_subscribers_limit", "Most of them at once.", most as f64),
        gauge("tidegate_journal_last_event_id", "Number of the last event.", journal.last_id().0 as f64),
        gauge(
            "tidegate_journal_oldest_event_id",
            "Number of the oldest event kept.",
            journal.oldest_id().0 as f64,
        ),
    ];
    if let Ok(bytes) = journal.size_bytes() {
        families.push(gauge(
            "tidegate_journal_size_bytes",
            "The journal on disk, everything counted.",
            bytes as f64,
        ));
    }
    families
}

/// How notices do.
fn of_notices(notices: &Notices) -> Vec<Family> {
    let counter = |name, help, value: u64| Family::new(name, Kind::Counter, help, &[]).with(value as f64);
    let mut waiting = Family::new(
        "tidegate_notices_in_trouble",
        Kind::Gauge,
        "Notices whose receivers do not take what waits for them.",
        &["pipeline"],
    );
    for notice in &notices.notices {
        waiting.add(&[notice.pipeline.as_str()], f64::from(u8::from(notice.trouble.is_some())));
    }
    vec![
        counter("tidegate_notices_delivered_total", "Events that receivers took.", notices.delivered),
        counter("tidegate_notices_failed_tries_total", "Tries that failed.", notices.failed_tries),
        counter("tidegate_notices_given_up_total", "Events that were given up.", notices.given_up),
        waiting,
    ]
}

/// What the state says.
fn of_state(server: &Server) -> Vec<Family> {
    let now = server.options.clock.now();
    let disk_full = server.engine.standstill().is_some_and(|why| why.is_disk_full());
    server.engine.read(|state| {
        let mut now_true = NowTrue::new(state);
        for (name, p) in &state.pipelines {
            now_true.take(name, p, now, disk_full);
        }
        now_true.families()
    })
}

/// What is true now, added up.
struct NowTrue {
    pipelines: Family,
    rejected: Family,
    jobs: Family,
    runs: Family,
    queue: Family,
    held: Family,
    waiting: Family,
    blockers: Family,
    inside: Family,
    behind: Family,
    current: Family,
}

impl NowTrue {
    fn new(state: &Truth) -> NowTrue {
        let gauge = |name, help, labels| Family::new(name, Kind::Gauge, help, labels);
        let in_force = state.pipelines.values().filter(|p| p.in_force.is_some()).count();
        let mut runs = gauge("tidegate_runs_in_flight", "Steps that run now, by what they are.", &["task"]);
        for task in ["step", "gate", "deploy"] {
            let same = |known: &Task| match known {
                Task::Step(_) => task == "step",
                Task::Gate(..) => task == "gate",
                Task::Deploy(..) => task == "deploy",
            };
            runs.add(&[task], state.running.values().filter(|place| same(&place.task)).count() as f64);
        }
        const TIER: &[&str] = &["pipeline", "tier"];
        NowTrue {
            pipelines: gauge("tidegate_pipelines", "Pipelines with a definition in force.", &[])
                .with(in_force as f64),
            rejected: gauge("tidegate_definitions_rejected", "Pipeline files that do not load.", &[])
                .with(state.rejected.len() as f64),
            jobs: gauge("tidegate_jobs_busy", "Build steps and gates that take a slot of `jobs`.", &[])
                .with(f64::from(state.busy_slots)),
            runs,
            queue: gauge("tidegate_builds_queued", "Builds that have not begun.", &["pipeline"]),
            held: gauge(
                "tidegate_held",
                "1 where somebody stops automation; a tier of none is the pipeline.",
                TIER,
            ),
            waiting: gauge("tidegate_versions_waiting", "Versions in front of a tier.", TIER),
            blockers: gauge(
                "tidegate_blockers",
                "What stands in the way of versions in front of a tier, by kind; a tier of none is of builds that wait.",
                &["pipeline", "tier", "kind"],
            ),
            inside: gauge(
                "tidegate_inside_age_seconds",
                "How long the version inside a tier has been there.",
                TIER,
            ),
            behind: gauge(
                "tidegate_nodes_behind",
                "Nodes with another version than the tier's current one.",
                TIER,
            ),
            current: gauge(
                "tidegate_current_version_age_seconds",
                "How long a tier's current version has been current.",
                TIER,
            ),
        }
    }

    fn take(&mut self, name: &PipelineName, p: &PipelineState, now: Time, disk_full: bool) {
        let name = name.as_str();
        let Some(definition) = p.definition() else { return };
        self.queue.add(&[name], p.queue.len() as f64);
        for blocker in promotion::queue_blockers(p, disk_full) {
            self.blockers.add(&[name, "", blocker.kind()], p.queue.len() as f64);
        }
        if p.hold.is_some() {
            self.held.add(&[name, ""], 1.0);
        }
        for tier in &definition.tiers {
            let labels = [name, tier.name.as_str()];
            let waiting = promotion::waiting_when(p, tier, now, disk_full);
            self.waiting.add(&labels, waiting.len() as f64);
            for blocker in waiting.iter().flat_map(|waiting| &waiting.blockers) {
                self.blockers.add(&[name, tier.name.as_str(), blocker.kind()], 1.0);
            }
            let Some(t) = p.tiers.get(&tier.name) else { continue };
            if t.hold.is_some() {
                self.held.add(&labels, 1.0);
            }
            if let Some(inside) = &t.inside {
                self.inside.set(&labels, seconds(now, inside.at));
            }
            if let Some(current) = &t.current {
                self.current.set(&labels, seconds(now, current.since));
                let is_behind =
                    |name| t.nodes.get(name).and_then(|n| n.version.as_ref()) != Some(&current.version);
                let behind = tier.nodes.iter().filter(|node| is_behind(&node.name)).count();
                self.behind.add(&labels, behind as f64);
            }
        }
    }

    fn families(self) -> Vec<Family> {
        vec![
            self.pipelines,
            self.rejected,
            self.jobs,
            self.runs,
            self.queue,
            self.held,
            self.waiting,
            self.blockers,
            self.inside,
            self.behind,
            self.current,
        ]
    }
}

/// Never negative, whatever a clock did.
fn seconds(now: Time, since: Time) -> f64 {
    (now - since).num_milliseconds().max(0) as f64 / 1000.0
}
