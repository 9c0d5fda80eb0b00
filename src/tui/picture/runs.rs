//! Tries of steps, from the events that begin and end them.

use crate::domain::event::Event;
use crate::domain::{Envelope, PipelineName, RunId, Status, TierName, Time, VersionLabel};
use crate::wire::Live;
use crate::words::Tone;
use std::collections::{BTreeMap, BTreeSet};

/// Most runs that are kept, beside those that go on.
const LIMIT: usize = 1_000;

/// Most that are kept even if all of them go on: the ends of many may never have been heard.
const AT_MOST: usize = 2 * LIMIT;

/// How one ended whose end was not heard.
const UNHEARD: &str = "end not heard";

/// One try of one step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) pipeline: Option<PipelineName>,
    pub(crate) version: Option<VersionLabel>,
    /// In which tier; none: in a build, or not known yet.
    pub(crate) tier: Option<TierName>,
    /// It is a step of a build.
    pub(crate) is_build: bool,
    /// Where and what: `host: test`, `build: make`, `prod: p1`.
    pub(crate) what: String,
    pub(crate) began: Option<Time>,
    /// When and how it ended; none: it goes on, as far as is known.
    pub(crate) end: Option<(Time, &'static str, Tone)>,
    /// What it said of its own progress last.
    pub(crate) said: Option<String>,
}

/// Runs, by number.
#[derive(Default)]
pub(crate) struct Runs {
    pub(crate) all: BTreeMap<RunId, Run>,
    /// Those that ended, of which the first goes first.
    over: BTreeSet<RunId>,
}

impl Runs {
    /// An event that is newer than all that are known.
    pub(crate) fn happened(&mut self, envelope: &Envelope) {
        // A controller that begins has no runs but those that it takes over: the others are over.
        if let Event::ControllerStarted { kept, .. } = &envelope.fact.event {
            self.end_all_but(kept, envelope.at, "cut off");
        }
        self.note(envelope);
        self.trim();
    }

    /// An event from before those that are known.
    pub(crate) fn older(&mut self, envelope: &Envelope) {
        if self.all.len() < LIMIT {
            self.note(envelope);
        }
    }

    fn note(&mut self, envelope: &Envelope) {
        let event = &envelope.fact.event;
        let Some(id) = event.run() else { return };
        let run = self.all.entry(id).or_default();
        // One that wrote before its beginning was heard is known by less.
        run.pipeline = run.pipeline.take().or_else(|| envelope.fact.pipeline.clone());
        run.version = run.version.take().or_else(|| super::version_of(event).cloned());
        run.tier = run.tier.take().or_else(|| event.tier().cloned());
        run.is_build |= matches!(event, Event::StepStart { .. } | Event::StepDone { .. });
        match event {
            Event::StepStart { step, .. } => {
                run.what = format!("build: {step}");
                run.began = Some(envelope.at);
            }
            Event::GateStart { tier, name, .. } => {
                run.what = format!("{tier}: {name}");
                run.began = Some(envelope.at);
            }
            Event::DeployStart { tier, node, mode, .. } => {
                run.what = format!("{tier}: {} on {node}", mode.as_str());
                run.began = Some(envelope.at);
            }
            Event::StepDone { outcome, .. } | Event::GateDone { outcome, .. } => {
                run.end = Some(match outcome.status {
                    Status::Pass => (envelope.at, "passed", Tone::Good),
                    Status::Fail => (envelope.at, "failed", Tone::Bad),
                    Status::Blocked => (envelope.at, "not judged", Tone::Wait),
                });
            }
            Event::DeployOk { .. } => run.end = Some((envelope.at, "done", Tone::Good)),
            Event::DeployFailed { .. } => run.end = Some((envelope.at, "failed", Tone::Bad)),
            Event::StepEvent { .. } => run.said = Some(crate::words::told(envelope).2),
            _ => {}
        }
        if run.end.is_some() {
            self.over.insert(id);
        }
        if run.what.is_empty() {
            run.what = match event {
                Event::StepDone { step, .. } => format!("build: {step}"),
                Event::GateDone { tier, name, .. } => format!("{tier}: {name}"),
                Event::DeployOk { tier, node, .. } | Event::DeployFailed { tier, node, .. } => {
                    format!("{tier}: {node}")
                }
                _ => String::new(),
            };
        }
    }

