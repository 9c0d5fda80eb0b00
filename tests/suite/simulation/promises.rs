//! What is promised, asserted after every event, from the events alone:
//!
//! 1. Ids count from 1 without a hole.
//! 2. The fold of the journal is the state of the engine.
//! 3. A run starts once, ends at most once, and only after it started.
//! 4. A tier has at most one version inside; what enters ends before another enters.
//! 5. A version passes a tier only from inside, once for each entry.
//! 6. A node has at most one deploy under way, and only of the version that is inside, goes back, or is redeployed.
//! 7. Build steps and gates under way never exceed `jobs`.
//! 8. Automation never enters a version older than the current one, a blocked one, a rejected one, or a held tier.
//! 9. A pipeline builds one commit at a time; a build ends before the next begins.
//! 10. A rejected version does not enter before `retry` (or a rebuild elsewhere) says so.
//! 11. What a person was told is done is in the journal, over any crash.
//! 12. Nothing begins in the world before its start is in the journal, deploys not before it is durable.
//! 13. On a full disk no build step begins, nothing enters, and no gate begins but on the way back.
//! 14. No version is forgotten that is current, inside, on its way back, on its way to a node, or being built.
//! 15. What is adopted has its place before everything: no tier takes it, built or not, before a person promotes it.
//! 16. In the end everything that began has ended, and every request for a build has an end with a name.
//!
//! 25. A version is built once.
//!
//! What is promised of the way into a tier is `doors`' subject, and of schedules `clockwork`'s.

use super::clockwork::Clockwork;
use super::doors::Doors;
use std::collections::{BTreeMap, BTreeSet};
use tidegate::domain::event::DeployMode;
use tidegate::domain::*;

/// What the events have said so far about one tier.
#[derive(Default)]
struct TierView {
    inside: Option<VersionLabel>,
    back_to: Option<VersionLabel>,
    redeploys: Option<VersionLabel>,
    deploying: BTreeSet<NodeName>,
    rejected: BTreeSet<VersionLabel>,
    current: Option<VersionLabel>,
    held: bool,
}

/// The judge over one journal.
pub(crate) struct Promises {
    doors: Doors,
    jobs: usize,
    last: u64,
    /// Since the last look the disk has been full.
    pub(crate) disk_full: bool,
    started: BTreeMap<RunId, &'static str>,
    ended: BTreeSet<RunId>,
    busy: BTreeSet<RunId>,
    tiers: BTreeMap<(PipelineName, TierName), TierView>,
    order: BTreeMap<VersionLabel, EventId>,
    blocked: BTreeSet<VersionLabel>,
    pipeline_held: BTreeSet<PipelineName>,
    building: BTreeMap<PipelineName, VersionLabel>,
    requests: BTreeMap<EventId, bool>,
    by_request: BTreeMap<VersionLabel, EventId>,
    built: BTreeMap<VersionLabel, Sha>,
    adopted: BTreeSet<VersionLabel>,
    /// Of these, those of which no tier has become current yet: their builds must come first.
    to_adopt: BTreeSet<VersionLabel>,
    let_in: BTreeSet<VersionLabel>,
    sha_of: BTreeMap<VersionLabel, Sha>,
    /// Requests that build once more what is built.
    anew: BTreeSet<EventId>,
    clockwork: Clockwork,
}

impl Promises {
    pub(crate) fn new(jobs: u32) -> Promises {
        Promises {
            doors: Doors::default(),
            jobs: jobs as usize,
            last: 0,
            disk_full: false,
            started: BTreeMap::new(),
            ended: BTreeSet::new(),
            busy: BTreeSet::new(),
            tiers: BTreeMap::new(),
            order: BTreeMap::new(),
            blocked: BTreeSet::new(),
            pipeline_held: BTreeSet::new(),
            building: BTreeMap::new(),
            requests: BTreeMap::new(),
            by_request: BTreeMap::new(),
            built: BTreeMap::new(),
            adopted: BTreeSet::new(),
            to_adopt: BTreeSet::new(),
            let_in: BTreeSet::new(),
            sha_of: BTreeMap::new(),
            anew: BTreeSet::new(),
            clockwork: Clockwork::default(),
        }
    }

    /// The last event judged.
    pub(crate) fn last(&self) -> EventId {
        EventId(self.last)
    }

    /// Whether a run has a start in the journal.
    pub(crate) fn has_started(&self, run: RunId) -> bool {
        self.started.contains_key(&run)
    }

    pub(crate) fn judge(&mut self, envelope: &Envelope) {
        assert_eq!(envelope.id.0, self.last + 1, "promise 1: a hole");
        self.last = envelope.id.0;
        self.judge_runs(&envelope.fact.event);
        self.judge_disk(envelope);
        self.clockwork.judge(envelope);
        let Some(pipeline) = &envelope.fact.pipeline else { return };
        self.doors.judge(envelope);
        self.judge_builds(pipeline, envelope);
        self.judge_tier(pipeline, &envelope.fact);
    }

