//! Who is let in, and what comes in: hosts, origins, tokens, heads and bodies.

use super::stand::{PATIENCE, Setup, Stand};
use std::time::Duration;
use tidegate::domain::Role;
use tidegate::server::Limits;
use tidegate::settings::ReadAccess;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn every_answer_is_hardened_and_says_nothing_of_the_server() {
    let stand = Stand::new().await;
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/metrics",
        "/api/state",
        "/api/events",
        "/rebuild",
        "/nowhere",
    ] {
        let answer = stand.get(path).await;
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        for telling in ["server", "x-powered-by", "via"] {
            assert_eq!(answer.header(telling), "", "{path}");
        }
    }
    stand.stop().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_taken_are_problems() {
    let stand = Stand::new().await;
    stand.get("/nowhere").await.is_problem(404, "TG-HTTP-009");
    stand.get("/api/runs/one").await.is_problem(404, "TG-HTTP-009");
    for (method, path, allow) in
        [("GET", "/rebuild", "POST"), ("DELETE", "/api/state", "GET, HEAD"), ("OPTIONS", "/", "GET, HEAD")]
    {
        let answer = stand.send(method, path, &[], b"").await;
        answer.is_problem(405, "TG-HTTP-010");
        assert_eq!(answer.header("allow"), allow);
    }
    // Nothing lets a method be another one.
    let overridden = [("x-http-method-override", "POST".to_owned())];
    stand.send("GET", "/rebuild", &overridden, b"").await.is_problem(405, "TG-HTTP-010");
    let head = stand.send("HEAD", "/api/state", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn only_hosts_that_are_ours_are_answered() {
    let stand = Stand::new().await;
    let port = stand.addr.port();
    for good in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "tides.example", "tides.example:8443"] {
        let answer = stand.send("GET", "/api/state", &[("host", good.to_owned())], b"").await;
        assert_eq!(answer.status, 200, "{good}");
    }
    for bad in ["evil.test", "evil.test:8433", "127.0.0.1.evil.test", "10.0.0.1", "localhost.evil.test"] {
        let answer = stand.send("GET", "/api/state", &[("host", bad.to_owned())], b"").await;
        answer.is_problem(421, "TG-HTTP-006");
    }
    for bad in ["", "a b", "evil@localhost"] {
        let answer = stand.send("GET", "/healthz", &[("host", bad.to_owned())], b"").await;
        assert_eq!(answer.status, 400, "{bad:?}");
    }
    let twice = format!("GET / HTTP/1.1\r\nhost: localhost:{port}\r\nhost: localhost:{port}\r\n\r\n");
    stand.raw(twice.as_bytes()).await.is_problem(400, "TG-HTTP-012");
    let absolute = "GET http://evil.test/ HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stand.raw(absolute.as_bytes()).await.is_problem(400, "TG-HTTP-012");
    stand.raw(b"GET / HTTP/1.0\r\n\r\n").await.is_problem(400, "TG-HTTP-012");
}

#[tokio::test]
async fn pages_of_others_are_turned_away() {
    let stand = Stand::new().await;
    let with = async |name: &'static str, value: String| {
        stand.send("GET", "/api/state", &[(name, value)], b"").await
    };
    assert_eq!(with("origin", format!("http://{}", stand.addr)).await.status, 200);
    assert_eq!(with("origin", "https://tides.example".into()).await.status, 200);
    for bad in
        ["http://evil.test", "null", "http://localhost:3000", "file://", "https://tides.example.evil.test"]
    {
        with("origin", bad.into()).await.is_problem(403, "TG-WS-002");
    }
    assert_eq!(with("sec-fetch-site", "same-origin".into()).await.status, 200);
    with("sec-fetch-site", "cross-site".into()).await.is_problem(403, "TG-WS-002");
}

