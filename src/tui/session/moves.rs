//! Moving over what is shown: what is selected, what is scrolled, what is opened.

use super::Session;
use crate::domain::{Envelope, Event, RunId, Time};
use crate::server::view::PipelineView;
use crate::tui::here;
use crate::tui::keys::Intent;
use crate::tui::look::{Screen, Spot};
use crate::tui::message::Want;
use crate::tui::picture::{Entry, version_of};
use crate::tui::screens::{board, history, logs, pipeline, waiting};
use crate::words::{Clock, brief};
use std::sync::Arc;

/// What is said of an event that is about the controller, or a pipeline as a whole.
const NOTHING_TO_OPEN: &str = "no version and no run in this event: it is told below; ↑ ↓ choose another";

/// `at`, moved within `length` by an intent.
fn step(at: usize, length: usize, page: usize, intent: Intent) -> usize {
    let last = length.saturating_sub(1);
    match intent {
        Intent::Up => at.saturating_sub(1),
        Intent::Down => (at + 1).min(last),
        Intent::PageUp => at.saturating_sub(page.max(1)),
        Intent::PageDown => (at + page.max(1)).min(last),
        Intent::Top => 0,
        Intent::Bottom => last,
        _ => at,
    }
}

impl Session {
    pub(super) fn moved(&mut self, intent: Intent, here: Time) {
        match (intent, self.look.screen().clone()) {
            (Intent::LogHere, screen) => self.open_log(&screen),
            (Intent::WayHere, screen) => self.open_way(&screen),
            (Intent::Open, screen) => self.opened(&screen),
            (intent, Screen::Board) => self.on_board(intent, here),
            (intent, Screen::Waiting) => self.on_waiting(intent, here),
            (intent, Screen::Runs) => {
                let all = logs::order(&self.picture, &self.look);
                let at = step(logs::selected(&all, &self.look), all.len(), self.look.page, intent);
                self.look.run = all.get(at).map(|(run, _)| *run);
            }
            (intent, Screen::History) => self.on_history(intent),
            (intent, Screen::Pipeline) => self.on_pipeline(intent),
            (intent, Screen::Log(run)) => self.on_log(intent, run),
            (intent, Screen::Way(..) | Screen::File(_) | Screen::Help) => self.scrolled(intent),
        }
    }

    fn scrolled(&mut self, intent: Intent) {
        let limit = self.look.scroll_limit;
        self.look.scroll = step(self.look.scroll, limit + 1, self.look.page, intent);
    }

    fn on_board(&mut self, intent: Intent, here: Time) {
        let clock = Clock::at(self.now(here));
        let all = board::order(&self.picture, &self.look, &clock);
        if all.is_empty() {
            return;
        }
        let at = self.look.pipeline.as_ref().and_then(|name| all.iter().position(|p| p.name == *name));
        let at = at.unwrap_or(0);
        let column = |p: &PipelineView, tier: Option<&crate::domain::TierName>| {
            tier.and_then(|name| p.tiers.iter().position(|tier| tier.name == *name))
        };
        let chosen = column(all[at], self.look.tier.as_ref());
        self.look.version = None;
        match intent {
            Intent::Left | Intent::Right => {
                let last = all[at].tiers.len().checked_sub(1);
                let next = match (intent, chosen) {
                    (Intent::Left, Some(0) | None) => None,
                    (Intent::Left, Some(column)) => Some(column - 1),
                    (_, None) => last.map(|_| 0),
                    (_, Some(column)) => last.map(|last| (column + 1).min(last)),
                };
                self.look.tier = next.map(|column| all[at].tiers[column].name.clone());
                self.look.pipeline = Some(all[at].name.clone());
            }
            _ => {
                let next = all[step(at, all.len(), self.look.page, intent)];
                // The same place, as far as there is one.
                let place = chosen.map(|place| place.min(next.tiers.len().saturating_sub(1)));
                self.look.tier = place.and_then(|place| next.tiers.get(place)).map(|tier| tier.name.clone());
                self.look.pipeline = Some(next.name.clone());
            }
        }
    }

    fn on_waiting(&mut self, intent: Intent, here: Time) {
        let rows = waiting::rows(&self.picture, &self.look, &Clock::at(self.now(here)));
        let at = step(waiting::selected(&rows, &self.look), rows.len(), self.look.page, intent);
        if let Some(row) = rows.get(at) {
            self.look.wait(&row.waits);
        }
    }