    /// A run wrote something: it may be one whose beginning was not heard, and it goes on.
    pub(crate) fn wrote(&mut self, id: RunId, pipeline: Option<PipelineName>, live: &Live) {
        let (tier, what) = match live {
            Live::GateLogChunk { tier, name, .. } => (Some(tier.clone()), format!("{tier}: {name}")),
            Live::DeployLogChunk { tier, node, .. } => (Some(tier.clone()), format!("{tier}: {node}")),
            Live::BuildLogChunk { step, .. } => (None, format!("build: {step}")),
            Live::Lagged { .. } | Live::Gap { .. } | Live::Error { .. } => return,
        };
        let new = Run { is_build: tier.is_none(), tier, what, ..Run::default() };
        let run = self.all.entry(id).or_insert(new);
        run.pipeline = run.pipeline.take().or(pipeline);
        if run.end.is_some_and(|(_, word, _)| word == UNHEARD) {
            run.end = None;
            self.over.remove(&id);
        }
        self.trim();
    }

    /// Events were lost, among them maybe the ends of those that go on.
    pub(crate) fn lost(&mut self, at: Time) {
        self.end_all_but(&[], at, UNHEARD);
    }

    fn end_all_but(&mut self, kept: &[RunId], at: Time, how: &'static str) {
        for (id, run) in self.all.iter_mut().filter(|(id, run)| run.end.is_none() && !kept.contains(id)) {
            run.end = Some((at, how, Tone::Wait));
            self.over.insert(*id);
        }
    }

    fn trim(&mut self) {
        if self.all.len() <= LIMIT {
            return;
        }
        let first = || self.all.keys().next().copied().filter(|_| self.all.len() > AT_MOST);
        if let Some(old) = self.over.first().copied().or_else(first) {
            self.over.remove(&old);
            self.all.remove(&old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EventId, Fact};

    fn now() -> Time {
        Time::from_timestamp(1_795_424_400, 0).unwrap()
    }

    fn chunk(run: u64) -> Live {
        let (text, step) = ("x\n".to_owned(), "make".into());
        Live::BuildLogChunk { run_id: RunId(run), seq: 0, text, offset: 0, bytes: 2, step }
    }

    fn start(id: u64, run: u64) -> Envelope {
        let event = Event::StepStart {
            run_id: RunId(run),
            sha: "c0ffee".into(),
            version: "1.0.0".into(),
            step: "make".into(),
        };
        Envelope { id: EventId(id), at: now(), fact: Fact::of(&"shop".into(), event) }
    }

    #[test]
    fn one_that_wrote_before_its_beginning_was_heard_is_known_in_full() {
        let mut runs = Runs::default();
        runs.wrote(RunId(7), Some("shop".into()), &chunk(7));
        assert_eq!(runs.all[&RunId(7)].pipeline, Some("shop".into()));
        runs.wrote(RunId(8), None, &chunk(8));
        runs.older(&start(1, 7));
        runs.happened(&start(2, 8));
        for run in [&runs.all[&RunId(7)], &runs.all[&RunId(8)]] {
            assert_eq!(run.pipeline, Some("shop".into()));
            assert_eq!(run.version, Some("1.0.0".into()));
            assert_eq!(run.began, Some(now()));
        }
    }

    #[test]
    fn after_a_gap_nothing_runs_for_ever_and_what_writes_goes_on() {
        let mut runs = Runs::default();
        runs.happened(&start(1, 7));
        runs.happened(&start(2, 8));
        runs.lost(now());
        assert!(runs.all.values().all(|run| run.end == Some((now(), UNHEARD, Tone::Wait))));
        runs.wrote(RunId(8), None, &chunk(8));
        assert!(runs.all[&RunId(8)].end.is_none() && runs.all[&RunId(7)].end.is_some());
    }
}
