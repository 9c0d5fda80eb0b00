//! How the command line speaks: data to stdout, talk to stderr, colour only where a person looks. All text that comes
//! from outside passes through [`crate::printable`] on its way here.

use crate::printable;
pub(super) use crate::words::{Tone, tinted};
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// Whether a stream is looked at by a person who wants colour.
pub(super) fn colours(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !unwanted && !dumb
}

/// Whether more than ASCII is shown here, by what the environment says of the language.
pub(super) fn unicode() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// How wide the terminal is that stdout goes to, in columns; 100 where it is none.
pub(super) fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(100)
}

/// One line of data. A reader that has gone ends the process quietly, as `head` expects.
pub(super) fn data(line: impl Display) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// One line of what happens: whoever no longer looks does not end the work.
pub(super) fn show(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// JSON as data. On a terminal, characters that could act there stand as `\u` and four digits.
pub(super) fn json(text: impl Display) {
    let text = text.to_string();
    if std::io::stdout().is_terminal() { data(tame(&text)) } else { data(text) }
}

/// JSON in which characters that could act on a terminal stand as `\u` and four digits.
pub(super) fn tame(text: &str) -> String {
    printable::json(text)
}

/// One line of talk.
pub(super) fn say(line: impl Display) {
    // Nobody to talk to is no reason to stop working.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// What went wrong: its code, in words, and the way out.
pub(super) fn fail(code: &str, message: impl Display, help: &str) {
    let colour = colours(&std::io::stderr());
    let message = printable::line(&message.to_string()).into_owned();
    let title = tinted(&format!("error[{}]", printable::line(code)), Tone::Bad, colour);
    say(format_args!("{title}: {message}"));
    if !help.is_empty() {
        say(format_args!("  {}: {}", tinted("help", Tone::Strong, colour), printable::line(help)));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_on_a_terminal_cannot_act() {
        assert_eq!(
            super::tame("{\"a\":\"\u{9b}2J\u{202e}x\u{7f}\"}"),
            "{\"a\":\"\\u009b2J\\u202ex\\u007f\"}"
        );
        // A pile of marks, and letters that nobody sees: the text that a program reads is the same.
        let text = format!("e{}\u{e0041}", "\u{301}".repeat(50));
        let object = serde_json::json!({ "a": text }).to_string();
        let tamed = super::tame(&object);
        assert!(tamed.matches('\u{301}').count() < 10 && tamed.contains("\\udb40\\udc41"), "{tamed}");
        let back: serde_json::Value = serde_json::from_str(&tamed).expect("JSON");
        assert_eq!(back["a"], text.as_str());
    }
}