    fn on_history(&mut self, intent: Intent) {
        let all = history::order(&self.picture, &mut self.look);
        let at = history::selected(&all, &self.look);
        let next = step(at, all.len(), self.look.page, intent);
        let is_last = next + 1 >= all.len();
        // Marks are passed over.
        let id = |entry: &&Entry| match entry {
            Entry::Event(envelope) => Some(envelope.id),
            Entry::Mark(..) => None,
        };
        let found = if next < at {
            all[..=next].iter().rev().find_map(id).or_else(|| all.iter().find_map(id))
        } else {
            all.iter().skip(next).find_map(id)
        };
        let near_top = next < self.look.page.max(5);
        self.look.entry = found.filter(|_| !is_last);
        if near_top && matches!(intent, Intent::Up | Intent::PageUp | Intent::Top) {
            self.look_back();
        }
    }

    fn look_back(&mut self) {
        if self.player.is_none()
            && self.picture.history.may_grow()
            && let Some(oldest) = self.picture.history.oldest()
        {
            self.picture.history.asking = true;
            self.wants.push(Want::Past(oldest));
        }
    }

    fn on_pipeline(&mut self, intent: Intent) {
        if matches!(intent, Intent::PageUp | Intent::PageDown) {
            return self.scrolled(intent);
        }
        let Some(p) = self.look.pipeline.as_ref().and_then(|name| self.picture.pipeline(name)) else {
            return;
        };
        let all = pipeline::items(p);
        let intent = match intent {
            Intent::Left => Intent::Up,
            Intent::Right => Intent::Down,
            other => other,
        };
        let at = step(pipeline::selected(p, &self.look), all.len(), 1, intent);
        let item = all[at].clone();
        self.look.scroll = 0;
        self.select(item);
    }

    fn select(&mut self, item: pipeline::Item) {
        (self.look.tier, self.look.version) = match item {
            pipeline::Item::Whole => (None, None),
            pipeline::Item::Tier(tier) => (Some(tier), None),
            pipeline::Item::Version(version) => (None, Some(version)),
        };
    }

    fn on_log(&mut self, intent: Intent, run: RunId) {
        if self.look.only_hits {
            let limit = self.look.scroll_limit;
            // Counted from the end.
            let turned = match intent {
                Intent::Up => Intent::Down,
                Intent::Down => Intent::Up,
                Intent::PageUp => Intent::PageDown,
                Intent::PageDown => Intent::PageUp,
                Intent::Top => Intent::Bottom,
                Intent::Bottom => Intent::Top,
                other => other,
            };
            self.look.scroll = step(self.look.scroll, limit + 1, self.look.page, turned);
            return;
        }
        let Some(tail) = self.picture.logs.tail(run) else { return };
        let (first, all) = (tail.dropped, tail.dropped + tail.lines.len() as u64);
        let page = self.look.page.max(1) as u64;
        let at = self.look.line.unwrap_or(all);
        let next = match intent {
            Intent::Up => at.saturating_sub(1),
            Intent::Down => at + 1,
            Intent::PageUp => at.saturating_sub(page),
            Intent::PageDown => at + page,
            Intent::Top => first,
            Intent::Bottom => all,
            _ => at,
        };
        let top = (first + page).min(all);
        self.look.line = Some(next.max(top)).filter(|next| *next < all);
    }

    /// Selects what was clicked; whether it was not selected before.
    pub(super) fn choose(&mut self, spot: &Spot) -> bool {
        match spot {
            Spot::Tier(p, tier) => {
                let same = self.look.pipeline.as_ref() == Some(p)
                    && self.look.tier == *tier
                    && self.look.version.is_none();
                self.look.pipeline = Some(p.clone());
                self.look.tier = tier.clone();
                self.look.version = None;
                !same
            }
            Spot::Waits(waits) => {
                let same = self.look.waits.as_ref() == Some(waits);
                self.look.wait(waits);
                !same
            }
            Spot::Version(p, version) => {
                let same = self.look.version.as_ref() == Some(version);
                self.look.pipeline = Some(p.clone());
                (self.look.tier, self.look.version) = (None, Some(version.clone()));
                !same
            }
            Spot::Run(run) if *self.look.screen() == Screen::Runs => {
                let same = self.look.run == Some(*run);
                self.look.run = Some(*run);
                !same
            }
            Spot::Run(run) => {
                self.open_run(*run);
                true
            }
            Spot::Entry(entry) => {
                let same = self.look.entry == Some(*entry);
                self.look.entry = Some(*entry);
                !same
            }
            Spot::Tab(_) | Spot::Menu(_) => true,
        }
    }

