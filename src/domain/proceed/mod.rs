//! What follows by itself from the state at a moment: builds and steps that may begin, versions that may enter,
//! gates, nodes, the way back. Level-triggered: it is asked after every event and at the moments that it named, and
//! says only what is not so yet, so that asking twice changes nothing.
//!
//! Each call gives facts that do not depend on one another; the caller journals and folds them and asks again, until
//! nothing follows any more.

mod adopt;
mod back;
mod build;
mod entry;
mod inside;
mod schedule;

pub(super) use build::{goes_on, is_complete, overtaken_by};

use super::confirmation;
use super::event::{Event, Fact};
use super::id::*;
use super::pipeline::{Gate, Phase, Tier};
use super::promotion::{Waiting, waiting_when};
use super::state::{Attempts, NodeTry, PipelineState, State, Task};
use super::{Blocker, Time};
use std::collections::BTreeMap;

/// What is asked of the moment.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Now.
    pub now: Time,
    /// How many build steps and gates may begin.
    pub slots: u32,
    /// Whether anything may begin: not while the controller drains.
    pub open: bool,
    /// Whether the disk is full: no build, step, gate or entry begins. A rollout that has begun to change nodes, and
    /// the way back, go on.
    pub disk_full: bool,
}

/// What follows for one pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Next {
    /// What is journaled.
    pub facts: Vec<Fact>,
    /// When to ask again, if nothing happens before.
    pub wake: Option<Time>,
    /// Whether something waits for a slot only.
    pub starved: bool,
    /// Whether something waits for room on the disk: ask again now and then.
    pub short_of_disk: bool,
}

/// What follows for a pipeline at that moment.
pub fn proceed(state: &State, name: &PipelineName, room: &Room) -> Next {
    let mut flow = Flow::new(state, name, room);
    let Some(p) = state.pipelines.get(name) else { return flow.next };
    schedule::proceed(&mut flow, p);
    build::proceed(&mut flow, p);
    for (tier, t) in &p.tiers {
        flow.void_confirmations(p, tier);
        if t.adopting.is_some() && adopt::proceed(&mut flow, p, tier, t) {
            continue;
        }
        if t.going_back.as_ref().is_some_and(|back| !back.failed) {
            back::proceed(&mut flow, p, tier, t);
        } else if t.inside.is_some() {
            inside::proceed(&mut flow, p, tier, t);
            entry::say_blockers(&mut flow, p, tier);
        } else if t.redeploy.is_some() {
            back::redeploy(&mut flow, p, tier, t);
        } else {
            let before = flow.next.facts.len();
            back::proceed(&mut flow, p, tier, t);
            // A node that is tried again makes the tier busy: whether anything enters is asked once that is folded.
            if flow.next.facts.len() == before {
                entry::proceed(&mut flow, p, tier);
            }
        }
    }
    flow.next
}

/// Where a run leads: what leads on waits for room on the disk, the way back does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A version goes on.
    On,
    /// A tier goes back.
    Back,
}

/// Collects what follows for one pipeline.
pub(super) struct Flow<'a> {
    room: &'a Room,
    name: &'a PipelineName,
    slots: u32,
    last_run: RunId,
    next: Next,
}

impl<'a> Flow<'a> {
    fn new(state: &State, name: &'a PipelineName, room: &'a Room) -> Flow<'a> {
        Flow { room, name, slots: room.slots, last_run: state.last_run, next: Next::default() }
    }

    fn say(&mut self, event: Event) {
        self.next.facts.push(Fact::of(self.name, event));
    }

    /// Asks to be asked again then.
    fn wake_at(&mut self, moment: Time) {
        if moment > self.room.now {
            self.next.wake = Some(self.next.wake.map_or(moment, |other| other.min(moment)));
        }
    }

    /// Whether a moment has come; if not, asks to be asked again then.
    fn has_come(&mut self, moment: Option<Time>) -> bool {
        match moment {
            Some(moment) if moment > self.room.now => {
                self.wake_at(moment);
                false
            }
            _ => true,
        }
    }

    fn new_run(&mut self) -> RunId {
        self.last_run = RunId(self.last_run.0 + 1);
        self.last_run
    }

    /// Whether the disk lets something begin; if not, it is kept in mind that something waits for it.
    fn has_disk(&mut self) -> bool {
        self.next.short_of_disk |= self.room.disk_full;
        !self.room.disk_full
    }

    /// The versions that wait in front of a tier. On a full disk none of them may enter, whoever wants it.
    fn waiting(&mut self, p: &PipelineState, tier: &Tier) -> Vec<Waiting> {
        let all = waiting_when(p, tier, self.room.now, self.room.disk_full);
        if !all.is_empty() {
            self.has_disk();
        }
        all
    }

    /// A run that takes a slot, or none while there is no room.
    fn run_in_slot(&mut self, way: Way) -> Option<RunId> {
        if way == Way::On && !self.has_disk() {
            return None;
        }
        if !self.room.open {
            return None;
        }
        if self.slots == 0 {
            self.next.starved = true;
            return None;
        }
        self.slots -= 1;
        Some(self.new_run())
    }

    /// A run that takes no slot, or none while nothing may begin.
    fn run_outside_slots(&mut self) -> Option<RunId> {
        self.room.open.then(|| self.new_run())
    }

    /// Begins the gates of a phase that may begin, and says how the phase stands.
    fn gates(
        &mut self,
        way: Way,
        tier: &TierName,
        version: &VersionLabel,
        gates: &[Gate],
        phase: Phase,
        attempts: &BTreeMap<GateName, Attempts>,
    ) -> Gates {
        let none = Attempts::default();
        let mut stand = Gates::default();
        for gate in gates.iter().filter(|g| g.phase == phase) {
            let tried = attempts.get(&gate.name).unwrap_or(&none);
            let unmet = gate.needs.iter().find(|need| !attempts.get(*need).is_some_and(Attempts::passed));
            if tried.running.is_some() {
                stand.running = true;
            } else if let Some(outcome) = &tried.outcome {
                if gate.required && !outcome.passed() {
                    stand.note(gate, tried);
                }
            } else if let Some(need) = unmet {
                stand.unmet.push((gate.name.clone(), need.clone(), gate.required));
            } else if !self.has_come(tried.not_before) {
                stand.running = true;
            } else {
                stand.running = true;
                self.start_gate(way, tier, version, gate);
            }
        }
        stand.settle_unmet();
        stand
    }

    /// Begins one gate, if there is a slot.
    fn start_gate(&mut self, way: Way, tier: &TierName, version: &VersionLabel, gate: &Gate) {
        if let Some(run_id) = self.run_in_slot(way) {
            self.say(Event::GateStart {
                run_id,
                tier: tier.clone(),
                version: version.clone(),
                gate: gate.check.kind().into(),
                name: gate.name.clone(),
                phase: gate.phase,
            });
        }
    }

    /// Says which confirmations count no longer, and asks to be asked again when the next one lapses.
    fn void_confirmations(&mut self, p: &PipelineState, name: &TierName) {
        let Some(tier) = p.tier_in_force(name) else { return };
        let standings = p.tiers.get(name).into_iter().flat_map(|t| &t.standings);
        for (version, standing) in standings.filter(|(_, standing)| !standing.confirmations.is_empty()) {
            for (reason, whose) in confirmation::void(p, tier, standing, self.room.now) {
                let (tier, version) = (name.clone(), version.clone());
                self.say(Event::ConfirmVoided { tier, version, reason, whose });
            }
            let lapses = standing.confirmations.iter().filter_map(|word| confirmation::lapses_at(tier, word));
            lapses.for_each(|moment| self.wake_at(moment));
        }
    }
}

