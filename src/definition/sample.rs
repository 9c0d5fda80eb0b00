//! What could stand at a key, out of its schema: an example that it names, else its default, else what its kind says.

use serde_json::Value;

/// A value as TOML writes it; `resolve` follows references. None: nothing short can be said.
pub(super) fn sample<'a>(schema: &'a Value, resolve: &impl Fn(&'a Value) -> &'a Value) -> Option<String> {
    let form = resolve(schema);
    let named = [schema, form].into_iter().find_map(|at| at["examples"].get(0).or(at.get("default")));
    if let Some(value) = named.filter(|value| !value.is_null()) {
        return written(value);
    }
    if let Some(first) = form["enum"].get(0).or_else(|| form["oneOf"].get(0).and_then(|one| one.get("const")))
    {
        return written(first);
    }
    let properties = form.get("properties")?.as_object()?;
    let required = form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut keys: Vec<&str> = required.collect();
    if keys.is_empty() {
        keys.extend(properties.keys().next().map(String::as_str));
    }
    let of = |key: &&str| Some(format!("{key} = {}", sample(properties.get(*key)?, resolve)?));
    let all: Option<Vec<String>> = keys.iter().map(of).collect();
    all.filter(|all| !all.is_empty()).map(|all| format!("{{ {} }}", all.join(", ")))
}

fn written(value: &Value) -> Option<String> {
    let value = toml::Value::try_from(value).ok()?;
    let inline = match &value {
        toml::Value::Table(table) => {
            let of = |(key, value): (&String, &toml::Value)| format!("{key} = {value}");
            format!("{{ {} }}", table.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    (!inline.contains('\n')).then_some(inline)
}
