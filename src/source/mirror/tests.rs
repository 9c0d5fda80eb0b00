//! Mirrors of real repositories, and what can happen to them.

use super::*;
use crate::source::testing::Yard;
use crate::source::{checkout, examine};

fn locations(yard: &Yard, name: &str) -> [Repo; 2] {
    let path = yard.repo(name);
    let url = format!("file://{}", yard.path(name).display());
    let mut remote = yard.repo(name);
    // `file://` is read as a path everywhere else; here it stands for any remote.
    remote.location = Location::Url(url);
    remote.mirror = yard.path("state/mirrors/url.git");
    [path, remote]
}

#[tokio::test]
async fn a_kept_commit_outlives_a_forced_push_and_the_repository() {
    let yard = Yard::new();
    let work = yard.work("w");
    let lost = work.commit("a", "1", "lost");
    let bare = work.bare("b.git");
    let repos = locations(&yard, "b.git");
    for repo in &repos {
        ensure(repo, &lost).await.unwrap();
    }
    work.run(&["reset", "-q", "--hard", "HEAD~1"]);
    let kept = work.commit("b", "1", "kept");
    work.run(&["push", "-q", "-f", bare.to_str().unwrap(), "main"]);
    for repo in &repos {
        ensure(repo, &kept).await.unwrap();
    }
    std::fs::remove_dir_all(&bare).unwrap();
    for (repo, at) in repos.iter().zip(["p", "u"]) {
        checkout(repo, &lost, &yard.path(at)).await.unwrap();
        assert!(yard.path(at).join("a").exists());
    }
}

#[tokio::test]
async fn a_commit_that_no_branch_reaches_is_brought() {
    let yard = Yard::new();
    let work = yard.work("w");
    let lost = work.commit("a", "1", "lost");
    let bare = work.bare("b.git");
    work.run(&["reset", "-q", "--hard", "HEAD~1"]);
    work.run(&["push", "-q", "-f", bare.to_str().unwrap(), "main"]);
    for repo in locations(&yard, "b.git") {
        ensure(&repo, &lost).await.unwrap();
        let error = ensure(&repo, &"1".repeat(40).into()).await.unwrap_err();
        assert_eq!(error.code(), "TG-GIT-003", "{error}");
        assert_eq!(examine(&repo, &lost.as_str()[..9], None, &[]).await.unwrap().sha, lost);
    }
}

#[tokio::test]
async fn a_damaged_mirror_is_made_again() {
    let yard = Yard::new();
    let work = yard.work("w");
    let sha = work.head();
    let next = work.commit("b", "2", "next");
    for repo in locations(&yard, "w") {
        let mirror = repo.mirror().to_owned();
        let damages: [&dyn Fn(); 5] = [
            &|| std::fs::remove_dir_all(&mirror).unwrap(),
            &|| std::fs::remove_file(mirror.join("HEAD")).unwrap(),
            &|| std::fs::remove_dir_all(mirror.join("objects/pack")).unwrap_or_default(),
            &|| std::fs::write(mirror.join("config"), "[core\n").unwrap(),
            &|| {
                for folder in ["objects/pack", "objects"] {
                    for entry in std::fs::read_dir(mirror.join(folder)).into_iter().flatten().flatten() {
                        if entry.path().is_file() {
                            std::fs::remove_file(entry.path()).unwrap();
                            std::fs::write(entry.path(), "x").unwrap();
                        } else if entry.file_name().len() == 2 {
                            std::fs::remove_dir_all(entry.path()).unwrap();
                        }
                    }
                }
            },
        ];
        for (index, damage) in damages.iter().enumerate() {
            ensure(&repo, &sha).await.unwrap();
            damage();
            checkout(&repo, &sha, &yard.path("ws")).await.unwrap_or_else(|error| panic!("{index}: {error}"));
            damage();
            examine(&repo, next.as_str(), None, &[]).await.unwrap_or_else(|error| panic!("{index}: {error}"));
            ensure(&repo, &next).await.unwrap_or_else(|error| panic!("{index}: {error}"));
        }
    }
}

#[tokio::test]
async fn locks_that_a_killed_git_left_do_not_matter() {
    let yard = Yard::new();
    let work = yard.work("w");
    for repo in locations(&yard, "w") {
        ensure(&repo, &work.head()).await.unwrap();
        work.run(&["tag", "-f", "v1"]);
        fetch_tags(&repo).await.unwrap();
        for lock in ["packed-refs.lock", "HEAD.lock", "refs/tags/v1.lock"] {
            std::fs::write(repo.mirror().join(lock), "").unwrap();
        }
        let sha = work.commit("a", &repo.mirror().display().to_string(), "next");
        work.run(&["tag", "-f", "v1"]);
        ensure(&repo, &sha).await.unwrap();
        fetch_tags(&repo).await.unwrap();
        assert_eq!(tags(repo.mirror())[&b"refs/tags/v1"[..]], sha.as_str());
    }
}

#[tokio::test]
async fn many_may_ask_at_once() {
    let yard = Yard::new();
    let work = yard.work("w");
    let shas: Vec<Sha> = (0..6).map(|n| work.commit("a", &n.to_string(), "x")).collect();
    for repo in locations(&yard, "w") {
        let mut tasks = tokio::task::JoinSet::new();
        for (index, sha) in shas.iter().cycle().take(18).cloned().enumerate() {
            let (repo, at) = (repo.clone(), yard.path(&format!("ws{index}")));
            tasks.spawn(async move { checkout(&repo, &sha, &at).await });
        }
        for result in tasks.join_all().await {
            result.unwrap();
        }
    }
}

