//! Signs and styles. Every sign has a word beside it and a form of its own, so that colour is never needed; sixteen
//! colours at most, and none where none are wanted.

use crate::words::{Sign, Tone};
use ratatui::style::{Color, Modifier, Style};

/// How things look on this terminal.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
}

impl Palette {
    pub(crate) fn sign(self, sign: Sign) -> &'static str {
        sign.form(self.unicode)
    }

    pub(crate) fn tone(self, tone: Tone) -> Style {
        let style = Style::new();
        match (tone, self.colour) {
            (Tone::Good, true) => style.fg(Color::Green),
            (Tone::Bad, true) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Wait, true) => style.fg(Color::Yellow),
            (Tone::Bad, false) | (Tone::Strong, _) => style.add_modifier(Modifier::BOLD),
            (Tone::Quiet, true) => style.fg(Color::DarkGray),
            (Tone::Quiet, false) => style.add_modifier(Modifier::DIM),
            (Tone::Good | Tone::Wait, false) => style,
        }
    }

    /// What is selected.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Names of columns, keys, tabs.
    pub(crate) fn accent(self) -> Style {
        if self.colour { Style::new().fg(Color::Cyan) } else { Style::new().add_modifier(Modifier::BOLD) }
    }

    /// Text with only characters that the terminal shows. A text that is cut ends with `$`, which is no sign of anything
    /// else.
    pub(crate) fn text(self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        let plain = |c: char| match c {
            '…' => '$',
            '▸' => '>',
            '◂' => '<',
            '─' | '—' => '-',
            '│' => '|',
            '→' => '>',
            '←' => '<',
            '↑' => '^',
            '↓' => 'v',
            '·' => '-',
            '█' => '#',
            '░' => '.',
            '┌' | '┐' | '└' | '┘' => '+',
            c if c.is_ascii() => c,
            _ => '?',
        };
        // Words that are followed by it are not cut.
        text.replace(" …", " .").chars().map(plain).collect()
    }
}
