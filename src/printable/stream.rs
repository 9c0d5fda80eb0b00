//! Log output on its way to a terminal: bytes come in pieces, cut anywhere; safe text goes out.
//!
//! What readers of a log expect: text in order; colours if they asked for them; a progress bar (`\r`) as one line per
//! state, which shows all of it without overwriting anything; no cursor movements. Control sequences of the common
//! form (`ESC [ … letter`) are layout and are left out; everything else (titles, clipboard, links, device strings) is
//! shown as a visible escape with its content, so that a step cannot hide output in an endless string.

use super::push_escape;
use super::unsafe_char::{Marks, is_unsafe};

/// The longest control sequence that is recognised as one, in characters after `ESC [`.
const SEQUENCE_LIMIT: usize = 64;

/// Makes one stream of bytes safe, piece by piece.
#[derive(Debug)]
pub struct Stream {
    colours: bool,
    /// Whether a colour was let through that no reset has ended.
    coloured: bool,
    /// The beginning of a character whose other bytes have not come yet.
    partial: Vec<u8>,
    state: State,
    marks: Marks,
    /// A carriage return that may yet turn out to belong to a newline.
    returned: bool,
    /// Whether the line that is being written has anything in it.
    in_line: bool,
}

#[derive(Debug)]
enum State {
    /// Ordinary text.
    Text,
    /// After `ESC`.
    Escape,
    /// After `ESC [`, with what came since.
    Sequence(String),
}

impl Stream {
    /// A stream at its beginning. With `colours`, checked SGR sequences are let through.
    pub fn new(colours: bool) -> Self {
        Self {
            colours,
            coloured: false,
            partial: Vec::new(),
            state: State::Text,
            marks: Marks::default(),
            returned: false,
            in_line: false,
        }
    }

    /// Takes the next piece and appends what can be shown of it to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        let joined;
        let mut rest = if self.partial.is_empty() {
            bytes
        } else {
            joined = [std::mem::take(&mut self.partial).as_slice(), bytes].concat();
            joined.as_slice()
        };
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => return self.push_text(text, out),
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.push_text(std::str::from_utf8(good).expect("BUG: valid up to here"), out);
                    let Some(len) = error.error_len() else {
                        self.partial = bad.to_vec();
                        return;
                    };
                    self.push_char(char::REPLACEMENT_CHARACTER, out);
                    rest = &bad[len..];
                }
            }
        }
    }

    /// Ends the stream: shows what was held back and ends a colour that is still on.
    pub fn finish(mut self, out: &mut String) {
        if !std::mem::take(&mut self.partial).is_empty() {
            self.push_char(char::REPLACEMENT_CHARACTER, out);
        }
        self.give_up_sequence(out);
        self.end_return(out);
        if self.coloured {
            out.push_str("\x1b[0m");
        }
    }

    fn push_text(&mut self, text: &str, out: &mut String) {
        text.chars().for_each(|c| self.push_char(c, out));
    }

    fn push_char(&mut self, c: char, out: &mut String) {
        match (&mut self.state, c) {
            (State::Text, '\x1b') => self.state = State::Escape,
            (State::Text, _) => self.show(c, out),
            (State::Escape, '[') => self.state = State::Sequence(String::new()),
            (State::Sequence(body), ' '..='?') if body.len() < SEQUENCE_LIMIT => body.push(c),
            (State::Sequence(_), '@'..='~') => self.end_sequence(c, out),
            _ => {
                self.give_up_sequence(out);
                self.push_char(c, out);
            }
        }
    }

    /// A whole control sequence: a colour if it is one and wanted, else nothing.
    fn end_sequence(&mut self, last: char, out: &mut String) {
        let State::Sequence(body) = std::mem::replace(&mut self.state, State::Text) else { return };
        if last == 'm' && self.colours && is_plain_sgr(&body) {
            self.end_return(out);
            self.coloured = !matches!(body.as_str(), "" | "0");
            out.push_str("\x1b[");
            out.push_str(&body);
            out.push('m');
        }
    }

    /// What looked like a sequence is none: it is shown as the text that it is.
    fn give_up_sequence(&mut self, out: &mut String) {
        let body = match std::mem::replace(&mut self.state, State::Text) {
            State::Text => return,
            State::Escape => String::new(),
            State::Sequence(body) => format!("[{body}"),
        };
        self.end_return(out);
        push_escape(out, '\x1b');
        self.in_line = true;
        body.chars().for_each(|c| self.show(c, out));
    }

    fn show(&mut self, c: char, out: &mut String) {
        match c {
            '\r' => self.returned = true,
            '\n' => {
                self.returned = false;
                self.in_line = false;
                out.push('\n');
            }
            _ => {
                self.end_return(out);
                self.show_visible(c, out);
            }
        }
    }

    fn show_visible(&mut self, c: char, out: &mut String) {
        let allowed = self.marks.allows(c);
        if c != '\t' && is_unsafe(c) {
            push_escape(out, c);
        } else if allowed {
            out.push(c);
        } else if self.marks.just_exceeded() {
            out.push('…');
        }
        self.in_line = true;
    }

    /// A carriage return without a newline: the next state of a progress bar gets a line of its own.
    fn end_return(&mut self, out: &mut String) {
        if std::mem::take(&mut self.returned) && std::mem::take(&mut self.in_line) {
            out.push('\n');
        }
    }
}

/// Whether every parameter is one that only changes how text looks, and leaves it readable: no concealed text, no
/// blinking, nothing private, no sub-parameters.
fn is_plain_sgr(body: &str) -> bool {
    if body.is_empty() {
        return true;
    }
    let Some(numbers) = body.split(';').map(sgr_number).collect::<Option<Vec<u16>>>() else {
        return false;
    };
    let mut rest = numbers.as_slice();
    loop {
        rest = match rest {
            [] => return true,
            [38 | 48, 5, 0..=255, rest @ ..] => rest,
            [38 | 48, 2, 0..=255, 0..=255, 0..=255, rest @ ..] => rest,
            [0..=4 | 7 | 9 | 21..=25 | 27..=29 | 30..=37 | 39..=47 | 49 | 53 | 55, rest @ ..] => rest,
            [90..=97 | 100..=107, rest @ ..] => rest,
            _ => return false,
        };
    }
}

fn sgr_number(text: &str) -> Option<u16> {
    match text.len() {
        0 => Some(0),
        1..=3 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}
