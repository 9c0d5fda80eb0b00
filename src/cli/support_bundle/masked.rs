//! What of a JSON may be shown to a stranger: by a list of what may, never of what may not. A text stays only where its
//! key is on the list and it looks like what stands there; of every other one only the codes in it stay. Whatever a later
//! release adds is hidden until somebody puts it on the list.

use crate::cli::explain;
use serde_json::{Map, Value};

/// What stands where something was.
pub(super) const HIDDEN: &str = "***";

/// The longest text that stays: names, labels, times and digests are shorter.
const LONGEST: usize = 128;

/// Keys whose texts stay: names that people give to parts of a pipeline, labels, commits, digests, times, spans, and the
/// words of our own lists. No key is here under which a person or a program writes freely.
const SHOWN: &[&str] = &[
    "action",
    "adopting",
    "after",
    "age",
    "at",
    "begun",
    "by",
    "by_sha",
    "by_version",
    "class",
    "classification",
    "code",
    "confirm_within",
    "confirmed_by",
    "current",
    "digest",
    "due",
    "end",
    "ended",
    "engine",
    "every",
    "expires",
    "file",
    "forge",
    "from",
    "gate",
    "grace",
    "healthy_for",
    "instance",
    "key",
    "kind",
    "kinds",
    "level",
    "log_ref",
    "log_sha256",
    "max_age",
    "measured_at",
    "method",
    "mode",
    "name",
    "needs",
    "node",
    "nodes",
    "not_before",
    "on",
    "on_crash",
    "on_failure",
    "on_newer",
    "opens",
    "outcome",
    "phase",
    "pick",
    "pipeline",
    "poll",
    "ref",
    "refs",
    "release",
    "require",
    "result",
    "role",
    "roles",
    "rollback_to",
    "route",
    "sandbox",
    "severity",
    "sha",
    "sha256",
    "sha_aborted",
    "signal",
    "since",
    "soak",
    "stage",
    "status",
    "step",
    "taken_at",
    "task",
    "tier",
    "tiers",
    "timeout",
    "to",
    "unsupported",
    "until",
    "version",
    "versions",
    "wait",
    "was",
    "within",
    "zone",
];

/// Keys below which nothing stays but other keys and how many there are: what people fill freely.
const CLOSED: &[&str] = &["env", "secrets", "tests", "event", "args", "notices", "upload"];

/// The same without what may be secret.
pub(super) fn json(value: &Value) -> Value {
    below("", value)
}

fn below(key: &str, value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => Value::String(string(key, text)),
        Value::Array(values) => values.iter().map(|value| below(key, value)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| field(key, value)).collect::<Map<_, _>>().into()
        }
    }
}

fn field(key: &str, value: &Value) -> (String, Value) {
    let shown = if is_plain(key) { key.to_owned() } else { HIDDEN.to_owned() };
    match CLOSED.contains(&key) {
        true => (shown, closed(value)),
        false => (shown, below(key, value)),
    }
}

fn closed(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => HIDDEN.into(),
        Value::Array(values) => values.iter().map(closed).collect(),
        Value::Object(fields) => {
            let plain = |key: &str| if is_plain(key) { key.to_owned() } else { HIDDEN.to_owned() };
            fields.iter().map(|(key, value)| (plain(key), closed(value))).collect::<Map<_, _>>().into()
        }
    }
}

/// A text as it may be shown where that key stands.
pub(super) fn string(key: &str, text: &str) -> String {
    match key {
        "repo" => address(text),
        _ if SHOWN.contains(&key) && is_plain(text) => text.to_owned(),
        _ => with_codes(text),
    }
}

/// Whether it looks like a name, a label, a ref, a digest or a time.
fn is_plain(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-:/".contains(&byte);
    text.len() <= LONGEST && text.bytes().all(is_good) && !text.contains("//")
}

/// The scheme and the host of an address, which say where it fails; nothing else of it.
pub(super) fn address(text: &str) -> String {
    if text.starts_with('/') {
        return format!("/{HIDDEN}");
    }
    let Some((scheme, rest)) = text.split_once("://") else { return HIDDEN.into() };
    if !["https", "http", "ssh", "git", "file"].contains(&scheme) {
        return HIDDEN.into();
    }
    let hidden = format!("{scheme}://{HIDDEN}");
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_host = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    // With an `@` behind it what stands in front may well be a part of the credentials.
    if !is_host || !port.bytes().all(|byte| byte.is_ascii_digit()) || path.contains('@') {
        return hidden;
    }
    format!("{scheme}://{host}/{HIDDEN}")
}

