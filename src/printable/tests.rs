//! What comes out must mean nothing to a terminal, whatever goes in.

use super::*;
use proptest::prelude::*;

fn stream(pieces: &[&[u8]], colours: bool) -> String {
    let mut out = String::new();
    let mut stream = Stream::new(colours);
    pieces.iter().for_each(|piece| stream.push(piece, &mut out));
    stream.finish(&mut out);
    out
}

/// The first thing in `text` that a terminal would act on or that an eye would miss, by rules of its own: it must not
/// share the table under test.
fn offence(text: &str, newlines: bool, colours: bool) -> Option<String> {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_fine = match c {
            '\t' => true,
            '\n' => newlines,
            '\x1b' if colours => {
                let Some(end) = rest.find('m') else { return Some(rest.to_owned()) };
                let body = &rest[1..end];
                rest = &rest[end..];
                body.starts_with('[') && body[1..].chars().all(|c| c.is_ascii_digit() || c == ';')
            }
            c if c.is_control() => false,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
            '\u{feff}' | '\u{e0000}'..='\u{e007f}' => false,
            _ => true,
        };
        if !is_fine {
            return Some(format!("{c:?} in {text:?}"));
        }
        rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
    }
    None
}

/// Every introducer with every body and every way to end it (or not).
fn hostile() -> Vec<Vec<u8>> {
    let introducers: &[&[u8]] = &[
        b"\x1b]",
        b"\x1bP",
        b"\x1b_",
        b"\x1b^",
        b"\x1bX",
        b"\x1b[",
        b"\x1b[?",
        b"\x1b[>",
        b"\x1b#",
        b"\x1b(",
        b"\x1b%",
        b"\x1b",
        b"\x1b\x1b[",
        b"\x9b",
        b"\x9d",
        b"\x90",
        "\u{9b}".as_bytes(),
        "\u{9d}".as_bytes(),
        "\u{90}".as_bytes(),
        b"\x0e",
        b"\x08\x08\x08",
        b"\x7f",
        b"\x05",
        b"\x18\x1b[",
    ];
    let bodies: &[&[u8]] = &[
        b"0;owned",
        b"2;title",
        b"8;;https://evil.test",
        b"52;c;cm0gLXJm",
        b"4;1;?",
        b"10;?",
        b"50;?",
        b"9;4;1;50",
        b"1337;File=:AAAA",
        b"777;notify;a;b",
        b"21t",
        b"14t",
        b"2J",
        b"1;1H",
        b"6n",
        b"c",
        b"q\"p",
        b"$q\"p",
        b"+q544e",
        b"1049h",
        b"2004h",
        b"8m",
        b"5m",
        b"38;5;999m",
        b"0;0;0;0;0;0;0;0m",
        b"4:3m",
        b"=c",
        b"D",
    ];
    let ends: &[&[u8]] = &[b"", b"\x07", b"\x1b\\", "\u{9c}".as_bytes()];
    let mut all = Vec::new();
    for introducer in introducers {
        for body in bodies {
            for end in ends {
                all.push([b"before", *introducer, body, end, b"after"].concat());
            }
        }
    }
    all
}

#[test]
fn hostile_sequences_reach_no_terminal() {
    let all = hostile();
    assert!(all.len() >= 500, "{}", all.len());
    for bytes in &all {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(offence(&line(&text), false, false), None);
        assert_eq!(offence(&block(&text), true, false), None);
        for colours in [false, true] {
            let out = stream(&[bytes], colours);
            assert_eq!(offence(&out, true, colours), None);
            assert!(out.starts_with("before") && out.contains("fter"), "text around it stays: {out:?}");
        }
    }
}

#[test]
fn the_checker_of_these_tests_sees_offences() {
    for bad in ["\x1b", "\x1b[?1m", "\x1b[2J m", "a\rb", "\u{9b}", "\u{202e}", "\x7f", "\u{e0041}"] {
        assert!(offence(bad, true, true).is_some(), "{bad:?}");
    }
    assert_eq!(offence("\x1b[1;31mred\x1b[0m\n\t", true, true), None);
    assert!(offence("\x1b[1mred", true, false).is_some());
}

#[test]
fn safe_text_is_borrowed_as_it_is() {
    for text in ["", "main", "größer ✔\u{fe0f} 日本語 \\x1b", "a\tb", "e\u{301}"] {
        assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text:?}");
    }
    assert!(matches!(block("a\nb"), Cow::Borrowed(_)));
}