    fn start(&mut self, run: RunId, kind: &'static str) {
        assert!(self.started.insert(run, kind).is_none(), "promise 3: run {run} starts twice");
        if kind != "deploy" {
            self.busy.insert(run);
            assert!(self.busy.len() <= self.jobs, "promise 7: {} of {} jobs", self.busy.len(), self.jobs);
        }
    }

    fn end(&mut self, run: RunId, kind: &'static str) {
        assert_eq!(self.started.get(&run), Some(&kind), "promise 3: run {run} ends without a start");
        assert!(self.ended.insert(run), "promise 3: run {run} ends twice");
        self.busy.remove(&run);
    }

    fn judge_runs(&mut self, event: &Event) {
        match event {
            Event::StepStart { run_id, .. } => self.start(*run_id, "step"),
            Event::GateStart { run_id, .. } => self.start(*run_id, "gate"),
            Event::DeployStart { run_id, .. } => self.start(*run_id, "deploy"),
            Event::StepDone { run_id, .. } => self.end(*run_id, "step"),
            Event::GateDone { run_id, .. } => self.end(*run_id, "gate"),
            Event::DeployOk { run_id, .. } | Event::DeployFailed { run_id, .. } => {
                self.end(*run_id, "deploy")
            }
            _ => {}
        }
    }

    fn judge_disk(&self, envelope: &Envelope) {
        let back = |tier: &TierName| {
            let pipeline = envelope.fact.pipeline.clone().unwrap();
            self.tiers.get(&(pipeline, tier.clone())).is_some_and(|view| view.back_to.is_some())
        };
        let begins = match &envelope.fact.event {
            Event::StepStart { .. } | Event::PromoteStart { .. } => true,
            Event::GateStart { tier, .. } => !back(tier),
            _ => false,
        };
        assert!(!begins || !self.disk_full, "promise 13: {envelope:?} on a full disk");
    }

    fn judge_builds(&mut self, pipeline: &PipelineName, envelope: &Envelope) {
        match &envelope.fact.event {
            Event::RebuildRequested { sha, anew, .. } => {
                self.anew.extend(anew.then_some(envelope.id));
                // While a version of that commit is to be adopted, the build is for that one and moves no other.
                let adopts = self.to_adopt.iter().any(|version| self.sha_of.get(version) == Some(sha));
                let of_it = self.built.iter().filter(|(_, of)| *of == sha && !anew && !adopts);
                let newest = of_it.map(|(version, _)| version).max_by_key(|version| self.order[*version]);
                self.requests.insert(envelope.id, newest.is_some());
                if let Some(version) = newest.cloned() {
                    self.adopted.remove(&version);
                    self.order.insert(version, envelope.id);
                }
            }
            Event::BuildStart { version, request, sha, .. } => {
                assert!(!self.built.contains_key(version), "promise 25: {version} is built a second time");
                let other = self.building.insert(pipeline.clone(), version.clone());
                assert_eq!(other, None, "promise 9: two builds at once");
                self.by_request.insert(version.clone(), *request);
                let order = if self.adopted.contains(version) { EventId(0) } else { *request };
                self.order.insert(version.clone(), order);
                self.sha_of.insert(version.clone(), sha.clone());
            }
            Event::BuildOk { version, sha, .. } => {
                assert_eq!(self.building.remove(pipeline).as_ref(), Some(version), "promise 9");
                self.built.insert(version.clone(), sha.clone());
                self.requests.insert(self.by_request[version], true);
            }
            Event::BuildFailed { version, sha, .. } => {
                if !self.anew.contains(&self.by_request[version]) {
                    self.give_up(sha);
                }
                assert_eq!(self.building.remove(pipeline).as_ref(), Some(version), "promise 9");
                self.requests.insert(self.by_request[version], true);
            }
            Event::BuildAborted { request, sha_aborted, .. } => {
                if !self.anew.contains(request) {
                    self.give_up(sha_aborted);
                }
                let version = self.building.get(pipeline);
                if version.is_some_and(|v| self.by_request[v] == *request) {
                    self.building.remove(pipeline);
                }
                self.requests.insert(*request, true);
            }
            Event::ManualAction {
                action: event::Action::Adopt,
                version: Some(version),
                sha: Some(sha),
                pending,
                ..
            } => {
                // What was not built before that is older than everything.
                if !self.built.contains_key(version) {
                    self.order.insert(version.clone(), EventId(0));
                    if self.adopted.insert(version.clone()) && *pending {
                        self.to_adopt.insert(version.clone());
                    }
                }
                if !pending {
                    self.to_adopt.remove(version);
                }
                self.sha_of.insert(version.clone(), sha.clone());
            }
            Event::VersionBlocked { version } => {
                self.blocked.insert(version.clone());
            }
            Event::VersionsPruned { versions } => self.judge_pruned(pipeline, versions),
            Event::VersionUnblocked { version } => {
                self.blocked.remove(version);
            }
            Event::HoldSet { tier: None, .. } => {
                self.pipeline_held.insert(pipeline.clone());
            }
            Event::HoldLifted { tier: None } => {
                self.pipeline_held.remove(pipeline);
            }
            _ => {}
        }
    }

