//! The store, with real files.

use super::*;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use tempfile::TempDir;

struct Bench {
    temp: TempDir,
    store: Store,
}

impl Bench {
    async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(temp.path().join("store")).await.unwrap();
        fs::create_dir(temp.path().join("w")).unwrap();
        Self { temp, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path("w").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn collect(&self, patterns: &[&str]) -> Result<Vec<Artifact>, Error> {
        let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
        self.store.collect(&self.path("w"), &patterns).await
    }

    async fn paths(&self, patterns: &[&str]) -> Vec<String> {
        self.collect(patterns).await.unwrap().into_iter().map(|artifact| artifact.path).collect()
    }

    async fn code(&self, pattern: &str) -> &'static str {
        self.collect(&[pattern]).await.unwrap_err().code()
    }
}

#[tokio::test]
async fn content_comes_back_as_it_was() {
    let bench = Bench::new().await;
    bench.write("target/release/shop", "binary");
    bench.write("migrations/1/up.sql", "create");
    bench.write("copy", "binary");
    fs::set_permissions(bench.path("w/target/release/shop"), Permissions::from_mode(0o710)).unwrap();
    let artifacts = bench.collect(&["target/release/shop", "migrations/**", "copy"]).await.unwrap();
    let seen: Vec<_> = artifacts.iter().map(|a| (a.path.as_str(), a.size, a.executable)).collect();
    assert_eq!(
        seen,
        [("copy", 6, false), ("migrations/1/up.sql", 6, false), ("target/release/shop", 6, true)]
    );
    assert_eq!(artifacts[0].sha256, artifacts[2].sha256);
    assert_eq!(bench.store.iter().await.unwrap().len(), 2, "each content once");
    let out = bench.path("out");
    bench.store.materialize(&artifacts, &out).await.unwrap();
    bench.store.materialize(&artifacts, &out).await.unwrap();
    assert_eq!(fs::read_to_string(out.join("target/release/shop")).unwrap(), "binary");
    let mode = |name: &str| fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("target/release/shop"), mode("copy")), (0o755, 0o644));
    // What a step does to its copy does not reach the store.
    fs::write(out.join("copy"), "spoilt").unwrap();
    bench.store.verify(&artifacts[0].sha256).await.unwrap();
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3, "nothing is left beside them");
    assert_eq!(fs::read_dir(bench.path("store/incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_digest_is_that_of_the_content() {
    let bench = Bench::new().await;
    bench.write("abc", "abc");
    let stored = bench.store.put_file(bench.path("w/abc")).await.unwrap();
    assert_eq!(stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!((stored.size, stored.mode), (3, 0o644));
    assert!(bench.store.remove(&stored.sha256).await.unwrap());
    assert!(!bench.store.remove(&stored.sha256).await.unwrap());
    assert_eq!(bench.store.verify(&stored.sha256).await.unwrap_err().code(), "TG-ARTIFACT-007");
    assert_eq!(bench.store.verify("../../etc/passwd").await.unwrap_err().code(), "TG-ARTIFACT-006");
}

#[tokio::test]
async fn damage_is_found_and_mended_by_storing_again() {
    let bench = Bench::new().await;
    bench.write("a", "content");
    let artifacts = bench.collect(&["a"]).await.unwrap();
    let place = bench.store.place(&artifacts[0].sha256).unwrap();
    fs::remove_file(&place).unwrap();
    fs::write(&place, "c0ntent").unwrap();
    let error = bench.store.materialize(&artifacts, &bench.path("out")).await.unwrap_err();
    assert_eq!(error.code(), "TG-ARTIFACT-008");
    assert_eq!(fs::read_dir(bench.path("out")).unwrap().count(), 0, "no damaged file appears");
    bench.collect(&["a"]).await.unwrap();
    bench.store.verify(&artifacts[0].sha256).await.unwrap();
}

#[tokio::test]
async fn patterns_are_paths_folders_or_globs() {
    let bench = Bench::new().await;
    for name in ["a/1.txt", "a/b/2.txt", "a/b/3.bin", "x[1].txt", ".git/config", "a/.git/config", "a/.hidden"]
    {
        bench.write(name, name);
    }
    assert_eq!(bench.paths(&["a"]).await, ["a/.hidden", "a/1.txt", "a/b/2.txt", "a/b/3.bin"]);
    assert_eq!(bench.paths(&["./a//b/", "a/b/2.txt"]).await, ["a/b/2.txt", "a/b/3.bin"]);
    assert_eq!(bench.paths(&["a/*.txt"]).await, ["a/1.txt"]);
    assert_eq!(bench.paths(&["**/*.txt"]).await, ["a/1.txt", "a/b/2.txt", "x[1].txt"]);
    assert_eq!(bench.paths(&["x[1].txt"]).await, ["x[1].txt"]);
    assert_eq!(bench.paths(&["{a/1,a/b/2}.txt"]).await, ["a/1.txt", "a/b/2.txt"]);
    for bad in ["/etc/passwd", "../x", "a/../../x", "", "a[", "."] {
        assert_eq!(bench.code(bad).await, "TG-ARTIFACT-004", "{bad}");
    }
}

#[tokio::test]
async fn a_pattern_without_a_match_names_the_nearest() {
    let bench = Bench::new().await;
    bench.write("target/release/shop", "x");
    let nearest = async |pattern: &str| match bench.collect(&[pattern]).await.unwrap_err() {
        Error::NothingMatches { nearest, .. } => nearest,
        other => panic!("{other}"),
    };
    assert_eq!(nearest("target/release/shpo").await.as_deref(), Some("target/release/shop"));
    assert_eq!(nearest("traget/release/shop").await.as_deref(), Some("target"));
    assert_eq!(nearest("target/release/*.so").await, None);
    assert_eq!(bench.code("zzz").await, "TG-ARTIFACT-001");
    fs::create_dir(bench.path("w/empty")).unwrap();
    assert_eq!(bench.code("empty").await, "TG-ARTIFACT-001");
}

#[tokio::test]
async fn links_are_followed_inside_and_refused_outside() {
    let bench = Bench::new().await;
    fs::write(bench.path("key"), "secret").unwrap();
    bench.write("real/f", "x");
    let link = |target: &str, name: &str| symlink(target, bench.path("w").join(name)).unwrap();
    link("real/f", "inside");
    link("real", "folder");
    link("../key", "outside");
    link("/etc/passwd", "absolute");
    link("nowhere", "dangling");
    link("loop", "loop");
    assert_eq!(bench.paths(&["inside", "folder/f"]).await, ["folder/f", "inside"]);
    for name in ["outside", "absolute", "dangling", "loop", "out*", "d*"] {
        assert_eq!(bench.code(name).await, "TG-ARTIFACT-003", "{name}");
    }
    assert_eq!(bench.code("fold*").await, "TG-ARTIFACT-002");
    assert_eq!(bench.store.put_file(bench.path("w/inside")).await.unwrap_err().code(), "TG-ARTIFACT-002");
}

#[tokio::test]
async fn what_is_no_file_is_named_and_never_waited_for() {
    let bench = Bench::new().await;
    let made = std::process::Command::new("mkfifo").arg(bench.path("w/pipe")).status().unwrap();
    assert!(made.success());
    let _socket = UnixListener::bind(bench.path("w/sock")).unwrap();
    for name in ["pipe", "sock", "p*"] {
        let error = bench.collect(&[name]).await.unwrap_err();
        assert_eq!(error.code(), "TG-ARTIFACT-002", "{error}");
    }
    assert!(bench.store.put_file(bench.path("w/pipe")).await.unwrap_err().to_string().contains("named pipe"));
    assert_eq!(bench.store.put_file("/dev/null").await.unwrap_err().code(), "TG-ARTIFACT-002");
}

#[tokio::test]
async fn nothing_is_written_through_a_link_or_out_of_the_folder() {
    let bench = Bench::new().await;
    bench.write("f", "x");
    let found = bench.collect(&["f"]).await.unwrap().remove(0);
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(bench.path("out")).unwrap();
    symlink(&outside, bench.path("out/link")).unwrap();
    symlink(outside.join("f"), bench.path("out/f")).unwrap();
    let put = async |path: &str| {
        let artifact = Artifact { path: path.to_owned(), ..found.clone() };
        bench.store.materialize(&[artifact], &bench.path("out")).await
    };
    put("link/f").await.unwrap_err();
    for bad in ["../outside/f", "/etc/x", "a/../../x", ""] {
        assert_eq!(put(bad).await.unwrap_err().code(), "TG-ARTIFACT-004");
    }
    put("f").await.unwrap();
    assert!(fs::symlink_metadata(bench.path("out/f")).unwrap().is_file(), "the link is replaced");
    put("f/below").await.unwrap_err();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test]
async fn many_may_store_the_same_at_once() {
    let bench = Bench::new().await;
    bench.write("f", &"x".repeat(1 << 20));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, workspace) = (bench.store.clone(), bench.path("w"));
        tasks.spawn(async move { store.collect(&workspace, &["f".to_owned()]).await.unwrap() });
    }
    let all = tasks.join_all().await;
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(bench.store.iter().await.unwrap().len(), 1);
    bench.store.verify(&all[0][0].sha256).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_taken_is_moved_and_counts_as_stored_now() {
    let bench = Bench::new().await;
    bench.write("big", "content");
    let before = bench.path("w/big").metadata().unwrap();
    let long_ago = SystemTime::now() - std::time::Duration::from_secs(86_400);
    File::options().write(true).open(bench.path("w/big")).unwrap().set_modified(long_ago).unwrap();
    fs::set_permissions(bench.path("w/big"), Permissions::from_mode(0o400)).unwrap();
    let stored = bench.store.take_file(bench.path("w/big")).await.unwrap();
    assert_eq!(stored.size, 7);
    assert!(!bench.path("w/big").exists());
    let there = bench.store.place(&stored.sha256).unwrap();
    assert_eq!(fs::read_to_string(&there).unwrap(), "content");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(there.metadata().unwrap().ino(), before.ino(), "it is the same file");
    let held = bench.store.iter().await.unwrap();
    assert!(held[0].modified > long_ago + std::time::Duration::from_secs(3600), "else it would go at once");
    bench.store.verify(&stored.sha256).await.unwrap();
    symlink("/etc/passwd", bench.path("w/link")).unwrap();
    let refused = bench.store.take_file(bench.path("w/link")).await.unwrap_err();
    assert_eq!(refused.code(), "TG-ARTIFACT-002");
}

#[tokio::test]
async fn more_files_than_are_kept_one_by_one_are_refused() {
    let bench = Bench::new().await;
    bench.write("dist/0", "the same");
    for n in 1..=collect::FILES_LIMIT {
        fs::hard_link(bench.path("w/dist/0"), bench.path(&format!("w/dist/{n}"))).unwrap_or_else(|_| {
            // Some file systems have few links to a file.
            bench.write(&format!("dist/{n}"), "the same");
        });
    }
    assert_eq!(bench.code("dist/**").await, "TG-ARTIFACT-005");
}

#[tokio::test]
async fn a_disk_that_takes_no_more_is_not_the_stores_fault() {
    let bench = Bench::new().await;
    bench.write("shop", "binary");
    let artifact = bench.collect(&["shop"]).await.unwrap().remove(0);
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let error = bench.store.copy_out(&artifact.sha256, &mut full).unwrap_err();
    assert_eq!(error.code(), "TG-ARTIFACT-009", "{error}");
}