    fn opened(&mut self, screen: &Screen) {
        match screen {
            Screen::Board | Screen::Waiting => {
                let waits = self.look.waits.as_ref().filter(|_| *screen == Screen::Waiting);
                if let Some(file) = waits.and_then(|waits| waits.file.clone()) {
                    self.look.open(Screen::File(file));
                } else if self.look.pipeline.is_some() {
                    self.look.open(Screen::Pipeline);
                }
            }
            Screen::Runs => self.open_log(screen),
            Screen::History => {
                let entry = self.entry();
                let event = entry.as_ref().map(|envelope| &envelope.fact.event);
                match (event.and_then(version_of), event.and_then(Event::run)) {
                    (Some(_), _) => self.open_way(screen),
                    (None, Some(run)) => self.open_run(run),
                    (None, None) => self.look.said = Some(NOTHING_TO_OPEN.into()),
                }
            }
            Screen::Pipeline => match self.look.version {
                Some(_) => self.open_way(screen),
                None => self.open_log(screen),
            },
            Screen::Way(..) | Screen::Log(_) | Screen::File(_) | Screen::Help => {}
        }
    }

    pub(super) fn open_run(&mut self, run: RunId) {
        self.picture.logs.look_again(run);
        self.look.run = Some(run);
        self.look.open(Screen::Log(run));
    }

    fn open_log(&mut self, screen: &Screen) {
        let run = match screen {
            Screen::Runs => self.look.run,
            Screen::History => self.entry().and_then(|envelope| envelope.fact.event.run()),
            Screen::Board | Screen::Waiting | Screen::Pipeline => here::run(&self.picture, &self.look),
            Screen::Way(..) | Screen::Log(_) | Screen::File(_) | Screen::Help => None,
        };
        match run {
            Some(run) => self.open_run(run),
            None if *screen == Screen::History => {
                let has_way = self.entry().is_some_and(|one| version_of(&one.fact.event).is_some());
                let way = "no run in this event: Enter shows the way of its version";
                self.look.said = Some(if has_way { way } else { NOTHING_TO_OPEN }.into());
            }
            None => self.look.said = Some("nothing has run here that is known".into()),
        }
    }

    fn entry(&mut self) -> Option<Arc<Envelope>> {
        let all = history::order(&self.picture, &mut self.look);
        match all.get(history::selected(&all, &self.look))? {
            Entry::Event(envelope) => Some(envelope.clone()),
            Entry::Mark(..) => None,
        }
    }

    fn open_way(&mut self, screen: &Screen) {
        let found = match screen {
            Screen::History => self.entry().and_then(|envelope| {
                Some((envelope.fact.pipeline.clone()?, version_of(&envelope.fact.event)?.clone()))
            }),
            Screen::Runs => self
                .look
                .run
                .and_then(|run| self.picture.runs.all.get(&run))
                .and_then(|run| Some((run.pipeline.clone()?, run.version.clone()?))),
            _ => here::version(&self.picture, &self.look),
        };
        match found {
            Some((p, version)) => self.look.open(Screen::Way(p, version)),
            None if *screen == Screen::History => self.look.said = Some(NOTHING_TO_OPEN.into()),
            None => self.look.said = Some("there is no version here".into()),
        }
    }

    fn now(&self, here: Time) -> Time {
        self.player.as_ref().map_or_else(|| self.picture.now(here), |player| player.now)
    }

    /// Selects what wants attention most, until the person selects something, and where nothing is selected.
    pub(super) fn settle(&mut self, now: Time) {
        let is_theirs = self.look.touched && self.look.pipeline.is_some();
        if is_theirs || self.picture.pipelines().is_empty() {
            return;
        }
        let clock = Clock::at(now);
        let all = board::order(&self.picture, &self.look, &clock);
        let Some(p) = all.first() else { return };
        let tier = p.tiers.iter().find(|tier| tier.waiting.iter().any(brief::waits_for_a_person));
        let tier = tier.or_else(|| p.tiers.iter().find(|tier| tier.inside.is_some())).or(p.tiers.first());
        self.look.tier = tier.map(|tier| tier.name.clone());
        self.look.pipeline = Some(p.name.clone());
    }
}
