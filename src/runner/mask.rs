//! Replacing secret byte strings in a stream, over the borders of its pieces. Does not know what is secret.

/// What stands in the place of a secret.
const STARS: &[u8] = b"***";

/// A filter for one stream. Secrets that overlap are covered by one `***`; a secret that begins where another ends gets
/// its own. What may be the beginning of a secret is held back until the next piece, or the end, decides.
pub(super) struct Mask {
    /// Longest first, so that the first match is the longest.
    secrets: Vec<Vec<u8>>,
    /// Whether some secret begins with this byte.
    first: [bool; 256],
    /// The end of the stream so far, not given out yet.
    held: Vec<u8>,
    /// How many of the held bytes belong to a secret that was found already.
    covered: usize,
}

impl Mask {
    /// A filter, or none when there is nothing to hide.
    pub(super) fn new(secrets: &[Vec<u8>]) -> Option<Self> {
        let mut secrets: Vec<Vec<u8>> = secrets.iter().filter(|secret| !secret.is_empty()).cloned().collect();
        if secrets.is_empty() {
            return None;
        }
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        let mut first = [false; 256];
        for secret in &secrets {
            first[usize::from(secret[0])] = true;
        }
        Some(Self { secrets, first, held: Vec::new(), covered: 0 })
    }

    /// Takes the next piece and gives what is decided by now.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        self.sift(false)
    }

    /// The stream has ended: gives what was held back.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.sift(true)
    }

    fn sift(&mut self, at_end: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len());
        let (mut at, mut covered_to) = (0, self.covered);
        while at < self.held.len() {
            if self.first[usize::from(self.held[at])] {
                let rest = &self.held[at..];
                if !at_end && self.secrets.iter().any(|s| s.len() > rest.len() && s.starts_with(rest)) {
                    break;
                }
                if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                    if at >= covered_to {
                        out.extend_from_slice(STARS);
                    }
                    covered_to = covered_to.max(at + secret.len());
                }
            }
            if at >= covered_to {
                out.push(self.held[at]);
            }
            at += 1;
        }
        self.held.drain(..at);
        self.covered = covered_to.saturating_sub(at);
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
}
