//! The hook in real repositories, run by real pushes.

use super::*;
use crate::source::testing::{Work, Yard};

/// A stand-in for the program: writes its arguments and stdin to a file.
fn settings(yard: &Yard) -> HookSettings {
    let binary = yard.path("tide'gate");
    let told = yard.path("told");
    executable(&binary, &format!("#!/bin/sh\nprintf '%s|' \"$@\" >>'{0}'\ncat >>'{0}'\n", told.display()));
    let (url, token_file) = ("http://127.0.0.1:8433/".to_owned(), yard.path("token"));
    HookSettings { url, token_file, tidegate_binary: binary, pipeline: Some("sh'op $(id)".into()) }
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn told(yard: &Yard) -> String {
    let text = fs::read(yard.path("told")).unwrap_or_default();
    let _ = fs::remove_file(yard.path("told"));
    String::from_utf8_lossy(&text).into_owned()
}

fn push(work: &Work<'_>, to: &Path, refs: &[&str]) -> String {
    let output = work.try_run(&[&["push", to.to_str().unwrap()], refs].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test]
async fn a_push_is_told_with_its_refs_as_data() {
    let yard = Yard::new();
    let work = yard.work("w");
    let bare = work.bare("it's $(odd).git");
    install(&yard.git(), &bare, &settings(&yard)).await.unwrap();
    let sha = work.commit("a", "1", "x");
    push(
        &work,
        &bare,
        &["main", "HEAD:refs/heads/$(id)", "HEAD:refs/heads/--upload-pack=x", "HEAD:refs/tags/\u{202e}v"],
    );
    let text = told(&yard);
    let (args, stdin) = text.rsplit_once('|').unwrap();
    let want = format!(
        "hook|notify|--repo|{}|--url|http://127.0.0.1:8433|--token-file|{}|--pipeline|sh'op $(id)",
        bare.display(),
        yard.path("token").display()
    );
    assert_eq!(args, want);
    let updates = parse_lines(stdin.as_bytes());
    assert!(updates.iter().all(|update| update.new == sha.as_str()));
    let mut names: Vec<&str> = updates.iter().map(|update| update.ref_name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["refs/heads/$(id)", "refs/heads/--upload-pack=x", "refs/heads/main", "refs/tags/\u{202e}v"]
    );
    push(&work, &bare, &["--delete", "$(id)"]);
    assert_eq!(parse_lines(told(&yard).rsplit_once('|').unwrap().1.as_bytes())[0].kind, Kind::Deleted);
}

#[tokio::test]
async fn an_earlier_hook_goes_on_working_and_comes_back_whole() {
    let yard = Yard::new();
    let work = yard.work("w");
    let bare = work.bare("b.git");
    let hook = bare.join("hooks/post-receive");
    fs::create_dir_all(bare.join("hooks")).unwrap();
    let before = format!(
        "#!/bin/sh\n# \u{00e9}\ncat >'{}'\necho earlier says\nexit 3",
        yard.path("earlier").display()
    );
    executable(&hook, &before);
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o750)).unwrap();
    let settings = settings(&yard);
    let installed = install(&yard.git(), &bare, &settings).await.unwrap();
    assert!(installed.changed && installed.earlier.is_some());
    let text = fs::read(&hook).unwrap();
    let again = install(&yard.git(), &bare, &settings).await.unwrap();
    assert!(!again.changed && again.earlier == installed.earlier);
    assert_eq!(fs::read(&hook).unwrap(), text);
    let sha = work.commit("a", "1", "x");
    let said = push(&work, &bare, &["main"]);
    assert!(said.contains("earlier says"), "{said}");
    assert!(fs::read_to_string(yard.path("earlier")).unwrap().contains(sha.as_str()));
    assert!(told(&yard).contains(sha.as_str()));
    assert!(uninstall(&yard.git(), &bare).await.unwrap());
    assert_eq!(fs::read_to_string(&hook).unwrap(), before);
    assert_eq!(fs::metadata(&hook).unwrap().permissions().mode() & 0o777, 0o750);
    assert!(!bare.join("hooks").join(EARLIER).exists());
    assert!(!uninstall(&yard.git(), &bare).await.unwrap());
    assert_eq!(fs::read_to_string(&hook).unwrap(), before);
}

#[tokio::test]
async fn a_hook_that_fails_or_is_gone_never_fails_a_push() {
    let yard = Yard::new();
    let work = yard.work("w");
    let bare = work.bare("b.git");
    let settings = settings(&yard);
    install(&yard.git(), &bare, &settings).await.unwrap();
    executable(&settings.tidegate_binary, "#!/bin/sh\nexit 1\n");
    work.commit("a", "1", "x");
    assert!(push(&work, &bare, &["main"]).contains("not told"));
    fs::remove_file(&settings.tidegate_binary).unwrap();
    work.commit("a", "2", "x");
    assert!(push(&work, &bare, &["main"]).contains("not told"));
    let status = std::process::Command::new(bare.join("hooks/post-receive"))
        .env("PATH", "/nonexistent")
        .current_dir(&bare)
        .stdin(std::process::Stdio::null())
        .output();
    assert_eq!(status.map(|output| output.status.code()).ok().flatten(), Some(0));
}

