//! Holding a tree against the schema: unknown keys, wrong types, values that are not among those allowed, keys that are
//! missing. What is right comes out as a plain tree; what is wrong has been said and is left out, so that everything
//! else of the file can still be judged.

use super::codes::Code;
use super::places::Places;
use super::report::{Report, listed, nearest};
use super::sample::sample;
use super::schema::pipeline_schema;
use crate::domain::Severity;
use serde_json::Value;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Holds the tree of a file against the schema of pipelines. `whole`: whether what is not there is really missing.
pub(super) fn judge(root: &Spanned<DeTable<'_>>, whole: bool, report: &mut Report) -> toml::Table {
    let schema = pipeline_schema();
    report.places.note("", 0..0, 0..0);
    let mut walk = Walk { schema, whole, report };
    walk.table(root.get_ref(), 0..0, schema, "")
}

struct Walk<'a> {
    schema: &'a Value,
    whole: bool,
    report: &'a mut Report,
}

impl<'a> Walk<'a> {
    /// Follows a reference into the definitions.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        let name =
            reference.strip_prefix("#/$defs/").expect("BUG: the schema refers only to its own definitions");
        self.resolve(&self.schema["$defs"][name])
    }

    fn table(&mut self, table: &DeTable<'_>, at: Range<usize>, schema: &'a Value, path: &str) -> toml::Table {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = other_keys(schema);
        let mut clean = toml::Table::new();
        let mut meant = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if name.starts_with("x-") && others.is_none() {
                continue;
            }
            let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let Some(schema) = properties.and_then(|all| all.get(name)).or(others) else {
                meant.extend(self.unknown_key(name, key.span(), schema, path, table));
                continue;
            };
            self.report.places.note(&below, key.span(), value.span());
            if let Some(value) = self.value(value, self.resolve(schema), &below) {
                clean.insert(name.to_owned(), value);
            }
        }
        if self.whole {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            // What was only mistyped is not missing as well.
            let is_said = |key: &&str| table.contains_key(*key) || meant.contains(key);
            for key in required.filter_map(Value::as_str).filter(|key| !is_said(key)) {
                self.missing_key(key, at.clone(), properties.and_then(|all| all.get(key)), path);
            }
        }
        clean
    }

    /// A value that is right, or nothing once what is wrong with it has been said.
    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Value, path: &str) -> Option<toml::Value> {
        let at = value.span();
        if let Some(kinds) = tagged(schema) {
            return self.tagged_table(value, kinds, path);
        }
        let schema = self.fitting(value.get_ref(), schema);
        if !fits(value.get_ref(), schema) {
            self.wrong_type(value.get_ref(), at, schema, path);
            return None;
        }
        match value.get_ref() {
            DeValue::Table(table) => Some(toml::Value::Table(self.table(table, at, schema, path))),
            DeValue::Array(entries) => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if (entries.len() as u64) < least {
                    let message = format!("`{}` is empty", last_key(path));
                    self.report
                        .at(Code::Empty, Severity::Error, at, message)
                        .help("say at least one, or leave the key out");
                    return None;
                }
                Some(toml::Value::Array(self.entries(entries.iter(), schema, path)))
            }
            DeValue::String(text) => self.text(text, at, schema, path),
            DeValue::Integer(number) => self.integer(number, at, schema, path),
            DeValue::Boolean(yes) => Some(toml::Value::Boolean(*yes)),
            DeValue::Datetime(moment) => Some(toml::Value::Datetime(*moment)),
            DeValue::Float(number) => self.decimal(number.as_str(), at, schema, path),
        }
    }

    fn entries<'v, 'i: 'v>(
        &mut self,
        entries: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
        schema: &'a Value,
        path: &str,
    ) -> Vec<toml::Value> {
        let mut clean = Vec::new();
        let schema = schema.get("items").map(|items| self.resolve(items));
        for entry in entries {
            // Entries that are dropped do not count, so that paths name entries of the clean tree.
            let below = format!("{path}[{}]", clean.len());
            let mark = self.report.places.mark();
            self.report.places.note(&below, entry.span(), entry.span());
            match schema.and_then(|schema| self.value(entry, schema, &below)) {
                Some(value) => clean.push(value),
                None => self.report.places.drop_since(mark, path),
            }
        }
        clean
    }

    /// A table whose keys depend on its `kind`.
    fn tagged_table(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        kinds: &'a [Value],
        path: &str,
    ) -> Option<toml::Value> {
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("expected a table, found {}", described(value.get_ref()));
            self.report
                .at(Code::WrongType, Severity::Error, value.span(), message)
                .help(format!("write `[[{}]]`", headline(path)));
            return None;
        };
        let names: Vec<&str> = kinds.iter().filter_map(kind_of).collect();
        let Some(kind) = table.get("kind") else {
            if let Some(mistyped) = mistyped_kind(table, kinds) {
                let message =
                    format!("unknown key `{}` in {}", mistyped.get_ref(), place(path, &Value::Null));
                let problem = self.report.at(Code::UnknownKey, Severity::Error, mistyped.span(), message);
                problem.help("did you mean `kind`?");
            } else if self.whole {
                let message = "the key `kind` is missing";
                let problem = self.report.at(Code::MissingKey, Severity::Error, value.span(), message);
                problem
                    .help(format!("say kind = \"command\" with a `run`; the kinds are {}", listed(&names)));
            }
            return None;
        };
        let said = kind.get_ref().as_str();
        match said.and_then(|said| kinds.iter().find(|schema| kind_of(schema) == Some(said))) {
            Some(schema) => Some(toml::Value::Table(self.table(table, value.span(), schema, path))),
            None => {
                let found =
                    said.map_or_else(|| described(kind.get_ref()).to_owned(), |said| format!("`{said}`"));
                let message = format!("there is no gate of kind {found}");
                let problem = self.report.at(Code::UnknownValue, Severity::Error, kind.span(), message);
                problem.nearest(said.unwrap_or_default(), names);
                None
            }
        }
    }

    /// Of several forms that a value may have, the one that this value has.
    fn fitting(&self, value: &DeValue<'_>, schema: &'a Value) -> &'a Value {
        let Some(forms) = schema.get("anyOf").and_then(Value::as_array) else { return schema };
        let mut forms = forms.iter().map(|form| self.resolve(form));
        forms.find(|form| fits(value, form)).unwrap_or(schema)
    }

    fn text(&mut self, text: &str, at: Range<usize>, schema: &'a Value, path: &str) -> Option<toml::Value> {
        if let Some(allowed) = choices(schema)
            && !allowed.contains(&text)
        {
            let message = format!("`{}` cannot be `{text}`", last_key(path));
            self.report.at(Code::UnknownValue, Severity::Error, at, message).nearest(text, allowed);
            return None;
        }
        if text.is_empty() && schema.get("minLength").is_some() {
            let message = format!("`{}` is empty", last_key(path));
            self.report
                .at(Code::Empty, Severity::Error, at, message)
                .help("say something, or leave the key out");
            return None;
        }
        Some(toml::Value::String(text.to_owned()))
    }

    fn integer(
        &mut self,
        number: &DeInteger<'_>,
        at: Range<usize>,
        schema: &'a Value,
        path: &str,
    ) -> Option<toml::Value> {
        if wants_decimal(schema) {
            // In whatever base it is written.
            let value = i64::from_str_radix(number.as_str(), number.radix());
            let text = value.map_or_else(|_| number.to_string(), |value| value.to_string());
            return self.decimal(&text, at, schema, path);
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64).map(|bound| bound as i64);
        let (least, most) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        match value.filter(|value| (least..=most).contains(value)) {
            Some(value) => Some(toml::Value::Integer(value)),
            None => {
                let message = format!("`{}` cannot be {number}", last_key(path));
                let help = format!("write a number from {least} to {most}");
                self.report.at(Code::OutOfRange, Severity::Error, at, message).help(help);
                None
            }
        }
    }

    /// A number that may have a point.
    fn decimal(
        &mut self,
        text: &str,
        at: Range<usize>,
        schema: &'a Value,
        path: &str,
    ) -> Option<toml::Value> {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let (least, most) = (bound("minimum").unwrap_or(f64::MIN), bound("maximum").unwrap_or(f64::MAX));
        let value = text.replace('_', "").parse::<f64>().ok();
        match value.filter(|value| (least..=most).contains(value)) {
            Some(value) => Some(toml::Value::Float(value)),
            None => {
                let message = format!("`{}` cannot be {text}", last_key(path));
                let help = format!("write a number from {least} to {most}");
                self.report.at(Code::OutOfRange, Severity::Error, at, message).help(help);
                None
            }
        }
    }

    /// Says it; what was probably meant, if that is not there as well.
    fn unknown_key(
        &mut self,
        name: &str,
        at: Range<usize>,
        schema: &'a Value,
        path: &str,
        table: &DeTable<'_>,
    ) -> Option<&'a str> {
        if self.report.is_full() {
            self.report.at(Code::UnknownKey, Severity::Error, at, "");
            return None;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> =
            properties.into_iter().flat_map(|all| all.keys().map(String::as_str)).collect();
        let unsaid: Vec<&str> = known.iter().copied().filter(|key| !table.contains_key(*key)).collect();
        let meant = nearest(name, &unsaid);
        let near = meant.or_else(|| nearest(name, &known));
        let help = match (near, self.homes(name).as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => format!("the keys here are {}", listed(&known)),
            (None, [homes @ .., last]) if !homes.is_empty() => {
                format!("`{name}` belongs in {} or {last}", homes.join(", "))
            }
            (None, homes) => format!("`{name}` belongs in {}", homes.concat()),
        };
        let message = format!("unknown key `{name}` in {}", place(path, schema));
        self.report.at(Code::UnknownKey, Severity::Error, at, message).help(help);
        meant
    }

    fn missing_key(&mut self, key: &str, at: Range<usize>, schema: Option<&'a Value>, path: &str) {
        let schema = schema.map(|schema| (self.resolve(schema), schema.get("description")));
        let message = format!("the key `{key}` is missing in {}", place(path, &Value::Null));
        let problem = self.report.at(Code::MissingKey, Severity::Error, at, message);
        let Some((form, about)) = schema else { return };
        let about = about.or(form.get("description")).and_then(Value::as_str).unwrap_or_default();
        let about =
            about.split_once(". ").map_or(about, |(first, _)| first).trim_end_matches('.').replace('\n', " ");
        let written = match form.get("type").and_then(Value::as_str) {
            Some("object") => format!("[{key}]"),
            Some("array") if form["items"].get("$ref").is_some() => format!("[[{key}]]"),
            _ => format!("{key} = …"),
        };
        problem.help(format!("add `{written}`: {}", lower_first(&about)));
    }

    fn wrong_type(&mut self, value: &DeValue<'_>, at: Range<usize>, schema: &'a Value, path: &str) {
        let expected = self.expected(schema);
        let key = last_key(path);
        let message = format!("`{key}` must be {expected}, not {}", described(value));
        let wants = |kind: &str| expected.contains(kind);
        let help = match value {
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_)
                if wants("text") =>
            {
                let sample = sample(schema, &|at| self.resolve(at));
                Some(match sample.filter(|sample| sample.starts_with('"')) {
                    Some(sample) => format!("put it in quotes, as in {key} = {sample}"),
                    None => "put it in quotes".to_owned(),
                })
            }
            DeValue::String(text) if wants("a whole number") && text.parse::<i64>().is_ok() => {
                Some(format!("write it without quotes: {key} = {text}"))
            }
            DeValue::String(text) if expected == "a number" && text.parse::<f64>().is_ok() => {
                Some(format!("write it without quotes: {key} = {text}"))
            }
            DeValue::String(text) if wants("true or false") && ["true", "false"].contains(&text.as_ref()) => {
                Some(format!("write it without quotes: {key} = {text}"))
            }
            DeValue::String(_) if wants("a date") => {
                Some("write it without quotes: 2026-12-19T00:00:00+01:00".into())
            }
            DeValue::String(text) if wants("a list of texts") => {
                Some(format!("write {key} = [{}]", words_of(key, text).join(", ")))
            }
            DeValue::Table(_) if wants("a list of tables") => {
                Some(format!("write `[[{}]]`, with two brackets", headline(path)))
            }
            DeValue::Array(_) if wants("a table") => {
                Some(format!("write `[{}]`, with one bracket: there is only one", headline(path)))
            }
            _ => None,
        };
        let sample = || sample(schema, &|at| self.resolve(at));
        let help = help.unwrap_or_else(|| match sample().filter(|_| wants("a table")) {
            Some(sample) => format!("write a table here, as in {key} = {sample}, or leave `{key}` out"),
            None => format!("write {expected} here, or leave `{key}` out"),
        });
        self.report.at(Code::WrongType, Severity::Error, at, message).help(help);
    }

    /// What a schema expects, in words.
    fn expected(&self, schema: &'a Value) -> String {
        if let Some(forms) = schema.get("anyOf").and_then(Value::as_array) {
            let forms: Vec<String> = forms.iter().map(|form| self.expected(self.resolve(form))).collect();
            return forms.join(" or ");
        }
        match schema.get("type").and_then(Value::as_str) {
            _ if schema.get("format").is_some_and(|format| format == "date-time") => "a date and time".into(),
            Some("integer") => "a whole number".into(),
            Some("number") => "a number".into(),
            Some("boolean") => "true or false".into(),
            Some("object") => "a table".into(),
            Some("array") => {
                let entries = schema.get("items").map(|items| self.resolve(items));
                match entries.map(|entries| (self.expected(entries), tagged(entries))) {
                    Some((_, Some(_))) => "a list of tables".into(),
                    Some((entry, None)) => match entry.as_str() {
                        "text" => "a list of texts".into(),
                        "a table" => "a list of tables".into(),
                        other => format!("a list with {other} for each entry"),
                    },
                    None => "a list".into(),
                }
            }
            _ => "text".into(),
        }
    }

    /// The tables in which a key of that name is known.
    fn homes(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.homes_below(name, self.schema, "", &mut found);
        found.dedup();
        found
    }

    fn homes_below(&self, name: &str, schema: &'a Value, path: &str, found: &mut Vec<String>) {
        let tables = tagged(schema).unwrap_or(std::slice::from_ref(schema));
        let is_of_all = tables.iter().all(|table| table["properties"].get(name).is_some());
        for table in tables {
            for (key, below) in table.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if key == name && !path.is_empty() {
                    let kind = kind_of(table).filter(|_| !is_of_all);
                    let kind = kind.map(|kind| format!(" of kind `{kind}`")).unwrap_or_default();
                    found.push(format!("`{path}`{kind}"));
                }
                let below = self.resolve(below);
                let inner = match path {
                    "" => key.clone(),
                    path => format!("{}.{key}", path.trim_matches(['[', ']'])),
                };
                match below.get("items").map(|items| self.resolve(items)) {
                    Some(items) => self.homes_below(name, items, &format!("[[{inner}]]"), found),
                    None => self.homes_below(name, below, &format!("[{inner}]"), found),
                }
            }
        }
    }
}

