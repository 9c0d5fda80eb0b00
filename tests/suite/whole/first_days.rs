//! What people run into in their first days: tokens that stay at home, failures that say why, files and folders that are
//! not what they should be, and questions that are answered by what to do.

use super::SHOP;
use super::world::World;
use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Output, Stdio};

/// What a program is told that somebody else's server answers so, and the `Authorization` that it sent.
fn asked_elsewhere(
    world: &World,
    arguments: &[&str],
    status: &str,
    body: &'static str,
) -> (Output, Option<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut shown = None;
        for line in BufReader::new(stream.try_clone().expect("a stream")).lines().map_while(Result::ok) {
            if line.is_empty() {
                break;
            }
            if line.to_ascii_lowercase().starts_with("authorization:") {
                shown = Some(line);
            }
        }
        // A program that has gone has its answer.
        let _ = stream.write_all(head.as_bytes());
        shown
    });
    let mut program = world.program();
    let output = program.args(arguments).env("TIDEGATE_URL", url).stdin(Stdio::null()).output();
    (output.expect("tidegate runs"), server.join().expect("a server"))
}

#[test]
fn the_owners_token_is_shown_to_no_other_controller() {
    let world = World::new(SHOP);
    const REFUSAL: &str = r#"{"code":"TG-AUTH-001","detail":"this takes a valid token","help":"-"}"#;
    let (output, shown) = asked_elsewhere(&world, &["status"], "401 Unauthorized", REFUSAL);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((shown, output.status.code()), (None, Some(4)), "{said}");
    let file = world.path("state/token").display().to_string();
    assert!(
        said.contains("TG-AUTH-001") && said.contains("no token was sent") && said.contains(&file),
        "{said}"
    );
    // One that is named goes where the user says; what is said of it is where it is from.
    let arguments = ["status", "--token-file", &file];
    let (output, shown) = asked_elsewhere(&world, &arguments, "401 Unauthorized", REFUSAL);
    let said = String::from_utf8_lossy(&output.stderr);
    let token = world.read("state/token").trim().to_owned();
    assert!(shown.is_some_and(|line| line.contains(&token)));
    assert!(said.contains("named by `--token-file`") && !said.contains(&token), "{said}");
    // Its own controller is shown it, by whichever name of this machine.
    let port = world.address.rsplit(':').next().expect("a port");
    world.good(&["hold", "shop", "--url", &format!("http://localhost:{port}")]);
}

#[test]
fn a_deploy_that_fails_says_why_wherever_one_looks() {
    let text = SHOP.replace(
        "run = \"echo $TIDEGATE_MODE",
        "run = \"echo no room on the shelf; exit 3; echo $TIDEGATE_MODE",
    );
    let mut world = World::new(&text);
    world.push("1.0.0", &[]);
    let failed = world.wait("deploy_failed", &[("tier", "staging")]);
    world.wait("promote_failed", &[("tier", "staging")]);
    let run = format!("tidegate logs {}", failed["run_id"]);
    for arguments in [&["status"][..], &["why", "shop", "staging"], &["status", "--wait", "shop"]] {
        let (_, said) = world.says(arguments);
        for words in ["exited with status 3", "no room on the shelf", &run] {
            assert!(said.contains(words), "{arguments:?}: {words}: {said}");
        }
    }
}

#[test]
fn check_refuses_what_the_controller_refuses_and_its_log_says_it_too() {
    let world = World::new(SHOP);
    let at = |name: &str| world.path("pipelines").join(name);
    fs::create_dir(at("folder.toml")).expect("a folder");
    symlink("/dev/null", at("device.toml")).expect("a link");
    symlink("/nowhere/at/all", at("dangling.toml")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(at("pipe.toml")).status().expect("mkfifo runs");
    assert!(made.success());
    let (exit, said) = world.says(&["check", "pipelines"]);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("1 of 5 pipeline files good; 4 errors"), "{said}");
    let log = world.until_logged("folder.toml:1:1");
    assert!(log.contains("TG-FILE-002"), "{log}");
    world.until_logged("dangling.toml:1:1");
    world.until_logged("device.toml:1:1");
    world.until_logged("pipe.toml:1:1");
    let status = world.good(&["status"]);
    for name in ["folder", "device", "dangling", "pipe"] {
        let (code, words) = match name {
            "dangling" => ("TG-FILE-004", "nothing is where it points"),
            _ => ("TG-FILE-002", "as a pipeline file"),
        };
        for text in [&said, &status] {
            assert!(
                text.contains(&format!("{name}.toml")) && text.contains(code) && text.contains(words),
                "{text}"
            );
        }
    }
    assert!(status.contains("(1 problem,"), "{status}");
    let doctor = world.says(&["doctor"]).1;
    assert!(doctor.contains("TG-FILE-004"), "{doctor}");
}

