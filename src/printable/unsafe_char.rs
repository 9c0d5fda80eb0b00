//! Which characters are not shown as they are, and how many combining marks may stack on one character.

use unicode_width::UnicodeWidthChar;

/// The marks that may stand on one character. Real scripts need up to four or five; a thousand make a terminal stall.
const MARKS_LIMIT: usize = 8;

/// Whether a terminal, or the eye, could be misled by this character. Newline and tab are for the caller to except.
pub(super) fn is_unsafe(c: char) -> bool {
    match c {
        // C0, DEL and C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        ' '..='~' => false,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, fillers that look like nothing.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' => {
            true
        }
        // Mongolian separators of no width.
        '\u{180b}'..='\u{180f}' => true,
        // No width, joiners, directions; line and paragraph separator, embeddings and overrides; invisible operators,
        // isolates, deprecated shaping.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        // Variation selectors, except the two that choose between a text and an emoji.
        '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' => true,
        // Specials: interlinear annotation. The replacement character is meant to be seen.
        '\u{fff0}'..='\u{fffc}' => true,
        // Musical and shorthand controls.
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        // Tags and the supplementary variation selectors: text that nobody sees.
        '\u{e0000}'..='\u{e0fff}' => true,
        // Characters that are none.
        _ => (c as u32) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c),
    }
}

/// Counts the marks on the current character.
#[derive(Debug, Default)]
pub(super) struct Marks {
    run: usize,
}

impl Marks {
    /// Takes the next character and says whether it may be shown.
    pub(super) fn allows(&mut self, c: char) -> bool {
        if c.is_ascii() || c.width() != Some(0) {
            self.run = 0;
            return true;
        }
        self.run = self.run.saturating_add(1);
        self.run <= MARKS_LIMIT
    }

    /// Whether the character just refused was the first of its run.
    pub(super) fn just_exceeded(&self) -> bool {
        self.run == MARKS_LIMIT + 1
    }
}
