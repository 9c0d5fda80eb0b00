//! Checkouts of real commits.

use super::*;
use crate::source::testing::{Work, Yard};
use std::os::unix::fs::PermissionsExt;

fn at<'a>(work: &'a Work<'a>, dir: &Path, args: &[&str]) -> String {
    work.run(&[&["-C", dir.to_str().unwrap()], args].concat())
}

#[tokio::test]
async fn a_checkout_is_a_clean_repository_of_its_own() {
    let yard = Yard::new();
    let work = yard.work("w");
    std::fs::write(yard.path("w/run"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(yard.path("w/run"), PermissionsExt::from_mode(0o755)).unwrap();
    let sha = work.commit("dir/a", "1", "x");
    work.run(&["tag", "-a", "-m", "x", "v1.2.3"]);
    let later = work.commit("dir/a", "2", "y");
    let repo = yard.repo("w");
    let dir = yard.path("ws/build");
    checkout(&repo, &later, &dir).await.unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("dir/a")).unwrap(), "2");
    assert_eq!(std::fs::metadata(dir.join("run")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(at(&work, &dir, &["status", "--porcelain"]), "");
    assert_eq!(at(&work, &dir, &["rev-parse", "HEAD"]), later.as_str());
    assert!(at(&work, &dir, &["describe"]).starts_with("v1.2.3-1-g"));
    assert_eq!(at(&work, &dir, &["log", "--format=%s", "-2"]), "y\nx");
    assert_eq!(at(&work, &dir, &["remote", "get-url", "origin"]), yard.path("w").to_str().unwrap());
    // What a step does there stays there.
    at(&work, &dir, &["config", "core.fsmonitor", "touch /nowhere"]);
    at(&work, &dir, &["tag", "-d", "v1.2.3"]);
    checkout(&repo, &sha, &dir).await.unwrap();
    assert_eq!(at(&work, &dir, &["describe"]), "v1.2.3");
}

#[tokio::test]
async fn sha256_and_odd_names_are_checked_out() {
    let yard = Yard::new();
    let work = yard.work_with("w", &["--object-format=sha256"]);
    let sha = work.commit("$(id)/--x\u{202e}", "1", "x");
    checkout(&yard.repo("w"), &sha, &yard.path("ws")).await.unwrap();
    assert!(yard.path("ws/$(id)/--x\u{202e}").exists());
    assert_eq!(at(&work, &yard.path("ws"), &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn filters_and_hooks_of_the_commit_do_not_run() {
    let yard = Yard::new();
    let work = yard.work("w");
    let trap = format!("touch {}", yard.path("sprung").display());
    work.run(&["config", "filter.evil.clean", "cat"]);
    std::fs::write(yard.path("w/.gitattributes"), "* filter=evil\n").unwrap();
    let sha = work.commit("a", "1", "x");
    work.run(&["config", "filter.evil.smudge", &trap]);
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        let path = yard.path("w/.git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{trap}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    checkout(&yard.repo("w"), &sha, &yard.path("ws")).await.unwrap();
    assert!(yard.path("ws/a").exists() && !yard.path("sprung").exists());
}

#[tokio::test]
async fn submodules_come_only_when_asked_for() {
    let yard = Yard::new();
    yard.work("lib").commit("lib.txt", "1", "x");
    let work = yard.work("w");
    work.run(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../lib", "lib"]);
    work.run(&["commit", "-q", "-m", "with lib"]);
    let (repo, sha) = (yard.repo("w"), work.head());
    checkout(&repo, &sha, &yard.path("plain")).await.unwrap();
    assert!(!yard.path("plain/lib/lib.txt").exists());
    checkout(&repo.clone().with_submodules(true), &sha, &yard.path("whole")).await.unwrap();
    assert!(yard.path("whole/lib/lib.txt").exists());
}
