//! Telling what a script of ours says from what a login or a command prints: lines that begin with a byte no text has
//! and a random mark.

/// What begins a line of ours.
const BEGIN: u8 = 0x1e;
/// Longer lines of ours do not exist.
const LONGEST: usize = 64 * 1024;

/// A random mark, fit for a shell's variable.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("BUG: the system always has random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A piece of what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Printed by somebody.
    Other(Vec<u8>),
    /// Said by us, without the mark and the line's end.
    Said(String),
}

/// Takes bytes apart, in whatever pieces they come.
pub(super) struct Marks {
    prefix: Vec<u8>,
    held: Vec<u8>,
}

impl Marks {
    pub(super) fn new(mark: &str) -> Marks {
        Marks { prefix: [&[BEGIN], mark.as_bytes(), b" "].concat(), held: Vec::new() }
    }

    /// More bytes; what they make complete. Nothing that cannot become a line of ours is held back.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        let mut other = Vec::new();
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            let Some(begin) = rest.iter().position(|byte| *byte == BEGIN) else {
                other.extend_from_slice(rest);
                at = self.held.len();
                break;
            };
            other.extend_from_slice(&rest[..begin]);
            at += begin;
            let rest = &self.held[at..];
            let known = rest.len().min(self.prefix.len());
            if rest[..known] != self.prefix[..known] {
                other.push(BEGIN);
                at += 1;
                continue;
            }
            let line = rest.iter().position(|byte| *byte == b'\n');
            match line {
                Some(end) if end >= self.prefix.len() => {
                    flush(&mut other, &mut pieces);
                    let said = String::from_utf8_lossy(&rest[self.prefix.len()..end]);
                    pieces.push(Piece::Said(said.into_owned()));
                    at += end + 1;
                }
                _ if rest.len() > LONGEST => {
                    other.push(BEGIN);
                    at += 1;
                }
                _ => break,
            }
        }
        self.held.drain(..at);
        flush(&mut other, &mut pieces);
        pieces
    }

    /// What was held back, now that nothing more comes.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn flush(other: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !other.is_empty() {
        pieces.push(Piece::Other(std::mem::take(other)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<String>) {
        let mut marks = Marks::new("abc");
        let (mut other, mut said) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(size).flat_map(|chunk| marks.feed(chunk)) {
            match piece {
                Piece::Other(bytes) => other.extend(bytes),
                Piece::Said(text) => said.push(text),
            }
        }
        other.extend(marks.finish());
        (other, said)
    }

    #[test]
    fn lines_of_ours_are_told_from_all_else_however_they_come() {
        let bytes = b"banner\n\x1eabc start\nout\x1e\x1eab\x1eabd x\n\x1eabcd\n\x00\xff\x1eabc end 0\nrest\x1eabc unfinished";
        let wanted = b"banner\nout\x1e\x1eab\x1eabd x\n\x1eabcd\n\x00\xffrest\x1eabc unfinished";
        for size in 1..=bytes.len() {
            let (other, said) = apart(bytes, size);
            assert_eq!(said, ["start", "end 0"], "{size}");
            assert_eq!(other, wanted, "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_held_for_ever() {
        let bytes = [&b"\x1eabc "[..], &vec![b'x'; 2 * LONGEST]].concat();
        let mut marks = Marks::new("abc");
        let pieces: usize = bytes.chunks(4096).map(|chunk| marks.feed(chunk).len()).sum();
        assert!(pieces > 0 && marks.held.len() <= LONGEST);
    }

    #[test]
    fn marks_differ() {
        assert_ne!(random(), random());
        assert_eq!(random().len(), 32);
    }
}
