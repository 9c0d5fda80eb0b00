//! `/events` as a WebSocket: how it begins and ends, what bad clients do to it, and what it tells.

use super::stand::{Answered, PATIENCE, Setup, Stand};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tidegate::domain::*;
use tidegate::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) async fn open(stand: &Stand, query: &str) -> Socket {
    let url = format!("ws://{}/events{query}", stand.addr);
    timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap().0
}

/// The next event; none: it was closed, or the connection ended.
pub(super) async fn next<S>(socket: &mut WebSocketStream<S>) -> Option<serde_json::Value>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("the socket says something");
        match message? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// What the server closes with; everything before is passed over, and the stream must end after it.
pub(super) async fn closed(socket: &mut Socket) -> (u16, String) {
    let closing = async {
        let mut frame = None;
        while let Some(message) = socket.next().await {
            match message {
                Ok(Message::Close(Some(with))) => frame = Some((with.code.into(), with.reason.to_string())),
                Ok(_) => {}
                Err(error) => panic!("an unclean end: {error}"),
            }
        }
        frame.expect("a close frame before the end")
    };
    timeout(PATIENCE, closing).await.expect("the socket ends")
}

/// A handshake by hand: what follows it is sent byte by byte.
async fn by_hand(stand: &Stand) -> TcpStream {
    let mut stream = stand.connect().await;
    let head = format!(
        "GET /events HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-extensions: permessage-deflate\r\n\r\n",
        stand.addr
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answered = Answered::parse(&answer);
    assert_eq!(answered.status, 101);
    assert_eq!(answered.header("sec-websocket-extensions"), "", "compression is not agreed on");
    stream
}

/// A frame as a client sends it, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => bytes.extend([0x80 | 126, (len >> 8) as u8, len as u8]),
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// The code of the close frame that the server sends, if it sends one; it must end the connection.
async fn end_of(stream: TcpStream) -> Option<u16> {
    reason_of(stream).await.0
}

/// The same with its reason.
async fn reason_of(mut stream: TcpStream) -> (Option<u16>, String) {
    let mut bytes = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "the connection is ended");
    let mut at = 0;
    while at + 2 <= bytes.len() {
        let len = match bytes[at + 1] {
            126 => 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])),
            len => usize::from(len),
        };
        if bytes[at] == 0x88 && len >= 2 {
            let reason = String::from_utf8_lossy(&bytes[at + 4..at + 2 + len]).into_owned();
            return (Some(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])), reason);
        }
        at += 2 + len;
    }
    (None, String::new())
}

#[tokio::test]
async fn a_close_is_clean_in_both_directions() {
    let stand = Stand::new().await;
    // The client closes: its code comes back, and the connection ends.
    let mut socket = open(&stand, "?since=0").await;
    assert_eq!(next(&mut socket).await.unwrap()["kind"], "controller_started");
    let frame = CloseFrame { code: CloseCode::Normal, reason: "enough".into() };
    socket.close(Some(frame)).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1000);
    // The server closes: with its code, and the client's answer ends it.
    let mut socket = open(&stand, "").await;
    stand.shutdown.cancel();
    assert_eq!(closed(&mut socket).await.0, 1001);
    stand.stop().await;
}

#[tokio::test]
async fn events_come_as_they_happen_and_again_with_since() {
    let stand = Stand::new().await;
    let mut live = open(&stand, "").await;
    stand.load("shop", "/nowhere").await;
    let event = next(&mut live).await.unwrap();
    assert_eq!((event["kind"].as_str(), event["pipeline"].as_str()), (Some("pipeline_loaded"), Some("shop")));
    let id = event["id"].as_u64().unwrap();
    let mut again = open(&stand, &format!("?since={}", id - 1)).await;
    assert_eq!(next(&mut again).await.unwrap(), event);
    let mut all = open(&stand, "?since=0").await;
    assert_eq!(next(&mut all).await.unwrap()["id"], 1);
}

