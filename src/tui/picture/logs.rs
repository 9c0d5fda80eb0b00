//! What runs wrote, as far as it is kept here: bounded tails, made safe. Pieces carry their place in the file; where one
//! is missing the file is asked for it.

use super::retry::Retry;
use crate::domain::{RunId, Time};
use crate::printable::Stream;
use crate::tui::controller::{LogPart, LogWanted};
use crate::wire::Live;
use std::collections::{BTreeMap, VecDeque};

/// Most lines of a run that are kept.
pub(crate) const LINES: usize = 10_000;

/// Most bytes of text of a run that are kept.
const BYTES: usize = 2 << 20;

/// A line that is longer is broken: what draws and searches goes line by line, and one that never ends is shown, too.
const LINE_BYTES: usize = 4 << 10;

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
    /// So far the file reaches at least.
    heard: u64,
    /// Something of the file is here: a piece, or a part.
    begun: bool,
    /// Something is missing before what comes.
    hole: bool,
    /// It is asked for.
    asking: bool,
    /// When it may be asked for again.
    retry: Retry,
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
            heard: from,
            begun: false,
            hole: false,
            asking: false,
            retry: Retry::default(),
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
            self.write(&body.replace('\t', "    "));
            self.open = !ends;
        }
        while self.lines.len() > LINES || (self.bytes > BYTES && self.lines.len() > 1) {
            let gone = self.lines.pop_front().unwrap_or_default();
            self.bytes = self.bytes.saturating_sub(gone.len());
            self.dropped += 1;
        }
    }

    /// Goes on with the last line if it is open, else begins one; none grows longer than a line may be.
    fn write(&mut self, mut body: &str) {
        self.bytes += body.len();
        loop {
            if !self.open {
                self.lines.push_back(String::new());
            }
            self.open = false;
            let last = self.lines.back_mut().expect("BUG: no line is open");
            let room = LINE_BYTES.saturating_sub(last.len());
            if body.len() <= room {
                return last.push_str(body);
            }
            let (now, then) = body.split_at(body.floor_char_boundary(room));
            last.push_str(now);
            body = then;
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
        tail.heard = tail.heard.max(offset + bytes);
        if offset + bytes <= tail.next {
            return Some(run);
        }
        // While a part is on its way, what comes may be in it.
        if offset != tail.next || tail.asking {
            tail.hole = true;
        } else {
            (tail.next, tail.begun) = (offset + bytes, true);
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

    /// How many are kept, and how many bytes of text in them.
    #[cfg(test)]
    pub(crate) fn size(&self) -> (usize, usize) {
        let lines = self.tails.values().flat_map(|tail| &tail.lines);
        (self.tails.len(), lines.map(String::len).sum())
    }

    /// What to ask for, so that a log can be looked at.
    pub(crate) fn wanted(&mut self, run: RunId, now: Time) -> Option<LogWanted> {
        let tail = self.entry(run, 0);
        if tail.asking || tail.absent || tail.retry.waits(now) {
            return None;
        }
        // One that was never looked at may begin in the middle.
        let wanted = match (tail.begun, tail.looked || tail.from == 0) {
            (false, _) | (true, false) => LogWanted::Last(LAST_BYTES),
            (true, true) if tail.hole => LogWanted::From(tail.next),
            (true, true) => return None,
        };
        tail.asking = true;
        Some(wanted)
    }

    /// When one that was not answered is asked for again; none: it was answered, or is asked for.
    pub(crate) fn wakes(&self, run: RunId, now: Time) -> Option<Time> {
        self.tails.get(&run).filter(|tail| !tail.asking).and_then(|tail| tail.retry.until(now))
    }

    /// A question for it was not answered.
    pub(crate) fn unanswered(&mut self, run: RunId, now: Time) {
        if let Some(tail) = self.tails.get_mut(&run).filter(|tail| tail.asking) {
            (tail.asking, tail.hole) = (false, true);
            tail.retry.failed(now);
        }
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
        (tail.asking, tail.looked, tail.retry) = (false, true, Retry::default());
        let Some(part) = part else {
            tail.absent = tail.lines.is_empty();
            tail.hole = false;
            return;
        };
        if part.from != tail.next {
            let (used, looked, heard) = (tail.used, tail.looked, tail.heard);
            *tail = Tail { used, looked, heard, ..Tail::at(part.from) };
        }
        (tail.next, tail.begun) = (part.from + part.bytes.len() as u64, true);
        tail.push(&part.bytes);
        // Of what was said while it was on its way, it may have nothing. A file that ends before what was heard of it is
        // as long as it is.
        tail.hole = part.more || (tail.heard > tail.next && !part.bytes.is_empty());
        tail.heard = if tail.hole { tail.heard } else { tail.next };
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

    fn now() -> Time {
        Time::from_timestamp(1_795_424_400, 0).unwrap()
    }

    fn part(from: u64, bytes: &str, more: bool) -> Option<LogPart> {
        Some(LogPart { from, bytes: bytes.into(), more })
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
        assert_eq!(logs.wanted(RunId(1), now()), None, "nothing is missing");
        logs.chunk(&chunk(1, 12, "four\n"));
        assert_eq!(lines(&logs, 1), ["one", "two"], "out of order is not shown");
        assert_eq!(logs.wanted(RunId(1), now()), Some(LogWanted::From(8)));
        assert_eq!(logs.wanted(RunId(1), now()), None, "one question");
        logs.part(RunId(1), Some(LogPart { from: 8, bytes: b"thr\nfour\n".to_vec(), more: false }));
        assert_eq!(lines(&logs, 1), ["one", "two", "thr", "four"]);
        logs.chunk(&chunk(1, 12, "four\n"));
        assert_eq!(lines(&logs, 1).len(), 4, "said twice, shown once");
    }

    #[test]
    fn what_was_not_heard_from_its_beginning_is_asked_for() {
        let mut logs = Logs::default();
        assert_eq!(logs.wanted(RunId(7), now()), Some(LogWanted::Last(LAST_BYTES)));
        logs.part(RunId(7), None);
        assert!(logs.tail(RunId(7)).unwrap().absent);
        assert_eq!(logs.wanted(RunId(7), now()), None);
        logs.look_again(RunId(7));
        assert!(logs.wanted(RunId(7), now()).is_some());
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

    #[test]
    fn a_line_that_never_ends_is_bounded_too() {
        let mut logs = Logs::default();
        let text = "x".repeat(64 << 10);
        for n in 0..1_024 {
            logs.chunk(&chunk(1, n * text.len() as u64, &text));
        }
        let tail = logs.tail(RunId(1)).unwrap();
        let kept: usize = tail.lines.iter().map(String::len).sum();
        assert!(kept <= BYTES, "{kept} bytes of one line are kept");
        assert!(tail.lines.iter().all(|line| line.len() <= LINE_BYTES));
        logs.chunk(&chunk(2, 0, &format!("{}\nlast", "\u{6f22}".repeat(LINE_BYTES))));
        let whole = logs.tail(RunId(2)).unwrap().lines.iter();
        assert_eq!(whole.map(String::len).sum::<usize>(), LINE_BYTES * 3 + 4, "nothing of it is lost");
    }

    #[test]
    fn what_is_said_while_a_part_is_on_its_way_is_asked_for_if_the_part_has_it_not() {
        let mut logs = Logs::default();
        assert!(logs.wanted(RunId(1), now()).is_some());
        logs.chunk(&chunk(1, 4, "end\n"));
        logs.part(RunId(1), part(0, "one\n", false));
        assert_eq!(logs.wanted(RunId(1), now()), Some(LogWanted::From(4)), "the end would be lost");
        logs.part(RunId(1), part(4, "end\n", false));
        assert_eq!(lines(&logs, 1), ["one", "end"]);
        assert_eq!(logs.wanted(RunId(1), now()), None);
        // A file that does not reach as far as was heard is not asked for without end.
        logs.chunk(&chunk(1, 20, "far\n"));
        assert_eq!(logs.wanted(RunId(1), now()), Some(LogWanted::From(8)));
        logs.part(RunId(1), part(8, "", false));
        assert_eq!(logs.wanted(RunId(1), now()), None);
    }

    #[test]
    fn a_hole_is_closed_part_by_part() {
        let mut logs = Logs::default();
        logs.chunk(&chunk(1, 0, "one\n"));
        logs.missed();
        assert_eq!(logs.wanted(RunId(1), now()), Some(LogWanted::From(4)));
        logs.part(RunId(1), part(4, "two\n", true));
        assert_eq!(logs.wanted(RunId(1), now()), Some(LogWanted::From(8)), "there is more");
        logs.part(RunId(1), part(8, "", false));
        assert_eq!(logs.wanted(RunId(1), now()), None);
    }

    #[test]
    fn a_question_that_failed_is_asked_again_after_a_pause() {
        let mut logs = Logs::default();
        logs.chunk(&chunk(1, 0, "one\n"));
        logs.missed();
        assert!(logs.wanted(RunId(1), now()).is_some());
        logs.unanswered(RunId(1), now());
        assert_eq!(logs.wanted(RunId(1), now()), None, "not at once");
        let again = logs.wakes(RunId(1), now()).unwrap();
        assert_eq!(logs.wanted(RunId(1), again), Some(LogWanted::From(4)));
        // One of which nothing came is asked for its end again.
        let last = Some(LogWanted::Last(LAST_BYTES));
        assert_eq!(logs.wanted(RunId(2), now()), last);
        logs.unanswered(RunId(2), now());
        assert_eq!(logs.wanted(RunId(2), again), last);
    }
}
