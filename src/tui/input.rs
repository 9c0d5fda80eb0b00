//! A line of text that a person writes: a search, a reason.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A line being written, and where the next letter goes, in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) text: String,
    at: usize,
}

/// Longer lines are nobody's reason.
const LIMIT: usize = 500;

impl Input {
    /// Takes a key; false: it is no key of a line.
    pub(crate) fn key(&mut self, key: &KeyEvent) -> bool {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if ctrl => *self = Input::default(),
            KeyCode::Char('w') if ctrl => {
                let before: String = self.text.chars().take(self.at).collect();
                let kept = before.trim_end().rfind(' ').map_or(0, |at| before[..=at].chars().count());
                let after: String = self.text.chars().skip(self.at).collect();
                self.text = before.chars().take(kept).collect::<String>() + &after;
                self.at = kept;
            }
            KeyCode::Char('a') if ctrl => self.at = 0,
            KeyCode::Char('e') if ctrl => self.at = self.text.chars().count(),
            KeyCode::Char(c) if !ctrl && !c.is_control() => self.insert(c),
            KeyCode::Backspace if self.at > 0 => {
                self.at -= 1;
                self.remove();
            }
            KeyCode::Delete => self.remove(),
            KeyCode::Left => self.at = self.at.saturating_sub(1),
            KeyCode::Right => self.at = (self.at + 1).min(self.text.chars().count()),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.chars().count(),
            _ => return false,
        }
        true
    }

    /// Takes text that is pasted, as one line.
    pub(crate) fn paste(&mut self, text: &str) {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).for_each(|c| self.insert(c));
    }

    fn insert(&mut self, c: char) {
        if self.text.chars().count() < LIMIT {
            let place = self.byte(self.at);
            self.text.insert(place, c);
            self.at += 1;
        }
    }

    fn remove(&mut self) {
        let place = self.byte(self.at);
        if place < self.text.len() {
            self.text.remove(place);
        }
    }

    fn byte(&self, at: usize) -> usize {
        self.text.char_indices().nth(at).map_or(self.text.len(), |(place, _)| place)
    }

    /// The text before the place of the next letter.
    pub(crate) fn before(&self) -> &str {
        &self.text[..self.byte(self.at)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_and_go_where_the_cursor_is() {
        let mut input = Input::default();
        input.paste("ab\u{e9}\nd e");
        assert_eq!(input.text, "ab\u{e9} d e");
        let press = |code| KeyEvent::new(code, KeyModifiers::NONE);
        input.key(&press(KeyCode::Home));
        input.key(&press(KeyCode::Delete));
        input.key(&press(KeyCode::Char('x')));
        assert_eq!((input.text.as_str(), input.before()), ("xb\u{e9} d e", "x"));
        input.key(&press(KeyCode::End));
        input.key(&KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        input.key(&press(KeyCode::Backspace));
        assert_eq!(input.text, "xb\u{e9} d");
        assert!(!input.key(&press(KeyCode::Enter)));
    }
}
