//! From a key to something done: the menu, the dialog, the answer.

use super::Session;
use crate::clock::{Clock as _, SystemClock};
use crate::server::Done;
use crate::tui::act::{Verb, deeds};
use crate::tui::controller::Refusal;
use crate::tui::input::Input;
use crate::tui::keys::{self, Intent};
use crate::tui::look::{Dialog, Over, Stage};
use crate::tui::message::Want;
use crate::words;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

impl Session {
    /// Opens the dialog for something that can be done here; else says why it cannot.
    pub(super) fn begin(&mut self, verb: Verb) {
        let Some(p) = self.look.pipeline.as_ref().and_then(|name| self.picture.pipeline(name)) else {
            self.look.said = Some(format!("{}: choose a pipeline first", verb.name()));
            return;
        };
        let tier = self.look.tier.as_ref().and_then(|name| p.tiers.iter().find(|tier| tier.name == *name));
        match deeds(verb, p, tier, self.look.version.as_ref()) {
            Ok(deeds) => {
                let dialog = Dialog { deeds, chosen: 0, why: Input::default(), stage: Stage::Asks };
                self.look.over = Some(Over::Dialog(Box::new(dialog)));
            }
            Err(why) => {
                self.look.over = None;
                self.look.said = Some(format!("{}: {why}", verb.name()));
            }
        }
    }

    pub(super) fn menu_key(&mut self, key: &KeyEvent, here: crate::domain::Time) -> super::Flow {
        let Some(Over::Menu(chosen)) = &mut self.look.over else { return super::Flow::On };
        match key.code {
            KeyCode::Esc => self.look.over = None,
            KeyCode::Up => *chosen = chosen.saturating_sub(1),
            KeyCode::Down => *chosen = (*chosen + 1).min(Verb::ALL.len() - 1),
            KeyCode::Enter => {
                let verb = Verb::ALL[*chosen];
                self.begin(verb);
            }
            _ => match keys::intent(key, false) {
                Some(Intent::Do(verb)) => self.begin(verb),
                Some(Intent::Quit) => return self.intent(Intent::Quit, here),
                Some(Intent::Menu) => self.look.over = None,
                _ => {}
            },
        }
        super::Flow::On
    }

    pub(super) fn dialog_key(&mut self, key: &KeyEvent) {
        let Some(Over::Dialog(dialog)) = &mut self.look.over else { return };
        match key.code {
            KeyCode::Esc => self.look.over = None,
            KeyCode::Enter => {
                if matches!(dialog.stage, Stage::Sent(_)) {
                    return;
                }
                let Some(deed) = dialog.deeds.get(dialog.chosen) else { return };
                let why = dialog.why.text.trim();
                if deed.why_needed && why.is_empty() {
                    dialog.stage = Stage::WantsWhy;
                    return;
                }
                let mut request = deed.request.clone();
                request.fields.why = Some(why.to_owned()).filter(|why| !why.is_empty());
                dialog.stage = Stage::Sent(request.clone());
                self.wants.push(Want::Act(request));
            }
            KeyCode::Up if !matches!(dialog.stage, Stage::Sent(_)) => {
                dialog.chosen = dialog.chosen.saturating_sub(1);
            }
            KeyCode::Down if !matches!(dialog.stage, Stage::Sent(_)) => {
                dialog.chosen = (dialog.chosen + 1).min(dialog.deeds.len() - 1);
            }
            _ if matches!(dialog.stage, Stage::Sent(_)) => {}
            _ => {
                if dialog.why.key(key) {
                    dialog.stage = Stage::Asks;
                }
            }
        }
    }

    /// The controller did it, or refused.
    pub(super) fn answered(&mut self, answer: &Result<Done, Refusal>) {
        let sent = match &self.look.over {
            Some(Over::Dialog(dialog)) => match &dialog.stage {
                Stage::Sent(request) => Some(request.clone()),
                _ => None,
            },
            _ => None,
        };
        let name = sent.as_ref().map_or_else(String::new, |request| {
            let tier = request.tier.as_ref().map(|tier| format!("/{tier}")).unwrap_or_default();
            let version = request.fields.version.as_ref().map(|version| format!(" {version}"));
            format!("{} {}{tier}{}: ", request.verb.name(), request.pipeline, version.unwrap_or_default())
        });
        match answer {
            Ok(done) => {
                let now = self.picture.now(SystemClock::new().now());
                let waits: Vec<String> = done.waits_for.iter().map(|it| words::blocker(it, now)).collect();
                let what = match (done.already, waits.is_empty()) {
                    (true, _) => "it was so already".to_owned(),
                    (false, true) => "done".to_owned(),
                    (false, false) => format!("it stands, and waits for: {}", waits.join("; ")),
                };
                if sent.is_some() {
                    self.look.over = None;
                }
                self.look.said = Some(format!("{name}{what}"));
            }
            Err(refusal) => match &mut self.look.over {
                Some(Over::Dialog(dialog)) if sent.is_some() => {
                    dialog.stage = Stage::Refused(refusal.clone());
                }
                _ => self.look.said = Some(format!("{} [{}]", refusal.message, refusal.code)),
            },
        }
    }
}
