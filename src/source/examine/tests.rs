//! Examining commits of real repositories.

use super::*;
use crate::source::testing::Yard;

#[tokio::test]
async fn a_commit_says_who_and_what() {
    let yard = Yard::new();
    let work = yard.work("w");
    let sha = work.commit("a", "1", "Fix the \u{202e}thing <b>\n\nbody");
    let repo = yard.repo("w");
    let got = examine(&repo, &sha.as_str()[..8].to_uppercase(), None, &[]).await.unwrap();
    let want = Examined {
        sha: sha.clone(),
        author_name: "Ada".into(),
        author_email: "ada@example.org".into(),
        committer_email: "bob@example.org".into(),
        subject: "Fix the \u{202e}thing <b>".into(),
        touched: true,
    };
    assert_eq!(got, want);
    assert!(!repo.mirror().join("refs/keep").join(sha.as_str()).exists(), "looking keeps nothing");
}

#[tokio::test]
async fn subjects_are_bounded_and_may_be_any_bytes() {
    let yard = Yard::new();
    let work = yard.work("w");
    std::fs::write(yard.path("message"), [&b"\xff\xfe "[..], &b"x".repeat(5000), b"\n"].concat()).unwrap();
    let message = yard.path("message");
    let latin = "i18n.commitEncoding=latin1";
    work.run(&[
        "-c",
        latin,
        "commit",
        "-q",
        "--allow-empty",
        "--cleanup=verbatim",
        "-F",
        message.to_str().unwrap(),
    ]);
    let got = examine(&yard.repo("w"), work.head().as_str(), None, &[]).await.unwrap();
    assert!(got.subject.starts_with("\u{fffd}\u{fffd} x") && got.subject.len() <= 1024);
}

#[tokio::test]
async fn each_wrong_name_is_told_apart() {
    let yard = Yard::new();
    let work = yard.work("w");
    let repo = yard.repo("w");
    let code = async |name: &str| examine(&repo, name, None, &[]).await.unwrap_err().code();
    assert_eq!(code("HEAD").await, "TG-GIT-006");
    assert_eq!(code("--help").await, "TG-GIT-006");
    assert_eq!(code("abcdef").await, "TG-GIT-006");
    assert_eq!(code(&"0".repeat(40)).await, "TG-GIT-007");
    assert_eq!(code(&"1".repeat(40)).await, "TG-GIT-003");
    assert_eq!(code(&"1".repeat(64)).await, "TG-GIT-003");
    assert_eq!(code(&"1".repeat(50)).await, "TG-GIT-003");
    assert_eq!(code("1234567").await, "TG-GIT-003");
    assert_eq!(code(&work.run(&["rev-parse", "HEAD^{tree}"])).await, "TG-GIT-005");
    assert_eq!(code(&work.run(&["rev-parse", "HEAD:README"])[..9]).await, "TG-GIT-005");
    work.run(&["tag", "-a", "-m", "x", "odd", "HEAD^{tree}"]);
    assert_eq!(code(&work.run(&["rev-parse", "odd"])).await, "TG-GIT-005");
    let nowhere = examine(&yard.repo("nowhere"), "1234567", None, &[]).await.unwrap_err();
    assert_eq!(nowhere.code(), "TG-GIT-002");
}

#[tokio::test]
async fn an_ambiguous_abbreviation_names_its_candidates() {
    let yard = Yard::new();
    let work = yard.work("w");
    // Two commits with one beginning are too rare to look for; a file of the mirror's object folder can be made alike.
    let sha = work.head();
    let (folder, file) = sha.as_str().split_at(2);
    let objects = yard.path("w/.git/objects").join(folder);
    let twin = format!("{}{}", &file[..10], "0".repeat(28));
    std::fs::copy(objects.join(file), objects.join(&twin)).unwrap();
    let error = examine(&yard.repo("w"), &sha.as_str()[..9], None, &[]).await.unwrap_err();
    let Error::Ambiguous { candidates, .. } = &error else { panic!("{error:?}") };
    assert!(candidates.contains(&sha.to_string()) && candidates.len() == 2, "{candidates:?}");
    assert!(examine(&yard.repo("w"), &sha.as_str()[..20], None, &[]).await.is_ok());
}