#[tokio::test]
async fn without_the_program_curl_tells() {
    use std::io::Read;
    let yard = Yard::new();
    let work = yard.work("w");
    let bare = work.bare("b.git");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings(&yard);
    fs::remove_file(&settings.tidegate_binary).unwrap();
    settings.url = format!("http://{}", listener.local_addr().unwrap());
    write_token(&settings.token_file, &bare, "s3cret").unwrap();
    install(&yard.git(), &bare, &settings).await.unwrap();
    let server = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut seen = String::new();
        let mut buffer = [0; 4096];
        while !seen.contains("\"}") {
            let count = peer.read(&mut buffer).unwrap();
            assert!(count > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        peer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        seen
    });
    let sha = work.commit("a", "1", "x");
    let said = push(&work, &bare, &["HEAD:refs/heads/$(id)\"'`x`"]);
    assert!(!said.contains("not told"), "{said}");
    let seen = server.join().unwrap();
    assert!(seen.contains("Bearer s3cret"), "{seen}");
    let body: serde_json::Value = serde_json::from_str(seen.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["sha"], sha.as_str());
    assert_eq!(body["ref"], "refs/heads/$(id)\"'`x`");
    assert_eq!(body["old"], "0".repeat(40));
    assert_eq!(body["repo"], bare.to_str().unwrap());
    assert_eq!(body["pipeline"], "sh'op $(id)");
}

#[tokio::test]
async fn work_trees_and_other_folders_of_hooks_are_served() {
    let yard = Yard::new();
    let work = yard.work("w");
    let target = yard.work("target");
    target.run(&["config", "receive.denyCurrentBranch", "ignore"]);
    target.run(&["config", "core.hooksPath", "my hooks"]);
    let settings = settings(&yard);
    let installed = install(&yard.git(), &target.dir, &settings).await.unwrap();
    assert_eq!(installed.hook, yard.path("target/.git/my hooks/post-receive"));
    let sha = work.commit("a", "1", "x");
    push(&work, &target.dir, &["+main"]);
    assert!(told(&yard).contains(sha.as_str()));
    // A folder that two repositories share serves the first.
    let shared = yard.path("shared");
    let shared = shared.to_str().unwrap();
    target.run(&["config", "core.hooksPath", shared]);
    work.run(&["config", "core.hooksPath", shared]);
    work.run(&["config", "receive.denyCurrentBranch", "ignore"]);
    install(&yard.git(), &target.dir, &settings).await.unwrap();
    let error = install(&yard.git(), &work.dir, &settings).await.unwrap_err();
    assert_eq!(error.code(), "TG-INSTALL-002");
    target.commit("b", "1", "y");
    push(&target, &work.dir, &["HEAD:refs/heads/other"]);
    assert_eq!(told(&yard), "", "not its repository");
}

#[tokio::test]
async fn a_hook_that_took_the_place_of_ours_is_not_lost() {
    let yard = Yard::new();
    let bare = yard.work("w").bare("b.git");
    let hook = bare.join("hooks/post-receive");
    fs::create_dir_all(bare.join("hooks")).unwrap();
    executable(&hook, "#!/bin/sh\n# one\n");
    install(&yard.git(), &bare, &settings(&yard)).await.unwrap();
    fs::remove_file(&hook).unwrap();
    executable(&hook, "#!/bin/sh\n# two\n");
    let error = install(&yard.git(), &bare, &settings(&yard)).await.unwrap_err();
    assert_eq!(error.code(), "TG-INSTALL-001");
    assert!(!uninstall(&yard.git(), &bare).await.unwrap());
    assert!(fs::read_to_string(&hook).unwrap().contains("two"));
    let mut bad = settings(&yard);
    bad.url = "http://x\nrm -rf /".into();
    assert_eq!(install(&yard.git(), &bare, &bad).await.unwrap_err().code(), "TG-INSTALL-003");
}

#[tokio::test]
async fn the_token_is_for_owner_and_group_only() {
    let yard = Yard::new();
    let bare = yard.work("w").bare("b.git");
    let place = token_place(&yard.git(), &bare).await.unwrap();
    write_token(&place, &bare, "one").unwrap();
    write_token(&place, &bare, "two").unwrap();
    assert_eq!(fs::read_to_string(&place).unwrap(), "two\n");
    let (file, folder) = (fs::metadata(&place).unwrap(), fs::metadata(&bare).unwrap());
    assert_eq!(file.permissions().mode() & 0o777, 0o640);
    assert_eq!((file.uid(), file.gid()), (folder.uid(), folder.gid()));
    install(&yard.git(), &bare, &settings(&yard)).await.unwrap();
    uninstall(&yard.git(), &bare).await.unwrap();
    assert!(!place.exists());
}
