//! Replacing secret byte strings in a stream, over the borders of its pieces. Does not know what is secret.
//!
//! All are looked for at once, by one automaton; where none can begin, which is nearly everywhere, a table of the first
//! two bytes is enough to go on.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, PatternID};
use std::collections::HashMap;
use std::sync::Arc;

/// What stands in the place of a secret.
const STARS: &[u8] = b"***";

/// What is to be hidden, made ready once for many streams.
#[derive(Clone)]
pub struct Words(Arc<Automata>);

struct Automata {
    nfa: NFA,
    start: StateID,
    /// How many bytes of a secret have been seen in each state.
    depths: HashMap<StateID, usize>,
    /// Which two bytes a secret begins with, one bit for each pair.
    pairs: Box<[u64; 1024]>,
}

impl Words {
    /// None when there is nothing to hide.
    pub fn new(secrets: &[Vec<u8>]) -> Option<Words> {
        let secrets: Vec<&[u8]> =
            secrets.iter().map(Vec::as_slice).filter(|secret| !secret.is_empty()).collect();
        if secrets.is_empty() {
            return None;
        }
        let nfa =
            NFA::new(&secrets).expect("BUG: secrets have less than the gigabytes that make an automaton");
        let start = nfa.start_state(Anchored::No).expect("BUG: it searches everywhere");
        let mut depths = HashMap::new();
        let mut pairs = Box::new([0_u64; 1024]);
        for secret in secrets {
            let mut state = start;
            for (at, byte) in secret.iter().enumerate() {
                state = nfa.next_state(Anchored::No, state, *byte);
                depths.insert(state, at + 1);
            }
            let seconds = match secret.get(1) {
                Some(second) => *second..=*second,
                None => 0..=255,
            };
            for second in seconds {
                let pair = usize::from(secret[0]) << 8 | usize::from(second);
                pairs[pair / 64] |= 1 << (pair % 64);
            }
        }
        Some(Words(Arc::new(Automata { nfa, start, depths, pairs })))
    }

    /// The bytes without any secret; none when there is none in them.
    pub fn hide(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut mask = Mask::of(self.clone());
        let mut hidden = mask.feed(bytes);
        hidden.append(&mut mask.finish());
        mask.found.then_some(hidden)
    }
}

impl Automata {
    /// The next place, from `at` on, at which a secret may begin. The last byte always is one.
    fn next_beginning(&self, bytes: &[u8], at: usize) -> usize {
        let may_begin = |pair: &[u8]| {
            let pair = usize::from(pair[0]) << 8 | usize::from(pair[1]);
            self.pairs[pair / 64] >> (pair % 64) & 1 == 1
        };
        let found = bytes[at..].windows(2).position(may_begin);
        found.map_or(bytes.len() - 1, |found| at + found)
    }

    /// The length of the longest secret that ends in this state.
    fn ends(&self, state: StateID) -> Option<usize> {
        if !self.nfa.is_match(state) {
            return None;
        }
        let length = |at| {
            let pattern: PatternID = self.nfa.match_pattern(state, at);
            self.nfa.pattern_len(pattern)
        };
        (0..self.nfa.match_len(state)).map(length).max()
    }
}

/// A filter for one stream. Secrets that overlap are covered by one `***`; a secret that begins where another ends gets
/// its own. What may be the beginning of a secret is held back until the next piece, or the end, decides.
pub(super) struct Mask {
    words: Words,
    state: StateID,
    /// The end of the stream so far, not given out yet.
    held: Vec<u8>,
    /// Where in the held bytes secrets are, from and to.
    secrets: Vec<(usize, usize)>,
    /// How many of the held bytes belong to a secret that was given out already.
    covered: usize,
    /// There was one.
    found: bool,
}

impl Mask {
    /// A filter, or none when there is nothing to hide.
    pub(super) fn new(secrets: &[Vec<u8>]) -> Option<Self> {
        Words::new(secrets).map(Mask::of)
    }

    fn of(words: Words) -> Self {
        let state = words.0.start;
        Self { words, state, held: Vec::new(), secrets: Vec::new(), covered: 0, found: false }
    }