#[tokio::test]
async fn tags_follow_the_repository() {
    let yard = Yard::new();
    let work = yard.work("w");
    for repo in locations(&yard, "w") {
        work.run(&["tag", "a"]);
        work.run(&["tag", "-a", "-m", "x", "gone"]);
        work.run(&["tag", "$(id)"]);
        ensure(&repo, &work.head()).await.unwrap();
        fetch_tags(&repo).await.unwrap();
        assert_eq!(tags(repo.mirror()).len(), 3);
        work.run(&["tag", "-d", "a", "gone", "$(id)"]);
        work.run(&["tag", "-a", "-m", "x", "a/b"]);
        fetch_tags(&repo).await.unwrap();
        assert_eq!(tags(repo.mirror()).into_keys().collect::<Vec<_>>(), [b"refs/tags/a/b"]);
        work.run(&["tag", "-d", "a/b"]);
    }
}

#[tokio::test]
async fn tidying_keeps_what_is_asked_for() {
    let yard = Yard::new();
    let work = yard.work("w");
    let first = work.head();
    let second = work.commit("a", "1", "x");
    let repo = yard.repo("w");
    for sha in [&first, &second] {
        ensure(&repo, sha).await.unwrap();
    }
    checkout(&repo, &second, &yard.path("ws")).await.unwrap();
    tidy(&repo, std::slice::from_ref(&second)).await.unwrap();
    assert!(!is_kept(repo.mirror(), first.as_str()) && is_kept(repo.mirror(), second.as_str()));
    let status =
        std::process::Command::new("git").args(["-C", yard.path("ws").to_str().unwrap(), "fsck"]).output();
    assert!(status.unwrap().status.success());
    ensure(&repo, &first).await.unwrap();
}

#[tokio::test]
async fn a_shallow_repository_is_fetched_from() {
    let yard = Yard::new();
    let work = yard.work("w");
    let sha = work.commit("a", "1", "x");
    let from = format!("file://{}", yard.path("w").display());
    work.run(&["clone", "-q", "--depth=1", &from, yard.path("shallow").to_str().unwrap()]);
    let repo = yard.repo("shallow");
    checkout(&repo, &sha, &yard.path("ws")).await.unwrap();
    assert!(yard.path("ws/a").exists());
}

#[tokio::test]
async fn a_remote_that_cannot_be_had_says_why() {
    let yard = Yard::new();
    let sha: Sha = "1".repeat(40).into();
    let code = async |url: &str| ensure(&yard.repo(url), &sha).await.unwrap_err().code();
    assert_eq!(code("http://127.0.0.1:1/x.git").await, "TG-GIT-009");
    assert_eq!(code("ssh://127.0.0.1:1/x.git").await, "TG-GIT-009");
    let [_, mut gone] = locations(&yard, "gone");
    gone.location = Location::Url(format!("file://{}", yard.path("gone").display()));
    assert_eq!(ensure(&gone, &sha).await.unwrap_err().code(), "TG-GIT-002");
    let ext = format!("ext::touch {}", yard.path("sprung").display());
    let mut repo = yard.repo("gone");
    repo.location = Location::parse(&ext).unwrap();
    ensure(&repo, &sha).await.unwrap_err();
    assert!(!yard.path("sprung").exists());
}

#[tokio::test]
async fn time_is_limited_and_nothing_is_left_running() {
    let yard = Yard::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/x.git", listener.local_addr().unwrap());
    let mut repo = yard.repo(&url);
    repo.git = repo.git.with_limits(Duration::from_secs(20), Duration::from_millis(300));
    let error = ensure(&repo, &"1".repeat(40).into()).await.unwrap_err();
    assert_eq!(error.code(), "TG-GIT-011", "{error}");
    // The peer sees the connection end: the process is gone.
    use std::io::Read;
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut seen = Vec::new();
    peer.read_to_end(&mut seen).unwrap();
    let missing = repo.git.clone().with_program("/nonexistent/git");
    repo.git = missing;
    throw_away(repo.mirror()).unwrap();
    assert_eq!(ensure(&repo, &"1".repeat(40).into()).await.unwrap_err().code(), "TG-GIT-001");
}

#[tokio::test]
async fn a_repository_of_another_user_needs_no_safe_directory() {
    let yard = Yard::new();
    let work = yard.work("w");
    let bare = work.bare("b.git");
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give a folder away.
    }
    std::os::unix::fs::chown(&bare, Some(65534), Some(65534)).unwrap();
    work.run(&["tag", "v1"]);
    let refused = work.try_run(&["-C", bare.to_str().unwrap(), "log"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("dubious ownership"));
    let repo = yard.repo("b.git");
    assert_eq!(examine(&repo, work.head().as_str(), None, &[]).await.unwrap().sha, work.head());
    fetch_tags(&repo).await.unwrap();
    checkout(&repo, &work.head(), &yard.path("ws")).await.unwrap();
    assert_eq!(crate::source::ls_remote(&repo).await.unwrap().len(), 1);
    let place = crate::source::hook::token_place(&yard.git(), &bare).await.unwrap();
    crate::source::hook::write_token(&place, &bare, "t").unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(place).unwrap().uid(), 65534);
}

#[test]
fn no_two_pipelines_share_a_mirror_and_none_leaves_the_folder() {
    let place = |name: &str| place(Path::new("/w"), &name.into());
    assert_eq!(place("shop"), Path::new("/w/mirrors/shop.git"));
    assert_eq!(place("../x"), Path::new("/w/mirrors/%2e.%2fx.git"));
    assert_eq!(place(".."), Path::new("/w/mirrors/%2e..git"));
    assert_ne!(place("a b"), place("a%20b"));
}
