//! Requests that two readers could read differently: each is refused, or read in one way and the connection closed.

use super::stand::{PATIENCE, Stand};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Everything that is answered until the server closes: it must, although the client waits.
async fn all_answers(stand: &Stand, bytes: &[u8]) -> String {
    let mut stream = stand.connect().await;
    // What is refused early may not be read to its end.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A reset after the answer is an end, too.
    let _ = timeout(PATIENCE, reading).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

#[tokio::test]
async fn a_body_of_two_lengths_hides_no_second_request() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    let owner = stand.owner().to_owned();
    let head = |more: &str| {
        format!(
            "POST /api/pipelines/shop/hold HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {owner}\r\n\
             content-type: application/json\r\n{more}\r\n"
        )
    };
    let hidden = "GET /api/state HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // By the standard (RFC 9112, 6.3) chunks go before the length, and the connection ends after it.
    for lengths in [
        "content-length: 60\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 60\r\n",
    ] {
        let request = head(lengths) + "2\r\n{}\r\n0\r\n\r\n" + hidden;
        let answers = all_answers(&stand, request.as_bytes()).await;
        assert_eq!(statuses(&answers), ["200"], "{lengths}: {answers}");
    }
    for lengths in [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2, 3\r\n",
        "content-length: +2\r\n",
        "content-length: 0x2\r\n",
        "content-length: -1\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding: chunked\r\n x: y\r\n",
    ] {
        let answers = all_answers(&stand, (head(lengths) + "{}" + hidden).as_bytes()).await;
        assert_eq!(statuses(&answers), ["400"], "{lengths}: {answers}");
    }
    for chunks in
        ["-2\r\n{}\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n", "2\r\n{}0\r\n\r\n", "fffffffffffffffff\r\n{}"]
    {
        let request = head("transfer-encoding: chunked\r\n") + chunks + hidden;
        let answers = all_answers(&stand, request.as_bytes()).await;
        assert_eq!(statuses(&answers), ["400"], "{chunks:?}: {answers}");
    }
    assert_eq!(stand.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn lines_and_targets_that_are_not_plain_are_refused() {
    let stand = Stand::new().await;
    for bad in [
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: a\r b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx\0: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\n\r: b\r\n\r\n",
        "GET / HTTP/1.1\r\n host: localhost\r\n\r\n",
        "GET  /  HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.2\r\nhost: localhost\r\n\r\n",
        "GET / HTTP/2.0\r\nhost: localhost\r\n\r\n",
        "GET /\r\nhost: localhost\r\n\r\n",
        "G\rET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET http://evil.test/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET evil.test:80 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "CONNECT evil.test:80 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        // The other side would keep the connection of a good request: it is ended by the test's own second one.
        let answers = all_answers(&stand, format!("{bad}GET / HTTP/0.0\r\n\r\n").as_bytes()).await;
        let first = statuses(&answers).first().copied().unwrap_or("none").to_owned();
        assert!(["400", "none"].contains(&&*first), "{bad:?}: {answers}");
    }
    // A line may end without a carriage return (RFC 9112, 2.2); nothing is passed on from here, so that no second
    // reader could see other lines.
    let bare = "GET /healthz HTTP/1.1\nhost: localhost\nconnection: close\n\n";
    assert_eq!(statuses(&all_answers(&stand, bare.as_bytes()).await), ["200"]);
    // The target in full, with our own name, is one of the forms that must be understood.
    let full = "GET http://localhost/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(statuses(&all_answers(&stand, full.as_bytes()).await), ["200"]);
}

#[tokio::test]
async fn only_http_1_is_spoken() {
    let stand = Stand::new().await;
    // HTTP/2 by prior knowledge: its preface and an empty SETTINGS frame.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answers = all_answers(&stand, preface).await;
    assert!(!answers.contains("\0\0"), "no frame comes back: {answers:?}");
    // A wish to change to it is not heard.
    let wish = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, http2-settings, close\r\n\
                upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    assert_eq!(statuses(&all_answers(&stand, wish.as_bytes()).await), ["200"]);
    // On the path that does change, it is no WebSocket.
    let wish = wish.replace("/healthz", "/events");
    assert_eq!(statuses(&all_answers(&stand, wish.as_bytes()).await), ["400"]);
}
