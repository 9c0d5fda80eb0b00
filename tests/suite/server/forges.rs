//! `POST /webhook/…` with real repositories behind the addresses of a forge.

use super::pushes::Work;
use super::stand::{Answered, Setup, Stand, test_git};
use crate::deliveries::{Delivery, NOWHERE, SECRET, SHOP_URL, git_settings, sign};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tidegate::domain::pipeline::Forge;
use tidegate::domain::{Actor, Command, Deed, Role, State};
use tidegate::server::Limits;
use tidegate::settings::{SecretPlace, Webhooks};
use tidegate::source::Git;

/// A forge with one repository, `acme/shop`.
struct Hosted {
    work: Work,
    folder: TempDir,
}

impl Hosted {
    fn new() -> Hosted {
        let hosted = Hosted { work: Work::new(), folder: tempfile::tempdir().unwrap() };
        std::fs::write(hosted.path("gitconfig"), git_settings(&hosted.path(""))).unwrap();
        hosted.keep_secret(SECRET);
        let repo = hosted.path("acme/shop.git").display().to_string();
        hosted.work.git(&["init", "-q", "--bare", "-b", "main", &repo]);
        hosted.work.git(&["remote", "add", "origin", &repo]);
        hosted.publish("main");
        hosted
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn keep_secret(&self, secret: &str) {
        std::fs::write(self.path("secret"), format!("{secret}\n")).unwrap();
        std::fs::set_permissions(self.path("secret"), PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn publish(&self, what: &str) {
        self.work.git(&["push", "-q", "--force", "origin", what]);
    }

    fn git(&self) -> Git {
        test_git().with_env("GIT_CONFIG_GLOBAL", self.path("gitconfig"))
    }

    async fn stand(&self) -> Stand {
        self.stand_with(self.git(), Limits::default()).await
    }

    /// A controller that takes deliveries of every forge, with the pipeline `shop`.
    async fn stand_with(&self, git: Git, limits: Limits) -> Stand {
        let webhooks: Webhooks =
            Forge::ALL.into_iter().map(|forge| (forge, SecretPlace::File(self.path("secret")))).collect();
        let stand = Stand::with(Setup { webhooks, git, limits, ..Setup::default() }).await;
        stand.load("shop", SHOP_URL).await;
        stand
    }
}

async fn deliver(stand: &Stand, delivery: &Delivery) -> Answered {
    stand.send("POST", &delivery.path(), &delivery.headers(), delivery.body.as_bytes()).await
}

fn to_main(forge: Forge, id: &str, before: &str, after: &str) -> Delivery {
    Delivery::of(forge, id, "refs/heads/main", before, after)
}

/// Why the pipeline `shop` did not take it.
#[track_caller]
fn ignored(answer: &Answered) -> String {
    assert_eq!(answer.status, 202, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["accepted"], serde_json::json!([]), "{json}");
    json["ignored"][0]["reason"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

#[track_caller]
fn accepted(answer: &Answered) -> serde_json::Value {
    assert_eq!(answer.status, 202, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["accepted"][0]["pipeline"], "shop", "{json}");
    json["accepted"][0].clone()
}

/// `rebuild_requested` events, as text.
async fn requests(stand: &Stand) -> Vec<String> {
    let text = stand.get("/api/events?kind=rebuild_requested").await.text();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_push_at_any_forge_is_built_once_however_often_it_is_delivered() {
    for forge in Forge::ALL {
        let hosted = Hosted::new();
        let stand = hosted.stand().await;
        let sha = hosted.work.git(&["rev-parse", "HEAD"]);
        let delivery = to_main(forge, "72d3162e-cc78-11e3-81ab-4c9367dc0958", NOWHERE, &sha);
        let first = deliver(&stand, &delivery).await;
        accepted(&first);
        let again = deliver(&stand, &delivery).await;
        assert_eq!((again.text(), again.header("idempotency-replayed")), (first.text(), "true"), "{forge}");
        let other_id = to_main(forge, "0b989ba4-242f-11e5-81e1-c7b6966d2516", NOWHERE, &sha);
        assert!(ignored(&deliver(&stand, &other_id).await).contains("since it was last seen"), "{forge}");
        let requests = requests(&stand).await;
        assert_eq!(requests.len(), 1, "{forge}: {requests:?}");
        let request: serde_json::Value = serde_json::from_str(&requests[0]).unwrap();
        assert_eq!(request["by"], format!("{forge}:ann"));
        assert_eq!((&request["sha"], &request["ref"]), (&sha.as_str().into(), &"refs/heads/main".into()));
        assert_eq!(request["author"], "Ada", "from git, not from the delivery");
        assert!(!requests[0].contains("evil"), "{requests:?}");
    }
}

#[tokio::test]
async fn a_late_delivery_moves_nothing_back_and_a_forced_push_does() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    let first = hosted.work.git(&["rev-parse", "HEAD"]);
    accepted(&deliver(&stand, &to_main(Forge::Github, "1", NOWHERE, &first)).await);
    stand.until("built", |state| state.pipelines["shop"].built.len() == 1).await;
    let second = hosted.work.commit("README", "two");
    hosted.publish("main");
    accepted(&deliver(&stand, &to_main(Forge::Github, "2", &first, &second)).await);
    stand.until("built", |state| state.pipelines["shop"].built.len() == 2).await;
    // The first once more, as after a restart, when its name is forgotten; and one whose `before` is a lie.
    for (id, before) in [("3", NOWHERE), ("4", second.as_str())] {
        let reason = ignored(&deliver(&stand, &to_main(Forge::Github, id, before, &first)).await);
        assert!(reason.contains("out of date") && reason.contains(&second), "{reason}");
    }
    assert_eq!(requests(&stand).await.len(), 2);
    // Somebody moves the branch back at the forge.
    hosted.work.git(&["reset", "-q", "--hard", &first]);
    hosted.publish("main");
    let back = accepted(&deliver(&stand, &to_main(Forge::Github, "5", &second, &first)).await);
    assert!(back["version"].is_string(), "it is built already, and moves to the front: {back}");
    // And what was delivered while it was ahead is out of date now.
    let reason = ignored(&deliver(&stand, &to_main(Forge::Github, "6", &first, &second)).await);
    assert!(reason.contains("out of date"), "{reason}");
    assert_eq!(requests(&stand).await.len(), 3);
}

#[tokio::test]
async fn deletions_tags_and_other_events() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    stand
        .load_with("tags", "git@forge.example:acme/shop", |json| {
            json["source"]["refs"] = serde_json::json!(["v*"])
        })
        .await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    hosted.work.git(&["tag", "-a", "-m", "One", "v1"]);
    hosted.publish("v1");
    let tag = hosted.work.git(&["rev-parse", "v1"]);
    for forge in [Forge::Github, Forge::Gitlab] {
        let gone = deliver(&stand, &to_main(forge, "1", &sha, NOWHERE)).await;
        assert_eq!(gone.status, 200);
        assert!(gone.json()["reason"].as_str().unwrap().contains("deleted"), "{}", gone.text());
    }
    // An annotated tag is delivered as its own object; what is built is its commit.
    let tagged = deliver(&stand, &Delivery::of(Forge::Gitlab, "2", "refs/tags/v1", NOWHERE, &tag)).await;
    let json = tagged.json();
    assert_eq!(
        (&json["accepted"][0]["pipeline"], &json["ignored"][0]["pipeline"]),
        (&"tags".into(), &"shop".into())
    );
    assert!(requests(&stand).await[0].contains(&sha));
    let lost = deliver(&stand, &Delivery::of(Forge::Gitlab, "3", "refs/tags/v2", NOWHERE, &tag)).await;
    assert!(lost.text().contains("there is no `refs/tags/v2` any more"), "{}", lost.text());
    let ping = r#"{"zen":"Keep it logically awesome.","hook_id":1}"#;
    let signature = format!("sha256={}", sign(SECRET, ping.as_bytes()));
    for (kind, reason) in [("ping", "pong"), ("issues", "`issues`")] {
        let head = [
            ("x-github-event", kind.to_owned()),
            ("x-hub-signature-256", signature.clone()),
            ("content-type", "application/json".to_owned()),
        ];
        let answer = stand.send("POST", "/webhook/github", &head, ping.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.json()["reason"].as_str().unwrap().contains(reason), "{}", answer.text());
    }
    let mut other = to_main(Forge::Gitea, "4", NOWHERE, &sha);
    other.body = other.body.replace("acme/shop", "acme/blog");
    let other = deliver(&stand, &other).await;
    assert_eq!(other.status, 202);
    assert!(other.json()["reason"].as_str().unwrap().contains("https://forge.example/acme/blog.git"));
}

#[tokio::test]
async fn who_cannot_sign_stays_outside() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    for forge in Forge::ALL {
        let delivery = to_main(forge, "1", NOWHERE, &sha);
        let is_proof = |name: &str| name.contains("signature") || name.contains("token");
        let without: Vec<_> = delivery.headers().into_iter().filter(|(name, _)| !is_proof(name)).collect();
        let send = async |headers: &[(&str, String)], body: &str| {
            stand.send("POST", &delivery.path(), headers, body.as_bytes()).await
        };
        send(&without, &delivery.body).await.is_problem(401, "TG-HOOK-001");
        let mut old = without.clone();
        old.push(("x-hub-signature", "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12".into()));
        send(&old, &delivery.body).await.is_problem(401, "TG-HOOK-001");
        let mut twice = delivery.headers();
        twice.extend(delivery.headers().into_iter().filter(|(name, _)| is_proof(name)));
        send(&twice, &delivery.body).await.is_problem(400, "TG-HTTP-012");
        let mut wrong = delivery.headers();
        wrong
            .iter_mut()
            .filter(|(name, _)| is_proof(name))
            .for_each(|(_, value)| *value = value.replace('8', "9"));
        let altered = delivery.body.replace(&sha, &"a".repeat(40));
        match forge {
            Forge::Gitlab => send(&wrong, &delivery.body).await.is_problem(401, "TG-HOOK-002"),
            _ => send(&delivery.headers(), &altered).await.is_problem(401, "TG-HOOK-002"),
        }
        // What is not signed is not even read: this is no JSON.
        let nonsense = send(&wrong, "{{{").await;
        nonsense.is_problem(401, "TG-HOOK-002");
        let mut form = delivery.headers();
        form[0].1 = "application/x-www-form-urlencoded".into();
        let answer = send(&form, &delivery.body).await;
        answer.is_problem(415, "TG-HTTP-005");
        assert!(answer.text().contains("application/json"));
        let mut elsewhere = delivery.headers();
        elsewhere.push(("host", "evil.example".into()));
        send(&elsewhere, &delivery.body).await.is_problem(421, "TG-HTTP-006");
        let mut page = delivery.headers();
        page.push(("origin", "https://evil.example".into()));
        send(&page, &delivery.body).await.is_problem(403, "TG-WS-002");
        stand.get(&delivery.path()).await.is_problem(405, "TG-HTTP-010");
    }
    stand.post("/webhook/sourcehut", "{}").await.is_problem(404, "TG-HTTP-009");
    assert!(requests(&stand).await.is_empty());
    let delivery = to_main(Forge::Github, "2", NOWHERE, &sha);
    let mut by_name = delivery.headers();
    by_name.push(("host", "tides.example".into()));
    by_name.push(("x-forwarded-for", "192.0.2.7".into()));
    by_name.push(("authorization", "Basic Zm9yOnByb3h5".into()));
    accepted(&stand.send("POST", &delivery.path(), &by_name, delivery.body.as_bytes()).await);
}

#[tokio::test]
async fn guessing_ends_like_that_of_tokens() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    let mut statuses = Vec::new();
    let head = [("x-gitlab-token", "guess".to_owned())];
    for _ in 0..61 {
        statuses.push(stand.send("POST", "/webhook/gitlab", &head, b"{}").await.status);
    }
    assert_eq!((statuses[0], statuses[59], statuses[60]), (401, 401, 429));
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    accepted(&deliver(&stand, &to_main(Forge::Gitlab, "1", NOWHERE, &sha)).await);
}

#[tokio::test]
async fn a_secret_is_needed_kept_from_others_and_replaced_at_will() {
    let hosted = Hosted::new();
    let bare = Stand::new().await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    for forge in Forge::ALL {
        let answer = deliver(&bare, &to_main(forge, "1", NOWHERE, &sha)).await;
        answer.is_problem(404, "TG-HOOK-004");
        assert!(answer.json()["help"].as_str().unwrap().contains(&format!("[webhook.{forge}]")));
    }
    let stand = hosted.stand().await;
    let delivery = to_main(Forge::Github, "1", NOWHERE, &sha);
    hosted.keep_secret("another-of-that-size");
    deliver(&stand, &delivery).await.is_problem(401, "TG-HOOK-002");
    hosted.keep_secret(SECRET);
    std::fs::set_permissions(hosted.path("secret"), PermissionsExt::from_mode(0o644)).unwrap();
    let open = deliver(&stand, &delivery).await;
    open.is_problem(503, "TG-TOKEN-002");
    assert!(!open.text().contains("/secret"), "where it is, is nobody's business: {}", open.text());
    std::fs::remove_file(hosted.path("secret")).unwrap();
    deliver(&stand, &delivery).await.is_problem(503, "TG-TOKEN-001");
    hosted.keep_secret(SECRET);
    accepted(&deliver(&stand, &delivery).await);
}

/// A git that waits until it is let go, and notes what it is called for.
struct SlowGit {
    program: PathBuf,
    gate: PathBuf,
    open: PathBuf,
    calls: PathBuf,
}

impl SlowGit {
    fn new(hosted: &Hosted) -> SlowGit {
        let [program, gate, open, calls] =
            ["slow-git", "gate", "open", "calls"].map(|name| hosted.path(name));
        let notes = format!("echo \"$*\" >> '{}'", calls.display());
        let waits = format!("[ -e '{}' ] || read -r _ < '{}'", open.display(), gate.display());
        std::fs::write(&program, format!("#!/bin/sh\n{notes}\n{waits}\nexec git \"$@\"\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        SlowGit { program, gate, open, calls }
    }

    /// From now on it does not wait; the file is to be kept until those that wait have heard it.
    fn let_go(&self) -> std::fs::File {
        std::fs::write(&self.open, "").unwrap();
        let mut gate = std::fs::File::options().read(true).write(true).open(&self.gate).unwrap();
        std::io::Write::write_all(&mut gate, &b"go\n".repeat(100)).unwrap();
        gate
    }

    /// How often it was called to list what a repository has.
    fn looks(&self) -> usize {
        let calls = std::fs::read_to_string(&self.calls).unwrap_or_default();
        calls.lines().filter(|line| line.contains("for-each-ref") || line.contains("ls-remote")).count()
    }
}

#[tokio::test]
async fn a_forge_is_not_kept_waiting_for_a_slow_repository() {
    let hosted = Hosted::new();
    let slow = SlowGit::new(&hosted);
    let limits = Limits { delivery: Duration::from_millis(200), ..Limits::default() };
    let stand = hosted.stand_with(hosted.git().with_program(&slow.program), limits).await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    let answer = deliver(&stand, &to_main(Forge::Github, "1", NOWHERE, &sha)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.json(), serde_json::json!({"accepted": [], "ignored": [], "looking": ["shop"]}));
    let owed = stand.get("/api/events?kind=look_owed").await.json();
    assert_eq!((&owed["sha"], &owed["ref"]), (&sha.as_str().into(), &"refs/heads/main".into()), "{owed}");
    assert_eq!((&owed["pipeline"], &owed["by"]), (&"shop".into(), &"github:ann".into()), "{owed}");
    let _gate = slow.let_go();
    let came = |state: &State| {
        let shop = &state.pipelines["shop"];
        shop.refs.contains_key("refs/heads/main") && shop.looks.is_empty()
    };
    stand.until("taken without anybody waiting", came).await;
    let done = stand.get("/api/events?kind=look_done").await.json();
    assert_eq!((&done["owed"], &done["reason"]), (&owed["id"], &serde_json::Value::Null), "{done}");
    assert!(requests(&stand).await[0].contains("github:ann"));
    // Delivered again it is looked at again, and moves nothing.
    let again = loop {
        // A busy machine may be slower than the limit of this test, once more.
        let again = deliver(&stand, &to_main(Forge::Github, "1", NOWHERE, &sha)).await.json();
        if again["looking"].is_null() {
            break again;
        }
    };
    assert_eq!(again["accepted"], serde_json::json!([]));
    assert_eq!(again["ignored"][0]["pipeline"], "shop");
}

#[tokio::test]
async fn however_many_deliveries_come_one_look_is_under_way_and_one_is_owed() {
    let hosted = Hosted::new();
    let slow = SlowGit::new(&hosted);
    let limits = Limits { delivery: Duration::from_millis(300), ..Limits::default() };
    let stand = hosted.stand_with(hosted.git().with_program(&slow.program), limits).await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    // One signed delivery, and replays of it under other names: the signature is of the body alone.
    for round in 0..3 {
        let replays: Vec<Delivery> =
            (0..20).map(|id| to_main(Forge::Github, &format!("{round}-{id}"), NOWHERE, &sha)).collect();
        let answers = replays.iter().map(|delivery| deliver(&stand, delivery));
        for answer in futures_util::future::join_all(answers).await {
            assert_eq!(answer.json()["looking"], serde_json::json!(["shop"]), "{}", answer.text());
        }
        assert_eq!(slow.looks(), 1, "the others wait for the next one");
    }
    let owed = stand.get("/api/events?kind=look_owed").await.text().lines().count();
    assert!(owed <= 2, "{owed}");
    let _gate = slow.let_go();
    stand
        .until("looked at", |state| {
            let shop = &state.pipelines["shop"];
            shop.refs.contains_key("refs/heads/main") && shop.looks.is_empty()
        })
        .await;
    // The one that hung, and what was owed.
    assert!(slow.looks() <= 1 + owed, "{} looks", slow.looks());
    assert_eq!(requests(&stand).await.len(), 1);
}

#[tokio::test]
async fn what_finds_no_room_is_refused_to_who_asks_and_owed_to_a_forge() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    stand.disk.set_full(true);
    stand.fill_queue("shop").await;
    let before = stand.engine.read(|state| state.last);
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    let refused = stand.post("/rebuild", &super::pushes::push(&sha, "")).await;
    refused.is_problem(429, "TG-PUSH-005");
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(stand.engine.read(|state| state.last), before, "nothing is journaled");
    let answer = deliver(&stand, &to_main(Forge::Github, "1", NOWHERE, &sha)).await;
    assert_eq!(answer.json()["looking"], serde_json::json!(["shop"]), "{}", answer.text());
    stand.until("owed", |state| state.pipelines["shop"].looks.contains_key("refs/heads/main")).await;
    // Room for one.
    let actor = Actor { name: "ann".into(), role: Role::Operator, email: None };
    let (pipeline, deed) = ("shop".into(), Deed::Cancel { tier: None, version: None });
    stand.engine.ask(Command::ByHand { actor, why: None, pipeline, deed }).await.unwrap();
    stand
        .until("taken", |state| {
            let shop = &state.pipelines["shop"];
            shop.looks.is_empty() && shop.queue.iter().any(|asked| asked.sha == *sha)
        })
        .await;
}

#[tokio::test]
async fn what_git_cannot_say_for_one_pipeline_of_several_is_owed() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    stand.load("twin", "git@forge.example:acme/shop").await;
    // By that address there is nothing yet.
    let later = hosted.path("later");
    let settings = format!(
        "[url \"file://{}/\"]\n\tinsteadOf = https://forge.example/\n[url \"file://{}/\"]\n\tinsteadOf = git@forge.example:\n",
        hosted.path("").display(),
        later.display()
    );
    std::fs::write(hosted.path("gitconfig"), settings).unwrap();
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    let answer = deliver(&stand, &to_main(Forge::Github, "1", NOWHERE, &sha)).await;
    accepted(&answer);
    assert_eq!(answer.json()["looking"], serde_json::json!(["twin"]), "{}", answer.text());
    std::os::unix::fs::symlink(hosted.path(""), &later).unwrap();
    stand.until("looked at again", |state| state.pipelines["twin"].looks.is_empty()).await;
    assert_eq!(requests(&stand).await.len(), 2);
}

#[tokio::test]
async fn a_repository_that_cannot_be_had_for_a_while_loses_no_push() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    std::fs::rename(hosted.path("acme/shop.git"), hosted.path("acme/gone")).unwrap();
    let delivery = to_main(Forge::Github, "1", NOWHERE, &sha);
    let answer = deliver(&stand, &delivery).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.json(), serde_json::json!({"accepted": [], "ignored": [], "looking": ["shop"]}));
    let owed = stand.get("/api/events?kind=look_owed").await.json();
    assert_eq!((&owed["sha"], &owed["by"]), (&sha.as_str().into(), &"github:ann".into()), "{owed}");
    std::fs::rename(hosted.path("acme/gone"), hosted.path("acme/shop.git")).unwrap();
    stand.until("looked at again", |state| state.pipelines["shop"].looks.is_empty()).await;
    assert!(requests(&stand).await[0].contains("github:ann"));
}

