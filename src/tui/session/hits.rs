//! The search in a log: from hit to hit, with all that stands around them in view, or the hits alone.

use super::Session;
use crate::tui::look::Screen;
use crate::tui::screens::logs;

impl Session {
    /// Goes to a hit: the next one, the one before, or (none) the first that is not above what is in view, else the last.
    /// After the last comes the first again.
    pub(super) fn go_to_hit(&mut self, on: Option<bool>) {
        let Screen::Log(run) = *self.look.screen() else { return };
        if self.look.search.text.is_empty() {
            if on.is_some() {
                self.look.said = Some("nothing is searched for: / does".into());
            }
            return;
        }
        let found = logs::hits(&self.picture, &mut self.look, run);
        let Some(last) = found.len().checked_sub(1) else { return };
        let Some(tail) = self.picture.logs.tail(run) else { return };
        let all = tail.dropped + tail.lines.len() as u64;
        let page = self.look.page.max(1) as u64;
        let top = self.look.line.unwrap_or(all).saturating_sub(page);
        let at = match (on, self.look.hit.and_then(|hit| found.binary_search(&hit).ok())) {
            (Some(true), Some(at)) => (at + 1) % found.len(),
            (Some(false), Some(at)) => at.checked_sub(1).unwrap_or(last),
            (Some(false), None) => found.partition_point(|hit| *hit < top).checked_sub(1).unwrap_or(last),
            (Some(true) | None, _) => found.partition_point(|hit| *hit < top).min(last),
        };
        let hit = found[at];
        self.look.hit = Some(hit);
        let bottom = self.look.line.unwrap_or(all);
        // One that is in view already moves nothing.
        let is_seen = hit >= bottom.saturating_sub(page) && hit < bottom;
        self.look.line = Some(if is_seen { bottom } else { (hit + 1 + page / 2).min(all) });
        let below = found.len() - 1 - at;
        self.look.scroll = below.saturating_sub(self.look.page / 2);
    }

    /// Shows only the hits, or all lines again.
    pub(super) fn only_hits(&mut self) {
        if self.look.search.text.is_empty() {
            self.look.said = Some("nothing is searched for: / does".into());
            return;
        }
        self.look.only_hits = !self.look.only_hits;
        self.look.scroll = 0;
    }
}
