//! A line that leads somewhere: written, completed, gone to.

use super::Session;
use crate::tui::input::Input;
use crate::tui::jump::{self, Aim};
use crate::tui::look::{Over, Screen};
use ratatui::crossterm::event::{KeyCode, KeyEvent};

impl Session {
    pub(super) fn jump_key(&mut self, key: &KeyEvent) {
        let Some(Over::Jump(line)) = &mut self.look.over else { return };
        match key.code {
            KeyCode::Esc => self.look.over = None,
            KeyCode::Backspace if line.text.is_empty() => self.look.over = None,
            KeyCode::Tab => {
                if let Some(completed) = jump::completed(&line.text, &self.picture) {
                    *line = Input::default();
                    line.paste(&completed);
                }
            }
            KeyCode::Enter => match jump::aim(&line.text, &self.picture) {
                Ok(aim) => {
                    self.look.over = None;
                    self.go(aim);
                }
                // It stays, to be mended.
                Err(why) => self.look.said = Some(why.into()),
            },
            _ => {
                line.key(key);
            }
        }
    }

    fn go(&mut self, aim: Option<Aim>) {
        match aim {
            None => {}
            Some(Aim::Tab(screen)) => self.look.tab(screen),
            Some(Aim::Help) => self.look.open(Screen::Help),
            Some(Aim::Place(pipeline, tier)) => {
                self.look.tab(Screen::Board);
                self.look.pipeline = Some(pipeline);
                (self.look.tier, self.look.version) = (tier, None);
                self.look.open(Screen::Pipeline);
            }
            Some(Aim::Log(run)) => {
                self.look.tab(Screen::Runs);
                self.open_run(run);
            }
        }
    }
}