/// A key that no kind knows and that may be `kind`.
fn mistyped_kind<'t, 'i>(
    table: &'t DeTable<'i>,
    kinds: &[Value],
) -> Option<&'t Spanned<std::borrow::Cow<'i, str>>> {
    let is_known = |key: &str| kinds.iter().any(|kind| kind["properties"].get(key).is_some());
    table.keys().find(|key| {
        let name = key.get_ref().as_ref();
        !is_known(name) && !name.starts_with("x-") && nearest(name, &["kind"]).is_some()
    })
}

/// How the header of a table is written that is meant by this line, if one can be told: `[[ter.gate]` is `[[tier.gate]]`.
pub(super) fn header(line: &str) -> Option<String> {
    let walk = Walk { schema: pipeline_schema(), whole: true, report: &mut Report::new(Places::default()) };
    let inner = line.split('#').next()?.trim().trim_start_matches('[').trim_end_matches(']').trim();
    let mut schema = walk.schema;
    let mut keys = Vec::new();
    let mut is_list = false;
    for word in inner.split('.') {
        let tables = tagged(schema).unwrap_or(std::slice::from_ref(schema));
        let properties = tables.iter().filter_map(|table| table.get("properties")?.as_object());
        let below: Vec<(&str, &Value)> =
            properties.flatten().map(|(key, below)| (key.as_str(), below)).collect();
        let names: Vec<&str> = below.iter().map(|(name, _)| *name).collect();
        let word = word.trim();
        let name = names.iter().copied().find(|name| *name == word).or_else(|| nearest(word, &names))?;
        let found = walk.resolve(below.iter().find(|(key, _)| *key == name)?.1);
        keys.push(name);
        is_list = found.get("items").is_some();
        schema = found.get("items").map_or(found, |items| walk.resolve(items));
    }
    let path = keys.join(".");
    Some(if is_list { format!("[[{path}]]") } else { format!("[{path}]") })
}

