//! Payloads of every forge, as documented and as nobody would send them.

use super::*;
use axum::http::HeaderValue;

const SHA: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";

/// A push to `main`, of each forge, as short as its documentation allows.
fn push(forge: Forge) -> String {
    let before = "1481a2de7b2a7d02428ad93446ab166be7793fbb";
    let commits =
        format!(r#"[{{"id":"{SHA}","message":"A \ud83d\ude00 change","added":["PATH"],"modified":[]}}]"#);
    match forge {
        Forge::Github => format!(
            r#"{{"ref":"refs/heads/main","before":"{before}","after":"{SHA}","created":false,"deleted":false,
            "forced":false,"base_ref":null,"compare":"https://github.com/acme/shop/compare/a...b","commits":{commits},
            "repository":{{"id":186853002,"name":"shop","full_name":"acme/shop","private":false,
            "html_url":"https://github.com/acme/shop","url":"https://github.com/acme/shop",
            "git_url":"git://github.com/acme/shop.git","ssh_url":"git@github.com:acme/shop.git",
            "clone_url":"https://github.com/acme/shop.git","homepage":"https://evil.example/x","size":1.5e3}},
            "pusher":{{"name":"ann","email":"ann@users.noreply.github.com"}},"sender":{{"login":"ann","id":21031067}}}}"#
        ),
        Forge::Gitlab => format!(
            r#"{{"object_kind":"push","event_name":"push","before":"{before}","after":"{SHA}","ref":"refs/heads/main",
            "ref_protected":true,"checkout_sha":"{SHA}","user_id":4,"user_name":"Ann Smith","user_username":"ann",
            "user_email":"","project_id":15,"project":{{"id":15,"name":"shop","web_url":"https://lab.example/acme/shop",
            "git_ssh_url":"git@lab.example:acme/shop.git","git_http_url":"https://lab.example/acme/shop.git",
            "namespace":"acme","homepage":"https://lab.example/acme/shop","url":"git@lab.example:acme/shop.git"}},
            "repository":{{"name":"shop","url":"git@lab.example:acme/shop.git","homepage":"https://lab.example/acme/shop",
            "git_http_url":"https://lab.example/acme/shop.git","git_ssh_url":"git@lab.example:acme/shop.git"}},
            "commits":{commits},"total_commits_count":1}}"#
        ),
        Forge::Gitea | Forge::Forgejo => format!(
            r#"{{"ref":"refs/heads/main","before":"{before}","after":"{SHA}",
            "compare_url":"https://tea.example/acme/shop/compare/a...b","commits":{commits},
            "repository":{{"id":140,"owner":{{"id":1,"login":"acme"}},"name":"shop","full_name":"acme/shop",
            "html_url":"https://tea.example/acme/shop","ssh_url":"ssh://git@tea.example:2222/acme/shop.git",
            "clone_url":"https://tea.example/acme/shop.git","website":"https://evil.example/x",
            "original_url":"https://evil.example/y"}},
            "pusher":{{"id":2,"login":"ann","full_name":"Ann","email":"ann@tea.example","username":"ann"}},
            "sender":{{"id":2,"login":"ann","username":"ann"}}}}"#
        ),
    }
}

fn headers(forge: Forge, kind: &'static str) -> HeaderMap {
    let name = match forge {
        Forge::Github => "x-github-event",
        Forge::Gitlab => "x-gitlab-event",
        Forge::Gitea => "x-gitea-event",
        Forge::Forgejo => "x-forgejo-event",
    };
    let kind = if forge == Forge::Gitlab && kind == "push" { "Push Hook" } else { kind };
    HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), HeaderValue::from_static(kind))])
}

fn read_push(forge: Forge, body: &str) -> Result<Told, Problem> {
    read(forge, &headers(forge, "push"), body.as_bytes())
}