#[tokio::test]
async fn a_repository_that_lets_nobody_in_for_a_while_loses_no_push() {
    let hosted = Hosted::new();
    // As git says it when a credential is out of date, until it was renewed.
    let (program, renewed) = (hosted.path("git"), hosted.path("renewed"));
    let refuses = "fatal: Authentication failed for 'https://forge.example/acme/shop.git/'";
    let script = format!("[ -e '{}' ] || {{ echo \"{refuses}\" >&2; exit 128; }}", renewed.display());
    std::fs::write(&program, format!("#!/bin/sh\n{script}\nexec git \"$@\"\n")).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let stand = hosted.stand_with(hosted.git().with_program(&program), Limits::default()).await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    let answer = deliver(&stand, &to_main(Forge::Gitlab, "1", NOWHERE, &sha)).await;
    assert_eq!((answer.status, &answer.json()["looking"]), (202, &serde_json::json!(["shop"])));
    std::fs::write(renewed, "").unwrap();
    stand.until("looked at again", |state| state.pipelines["shop"].looks.is_empty()).await;
    assert_eq!(requests(&stand).await.len(), 1);
}

#[tokio::test]
async fn a_secret_that_anybody_could_guess_opens_no_door() {
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    let now = chrono::Utc::now().timestamp().to_string();
    // A signing token of GitLab without a key, or with a few bytes, and what is signed with that.
    for (secret, key) in [("whsec_", &b""[..]), ("whsec_Zm9v", b"foo"), ("whsec_=", b"")] {
        hosted.keep_secret(secret);
        let delivery = to_main(Forge::Gitlab, "1", NOWHERE, &sha);
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("1.{now}.{}", delivery.body).as_bytes());
        let signature = format!("v1,{}", base64(&mac.finalize().into_bytes()));
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("x-gitlab-event", "Push Hook".to_owned()),
            ("webhook-id", "1".to_owned()),
            ("webhook-timestamp", now.clone()),
            ("webhook-signature", signature),
        ];
        let answer = stand.send("POST", &delivery.path(), &headers, delivery.body.as_bytes()).await;
        answer.is_problem(503, "TG-HOOK-008");
    }
    for forge in Forge::ALL {
        hosted.keep_secret("short");
        deliver(&stand, &to_main(forge, "1", NOWHERE, &sha)).await.is_problem(503, "TG-HOOK-008");
    }
    assert!(requests(&stand).await.is_empty());
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of_three = |three: &[u8]| {
        let held =
            three.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let digit = |at: usize| DIGITS[(held >> (18 - 6 * at) & 63) as usize] as char;
        (0..4).map(|at| if at <= three.len() { digit(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(of_three).collect()
}

#[tokio::test]
async fn a_delivery_of_long_ago_is_not_taken_again() {
    let hosted = Hosted::new();
    // A signing token of GitLab names the moment in what it signs.
    let key = [7_u8; 32];
    hosted.keep_secret(&format!("whsec_{}", base64(&key)));
    let stand = hosted.stand().await;
    let sha = hosted.work.git(&["rev-parse", "HEAD"]);
    let delivery = to_main(Forge::Gitlab, "1", NOWHERE, &sha);
    for (age, code) in [(301, Some("TG-HOOK-007")), (-301, Some("TG-HOOK-007")), (0, None)] {
        let moment = (chrono::Utc::now().timestamp() - age).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("1.{moment}.{}", delivery.body).as_bytes());
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("x-gitlab-event", "Push Hook".to_owned()),
            ("webhook-id", "1".to_owned()),
            ("webhook-timestamp", moment),
            ("webhook-signature", format!("v1,{}", base64(&mac.finalize().into_bytes()))),
        ];
        let answer = stand.send("POST", &delivery.path(), &headers, delivery.body.as_bytes()).await;
        match code {
            Some(code) => answer.is_problem(401, code),
            None => assert_eq!(answer.status, 202, "{}", answer.text()),
        }
    }
}

#[tokio::test]
async fn large_deliveries_of_nobody_knows_whom_have_their_room_and_no_more() {
    use tokio::io::AsyncWriteExt as _;
    let hosted = Hosted::new();
    let stand = hosted.stand().await;
    let delivery = to_main(Forge::Github, "1", NOWHERE, &"1".repeat(40));
    let bytes = Limits::default().delivery_bytes;
    let mut head =
        format!("POST {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {bytes}\r\n", delivery.path(), stand.addr);
    for (name, value) in delivery.headers() {
        head += &format!("{name}: {value}\r\n");
    }
    // Those that are under way say what will come, and send none of it.
    let mut under_way = Vec::new();
    let asks = format!("{head}connection: close\r\n\r\n");
    let refused = loop {
        assert!(under_way.len() < 100, "there is an end of room");
        let mut stream = stand.connect().await;
        stream.write_all(asks.as_bytes()).await.unwrap();
        if let Some(refused) = stand.answer_within(&mut stream, Duration::from_millis(300)).await {
            break refused;
        }
        under_way.push(stream);
    };
    refused.is_problem(503, "TG-HOOK-006");
    assert_eq!(refused.header("retry-after"), "5");
    assert!(!under_way.is_empty());
    // A small one needs none of it.
    assert_ne!(deliver(&stand, &delivery).await.status, 503);
}
