//! The Autobahn test suite against an echo behind our own handshake, limits, faults and farewell. It is run where
//! `TIDEGATE_WSTEST` names its program `wstest`, which needs Python 2.7.
//!
//! Left out are its cases for messages larger than what a subscriber may send (9), and for compression, which is not
//! agreed on (12, 13).

use super::session::{End, farewell, fault, limited};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};

async fn echo(socket: WebSocket) {
    let (mut sink, mut inbound) = socket.split();
    let end = loop {
        match inbound.next().await {
            Some(Ok(Message::Close(_))) => break End::ClosedByClient,
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                if sink.send(message).await.is_err() {
                    break End::Gone;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => break fault(error),
            None => break End::Gone,
        }
    };
    farewell(sink, inbound, end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_finds_no_failure_and_no_unclean_end() {
    let Some(program) = std::env::var_os("TIDEGATE_WSTEST") else {
        eprintln!("not tried: TIDEGATE_WSTEST does not name `wstest` of the Autobahn test suite");
        return;
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upgrade = async |upgrade: WebSocketUpgrade| limited(upgrade).on_upgrade(echo);
    tokio::spawn(axum::serve(listener, Router::new().route("/", any(upgrade))).into_future());

    let folder = tempfile::tempdir().unwrap();
    let specification = json!({
        "outdir": folder.path().join("reports"),
        "servers": [{ "agent": "tidegate", "url": format!("ws://{address}") }],
        "cases": ["*"],
        "exclude-cases": ["9.*", "12.*", "13.*"],
        "exclude-agent-cases": {},
    });
    let file = folder.path().join("specification.json");
    std::fs::write(&file, specification.to_string()).unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(["-m", "fuzzingclient", "-s"]).arg(&file).current_dir(folder.path());
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = std::fs::read(folder.path().join("reports/index.json"))
        .unwrap_or_else(|error| panic!("{error}: {said}"));
    let report: Value = serde_json::from_slice(&report).unwrap();
    let cases = report["tidegate"].as_object().unwrap();
    let is_good = |verdict: &Value| ["OK", "NON-STRICT", "INFORMATIONAL"].iter().any(|good| verdict == good);
    let bad =
        cases.iter().filter(|(_, case)| !is_good(&case["behavior"]) || !is_good(&case["behaviorClose"]));
    let bad: Vec<_> = bad.collect();
    assert!(cases.len() > 200, "{} cases: {said}", cases.len());
    assert!(bad.is_empty(), "of {} cases: {bad:#?}", cases.len());
    eprintln!("{} cases of Autobahn", cases.len());
}