/// A hidden text, with the codes in it, of which each has a page.
fn with_codes(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let codes: Vec<&str> = words.filter(|word| is_code(word)).collect();
    match (text.is_empty(), codes.is_empty()) {
        (true, _) => String::new(),
        (false, true) => HIDDEN.into(),
        (false, false) => format!("{HIDDEN} [{}]", codes.join(", ")),
    }
}

/// Whether it is a code as it is written: the page about it is public.
fn is_code(word: &str) -> bool {
    word.starts_with("TG-") && explain::find(word).is_some_and(|entry| entry.code == word)
}

/// Numbers in the text format of Prometheus, with labels of which only what is on the list stays.
pub(super) fn metrics(text: &str) -> String {
    text.lines()
        .map(|line| if line.starts_with('#') { line.to_owned() } else { sample(line) } + "\n")
        .collect()
}

fn sample(line: &str) -> String {
    let Some((name, rest)) = line.split_once('{') else { return line.to_owned() };
    let Some((mut labels, value)) = rest.rsplit_once('}') else { return HIDDEN.into() };
    let mut shown = Vec::new();
    while let Some((key, rest)) = labels.split_once("=\"") {
        let end = quote(rest);
        shown.push(format!("{key}=\"{}\"", string(key, &rest[..end])));
        labels = rest.get(end + 1..).unwrap_or_default().trim_start_matches(',');
    }
    format!("{name}{{{}}}{value}", shown.join(","))
}

/// Where a quoted text ends.
fn quote(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_stays_only_below_a_key_that_is_listed_and_only_if_it_looks_like_it() {
        let shown = json(&json!({
            "kind": "gate_done", "tier": "prod", "message": "password=hunter2", "name": "two words",
            "elapsed_ms": 7, "cause": "failed [TG-GIT-002]: hunter2", "novel": "x",
        }));
        let due = json!({
            "kind": "gate_done", "tier": "prod", "message": "***", "name": "***",
            "elapsed_ms": 7, "cause": "*** [TG-GIT-002]", "novel": "***",
        });
        assert_eq!(shown, due);
    }

    #[test]
    fn of_what_people_fill_freely_only_keys_stay_whatever_they_are_called() {
        let shown = json(&json!({
            "env": { "name": "hunter2", "version": "hunter2", "hunter 2": "x" },
            "secrets": { "KEY": { "file": "/etc/hunter2" } },
            "event": { "kind": "output", "key": "token", "value": "hunter2" },
        }));
        assert!(!shown.to_string().contains("hunter"), "{shown}");
        assert_eq!(shown["env"]["name"], "***");
        assert_eq!(shown["secrets"]["KEY"]["file"], "***");
    }

    #[test]
    fn of_an_address_only_scheme_and_host_stay() {
        for (text, due) in [
            ("https://ann:hunter2@forge.example.org:8443/a/b.git?x=y", "https://forge.example.org:8443/***"),
            ("https://forge.example.org", "https://forge.example.org/***"),
            ("https://ann:hun/ter2@forge.example.org/a", "https://***"),
            ("https://hunter/2@forge.example.org/a", "https://***"),
            ("https://ann:hunter2", "https://***"),
            ("ssh://git@forge.example.org/a", "ssh://forge.example.org/***"),
            ("git@forge.example.org:a/b.git", "***"),
            ("hunter2://x", "***"),
            ("/srv/git/shop.git", "/***"),
        ] {
            assert_eq!(address(text), due, "{text}");
        }
    }

    #[test]
    fn labels_of_numbers_are_judged_like_other_texts() {
        let text =
            "# HELP a b\na 1\nb{pipeline=\"shop\",url=\"https://x/}\\\",kind=\\\"\",kind=\"run\"} 2.5\n";
        assert_eq!(metrics(text), "# HELP a b\na 1\nb{pipeline=\"shop\",url=\"***\",kind=\"run\"} 2.5\n");
    }
}