#[tokio::test]
async fn a_branch_named_like_an_abbreviation_does_not_stand_for_it() {
    let yard = Yard::new();
    let work = yard.work("w");
    let first = work.head();
    work.commit("a", "1", "second");
    work.run(&["tag", &first.as_str()[..8]]);
    let repo = yard.repo("w");
    crate::source::mirror::fetch_tags(&repo).await.unwrap();
    work.run(&["tag", "-f", &first.as_str()[..8], "HEAD"]);
    crate::source::mirror::fetch_tags(&repo).await.unwrap();
    assert_eq!(examine(&repo, &first.as_str()[..8], None, &[]).await.unwrap().sha, first);
}

#[tokio::test]
async fn an_annotated_tag_stands_for_its_commit() {
    let yard = Yard::new();
    let work = yard.work("w");
    work.run(&["tag", "-a", "-m", "x", "v1"]);
    let tag = work.run(&["rev-parse", "v1"]);
    assert_ne!(tag, work.head().as_str());
    assert_eq!(examine(&yard.repo("w"), &tag, None, &[]).await.unwrap().sha, work.head());
    work.bare("b.git");
    let url = format!("file://{}", yard.path("b.git").display());
    assert_eq!(examine(&yard.repo(&url), &tag, None, &[]).await.unwrap().sha, work.head());
}

#[tokio::test]
async fn paths_are_compared_with_the_previous_commit() {
    let yard = Yard::new();
    let work = yard.work("w");
    let first = work.head();
    let second = work.commit("shop/a/b", "1", "in");
    let third = work.commit("docs/x", "1", "out");
    let repo = yard.repo("w");
    let touched = async |sha: &Sha, previous: Option<&Sha>, paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        examine(&repo, sha.as_str(), previous, &paths).await.unwrap().touched
    };
    assert!(touched(&second, Some(&first), &["shop/**"]).await);
    assert!(!touched(&second, Some(&first), &["shop/*"]).await);
    assert!(!touched(&third, Some(&second), &["shop/**"]).await);
    assert!(touched(&third, Some(&first), &["shop/**"]).await, "both commits count");
    assert!(touched(&third, None, &["shop/**"]).await, "the first always does");
    assert!(touched(&third, Some(&second), &[]).await);
    assert!(touched(&third, Some(&"1".repeat(40).into()), &["shop/**"]).await, "gone after a forced push");
    assert!(!touched(&third, Some(&third), &["docs/**"]).await);
}

#[tokio::test]
async fn sha256_repositories_are_read_too() {
    let yard = Yard::new();
    let work = yard.work_with("w", &["--object-format=sha256"]);
    let sha = work.commit("a", "1", "x");
    assert_eq!(sha.as_str().len(), 64);
    let repo = yard.repo("w");
    assert_eq!(examine(&repo, &sha.as_str()[..7], None, &[]).await.unwrap().sha, sha);
    let sha1 = yard.work("w1");
    let moved = yard.repo("w1");
    assert_eq!(
        examine(&moved, sha1.head().as_str(), None, &[]).await.unwrap().sha,
        sha1.head(),
        "format changed"
    );
}

#[tokio::test]
async fn what_the_repository_configures_is_not_in_force() {
    let yard = Yard::new();
    let work = yard.work("w");
    let trap = format!("touch {}", yard.path("sprung").display());
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "diff.external",
        "gpg.program",
        "uploadpack.packObjectsHook",
    ] {
        work.run(&["config", key, &trap]);
    }
    work.run(&["config", "log.showSignature", "true"]);
    work.run(&["config", "extensions.partialClone", "origin"]);
    work.run(&["config", "remote.origin.url", &format!("ext::{trap}")]);
    work.run(&["config", "remote.origin.promisor", "true"]);
    let repo = yard.repo("w");
    let sha = work.head();
    examine(&repo, sha.as_str(), Some(&"1".repeat(40).into()), &["x".into()]).await.unwrap();
    examine(&repo, &"2".repeat(40), None, &[]).await.unwrap_err();
    crate::source::checkout(&repo, &sha, &yard.path("ws")).await.unwrap();
    crate::source::ls_remote(&repo).await.unwrap();
    crate::source::tags_at(&repo, &sha).await.unwrap();
    assert!(!yard.path("sprung").exists());
}
