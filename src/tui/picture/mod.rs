//! What is known of the controller: a pure fold of what is told. The state is the controller's own, as of an event; what
//! is dirty since then is asked for again. It knows neither screens nor connections.

mod fresh;
mod history;
mod logs;
mod retry;
mod runs;
#[cfg(test)]
mod tests;
mod ways;

pub(crate) use fresh::{Fetch, Fresh};
pub(crate) use history::{Entry, History, LIMIT as HISTORY, Odd};
pub(crate) use logs::Logs;
pub(crate) use runs::{Run, Runs};
pub(crate) use ways::{Key, Ways, is_of};

use super::message::{Message, Want};
use crate::domain::event::Event;
use crate::domain::{Envelope, EventId, PipelineName, Role, Time, VersionLabel};
use crate::server::WhoView;
use crate::server::view::{PipelineView, StateView};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How it stands with the source of the picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Link {
    /// Nothing has answered yet.
    Connecting,
    /// What happens is heard.
    Live,
    /// Nothing is heard since then, and why.
    Cut(Time, String),
    /// A recording is played.
    Recorded,
}

/// Everything that is known.
pub(crate) struct Picture {
    /// The state; none: not known yet.
    pub(crate) view: Option<StateView>,
    /// The event up to which each pipeline is shown.
    ids: BTreeMap<PipelineName, EventId>,
    /// How it stands with the source.
    pub(crate) link: Link,
    /// The last event that was heard of.
    pub(crate) last: EventId,
    /// What happened.
    pub(crate) history: History,
    /// Tries of steps.
    pub(crate) runs: Runs,
    /// What they wrote.
    pub(crate) logs: Logs,
    /// The events of versions that were looked at.
    pub(crate) ways: Ways,
    /// Who looks; none: not known.
    pub(crate) who: Option<WhoView>,
    /// What is to be asked for again.
    pub(crate) fresh: Fresh,
    /// What is odd about the picture, until the next key.
    pub(crate) note: Option<String>,
    /// Something came that cannot be read here.
    unreadable: bool,
    /// How far the controller's clock is ahead.
    skew: chrono::TimeDelta,
    /// Counts what changed, so that nobody draws what was drawn.
    pub(crate) changes: u64,
}

/// A clock that is not further off than that is right.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

impl Picture {
    pub(crate) fn new(link: Link) -> Picture {
        Picture {
            view: None,
            ids: BTreeMap::new(),
            link,
            last: EventId(0),
            history: History::default(),
            runs: Runs::default(),
            logs: Logs::default(),
            ways: Ways::default(),
            who: None,
            fresh: Fresh::default(),
            note: None,
            unreadable: false,
            skew: chrono::TimeDelta::zero(),
            changes: 0,
        }
    }

    /// Why whoever looks may not do what takes a role; none: they may, or it is not known.
    pub(crate) fn may_not(&self, role: Role) -> Option<String> {
        let who = self.who.as_ref()?;
        match (&who.name, who.role) {
            (Some(_), Some(own)) if own >= role => None,
            (Some(name), Some(own)) => {
                Some(format!("takes role {role}; your token is of role {own}: {name}"))
            }
            _ => Some(format!("takes a token of role {role}; none is shown")),
        }
    }

    /// The controller's time.
    pub(crate) fn now(&self, here: Time) -> Time {
        here + self.skew
    }

    /// The pipelines, by name.
    pub(crate) fn pipelines(&self) -> &[PipelineView] {
        self.view.as_ref().map(|view| view.pipelines.as_slice()).unwrap_or_default()
    }

    pub(crate) fn pipeline(&self, name: &PipelineName) -> Option<&PipelineView> {
        self.pipelines().iter().find(|one| one.name == *name)
    }

