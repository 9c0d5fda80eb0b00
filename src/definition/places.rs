//! Where everything of a file stands: bytes by path (`tier[1].gate[0].kind`), lines and columns by bytes.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// No path is longer that stands for something, in bytes.
const LONGEST: usize = 4096;

/// Where each key and value stands, by its path.
#[derive(Debug, Default)]
pub(super) struct Places {
    of: HashMap<String, Place>,
    /// In the order in which they were noted, so that notes can be taken back.
    log: Vec<String>,
    /// Lists of which something was dropped, because it was wrong and said so.
    incomplete: HashSet<String>,
}

#[derive(Clone, Debug)]
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

impl Places {
    /// Notes where a key and its value stand.
    pub(super) fn note(&mut self, path: &str, key: Range<usize>, value: Range<usize>) {
        self.of.insert(path.into(), Place { key, value });
        self.log.push(path.into());
    }

    /// How much was noted so far.
    pub(super) fn mark(&self) -> usize {
        self.log.len()
    }

    /// Takes back what was noted since, because the entry of that list was dropped.
    pub(super) fn drop_since(&mut self, mark: usize, list: &str) {
        for path in self.log.drain(mark..) {
            self.of.remove(&path);
        }
        self.incomplete.insert(list.into());
    }

    /// Whether an entry of that list was dropped: then names that seem unknown may be known.
    pub(super) fn is_incomplete(&self, list: &str) -> bool {
        self.incomplete.contains(list)
    }

    /// Whether the file says something there, be it right or wrong.
    pub(super) fn has(&self, path: &str) -> bool {
        self.of.contains_key(path)
    }

    /// Where the value stands, or what holds it.
    pub(super) fn value(&self, path: &str) -> Range<usize> {
        self.nearest(path).map_or(0..0, |place| place.value.clone())
    }

    /// Where the key stands; for an entry of a list, the entry.
    pub(super) fn key(&self, path: &str) -> Range<usize> {
        self.nearest(path).map_or(0..0, |place| place.key.clone())
    }

    fn nearest(&self, path: &str) -> Option<&Place> {
        // A path of very many parts has none of its own: each part would cost as much as the whole.
        let mut path = &path[..path.floor_char_boundary(LONGEST)];
        loop {
            if let Some(place) = self.of.get(path) {
                return Some(place);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// Lines of a text, to turn bytes into lines and columns, both from 1, columns in characters.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Lines<'a> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// The text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Line and column of a byte; what lies behind the end is at the end.
    pub(super) fn position(&self, byte: usize) -> (u32, u32) {
        let byte = self.text.floor_char_boundary(byte);
        let line = self.line(byte);
        let column = self.text[self.starts[line]..byte].chars().count();
        (line as u32 + 1, column as u32 + 1)
    }

    /// The line of a byte, from 0.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte) - 1
    }

    /// The bytes of a line, without its end.
    pub(super) fn range(&self, line: usize) -> Range<usize> {
        let start = self.starts[line];
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        start..end
    }

    /// The byte of a line and column.
    pub(super) fn byte(&self, line: u32, column: u32) -> usize {
        let line = (line.max(1) as usize - 1).min(self.starts.len() - 1);
        let range = self.range(line);
        let text = &self.text[range.clone()];
        let skipped: usize = text.chars().take(column.max(1) as usize - 1).map(char::len_utf8).sum();
        range.start + skipped
    }
}
