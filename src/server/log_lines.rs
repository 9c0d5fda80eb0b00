//! The lines of a log: where pages of them begin, so that one of a gigabyte can be looked at without being loaded, and
//! where a text stands in it.
//!
//! A page ends after so many lines or bytes, whichever comes first; a line that is longer than a page goes on in the
//! next, as a line of its own. So a page is never large, and every line is in one page.

use super::Server;
use super::asking::Parameters;
use super::log::LogFile;
use super::problem::Problem;
use aho_corasick::{AhoCorasick, MatchKind};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Logs that are read at once.
pub(super) const AT_ONCE: usize = 4;
/// Lines of a page.
const PAGE_LINES: u64 = 500;
/// A page ends with the line with which it has so many bytes.
const PAGE_BYTES: u64 = 128 << 10;
/// A line is cut when it makes its page as long as this.
const LONGEST_BYTES: u64 = 512 << 10;
/// Bytes read at once.
const PIECE_BYTES: usize = 256 << 10;
/// Longest text that is looked for, in bytes.
const TEXT_LIMIT: usize = 500;

/// Where pages of lines begin.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogIndex {
    /// Bytes of the log now.
    pub bytes: u64,
    /// Its lines; the last one may be unfinished.
    pub lines: u64,
    /// Of each page the lines before it, from 0, and the offset of its first byte.
    pub pages: Vec<(u64, u64)>,
}

/// Where a text stands.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogMatch {
    /// The line, from 1; none: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// Where the pages of a log begin; from a page on that is known, if one is named.
pub(super) async fn index(
    server: &Arc<Server>,
    log: LogFile,
    parameters: &Parameters,
) -> Result<LogIndex, Problem> {
    let line = parameters.read("line", "the lines before the page")?.unwrap_or(0);
    let from = parameters.read("from", "the offset of the page")?.unwrap_or(0);
    work(server, log, move |path| {
        let mut index = LogIndex { bytes: 0, lines: line, pages: Vec::new() };
        index.bytes = from
            + each_line(path, from, |_, begins_page, offset| {
                if begins_page {
                    index.pages.push((index.lines, offset));
                }
                index.lines += 1;
                true
            })?;
        Ok(index)
    })
    .await
}

/// The next line after one, or the last before it, that has a text in it. Capital letters count as small ones.
pub(super) async fn find(
    server: &Arc<Server>,
    log: LogFile,
    parameters: &Parameters,
) -> Result<LogMatch, Problem> {
    let text = parameters.one("text")?.unwrap_or_default();
    if text.is_empty() || text.len() > TEXT_LIMIT {
        let help = format!("it is from 1 to {TEXT_LIMIT} bytes");
        return Err(Problem::bad_query("the parameter `text` is missing or too long", help));
    }
    let start: u64 = parameters.read("line", "a line")?.unwrap_or(0);
    let backwards = parameters.switch("backwards", false)?;
    let needle = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostFirst)
        .build([text])
        .map_err(|error| {
            Problem::bad_query(format!("the parameter `text` cannot be looked for: {error}"), "")
        })?;
    work(server, log, move |path| {
        let (mut line, mut found) = (0, None);
        each_line(path, 0, |bytes, _, _| {
            line += 1;
            let in_reach = if backwards { line < start } else { line > start };
            if in_reach && needle.is_match(bytes) {
                found = Some(line);
            }
            // Backwards the last one before counts.
            if backwards { line < start } else { found.is_none() }
        })?;
        Ok(LogMatch { line: found })
    })
    .await
}