    /// What was to be adopted with that build is a version like any other.
    fn give_up(&mut self, sha: &Sha) {
        let versions = self.sha_of.iter().filter(|(_, of)| *of == sha).map(|(version, _)| version);
        for version in versions {
            if self.to_adopt.remove(version) {
                self.adopted.remove(version);
            }
        }
    }

    fn judge_pruned(&mut self, pipeline: &PipelineName, versions: &[VersionLabel]) {
        for version in versions {
            assert_ne!(self.building.get(pipeline), Some(version), "promise 14");
            for view in self.tiers.values_mut() {
                let needed = [&view.inside, &view.current];
                assert!(!needed.contains(&&Some(version.clone())), "promise 14: {version} is forgotten");
                let goes_back = !view.deploying.is_empty() && view.back_to.as_ref() == Some(version);
                assert!(!goes_back, "promise 14: {version} is forgotten on its way back");
                view.rejected.remove(version);
            }
            self.sha_of.remove(version);
            self.built.remove(version);
            self.adopted.remove(version);
        }
    }

    fn judge_tier(&mut self, pipeline: &PipelineName, fact: &Fact) {
        let Some(tier) = fact.event.tier() else { return };
        let pipeline_held = self.pipeline_held.contains(pipeline);
        let (order, blocked, adopted) = (&self.order, &self.blocked, &self.adopted);
        let let_in = &mut self.let_in;
        let view = self.tiers.entry((pipeline.clone(), tier.clone())).or_default();
        match &fact.event {
            Event::PromoteStart { version, by_hand, .. } => {
                assert_eq!(view.inside, None, "promise 4: {version} enters {tier} beside another");
                assert!(!view.rejected.contains(version), "promise 10: {version} was rejected in {tier}");
                assert!(!blocked.contains(version), "promise 8: {version} is blocked");
                let older = view.current.as_ref().is_some_and(|c| order[c] > order[version]);
                assert!(!older, "promise 8: {version} is older than what is current in {tier}");
                let is_asked_for = *by_hand || let_in.contains(version) || !adopted.contains(version);
                assert!(is_asked_for, "promise 15: {version} enters {tier} by itself");
                let_in.extend(by_hand.then(|| version.clone()));
                let held = view.held || pipeline_held;
                assert!(*by_hand || !held, "promise 8: {version} enters {tier}, which is held");
                view.inside = Some(version.clone());
                view.back_to = None;
            }
            Event::PromoteComplete { version, .. } => {
                assert_eq!(view.inside.take().as_ref(), Some(version), "promise 5");
                view.current = Some(version.clone());
            }
            Event::PromoteBlocked { version, stepped_back: true, .. } => {
                assert_eq!(view.inside.take().as_ref(), Some(version), "promise 4: only from inside");
            }
            Event::PromoteFailed { version, .. } => {
                if view.inside.as_ref() == Some(version) {
                    view.inside = None;
                    let left = view.deploying.is_empty() || view.back_to.is_some();
                    assert!(left, "promise 6: {version} ends in {tier} while nodes change");
                }
                view.rejected.insert(version.clone());
            }
            Event::Rollback { from, to, .. } => {
                assert!(view.deploying.is_empty(), "promise 6: a way back beside a deploy");
                if view.inside.as_ref() != Some(from) {
                    view.rejected.insert(from.clone());
                    view.current = Some(to.clone());
                }
                view.back_to = Some(to.clone());
            }
            Event::ManualAction { pending: true, .. } => {}
            Event::ManualAction { action, version, .. } => match action {
                event::Action::Retry => {
                    version.iter().for_each(|v| {
                        view.rejected.remove(v);
                    });
                }
                event::Action::Redeploy => view.redeploys = version.clone(),
                event::Action::Adopt => {
                    assert_eq!(view.current, None, "adopted where something is current");
                    view.current = version.clone();
                }
                _ => {}
            },
            Event::DeployStart { node, version, mode, .. } => {
                assert!(view.deploying.insert(node.clone()), "promise 6: two deploys on {node}");
                let reason = match mode {
                    DeployMode::Deploy => &view.inside,
                    DeployMode::Rollback => &view.back_to,
                    DeployMode::Redeploy => &view.redeploys,
                };
                assert_eq!(reason.as_ref(), Some(version), "promise 6: {mode:?} of {version} on {node}");
            }
            Event::DeployOk { node, .. } | Event::DeployFailed { node, .. } => {
                view.deploying.remove(node);
            }
            Event::HoldSet { .. } => view.held = true,
            Event::HoldLifted { .. } => view.held = false,
            _ => {}
        }
    }

    /// What must be so once nothing follows any more.
    pub(crate) fn judge_end(&self, begin: Time, now: Time) {
        self.doors.judge_end(now);
        // The journal may refuse three times before.
        self.clockwork.judge_spell(begin, now - chrono::TimeDelta::seconds(60));
        let open: Vec<_> = self.started.keys().filter(|run| !self.ended.contains(run)).collect();
        assert!(open.is_empty(), "promise 16: runs without an end: {open:?}");
        let open: Vec<_> = self.requests.iter().filter(|(_, ended)| !**ended).collect();
        assert!(open.is_empty(), "promise 16: requests without an end: {open:?}");
    }
}
