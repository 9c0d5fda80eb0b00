//! From a key to something done: the menu, the dialog, the answer.

use super::Session;
use crate::domain::Time;
use crate::server::Done;
use crate::tui::act::{Deed, Request, Verb, deeds};
use crate::tui::controller::Refusal;
use crate::tui::here;
use crate::tui::input::Input;
use crate::tui::keys::{self, Intent};
use crate::tui::look::{Dialog, Over, Said, Stage};
use crate::tui::message::Want;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

impl Session {
    /// Opens the dialog for something that can be done here; else says why it cannot.
    pub(super) fn begin(&mut self, verb: Verb) {
        let Some((p, tier)) = here::place(&self.picture, &self.look) else {
            self.look.said = Some(format!("{}: choose a pipeline first", verb.name()).into());
            return;
        };
        // Of several versions that wait, the one that is looked at comes first.
        match deeds(verb, p, tier, here::looked_at(&self.look)) {
            Ok(deeds) => {
                let (why, stage) = (Input::default(), Stage::Asks);
                let dialog = Dialog { deeds, chosen: 0, why, stage, seen: false };
                self.look.over = Some(Over::Dialog(Box::new(dialog)));
            }
            Err(why) => {
                self.look.over = None;
                self.look.said = Some(format!("{}: {why}", verb.name()).into());
            }
        }
    }

    pub(super) fn menu_key(&mut self, key: &KeyEvent, here: Time) -> super::Flow {
        let Some(Over::Menu(chosen)) = &mut self.look.over else { return super::Flow::On };
        match key.code {
            KeyCode::Esc => self.look.over = None,
            KeyCode::Up => *chosen = chosen.saturating_sub(1),
            KeyCode::Down => *chosen = (*chosen + 1).min(Verb::ALL.len() - 1),
            KeyCode::Enter => {
                let verb = Verb::ALL[*chosen];
                self.begin(verb);
            }
            _ => match keys::intent(key, keys::Place::default()) {
                Some(Intent::Do(verb)) => self.begin(verb),
                Some(Intent::Quit) => return self.intent(Intent::Quit, here),
                Some(Intent::Menu) => self.look.over = None,
                _ => {}
            },
        }
        super::Flow::On
    }

    /// The same deeds as they are now; none: nothing of the kind can be done any more, which is the controller's to say.
    fn deeds_now(&self, deed: &Deed) -> Option<Vec<Deed>> {
        let Request { verb, pipeline, tier, fields } = &deed.request;
        let p = self.picture.pipeline(pipeline)?;
        let view = tier.as_ref().and_then(|name| p.tiers.iter().find(|view| view.name == *name));
        if tier.is_some() && view.is_none() {
            return None;
        }
        deeds(*verb, p, view, fields.version.as_ref()).ok()
    }

    pub(super) fn dialog_key(&mut self, key: &KeyEvent) {
        let Some(Over::Dialog(dialog)) = &self.look.over else { return };
        let asked = dialog.deeds.get(dialog.chosen).cloned();
        let now = asked.as_ref().filter(|_| key.code == KeyCode::Enter).and_then(|deed| self.deeds_now(deed));
        let Some(Over::Dialog(dialog)) = &mut self.look.over else { return };
        match key.code {
            KeyCode::Esc => self.look.over = None,
            KeyCode::Enter => {
                // What was not drawn was not read.
                if matches!(dialog.stage, Stage::Sent(_)) || !dialog.seen {
                    return;
                }
                let Some(deed) = asked else { return };
                if let Some(now) = now
                    && let Some(same) = now.iter().position(|one| one.request == deed.request)
                    && now[same] != deed
                {
                    (dialog.deeds, dialog.chosen) = (now, same);
                    (dialog.stage, dialog.seen) = (Stage::Changed, false);
                    return;
                }
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
            _ if matches!(dialog.stage, Stage::Sent(_)) => {}
            KeyCode::Up => dialog.choose(dialog.chosen.saturating_sub(1)),
            KeyCode::Down => dialog.choose((dialog.chosen + 1).min(dialog.deeds.len() - 1)),
            _ => {
                if dialog.why.key(key) {
                    dialog.stage = Stage::Asks;
                }
            }
        }
    }

    /// The controller did what was asked, or refused. Another dialog may be open by then: what is said names the deed.
    pub(super) fn answered(&mut self, request: &Request, answer: &Result<Done, Refusal>, here: Time) {
        let is_asked = |over: &&mut Over| match over {
            Over::Dialog(dialog) => matches!(&dialog.stage, Stage::Sent(sent) if sent == request),
            Over::Menu(_) | Over::Jump(_) => false,
        };
        let asked = self.look.over.as_mut().filter(is_asked);
        let tier = request.tier.as_ref().map(|tier| format!("/{tier}")).unwrap_or_default();
        let version = request.fields.version.as_ref().map(|version| format!(" {version}"));
        let version = version.unwrap_or_default();
        let name = format!("{} {}{tier}{version}", request.verb.name(), request.pipeline);
        match (answer, asked) {
            (Err(refusal), Some(Over::Dialog(dialog))) => dialog.stage = Stage::Refused(refusal.clone()),
            (Err(refusal), _) => {
                let text = format!("{} [{}]", refusal.message, refusal.code);
                self.look.said = Some(Said { text, waits_for: Vec::new(), of: name });
            }
            (Ok(done), asked) => {
                let now = self.picture.now(here);
                let waits_for = done.waits_for.iter().filter(|it| it.until().is_none_or(|until| until > now));
                let waits_for: Vec<_> = waits_for.cloned().collect();
                let what = match (done.already, waits_for.is_empty()) {
                    (true, _) => "it was so already",
                    (false, true) => "done",
                    (false, false) => "it stands, and waits for",
                };
                if asked.is_some() {
                    self.look.over = None;
                }
                self.look.said = Some(Said { text: what.into(), waits_for, of: name });
            }
        }
    }
}