#[tokio::test]
async fn the_future_is_an_error_frame_and_a_close_of_its_own() {
    let stand = Stand::new().await;
    let mut socket = open(&stand, "?since=999").await;
    let error = next(&mut socket).await.unwrap();
    assert_eq!((error["kind"].as_str(), error["code"].as_str()), (Some("error"), Some("TG-EVENTS-001")));
    assert!(error["help"].as_str().is_some_and(|help| !help.is_empty()));
    assert_eq!(closed(&mut socket).await.0, 4404);
    stand.get("/events?since=999").await.is_problem(422, "TG-EVENTS-001");
    stand.get("/api/events?since=999").await.is_problem(422, "TG-EVENTS-001");
    for bad in ["-1", "x", "", "1.5", "99999999999999999999999"] {
        stand.get(&format!("/events?since={bad}")).await.is_problem(400, "TG-HTTP-008");
    }
    for bad in ["sinse=1", "since=1&since=2", "logs=maybe", "kind=*_done", "kind="] {
        stand.get(&format!("/events?{bad}")).await.is_problem(400, "TG-HTTP-008");
    }
    stand.get("/events").await.is_problem(426, "TG-HTTP-013");
}

#[tokio::test]
async fn filters_leave_out_what_is_not_asked_for() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    stand.load("blog", "/nowhere").await;
    stand.push("shop", '1').await;
    stand.push("blog", '2').await;
    stand.until_passed("shop", "host", "1.0.1").await;
    stand.until_passed("blog", "host", "1.0.2").await;
    for (query, kinds) in [
        ("pipeline=blog&kind=build_*", &["build_start", "build_ok"][..]),
        ("pipeline=shop&tier=host&kind=gate_*&logs=false", &["gate_start", "gate_done"]),
        (
            "pipeline=shop&tier=host&kind=promote_start&kind=promote_complete",
            &["promote_start", "promote_complete"],
        ),
    ] {
        let mut socket = open(&stand, &format!("?since=0&{query}")).await;
        for kind in kinds {
            assert_eq!(next(&mut socket).await.unwrap()["kind"], *kind, "{query}");
        }
    }
}

#[tokio::test]
async fn chunks_of_logs_come_between_start_and_done_unless_left_out() {
    let stand = Stand::new().await;
    stand.hands.hold();
    stand.load("shop", "/nowhere").await;
    let mut all = open(&stand, "?kind=step_*&kind=build_log_chunk").await;
    let mut without = open(&stand, "?kind=step_*&kind=build_log_chunk&logs=false").await;
    stand.push("shop", '1').await;
    let start = next(&mut all).await.unwrap();
    assert_eq!(start["kind"], "step_start");
    let run = RunId(start["run_id"].as_u64().unwrap());
    stand.hands.output(run, 0, b"compiling\n");
    stand.hands.let_go(run, Outcome::of(Classification::Ok));
    let chunk = next(&mut all).await.unwrap();
    assert_eq!(
        (chunk["kind"].as_str(), chunk["text"].as_str()),
        (Some("build_log_chunk"), Some("compiling\n"))
    );
    assert!(chunk.get("id").is_none());
    assert_eq!(next(&mut all).await.unwrap()["kind"], "step_done");
    assert_eq!(next(&mut without).await.unwrap()["kind"], "step_start");
    assert_eq!(next(&mut without).await.unwrap()["kind"], "step_done");
}