#[test]
fn what_is_neutralised_stays_visible() {
    let table = [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\rc", r"a\nb\rc"),
        ("x\u{202e}txt.exe", r"x\u{202e}txt.exe"),
        ("\u{9b}2J\x07\x08\x7f\0", r"\u{9b}2J\x07\x08\x7f\x00"),
        ("pr\u{200b}od", r"pr\u{200b}od"),
        ("a\u{2028}b\u{e0041}", r"a\u{2028}b\u{e0041}"),
    ];
    for (raw, shown) in table {
        assert_eq!(line(raw), shown);
    }
    assert_eq!(block("a\r\nb\n\x1bc\r"), "a\nb\n\\x1bc\\r");
}

#[test]
fn a_pile_of_marks_is_cut() {
    let pile = format!("o{}x", "\u{301}".repeat(1_000_000));
    let shown = line(&pile);
    assert_eq!(shown.chars().count(), 1 + 8 + 1 + 1, "{}", shown.len());
    assert!(shown.ends_with("…x"));
    let out = stream(&[pile.as_bytes()], false);
    assert_eq!(out, shown);
}

#[test]
fn a_stream_keeps_text_colours_and_progress_readable() {
    let table: &[(&str, &str, &str)] = &[
        ("a\r\nb\n", "a\nb\n", "a\nb\n"),
        ("10%\r20%\r\r30%\r\ndone", "10%\n20%\n30%\ndone", "10%\n20%\n30%\ndone"),
        ("\r\x1b[Kx\n", "x\n", "x\n"),
        ("\x1b[1;31mred\x1b[0m.", "red.", "\x1b[1;31mred\x1b[0m."),
        ("\x1b[32mopen", "open", "\x1b[32mopen\x1b[0m"),
        ("\x1b[38;5;12;48;2;1;2;3mx\x1b[m", "x", "\x1b[38;5;12;48;2;1;2;3mx\x1b[m"),
        ("\x1b[8mhidden\x1b[0m", "hidden", "hidden\x1b[0m"),
        ("a\x1b[2Jb\x1b[10;10Hc", "abc", "abc"),
        ("\x1b]0;t\x07x", "\\x1b]0;t\\x07x", "\\x1b]0;t\\x07x"),
        ("\x1b[1\nx", "\\x1b[1\nx", "\\x1b[1\nx"),
        ("tail\x1b[3", "tail\\x1b[3", "tail\\x1b[3"),
    ];
    for (raw, plain, coloured) in table {
        assert_eq!(stream(&[raw.as_bytes()], false), *plain, "{raw:?}");
        assert_eq!(stream(&[raw.as_bytes()], true), *coloured, "{raw:?}");
    }
}

#[test]
fn a_sequence_without_end_hides_nothing() {
    let endless = format!("\x1b[{}visible", "1;".repeat(200));
    assert!(stream(&[endless.as_bytes()], true).ends_with("visible"));
}

#[test]
fn broken_utf8_is_replaced_and_split_characters_are_not() {
    assert_eq!(stream(&[b"\xff\xfea"], false), "\u{fffd}\u{fffd}a");
    let euro = "€".as_bytes();
    assert_eq!(stream(&[&euro[..1], &euro[1..2], &euro[2..]], false), "€");
    assert_eq!(stream(&[&euro[..2]], false), "\u{fffd}");
    assert_eq!(stream(&[&euro[..2], b"x"], false), "\u{fffd}x");
}

#[test]
fn text_is_cut_by_columns() {
    let table = [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("日本語", 1, "…"),
        ("abc", 0, ""),
        ("", 0, ""),
        ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
    ];
    for (text, columns, cut) in table {
        assert_eq!(truncate_width(text, columns), cut, "{text} in {columns}");
    }
}

proptest! {
    #[test]
    fn nothing_that_a_terminal_acts_on_comes_out(text in "(\\PC|[\\x00-\\x1f\\x7f-\\u{9f}]|\\x1b\\[[0-9;]{0,9}[a-zA-Z]){0,60}") {
        prop_assert_eq!(offence(&line(&text), false, false), None);
        prop_assert_eq!(offence(&block(&text), true, false), None);
        prop_assert_eq!(offence(&stream(&[text.as_bytes()], false), true, false), None);
        prop_assert_eq!(offence(&stream(&[text.as_bytes()], true), true, true), None);
    }

    #[test]
    fn where_a_stream_is_cut_makes_no_difference(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'm'), Just(b'\r'), Just(b'1')], 0..80),
        cut in 0usize..80, cut2 in 0usize..80,
    ) {
        let (a, b) = (cut.min(cut2).min(bytes.len()), cut.max(cut2).min(bytes.len()));
        let whole = stream(&[&bytes], true);
        prop_assert_eq!(stream(&[&bytes[..a], &bytes[a..b], &bytes[b..]], true), whole);
    }

    #[test]
    fn cut_text_fits(text in "\\PC{0,40}", columns in 0usize..50) {
        let text = line(&text).into_owned();
        let cut = truncate_width(&text, columns);
        prop_assert!(width(&cut) <= columns, "{:?} is {} wide", cut, width(&cut));
    }
}
