//! What an edit changes in a pipeline file, key by key and in its author's own words. Whether two files mean the same is
//! told by their digests: this is only for people who want to see what they did.

use crate::domain::plan::KeyChange;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// What differs between two texts of a pipeline. Tables of an array that have a `name` (or a `kind` that stands for it)
/// are compared by that, and named by it; one that is only in one of the texts is left to whoever says what is new and
/// what is gone. A text that is no TOML has no keys.
pub fn differences(before: &str, after: &str) -> Vec<KeyChange> {
    let table = |text: &str| text.parse::<Table>().unwrap_or_default();
    let mut found = Vec::new();
    tables("", &table(before), &table(after), &mut found);
    found
}

fn tables(path: &str, before: &Table, after: &Table, found: &mut Vec<KeyChange>) {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    for key in after.keys().chain(gone) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        values(&path, before.get(key), after.get(key), found);
    }
}

fn values(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<KeyChange>) {
    let nothing = Table::new();
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        // A table that comes or goes is told by its keys.
        (Some(Value::Table(before)), Some(Value::Table(after))) => tables(path, before, after, found),
        (None, Some(Value::Table(after))) if !after.is_empty() => tables(path, &nothing, after, found),
        (Some(Value::Table(before)), None) if !before.is_empty() => tables(path, before, &nothing, found),
        (before, after) => match (named(before), named(after)) {
            (Some(before), Some(after)) => of_names(path, &before, &after, found),
            _ => found.push(KeyChange {
                key: path.to_owned(),
                before: before.map(Value::to_string),
                after: after.map(Value::to_string),
            }),
        },
    }
}

/// The tables of an array by their names; nothing: it is no such array. None at all is an array without any.
fn named(value: Option<&Value>) -> Option<Vec<(&str, &Table)>> {
    let Some(value) = value else { return Some(Vec::new()) };
    let all: Option<Vec<_>> = value.as_array()?.iter().map(|one| one.as_table().and_then(name)).collect();
    let all = all.filter(|all| !all.is_empty())?;
    let distinct: BTreeSet<_> = all.iter().map(|(name, _)| *name).collect();
    (distinct.len() == all.len()).then_some(all)
}

fn name(table: &Table) -> Option<(&str, &Table)> {
    let word = table.get("name").or_else(|| table.get("kind"))?;
    Some((word.as_str()?, table))
}

fn of_names(path: &str, before: &[(&str, &Table)], after: &[(&str, &Table)], found: &mut Vec<KeyChange>) {
    let known = |name: &str| before.iter().find(|(other, _)| *other == name);
    for (name, after) in after {
        let was = after.get("was").and_then(Value::as_str);
        if let Some((_, before)) = known(name).or_else(|| known(was?)) {
            tables(&format!("{path}.{name}"), before, after, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"
        name = "shop"
        [env]
        A = "1"
        [[tier]]
        name = "prod"
        promote = { soak = "24h", mode = "auto" }
        [[tier.gate]]
        kind = "cargo_test"
        [[tier.node]]
        name = "a1"
        ssh = "a1"
    "#;

    fn said(before: &str, after: &str) -> Vec<String> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let all = differences(before, after).into_iter();
        all.map(|one| format!("{}: {} > {}", one.key, shown(one.before), shown(one.after))).collect()
    }

    #[test]
    fn keys_are_named_with_what_they_were_and_what_they_are() {
        let after = BEFORE
            .replace("24h", "48h")
            .replace(", mode = \"auto\"", "")
            .replace("A = \"1\"", "A = \"1\"\nB = [1, 2]")
            .replace("kind = \"cargo_test\"", "kind = \"cargo_test\"\nargs = [\"--all\"]");
        let expected = [
            "env.B: - > [1, 2]",
            "tier.prod.promote.soak: \"24h\" > \"48h\"",
            "tier.prod.promote.mode: \"auto\" > -",
            "tier.prod.gate.cargo_test.args: - > [\"--all\"]",
        ];
        assert_eq!(said(BEFORE, &after), expected);
    }

    #[test]
    fn layout_comments_and_order_are_no_differences() {
        let after = "[env]\nA = '1' # one\n[[tier]]\npromote.mode = \"auto\"\npromote.soak = \"24h\"\nname = \"prod\"\n\
            node = [{ ssh = \"a1\", name = \"a1\" }]\ngate = [{ kind = \"cargo_test\" }]\n";
        assert!(said(BEFORE, &format!("name = \"shop\"\n{after}")).is_empty());
    }

    #[test]
    fn what_was_renamed_is_compared_with_what_it_was() {
        let after = BEFORE.replace("name = \"a1\"", "name = \"b1\"\nwas = \"a1\"");
        let expected = ["tier.prod.node.b1.name: \"a1\" > \"b1\"", "tier.prod.node.b1.was: - > \"a1\""];
        assert_eq!(said(BEFORE, &after), expected);
    }

    #[test]
    fn what_is_new_or_gone_as_a_whole_is_left_to_others() {
        let gone = BEFORE.replace("[[tier.gate]]", "").replace("kind = \"cargo_test\"", "");
        assert!(said(BEFORE, &gone).is_empty() && said(&gone, BEFORE).is_empty());
        assert_eq!(said("no toml", "name = \"x\""), ["name: - > \"x\""]);
    }

    #[test]
    fn an_array_whose_tables_have_no_names_is_one_value() {
        let with = |from: &str| format!("[[schedule]]\ncron = \"{from}\"\n");
        assert_eq!(
            said(&with("0 1 * * *"), &with("0 2 * * *")),
            ["schedule: [{ cron = \"0 1 * * *\" }] > [{ cron = \"0 2 * * *\" }]"]
        );
    }
}
