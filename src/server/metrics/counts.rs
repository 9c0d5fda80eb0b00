//! What is counted since the controller began: events, by reading on in the journal whenever somebody asks for the
//! numbers, and what only this room sees.
//!
//! So nobody pays for what nobody asks for, and nothing that is durable is missed, however seldom somebody asks; only
//! what retention removed before that.

use super::exposition::{Family, Kind};
use crate::domain::event::{DeployMode, Event, PromotionEnd};
use crate::domain::{Classification, Envelope, EventId, Time};
use crate::journal::{self, Filter, Journal, Record, Watermark};
use crate::wire;
use std::sync::{Mutex, PoisonError};

/// Most records read at once.
const PAGE: usize = 500;

/// Counted since the start.
pub(in crate::server) struct Counts {
    /// When that was.
    pub(super) begun: Time,
    events: tokio::sync::Mutex<Fold>,
    requests: Mutex<Family>,
    lags: Mutex<Family>,
}

impl Counts {
    /// Nothing yet; events count after that one.
    pub(in crate::server) fn new(last: EventId, now: Time) -> Counts {
        let requests = Family::new(
            "tidegate_http_requests_total",
            Kind::Counter,
            "Requests answered since the start, by path as it is described, and class of status.",
            &["path", "method", "status"],
        );
        let lags = Family::new(
            "tidegate_subscribers_lagged_total",
            Kind::Counter,
            "How often since the start a subscriber was told that it fell behind.",
            &[],
        );
        Counts {
            begun: now,
            events: tokio::sync::Mutex::new(Fold::new(last)),
            requests: Mutex::new(requests),
            lags: Mutex::new(lags.with(0.0)),
        }
    }

    /// A request was answered.
    pub(in crate::server) fn request(&self, path: Option<&str>, method: &str, status: u16) {
        let known = ["GET", "HEAD", "POST"].into_iter().find(|known| *known == method);
        let class = format!("{}xx", status / 100);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.add(&[path.unwrap_or("none"), known.unwrap_or("other"), &class], 1.0);
    }

    /// A subscriber is told that it fell behind.
    pub(in crate::server) fn lag(&self) {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner).add(&[], 1.0);
    }

    /// Everything, with all events that are durable now.
    pub(super) async fn families(&self, journal: &dyn Journal) -> Vec<Family> {
        let mut fold = self.events.lock().await;
        if let Err(error) = fold.read_on(journal).await {
            tracing::warn!(code = error.code(), "events are not counted: failed to {error}");
        }
        let mut families = fold.families();
        drop(fold);
        families.push(self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone());
        families.push(self.lags.lock().unwrap_or_else(PoisonError::into_inner).clone());
        families
    }
}

/// What events add up to.
struct Fold {
    last: EventId,
    events: Family,
    builds: Family,
    build_seconds: Family,
    steps: Family,
    gates: Family,
    gate_seconds: Family,
    deploys: Family,
    promotions: Family,
    rollbacks: Family,
}

impl Fold {
    fn new(last: EventId) -> Fold {
        use Kind::{Counter, Summary};
        Fold {
            last,
            events: Family::new(
                "tidegate_events_total",
                Counter,
                "Events journaled since the start, by kind.",
                &["kind"],
            ),
            builds: Family::new(
                "tidegate_builds_total",
                Counter,
                "Builds that ended since the start: ok, failed or aborted.",
                &["pipeline", "result"],
            ),
            build_seconds: Family::new(
                "tidegate_build_duration_seconds",
                Summary,
                "How long the builds took that ended since the start; not those that were aborted.",
                &["pipeline"],
            ),
            steps: Family::new(
                "tidegate_build_steps_total",
                Counter,
                "Tries of build steps that ended since the start, by classification.",
                &["pipeline", "classification"],
            ),
            gates: Family::new(
                "tidegate_gates_total",
                Counter,
                "Tries of gates that ended since the start, by classification.",
                &["pipeline", "tier", "classification"],
            ),
            gate_seconds: Family::new(
                "tidegate_gate_duration_seconds",
                Summary,
                "How long the tries of gates took that ended since the start.",
                &["pipeline", "tier"],
            ),
            deploys: Family::new(
                "tidegate_deploys_total",
                Counter,
                "Tries since the start to put a version on a node: ok, or what failed.",
                &["pipeline", "tier", "mode", "result"],
            ),
            promotions: Family::new(
                "tidegate_promotions_total",
                Counter,
                "Versions that came out of a tier since the start: complete, or how it ended.",
                &["pipeline", "tier", "end"],
            ),
            rollbacks: Family::new(
                "tidegate_rollbacks_total",
                Counter,
                "Times since the start that a tier began to go back.",
                &["pipeline", "tier"],
            ),
        }
    }