#[tokio::test]
async fn malformed_frames_end_the_session_and_nothing_else() {
    let stand = Stand::new().await;
    let text = |payload: &[u8]| frame(0x81, payload);
    let mut unmasked = vec![0x81, 0x02];
    unmasked.extend(b"hi");
    type Case = (&'static str, Vec<u8>, &'static [Option<u16>]);
    let cases: Vec<Case> = vec![
        ("the first reserved bit", frame(0xc1, b"hi"), &[Some(1002)]),
        ("the second reserved bit", frame(0xa1, b"hi"), &[Some(1002)]),
        ("the third reserved bit", frame(0x91, b"hi"), &[Some(1002)]),
        ("a reserved bit on a ping", frame(0xc9, b"hi"), &[Some(1002)]),
        ("a reserved opcode", frame(0x83, b"hi"), &[Some(1002)]),
        ("a reserved control opcode", frame(0x8b, b""), &[Some(1002)]),
        ("no mask", unmasked, &[Some(1002)]),
        ("a fragmented ping", frame(0x09, b"hi"), &[Some(1002)]),
        ("a long ping", frame(0x89, &[b'x'; 126]), &[Some(1002)]),
        ("a continuation of nothing", frame(0x80, b"hi"), &[Some(1002)]),
        ("a text within a text", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), &[Some(1002)]),
        ("text that is not UTF-8", text(b"\xff\xfe"), &[Some(1007)]),
        ("a large message", text(&vec![b'x'; (64 << 10) + 1]), &[Some(1009)]),
        (
            "many fragments of a large message",
            [frame(0x01, &vec![b'x'; 60 << 10]), frame(0x80, &vec![b'x'; 60 << 10])].concat(),
            &[Some(1009)],
        ),
        ("a length beyond everything", [vec![0x81, 0xff], vec![0x7f; 8], vec![0; 4]].concat(), &[Some(1009)]),
        ("a close code of one byte", frame(0x88, b"x"), &[Some(1002)]),
        ("a close code 1005", frame(0x88, &1005_u16.to_be_bytes()), &[Some(1002)]),
        ("a close code 0", frame(0x88, &0_u16.to_be_bytes()), &[Some(1002)]),
        ("a close code 999", frame(0x88, &999_u16.to_be_bytes()), &[Some(1002)]),
        ("a close code 1004", frame(0x88, &1004_u16.to_be_bytes()), &[Some(1002)]),
        ("a close code 1006", frame(0x88, &1006_u16.to_be_bytes()), &[Some(1002)]),
        (
            "a length of 2^63",
            [vec![0x81, 0xff, 0x80], vec![0; 7], vec![0; 4]].concat(),
            &[Some(1009), Some(1002)],
        ),
        ("a close code 5000", frame(0x88, &5000_u16.to_be_bytes()), &[Some(1002), Some(5000)]),
        ("a close reason that is not UTF-8", frame(0x88, b"\x03\xe8\xff\xfe"), &[Some(1007), Some(1002)]),
        ("an empty close", frame(0x88, b""), &[None]),
        ("a good close", frame(0x88, &1000_u16.to_be_bytes()), &[Some(1000)]),
    ];
    for (what, bytes, codes) in cases {
        let mut stream = by_hand(&stand).await;
        stream.write_all(&bytes).await.unwrap();
        let code = end_of(stream).await;
        assert!(codes.contains(&code), "{what}: {code:?}");
    }
    assert_eq!(stand.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn pings_are_answered_and_a_flood_of_them_is_ended() {
    let stand = Stand::new().await;
    let mut socket = open(&stand, "").await;
    socket.send(Message::Ping("here?".into())).await.unwrap();
    let pong = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong("here?".into()));
    let mut stream = by_hand(&stand).await;
    let flood = frame(0x89, b"x").repeat(2_001);
    stream.write_all(&flood).await.unwrap();
    assert_eq!(reason_of(stream).await, (Some(1008), "TG-WS-003 too many messages".to_owned()));
}

#[tokio::test]
async fn it_pings_and_leaves_who_never_answers() {
    let limits = Limits { ping: Duration::from_millis(50), ..Limits::default() };
    let setup = Setup { limits, stall: Duration::from_millis(400), ..Setup::default() };
    let stand = Stand::with(setup).await;
    // One that reads nothing does not answer pings either.
    let silent = by_hand(&stand).await;
    // One that does, stays: seen by more pings than the other was given.
    let mut lively = open(&stand, "").await;
    for _ in 0..20 {
        let ping = timeout(PATIENCE, lively.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(ping, Message::Ping(_)), "{ping:?}");
    }
    assert_eq!(end_of(silent).await, Some(1013));
}