    /// Takes the next piece and gives what is decided by now.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut at = self.held.len();
        self.held.extend_from_slice(piece);
        let automata = &*self.words.0;
        while at < self.held.len() {
            if self.state == automata.start {
                at = automata.next_beginning(&self.held, at);
            }
            self.state = automata.nfa.next_state(Anchored::No, self.state, self.held[at]);
            at += 1;
            if automata.nfa.is_special(self.state)
                && let Some(length) = automata.ends(self.state)
            {
                self.secrets.push((at - length, at));
            }
        }
        let open = automata.depths.get(&self.state).copied().unwrap_or(0);
        self.give(self.held.len() - open)
    }

    /// The stream has ended: gives what was held back.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.state = self.words.0.start;
        self.give(self.held.len())
    }

    /// Gives out the first bytes that are held: no secret begins before their end that has not been seen.
    fn give(&mut self, decided: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(decided);
        self.secrets.sort_unstable();
        let given = self.secrets.partition_point(|(from, _)| *from < decided);
        let mut covered_to = self.covered;
        for (from, to) in self.secrets.drain(..given) {
            if from >= covered_to {
                // A secret that ended before this one leaves bytes between them, or none.
                out.extend_from_slice(&self.held[covered_to..from]);
                out.extend_from_slice(STARS);
                self.found = true;
            }
            covered_to = covered_to.max(to);
        }
        out.extend_from_slice(&self.held[covered_to.min(decided)..decided]);
        self.held.drain(..decided);
        self.covered = covered_to.saturating_sub(decided);
        for (from, to) in &mut self.secrets {
            (*from, *to) = (*from - decided, *to - decided);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|s| s.as_bytes().to_vec()).collect();
        let mut mask = Mask::new(&secrets).unwrap();
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| mask.feed(piece)).collect();
        out.extend(mask.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_cut_of_a_text_gives_the_same() {
        let secrets = ["hunter2", "hunter22x", "r2hu", "zz"];
        for text in [
            "a hunter2 b",
            "hunter2hunter2",
            "hunter22",
            "hunter22x",
            "hunter",
            "zzz",
            "hunter2hux",
            "xr2hunter2",
        ] {
            let whole = masked(&secrets, &[text.as_bytes()]);
            for one in 0..=text.len() {
                for two in one..=text.len() {
                    let (a, rest) = text.as_bytes().split_at(one);
                    let (b, c) = rest.split_at(two - one);
                    assert_eq!(masked(&secrets, &[a, b, c]), whole, "{text} cut at {one} and {two}");
                }
            }
        }
    }

    #[test]
    fn the_longest_secret_wins_and_overlaps_are_covered() {
        assert_eq!(masked(&["abc", "abcdef"], &[b"abcdef abcde"]), "*** ***de");
        assert_eq!(masked(&["abcd", "cdef"], &[b"-abcdef-"]), "-***-");
        assert_eq!(masked(&["ab"], &[b"abab"]), "******");
        assert_eq!(masked(&["aa"], &[b"aaaaa."]), "***.");
    }

    #[test]
    fn only_a_possible_beginning_is_held_back() {
        let mut mask = Mask::new(&[b"secret".to_vec()]).unwrap();
        assert_eq!(mask.feed(b"hello se"), b"hello ");
        assert_eq!(mask.feed(b"t"), b"set");
        assert_eq!(mask.feed(b"secre"), b"");
        assert_eq!(mask.finish(), b"secre");
        assert!(Mask::new(&[Vec::new()]).is_none());
    }

    /// The same, thought simply: every place of every secret is covered.
    fn model(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let (mut out, mut covered_to) = (Vec::new(), 0);
        for at in 0..text.len() {
            let here = secrets.iter().filter(|secret| text[at..].starts_with(secret)).map(Vec::len).max();
            if let Some(length) = here {
                if at >= covered_to {
                    out.extend_from_slice(STARS);
                }
                covered_to = covered_to.max(at + length);
            }
            if at >= covered_to {
                out.push(text[at]);
            }
        }
        out
    }

    proptest::proptest! {
        #[test]
        fn it_does_what_its_model_does(
            secrets in proptest::collection::vec("[ab]{1,6}", 1..6),
            pieces in proptest::collection::vec("[abc]{0,12}", 0..6),
        ) {
            let secrets: Vec<Vec<u8>> = secrets.into_iter().map(String::into_bytes).collect();
            let mut mask = Mask::new(&secrets).unwrap();
            let mut out: Vec<u8> = pieces.iter().flat_map(|piece| mask.feed(piece.as_bytes())).collect();
            out.extend(mask.finish());
            proptest::prop_assert_eq!(out, model(&secrets, pieces.concat().as_bytes()));
        }
    }
}