/// The forms of a table that is told apart by its `kind`.
fn tagged(schema: &Value) -> Option<&[Value]> {
    let forms = schema.get("oneOf")?.as_array()?;
    forms.first().and_then(kind_of).map(|_| forms.as_slice())
}

/// What keys may stand for beside those that have a name: in `[env]`, any variable.
fn other_keys(schema: &Value) -> Option<&Value> {
    let patterns = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    let by_pattern = patterns.filter(|(pattern, _)| *pattern != "^x-").map(|(_, schema)| schema).next();
    by_pattern.or_else(|| schema.get("additionalProperties")).filter(|others| others.is_object())
}

fn kind_of(schema: &Value) -> Option<&str> {
    schema.get("properties")?.get("kind")?.get("const")?.as_str()
}

/// The words that a text may be.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    let mut all = Vec::new();
    let branches = schema.get("oneOf").and_then(Value::as_array);
    let single = [schema];
    for branch in branches.into_iter().flatten().chain(single) {
        all.extend(branch.get("const").and_then(Value::as_str));
        all.extend(
            branch.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str),
        );
    }
    (!all.is_empty()).then_some(all)
}

/// Whether a value has the type that a schema asks for.
fn fits(value: &DeValue<'_>, schema: &Value) -> bool {
    let kind = schema.get("type").and_then(Value::as_str);
    let is_moment = schema.get("format").is_some_and(|format| format == "date-time");
    match value {
        DeValue::String(_) => !is_moment && (kind == Some("string") || choices(schema).is_some()),
        DeValue::Integer(_) => kind == Some("integer") || wants_decimal(schema),
        DeValue::Boolean(_) => kind == Some("boolean"),
        DeValue::Array(_) => kind == Some("array"),
        DeValue::Table(_) => kind == Some("object"),
        DeValue::Datetime(_) => is_moment,
        DeValue::Float(_) => wants_decimal(schema),
    }
}

