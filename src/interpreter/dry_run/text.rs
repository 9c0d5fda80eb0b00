//! SQL text on its way to `psql`. It is from elsewhere, and psql would do more than SQL for it: run programs, read and
//! write files. A psql that was told `\restrict` with a key that nobody else knows takes no command of its own any more,
//! but for `\unrestrict`. So the text may hold none of that, and the pair of it that newer releases of `pg_dump` write around
//! all of their text is left out: each is a line of its own.

use std::io::{self, BufRead, Write};

/// What such lines of `pg_dump` begin with.
const OWN: [&[u8]; 2] = [b"\\restrict ", b"\\unrestrict "];
/// They are no longer than that, in bytes.
const LONGEST: usize = 256;
/// What ends the restriction; psql looks at what follows, before it compares the key.
const ENDS: &[u8] = b"\\unrestrict";

/// Passes text on without the lines that are `pg_dump`'s own.
pub(super) fn pass(mut text: impl BufRead, out: impl Write) -> io::Result<()> {
    let mut lines = Lines { out, begin: Vec::new(), is_begin: true };
    loop {
        let piece = text.fill_buf()?;
        if piece.is_empty() {
            return lines.finish();
        }
        let count = piece.len();
        lines.take(piece)?;
        text.consume(count);
    }
}

/// Whether a text would end the restriction.
pub(super) fn is_bad(text: impl BufRead) -> io::Result<bool> {
    let mut found = Found { before: 0, matched: 0, is_bad: false };
    pass(text, &mut found)?;
    Ok(found.is_bad)
}

struct Lines<W> {
    out: W,
    /// Of a line that may still be one of `pg_dump`'s own.
    begin: Vec<u8>,
    is_begin: bool,
}

impl<W: Write> Lines<W> {
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            bytes = rest;
            if self.is_begin {
                // Of a long line no more is kept than tells it.
                self.begin.extend_from_slice(line);
                if end.is_none() && self.begin.len() <= LONGEST {
                    continue;
                }
                self.release()?;
            } else {
                self.out.write_all(line)?;
            }
            self.is_begin = end.is_some();
        }
        Ok(())
    }

    fn release(&mut self) -> io::Result<()> {
        let begin = std::mem::take(&mut self.begin);
        if is_own(&begin) { Ok(()) } else { self.out.write_all(&begin) }
    }

    fn finish(mut self) -> io::Result<()> {
        self.release()?;
        self.out.flush()
    }
}

fn is_own(line: &[u8]) -> bool {
    let key = OWN.iter().find_map(|begin| line.strip_prefix(*begin));
    let is_key = |key: &[u8]| !key.is_empty() && key.iter().all(u8::is_ascii_alphanumeric);
    line.len() <= LONGEST && key.is_some_and(|key| is_key(key.trim_ascii_end()))
}

/// Looks for what ends the restriction. Behind another backslash it does not: there psql has an error, and stops.
struct Found {
    before: u8,
    matched: usize,
    is_bad: bool,
}

impl Write for &mut Found {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if byte == b'\\' {
                self.matched = usize::from(self.before != b'\\');
            } else if self.matched > 0 && ENDS[self.matched] == byte {
                self.matched += 1;
            } else {
                self.matched = 0;
            }
            if self.matched == ENDS.len() {
                self.is_bad = true;
                self.matched = 0;
            }
            self.before = byte;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn passed(text: &str) -> String {
        let mut first = None;
        for size in [1, 3, 7, 10_000] {
            let mut out = Vec::new();
            pass(BufReader::with_capacity(size, text.as_bytes()), &mut out).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert_eq!(*first.get_or_insert(out.clone()), out, "{size}");
        }
        first.unwrap()
    }

    #[test]
    fn only_the_lines_that_pg_dump_writes_around_its_text_are_left_out() {
        let text = "--\n\\restrict aB3\n\nSELECT 1;\n\\unrestrict aB3\r\n";
        assert_eq!(passed(text), "--\n\nSELECT 1;\n");
        assert_eq!(passed("x\n\\unrestrict k"), "x\n");
        for same in [
            "",
            "\\restrict\n",
            "\\restrict a b\n",
            " \\restrict a\n",
            "\\restrict `id`\n",
            "a\\restrict a\n",
        ] {
            assert_eq!(passed(same), same);
        }
        let long = format!("\\restrict {}\nx", "a".repeat(1000));
        assert_eq!(passed(&long), long);
    }

    #[test]
    fn a_text_that_would_end_the_restriction_is_bad() {
        let is_bad = |text: &str| is_bad(text.as_bytes()).unwrap();
        for bad in [
            "\\unrestrict `id`\n",
            "select 1; \\unrestrict a\n",
            "x \\unrestrict",
            "\\unrestrict a b\n",
            "'\\'\\unrestrict a b",
            "\\unr\\unrestrict ",
        ] {
            assert!(is_bad(bad), "{bad}");
        }
        for good in
            ["\\restrict a\nx\n\\unrestrict a\n", "COPY t FROM stdin;\nC:\\\\unrestrict\n\\.\n", "\\unrest x"]
        {
            assert!(!is_bad(good), "{good}");
        }
    }
}