/// Reads the file on a thread of its own; not too many at once.
async fn work<R: Send + 'static>(
    server: &Arc<Server>,
    log: LogFile,
    reading: impl FnOnce(&Path) -> io::Result<R> + Send + 'static,
) -> Result<R, Problem> {
    let permit = server.log_readers.clone().acquire_owned().await.expect("BUG: the semaphore is closed");
    let read = spawn_blocking(move || {
        let read = reading(log.path());
        drop(permit);
        read
    });
    read.await.expect("BUG: reading a log panicked").map_err(|error| {
        let detail = format!("failed to read the log: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "TG-HTTP-031", detail, "is its disk well?")
    })
}

/// Calls with each line (its `\n` left out), whether it begins a page, and its offset, until that says no. How many bytes
/// there were.
fn each_line(path: &Path, from: u64, mut each: impl FnMut(&[u8], bool, u64) -> bool) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut buffer = Vec::with_capacity(PIECE_BYTES * 2);
    let mut pages = Pages { begin: from, lines: 0 };
    let mut offset = from;
    loop {
        let before = buffer.len();
        let got = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut buffer)?;
        let mut rest = 0;
        // What was there already has no end of a line in it.
        let mut searched = before;
        loop {
            let end = memchr::memchr(b'\n', &buffer[searched..]).map(|at| searched + at + 1);
            let longest = rest + pages.room(offset) as usize;
            let (end, cut) = match end {
                Some(end) if end <= longest => (end, end - 1),
                _ if buffer.len() >= longest && longest > rest => (longest, longest),
                Some(end) => (end, end - 1),
                None => break,
            };
            if !each(&buffer[rest..cut], pages.lines == 0, offset) {
                return Ok(offset + (end - rest) as u64 - from);
            }
            offset += (end - rest) as u64;
            pages.line_ended(offset);
            (rest, searched) = (end, end);
        }
        buffer.drain(..rest);
        if got == 0 {
            if !buffer.is_empty() {
                each(&buffer, pages.lines == 0, offset);
            }
            return Ok(offset + buffer.len() as u64 - from);
        }
    }
}

/// The page that is being filled.
struct Pages {
    begin: u64,
    lines: u64,
}

impl Pages {
    /// How long a line that begins there may be.
    fn room(&self, offset: u64) -> u64 {
        LONGEST_BYTES - (offset - self.begin)
    }

    fn line_ended(&mut self, offset: u64) {
        self.lines += 1;
        if self.lines == PAGE_LINES || offset - self.begin >= PAGE_BYTES {
            *self = Pages { begin: offset, lines: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(bytes: &[u8], from: u64) -> (Vec<(Vec<u8>, bool, u64)>, u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut lines = Vec::new();
        let read = each_line(file.path(), from, |line, begins, offset| {
            lines.push((line.to_vec(), begins, offset));
            true
        });
        (lines, read.unwrap())
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_an_unfinished_one_counts() {
        let (lines, bytes) = lines_of(b"one\n\nthree", 0);
        let texts: Vec<&[u8]> = lines.iter().map(|(line, ..)| line.as_slice()).collect();
        assert_eq!(texts, [b"one".as_slice(), b"", b"three"]);
        assert_eq!((bytes, lines_of(b"", 0).0.len()), (10, 0));
        assert_eq!(lines_of(b"one\n", 0).0.len(), 1);
    }

    #[test]
    fn a_page_begins_after_so_many_lines_or_bytes_and_can_be_gone_on_from() {
        let text: Vec<u8> = (0..100_000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
        let (lines, _) = lines_of(&text, 0);
        assert_eq!(lines.len(), 100_000);
        let pages: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].1).collect();
        assert!(pages.windows(2).all(|two| two[1] - two[0] == PAGE_LINES as usize), "{pages:?}");
        // The same pages from the middle of the file on.
        let from = lines[pages[17]].2;
        let (again, bytes) = lines_of(&text, from);
        assert_eq!(again.as_slice(), &lines[pages[17]..]);
        assert_eq!(bytes, text.len() as u64 - from);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let text = vec![b'x'; 3 * LONGEST_BYTES as usize + 5];
        let (lines, bytes) = lines_of(&text, 0);
        assert_eq!(lines.iter().map(|(line, ..)| line.len()).sum::<usize>(), text.len());
        assert_eq!((lines.len(), bytes), (4, text.len() as u64));
        assert!(lines.iter().all(|(_, begins, _)| *begins));
    }
}