    /// Folds one message in. `here`: the time of this machine.
    pub(crate) fn take(&mut self, message: Message, here: Time) {
        let before = self.changes;
        self.changes += 1;
        match message {
            Message::State(view) => {
                self.fresh.answered(None, view.id);
                if !self.take_state(*view, here) {
                    self.changes = before;
                }
            }
            Message::Pipeline(one) => {
                self.fresh.answered(Some(&one.pipeline.name), one.id);
                self.take_pipeline(*one);
            }
            Message::NoPipeline(name) => {
                self.fresh.answered(Some(&name), EventId(u64::MAX));
                self.ids.remove(&name);
                if let Some(view) = &mut self.view {
                    view.pipelines.retain(|one| one.name != name);
                }
            }
            Message::Event(envelope) => self.take_event(envelope),
            Message::Chunk(pipeline, live) => {
                if let Some(run) = self.logs.chunk(&live) {
                    self.runs.wrote(run, pipeline, &live);
                }
            }
            Message::Lagged(missed, after) => {
                self.mark(here, Odd::Lagged(missed, after));
                self.logs.missed();
                self.fresh.everything();
            }
            Message::Gap(oldest) => {
                self.mark(here, Odd::Gap(oldest));
                self.runs.lost(here);
                self.fresh.everything();
            }
            Message::Unreadable => {
                // A newer controller may say such things all the time: once is enough.
                if !std::mem::replace(&mut self.unreadable, true) {
                    self.mark(here, Odd::Unreadable);
                }
                self.fresh.everything();
            }
            Message::Cut(why) => {
                let since = match self.link {
                    Link::Cut(since, _) => since,
                    _ => here,
                };
                self.link = Link::Cut(since, why);
            }
            Message::Back => {
                if let Link::Cut(since, _) = self.link {
                    self.mark(here, Odd::Cut(1, here - since));
                }
                self.link = Link::Live;
                self.history.asking = false;
                self.logs.missed();
                self.fresh.everything();
            }
            Message::Anew => {
                let changes = self.changes;
                let who = self.who.take();
                *self = Picture { changes, who, skew: self.skew, ..Picture::new(self.link.clone()) };
                self.mark(here, Odd::Anew);
                self.fresh.everything();
            }
            Message::Unanswered(want, refusal) => {
                match want {
                    Want::State => self.fresh.unanswered(None, here),
                    Want::Pipeline(name) => self.fresh.unanswered(Some(&name), here),
                    Want::Past(_) => self.history.asking = false,
                    Want::Way(pipeline, version, ..) => self.ways.unanswered(&(pipeline, version), here),
                    Want::Log(run, _) => self.logs.unanswered(run, here),
                    // An older controller does not know: then it is not said.
                    Want::Who => return,
                    Want::Act(_) => {}
                }
                if !refusal.absent {
                    self.note = Some(format!("{} [{}]", refusal.message, refusal.code));
                } else {
                    self.changes = before;
                }
            }
            Message::Past(events, complete) => {
                events.iter().for_each(|envelope| self.runs.older(envelope));
                self.history.older(events, complete);
            }
            Message::Way(pipeline, version, events) => self.ways.older(&(pipeline, version), events),
            Message::Who(who) => {
                if self.who.as_ref().is_some_and(|it| (&it.name, it.role) == (&who.name, who.role)) {
                    self.changes = before;
                }
                self.who = Some(*who);
            }
            Message::Log(run, part) => self.logs.part(run, part),
            // What comes of deeds is the dialog's.
            Message::Answer(..) => {}
        }
    }

    fn mark(&mut self, at: Time, odd: Odd) {
        self.note = Some(odd.text());
        self.history.mark(at, odd);
    }

