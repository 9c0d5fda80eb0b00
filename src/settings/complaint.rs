//! What the parser says of `tidegate.toml`, for people: it names types of a programming language, not what to write.

/// Keys that take a length of time, and those that take a size.
const SPANS: [&str; 4] = ["drain", "stall", "logs", "events"];
const SIZES: [&str; 2] = ["log_limit", "min_free"];

/// The words for it, and the way out. `key` is what stands before the value that is complained of.
pub(super) fn in_words(message: &str, key: &str) -> (String, String) {
    if let Some((unknown, known)) = unknown(message) {
        let is_key = message.starts_with("unknown field");
        let what = if is_key {
            format!("there is no key `{unknown}` here")
        } else {
            format!("`{unknown}` is no value of `{key}`")
        };
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let help = match nearest(unknown, &known) {
            Some(near) => format!("did you mean `{near}`? There are {list}"),
            None => format!("there are {list}"),
        };
        return (what, help);
    }
    let given = given(message);
    let number = given.filter(|given| given.bytes().all(|byte| byte.is_ascii_digit()));
    let example = |unit: &str, usual: &str| match number {
        Some(number) => format!("write it in quotes, with its unit: {key} = \"{number}{unit}\""),
        None => format!("write for example {key} = \"{usual}\""),
    };
    let correct = || "correct the line, then start again".to_owned();
    let Some((_, wanted)) = message.split_once(", expected ").filter(|_| message.starts_with("invalid "))
    else {
        let help = match message.starts_with("missing field `secret`") {
            true => "say where the secret is: secret = { file = \"…\" } or { env = \"…\" }".to_owned(),
            false => correct(),
        };
        return (message.to_owned(), help);
    };
    match wanted {
        "a string" if SPANS.contains(&key) => {
            (format!("`{key}` is a length of time, as text"), example("s", "90s"))
        }
        "a string" if SIZES.contains(&key) => {
            (format!("`{key}` is a size, as text"), example("MiB", "100MiB"))
        }
        "a string" | "path string" => (format!("`{key}` is text"), "put it in quotes".to_owned()),
        "usize" => (format!("`{key}` is a whole number, at least 1"), format!("write for example {key} = 4")),
        "a boolean" => (format!("`{key}` is true or false"), "write it without quotes".to_owned()),
        "a sequence" => (format!("`{key}` is a list of texts"), format!("write {key} = [\"…\"]")),
        _ if wanted.starts_with("struct ") => {
            (format!("`{key}` is a table"), format!("write `[{key}]`, and its keys below"))
        }
        _ => (message.to_owned(), correct()),
    }
}

/// What the parser does not know, and what it knows, each in backticks.
fn unknown(message: &str) -> Option<(&str, Vec<&str>)> {
    let list =
        message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))?;
    let mut names = list.split('`').step_by(2);
    Some((names.next()?, names.filter(|name| !name.is_empty()).collect()))
}

/// The nearest of them, if one is near.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let distances = known.iter().map(|known| (strsim::damerau_levenshtein(unknown, known), *known));
    let near = distances.filter(|(distance, known)| *distance <= known.len().max(unknown.len()) / 3 + 1);
    near.min().map(|(_, known)| known)
}

/// The value that was given, as the parser repeats it.
fn given(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_write_is_said_in_the_words_of_the_file() {
        let said = |message: &str, key: &str| {
            let (what, help) = in_words(message, key);
            format!("{what}; {help}")
        };
        for (message, key, words) in [
            (
                "invalid type: integer `60`, expected a string",
                "drain",
                "`drain` is a length of time, as text; write it in quotes, with its unit: drain = \"60s\"",
            ),
            (
                "invalid type: integer `5`, expected a string",
                "min_free",
                "`min_free` is a size, as text; write it in quotes, with its unit: min_free = \"5MiB\"",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "versions",
                "`versions` is a whole number, at least 1; write for example versions = 4",
            ),
            (
                "invalid type: string \"x\", expected a sequence",
                "hosts",
                "`hosts` is a list of texts; write hosts = [\"…\"]",
            ),
            (
                "unknown field `foo`, expected one of `versions`, `logs`",
                "foo",
                "there is no key `foo` here; there are `versions`, `logs`",
            ),
            (
                "unknown field `version`, expected one of `versions`, `logs`",
                "version",
                "there is no key `version` here; did you mean `versions`? There are `versions`, `logs`",
            ),
            (
                "unknown variant `opn`, expected `open` or `token`",
                "read",
                "`opn` is no value of `read`; did you mean `open`? There are `open`, `token`",
            ),
            (
                "invalid type: integer `5`, expected struct RetentionFile",
                "retention",
                "`retention` is a table; write `[retention]`, and its keys below",
            ),
        ] {
            assert_eq!(said(message, key), words);
        }
    }
}
