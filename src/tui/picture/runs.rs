//! Tries of steps, from the events that begin and end them.

use crate::domain::event::Event;
use crate::domain::{Envelope, PipelineName, RunId, Status, Time, VersionLabel};
use crate::wire::Live;
use crate::words::Tone;
use std::collections::BTreeMap;

/// Most runs that are kept; those that go on are kept in any case.
const LIMIT: usize = 1_000;

/// One try of one step.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) pipeline: Option<PipelineName>,
    pub(crate) version: Option<VersionLabel>,
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
}

impl Runs {
    /// An event that is newer than all that are known.
    pub(crate) fn happened(&mut self, envelope: &Envelope) {
        // A controller that begins has no runs: those of the one before are over.
        if let Event::ControllerStarted { .. } = &envelope.fact.event {
            for run in self.all.values_mut().filter(|run| run.end.is_none()) {
                run.end = Some((envelope.at, "cut off", Tone::Wait));
            }
        }
        self.note(envelope);
        if self.all.len() > LIMIT
            && let Some(old) = self.all.iter().find(|(_, run)| run.end.is_some()).map(|(run, _)| *run)
        {
            self.all.remove(&old);
        }
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
        let run = self.all.entry(id).or_insert_with(|| Run {
            pipeline: envelope.fact.pipeline.clone(),
            version: super::version_of(event).cloned(),
            what: String::new(),
            began: None,
            end: None,
            said: None,
        });
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

    /// A run wrote something: it may be one whose beginning was not heard.
    pub(crate) fn wrote(&mut self, id: RunId, live: &Live) {
        let what = match live {
            Live::GateLogChunk { tier, name, .. } => format!("{tier}: {name}"),
            Live::DeployLogChunk { tier, node, .. } => format!("{tier}: {node}"),
            Live::BuildLogChunk { step, .. } => format!("build: {step}"),
            _ => return,
        };
        let run = Run { pipeline: None, version: None, what, began: None, end: None, said: None };
        self.all.entry(id).or_insert(run);
    }
}
