//! What holds whichever call failed. Each function panics with the promise that broke.

use super::story::{BAD, LAST, Story};
use crate::whole::killing::{judge_promotions, judge_runs};
use crate::whole::world::those_with;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An answer is a good one, or names what failed, or does not come at all.
pub(super) fn answered(
    path: &str,
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Option<String> {
    let mut answer = answer.ok()?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().ok()?;
    assert!(
        status < 400 || text.contains("\"TG-"),
        "{path} is answered with {status} without a code: {text}"
    );
    (status < 300).then_some(text)
}

/// The last version comes to be current everywhere: by itself, or by what the help of a blocker names.
pub(super) fn last_comes_through(story: &mut Story<'_>) {
    let begin = Instant::now();
    // By time and not by number: what was asked for a moment ago may not have begun when the next look comes.
    while begin.elapsed() < Duration::from_secs(30) {
        story.rest();
        // They may have begun to fail just now.
        story.outlast();
        let Some(state) = story.get("/api/pipelines/shop") else { continue };
        let p = &state["pipeline"];
        let tiers = p["tiers"].as_array().expect("tiers");
        let behind = tiers.iter().find(|tier| tier["current"]["version"] != LAST);
        let Some(tier) = behind else { return };
        let versions = p["versions"].as_array().expect("versions");
        let newest = versions.first().expect("a version");
        if newest["stage"] == "failed" || newest["version"] != LAST {
            let output = story.world.git("work", &["rev-parse", "HEAD"]);
            let sha = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            story.rebuild(&sha, true);
        } else {
            let name = tier["name"].as_str().expect("a name");
            let version = tier["going_back"]["to"].as_str().unwrap_or(LAST);
            story.post(&format!("/api/pipelines/shop/tiers/{name}/retry"), &json!({"version": version}));
            if tier["going_back"].is_null() && !tier["hold"].is_null() {
                // A way back that failed holds its tier, until somebody has looked.
                story.post(&format!("/api/pipelines/shop/tiers/{name}/resume"), &json!({}));
            }
        }
    }
    let state = story.get("/api/pipelines/shop");
    let tiers = state.map(|state| state["pipeline"]["tiers"].to_string());
    panic!("{LAST} does not get everywhere: {tiers:?}");
}

/// What the controller says of what has happened.
pub(super) fn kept(story: &mut Story<'_>) {
    let mut text = None;
    story.until("the journal", |story| {
        story.look();
        text = story.bytes("/api/events?since=0");
        text.is_some()
    });
    let lines = text.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty());
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ids: Vec<u64> = events.iter().map(|event| event["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "a hole in the journal");
    for one in &story.acknowledged {
        let event = events.get(one.id as usize - 1).unwrap_or(&Value::Null);
        let is_kept = event["kind"] == one.kind && event[one.field.0] == one.field.1;
        assert!(is_kept, "{} {:?} was acknowledged as {}, where {event} is", one.kind, one.field, one.id);
    }
    judge_runs(&story.world, &events);
    judge_promotions(&events);
    let bad = |event: &&Value| event["kind"] == "promote_complete" && event["version"] == BAD;
    let passed: Vec<&Value> = events.iter().filter(bad).filter(|event| event["tier"] != "host").collect();
    assert!(passed.is_empty(), "{BAD} passed: {passed:?}");
    for place in ["staging", "prod"] {
        let lies = story.world.read(&format!("place/{place}/out.txt"));
        assert_eq!(lies, LAST, "what lies in {place} is not what is current there");
    }
}

/// What is left once it has stopped.
pub(super) fn kept_on_disk(story: &mut Story<'_>) {
    let (exit, said) = story.world.says(&["verify-journal"]);
    assert_eq!(exit, 0, "the journal does not prove: {said}");
    let begin = Instant::now();
    let left = || those_with(story.world.folder.path());
    while !left().is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(15), "processes are left: {:?}", left());
        std::thread::sleep(Duration::from_millis(20));
    }
}
