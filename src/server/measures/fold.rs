//! Counting: a pure fold of events in their order. What happened before the span that is asked for is followed, so that
//! what ends within it is known, but not counted.

use super::spread::{Spread, median};
use super::{DayCount, Deployments, GateDay, GateMeasure, MeasuresView, Share, WaitingMeasure};
use crate::domain::event::{DeployMode, PromotionEnd};
use crate::domain::pipeline::Pipeline;
use crate::domain::{
    Blocker, Classification, Envelope, Event, EventId, Fact, GateName, PipelineName, Sha, Status, TierName,
    Time, VersionLabel,
};
use chrono::{Days, NaiveDate};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds that are looked at.
pub(super) const KINDS: &[&str] = &[
    "pipeline_loaded",
    "rebuild_requested",
    "build_start",
    "deploy_start",
    "gate_done",
    "promote_start",
    "promote_blocked",
    "promote_complete",
    "promote_failed",
    "rollback",
    "rollback_complete",
];

type Place = (PipelineName, TierName);
type Standing = (PipelineName, TierName, VersionLabel);

/// What was seen so far.
pub(super) struct Fold {
    /// Nothing before is counted.
    begin: Time,
    events: u64,
    /// Last tiers, as the definition that was loaded last has them.
    last: BTreeMap<PipelineName, BTreeSet<TierName>>,
    /// When each commit was asked for.
    asked: BTreeMap<(PipelineName, Sha), Time>,
    versions: BTreeMap<(PipelineName, VersionLabel), Time>,
    deployed: BTreeSet<Standing>,
    /// Versions that were changed on a node of a last tier, and whether that went wrong; counted when they were put there.
    changes: BTreeMap<Standing, (Time, bool)>,
    /// Since when a last tier is not as it should be.
    broken: BTreeMap<Place, Time>,
    days: BTreeMap<NaiveDate, u64>,
    lead: Vec<f64>,
    restore: Vec<f64>,
    gates: BTreeMap<(PipelineName, TierName, GateName), Gate>,
    gate_days: BTreeMap<NaiveDate, Vec<f64>>,
    /// What each version that waits waits for, and since when.
    waits: BTreeMap<Standing, (Time, BTreeSet<&'static str>)>,
    waited: BTreeMap<&'static str, (f64, u64)>,
}

#[derive(Default)]
struct Gate {
    failed: u64,
    flaky: u64,
    /// A try failed and another one follows.
    wobbles: bool,
    seconds: Vec<f64>,
}

fn seconds(from: Time, to: Time) -> f64 {
    ((to - from).num_milliseconds().max(0)) as f64 / 1_000.0
}

impl Fold {
    /// Counts from a moment on; `last`: the last tiers of each pipeline, as far as they are known.
    pub(super) fn new(begin: Time, last: BTreeMap<PipelineName, BTreeSet<TierName>>) -> Fold {
        Fold {
            begin,
            events: 0,
            last,
            asked: BTreeMap::new(),
            versions: BTreeMap::new(),
            deployed: BTreeSet::new(),
            changes: BTreeMap::new(),
            broken: BTreeMap::new(),
            days: BTreeMap::new(),
            lead: Vec::new(),
            restore: Vec::new(),
            gates: BTreeMap::new(),
            gate_days: BTreeMap::new(),
            waits: BTreeMap::new(),
            waited: BTreeMap::new(),
        }
    }