#[tokio::test]
async fn a_change_takes_a_token_of_a_role_that_reaches() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere").await;
    let path = "/api/pipelines/shop/hold";
    let attempt = async |authorization: Option<String>| {
        let mut head = vec![("content-type", "application/json".to_owned())];
        head.extend(authorization.map(|value| ("authorization", value)));
        stand.send("POST", path, &head, b"{}").await
    };
    let none = attempt(None).await;
    none.is_problem(401, "TG-AUTH-001");
    assert!(none.header("www-authenticate").starts_with("Bearer"));
    let wrong = attempt(Some("Bearer tgt_wrong".into())).await;
    assert_eq!(none.body, wrong.body, "what is wrong is answered as what is missing");
    attempt(Some("Basic b3duZXI6eA==".into())).await.is_problem(401, "TG-AUTH-001");
    for (name, role) in [("v", Role::Viewer), ("t", Role::Trigger)] {
        let token = stand.token(name, role, None);
        attempt(Some(format!("Bearer {token}"))).await.is_problem(403, "TG-AUTH-002");
    }
    let token = stand.token("o", Role::Operator, None);
    let answer = attempt(Some(format!("bearer {token}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    stand.tokens.revoke("o").unwrap();
    attempt(Some(format!("Bearer {token}"))).await.is_problem(401, "TG-AUTH-001");
    let twice = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {0}\r\n\
         authorization: Bearer {0}\r\ncontent-length: 2\r\n\r\n{{}}",
        stand.owner()
    );
    stand.raw(twice.as_bytes()).await.is_problem(400, "TG-HTTP-012");
    let in_query = format!("/api/state?access_token={}", stand.owner());
    stand.get(&in_query).await.is_problem(400, "TG-AUTH-007");
}

#[tokio::test]
async fn reading_is_open_on_loopback_unless_forbidden_or_proxied() {
    let stand = Stand::new().await;
    assert_eq!(stand.get("/api/state").await.status, 200);
    let proxied = [("x-forwarded-for", "10.1.2.3".to_owned())];
    stand.send("GET", "/api/state", &proxied, b"").await.is_problem(401, "TG-AUTH-001");
    let wrong = [("authorization", "Bearer nonsense".to_owned())];
    stand.send("GET", "/api/state", &wrong, b"").await.is_problem(401, "TG-AUTH-001");

    let stand = Stand::with(Setup { read: ReadAccess::Token, ..Setup::default() }).await;
    for path in ["/api/state", "/api/pipelines/x", "/api/runs/1/log", "/events", "/api/events"] {
        stand.get(path).await.is_problem(401, "TG-AUTH-001");
    }
    assert_eq!(stand.get("/healthz").await.status, 200);
    let token = stand.token("v", Role::Viewer, None);
    let head = [("authorization", format!("Bearer {token}"))];
    assert_eq!(stand.send("GET", "/api/state", &head, b"").await.status, 200);
}

#[tokio::test]
async fn guessing_tokens_is_slowed_but_a_good_one_is_never_kept_out() {
    let stand = Stand::new().await;
    let wrong = [("authorization", "Bearer nonsense".to_owned())];
    let mut last = 0;
    for _ in 0..61 {
        last = stand.send("GET", "/api/state", &wrong, b"").await.status;
    }
    assert_eq!(last, 429);
    let good = [("authorization", format!("Bearer {}", stand.owner()))];
    assert_eq!(stand.send("GET", "/api/state", &good, b"").await.status, 200);
}

#[tokio::test]
async fn bodies_that_are_not_what_they_must_be_are_problems() {
    let setup = Setup {
        limits: Limits { body: Duration::from_millis(300), ..Limits::default() },
        ..Setup::default()
    };
    let stand = Stand::with(setup).await;
    stand.load("shop", "/nowhere").await;
    let owner = ("authorization", format!("Bearer {}", stand.owner()));
    let path = "/api/pipelines/shop/block";
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/json; charset=latin1",
    ] {
        let head = [owner.clone(), ("content-type", kind.to_owned())];
        stand.send("POST", path, &head, b"{}").await.is_problem(415, "TG-HTTP-005");
    }
    stand.send("POST", path, std::slice::from_ref(&owner), b"{}").await.is_problem(415, "TG-HTTP-005");
    let json = ("content-type", "application/json".to_owned());
    let packed = [owner.clone(), json.clone(), ("content-encoding", "gzip".to_owned())];
    stand.send("POST", path, &packed, b"{}").await.is_problem(415, "TG-HTTP-005");
    for bad in [
        "{",
        "nonsense",
        "{} {}",
        "{\"version\":NaN}",
        "\u{feff}{}",
        "{\"version\":\"\\ud800\"}",
        "{\"version\":1e999}",
    ] {
        stand.post(path, bad).await.is_problem(400, "TG-HTTP-004");
    }
    stand.post(path, &"[".repeat(100_000)).await.is_problem(400, "TG-HTTP-004");
    stand.post(path, &format!("{{\"version\":{}", "[".repeat(100_000))).await.is_problem(422, "TG-HTTP-007");
    let invalid = [owner.clone(), json.clone()];
    let answer = stand.send("POST", path, &invalid, b"{\"version\":\"\xff\"}").await;
    answer.is_problem(400, "TG-HTTP-004");
    for bad in
        ["null", "[]", "1", "{\"version\":1}", "{\"version\":\"1\",\"version\":\"2\"}", "{\"user\":\"root\"}"]
    {
        stand.post(path, bad).await.is_problem(422, "TG-HTTP-007");
    }
    let large = format!("{{\"why\":\"{}\"}}", "x".repeat(1 << 20));
    stand.post(path, &large).await.is_problem(413, "TG-HTTP-003");
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
         connection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        stand.owner(),
        large.len(),
        large
    );
    stand.raw(chunked.as_bytes()).await.is_problem(413, "TG-HTTP-003");
    let slow = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
         content-length: 100\r\n\r\n{{",
        stand.owner()
    );
    stand.raw(slow.as_bytes()).await.is_problem(408, "TG-HTTP-002");
}