#[tokio::test]
async fn half_a_frame_and_then_silence_is_left_in_the_end() {
    let limits = Limits { ping: Duration::from_millis(50), ..Limits::default() };
    let setup = Setup { limits, stall: Duration::from_millis(400), ..Setup::default() };
    let stand = Stand::with(setup).await;
    for half in [&[0x81][..], &[0x81, 0xfe, 0x01], &frame(0x81, b"hello")[..8]] {
        let mut stream = by_hand(&stand).await;
        stream.write_all(half).await.unwrap();
        assert_eq!(end_of(stream).await, Some(1013), "{half:?}");
    }
    assert_eq!(stand.engine.bus().subscribers(), 0);
}

#[tokio::test]
async fn who_reads_nothing_costs_nobody_else_and_is_ended_in_the_end() {
    let setup = Setup { stall: Duration::from_millis(500), ..Setup::default() };
    let stand = Stand::with(setup).await;
    stand.load("shop", "/nowhere").await;
    let stuck = by_hand(&stand).await;
    let mut reading = open(&stand, "?kind=hold_set&kind=hold_lifted").await;
    // More than the kernel and we would ever buffer for one.
    let why = "x".repeat(100_000);
    let actor = Actor { name: "ann".into(), role: Role::Operator, email: None };
    for round in 0..200 {
        let tier = Some("prod".into());
        let deed = if round % 2 == 0 { Deed::Hold { tier } } else { Deed::Resume { tier } };
        let (actor, why) = (actor.clone(), Some(why.clone()));
        let command = Command::ByHand { actor, why, pipeline: "shop".into(), deed };
        stand.engine.ask(command).await.unwrap();
        let event = next(&mut reading).await.unwrap();
        assert_eq!(event["kind"], if round % 2 == 0 { "hold_set" } else { "hold_lifted" });
    }
    let left = stand.engine.bus().clone();
    let gone = async {
        while left.subscribers() > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the stuck one is ended");
    drop(stuck);
}

#[tokio::test]
async fn a_revoked_token_ends_the_socket() {
    let limits = Limits { token_check: Duration::from_millis(50), ..Limits::default() };
    let stand = Stand::with(Setup { limits, ..Setup::default() }).await;
    let token = stand.token("viewer", Role::Viewer, None);
    let mut socket = open_as(&stand, "", &token).await;
    stand.tokens.revoke("viewer").unwrap();
    let (code, reason) = closed(&mut socket).await;
    assert_eq!(code, 4401);
    assert!(reason.contains("TG-AUTH-006"), "{reason}");
}

/// With a token.
pub(super) async fn open_as(stand: &Stand, query: &str, token: &str) -> Socket {
    let request = tokio_tungstenite::tungstenite::http::Request::builder()
        .uri(format!("ws://{}/events{query}", stand.addr))
        .header("host", stand.addr.to_string())
        .header("authorization", format!("Bearer {token}"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    timeout(PATIENCE, connect_async(request)).await.unwrap().unwrap().0
}

#[tokio::test]
async fn pages_of_others_open_no_socket_and_too_many_are_refused() {
    // What is refused is kept alive for that long, as a page wants it.
    let limits = Limits { subscribers: 1, head: Duration::from_millis(500), ..Limits::default() };
    let stand = Stand::with(Setup { limits, ..Setup::default() }).await;
    let head = |origin: &str| {
        [
            ("connection", "Upgrade".to_owned()),
            ("upgrade", "websocket".to_owned()),
            ("sec-websocket-version", "13".to_owned()),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".to_owned()),
            ("origin", origin.to_owned()),
        ]
    };
    stand.send("GET", "/events", &head("http://evil.test"), b"").await.is_problem(403, "TG-WS-002");
    let socket = open(&stand, "").await;
    let own = format!("http://{}", stand.addr);
    stand.send("GET", "/events", &head(&own), b"").await.is_problem(503, "TG-WS-001");
    drop(socket);
    let again = async {
        loop {
            let stream = stand.connect().await;
            if client_async(format!("ws://{}/events", stand.addr), stream).await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("room is given back");
}