    /// Looks at the next event.
    pub(super) fn event(&mut self, envelope: &Envelope) {
        let Fact { event, pipeline, .. } = &envelope.fact;
        let (at, Some(pipeline)) = (envelope.at, pipeline) else { return };
        self.events += u64::from(at >= self.begin);
        match event {
            Event::PipelineLoaded { definition, .. } => {
                self.last.insert(pipeline.clone(), last_tiers(definition));
            }
            Event::RebuildRequested { sha, .. } => {
                self.asked.insert((pipeline.clone(), sha.clone()), at);
            }
            Event::BuildStart { sha, version, .. } => {
                let asked = self.asked.remove(&(pipeline.clone(), sha.clone())).unwrap_or(at);
                self.versions.insert((pipeline.clone(), version.clone()), asked);
            }
            Event::PromoteBlocked { tier, version, blockers, .. } => {
                self.waits_for((pipeline.clone(), tier.clone(), version.clone()), blockers, at);
            }
            Event::PromoteStart { tier, version, .. } => {
                self.waits_for((pipeline.clone(), tier.clone(), version.clone()), &[], at);
            }
            Event::DeployStart { tier, version, mode: DeployMode::Deploy, .. }
                if self.is_last(pipeline, tier) =>
            {
                let standing = (pipeline.clone(), tier.clone(), version.clone());
                self.deployed.insert(standing.clone());
                self.changes.entry(standing).or_insert((at, false));
            }
            Event::GateDone { tier, name, outcome, will_retry, .. } => {
                let gate = (pipeline.clone(), tier.clone(), name.clone());
                self.gate_done(
                    gate,
                    outcome.status,
                    outcome.classification,
                    outcome.elapsed_ms,
                    *will_retry,
                    at,
                );
            }
            Event::PromoteComplete { tier, version, .. } if self.is_last(pipeline, tier) => {
                self.delivered(pipeline, tier, version, at);
            }
            Event::PromoteFailed { tier, version, end, .. } if self.is_last(pipeline, tier) => {
                if matches!(end, PromotionEnd::RolledBack | PromotionEnd::Stopped) {
                    self.went_wrong(pipeline, tier, version, at);
                }
            }
            Event::Rollback { tier, from, .. } if self.is_last(pipeline, tier) => {
                self.went_wrong(pipeline, tier, from, at);
            }
            Event::RollbackComplete { tier, .. } => self.restored(pipeline, tier, at),
            _ => {}
        }
    }

    fn is_last(&self, pipeline: &PipelineName, tier: &TierName) -> bool {
        // Of a pipeline that is removed nobody may say any more: then every tier counts.
        self.last.get(pipeline).is_none_or(|last| last.contains(tier))
    }

    fn delivered(&mut self, pipeline: &PipelineName, tier: &TierName, version: &VersionLabel, at: Time) {
        if at >= self.begin {
            *self.days.entry(at.date_naive()).or_default() += 1;
            if let Some(asked) = self.versions.get(&(pipeline.clone(), version.clone())) {
                self.lead.push(seconds(*asked, at));
            }
        }
        self.restored(pipeline, tier, at);
    }

    fn went_wrong(&mut self, pipeline: &PipelineName, tier: &TierName, version: &VersionLabel, at: Time) {
        if let Some((_, wrong)) = self.changes.get_mut(&(pipeline.clone(), tier.clone(), version.clone())) {
            *wrong = true;
        }
        self.broken.entry((pipeline.clone(), tier.clone())).or_insert(at);
    }

    fn restored(&mut self, pipeline: &PipelineName, tier: &TierName, at: Time) {
        if let Some(since) = self.broken.remove(&(pipeline.clone(), tier.clone()))
            && at >= self.begin
        {
            self.restore.push(seconds(since, at));
        }
    }

    fn gate_done(
        &mut self,
        name: (PipelineName, TierName, GateName),
        status: Status,
        classification: Classification,
        elapsed_ms: u64,
        will_retry: bool,
        at: Time,
    ) {
        if at < self.begin || status == Status::Blocked {
            return;
        }
        let gate = self.gates.entry(name).or_default();
        let took = elapsed_ms as f64 / 1_000.0;
        gate.seconds.push(took);
        self.gate_days.entry(at.date_naive()).or_default().push(took);
        match status {
            Status::Pass if classification == Classification::Flaky || gate.wobbles => gate.flaky += 1,
            Status::Fail if !will_retry => gate.failed += 1,
            _ => {}
        }
        gate.wobbles = will_retry;
    }

