//! A command given as one text, split into words: quotes and backslashes as a shell reads them, and nothing else of a
//! shell, because no shell is going to see it.

/// The words of `text`; `None` when a quote is not closed or a backslash stands at the end.
pub fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => loop {
                let word = word.get_or_insert_default();
                match rest.next()? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '"' => in_double_quotes(&mut rest, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(rest.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

fn in_double_quotes(rest: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '"' => return Some(()),
            '\\' => match rest.next()? {
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_a_shells_and_nothing_else_is() {
        let table: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("  ssh \t-F /etc/x ", Some(&["ssh", "-F", "/etc/x"])),
            ("ssh -F '/a b' \"c d\"e", Some(&["ssh", "-F", "/a b", "c de"])),
            (r#"a\ b "x\"y\z" ''"#, Some(&["a b", r#"x"y\z"#, ""])),
            ("$(id) `id` ; a|b", Some(&["$(id)", "`id`", ";", "a|b"])),
            ("'open", None),
            ("\"open", None),
            ("end\\", None),
        ];
        for (text, words) in table {
            let expected = words.map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
            assert_eq!(split_words(text), expected, "{text}");
        }
    }
}
