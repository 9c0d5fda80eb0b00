//! Events that retention removed: what they came to stays, and whoever asks for them is told.

use super::stand::Stand;
use tidegate::domain::*;
use tidegate::engine;
use tidegate::journal::Journal;

async fn hold_and_resume(stand: &Stand, times: usize) {
    let actor = Actor { name: "ann".into(), role: Role::Operator, email: None };
    for _ in 0..times {
        for deed in [Deed::Hold { tier: None }, Deed::Resume { tier: None }] {
            let actor = actor.clone();
            let command = Command::ByHand { actor, why: None, pipeline: "shop".into(), deed };
            stand.engine.ask(command).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_left_of_the_journal_comes_to_the_same_and_says_what_is_missing() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.push("shop", '1').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    let now = chrono::Utc::now();
    let oldest = stand.engine.forget_before(EventId(9_999), now).await.unwrap();
    assert_eq!(oldest, EventId(1), "the newest stay whatever their age");
    hold_and_resume(&stand, 1_100).await;
    let last = stand.journal.last_id();
    let oldest = stand.engine.forget_before(EventId(9_999), now).await.unwrap();
    assert_eq!(oldest, EventId(last.0 - 2_000));
    assert_eq!(stand.journal.oldest_id(), oldest);
    let folded = engine::replay(&*stand.journal).unwrap();
    assert_eq!(folded, stand.engine.read(State::clone));

    stand.get("/api/runs/1").await.is_problem(410, "TG-HTTP-022");
    stand.get("/api/runs/1/log").await.is_problem(410, "TG-HTTP-022");
    stand.get("/api/runs/999").await.is_problem(404, "TG-HTTP-014");
    let text = stand.get("/api/events?since=0").await.text();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((first["kind"].as_str(), first["oldest"].as_u64()), (Some("gap"), Some(oldest.0)));

    stand.push("shop", '2').await;
    stand.until_passed("shop", "host", "1.0.2").await;
    assert_eq!(engine::replay(&*stand.journal).unwrap(), stand.engine.read(State::clone));
    assert!(stand.journal.last_id() > last, "numbers go on");
    let run = stand.engine.read(|state| state.last_run);
    assert_eq!(stand.get(&format!("/api/runs/{run}")).await.status, 200);
}

#[tokio::test]
async fn what_a_build_that_has_not_ended_began_with_stays() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    stand.until("a step runs", |state| !state.running.is_empty()).await;
    let request = stand.engine.read(|state| state.pipelines["shop"].build.as_ref().unwrap().request.id);
    hold_and_resume(&stand, 1_100).await;
    let oldest = stand.engine.forget_before(EventId(9_999), chrono::Utc::now()).await.unwrap();
    assert_eq!(oldest, request);
    assert_eq!(stand.get("/api/runs/1").await.status, 200);
}
