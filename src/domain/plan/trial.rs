//! A copy of what a pipeline is, that lives on by itself: runs pass at once, and time moves only when it is told to.

use crate::domain::command::{Actor, Command, Deed};
use crate::domain::effect::{Effect, preparations};
use crate::domain::event::{Envelope, Event, Fact};
use crate::domain::id::*;
use crate::domain::outcome::{Classification, Outcome};
use crate::domain::proceed::{Room, proceed};
use crate::domain::role::Role;
use crate::domain::state::{PipelineState, State, Task};
use crate::domain::{Time, apply, decide};

/// No pipeline goes on for so many rounds.
const ROUNDS_LIMIT: usize = 10_000;

/// Most work of a plan: some seconds.
const WORK_LIMIT: usize = 10_000_000;

/// What versions that are only planned are called.
pub(super) const NEXT: &str = "next";

/// A copy of what concerns a definition: its pipeline, and those that its file or its former name held.
pub(super) fn excerpt(state: &State, concerns: impl Fn(&PipelineName, &PipelineState) -> bool) -> State {
    let pipelines = state.pipelines.iter().filter(|(name, p)| concerns(name, p));
    let mut copy = State {
        last: state.last,
        last_run: state.last_run,
        pipelines: pipelines.map(|(name, p)| (name.clone(), p.clone())).collect(),
        ..State::default()
    };
    let of_these = state.running.iter().filter(|(_, place)| copy.pipelines.contains_key(&place.pipeline));
    copy.running = of_these.map(|(run, place)| (*run, place.clone())).collect();
    let takes_slot = |task: &Task| !matches!(task, Task::Deploy(..));
    copy.busy_slots = copy.running.values().filter(|place| takes_slot(&place.task)).count() as u32;
    copy
}

/// A copy of one pipeline that lives on by itself.
pub(super) struct Trial {
    state: State,
    name: PipelineName,
    /// What time it is there.
    pub(super) now: Time,
    /// Whether the disk is full there.
    disk_full: bool,
    /// When to look again, if nothing happens before.
    wake: Option<Time>,
    /// The request whose version is looked at.
    request: Option<EventId>,
    /// What was done so far.
    work: usize,
}

impl Trial {
    /// Begins with a copy of the state.
    pub(super) fn of(state: State, name: &PipelineName, now: Time, disk_full: bool) -> Trial {
        Trial { state, name: name.clone(), now, disk_full, wake: None, request: None, work: 0 }
    }

    /// Makes room on the disk; whether there was none.
    pub(super) fn make_room(&mut self) -> bool {
        std::mem::replace(&mut self.disk_full, false)
    }

    pub(super) fn pipeline(&self) -> Option<&PipelineState> {
        self.state.pipelines.get(&self.name)
    }

    /// Counts one more look at every tier; whether there may be one. Each tier is found among the others.
    pub(super) fn may_look(&mut self) -> bool {
        let tiers = self.pipeline().map_or(0, |p| p.tiers.len());
        self.work += 1 + tiers + tiers * tiers / 16;
        !self.is_spent()
    }

    /// Whether it was looked at as often as it may be: what is known by then is not all.
    pub(super) fn is_spent(&self) -> bool {
        self.work > WORK_LIMIT
    }

    /// What a command comes to, folded in. One that is refused comes to nothing.
    pub(super) fn tell(&mut self, command: &Command) -> Vec<Event> {
        match decide(&self.state, command, self.now) {
            Ok(decision) => self.fold(decision.facts),
            Err(_) => Vec::new(),
        }
    }

    /// A deed of somebody who may do everything; whether anything came of it.
    pub(super) fn by_hand(&mut self, who: &str, deed: Deed) -> bool {
        let actor = Actor { name: who.into(), role: Role::Admin, email: Some(format!("{who}@plan.invalid")) };
        let why = Some("planned".into());
        !self.tell(&Command::ByHand { actor, why, pipeline: self.name.clone(), deed }).is_empty()
    }

    /// The request that the version which is looked at comes of.
    pub(super) fn looks_at(&mut self, request: EventId) {
        self.request = Some(request);
    }

    pub(super) fn last(&self) -> EventId {
        self.state.last
    }

    fn fold(&mut self, facts: Vec<Fact>) -> Vec<Event> {
        let mut events = Vec::new();
        for fact in facts {
            events.push(fact.event.clone());
            let id = EventId(self.state.last.0 + 1);
            apply(&mut self.state, &Envelope { id, at: self.now, fact });
        }
        // What the clock asks for meanwhile is no part of the version's way.
        self.state.pipelines.values_mut().for_each(|p| p.schedules.clear());
        events
    }

    /// Everything that follows by itself before any run ends.
    pub(super) fn settle(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..ROUNDS_LIMIT {
            if !self.may_look() {
                break;
            }
            let room = Room { now: self.now, slots: u32::MAX, open: true, disk_full: self.disk_full };
            let next = proceed(&self.state, &self.name, &room);
            self.wake = next.wake;
            if next.facts.is_empty() {
                break;
            }
            events.extend(self.fold(next.facts));
        }
        events
    }

    /// Lets everything that runs pass; whether anything did.
    pub(super) fn finish(&mut self) -> Vec<Event> {
        let running: Vec<(RunId, bool)> = self
            .state
            .running
            .iter()
            .filter(|(_, place)| place.pipeline == self.name)
            .map(|(run, place)| (*run, matches!(place.task, Task::Deploy(..))))
            .collect();
        let mut events = Vec::new();
        for (run, is_deploy) in running {
            events.extend(self.tell(&match is_deploy {
                true => Command::DeployEnded { run, result: Ok(0), log_ref: None },
                false => Command::RunEnded { run, outcome: Outcome::of(Classification::Ok) },
            }));
        }
        let prepared = self.pipeline().and_then(|p| preparations(p, self.now));
        if let Some(command) = prepared.and_then(|effect| self.prepared(effect)) {
            events.extend(self.tell(&command));
        }
        events
    }

    fn prepared(&self, effect: Effect) -> Option<Command> {
        Some(match effect {
            Effect::Prepare(request) => {
                let label = (self.request == Some(request)).then(|| NEXT.to_owned());
                Command::Prepared { request, label: Ok(label) }
            }
            Effect::Collect(request) => Command::Collected { request, artifacts: Ok(Vec::new()) },
            Effect::Run(_) => return None,
        })
    }

    /// Goes on until nothing follows any more at this moment. Each round is what begins together.
    pub(super) fn rest(&mut self) -> Vec<Vec<Event>> {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS_LIMIT {
            if !self.may_look() {
                break;
            }
            let mut round = self.settle();
            let ended = self.finish();
            let is_quiet = round.is_empty() && ended.is_empty();
            round.extend(ended);
            rounds.push(round);
            if is_quiet {
                break;
            }
        }
        rounds
    }

    /// Moves to a moment; whether that is later than now.
    pub(super) fn wait_until(&mut self, moment: Time) -> bool {
        let is_later = moment > self.now;
        self.now = self.now.max(moment);
        is_later
    }

    /// Moves to the moment at which something asked to be looked at again.
    pub(super) fn wait(&mut self) -> bool {
        self.wake.is_some_and(|moment| self.wait_until(moment))
    }
}
