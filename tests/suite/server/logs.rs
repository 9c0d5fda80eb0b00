//! Runs and their logs.

use super::stand::{Answered, PATIENCE, Stand};
use std::io::Write;
use std::time::Duration;
use tidegate::domain::*;
use tidegate::server::RunView;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// The build step of a first push, held.
async fn a_run(stand: &Stand) -> RunId {
    stand.load("shop", "/nowhere").await;
    stand.hands.hold();
    stand.push("shop", '1').await;
    stand.until("it runs", |state| !state.running.is_empty()).await;
    stand.engine.read(|state| *state.running.keys().next().unwrap())
}

async fn ranged(stand: &Stand, run: RunId, range: &str) -> Answered {
    stand.send("GET", &format!("/api/runs/{run}/log"), &[("range", range.to_owned())], b"").await
}

#[tokio::test]
async fn a_run_is_shown_from_its_start_to_its_end() {
    let stand = Stand::new().await;
    let run = a_run(&stand).await;
    let path = format!("/api/runs/{run}");
    let view: RunView = serde_json::from_slice(&stand.get(&path).await.body).unwrap();
    assert_eq!((view.run_id, view.end), (run, None));
    let json = stand.get(&path).await.json();
    assert_eq!((json["task"].as_str(), json["step"].as_str()), (Some("step"), Some("compile")));
    let said = event::StepSaid::Progress { percent: 50.0, note: None };
    stand.hands.report(Command::RunSaid { run, said, number: None });
    stand.hands.let_go(run, Outcome::of(Classification::CompileError).saying("no"));
    stand.until("it ended", |state| !state.running.contains_key(&run)).await;
    let json = stand.get(&path).await.json();
    assert_eq!(json["end"]["outcome"]["classification"], "compile_error");
    assert_eq!(json["said"][0]["event"]["kind"], "progress");
    stand.get("/api/runs/999").await.is_problem(404, "TG-HTTP-014");
    stand.get("/api/runs/0").await.is_problem(404, "TG-HTTP-014");
    stand.get("/api/runs/18446744073709551615").await.is_problem(404, "TG-HTTP-014");
}

