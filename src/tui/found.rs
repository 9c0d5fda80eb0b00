//! What a search leaves of a long list that moves on: each entry is read once, however often the list is drawn.

use std::collections::VecDeque;
use std::ops::Range;

/// The entries of one list that one search finds. Entries have numbers, which they keep while others come and go at both
/// ends.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What is searched, and for what.
    of: String,
    numbers: VecDeque<i64>,
    /// Which were read.
    read: Range<i64>,
}

impl Found {
    /// The numbers that fit, in their order; `list`: those that there are.
    pub(crate) fn numbers(
        &mut self,
        of: &str,
        list: Range<i64>,
        fits: impl Fn(i64) -> bool,
    ) -> &VecDeque<i64> {
        if self.of != of || self.read.end < list.start || list.end < self.read.end {
            *self = Found { of: of.into(), numbers: VecDeque::new(), read: list.start..list.start };
        }
        while self.numbers.front().is_some_and(|number| *number < list.start) {
            self.numbers.pop_front();
        }
        for number in (list.start..self.read.start).rev().filter(|number| fits(*number)) {
            self.numbers.push_front(number);
        }
        self.numbers.extend((self.read.end..list.end).filter(|number| fits(*number)));
        self.read = list;
        &self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn each_entry_is_read_once_at_whichever_end_it_comes() {
        let (mut found, read) = (Found::default(), Cell::new(0));
        let even = |number: i64| {
            read.set(read.get() + 1);
            number % 2 == 0
        };
        assert_eq!(found.numbers("even", 0..1_000, even).len(), 500);
        for end in 1_000..1_100 {
            found.numbers("even", end - 1_000..end, even);
        }
        assert_eq!(read.get(), 1_099);
        assert_eq!(found.numbers("even", -3..1_099, even).iter().take(3).collect::<Vec<_>>(), [&-2, &0, &2]);
        assert_eq!(read.get(), 1_201, "102 came at the front");
        assert_eq!(found.numbers("even", 5_000..5_004, even), &[5_000, 5_002], "all others are gone");
        assert_eq!(found.numbers("odd", 5_000..5_004, |number| number % 2 == 1), &[5_001, 5_003]);
        assert_eq!(found.numbers("odd", 0..2, |number| number % 2 == 1), &[1], "it began anew");
    }
}