#[test]
fn a_push_says_what_moved_where_and_by_whom() {
    for forge in Forge::ALL {
        let Ok(Told::Moved(moved)) = read_push(forge, &push(forge)) else { panic!("{forge}") };
        assert_eq!((moved.ref_name.as_str(), moved.after.as_str()), ("refs/heads/main", SHA));
        assert_eq!(moved.before.as_deref(), Some("1481a2de7b2a7d02428ad93446ab166be7793fbb"));
        assert_eq!(moved.by, format!("{forge}:ann"));
        assert!(!moved.urls.iter().any(|url| url.contains("evil")), "what a user may set: {:?}", moved.urls);
        let is = |repo: &str| moved.urls.iter().any(|url| source::same_repo(repo, url));
        let host = match forge {
            Forge::Github => "github.com",
            Forge::Gitlab => "lab.example",
            Forge::Gitea | Forge::Forgejo => "tea.example",
        };
        assert!(
            is(&format!("https://{host}/acme/shop.git")) && is(&format!("https://ci:pw@{host}/acme/shop/"))
        );
        match host {
            "tea.example" => assert!(is("ssh://git@tea.example:2222/acme/shop")),
            _ => assert!(
                is(&format!("git@{host}:acme/shop")) && is(&format!("ssh://git@{host}/acme/shop.git"))
            ),
        }
        assert!(!is(&format!("https://{host}/acme/shop2")) && !is("https://other.example/acme/shop"));
    }
}

