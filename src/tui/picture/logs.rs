//! What runs wrote, as far as it is kept here: bounded tails, made safe. Pieces carry their place in the file; where one
//! is missing the file is asked for it.

use crate::domain::RunId;
use crate::printable::Stream;
use crate::tui::controller::{LogPart, LogWanted};
use crate::wire::Live;
use std::collections::{BTreeMap, VecDeque};

/// Most lines of a run that are kept.
pub(crate) const LINES: usize = 10_000;

/// Most bytes of text of a run that are kept.
const BYTES: usize = 2 << 20;

/// Most runs of which something is kept.
const TAILS: usize = 24;

/// So much of the end of a log is asked for.
pub(crate) const LAST_BYTES: u64 = 512 << 10;

/// The end of one log.
pub(crate) struct Tail {
    /// Lines, safe; the last may go on.
    pub(crate) lines: VecDeque<String>,
    /// Whether the last line is not ended.
    open: bool,
    bytes: usize,
    stream: Stream,
    /// Where it begins, and the byte that comes next.
    pub(crate) from: u64,
    next: u64,
    /// Something is missing before what comes.
    hole: bool,
    /// It is asked for.
    asking: bool,
    /// Somebody looked at it: then it begins where the file does, or as far back as is kept.
    looked: bool,
    /// There is no file.
    pub(crate) absent: bool,
    /// Counts use, so that the one that nobody looks at goes first.
    used: u64,
    /// Lines that were dropped at the front.
    pub(crate) dropped: u64,
}

impl Tail {
    fn at(from: u64) -> Tail {
        Tail {
            lines: VecDeque::new(),
            open: false,
            bytes: 0,
            stream: Stream::new(false),
            from,
            next: from,
            hole: false,
            asking: false,
            looked: false,
            absent: false,
            used: 0,
            dropped: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let mut text = String::new();
        self.stream.push(bytes, &mut text);
        for piece in text.split_inclusive('\n') {
            let (body, ends) = piece.strip_suffix('\n').map_or((piece, false), |body| (body, true));
            let body = body.replace('\t', "    ");
            self.bytes += body.len();
            match self.lines.back_mut().filter(|_| self.open) {
                Some(last) => last.push_str(&body),
                None => self.lines.push_back(body),
            }
            self.open = !ends;
        }
        while self.lines.len() > LINES || (self.bytes > BYTES && self.lines.len() > 1) {
            let gone = self.lines.pop_front().unwrap_or_default();
            self.bytes = self.bytes.saturating_sub(gone.len());
            self.dropped += 1;
        }
    }
}

/// The ends of logs, by run.
#[derive(Default)]
pub(crate) struct Logs {
    tails: BTreeMap<RunId, Tail>,
    turn: u64,
}

impl Logs {
    pub(crate) fn tail(&self, run: RunId) -> Option<&Tail> {
        self.tails.get(&run)
    }

    /// Takes a piece; gives its run.
    pub(crate) fn chunk(&mut self, live: &Live) -> Option<RunId> {
        let (run, offset, bytes, text) = match live {
            Live::GateLogChunk { run_id, offset, bytes, text, .. }
            | Live::BuildLogChunk { run_id, offset, bytes, text, .. }
            | Live::DeployLogChunk { run_id, offset, bytes, text, .. } => (*run_id, *offset, *bytes, text),
            Live::Lagged { .. } | Live::Gap { .. } | Live::Error { .. } => return None,
        };
        let tail = self.entry(run, offset);
        tail.absent = false;
        if offset + bytes <= tail.next {
            return Some(run);
        }
        // While a part is on its way, what comes may be in it.
        if offset != tail.next || tail.asking {
            tail.hole = true;
        } else {
            tail.next = offset + bytes;
            tail.push(text.as_bytes());
        }
        Some(run)
    }

    fn entry(&mut self, run: RunId, from: u64) -> &mut Tail {
        self.turn += 1;
        if !self.tails.contains_key(&run) && self.tails.len() >= TAILS {
            let oldest = self.tails.iter().min_by_key(|(_, tail)| tail.used).map(|(run, _)| *run);
            oldest.map(|run| self.tails.remove(&run));
        }
        let turn = self.turn;
        let tail = self.tails.entry(run).or_insert_with(|| Tail::at(from));
        tail.used = turn;
        tail
    }

