//! What is asked of the controller: what is behind, and what the screen that is shown needs beyond the state.

use super::Session;
use crate::domain::{EventId, Time};
use crate::tui::look::Screen;
use crate::tui::message::Want;
use crate::tui::picture::{Fetch, Key, Link};
use chrono::TimeDelta;

/// So long a version is looked at before its way is asked for: who holds a key down passes many.
const RESTS: TimeDelta = TimeDelta::milliseconds(200);

impl Session {
    /// What is wanted of the controller now.
    pub fn wants(&mut self, here: Time) -> Vec<Want> {
        if self.player.is_some() {
            return Vec::new();
        }
        // While nothing is heard, the feed asks for the stream; the rest follows when it is back.
        if self.picture.link != Link::Live {
            return std::mem::take(&mut self.wants);
        }
        if let Some(fetch) = self.picture.fresh.next(here) {
            self.wants.push(match fetch {
                Fetch::State => Want::State,
                Fetch::Pipeline(name) => Want::Pipeline(name),
            });
        }
        // Tokens come and go: it is asked each time that the stream is there anew.
        if !std::mem::replace(&mut self.asked_who, true) {
            self.wants.push(Want::Who);
        }
        if !self.looked_back && self.picture.view.is_some() {
            self.looked_back = true;
            self.picture.history.asking = true;
            let before = self.picture.history.oldest().unwrap_or(EventId(self.picture.last.0 + 1));
            self.wants.push(Want::Past(before));
        }
        self.want_what_is_looked_at(here);
        std::mem::take(&mut self.wants)
    }

    /// When something is to be asked for though nothing is told; none: never.
    pub(super) fn asks_at(&self, here: Time) -> Option<Time> {
        if self.player.is_some() || self.picture.link != Link::Live {
            return None;
        }
        let log = self.run_shown().and_then(|run| self.picture.logs.wakes(run, here));
        let way = self.rests.as_ref().and_then(|(key, since)| {
            let rests = (*since + RESTS > here).then_some(*since + RESTS);
            rests.or_else(|| self.picture.ways.wakes(key, here))
        });
        [self.picture.fresh.wakes(here), log, way].into_iter().flatten().min()
    }

    fn want_what_is_looked_at(&mut self, here: Time) {
        if let Some(run) = self.run_shown()
            && let Some(wanted) = self.picture.logs.wanted(run, here)
        {
            self.wants.push(Want::Log(run, wanted));
        }
        let shown = self.way_shown();
        if self.rests.as_ref().map(|(key, _)| key) != shown.as_ref() {
            self.rests = shown.map(|key| (key, here));
        }
        let Some((key, since)) = &self.rests else { return };
        // A clock that was set back must not make it wait for long.
        if *since <= here && *since + RESTS > here {
            return;
        }
        let Some(known) = self.picture.pipeline(&key.0) else { return };
        let Some(one) = known.versions.iter().find(|one| one.version == key.1) else { return };
        let order = one.order;
        if let Some(upto) = self.picture.ways.wanted(key, &self.picture.history, here) {
            self.wants.push(Want::Way(key.0.clone(), key.1.clone(), order, upto));
        }
    }

    /// The version whose way is shown.
    fn way_shown(&self) -> Option<Key> {
        match self.look.screen() {
            Screen::Way(p, version) => Some((p.clone(), version.clone())),
            Screen::Pipeline => self.look.pipeline.clone().zip(self.look.version.clone()),
            _ => None,
        }
    }
}