#[test]
fn a_lost_folder_and_a_stop_under_way_are_shown() {
    let text =
        SHOP.replace("echo making $TIDEGATE_VERSION;", "while test -e $PLACE/hold; do sleep 0.05; done;");
    let mut world = World::new(&text);
    fs::rename(world.path("pipelines"), world.path("px")).expect("moved");
    world.until_logged("TG-WATCH-001");
    let said = world.good(&["status"]);
    assert!(
        said.contains("is lost, its pipelines stay as they are") && said.contains("[TG-WATCH-001]"),
        "{said}"
    );
    assert_eq!(world.get("/api/state")["troubles"][0]["code"], "TG-WATCH-001");
    assert!(world.good(&["status", "shop"]).contains("[TG-WATCH-001]"));
    assert!(
        String::from_utf8_lossy(&world.bytes("/readyz")).contains("TG-WATCH-001"),
        "it is ready all the same"
    );
    fs::rename(world.path("px"), world.path("pipelines")).expect("moved");
    world.until_logged("TG-WATCH-002");
    assert!(!world.good(&["status"]).contains("TG-WATCH-001"));

    // What was asked of the files by a signal is in the log.
    let pid = rustix::process::Pid::from_raw(world.pid()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("told");
    world.until_logged("SIGHUP");
    fs::write(world.path("place/hold"), "").expect("a file");
    world.commit("1.0.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world.wait("step_start", &[]);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("told");
    world.until_logged("stopping");
    let said = world.good(&["status"]);
    assert!(said.contains("the controller is stopping") && said.contains("has up to 1m 0s to end"), "{said}");
    assert!(said.contains("TG-SERVE-007"), "{said}");
    fs::remove_file(world.path("place/hold")).expect("removed");
    assert_eq!(world.stop(), 0);
}

#[test]
fn a_repository_that_is_not_there_is_named_by_its_whole_path() {
    let mut world = World::new(SHOP);
    let text = SHOP.replace("$REPO", "\"nowhere.git\"");
    fs::write(world.path("pipelines/lost.toml"), world.filled(&text)).expect("a file");
    let whole = world.folder.path().canonicalize().expect("a path").join("nowhere.git").display().to_string();
    let (exit, said) = world.says(&["check", "pipelines"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("TG-CLI-023") && said.contains(&whole) && said.contains("lost.toml:3:1"), "{said}");
    world.wait("pipeline_loaded", &[("pipeline", "lost")]);
    let (exit, said) = world.ends(&["rebuild", "lost"]);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("TG-GIT-002") && said.contains(&whole), "{said}");

    world.git("", &["init", "-q", "--bare", "other.git"]);
    let (exit, said) = world.ends(&["hook", "install", "other.git"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("no pipeline names this repository yet"), "{said}");
    let (_, said) = world.ends(&["hook", "install", "shop.git"]);
    assert!(!said.contains("no pipeline names"), "{said}");
}

#[test]
fn what_was_rejected_is_not_built_again_and_that_is_said() {
    let mut world = World::new(SHOP);
    world.push("2.0.0", &[("broken", "")]);
    world.wait("promote_failed", &[("tier", "staging")]);
    let (exit, said) = world.says(&["rebuild", "shop"]);
    assert_eq!(exit, 0);
    assert!(
        said.contains("2.0.0 is built already, and was rejected in `staging`: gate `smoke`")
            && said.contains("tidegate retry shop staging 2.0.0"),
        "{said}"
    );
}

#[test]
fn a_copy_under_another_name_is_planned_as_a_new_pipeline_and_that_is_said() {
    let world = World::new(SHOP);
    fs::copy(world.path("pipelines/shop.toml"), world.path("new.toml")).expect("a copy");
    let (_, said) = world.says(&["plan", "new.toml"]);
    assert!(said.contains("planned as a new pipeline `new`") && said.contains("name = \"…\""), "{said}");
    let (_, said) = world.says(&["plan", "pipelines/shop.toml"]);
    assert!(!said.contains("new pipeline"), "{said}");
    let text = format!("name = \"shop\"\n{}", world.read("new.toml"));
    fs::write(world.path("new.toml"), text).expect("a file");
    let (_, said) = world.says(&["plan", "new.toml"]);
    assert!(said.contains("in force") && !said.contains("new pipeline"), "{said}");
}

#[test]
fn what_does_not_exist_is_told_from_what_did_not_happen() {
    let mut world = World::new(SHOP);
    let (exit, said) = world.ends(&["events", "--kind", "gate_don"]);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("TG-CLI-024") && said.contains("did you mean `gate_done`?"), "{said}");
    assert_eq!(world.ends(&["events", "--kind", "gate_*", "--kind", "lagged"]).0, 0);
    let (exit, said) = world.ends(&["events", "--pipeline", "nope"]);
    assert_eq!(exit, 0);
    assert!(said.contains("no pipeline is called `nope` now"), "{said}");
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    fs::remove_file(world.path("pipelines/shop.toml")).expect("removed");
    world.wait("pipeline_removed", &[]);
    let (exit, said) = world.ends(&["promote", "shop", "prod"]);
    assert_eq!(exit, 2);
    assert!(said.contains("TG-ASK-001") && said.contains("`shop` is removed"), "{said}");
}

#[test]
fn doctor_looks_at_what_deliveries_and_secrets_need() {
    let world =
        World::unborn(&SHOP.replace("[build]", "[secrets]\nOPEN = { file = \"$PLACE/open\" }\n\n[build]"));
    fs::write(world.path("place/open"), "a secret").expect("a file");
    fs::set_permissions(world.path("place/open"), fs::Permissions::from_mode(0o644)).expect("opened");
    fs::write(world.path("tidegate.toml"), "[webhook.github]\nsecret = { file = \"hook-secret\" }\n")
        .expect("a file");
    let (exit, said) = world.says(&["doctor"]);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("no delivery is taken: failed to use the secret file `"), "{said}");
    assert!(said.contains("everybody on this machine can use `") && said.contains("(mode 0644)"), "{said}");
    fs::write(world.path("hook-secret"), "0123456789abcdef").expect("a file");
    fs::set_permissions(world.path("hook-secret"), fs::Permissions::from_mode(0o600)).expect("closed");
    let (_, said) = world.says(&["doctor"]);
    assert!(said.contains("its secret can be read"), "{said}");
}

#[test]
fn settings_that_nobody_can_mean_are_refused_in_words() {
    let world = World::unborn(SHOP);
    for (text, code, words) in [
        ("drain = 60", "TG-SETTINGS-002", "drain = \"60s\""),
        ("[retention]\nversions = -1", "TG-SETTINGS-002", "`versions` is a whole number, at least 1"),
        ("[retention]\nversions = 0", "TG-SETTINGS-003", "at least the newest version is kept"),
        ("[retention]\nlogs = \"0s\"", "TG-SETTINGS-003", "it must be longer than nothing"),
        ("pipline = \"x\"", "TG-SETTINGS-002", "did you mean `pipelines`?"),
        ("colour = \"x\"", "TG-SETTINGS-002", "there are `pipelines`, `state`"),
    ] {
        fs::write(world.path("tidegate.toml"), text).expect("a file");
        let (exit, said) = world.ends(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(exit, 2, "{text}: {said}");
        assert!(said.contains(code) && said.contains(words), "{text}: {said}");
    }
    fs::remove_file(world.path("tidegate.toml")).expect("removed");
    let mut program = world.program();
    let mut child = program
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TIDEGATE_LOG", "loud")
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("its stderr"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    // One that goes on all the same is ended.
    let _ = child.kill();
    let _ = child.wait();
    let _ = said.read_to_string(&mut line);
    assert!(line.contains("TIDEGATE_LOG") && line.contains("`loud`") && line.contains("`debug`"), "{line}");
}

#[test]
fn run_leaves_no_folder_of_a_file_that_is_gone() {
    let world = World::unborn(SHOP);
    world.commit("1.0.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    fs::copy(world.path("pipelines/shop.toml"), world.path("tried.toml")).expect("a copy");
    world.good(&["run", "tried.toml"]);
    let count = || fs::read_dir(world.path("cache/tidegate/run")).expect("a folder").count();
    assert_eq!(count(), 1);
    fs::remove_file(world.path("tried.toml")).expect("removed");
    world.good(&["run", "pipelines/shop.toml"]);
    assert_eq!(count(), 1, "the one of the file that is there");
}

#[test]
fn help_of_check_can_be_pasted() {
    let world = World::unborn(SHOP);
    for (more, words) in [
        ("[secrets]\nA = { command = \"echo hi\" }\n", "write command = [\"echo\", \"hi\"]"),
        (
            "[secrets]\nA = { command = \"echo $HOME | tr a b\" }\n",
            "write command = [\"sh\", \"-c\", \"echo $HOME | tr a b\"]",
        ),
        ("[[build.st", "a table is headed `[name]`, one of several `[[name]]`"),
    ] {
        world.edit(&format!("{SHOP}\n{more}"));
        let (exit, said) = world.says(&["check", "pipelines"]);
        assert_eq!(exit, 2);
        assert!(said.contains(words), "{more}: {said}");
    }
}
