//! `GET /openapi.json`: the table of paths as OpenAPI 3.1. The types are described by the same derive that serves the
//! schemas of files and events, as JSON Schema 2020-12.

use super::actions::Verb;
use super::operations::{Answer, Content, Operation, Parameter, Shape};
use super::problem::ProblemBody;
use super::routes::{ROUTES, Rule};
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The version of this interface: another one when something is renamed or taken away.
const VERSION: &str = "1";

/// What all of it is about.
const ABOUT: &str = "Versions on their way through tiers. Everything that is wrong is answered with RFC 9457 problems. \
    Every change needs a token, and is answered when it is durable. Reading needs none on the controller's own machine, \
    unless it is told otherwise. A token may be limited to pipelines: the others are not there for it. It may be limited in \
    where it acts: beyond that it is refused with 403 and `TG-AUTH-010`.";

/// The description of everything that the controller answers, as OpenAPI 3.1. Made once.
pub fn description() -> &'static Value {
    static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| Writer::new().write());
    &DESCRIPTION
}

/// Answers with it.
pub(super) async fn answer() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| description().to_string().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}

struct Writer {
    /// Of what is sent to us.
    asked: SchemaGenerator,
    /// Of what we send.
    answered: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Writer {
    fn new() -> Writer {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Writer {
            asked: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
            paths: Map::new(),
        }
    }

    fn write(mut self) -> Value {
        for (path, allow, rule, operation) in ROUTES {
            for (path, verb) in spelled_out(path, operation) {
                let item = allow.split(", ").map(|method| {
                    let described = self.operation(method, &path, *rule, operation, verb);
                    (method.to_ascii_lowercase(), described)
                });
                let item: Map<String, Value> = item.collect();
                self.paths.insert(path, Value::Object(item));
            }
        }
        let problem = self.answered.subschema_for::<ProblemBody<'_>>();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "tidegate",
                "version": VERSION,
                "description": ABOUT,
                "license": { "name": "MIT OR Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE") },
            },
            "servers": [{ "url": "/" }],
            "paths": self.paths,
            "components": {
                "securitySchemes": { "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token; `tidegate token create` makes one. Roles: viewer, trigger, operator, admin, \
                        each with all that those before it may.",
                } },
                "responses": { "Problem": {
                    "description": "What is wrong and the way out, as RFC 9457 has it, with a stable `code`. \
                        429 and 503 come with `Retry-After`, 405 with `Allow`.",
                    "headers": { "Retry-After": {
                        "description": "After so many seconds it is worth another try.",
                        "schema": { "type": "integer", "minimum": 0 },
                    } },
                    "content": { "application/problem+json": { "schema": problem } },
                } },
                "schemas": together(self.asked, self.answered),
            },
        })
    }

    fn operation(
        &mut self,
        method: &str,
        path: &str,
        rule: Rule,
        operation: &Operation,
        verb: Option<&Verb>,
    ) -> Value {
        let is_change = matches!(rule, Rule::Token(_));
        let mut parameters: Vec<Value> = path_parameters(path);
        parameters.extend(operation.parameters.iter().map(|parameter| self.parameter(parameter)));
        if is_change {
            parameters.push(idempotency_key());
        }
        let mut responses = Map::new();
        for answer in operation.answers {
            responses.insert(answer.status.to_string(), self.answer(answer, method == "HEAD"));
        }
        responses.insert("default".into(), json!({ "$ref": "#/components/responses/Problem" }));
        let id = match verb {
            None => operation.id.to_owned(),
            Some(verb) => format!("{}{}", verb.name, capital(operation.id)),
        };
        let mut described = json!({
            "operationId": if method == "HEAD" { format!("head{}", capital(&id)) } else { id },
            "summary": verb.map_or(operation.summary, |verb| verb.about),
            "parameters": parameters,
            "responses": responses,
            "security": security(rule),
        });
        if !operation.more.is_empty() {
            described["description"] = operation.more.into();
        }
        if let Some(body) = operation.body {
            let schema = self.body(body, verb);
            described["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        described
    }

    fn parameter(&mut self, parameter: &Parameter) -> Value {
        json!({
            "in": parameter.place,
            "name": parameter.name,
            "description": parameter.about,
            "schema": (parameter.shape)(&mut self.asked),
        })
    }

    fn answer(&mut self, answer: &Answer, is_head: bool) -> Value {
        let mut described = json!({ "description": answer.about });
        if !answer.content.is_empty() && !is_head {
            let content =
                answer.content.iter().map(|content| (content.kind.to_owned(), self.content(content)));
            described["content"] = content.collect::<Map<_, _>>().into();
        }
        described
    }

    fn content(&mut self, content: &Content) -> Value {
        let mut described = json!({ "schema": (content.shape)(&mut self.answered) });
        if let Some(item) = content.item {
            // OpenAPI 3.1 has no word for the things that a stream is made of.
            described["x-itemSchema"] = item(&mut self.answered).into();
        }
        described
    }

    /// What is sent; of a deed only the fields that mean something to it.
    fn body(&mut self, shape: Shape, verb: Option<&Verb>) -> Value {
        let Some(verb) = verb else { return shape(&mut self.asked).into() };
        // Aside: as a whole it is nobody's body.
        let mut aside = self.asked.clone();
        let reference: Value = shape(&mut aside).into();
        let name = reference["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let mut body =
            aside.definitions()[name.expect("BUG: what a deed takes is no type of its own")].clone();
        if let Some(fields) = body["properties"].as_object_mut() {
            fields.retain(|field, _| field == "why" || verb.takes.contains(&field.as_str()));
        }
        if !verb.needs.is_empty() {
            body["required"] = json!(verb.needs);
        }
        for name in verb.needs {
            // Here it can be neither left out nor null.
            let field = &mut body["properties"][name];
            *field = json!({ "type": "string", "description": field["description"] });
        }
        body["description"] = verb.about.into();
        body
    }
}

/// Paths as they are described: an action is a path of its own, because each takes other fields.
fn spelled_out(path: &str, operation: &Operation) -> Vec<(String, Option<&'static Verb>)> {
    if operation.verbs.is_empty() {
        // OpenAPI knows no path that goes on: there it is one name, which may have slashes.
        return vec![(path.replace("{*", "{"), None)];
    }
    operation.verbs.iter().map(|verb| (path.replace("{action}", verb.name), Some(verb))).collect()
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (about, schema) = match name {
                "run" => ("The number of a run: `run_id`.", json!({ "type": "integer", "minimum": 0 })),
                "forge" => ("The forge.", json!({ "enum": ["github", "gitlab", "gitea", "forgejo"] })),
                "build" => (
                    "What is in the files, as the page names it.",
                    json!({ "type": "string", "minLength": 1 }),
                ),
                "name" => ("The name of a file.", json!({ "type": "string", "minLength": 1 })),
                "page" => ("The rest of the address.", json!({ "type": "string", "minLength": 1 })),
                "version" => ("The label of a version.", json!({ "type": "string", "minLength": 1 })),
                "tier" => ("The name of a tier.", json!({ "type": "string", "minLength": 1 })),
                _ => ("The name of a pipeline.", json!({ "type": "string", "minLength": 1 })),
            };
            json!({ "in": "path", "name": name, "required": true, "description": about, "schema": schema })
        })
        .collect()
}