    /// What to ask for, so that a log can be looked at.
    pub(crate) fn wanted(&mut self, run: RunId) -> Option<LogWanted> {
        let known = self.tails.contains_key(&run);
        let tail = self.entry(run, 0);
        if tail.asking || tail.absent {
            return None;
        }
        // One that was never looked at may begin in the middle.
        let wanted = match (known, tail.looked || tail.from == 0) {
            (false, _) | (true, false) => LogWanted::Last(LAST_BYTES),
            (true, true) if tail.hole => LogWanted::From(tail.next),
            (true, true) => return None,
        };
        tail.looked = true;
        tail.asking = true;
        Some(wanted)
    }

    /// Looks at it anew: what was not there may be there now.
    pub(crate) fn look_again(&mut self, run: RunId) {
        self.tails.retain(|known, tail| *known != run || !(tail.absent || tail.asking));
    }

    /// Pieces may have been missed, and no more may come: what is looked at is asked for.
    pub(crate) fn missed(&mut self) {
        for tail in self.tails.values_mut() {
            (tail.hole, tail.asking) = (true, false);
        }
    }

    /// A part of the file came.
    pub(crate) fn part(&mut self, run: RunId, part: Option<LogPart>) {
        let tail = self.entry(run, 0);
        tail.asking = false;
        let Some(part) = part else {
            tail.absent = tail.lines.is_empty();
            tail.hole = false;
            return;
        };
        if part.from != tail.next {
            let (used, looked) = (tail.used, tail.looked);
            *tail = Tail { used, looked, ..Tail::at(part.from) };
        }
        tail.next = part.from + part.bytes.len() as u64;
        tail.push(&part.bytes);
        tail.hole = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(run: u64, offset: u64, text: &str) -> Live {
        Live::BuildLogChunk {
            run_id: RunId(run),
            seq: 0,
            text: text.into(),
            offset,
            bytes: text.len() as u64,
            step: "make".into(),
        }
    }

    fn lines(logs: &Logs, run: u64) -> Vec<&str> {
        logs.tail(RunId(run)).unwrap().lines.iter().map(String::as_str).collect()
    }

    #[test]
    fn pieces_join_to_lines_and_a_hole_is_asked_for() {
        let mut logs = Logs::default();
        logs.chunk(&chunk(1, 0, "one\ntw"));
        logs.chunk(&chunk(1, 6, "o\n"));
        assert_eq!(lines(&logs, 1), ["one", "two"]);
        assert_eq!(logs.wanted(RunId(1)), None, "nothing is missing");
        logs.chunk(&chunk(1, 12, "four\n"));
        assert_eq!(lines(&logs, 1), ["one", "two"], "out of order is not shown");
        assert_eq!(logs.wanted(RunId(1)), Some(LogWanted::From(8)));
        assert_eq!(logs.wanted(RunId(1)), None, "one question");
        logs.part(RunId(1), Some(LogPart { from: 8, bytes: b"thr\nfour\n".to_vec() }));
        assert_eq!(lines(&logs, 1), ["one", "two", "thr", "four"]);
        logs.chunk(&chunk(1, 12, "four\n"));
        assert_eq!(lines(&logs, 1).len(), 4, "said twice, shown once");
    }

    #[test]
    fn what_was_not_heard_from_its_beginning_is_asked_for() {
        let mut logs = Logs::default();
        assert_eq!(logs.wanted(RunId(7)), Some(LogWanted::Last(LAST_BYTES)));
        logs.part(RunId(7), None);
        assert!(logs.tail(RunId(7)).unwrap().absent);
        assert_eq!(logs.wanted(RunId(7)), None);
        logs.look_again(RunId(7));
        assert!(logs.wanted(RunId(7)).is_some());
    }

    #[test]
    fn tails_are_bounded_and_safe() {
        let mut logs = Logs::default();
        let text = "line \u{1b}[2J\u{202e}\n".repeat(LINES + 50);
        logs.chunk(&chunk(1, 0, &text));
        let tail = logs.tail(RunId(1)).unwrap();
        assert_eq!((tail.lines.len(), tail.dropped), (LINES, 50));
        assert!(tail.lines.iter().all(|line| !line.contains(['\u{1b}', '\u{202e}'])));
        for run in 2..100 {
            logs.chunk(&chunk(run, 0, "x"));
        }
        assert_eq!(logs.tails.len(), TAILS);
    }
}