    /// Whether there is anything new in it.
    fn take_state(&mut self, mut new: StateView, here: Time) -> bool {
        let skew = new.at - here;
        self.skew = if skew.abs() > SKEW { skew } else { chrono::TimeDelta::zero() };
        self.last = self.last.max(new.id);
        if let Some(old) = self.view.take() {
            // What was asked for by itself meanwhile is newer, even where this one knows nothing of it.
            let ids = &self.ids;
            let newer = |one: &PipelineView| ids.get(&one.name).is_some_and(|id| *id > new.id);
            let kept: Vec<PipelineView> = old.pipelines.into_iter().filter(newer).collect();
            if !kept.is_empty() {
                let names: std::collections::BTreeSet<_> = kept.iter().map(|one| one.name.clone()).collect();
                new.pipelines.retain(|one| !names.contains(&one.name));
                new.pipelines.extend(kept);
                new.pipelines.sort_by(|a, b| a.name.cmp(&b.name));
            }
            self.ids.retain(|_, id| *id > new.id);
            let same = old.id == new.id
                && old.standstill == new.standstill
                && old.troubles == new.troubles
                && old.rejected == new.rejected
                && old.notices == new.notices;
            let changed = !same;
            for one in &new.pipelines {
                self.ids.entry(one.name.clone()).or_insert(new.id);
            }
            self.view = Some(new);
            return changed;
        }
        self.ids = new.pipelines.iter().map(|one| (one.name.clone(), new.id)).collect();
        self.view = Some(new);
        true
    }

    fn take_pipeline(&mut self, one: crate::server::OnePipeline) {
        let Some(view) = &mut self.view else { return };
        let name = one.pipeline.name.clone();
        if self.ids.get(&name).is_some_and(|id| *id > one.id) {
            return;
        }
        self.ids.insert(name.clone(), one.id);
        match view.pipelines.binary_search_by(|it| it.name.cmp(&name)) {
            Ok(at) => view.pipelines[at] = one.pipeline,
            Err(at) => view.pipelines.insert(at, one.pipeline),
        }
        view.standstill = one.standstill;
        view.troubles = one.troubles;
    }

    pub(crate) fn take_event(&mut self, envelope: Arc<Envelope>) {
        // After a lag or a cut the journal may say again what was heard.
        if envelope.id <= self.last && self.history.has(envelope.id) {
            return;
        }
        self.last = self.last.max(envelope.id);
        match (&envelope.fact.event, &envelope.fact.pipeline) {
            (Event::PipelineRejected { .. } | Event::PipelineRemoved { .. }, _) | (_, None) => {
                self.fresh.everything();
            }
            (_, Some(name)) => self.fresh.dirty(name, envelope.id),
        }
        if let Event::ControllerStarted { release, .. } = &envelope.fact.event {
            self.note = Some(format!("the controller has started again, release {release}"));
        }
        self.runs.happened(&envelope);
        self.ways.happened(&envelope);
        self.history.push(envelope);
    }
}

/// The version that an event is about.
pub(crate) fn version_of(event: &Event) -> Option<&VersionLabel> {
    match event {
        Event::BuildStart { version, .. }
        | Event::BuildOk { version, .. }
        | Event::BuildFailed { version, .. }
        | Event::StepStart { version, .. }
        | Event::StepDone { version, .. }
        | Event::GateStart { version, .. }
        | Event::GateDone { version, .. }
        | Event::DeployStart { version, .. }
        | Event::DeployOk { version, .. }
        | Event::DeployFailed { version, .. }
        | Event::PromoteStart { version, .. }
        | Event::PromoteBlocked { version, .. }
        | Event::PromoteComplete { version, .. }
        | Event::PromoteFailed { version, .. }
        | Event::Superseded { version, .. }
        | Event::ManualConfirm { version, .. }
        | Event::ConfirmDenied { version, .. }
        | Event::ConfirmVoided { version, .. }
        | Event::VersionBlocked { version }
        | Event::VersionUnblocked { version } => Some(version),
        Event::Rollback { from, .. } => Some(from),
        Event::RollbackComplete { version, .. } | Event::RollbackFailed { version, .. } => Some(version),
        Event::ManualAction { version, .. } => version.as_ref(),
        Event::BackupFetched { version, .. } => version.as_ref(),
        _ => None,
    }
}