#[tokio::test]
async fn heads_that_are_not_http_are_refused_and_the_server_goes_on() {
    let stand = Stand::new().await;
    let many: String = (0..1000).map(|n| format!("x-{n}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(1 << 20));
    for (bad, statuses) in [
        ("GET / HTTP/1.1\r\nhost : localhost\r\n\r\n".to_owned(), &[400][..]),
        ("GET / HTTP/1.1\r\nhost: localhost\r\nx: a\r\n b\r\n\r\n".to_owned(), &[400]),
        ("GET / HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n".to_owned(), &[400]),
        (
            "POST /rebuild HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"
                .to_owned(),
            &[400],
        ),
        (
            "POST /rebuild HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: xchunked\r\n\r\n".to_owned(),
            &[400],
        ),
        (format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"), &[431]),
        (format!("GET / HTTP/1.1\r\nhost: localhost\r\n{large}\r\n"), &[431]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[0, 400]),
        ("\x16\x03\x01\x02\x00".repeat(4) + "\r\n\r\n", &[0, 400]),
    ] {
        let shown: String = bad.chars().take(80).collect();
        let answer = stand.raw(bad.as_bytes()).await;
        assert!(statuses.contains(&answer.status), "{shown:?}: {}", answer.status);
    }
    assert_eq!(stand.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn half_a_head_and_an_idle_connection_are_closed_in_time() {
    let limits = Limits { head: Duration::from_millis(200), ..Limits::default() };
    let stand = Stand::with(Setup { limits, ..Setup::default() }).await;
    // Half a head, and one byte at a time: neither holds a connection.
    let half = stand.raw(b"GET /healthz HTTP/1.1\r\nhost: local").await;
    assert!(matches!(half.status, 0 | 408));
    let mut dripping = stand.connect().await;
    let dripped = timeout(PATIENCE, async {
        loop {
            if dripping.write_all(b"x").await.is_err() {
                return;
            }
            let mut byte = [0];
            let answered = timeout(Duration::from_millis(20), dripping.read(&mut byte)).await;
            if let Ok(Ok(0) | Err(_)) = answered {
                return;
            }
        }
    });
    dripped.await.expect("a head that drips is cut");
    let idle = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", stand.addr);
    assert_eq!(stand.raw(idle.as_bytes()).await.status, 200, "and then it is closed");
}

#[tokio::test]
async fn beyond_the_limit_connections_are_told_so() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let stand = Stand::with(Setup { limits, ..Setup::default() }).await;
    // Two that the server has surely taken: it answered them, and they are kept alive.
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = stand.connect().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        kept.push(stream);
    }
    stand.get("/healthz").await.is_problem(503, "TG-HTTP-001");
    drop(kept);
    let again = async {
        while stand.get("/healthz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.expect("room is given back");
}
