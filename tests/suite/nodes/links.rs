//! The connection of a deploy, without a controller: whose turn it is on a node, and how long its guard waits.

use super::fleet::Fleet;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidegate::remote::{self, Claim, Client, Confirmed, File, Forward, Guard, Heard, Link, Places};

const PATIENCE: Duration = Duration::from_secs(30);

struct Site {
    folder: TempDir,
    fleet: Fleet,
    client: Client,
}

/// A node `a1`; none where there is no sshd. `more`: arguments for ssh.
fn site(more: &[&str]) -> Option<Site> {
    let folder = tempfile::tempdir().expect("a folder");
    let fleet = Fleet::raise(folder.path(), &["a1"], "")?;
    let config = folder.path().join("ssh_config");
    let mut command = vec!["ssh".to_owned(), "-F".into(), config.to_str().expect("text").into()];
    command.extend(more.iter().map(|word| (*word).to_owned()));
    let sockets = folder.path().join("s");
    std::fs::create_dir(&sockets).expect("a folder");
    let client = Client::new(&command, sockets);
    Some(Site { folder, fleet, client })
}

async fn take(client: &Client, expiry: Duration) -> Link {
    let claim = Claim { by: "a test".into(), owner: "owner".into(), expiry };
    let mut opening = Link::open(client, "a1", &[], &claim).await.expect("it opens");
    while opening.next().await.expect("it goes on") != Heard::Held {}
    opening.held()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn guard(files: &[&Path], within: Duration, argv: &[&str]) -> Guard {
    Guard {
        owner: "owner".into(),
        version: "1.0.0".into(),
        within,
        limit: Duration::from_secs(10),
        folder: ".".into(),
        files: files.iter().map(|path| path.to_path_buf()).collect(),
        argv: argv.iter().map(OsString::from).collect(),
        env: [].into(),
    }
}

fn machine(link: &Link) -> String {
    link.name().to_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_turn_is_over_changes_nothing_any_more() {
    let Some(mut site) = site(&[]) else { return };
    let home = site.fleet.node("a1").home.clone();
    let long = Duration::from_secs(60);
    let asleep = take(&site.client, long).await;
    let turn = home.join(format!(".tidegate/{}.turn", machine(&asleep)));
    // As whoever comes next does, once the lock of a controller that sleeps has gone.
    std::fs::write(&turn, "another\n").expect("written");

    let refused = asleep.arm(&guard(&[], long, &[])).await.expect_err("a guard is armed");
    assert!(refused.message.contains("has taken"), "{refused}");
    let from = site.folder.path().join("made");
    std::fs::write(&from, "abc").expect("written");
    let file = File {
        from,
        to: home.join("app/made"),
        size: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
        executable: false,
    };
    let refused = Places::open(&asleep).await.err().expect("files can be put");
    assert!(refused.message.contains("has taken"), "{refused}");
    let (status, told) = step(&site.client, &asleep, site.folder.path(), "echo ran >> $HOME/ran");
    assert!(status != 0 && told.contains("has taken"), "{status}: {told}");
    assert!(!home.join("ran").exists());
    asleep.close().await;

    // Whose turn it is may do all of it.
    let next = take(&site.client, Duration::from_secs(1)).await;
    assert_eq!(std::fs::read_to_string(&turn).expect("a turn").trim(), next.turn());
    let mut places = Places::open(&next).await.expect("it opens");
    places.put(&file, |_| ()).await.expect("it is put");
    drop(places);
    let (status, told) = step(&site.client, &next, site.folder.path(), "echo ran >> $HOME/ran");
    assert_eq!(status, 0, "{told}");
    // Until it has been silent for too long.
    until("its lock is not free", || next.lost().is_some()).await;
    until("its turn is not over", || std::fs::read_to_string(&turn).is_ok_and(|turn| turn.is_empty())).await;
}

/// Runs a command through a link, as the runner would: its exit status, and what went wrong.
fn step(client: &Client, link: &Link, folder: &Path, run: &str) -> (i32, String) {
    let argv = ["sh", "-c", run].map(OsString::from);
    let command = remote::carry::RemoteCommand {
        argv: &argv,
        env: &[],
        machine: link.name(),
        turn: link.turn(),
        folder: &".".into(),
        grace: Duration::from_secs(1),
        expiry: Duration::from_secs(60),
        apart: false,
    };
    let result = folder.join("result");
    let _ = std::fs::remove_file(&result);
    let errand = remote::carry::Errand {
        host: link.host().to_owned(),
        result: result.clone(),
        output: None,
        socket: link.socket().into(),
        ssh: link.argv(),
    };
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg(remote::carry::SUBCOMMAND)
        .args(errand.to_arguments())
        .envs(command.to_variables().0)
        .current_dir(client.folder())
        .stdin(std::process::Stdio::null())
        .status()
        .expect("it runs");
    (status.code().expect("a status"), std::fs::read_to_string(result).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_waits_as_long_as_it_was_told_from_the_end_of_the_change_on() {
    let Some(mut site) = site(&[]) else { return };
    let link = take(&site.client, Duration::from_secs(60)).await;
    // Signs of life every ten seconds: only the last one comes at once.
    link.arm(&guard(&[], Duration::from_secs(60), &[])).await.expect("armed");
    let guard = site.fleet.node("a1").home.join(format!(".tidegate/{}.guard", machine(&link)));
    let time = |name: &str| std::fs::metadata(guard.join(name)).and_then(|file| file.modified()).ok();
    // The first comes at once, and the guard has heard it when it looks, a second later.
    until("it hears nothing", || time("seen") > time("kept")).await;
    let first = time("beat");
    link.let_guard_count();
    let begin = Instant::now();
    until("it hears no more", || time("beat") > first).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "it began to wait before the change was over");
    link.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guard_kept_goes_with_it_when_it_is_gone_without_a_word() {
    let Some(mut site) = site(&[]) else { return };
    let home = site.fleet.node("a1").home.clone();
    let file = home.join("a file");
    std::fs::write(&file, "old").expect("written");
    let link = take(&site.client, Duration::from_secs(60)).await;
    link.arm(&guard(&[&file], Duration::from_secs(60), &[])).await.expect("armed");
    let kept = home.join(".a file.tidegate.back");
    assert!(kept.exists());
    // As if the power had gone.
    site.fleet.node("a1").kill();
    site.fleet.node("a1").start();
    drop(link);
    take(&site.client, Duration::from_secs(60)).await.close().await;
    assert!(!kept.exists() && file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_own_guard_can_be_told_that_all_is_well() {
    let Some(mut site) = site(&[]) else { return };
    let (home, long) = (site.fleet.node("a1").home.clone(), Duration::from_secs(60));
    let link = take(&site.client, Duration::from_secs(60)).await;
    link.arm(&guard(&[], long, &[])).await.expect("armed");
    let over = home.join(format!(".tidegate/{}.guard/over", machine(&link)));
    for (owner, turn) in [("other", link.turn()), ("owner", "another")] {
        let told = remote::confirm(&site.client, "a1", owner, turn, &[]).await.expect("an answer");
        assert_eq!(told, Confirmed::Late, "{owner} {turn}");
        assert!(!over.exists(), "{owner} {turn}");
    }
    for _ in 0..2 {
        let told = remote::confirm(&site.client, "a1", "owner", link.turn(), &[]).await.expect("an answer");
        assert_eq!(told, Confirmed::InTime);
    }
    let told = remote::confirm(&site.client, "a1", "owner", "another", &[]).await.expect("an answer");
    assert_eq!(told, Confirmed::Late);
    link.close().await;
    site.fleet.node("a1").wait_until_idle();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_could_not_end_its_command_is_never_armed() {
    let Some(mut site) = site(&[]) else { return };
    let home = site.fleet.node("a1").home.clone();
    std::fs::create_dir(home.join("bin")).expect("a folder");
    // As busybox was before 1.35.
    let old = "#!/bin/sh\ncase $1 in -k) echo usage >&2; exit 1;; esac\nexec /usr/bin/timeout \"$@\"\n";
    std::fs::write(home.join("bin/timeout"), old).expect("written");
    std::fs::set_permissions(home.join("bin/timeout"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("its mode");
    std::fs::write(home.join(".bashrc"), "PATH=$HOME/bin:$PATH\n").expect("written");
    let link = take(&site.client, Duration::from_secs(60)).await;
    if !link.login().iter().any(|(_, value)| value.to_string_lossy().contains("/home/bin")) {
        eprintln!("not tested here: the login shell reads no `.bashrc`");
        return;
    }
    let refused = link.arm(&guard(&[], Duration::from_secs(60), &[])).await.expect_err("it is armed");
    assert!(refused.message.contains("timeout"), "{refused}");
    assert!(!home.join(format!(".tidegate/{}.guard", machine(&link))).exists());
    link.close().await;
    site.fleet.node("a1").wait_until_idle();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_opened_whatever_ssh_does_with_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("ssh.log");
    let Some(mut site) = site(&["-E", log.to_str().expect("text")]) else { return };
    let link = take(&site.client, Duration::from_secs(60)).await;
    let port = site.fleet.node("a1").port();
    let forward = Forward::of(&link);
    let mut stream = forward.open(&format!("127.0.0.1:{port}")).await.expect("a stream");
    stream.socket.set_read_timeout(Some(PATIENCE)).expect("a bound");
    let mut greeting = [0; 4];
    std::io::Read::read_exact(&mut stream.socket, &mut greeting).expect("sshd greets");
    assert_eq!(&greeting, b"SSH-");
    let free = crate::whole::port::Port::reserve();
    let refused = forward.open(&format!("127.0.0.1:{}", free.number)).await.expect_err("nobody listens");
    assert!(refused.contains("refused on the node"), "{refused}");
    link.close().await;
}
