//! Command lines of the book: the program knows every command and option that stands in it.

use super::pages;
use clap::error::ErrorKind;

/// What a shell makes of a line, up to where it writes elsewhere or goes on with another command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for c in line.chars() {
        match (c, quote) {
            ('>' | '|' | ';' | '&' | '#' | '<', None) => break,
            (c, None) if c.is_whitespace() => words.push(String::new()),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, _) => words.last_mut().expect("a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Commands of this program in what a shell is told.
fn in_block(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let all = joined.lines().flat_map(|line| line.split(['|', ';'])).flat_map(|line| line.split("&&"));
    let bare = all.map(|line| line.trim().trim_start_matches("$ "));
    bare.filter(|line| line.starts_with("tidegate ")).map(str::to_owned).collect()
}

/// Commands that are named in the text.
fn in_prose(prose: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in prose.split("\n\n") {
        let single = paragraph.split("``").step_by(2).collect::<Vec<_>>().join(" ");
        let spans = single.split('`').skip(1).step_by(2);
        let flat = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
        found.extend(flat.filter(|span| span.starts_with("tidegate ")));
    }
    found
}

/// What is wrong with a command line; in the text something may be left out.
fn wrong(line: &str, in_text: bool) -> Option<String> {
    let mut words = words(line);
    if in_text {
        words.iter_mut().for_each(|word| *word = word.trim_matches(['[', ']']).to_owned());
        words.retain(|word| !word.contains('…'));
        // What stands for a value may stand for a number.
        let stands = |word: &&mut String| word.chars().all(|c| c.is_ascii_uppercase());
        words.iter_mut().filter(stands).for_each(|word| *word = "1".into());
    }
    let error = tidegate::cli::commands().try_get_matches_from(&words).err()?;
    let left_out =
        [ErrorKind::MissingRequiredArgument, ErrorKind::MissingSubcommand, ErrorKind::InvalidValue];
    let shown = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayVersion,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let is_fine = shown.contains(&error.kind()) || in_text && left_out.contains(&error.kind());
    (!is_fine).then(|| format!("{line}: {error}"))
}

#[test]
fn every_command_line_is_taken() {
    let (mut seen, mut bad) = (0, Vec::new());
    for page in pages() {
        let (blocks, prose) = page.parts();
        let blocks = blocks.iter().filter(|block| !["toml", "text"].contains(&block.language.as_str()));
        let told = blocks.flat_map(|block| in_block(&block.text)).map(|line| (line, false));
        let named = in_prose(&prose).into_iter().map(|line| (line, true));
        for (line, in_text) in told.chain(named) {
            seen += 1;
            bad.extend(wrong(&line, in_text).map(|why| format!("{}: {why}", page.name.display())));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(seen > 80, "{seen}");
}

#[test]
fn what_is_not_there_is_seen() {
    for line in
        ["tidegate promot shop prod", "tidegate promote shop prod --lifted", "tidegate schema --out x"]
    {
        assert!(wrong(line, true).is_some(), "{line}");
    }
    assert!(wrong("tidegate rollback", true).is_none() && wrong("tidegate rollback", false).is_some());
    assert_eq!(in_block("cd x && tidegate why a \\\n  b # c\nxtidegate"), ["tidegate why a    b # c"]);
    assert_eq!(words("tidegate why a --why \"b c\" # d"), ["tidegate", "why", "a", "--why", "b c"]);
    assert_eq!(
        in_prose("a `tidegate\nstatus` ``b `c` `` and `tidegate why`"),
        ["tidegate status", "tidegate why"]
    );
}
