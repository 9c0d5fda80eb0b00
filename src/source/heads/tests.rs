//! Refs of real repositories, odd ones included.

use super::*;
use crate::source::testing::Yard;

#[tokio::test]
async fn branches_and_tags_are_listed_whatever_their_names() {
    let yard = Yard::new();
    let work = yard.work("w");
    let sha = work.head();
    work.run(&["tag", "-a", "-m", "x", "v1"]);
    for name in [
        "refs/heads/$(id)",
        "refs/heads/--upload-pack=x",
        "refs/heads/-oProxyCommand=x",
        "refs/tags/\u{202e}x",
    ] {
        work.run(&["update-ref", name, sha.as_str()]);
    }
    let packed = [b"# pack-refs with: sorted \n", sha.as_str().as_bytes(), b" refs/tags/\xff\xfe\n"].concat();
    std::fs::write(yard.path("w/.git/packed-refs"), packed).unwrap();
    let path = yard.repo("w");
    let mut remote = yard.repo("w");
    remote.location = Location::Url(format!("file://{}", yard.path("w").display()));
    remote.mirror = yard.path("state/mirrors/url.git");
    for repo in [path, remote] {
        let heads = ls_remote(&repo).await.unwrap();
        assert!(heads.iter().all(|head| head.sha == sha), "annotated tags stand for their commit: {heads:?}");
        let names: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
        let want = [
            "refs/heads/$(id)",
            "refs/heads/--upload-pack=x",
            "refs/heads/-oProxyCommand=x",
            "refs/heads/main",
            "refs/tags/v1",
            "refs/tags/\u{202e}x",
            "refs/tags/\u{fffd}\u{fffd}",
        ];
        assert_eq!(names, want);
        assert_eq!(heads.iter().filter(|head| head.is_lossy).count(), 1);
        assert_eq!(default_branch(&repo).await.unwrap(), Some("refs/heads/main".into()));
        crate::source::mirror::ensure(&repo, &sha).await.unwrap();
        crate::source::mirror::fetch_tags(&repo).await.unwrap();
        assert_eq!(tags_at(&repo, &sha).await.unwrap().len(), 3);
        crate::source::checkout(&repo, &sha, &yard.path("ws")).await.unwrap();
        let listed = work.run(&["-C", yard.path("ws").to_str().unwrap(), "tag"]);
        assert_eq!(listed.lines().count(), 3);
    }
    work.run(&["checkout", "-q", "--detach"]);
    assert_eq!(default_branch(&yard.repo("w")).await.unwrap(), None);
}

#[tokio::test]
async fn an_empty_repository_has_a_branch_and_no_heads() {
    let yard = Yard::new();
    yard.work("w").run(&["init", "-q", "-b", "trunk", yard.path("empty").to_str().unwrap()]);
    let repo = yard.repo("empty");
    assert_eq!(ls_remote(&repo).await.unwrap(), []);
    assert_eq!(default_branch(&repo).await.unwrap(), Some("refs/heads/trunk".into()));
}
