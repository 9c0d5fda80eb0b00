//! A browser that signs in with a token, and what its cookie is good for.

use super::stand::{Answered, Setup, Stand};
use tidegate::domain::Role;
use tidegate::settings::ReadAccess;

pub(super) async fn sign_in(stand: &Stand, token: &str, headers: &[(&str, String)]) -> Answered {
    let mut head = vec![("content-type", "application/json".to_owned())];
    head.extend(headers.iter().cloned());
    let body = serde_json::json!({ "token": token }).to_string();
    stand.send("POST", "/api/login", &head, body.as_bytes()).await
}

/// The cookie that an answer sets, without its attributes.
pub(super) fn cookie(answer: &Answered) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

pub(super) fn from_page(stand: &Stand, cookie: &str) -> Vec<(&'static str, String)> {
    vec![
        ("cookie", format!("other=1; {cookie}")),
        ("origin", format!("http://{}", stand.addr)),
        ("content-type", "application/json".to_owned()),
    ]
}

async fn hold(stand: &Stand, headers: &[(&str, String)]) -> Answered {
    stand.send("POST", "/api/pipelines/shop/hold", headers, b"{}").await
}

#[tokio::test]
async fn a_cookie_stands_for_the_token_that_was_shown() {
    let stand = Stand::with(Setup { read: ReadAccess::Token, ..Setup::default() }).await;
    stand.load("shop", "/nowhere").await;
    let token = stand.token("ann", Role::Operator, None);
    stand.get("/api/state").await.is_problem(401, "TG-AUTH-001");
    let answer = sign_in(&stand, &token, &[]).await;
    assert_eq!((answer.status, answer.json()["name"].as_str()), (200, Some("ann")));
    let set = answer.header("set-cookie");
    assert!(
        set.contains("; HttpOnly") && set.contains("; SameSite=Strict") && set.contains("; Path=/"),
        "{set}"
    );
    assert!(!set.contains("Secure") && !set.contains(&token), "{set}");
    let cookie = cookie(&answer);
    let shown = [("cookie", cookie.clone())];
    assert_eq!(stand.send("GET", "/api/state", &shown, b"").await.status, 200);
    let who = stand.send("GET", "/api/whoami", &shown, b"").await.json();
    assert_eq!(
        (who["name"].as_str(), who["role"].as_str(), who["session"].as_bool()),
        (Some("ann"), Some("operator"), Some(true))
    );
    // A change is signed with the token's name.
    assert_eq!(hold(&stand, &from_page(&stand, &cookie)).await.status, 200);
    let by = stand
        .engine
        .read(|state| state.pipeline(&"shop".into()).unwrap().hold.as_ref().map(|hold| hold.by.clone()));
    assert_eq!(by.as_deref(), Some("ann"));
    // Signing out makes the browser forget it.
    let out = stand.send("POST", "/api/logout", &from_page(&stand, &cookie), b"{}").await;
    assert!(out.header("set-cookie").contains("tidegate_session=; Path=/; Max-Age=0"), "{:?}", out.headers);
    stand.stop().await;
}

#[tokio::test]
async fn a_change_by_cookie_must_come_from_a_page_of_the_controller() {
    let stand = Stand::with(Setup { hosts: vec!["friend.example".into()], ..Setup::default() }).await;
    stand.load("shop", "/nowhere").await;
    let cookie = cookie(&sign_in(&stand, &stand.token("ann", Role::Operator, None), &[]).await);
    let mut headers = from_page(&stand, &cookie);
    headers.retain(|(name, _)| *name != "origin");
    hold(&stand, &headers).await.is_problem(403, "TG-AUTH-009");
    // Another page that may read, another port of this machine, and no page at all.
    for origin in ["http://friend.example", "http://127.0.0.1:1", "null"] {
        let mut headers = headers.clone();
        headers.push(("origin", origin.to_owned()));
        let answer = hold(&stand, &headers).await;
        assert_eq!(answer.status, 403, "{origin}: {}", answer.text());
    }
    assert!(stand.engine.read(|state| state.pipeline(&"shop".into()).unwrap().hold.is_none()));
    stand.stop().await;
}

#[tokio::test]
async fn a_cookie_ends_with_its_token_and_no_other_is_taken() {
    let stand = Stand::with(Setup { read: ReadAccess::Token, ..Setup::default() }).await;
    let (ann, bob) = (stand.token("ann", Role::Admin, None), stand.token("bob", Role::Viewer, None));
    let cookie_of_ann = cookie(&sign_in(&stand, &ann, &[]).await);
    let cookie_of_bob = cookie(&sign_in(&stand, &bob, &[]).await);
    let reads = async |cookie: &str| {
        stand.send("GET", "/api/state", &[("cookie", cookie.to_owned())], b"").await.status
    };
    assert_eq!((reads(&cookie_of_ann).await, reads(&cookie_of_bob).await), (200, 200));
    // Nobody becomes another one, or has longer.
    let forged = cookie_of_bob.replace("bob", "ann");
    let longer = cookie_of_bob.replacen("=1", "=2", 1);
    for bad in [
        forged.as_str(),
        &longer,
        "tidegate_session=",
        "tidegate_session=1.2.owner",
        &format!("tidegate_session={bob}"),
    ] {
        assert_eq!(reads(bad).await, 401, "{bad}");
    }
    // One that is made again under the same name is another one.
    stand.tokens.revoke("ann").unwrap();
    assert_eq!(reads(&cookie_of_ann).await, 401);
    stand.token("ann", Role::Admin, None);
    assert_eq!((reads(&cookie_of_ann).await, reads(&cookie_of_bob).await), (401, 200));
    // Where reading is free, one that does not count is as none.
    stand.stop().await;
    let open = Stand::new().await;
    let answer = open.send("GET", "/api/state", &[("cookie", cookie_of_ann)], b"").await;
    assert_eq!(answer.status, 200);
    open.stop().await;
}

#[tokio::test]
async fn a_wrong_token_signs_nobody_in_and_guessing_ends() {
    let stand = Stand::new().await;
    for _ in 0..60 {
        sign_in(&stand, "tgt_0000", &[]).await.is_problem(401, "TG-AUTH-001");
    }
    sign_in(&stand, "tgt_0000", &[]).await.is_problem(429, "TG-AUTH-005");
    assert_eq!(sign_in(&stand, stand.owner(), &[]).await.status, 200, "a good one is never kept out");
    // Through TLS the cookie never comes without it.
    let origin = [("origin", format!("https://{}", stand.addr))];
    assert!(sign_in(&stand, stand.owner(), &origin).await.header("set-cookie").ends_with("; Secure"));
    // A page of somebody else may not even try.
    let foreign = [("origin", "https://evil.example".to_owned())];
    sign_in(&stand, stand.owner(), &foreign).await.is_problem(403, "TG-WS-002");
    stand.stop().await;
}
