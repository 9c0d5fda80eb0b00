//! Telling a tool's messages for machines from its text, in one stream of both: a line that is a message goes to the
//! listener, which says what stands in its place; everything else passes at once and unchanged.

use serde_json::Value;

/// The longest message, in bytes; a line that is longer is text.
const LONGEST: usize = 4 * 1024 * 1024;
/// How much of a line of text is listened to, in bytes.
const LISTENED: usize = 16 * 1024;

/// Who knows what a tool says.
pub(super) trait Listener {
    /// A line that is a JSON object. Gives the text that stands in its place, or none: it is no message, and stays.
    fn message(&mut self, message: &Value) -> Option<String>;

    /// A whole line of text, without its end, that has passed.
    fn line(&mut self, line: &str);
}

/// The stream between two reads.
#[derive(Default)]
pub(super) struct Sieve {
    /// The line so far: held back when it may be a message, else only kept to be listened to.
    line: Vec<u8>,
    /// The line is text.
    passing: bool,
}

impl Sieve {
    /// Takes the next piece; gives what is to be written.
    pub(super) fn feed(&mut self, piece: &[u8], listener: &mut dyn Listener) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len());
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.take(part, &mut out);
            if part.ends_with(b"\n") {
                self.end(&mut out, listener);
            }
        }
        out
    }

    /// The stream has ended.
    pub(super) fn finish(&mut self, listener: &mut dyn Listener) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.line.is_empty() {
            self.end(&mut out, listener);
        }
        out
    }

    fn take(&mut self, part: &[u8], out: &mut Vec<u8>) {
        if self.line.is_empty() && !self.passing {
            self.passing = part.first() != Some(&b'{');
        }
        if !self.passing && self.line.len() + part.len() > LONGEST {
            self.passing = true;
            out.append(&mut self.line);
        }
        if self.passing {
            out.extend_from_slice(part);
            let room = LISTENED.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, listener: &mut dyn Listener) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.passing) {
            let text = String::from_utf8_lossy(&line);
            return listener.line(text.trim_end_matches(['\n', '\r']));
        }
        match serde_json::from_slice(&line).ok().and_then(|message| listener.message(&message)) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => {
                listener.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
                out.extend_from_slice(&line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replaces `{"say":TEXT}`.
    #[derive(Default)]
    struct Parrot(Vec<String>);

    impl Listener for Parrot {
        fn message(&mut self, message: &Value) -> Option<String> {
            Some(format!("{}\n", message["say"].as_str()?))
        }

        fn line(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }
    }

    fn through(pieces: &[&[u8]]) -> (Vec<u8>, Vec<String>) {
        let (mut sieve, mut parrot) = (Sieve::default(), Parrot::default());
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| sieve.feed(piece, &mut parrot)).collect();
        out.extend(sieve.finish(&mut parrot));
        (out, parrot.0)
    }

    #[test]
    fn messages_are_replaced_and_text_is_not_whatever_the_pieces() {
        let text = b"one\n{\"say\":\"hi\"}\n{ not json\n\xff {\"say\":1}\r\n{\"say\":\"bye\"}";
        let whole = through(&[text]);
        assert_eq!(whole.0, b"one\nhi\n{ not json\n\xff {\"say\":1}\r\nbye\n");
        assert_eq!(whole.1, ["one", "{ not json", "\u{fffd} {\"say\":1}"]);
        for cut in 0..text.len() {
            let (one, two) = text.split_at(cut);
            assert_eq!(through(&[one, two]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn text_passes_before_its_line_ends_and_an_endless_line_is_text() {
        let (mut sieve, mut parrot) = (Sieve::default(), Parrot::default());
        assert_eq!(sieve.feed(b"test a ... ", &mut parrot), b"test a ... ");
        assert_eq!(sieve.feed(b"ok\n{", &mut parrot), b"ok\n");
        let long = vec![b'x'; LONGEST];
        assert_eq!(sieve.feed(&long, &mut parrot).len(), LONGEST + 1);
        assert_eq!(sieve.feed(b"y\n", &mut parrot), b"y\n");
        assert!(sieve.line.is_empty());
    }
}