    fn families(&self) -> Vec<Family> {
        let all = [
            &self.events,
            &self.builds,
            &self.build_seconds,
            &self.steps,
            &self.gates,
            &self.gate_seconds,
            &self.deploys,
            &self.promotions,
            &self.rollbacks,
        ];
        all.into_iter().cloned().collect()
    }

    /// Takes in what is durable and new.
    async fn read_on(&mut self, journal: &dyn Journal) -> Result<(), journal::Error> {
        let upto = match &*journal.durable().borrow() {
            Watermark::Durable(id) => *id,
            Watermark::Failed(error) => return Err(error.clone()),
        };
        while self.last < upto {
            let page = journal.read(self.last, PAGE, &Filter::default()).await?;
            if page.scanned <= self.last {
                return Ok(());
            }
            page.records.iter().filter(|record| record.id <= upto).for_each(|record| self.take(record));
            self.last = page.scanned.min(upto);
        }
        Ok(())
    }

    fn take(&mut self, record: &Record) {
        self.events.add(&[&record.kind], 1.0);
        let counts = ["build_", "step_done", "gate_done", "deploy_", "promote_", "rollback"];
        if counts.iter().any(|kind| record.kind.starts_with(kind))
            && let Ok(envelope) = wire::decode(&record.body)
        {
            self.count(&envelope);
        }
    }

    fn count(&mut self, envelope: &Envelope) {
        let pipeline = envelope.fact.pipeline.as_ref().map(|name| name.as_str()).unwrap_or_default();
        match &envelope.fact.event {
            Event::BuildAborted { .. } => self.builds.add(&[pipeline, "aborted"], 1.0),
            Event::BuildOk { elapsed_s, .. } => {
                self.builds.add(&[pipeline, "ok"], 1.0);
                self.build_seconds.add(&[pipeline], *elapsed_s as f64);
            }
            Event::BuildFailed { elapsed_s, .. } => {
                self.builds.add(&[pipeline, "failed"], 1.0);
                self.build_seconds.add(&[pipeline], *elapsed_s as f64);
            }
            Event::StepDone { outcome, .. } => {
                self.steps.add(&[pipeline, classification(outcome.classification)], 1.0);
            }
            Event::GateDone { tier, outcome, .. } => {
                let tier = tier.as_str();
                self.gates.add(&[pipeline, tier, classification(outcome.classification)], 1.0);
                self.gate_seconds.add(&[pipeline, tier], outcome.elapsed_ms as f64 / 1000.0);
            }
            Event::DeployOk { tier, mode, .. } => self.deploy(pipeline, tier.as_str(), *mode, "ok"),
            Event::DeployFailed { tier, mode, failure, .. } => {
                self.deploy(pipeline, tier.as_str(), *mode, failure.as_str());
            }
            Event::PromoteComplete { tier, .. } => {
                self.promotions.add(&[pipeline, tier.as_str(), "complete"], 1.0);
            }
            Event::PromoteFailed { tier, end, .. } => {
                self.promotions.add(&[pipeline, tier.as_str(), end_text(*end)], 1.0);
            }
            Event::Rollback { tier, .. } => self.rollbacks.add(&[pipeline, tier.as_str()], 1.0),
            _ => {}
        }
    }

    fn deploy(&mut self, pipeline: &str, tier: &str, mode: DeployMode, result: &str) {
        self.deploys.add(&[pipeline, tier, mode.as_str(), result], 1.0);
    }
}

fn classification(class: Classification) -> &'static str {
    use Classification::*;
    match class {
        Ok => "ok",
        Flaky => "flaky",
        TestFailure => "test_failure",
        CompileError => "compile_error",
        Lint => "lint",
        CheckFailed => "check_failed",
        Unhealthy => "unhealthy",
        Timeout => "timeout",
        Killed => "killed",
        MissingTool => "missing_tool",
        Infrastructure => "infrastructure",
        Canceled => "canceled",
        Interrupted => "interrupted",
        StepSays => "step_says",
    }
}

fn end_text(end: PromotionEnd) -> &'static str {
    match end {
        PromotionEnd::Rejected => "rejected",
        PromotionEnd::RolledBack => "rolled_back",
        PromotionEnd::Stopped => "stopped",
        PromotionEnd::Canceled => "canceled",
    }
}
