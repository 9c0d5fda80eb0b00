//! `tidegate explain`: what a stable code means, why it is so, and the way out. The words are in `docs/codes`.

mod book;

pub(in crate::cli) use book::{Entry, find};

use super::trouble::Trouble;
use super::{Exit, talk};
use crate::printable;
use talk::Tone;

/// Lines of prose are no longer than that, in columns.
const LINE_COLUMNS: usize = 100;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The code, such as TG-DEF-012 or def-12 [default: all of them, a line each]
    code: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let Some(asked) = &args.code else {
        list(args.json);
        return Exit::Done;
    };
    match find(asked) {
        Some(entry) if args.json => talk::json(pretty(entry)),
        Some(entry) => {
            let (colour, columns) = (talk::colours(&std::io::stdout()), talk::columns().min(LINE_COLUMNS));
            talk::data(in_words(entry, colour, columns));
        }
        None => return unknown(asked).say(),
    }
    Exit::Done
}

/// Every code, for whoever completes words.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    book::all().iter().map(|entry| entry.code)
}

fn list(as_json: bool) {
    if as_json {
        return talk::json(pretty(&book::all()));
    }
    let width = codes().map(str::len).max().unwrap_or_default();
    for Entry { code, title, .. } in book::all() {
        talk::data(format_args!("{code:width$}  {title}"));
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("BUG: an entry is JSON")
}

fn unknown(asked: &str) -> Trouble {
    let wanted = book::spelled(asked);
    let near = codes().map(|code| (strsim::damerau_levenshtein(&wanted, code), code)).min();
    let near = match near {
        Some((distance, code)) if distance <= 4 => format!("did you mean `{code}`? "),
        _ => String::new(),
    };
    let message = format!("there is no code `{}`", printable::truncate_width(asked, 40));
    Trouble::new("TG-CLI-052", message, format!("{near}`tidegate explain` lists them all"), Exit::Usage)
}

fn in_words(entry: &Entry, colour: bool, columns: usize) -> String {
    let title = talk::tinted(&format!("{}: {}", entry.code, entry.title), Tone::Strong, colour);
    let mut parts = vec![title];
    parts.extend(entry.meaning.split("\n\n").map(|part| filled(part, columns)));
    parts.push(filled(&format!("Way out: {}", entry.way_out), columns));
    parts.extend(entry.example.as_ref().map(|text| {
        let lines = text.lines().map(|line| format!("    {line}").trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }));
    parts.join("\n\n")
}

/// Prose in lines of so many columns.
fn filled(text: &str, columns: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("BUG: there is a line");
        if line.is_empty() {
            line.push_str(word);
        } else if printable::width(line) + 1 + printable::width(word) <= columns {
            *line += " ";
            *line += word;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for written in ["TG-DEF-012", "tg-def-012", "DEF-012", "def-12", " Def_12 "] {
            assert_eq!(find(written).map(|entry| entry.code), Some("TG-DEF-012"), "{written}");
        }
        assert!(find("TG-DEF-999").is_none() && find("").is_none() && find("--").is_none());
    }

    #[test]
    fn a_mistyped_code_gets_the_nearest() {
        let help = unknown("TG-DFE-012").help;
        assert!(help.starts_with("did you mean `TG-DEF-012`?"), "{help}");
        assert!(unknown("what is this").help.starts_with("`tidegate explain`"));
    }

    #[test]
    fn prose_fits_the_width() {
        for entry in book::all() {
            let text = in_words(entry, false, 60);
            let prose = text.lines().skip(1).filter(|line| !line.starts_with("    "));
            prose.for_each(|line| assert!(printable::width(line) <= 60 || !line.contains(' '), "{line}"));
        }
    }
}
