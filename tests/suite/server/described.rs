//! What is answered is what `/openapi.json` says: every answer that a test gets is held against it, here and in all
//! other modules.

use super::stand::{Answered, Stand};
use expect_test::expect_file;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use tidegate::server::description;

#[tokio::test]
async fn it_is_answered_as_it_is_checked_in() {
    let stand = Stand::new().await;
    let answer = stand.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(&answer.json(), description());
    // Look at the difference, and take it over with `UPDATE_EXPECT=1`.
    let text = serde_json::to_string_pretty(description()).unwrap() + "\n";
    expect_file!["openapi.json"].assert_eq(&text);
}

#[test]
fn it_is_openapi_with_schemas_that_are_schemas() {
    let whole = description();
    assert_eq!(whole["openapi"], "3.1.0");
    for (name, schema) in whole["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
    // A change says how it is sent twice, and by whom it may be sent.
    for (path, item) in whole["paths"].as_object().unwrap() {
        let Some(change) = item.get("post") else { continue };
        let names: Vec<&str> =
            change["parameters"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
        let is_change = !change["security"][0]["bearer"].is_null();
        assert_eq!(names.contains(&"Idempotency-Key"), is_change, "{path}");
        // A delivery is signed, a plan changes nothing, and who signs in shows a token.
        assert!(
            is_change
                || ["/webhook/{forge}", "/api/plan", "/api/login", "/api/logout"].contains(&path.as_str()),
            "{path}"
        );
    }
    let confirm = &whole["paths"]["/api/pipelines/{pipeline}/tiers/{tier}/confirm"]["post"];
    let body = &confirm["requestBody"]["content"]["application/json"]["schema"];
    let fields: Vec<&String> = body["properties"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["version", "why"]);
    assert_eq!(body["required"], json!(["version"]));
}

#[test]
fn an_answer_that_is_not_described_is_seen() {
    let answer = |status, kind: &str, body: &str| Answered {
        status,
        headers: vec![("content-type".into(), kind.into())],
        body: body.into(),
    };
    let good = r#"{"id":1,"at":"2026-11-23T09:00:00Z","pipelines":[],"rejected":[]}"#;
    assert_eq!(fault("GET", "/api/state", &answer(200, "application/json", good)), None);
    let missing = answer(200, "application/json", r#"{"id":1}"#);
    assert!(fault("GET", "/api/state", &missing).is_some());
    assert!(fault("GET", "/api/state", &answer(200, "text/html", good)).is_some());
    assert!(fault("GET", "/api/state", &answer(204, "application/json", good)).is_some());
    assert!(fault("GET", "/api/state", &answer(404, "application/problem+json", "{}")).is_some());
    assert!(fault("GET", "/nowhere", &answer(200, "text/html", "")).is_some());
}

/// Holds an answer against the description.
#[track_caller]
pub(super) fn check(method: &str, target: &str, answered: &Answered) {
    if let Some(fault) = fault(method, target, answered) {
        panic!("{method} {target} is answered otherwise than described: {fault}: {}", answered.text());
    }
}

fn fault(method: &str, target: &str, answered: &Answered) -> Option<String> {
    // What is no request at all is answered before anybody looks what it is for.
    if answered.status == 0 || answered.body.is_empty() && [400, 431].contains(&answered.status) {
        return None;
    }
    let path = target.split('?').next().unwrap_or_default();
    let problem = &description()["components"]["responses"]["Problem"];
    let operation = item(path).and_then(|item| item.get(method.to_ascii_lowercase()));
    let responses = operation.map(|operation| &operation["responses"]);
    let described = match responses.and_then(|responses| responses.get(answered.status.to_string())) {
        Some(described) => described,
        None if answered.status >= 400 => problem,
        None => return Some(format!("status {} is not described", answered.status)),
    };
    let kind = answered.header("content-type");
    let content = match described.get("content") {
        _ if method == "HEAD" => return None,
        None if answered.body.is_empty() => return None,
        None => return Some("a body is not described".into()),
        Some(content) => content.get(kind),
    };
    let Some(content) = content else { return Some(format!("the content type `{kind}` is not described")) };
    if !kind.contains("json") || kind.contains("ndjson") {
        return None;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answered.body) else {
        return Some("it is no JSON".into());
    };
    mismatch(&content["schema"], &body)
}

/// What is described at a path: the one without parameters goes before those with.
fn item(path: &str) -> Option<&'static Value> {
    let fits = |described: &str| {
        // The one that goes on.
        if described == "/ui/{page}" {
            return path.starts_with("/ui/");
        }
        let (parts, known) = (path.split('/'), described.split('/'));
        parts.clone().count() == known.clone().count()
            && parts
                .zip(known)
                .all(|(part, known)| part == known || known.starts_with('{') && !part.is_empty())
    };
    let paths = description()["paths"].as_object().unwrap();
    let fitting = paths.iter().filter(|(described, _)| fits(described));
    fitting.min_by_key(|(described, _)| described.matches('{').count()).map(|(_, item)| item)
}

fn mismatch(schema: &'static Value, body: &Value) -> Option<String> {
    static VALIDATORS: LazyLock<Mutex<HashMap<usize, &'static jsonschema::Validator>>> =
        LazyLock::new(Mutex::default);
    let validator =
        *VALIDATORS.lock().unwrap().entry(std::ptr::from_ref(schema).addr()).or_insert_with(|| {
            // References lead to the components.
            let mut alone = schema.clone();
            alone["components"] = description()["components"].clone();
            Box::leak(Box::new(jsonschema::validator_for(&alone).expect("a valid schema")))
        });
    let errors: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{error} at {}", error.instance_path())).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}
