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

#[tokio::test]
async fn a_submodule_leads_to_no_other_folder_of_the_machine() {
    let yard = Yard::new();
    let secret = yard.work("home/secret").commit("secret.txt", "hunter2", "x");
    let lib = yard.work("git/lib").commit("lib.txt", "1", "x");
    let work = yard.work("git/w");
    let names = |work: &Work<'_>, url: &str, sha: &Sha| {
        let text = format!("[submodule \"sub\"]\n\tpath = sub\n\turl = {url}\n");
        std::fs::write(work.dir.join(".gitmodules"), text).unwrap();
        work.run(&["add", ".gitmodules"]);
        work.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{sha},sub")]);
        work.run(&["commit", "-q", "-m", "name a submodule"]);
        work.head()
    };
    let whole = |name: &str| yard.repo(name).with_submodules(true);
    let (far, ws) = (yard.path("home/secret").display().to_string(), yard.path("ws"));
    for url in [far.clone(), format!("file://{far}"), "../../home/secret".into()] {
        let sha = names(&work, &url, &secret);
        let refused = checkout(&whole("git/w"), &sha, &ws).await.unwrap_err();
        assert_eq!(refused.code(), "TG-GIT-019", "{url}: {refused}");
        assert!(!ws.join("sub/secret.txt").exists(), "{url}");
    }
    // Programs, and what looks like an option, are git's to refuse.
    for url in ["ext::sh -c touch% sprung", "ssh://-oProxyCommand=touch/x", "\"../lib\r\""] {
        let sha = names(&work, url, &lib);
        checkout(&whole("git/w"), &sha, &ws).await.unwrap_err();
        assert!(!ws.join("sprung").exists() && !yard.path("git/sprung").exists(), "{url}");
    }
    let beside = names(&work, "../lib", &lib);
    checkout(&whole("git/w"), &beside, &ws).await.unwrap();
    assert!(ws.join("sub/lib.txt").exists());
    // Nor does one of a submodule.
    let inner = names(&yard.again("git/lib"), &far, &secret);
    let nested = names(&work, "../lib", &inner);
    let refused = checkout(&whole("git/w"), &nested, &ws).await.unwrap_err();
    assert_eq!(refused.code(), "TG-GIT-019", "{refused}");
    assert!(!ws.join("sub/sub/secret.txt").exists());
    // One level further is fetched, too.
    yard.work("git/deep").commit("deep.txt", "1", "x");
    let deep = yard.again("git/deep").head();
    let inner = names(&yard.again("git/lib"), "../deep", &deep);
    let nested = names(&work, "../lib", &inner);
    checkout(&whole("git/w"), &nested, &ws).await.unwrap();
    assert!(ws.join("sub/sub/deep.txt").exists());
}