    /// What it waited for until now counts; from now on it waits for these.
    fn waits_for(&mut self, standing: Standing, blockers: &[Blocker], at: Time) {
        let kinds: BTreeSet<&'static str> = blockers.iter().map(Blocker::kind).collect();
        if let Some((since, before)) = self.waits.remove(&standing) {
            self.count_wait(since, at, &before, &kinds);
        }
        if !kinds.is_empty() {
            self.waits.insert(standing, (at, kinds));
        }
    }

    fn count_wait(
        &mut self,
        since: Time,
        upto: Time,
        kinds: &BTreeSet<&'static str>,
        goes_on: &BTreeSet<&'static str>,
    ) {
        if upto < self.begin {
            return;
        }
        for kind in kinds {
            let (total, times) = self.waited.entry(kind).or_default();
            *total += seconds(since.max(self.begin), upto);
            *times += u64::from(!goes_on.contains(kind));
        }
    }

    /// What came of it.
    pub(super) fn finish(mut self, id: EventId, now: Time, days: u32, complete: bool) -> MeasuresView {
        for (since, kinds) in std::mem::take(&mut self.waits).into_values() {
            self.count_wait(since, now, &kinds, &BTreeSet::new());
        }
        let in_span = self.changes.values().filter(|(at, _)| *at >= self.begin);
        let change_failure = in_span.fold(Share::default(), |share, (_, wrong)| Share {
            failed: share.failed + u64::from(*wrong),
            of: share.of + 1,
        });
        let mut gates: Vec<GateMeasure> = self
            .gates
            .into_iter()
            .map(|((pipeline, tier, name), gate)| GateMeasure {
                pipeline,
                tier,
                name,
                runs: gate.seconds.len() as u64,
                failed: gate.failed,
                flaky: gate.flaky,
                median_s: median(gate.seconds),
            })
            .collect();
        gates.sort_by(|a, b| b.median_s.total_cmp(&a.median_s));
        let mut waiting: Vec<WaitingMeasure> = self
            .waited
            .into_iter()
            .map(|(kind, (total_s, times))| WaitingMeasure { kind: kind.into(), total_s, times })
            .collect();
        waiting.sort_by(|a, b| b.total_s.total_cmp(&a.total_s));
        MeasuresView {
            id,
            at: now,
            days,
            covered_days: days.into(),
            events: self.events,
            complete,
            deployments: Deployments {
                count: self.days.values().sum(),
                by_day: by_day(&self.days, self.begin, now),
            },
            lead_time: Spread::of(self.lead),
            change_failure,
            time_to_restore: Spread::of(self.restore),
            gates,
            gate_days: self
                .gate_days
                .into_iter()
                .map(|(day, values)| GateDay { day: day.to_string(), median_s: median(values) })
                .collect(),
            waiting,
        }
    }
}

/// The tiers that no other comes after.
pub(super) fn last_tiers(definition: &Pipeline) -> BTreeSet<TierName> {
    let before: BTreeSet<&TierName> = definition.tiers.iter().flat_map(|tier| &tier.after).collect();
    let names = definition.tiers.iter().map(|tier| &tier.name);
    names.filter(|name| !before.contains(name)).cloned().collect()
}

/// Every day of the span, with nothing on most of them.
fn by_day(days: &BTreeMap<NaiveDate, u64>, begin: Time, end: Time) -> Vec<DayCount> {
    let mut day = begin.date_naive();
    let mut all = Vec::new();
    while day <= end.date_naive() {
        all.push(DayCount { day: day.to_string(), count: days.get(&day).copied().unwrap_or_default() });
        day = day + Days::new(1);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(minute: i64) -> Time {
        Time::from_timestamp(1_700_000_000 + minute * 60, 0).unwrap()
    }

    fn fold(begin: i64, events: &[(i64, Value)]) -> MeasuresView {
        let mut fold = Fold::new(at(begin), BTreeMap::new());
        for (id, (minute, event)) in events.iter().enumerate() {
            let mut event = event.clone();
            event["id"] = (id + 1).into();
            event["at"] = crate::wire::time_text(at(*minute)).into();
            event["pipeline"] = "shop".into();
            fold.event(&crate::wire::decode(&event.to_string()).expect("an event"));
        }
        fold.finish(EventId(events.len() as u64), at(1_000), 1, true)
    }

    fn tier(kind: &str, more: Value) -> Value {
        let mut event = json!({ "kind": kind, "tier": "prod", "version": "1.0.0" });
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    }

    const SHA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn asked(version: &str) -> [(i64, Value); 2] {
        let start =
            json!({ "kind": "build_start", "sha": SHA, "version": version, "request": 1, "digest": "d" });
        [(0, json!({ "kind": "rebuild_requested", "sha": SHA })), (2, start)]
    }

    fn deploy(version: &str) -> Value {
        tier("deploy_start", json!({ "run_id": 1, "node": "a1", "mode": "deploy", "version": version }))
    }

    #[test]
    fn lead_time_is_from_the_push_to_passing() {
        let [request, start] = asked("1.0.0");
        let seen =
            fold(0, &[request, start, (5, deploy("1.0.0")), (10, tier("promote_complete", json!({})))]);
        assert_eq!((seen.deployments.count, seen.lead_time.count, seen.lead_time.median_s), (1, 1, 600.0));
        assert_eq!(seen.change_failure, Share { failed: 0, of: 1 });
        assert_eq!(seen.deployments.by_day.iter().map(|day| day.count).sum::<u64>(), 1);
    }

    #[test]
    fn what_is_rolled_back_later_failed_and_the_time_is_until_all_is_back() {
        let back = tier("rollback", json!({ "from": "1.0.0", "to": "0.9.0" }));
        let done = tier("rollback_complete", json!({ "version": "0.9.0" }));
        let events =
            [(5, deploy("1.0.0")), (10, tier("promote_complete", json!({}))), (30, back), (37, done)];
        let seen = fold(0, &events);
        assert_eq!(seen.change_failure, Share { failed: 1, of: 1 });
        assert_eq!((seen.time_to_restore.count, seen.time_to_restore.median_s), (1, 420.0));
    }

    #[test]
    fn what_was_only_rejected_by_a_gate_before_the_deploy_is_no_failed_change() {
        let failed = tier("promote_failed", json!({ "end": "rejected", "cause": "a gate failed" }));
        let seen = fold(0, &[(5, failed)]);
        assert_eq!((seen.change_failure, seen.time_to_restore.count), (Share::default(), 0));
    }

    #[test]
    fn waiting_is_counted_by_kind_and_what_goes_on_is_one_wait() {
        let blocked = |blockers: Value| tier("promote_blocked", json!({ "blockers": blockers }));
        let soak = json!({ "kind": "soak", "until": null });
        let manual = json!({ "kind": "manual" });
        let events = [
            (0, blocked(json!([soak, manual]))),
            (10, blocked(json!([manual]))),
            (30, tier("promote_start", json!({ "digest": "d" }))),
        ];
        let waiting = fold(0, &events).waiting;
        let waiting: Vec<_> = waiting.iter().map(|one| (one.kind.as_str(), one.total_s, one.times)).collect();
        assert_eq!(waiting, [("manual", 1_800.0, 1), ("soak", 600.0, 1)]);
        // Only what lies within the span.
        let waiting = fold(20, &events).waiting;
        assert_eq!((waiting[0].total_s, waiting.len()), (600.0, 1));
    }

    #[test]
    fn a_gate_that_passes_at_another_try_is_flaky() {
        let done = |class: &str, status: &str, again: bool| {
            let outcome = json!({ "status": status, "classification": class, "elapsed_ms": 2_000 });
            let more = json!({ "run_id": 1, "gate": "run", "name": "e2e", "phase": "check", "outcome": outcome, "will_retry": again });
            tier("gate_done", more)
        };
        let events = [
            (1, done("test_failure", "fail", true)),
            (2, done("ok", "pass", false)),
            (3, done("test_failure", "fail", false)),
            (4, done("infrastructure", "blocked", false)),
        ];
        let gates = fold(0, &events).gates;
        assert_eq!((gates[0].runs, gates[0].flaky, gates[0].failed, gates[0].median_s), (3, 1, 1, 2.0));
    }
}