#[test]
fn what_is_no_push_leads_to_nothing_and_says_why() {
    let nothing = |forge, kind, body: &str| match read(forge, &headers(forge, kind), body.as_bytes()) {
        Ok(Told::Nothing(reason)) => reason,
        other => panic!("{forge} {kind}: {other:?}"),
    };
    assert!(nothing(Forge::Github, "ping", r#"{"zen":"Keep it logically awesome."}"#).contains("pong"));
    for forge in [Forge::Github, Forge::Gitea, Forge::Forgejo] {
        assert!(nothing(forge, "issues", "{}").contains("`issues`"));
    }
    assert!(nothing(Forge::Gitlab, "Issue Hook", "{}").contains("`Issue Hook`"));
    assert!(nothing(Forge::Gitlab, "System Hook", r#"{"event_name":"user_create"}"#).contains("user_create"));
    for forge in Forge::ALL {
        let deleted =
            push(forge).replacen(&format!(r#""after":"{SHA}""#), &format!(r#""after":"{:040}""#, 0), 1);
        assert!(nothing(forge, "push", &deleted).contains("was deleted"));
        let notes = push(forge).replacen("refs/heads/main", "refs/notes/commits", 1);
        assert!(nothing(forge, "push", &notes).contains("neither a branch nor a tag"));
    }
}

#[test]
fn a_new_branch_was_nowhere_and_a_long_name_of_a_commit_is_one() {
    let made = push(Forge::Github).replacen("1481a2de7b2a7d02428ad93446ab166be7793fbb", &"0".repeat(40), 1);
    let made = made.replace(SHA, &"AB".repeat(32));
    let Ok(Told::Moved(moved)) = read_push(Forge::Github, &made) else { panic!("{made}") };
    assert_eq!((moved.before, moved.after), (None, "ab".repeat(32)));
}

#[test]
fn what_is_missing_or_wrong_has_a_code() {
    let code = |body: String| read_push(Forge::Github, &body).unwrap_err().code().to_owned();
    let push = push(Forge::Github);
    for (from, to, expected) in [
        (r#""ref":"#, r#""fer":"#, "TG-HOOK-003"),
        (r#""after":"#, r#""afte":"#, "TG-HOOK-003"),
        (r#""repository":"#, r#""repositor":"#, "TG-HOOK-003"),
        (r#""ref":"refs/heads/main""#, r#""ref":["refs/heads/main"]"#, "TG-HOOK-003"),
        (r#""ref":"#, r#""ref":"refs/heads/x","ref":"#, "TG-HOOK-003"),
        (r#""refs/heads/main""#, r#""refs/heads/--upload-pack=x""#, "TG-REF-002"),
        (r#""refs/heads/main""#, r#""refs/heads/a b""#, "TG-REF-004"),
        (SHA, "6113728", "TG-HOOK-003"),
        (SHA, "main", "TG-GIT-006"),
        (SHA, "--output=x", "TG-GIT-006"),
        ("{", "[", "TG-HTTP-004"),
        ("{", "\u{feff}{", "TG-HTTP-004"),
    ] {
        assert_eq!(code(push.replacen(from, to, 1)), expected, "{from} as {to}");
    }
    assert_eq!(code(push[..push.len() - 1].to_owned()), "TG-HTTP-004");
    assert_eq!(code(push.clone() + "{}"), "TG-HTTP-004");
    assert_eq!(code("[".repeat(100_000)), "TG-HTTP-004");
    let paths =
        push.replace("https://github.com/acme/shop", "file:///srv/x").replace("git://github.com/", "/");
    let paths = paths.replace("git@github.com:", "/");
    assert_eq!(code(paths), "TG-HOOK-003", "a path is not for others to name");
    let none = read(Forge::Github, &HeaderMap::new(), push.as_bytes()).unwrap_err();
    assert_eq!(none.code(), "TG-HOOK-003");
}

#[test]
fn a_pusher_is_harmless_text() {
    let by = |name: &str| by(Forge::Gitea, Some(name.to_owned()));
    assert_eq!(by("ann"), "gitea:ann");
    assert_eq!(by("renovate[bot]"), "gitea:renovatebot");
    assert_eq!(by("\u{1b}[31m<b>\u{202e}x\nowner"), "gitea:31mbxowner");
    assert_eq!(by(&"a".repeat(500)).len(), "gitea:".len() + PUSHER_LIMIT);
    assert_eq!((by("\n"), super::by(Forge::Github, None)), ("gitea".into(), "github".into()));
}

/// A generator that gives the same numbers everywhere (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn mutate(&mut self, body: &mut Vec<u8>) {
        const PIECES: [&[u8]; 20] = [
            b"null",
            b"{",
            b"}",
            b"[",
            b"]",
            b"\"",
            b"\\",
            b"\\ud800",
            b"\\u0000",
            b"1e999",
            b"9007199254740993",
            b"NaN",
            b"-",
            b",",
            b":",
            b"\xff",
            b"\xef\xbb\xbf",
            b"refs/heads/--x",
            b"0000000000000000000000000000000000000000",
            b"LD_PRELOAD",
        ];
        if body.is_empty() {
            return body.extend_from_slice(PIECES[self.below(PIECES.len())]);
        }
        let at = self.below(body.len());
        match self.below(6) {
            0 => body[at] = self.below(256) as u8,
            1 => body.truncate(at),
            2 => {
                let end = (at + self.below(40)).min(body.len());
                body.drain(at..end);
            }
            3 => {
                let piece = PIECES[self.below(PIECES.len())];
                body.splice(at..at, piece.iter().copied());
            }
            4 => {
                let end = (at + self.below(200)).min(body.len());
                let copy = body[at..end].to_vec();
                body.splice(at..at, copy);
            }
            _ => {
                // One whole value for another.
                let piece = PIECES[self.below(PIECES.len())];
                let end =
                    body[at..].iter().position(|&byte| byte == b',').map_or(body.len(), |next| at + next);
                let begin = body[..at].iter().rposition(|&byte| byte == b':').map_or(0, |last| last + 1);
                body.splice(begin..end, piece.iter().copied());
            }
        }
    }
}

#[test]
fn ten_thousand_mutated_payloads_of_each_forge_are_read_or_refused() {
    for (number, forge) in Forge::ALL.into_iter().enumerate() {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15 + number as u64);
        let (mut taken, mut refused) = (0, 0);
        for round in 0..10_000 {
            let mut body = push(forge).into_bytes();
            for _ in 0..=chance.below(4) {
                chance.mutate(&mut body);
            }
            match read(forge, &headers(forge, "push"), &body) {
                Ok(Told::Moved(moved)) => {
                    taken += 1;
                    assert!(source::check_ref(moved.ref_name.as_str()).is_ok(), "{forge} {round}: {moved:?}");
                    assert!(matches!(moved.after.len(), 40 | 64), "{forge} {round}: {moved:?}");
                    assert!(moved.after.bytes().all(|digit| digit.is_ascii_hexdigit()));
                    assert!(
                        moved.by.bytes().all(|byte| byte.is_ascii_graphic()),
                        "{forge} {round}: {moved:?}"
                    );
                }
                Ok(Told::Nothing(reason)) => {
                    assert!(!reason.chars().any(char::is_control), "{forge} {round}")
                }
                Err(problem) => {
                    refused += 1;
                    let status = problem.status().as_u16();
                    assert!((400..500).contains(&status), "{forge} {round}: {problem:?}");
                }
            }
        }
        assert!(taken > 500 && refused > 500, "{forge}: {taken} and {refused}: both ways were gone");
    }
}