/// Words about something that failed, with the command that shows what it wrote.
fn with_log(words: &str, run: Option<RunId>) -> String {
    run.map_or_else(|| words.to_owned(), |run| format!("{words} (tidegate logs {run})"))
}

/// What the first of these nodes said that said anything, to stand behind what failed.
fn first_words<'a>(
    failed: impl IntoIterator<Item = &'a NodeName>,
    nodes: &BTreeMap<NodeName, NodeTry>,
) -> String {
    let mut tried = failed.into_iter().filter_map(|node| nodes.get(node));
    let said = tried.find_map(|tried| Some(with_log(tried.said.as_deref()?, tried.last)));
    said.map(|said| format!(": {said}")).unwrap_or_default()
}

/// How the gates of a phase stand.
#[derive(Debug, Default)]
struct Gates {
    /// Whether one runs or is about to.
    running: bool,
    /// Required gates that judged, and badly, with their words.
    failed: Vec<(GateName, String)>,
    /// Required gates that could not judge, with what stands in their way.
    blocked: Vec<(GateName, Vec<Blocker>)>,
    /// Gates that cannot begin, what they need, and whether they are required.
    unmet: Vec<(GateName, GateName, bool)>,
}

impl Gates {
    fn note(&mut self, gate: &Gate, tried: &Attempts) {
        let Some(outcome) = &tried.outcome else { return };
        let name = gate.name.clone();
        if outcome.status == super::Status::Blocked {
            let mut blockers = outcome.blockers.clone();
            if blockers.is_empty() {
                let reason = outcome.message.clone();
                let reason = reason.unwrap_or_else(|| format!("gate `{name}` could not judge"));
                blockers.push(Blocker::StepSays { reason, help: String::new() });
            }
            self.blocked.push((name, blockers));
        } else {
            let words = outcome.message.as_deref().unwrap_or("it failed");
            let run = tried.last.filter(|_| outcome.log_ref.is_some());
            self.failed.push((name, with_log(words, run)));
        }
    }

    /// A required gate that cannot begin fails, unless what it needs may still come or is blocked.
    fn settle_unmet(&mut self) {
        if self.running || !self.blocked.is_empty() {
            return;
        }
        for (gate, need, required) in std::mem::take(&mut self.unmet) {
            if required {
                self.failed.push((gate, format!("gate `{need}`, which it needs, did not pass")));
            }
        }
    }

    /// What failed, for people.
    fn cause(&self) -> Option<String> {
        let (gate, words) = self.failed.first()?;
        let more = match self.failed.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        Some(format!("gate `{gate}`: {words}{more}"))
    }

    fn blockers(&self) -> Vec<Blocker> {
        let mut all: Vec<Blocker> = Vec::new();
        for blocker in self.blocked.iter().flat_map(|(_, blockers)| blockers) {
            if !all.contains(blocker) {
                all.push(blocker.clone());
            }
        }
        all
    }
}

/// Runs that have begun and should go on: everything in the state but what is being ended.
pub(super) fn wanted(state: &State, run: RunId, now: Time) -> bool {
    let Some(place) = state.running.get(&run) else { return false };
    let Some(p) = state.pipelines.get(&place.pipeline) else { return false };
    match &place.task {
        Task::Step(_) => p.build.as_ref().is_some_and(|b| build::goes_on(p, b, now)),
        Task::Gate(tier, _) | Task::Deploy(tier, _, super::event::DeployMode::Deploy) => {
            p.tiers.get(tier).is_some_and(|t| match &t.inside {
                Some(inside) if inside.version == place.version => inside.ending.is_none(),
                _ => t.going_back.is_some(),
            })
        }
        Task::Deploy(..) => true,
    }
}
