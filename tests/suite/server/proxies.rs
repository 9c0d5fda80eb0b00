//! What proxies say, where they are trusted and where not: who was turned away, and cookies that want TLS.

use super::login::sign_in;
use super::stand::{Setup, Stand};
use tidegate::domain::Role;

async fn trusting(proxies: &[&str]) -> Stand {
    let trusted_proxies = proxies.iter().map(|text| text.parse().unwrap()).collect();
    Stand::with(Setup { trusted_proxies, ..Setup::default() }).await
}

/// Who was turned away, of one who came through proxies that said this.
async fn turned_away(stand: &Stand, said: &str) -> String {
    let headers = [("x-forwarded-for", said.to_owned())];
    stand.send("GET", "/api/state", &headers, b"").await.is_problem(401, "TG-AUTH-001");
    stand.until_journaled("access_refused", 1).await;
    stand.journaled("access_refused").await[0]["from"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_trusted_proxy_says_whom_it_asks_for_and_nobody_else_does() {
    let said = "198.51.100.1, 203.0.113.9, 10.0.0.7";
    let trusted = trusting(&["127.0.0.1", "10.0.0.0/8"]).await;
    assert_eq!(turned_away(&trusted, said).await, "203.0.113.9");
    let one = trusting(&["127.0.0.1"]).await;
    assert_eq!(turned_away(&one, said).await, "10.0.0.7");
    let nobody = trusting(&[]).await;
    assert_eq!(turned_away(&nobody, said).await, "127.0.0.1");
    for stand in [trusted, one, nobody] {
        stand.stop().await;
    }
}

#[tokio::test]
async fn a_cookie_wants_tls_where_a_trusted_proxy_has_it() {
    for (proxies, scheme, expected) in [
        (&["127.0.0.1"][..], "https", true),
        (&["127.0.0.1"], "http", false),
        (&["10.0.0.1"], "https", false),
    ] {
        let stand = trusting(proxies).await;
        let token = stand.token("ann", Role::Viewer, None);
        let answer = sign_in(&stand, &token, &[("x-forwarded-proto", scheme.to_owned())]).await;
        let set = answer.header("set-cookie");
        assert_eq!(set.contains("; Secure"), expected, "{proxies:?} {scheme}: {set}");
        // What a proxy says opens nothing.
        let read = stand.send("GET", "/api/state", &[("x-forwarded-proto", scheme.to_owned())], b"").await;
        read.is_problem(401, "TG-AUTH-001");
        stand.stop().await;
    }
}
