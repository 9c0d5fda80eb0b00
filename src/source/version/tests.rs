//! Versions, as text and in real commits.

use super::*;
use crate::source::testing::Yard;

#[test]
fn versions_come_into_normal_form() {
    for (text, want) in [
        ("v1.2.3", "1.2.3"),
        ("1.2", "1.2.0"),
        ("1", "1.0.0"),
        (" V2.0-rc.1\n", "2.0.0-rc.1"),
        ("1.2+b.1", "1.2.0+b.1"),
        ("1.2.3-a.1+b-c", "1.2.3-a.1+b-c"),
    ] {
        assert_eq!(normalise(text).unwrap(), want);
    }
    let long = format!("1.0.0-{}", "a".repeat(200));
    for bad in [
        "",
        "v",
        "version1",
        "1.2.3.4",
        "01.2.3",
        "1.2.x",
        "1.0.0\n2.0.0",
        "1.0.0-\u{202e}",
        "-1",
        "../x",
        &long,
    ] {
        assert_eq!(normalise(bad).unwrap_err().code(), "TG-VERSION-001", "{bad}");
    }
}

#[test]
fn python_and_describe_are_turned_into_semver() {
    for (text, want) in
        [("1.2rc1", "1.2.0-rc1"), ("1.2.3.dev4", "1.2.3-dev4"), ("1.2.post1", "1.2.0+post1"), ("3", "3.0.0")]
    {
        assert_eq!(normalise(&from_python(text)).unwrap(), want);
    }
    for (text, want) in [("v1.2-0-gabcdef1", "1.2.0"), ("v1.2-rc.1-4-gabcdef1", "1.2.0-rc.1+4.gabcdef1")] {
        assert_eq!(described(text).unwrap(), want);
    }
    assert!(described("vodka-4-gabcdef1").is_err());
}

#[tokio::test]
async fn files_state_versions() {
    let yard = Yard::new();
    let work = yard.work("w");
    let repo = yard.repo("w");
    let read = async |rule: VersionRule, files: &[(&str, &str)]| {
        work.run(&["rm", "-rq", "--ignore-unmatch", "."]);
        let mut sha = work.head();
        for (name, text) in files.iter().chain(&[("README", "again")]) {
            sha = work.commit(name, text, "x");
        }
        read_version(&rule, &repo, &sha).await.map_err(|error| error.code())
    };
    use VersionRule::*;
    let some = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(read(Default, &[("VERSION", "\nv1.2 \nmore\n")]).await, some("1.2.0"));
    assert_eq!(
        read(Cargo, &[("Cargo.toml", "[package]\nname='x'\nversion='0.8.12'\n")]).await,
        some("0.8.12")
    );
    let inherited = "[workspace.package]\nversion='2.0.0'\n[package]\nversion.workspace=true\n";
    assert_eq!(read(Default, &[("Cargo.toml", inherited), ("VERSION", "9.9.9")]).await, some("2.0.0"));
    assert_eq!(read(Npm, &[("package.json", "\u{feff}{\"version\":\"3.1.0\"}")]).await, some("3.1.0"));
    assert_eq!(
        read(Pyproject, &[("pyproject.toml", "[project]\nversion='1.2rc1'\n")]).await,
        some("1.2.0-rc1")
    );
    assert_eq!(
        read(Pyproject, &[("pyproject.toml", "[tool.poetry]\nversion='4.5.6'\n")]).await,
        some("4.5.6")
    );
    assert_eq!(read(File { file: "./a//v.txt".into() }, &[("a/v.txt", "5.0.0")]).await, some("5.0.0"));
    // A workspace without a version of its own states none; what follows may.
    let bare = ("Cargo.toml", "[workspace]\nmembers=['a']\n");
    assert_eq!(read(Default, &[bare, ("package.json", "{}"), ("VERSION", "7.0.0")]).await, some("7.0.0"));
    assert_eq!(read(Cargo, &[bare]).await, Err("TG-VERSION-002"));
    assert_eq!(
        read(Default, &[("Cargo.toml", "[package"), ("VERSION", "1.0.0")]).await,
        Err("TG-VERSION-002")
    );
    assert_eq!(read(Default, &[("VERSION", "nightly")]).await, Err("TG-VERSION-001"));
    assert_eq!(read(Default, &[]).await, Ok(None));
    assert_eq!(read(Cargo, &[("VERSION", "1.0.0")]).await, Ok(None));
    for outside in ["../x", "/etc/passwd", "", "a\nb"] {
        assert_eq!(read(File { file: outside.into() }, &[]).await, Err("TG-VERSION-003"), "{outside}");
    }
}

#[tokio::test]
async fn links_inside_the_repository_are_followed_and_none_leads_out() {
    let yard = Yard::new();
    let work = yard.work("w");
    work.commit("a/real", "1.5.0", "x");
    std::os::unix::fs::symlink("a/real", yard.path("w/VERSION")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", yard.path("w/Cargo.toml")).unwrap();
    std::os::unix::fs::symlink("package.json", yard.path("w/package.json")).unwrap();
    std::fs::create_dir(yard.path("w/pyproject.toml")).unwrap();
    let sha = work.commit("pyproject.toml/x", "1", "links");
    let got = read_version(&VersionRule::Default, &yard.repo("w"), &sha).await.unwrap();
    assert_eq!(got.as_deref(), Some("1.5.0"));
}

#[tokio::test]
async fn tags_state_versions() {
    let yard = Yard::new();
    let work = yard.work("w");
    let repo = yard.repo("w");
    let first = work.head();
    let read = async |rule: VersionRule, sha: &Sha| read_version(&rule, &repo, sha).await.unwrap();
    assert_eq!(read(VersionRule::Tag, &first).await, None);
    assert_eq!(read(VersionRule::Describe, &first).await, None);
    work.run(&["tag", "nightly"]);
    work.run(&["tag", "v1.9"]);
    work.run(&["tag", "-a", "-m", "x", "v1.10"]);
    assert_eq!(read(VersionRule::Tag, &first).await.as_deref(), Some("1.10.0"));
    assert_eq!(read(VersionRule::Describe, &first).await.as_deref(), Some("1.10.0"));
    let second = work.commit("a", "1", "x");
    work.run(&["tag", "latest"]);
    assert_eq!(read(VersionRule::Tag, &second).await, None);
    let want = format!("1.10.0+1.g{}", &second.as_str()[..7]);
    assert_eq!(read(VersionRule::Describe, &second).await, Some(want));
}