fn idempotency_key() -> Value {
    json!({
        "in": "header",
        "name": "Idempotency-Key",
        "description": "The same change with the same key is done once: the first answer is given again, with \
            `Idempotency-Replayed: true`. Another change with it is refused (422). Known for a day, not beyond a restart.",
        "schema": { "type": "string", "minLength": 1, "maxLength": super::once::KEY_LIMIT, "pattern": "^[!-~]+$" },
    })
}

fn security(rule: Rule) -> Value {
    match rule {
        Rule::Open => json!([]),
        Rule::Signature => json!([]),
        Rule::Read => json!([{}, { "bearer": ["viewer"] }]),
        Rule::Token(role) => json!([{ "bearer": [role.as_str()] }]),
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at_checked(1).unwrap_or_default();
    first.to_ascii_uppercase() + rest
}

/// The definitions of both directions. What stands in both means the same in both.
fn together(mut asked: SchemaGenerator, mut answered: SchemaGenerator) -> Value {
    let mut all = asked.take_definitions(true);
    for (name, schema) in answered.take_definitions(true) {
        let differs = all.get(&name).is_some_and(|known| *known != schema);
        assert!(!differs, "BUG: `{name}` is described in two ways");
        all.insert(name, schema);
    }
    all.sort_keys();
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_method_of_the_router_is_described() {
        let paths = description()["paths"].as_object().unwrap();
        let mut expected = 0;
        for (path, allow, _, operation) in ROUTES {
            for (path, _) in spelled_out(path, operation) {
                expected += 1;
                let methods: Vec<String> = paths[&path].as_object().unwrap().keys().cloned().collect();
                let mut allowed: Vec<String> = allow.split(", ").map(str::to_ascii_lowercase).collect();
                allowed.sort();
                assert_eq!(methods, allowed, "{path}");
            }
        }
        assert_eq!(paths.len(), expected, "nothing else is");
    }

    #[test]
    fn everything_is_described_in_words() {
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in description()["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let summary = operation["summary"].as_str().unwrap();
                assert!(summary.len() > 10 && summary.ends_with('.'), "{method} {path}: {summary}");
                assert!(
                    ids.insert(operation["operationId"].as_str().unwrap()),
                    "{method} {path}: its id is taken"
                );
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.len() > 1, "{method} {path}: how does it answer?");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn look(value: &Value, root: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(path)) = map.get("$ref") {
                        let place = path.strip_prefix('#').unwrap();
                        assert!(root.pointer(place).is_some(), "{path} leads nowhere");
                    }
                    map.values().for_each(|value| look(value, root));
                }
                Value::Array(all) => all.iter().for_each(|value| look(value, root)),
                _ => {}
            }
        }
        look(description(), description());
    }
}
