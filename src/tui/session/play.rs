//! A recording: stopped, gone on with, sought in, and what the picture makes of where it is.

use super::Session;
use crate::domain::EventId;
use crate::tui::keys::Intent;
use crate::tui::picture::{Link, Picture};
use crate::tui::replay::SPEEDS;

impl Session {
    pub(super) fn play(&mut self, intent: Intent) {
        let Some(player) = &mut self.player else { return };
        let (at, all) = player.place();
        let tenth = (all / 10).max(1);
        match intent {
            Intent::Pause => {
                // At the end it begins again.
                if !player.playing && at == all {
                    player.seek(1);
                }
                player.play(!player.playing);
            }
            Intent::Faster => player.speed = (player.speed * 2.0).min(*SPEEDS.end()),
            Intent::Slower => player.speed = (player.speed / 2.0).max(*SPEEDS.start()),
            Intent::StepOn => {
                player.play(false);
                player.seek(at + 1);
            }
            Intent::StepBack => {
                player.play(false);
                player.seek(at.saturating_sub(1));
            }
            Intent::SeekOn => player.seek(at + tenth),
            _ => player.seek(at.saturating_sub(tenth)),
        }
        self.follow_player();
    }

    /// Lets the picture show what the player has come to.
    pub(super) fn follow_player(&mut self) {
        let Some(player) = &self.player else { return };
        let past = player.past();
        let last = past.last().map_or(EventId(0), |envelope| envelope.id);
        if last < self.picture.last {
            self.picture = Picture::new(Link::Recorded);
            self.look.found = Default::default();
        }
        let kept = past.len().saturating_sub(crate::tui::HISTORY);
        let known = past.partition_point(|envelope| envelope.id <= self.picture.last).max(kept);
        past[known..].iter().for_each(|envelope| self.picture.take_event(envelope.clone()));
        // It has all that there is.
        self.picture.history.complete = true;
        self.dirty = true;
    }
}
