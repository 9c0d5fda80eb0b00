//! `POST /rebuild` with real repositories.

use super::stand::{GIT_ENV, Stand};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use tempfile::TempDir;
use tidegate::domain::Role;

/// A repository with one commit on `main`.
pub(super) struct Work {
    temp: TempDir,
}

impl Work {
    pub(super) fn new() -> Work {
        let work = Work { temp: tempfile::tempdir().unwrap() };
        work.git(&["init", "-q", "-b", "main"]);
        work.commit("README", "one");
        work
    }

    pub(super) fn path(&self) -> PathBuf {
        self.temp.path().canonicalize().unwrap()
    }

    pub(super) fn text(&self) -> String {
        self.path().display().to_string()
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        let mut command = Process::new("git");
        command.args(args).current_dir(self.path()).envs(GIT_ENV);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(super) fn commit(&self, file: &str, text: &str) -> String {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", &format!("Change {file}\n\nmore")]);
        self.git(&["rev-parse", "HEAD"])
    }
}

pub(super) fn push(sha: &str, more: &str) -> String {
    format!(r#"{{"sha":"{sha}","ref":"refs/heads/main"{more}}}"#)
}

#[tokio::test]
async fn a_push_is_taken_by_every_pipeline_of_the_repository() {
    let work = Work::new();
    let stand = Stand::new().await;
    stand.load("shop", &work.text()).await;
    stand.load_with("docs", &work.text(), |json| json["source"]["refs"] = serde_json::json!(["docs"])).await;
    stand.load_with("whole", &work.text(), |json| json["source"]["refs"] = serde_json::json!([])).await;
    stand.load("other", "/srv/other.git").await;
    let sha = work.git(&["rev-parse", "HEAD"]);
    let repo = format!(r#","repo":"{}/""#, work.text());
    let answer = stand.post("/rebuild", &push(&sha, &repo)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let json = answer.json();
    let names = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["pipeline"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&json["accepted"]), ["shop", "whole"]);
    assert_eq!(names(&json["ignored"]), ["docs"]);
    assert!(json["ignored"][0]["reason"].as_str().unwrap().contains("refs/heads/main"));
    let id = json["accepted"][0]["id"].as_u64().unwrap();
    let line = stand.get(&format!("/api/events?since={}&pipeline=shop", id - 1)).await.text();
    let event: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!((event["kind"].as_str(), event["sha"].as_str()), (Some("rebuild_requested"), Some(&*sha)));
    assert_eq!(event["subject"], "Change README");
    assert_eq!(event["author"], "Ada");
    assert_eq!(event["by"], "owner");
}

#[tokio::test]
async fn an_abbreviation_is_resolved_and_what_is_no_commit_is_refused() {
    let work = Work::new();
    let stand = Stand::new().await;
    stand.load("shop", &work.text()).await;
    let sha = work.git(&["rev-parse", "HEAD"]);
    let answer = stand.post("/rebuild", &format!(r#"{{"sha":"{}"}}"#, &sha[..9])).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let requested = stand.get("/api/events?kind=rebuild_requested").await.text();
    assert!(requested.contains(&sha), "{requested}");
    let tree = work.git(&["rev-parse", "HEAD^{tree}"]);
    for (bad, code) in [
        ("0".repeat(40), "TG-GIT-007"),
        ("f".repeat(40), "TG-GIT-003"),
        ("f".repeat(64), "TG-GIT-003"),
        ("f".repeat(65), "TG-GIT-006"),
        ("abc".into(), "TG-GIT-006"),
        ("--upload-pack=x".into(), "TG-GIT-006"),
        (tree, "TG-GIT-005"),
    ] {
        stand.post("/rebuild", &push(&bad, "")).await.is_problem(422, code);
    }
    for (bad, code) in
        [("refs/heads/--x", "TG-REF-002"), ("main", "TG-REF-004"), ("refs/heads/a..b", "TG-REF-004")]
    {
        let body = format!(r#"{{"sha":"{sha}","ref":"{bad}"}}"#);
        stand.post("/rebuild", &body).await.is_problem(422, code);
    }
    stand.post("/rebuild", &push(&sha, r#","old":"nonsense""#)).await.is_problem(422, "TG-GIT-006");
    stand.post("/rebuild", "{}").await.is_problem(422, "TG-PUSH-003");
    // What would like to be a variable of a step is a field that nobody knows.
    for name in ["LD_PRELOAD", "PATH", "BASH_ENV", "GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "env"] {
        stand
            .post("/rebuild", &push(&sha, &format!(r#","{name}":"x""#)))
            .await
            .is_problem(422, "TG-HTTP-007");
    }
}

#[tokio::test]
async fn who_is_meant_must_be_plain() {
    let work = Work::new();
    let stand = Stand::new().await;
    let sha = work.git(&["rev-parse", "HEAD"]);
    stand.post("/rebuild", &push(&sha, "")).await.is_problem(422, "TG-PUSH-002");
    stand.load("shop", &work.text()).await;
    stand.load("blog", "/srv/blog.git").await;
    stand.post("/rebuild", &push(&sha, "")).await.is_problem(422, "TG-PUSH-002");
    stand.post("/rebuild", &push(&sha, r#","pipeline":"nope""#)).await.is_problem(404, "TG-ASK-001");
    stand.post("/rebuild", &push(&sha, r#","repo":"/srv/none.git""#)).await.is_problem(422, "TG-PUSH-001");
    let both = r#","pipeline":"shop","repo":"/srv/blog.git""#;
    stand.post("/rebuild", &push(&sha, both)).await.is_problem(422, "TG-PUSH-001");
    work.git(&["branch", "other"]);
    stand.load_with("both", &work.text(), |json| json["source"]["refs"] = serde_json::json!(["*"])).await;
    stand.post("/rebuild", r#"{"pipeline":"both","again":true}"#).await.is_problem(422, "TG-PUSH-004");
    let named = stand.post("/rebuild", &push(&sha, r#","pipeline":"shop""#)).await;
    assert_eq!(named.json()["accepted"][0]["pipeline"], "shop");
}

#[tokio::test]
async fn paths_that_are_not_touched_and_repeated_deliveries_are_ignored_with_the_reason() {
    let work = Work::new();
    let stand = Stand::new().await;
    let only_shop = |json: &mut serde_json::Value| json["source"]["paths"] = serde_json::json!(["shop/**"]);
    stand.load_with("shop", &work.text(), only_shop).await;
    let first = work.git(&["rev-parse", "HEAD"]);
    let zero = format!(r#","old":"{}""#, "0".repeat(40));
    assert_eq!(stand.post("/rebuild", &push(&first, &zero)).await.json()["accepted"][0]["pipeline"], "shop");
    stand.until_passed("shop", "host", &label(&first)).await;
    let second = work.commit("docs/a", "two");
    let old = format!(r#","old":"{first}""#);
    let json = stand.post("/rebuild", &push(&second, &old)).await.json();
    assert!(json["ignored"][0]["reason"].as_str().unwrap().contains("paths"), "{json}");
    let json = stand.post("/rebuild", &push(&first, "")).await.json();
    assert!(json["ignored"][0]["reason"].as_str().unwrap().contains("built already"), "{json}");
    let again = stand.post("/rebuild", &push(&first, r#","again":true,"why":"once more""#)).await.json();
    assert_eq!(again["accepted"][0]["version"], label(&first), "{again}");
}

/// The version that the pretending interpreter reads from a commit.
pub(super) fn label(sha: &str) -> String {
    format!("1.0.{}", sha.chars().next().unwrap().to_digit(16).unwrap())
}

#[tokio::test]
async fn the_token_of_a_hook_is_for_its_repository_only() {
    let (work, other) = (Work::new(), Work::new());
    let stand = Stand::new().await;
    stand.load("shop", &work.text()).await;
    stand.load("blog", &other.text()).await;
    let token = stand.token("hook", Role::Trigger, Some(&work.path()));
    let with = async |body: String| {
        let head =
            [("authorization", format!("Bearer {token}")), ("content-type", "application/json".to_owned())];
        stand.send("POST", "/rebuild", &head, body.as_bytes()).await
    };
    let sha = work.git(&["rev-parse", "HEAD"]);
    with(push(&sha, r#","pipeline":"blog""#)).await.is_problem(403, "TG-AUTH-004");
    let repo = format!(r#","repo":"{}""#, work.text());
    let taken = with(push(&sha, &repo)).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    let viewer = stand.token("viewer", Role::Viewer, None);
    let head =
        [("authorization", format!("Bearer {viewer}")), ("content-type", "application/json".to_owned())];
    let answer = stand.send("POST", "/rebuild", &head, push(&sha, &repo).as_bytes()).await;
    answer.is_problem(403, "TG-AUTH-002");
}

#[tokio::test]
async fn a_version_by_tag_takes_a_tag() {
    let work = Work::new();
    let stand = Stand::new().await;
    stand.load_with("shop", &work.text(), |json| json["version"] = serde_json::json!({"from": "tag"})).await;
    let sha = work.git(&["rev-parse", "HEAD"]);
    let json = stand.post("/rebuild", &push(&sha, "")).await.json();
    assert!(json["ignored"][0]["reason"].as_str().unwrap().contains("tag"), "{json}");
    work.git(&["tag", "v1.0.0"]);
    let json = stand.post("/rebuild", &push(&sha, "")).await.json();
    assert_eq!(json["accepted"][0]["pipeline"], "shop", "{json}");
}

#[tokio::test]
async fn a_repository_that_is_gone_is_not_the_asker_s_fault() {
    let stand = Stand::new().await;
    stand.load("shop", "/nowhere/shop.git").await;
    stand.post("/rebuild", &push(&"a".repeat(40), "")).await.is_problem(502, "TG-GIT-002");
}

#[tokio::test]
async fn a_hook_that_was_held_up_builds_nothing_and_one_after_a_lost_one_does() {
    let work = Work::new();
    let stand = Stand::new().await;
    stand.load("shop", &work.text()).await;
    let told = async |sha: &str, old: &str| {
        let answer = stand.post("/rebuild", &push(sha, &format!(r#","old":"{old}""#))).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()
    };
    let nowhere = "0".repeat(40);
    let commits: Vec<String> = (0..5)
        .map(|number| match number {
            0 => work.git(&["rev-parse", "HEAD"]),
            _ => work.commit("README", &number.to_string()),
        })
        .collect();
    work.git(&["reset", "-q", "--hard", &commits[0]]);
    assert_eq!(told(&commits[0], &nowhere).await["accepted"][0]["pipeline"], "shop");
    // The hook of the second is held up, that of the third is lost, and the fourth is heard of first.
    work.git(&["reset", "-q", "--hard", &commits[3]]);
    assert_eq!(told(&commits[3], &commits[2]).await["accepted"][0]["pipeline"], "shop");
    stand.until("built", |state| state.pipelines["shop"].built.len() == 2).await;
    for (sha, old) in [(&commits[1], &commits[0]), (&commits[0], &nowhere)] {
        let late = told(sha, old).await;
        let reason = late["ignored"][0]["reason"].as_str().unwrap_or_else(|| panic!("{late}"));
        assert!(reason.contains("out of date") && reason.contains(&commits[3]), "{reason}");
    }
    let seen = stand.engine.read(|state| state.pipelines["shop"].refs["refs/heads/main"].clone());
    assert_eq!((seen.seen.as_str(), seen.taken.as_ref().unwrap().as_str()), (&*commits[3], &*commits[3]));
    let requests = stand.get("/api/events?kind=rebuild_requested").await.text();
    assert_eq!(requests.lines().count(), 2, "{requests}");
    // Moved back in earnest, and told at once.
    work.git(&["reset", "-q", "--hard", &commits[0]]);
    assert!(told(&commits[0], &commits[3]).await["accepted"][0]["version"].is_string());
}
