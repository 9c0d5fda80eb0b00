//! What draws on the buffer: all text passes through [`crate::printable`] here, whatever it is; lines are cut with `…`.

use super::super::look::Spot;
use super::super::palette::Palette;
use crate::printable;
use crate::words::{Clock, Sign, Tone};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A piece of a line and how it looks.
pub(crate) type Piece = (String, Style);

/// One line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) pieces: Vec<Piece>,
    /// What it stands for.
    pub(crate) spot: Option<Spot>,
}

impl Line {
    pub(crate) fn of(text: impl Into<String>, style: Style) -> Line {
        Line { pieces: vec![(text.into(), style)], spot: None }
    }

    pub(crate) fn add(mut self, text: impl Into<String>, style: Style) -> Line {
        self.pieces.push((text.into(), style));
        self
    }

    pub(crate) fn width(&self) -> usize {
        self.pieces.iter().map(|(text, _)| printable::width(&printable::line(text))).sum()
    }
}

/// Draws.
pub(crate) struct Pen<'a> {
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) palette: Palette,
    pub(crate) clock: &'a Clock,
    pub(crate) spots: Vec<(Rect, Spot)>,
}

impl Pen<'_> {
    pub(crate) fn tone(&self, tone: Tone) -> Style {
        self.palette.tone(tone)
    }

    /// A sign and its word.
    pub(crate) fn sign(&self, sign: Sign, word: &str) -> Piece {
        (format!("{} {word}", self.palette.sign(sign)), self.palette.tone(sign.tone()))
    }

    /// Draws a line, cut to the width of the area; only the first row of the area is used.
    pub(crate) fn line(&mut self, area: Rect, line: &Line) {
        let area = area.intersection(self.buffer.area);
        if area.is_empty() {
            return;
        }
        let wide = usize::from(area.width);
        let fits = line.width() <= wide;
        // The last column says that there is more.
        let end = area.right() - u16::from(!fits);
        let mut x = area.x;
        self.part(x, area.y);
        let mut last = Style::new();
        for (text, style) in &line.pieces {
            let safe = printable::line(text).replace('\t', " ");
            last = *style;
            let left = usize::from(end - x);
            if left == 0 {
                break;
            }
            (x, _) = self.buffer.set_stringn(x, area.y, self.palette.text(&safe), left, *style);
            if !fits && x + 1 >= end {
                break;
            }
        }
        if !fits {
            self.part(x.min(end), area.y);
            self.buffer.set_stringn(x.min(end), area.y, self.palette.text("…"), 1, last);
        }
        if let Some(spot) = &line.spot {
            self.spots.push((Rect { height: 1, ..area }, spot.clone()));
        }
    }

    /// Something is drawn here over what was: a wide character that begins in the column before would reach under it.
    fn part(&mut self, x: u16, y: u16) {
        let before = x.checked_sub(1).filter(|x| *x >= self.buffer.area.x);
        if let Some(cell) = before.and_then(|x| self.buffer.cell_mut((x, y)))
            && printable::width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
    }

    /// Draws a text in one style at a place; gives the column after it.
    pub(crate) fn text(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        self.line(Rect { x, y, width, height: 1 }, &Line::of(text, style));
    }

    /// Draws lines one below the other, from `skip` on; gives how many there are beyond what fits.
    pub(crate) fn lines(&mut self, area: Rect, lines: &[Line], skip: usize) -> usize {
        self.rows(area, lines.len(), skip, |_, row| lines[row].clone())
    }

    /// The same with lines that are made only where they are in sight.
    pub(crate) fn rows(
        &mut self,
        area: Rect,
        count: usize,
        skip: usize,
        line: impl Fn(&Pen<'_>, usize) -> Line,
    ) -> usize {
        let limit = count.saturating_sub(usize::from(area.height));
        let skip = skip.min(limit);
        for row in 0..usize::from(area.height).min(count - skip) {
            let line = line(self, skip + row);
            self.line(Rect { y: area.y + row as u16, height: 1, ..area }, &line);
        }
        if limit > 0 && area.width > 2 {
            let mark = match (skip > 0, skip < limit) {
                (true, true) => "↕",
                (true, false) => "↑",
                _ => "↓",
            };
            let (x, y) = (area.right() - 1, area.bottom() - 1);
            let mark = if self.palette.unicode { mark } else { "+" };
            self.part(x, y);
            self.buffer.set_stringn(x, y, mark, 1, self.palette.accent());
        }
        limit
    }

    /// Shows an area as selected.
    pub(crate) fn select(&mut self, area: Rect) {
        let style = self.palette.selected();
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    pub(crate) fn spot(&mut self, area: Rect, spot: Spot) {
        self.spots.push((area, spot));
    }

    /// A rule across an area, with a title.
    pub(crate) fn rule(&mut self, area: Rect, title: &str) {
        let quiet = self.tone(Tone::Quiet);
        let bar = "─".repeat(usize::from(area.width));
        self.text(area.x, area.y, area.width, &bar, quiet);
        if !title.is_empty() && area.width > 6 {
            let title = format!(" {title} ");
            let wide = printable::width(&printable::line(&title)).min(usize::from(area.width) - 3) as u16;
            self.text(area.x + 2, area.y, wide, &title, self.palette.accent());
        }
    }
}

/// Text in lines of at most so many columns, broken at spaces.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let safe = printable::line(text);
    let mut lines = vec![String::new()];
    for word in safe.split(' ') {
        let mut word = word.to_owned();
        loop {
            let last = lines.last_mut().expect("BUG: no line");
            let used = printable::width(last);
            let gap = usize::from(used > 0);
            if used + gap + printable::width(&word) <= columns {
                if gap > 0 {
                    last.push(' ');
                }
                last.push_str(&word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            // A word that is wider than the line is broken.
            let mut taken = 0;
            let at = word.char_indices().find(|(_, c)| {
                taken += printable::width(&c.to_string());
                taken > columns
            });
            let at = at.map_or(word.len(), |(at, _)| at);
            last.push_str(&word[..at]);
            word = word.split_off(at);
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_long_words_inside() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghijkl mn", 8), ["abcdefgh", "ijkl mn"]);
        assert_eq!(wrapped("漢字漢字漢字", 8), ["漢字漢字", "漢字"]);
    }

    #[test]
    fn what_is_drawn_over_half_of_a_wide_character_leaves_none_of_it() {
        let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: 8, height: 2 });
        let clock = Clock::at(crate::domain::Time::UNIX_EPOCH);
        let palette = Palette { colour: false, unicode: true };
        let mut pen = Pen { buffer: &mut buffer, palette, clock: &clock, spots: Vec::new() };
        let text = "\u{6f22}\u{5b57}\u{6f22}\u{5b57}";
        pen.text(0, 0, 8, text, Style::new());
        pen.text(3, 0, 1, "|", Style::new());
        let area = Rect { x: 0, y: 1, width: 8, height: 1 };
        pen.lines(area, &[Line::of(text, Style::new()), Line::of("more", Style::new())], 0);
        let row = |y| -> Vec<&str> { (0..8).map(|x| buffer[(x, y)].symbol()).collect() };
        assert_eq!(row(0)[..5], ["\u{6f22}", " ", " ", "|", "\u{6f22}"]);
        assert_eq!(row(1)[4..], ["\u{6f22}", " ", " ", "\u{2193}"]);
    }
}