/// Whether a number may have a point there.
fn wants_decimal(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "number")
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// "Where commits come from" → "where commits come from".
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// `tier[1].gate[0].kind` → `kind`.
fn last_key(path: &str) -> &str {
    let key = path.rsplit('.').next().unwrap_or(path);
    key.split('[').next().unwrap_or(key)
}

/// `tier[1].gate[0]` → `tier.gate`.
fn headline(path: &str) -> String {
    let keys: Vec<&str> = path.split('.').map(|key| key.split('[').next().unwrap_or(key)).collect();
    keys.join(".")
}

/// The table at a path, for people.
fn place(path: &str, schema: &Value) -> String {
    let kind = kind_of(schema).map(|kind| format!(" of kind `{kind}`")).unwrap_or_default();
    match path {
        "" => "the pipeline".into(),
        path if path.ends_with(']') => format!("`[[{}]]`{kind}", headline(path)),
        path => format!("`[{}]`{kind}", headline(path)),
    }
}

/// A text as the entries of a list: a command is split into its words, or given to a shell where it is written for one.
fn words_of(key: &str, text: &str) -> Vec<String> {
    let quoted = |word: &str| format!("{word:?}");
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+ ".contains(c);
    match key {
        "command" if !text.chars().all(is_plain) => ["sh", "-c", text].map(quoted).to_vec(),
        "command" | "args" => text.split_whitespace().map(quoted).collect(),
        _ => vec![quoted(text)],
    }
}