#[tokio::test]
async fn a_run_far_back_in_a_long_journal_is_found() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    let mut runs = Vec::new();
    let actor = Actor { name: "ann".into(), role: Role::Operator, email: None };
    for round in 0..3_000_u32 {
        let deed = match round % 2 {
            0 => Deed::Hold { tier: None },
            _ => Deed::Resume { tier: None },
        };
        let by_hand = Command::ByHand { actor: actor.clone(), why: None, pipeline: "shop".into(), deed };
        stand.engine.ask(by_hand).await.unwrap();
        if round % 300 == 299 {
            let digit = char::from_digit(round / 300, 16).unwrap();
            stand.push("shop", digit).await;
            stand.until_passed("shop", "host", &format!("1.0.{}", round / 300)).await;
            runs.push(stand.engine.read(|state| state.last_run));
        }
    }
    let last = runs.last().unwrap().0;
    for run in 1..=last {
        let answer = stand.get(&format!("/api/runs/{run}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["run_id"], run);
    }
}

#[tokio::test]
async fn the_log_is_sent_byte_for_byte_whole_or_in_part() {
    let stand = Stand::new().await;
    let run = a_run(&stand).await;
    let path = format!("/api/runs/{run}/log");
    stand.get(&path).await.is_problem(404, "TG-HTTP-015");
    let text = b"<script>alert(1)</script>\n\x1b[31m\xff\n";
    std::fs::write(stand.hands.log("shop", run), text).unwrap();
    let growing = ranged(&stand, run, "bytes=0-3").await;
    assert_eq!((growing.status, growing.header("content-range")), (206, "bytes 0-3/*"));
    assert_eq!(growing.header("etag"), "", "what grows is not yet what it will be");
    let beyond = ranged(&stand, run, "bytes=1000-").await;
    beyond.is_problem(416, "TG-HTTP-018");
    let mut outcome = Outcome::of(Classification::Ok);
    outcome.log_ref = Some(format!("logs/shop/{run}.log"));
    outcome.log_sha256 = Some("abcd".into());
    stand.hands.let_go(run, outcome);
    stand.until("it ended", |state| !state.running.contains_key(&run)).await;

    let whole = stand.get(&path).await;
    assert_eq!(whole.body, text);
    assert_eq!(whole.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert_eq!(whole.header("content-length"), text.len().to_string());
    assert_eq!(whole.header("etag"), "\"abcd\"");
    let head = stand.send("HEAD", &path, &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), text.len().to_string());
    let part = ranged(&stand, run, "bytes=1-6").await;
    assert_eq!((part.status, part.text().as_str()), (206, "script"));
    assert_eq!(part.header("content-range"), format!("bytes 1-6/{}", text.len()));
    assert_eq!(ranged(&stand, run, "bytes=-2").await.body, b"\xff\n");
    let beyond = ranged(&stand, run, "bytes=1000-").await;
    beyond.is_problem(416, "TG-HTTP-018");
    assert_eq!(beyond.header("content-range"), format!("bytes */{}", text.len()));
    // A range is of what is sent; a HEAD sends nothing, and says how long the whole is.
    let range = [("range", "bytes=1-6".to_owned())];
    let head = stand.send("HEAD", &path, &range, b"").await;
    assert_eq!((head.status, head.header("content-length")), (200, &*text.len().to_string()));
    for (etag, status) in [("\"abcd\"", 206), ("\"other\"", 200)] {
        let of = [("range", "bytes=1-6".to_owned()), ("if-range", etag.to_owned())];
        assert_eq!(stand.send("GET", &path, &of, b"").await.status, status, "{etag}");
    }
    let known = [("if-none-match", "\"x\", \"abcd\"".to_owned())];
    let unchanged = stand.send("GET", &path, &known, b"").await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    stand.get(&format!("{path}?tail=1")).await.is_problem(400, "TG-HTTP-008");
}

#[tokio::test]
async fn a_log_is_followed_until_the_run_ends() {
    let stand = Stand::new().await;
    let run = a_run(&stand).await;
    let mut file = std::fs::File::create(stand.hands.log("shop", run)).unwrap();
    file.write_all(b"one\n").unwrap();
    let mut stream = stand.connect().await;
    let head = format!(
        "GET /api/runs/{run}/log?follow=1 HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        stand.addr
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    read_until(&mut stream, &mut bytes, b"one\n").await;
    file.write_all(b"two\n").unwrap();
    stand.hands.output(run, 4, b"two\n");
    read_until(&mut stream, &mut bytes, b"two\n").await;
    // What is written right before the end is not lost.
    file.write_all(b"three\n").unwrap();
    stand.hands.let_go(run, Outcome::of(Classification::Ok));
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("it ends with the run").unwrap();
    let answered = Answered::parse(&bytes);
    assert_eq!((answered.status, answered.text().as_str()), (200, "one\ntwo\nthree\n"));
    // Of a run that is over it is all there is.
    let all = stand.get(&format!("/api/runs/{run}/log?follow=1")).await;
    assert_eq!(all.text(), "one\ntwo\nthree\n");
}

async fn read_until(stream: &mut tokio::net::TcpStream, bytes: &mut Vec<u8>, wanted: &[u8]) {
    let reading = async {
        while !bytes.windows(wanted.len()).any(|window| window == wanted) {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "it ended early");
            bytes.extend_from_slice(&piece[..read]);
        }
    };
    timeout(PATIENCE, reading).await.expect("it comes");
}

#[tokio::test]
async fn a_log_that_is_followed_ends_when_the_controller_stops() {
    let stand = Stand::new().await;
    let run = a_run(&stand).await;
    std::fs::write(stand.hands.log("shop", run), "one\n").unwrap();
    let mut stream = stand.connect().await;
    let head = format!("GET /api/runs/{run}/log?follow=1 HTTP/1.1\r\nhost: {}\r\n\r\n", stand.addr);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    read_until(&mut stream, &mut bytes, b"one\n").await;
    timeout(Duration::from_secs(5), stand.stop()).await.expect("nothing holds it up");
}
