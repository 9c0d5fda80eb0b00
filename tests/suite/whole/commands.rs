//! The command line: exit codes, JSON, and text from outside that stays text.

use super::SHOP;
use super::world::World;
use serde_json::Value;

#[test]
fn exit_codes_tell_what_happened() {
    let world = World::unborn(SHOP);
    assert_eq!(world.ends(&["check", "pipelines"]).0, 0);
    assert_eq!(world.ends(&["status", "--url", "http://127.0.0.1:9"]).0, 4, "no controller");
    assert_eq!(world.ends(&["frobnicate"]).0, 2, "usage");
    world.edit(&SHOP.replace("[[tier]]", "[[teir]]"));
    assert_eq!(world.ends(&["check", "pipelines"]).0, 2, "a bad definition");
    let output = world.tidegate(&["check", "pipelines", "--json"]);
    let diagnostics: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(diagnostics.iter().all(|one| one["line"].is_u64() && one["code"].is_string()));
}

#[test]
fn everything_by_hand_from_the_command_line() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    assert_eq!(world.ends(&["deny", "shop", "prod", "--why", "no"]).0, 0);
    world.wait("promote_failed", &[("tier", "prod"), ("end", "rejected")]);
    assert_eq!(world.ends(&["retry", "shop", "prod"]).0, 0);
    world.wait("promote_blocked", &[("tier", "prod")]);
    assert_eq!(world.ends(&["confirm", "shop", "prod"]).0, 0);
    world.wait("promote_complete", &[("tier", "prod")]);
    assert_eq!(world.ends(&["redeploy", "shop", "prod", "--node", "p1"]).0, 0);
    world.wait("deploy_ok", &[("mode", "redeploy"), ("node", "p1")]);
    assert_eq!(world.ends(&["hold", "shop", "staging", "--why", "lunch"]).0, 0);
    world.wait("hold_set", &[("tier", "staging")]);
    world.push("1.1.0", &[]);
    world.wait("promote_blocked", &[("tier", "staging")]);
    assert!(world.good(&["status"]).contains("held by owner: lunch"));
    assert_eq!(world.ends(&["block", "shop", "1.1.0"]).0, 0);
    assert_eq!(world.ends(&["promote", "shop", "staging", "1.1.0"]).0, 0, "it waits, blocked");
    assert_eq!(world.ends(&["unblock", "shop", "1.1.0"]).0, 0);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    assert_eq!(world.ends(&["resume", "shop", "staging"]).0, 0);
    assert_eq!(world.ends(&["rollback", "shop", "staging", "--why", "it looks odd"]).0, 0);
    world.wait("rollback_complete", &[("tier", "staging"), ("version", "1.0.0")]);
    let (exit, said) = world.ends(&["cancel", "shop"]);
    assert_eq!(exit, 2);
    assert!(said.contains("TG-ASK-015"), "{said}");
    let (exit, said) = world.ends(&["confirm", "shop", "nowhere"]);
    assert_eq!(exit, 2);
    assert!(said.contains("its tiers are `host`, `staging`, `prod`"), "{said}");
}

#[test]
fn status_events_and_logs_are_data() {
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    let state: Value = serde_json::from_str(&world.good(&["status", "--json"])).expect("JSON");
    assert_eq!(state["pipelines"][0]["name"], "shop");
    let lines = world.good(&["events", "--kind", "promote_*"]);
    let kinds: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(
        kinds.iter().all(|event| event["kind"].as_str().is_some_and(|kind| kind.starts_with("promote_")))
    );
    assert_eq!(world.good(&["logs", "1"]), "making 1.0.0\n");
    let (exit, said) = world.ends(&["logs", "999"]);
    assert_eq!(exit, 2);
    assert!(said.contains("error[TG-"), "{said}");
}

#[test]
fn logs_are_json_lines_where_that_is_asked_for() {
    let mut world =
        World::new(&SHOP.replace("echo making $TIDEGATE_VERSION;", "printf 'one\\\\ntwo\\\\377';"));
    world.push("1.0.0", &[]);
    world.wait("build_ok", &[]);
    let lines = world.good(&["logs", "1", "--json"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let place = |line: &Value| (line["offset"].as_u64(), line["bytes"].as_u64());
    assert_eq!(lines.iter().map(place).collect::<Vec<_>>(), [(Some(0), Some(4)), (Some(4), Some(4))]);
    assert_eq!((&lines[0]["text"], &lines[1]["text"]), (&Value::from("one"), &Value::from("two\u{fffd}")));
    let repo = world.path("shop.git");
    let hook: Value =
        serde_json::from_str(&world.good(&["hook", "install", repo.to_str().expect("text"), "--json"]))
            .expect("JSON");
    assert_eq!(hook["changed"], false);
    assert!(hook["hook"].as_str().is_some_and(|path| path.ends_with("hooks/post-receive")), "{hook}");
}

#[test]
fn why_names_what_is_not_built_and_what_goes_back() {
    let slow = SHOP.replace(
        "echo making $TIDEGATE_VERSION;",
        "while test -e $PLACE/wait; do sleep 0.02; done; test ! -e $PLACE/red &&",
    );
    let mut world = World::new(&slow);
    let (exit, said) = world.says(&["why", "shop", "prod"]);
    assert_eq!((exit, said.contains("no version is built yet")), (2, true), "{said}");

    std::fs::write(world.path("place/wait"), "").expect("a file");
    world.push("1.0.0", &[]);
    world.wait("step_start", &[]);
    let output = world.tidegate(&["why", "shop", "prod"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said.contains("1.0.0 has not passed `prod`") && said.contains("its build is under way"),
        "{said}"
    );

    std::fs::remove_file(world.path("place/wait")).expect("removed");
    world.wait("promote_complete", &[("tier", "staging")]);
    std::fs::write(world.path("place/red"), "").expect("a file");
    world.push("1.1.0", &[]);
    world.wait("build_failed", &[]);
    let output = world.tidegate(&["why", "shop", "prod"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("newer: the build of 1.1.0 failed: step `make`"), "{said}");
    std::fs::remove_file(world.path("place/red")).expect("removed");

    // A version whose smoke test is red, on its slow way back.
    world.edit(&slow.replace("run = \"echo $TIDEGATE_MODE", "run = \"test $TIDEGATE_MODE = deploy || while test -e $PLACE/back; do sleep 0.02; done; echo $TIDEGATE_MODE"));
    world.wait("pipeline_loaded", &[]);
    world.push("1.2.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.2.0")]);
    std::fs::write(world.path("place/back"), "").expect("a file");
    world.push("1.3.0", &[("broken", "")]);
    world.wait("rollback", &[("tier", "staging")]);
    let why = world.tidegate(&["why", "shop", "staging"]);
    let said = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(said.contains("staging: goes back to 1.2.0: gate `smoke`"), "{said}");
    std::fs::remove_file(world.path("place/back")).expect("removed");
    world.wait("promote_failed", &[("version", "1.3.0"), ("end", "rolled_back")]);
}

#[test]
fn text_from_outside_never_reaches_a_terminal_raw() {
    let mut world = World::new(SHOP);
    world.commit("1.0.0", &[]);
    world.git("work", &["commit", "-q", "--amend", "-m", "\u{1b}]0;owned\u{7}\u{1b}[31mred\u{202e}"]);
    world.git("work", &["push", "-q", "origin", "main"]);
    world.wait("build_start", &[]);
    for arguments in [&["status"][..], &["why", "shop", "prod"]] {
        let output = world.tidegate(arguments);
        let said = [output.stdout, output.stderr].concat();
        assert!(
            !said.contains(&0x1b) && !said.contains(&7),
            "{arguments:?}: {:?}",
            String::from_utf8_lossy(&said)
        );
    }
}

#[test]
fn run_builds_and_checks_without_a_controller() {
    let world = World::unborn(SHOP);
    world.commit("1.0.0", &[]);
    world.git("work", &["push", "-q", "origin", "main"]);
    let said = world.good(&["run", "pipelines/shop.toml"]);
    assert!(said.contains("host: 1.0.0 is current") && !said.contains("staging"), "{said}");
    assert!(!world.path("place/staging").exists(), "nothing is deployed unasked");
    std::fs::write(world.path("work/VERSION"), "bad-build").expect("a file");
    std::fs::write(world.path("work/extra"), "not committed").expect("a file");
    let (exit, _) = world.ends(&["run", "pipelines/shop.toml", "--dir", "work", "--deploy", "staging"]);
    assert_eq!(exit, 1, "a version that cannot be read fails the build");
    std::fs::write(world.path("work/VERSION"), "2.0.0").expect("a file");
    world.good(&["run", "pipelines/shop.toml", "--dir", "work", "--deploy", "staging"]);
    assert_eq!(world.read("place/staging/out.txt"), "2.0.0");
    let (exit, said) = world.ends(&["run", "pipelines/shop.toml", "--deploy", "prod"]);
    assert_eq!(exit, 2);
    assert!(said.contains("TG-CLI-013"), "{said}");
}

#[test]
fn a_run_says_at_its_end_what_failed_where_its_log_is_and_how_to_run_just_that_again() {
    let gate = "[[tier.gate]]\nname = \"lint\"\nkind = \"command\"\nrun = \"echo linted\"\n";
    let world = World::unborn(
        &SHOP.replace("[[tier]]\nname = \"staging\"", &format!("{gate}\n[[tier]]\nname = \"staging\"")),
    );
    std::fs::create_dir(world.path("a place")).expect("a folder");
    std::fs::write(world.path("a place/VERSION"), "1.0.0\n").expect("a file");
    world.edit(&world.read("pipelines/shop.toml").replace("cp VERSION", "echo bad-build >"));
    let arguments = ["run", "pipelines/shop.toml", "--dir", "a place"];
    let (exit, said) = world.says(&arguments);
    let (_, end) = said.split_once("\n\n").unwrap_or_else(|| panic!("{exit} {said}"));
    let lines: Vec<&str> = end.lines().map(str::trim).collect();
    assert_eq!(exit, 1, "{said}");
    assert!(lines[0].starts_with("failed ") && lines[0].ends_with("2 of 3 passed"), "{said}");
    assert_eq!(lines[1], "failed gate `test` of tier `host`: exited with status 1", "{said}");
    let log = lines[2].strip_prefix("log: ").expect("a log");
    assert!(std::path::Path::new(log).is_file(), "{said}");
    let again = lines[3].strip_prefix("again: tidegate ").expect("a command");
    assert_eq!(again, "run pipelines/shop.toml --dir 'a place' --gate test");
    let (exit, said) = world.says(&[&arguments[..], &["--gate", "lint"]].concat());
    assert!(exit == 0 && said.contains("2 of 2 passed") && !said.contains("`test`"), "{exit} {said}");
    let (exit, said) = world.ends(&[&arguments[..], &["--gate", "smoke"]].concat());
    assert!(exit == 2 && said.contains("there are `lint`, `test`"), "{exit} {said}");
}

#[test]
fn the_demo_does_all_of_it_and_leaves_nothing() {
    let world = World::unborn(SHOP);
    let place = world.path("place");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["demo", "--yes"])
        .env("TMPDIR", &place)
        .env("NO_COLOR", "1")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the demo runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for words in
        ["rolled back", "is gone; started again", "production: 1.2.0 is current", "gate `greeting` is new"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(std::fs::read_dir(&place).expect("a folder").count(), 0, "nothing is left");
}

#[test]
fn a_demo_that_goes_wrong_says_where_to_look_and_leaves_nothing() {
    let world = World::unborn(SHOP);
    let (tools, place) = (world.path("tools"), world.path("place"));
    std::fs::create_dir(&tools).expect("a folder");
    std::os::unix::fs::symlink("/bin/false", tools.join("sed")).expect("a link");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("a PATH"));
    let mut demo = world.program();
    demo.args(["demo", "--yes"]).env("PATH", path).env("TMPDIR", &place).stdin(std::process::Stdio::null());
    let output = demo.output().expect("the demo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error[TG-DEMO-003]") && said.contains("controller.log"), "{said}");
    assert_eq!(std::fs::read_dir(&place).expect("a folder").count(), 0, "nothing is left");
}

#[test]
fn a_hook_is_installed_beside_another_and_taken_away_without_a_trace() {
    let mut world = World::unborn(SHOP);
    let (hook, repo) = (world.path("shop.git/hooks/post-receive"), world.path("shop.git"));
    let repo = repo.to_str().expect("text");
    let earlier = format!("#!/bin/sh\ncat > {}/heard\n", world.path("place").display());
    std::fs::write(&hook, &earlier).expect("a hook");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    world.start();
    world.wait("pipeline_loaded", &[]);
    world.good(&["hook", "install", repo]);
    let kept = |name: &str| std::fs::read(world.path("shop.git/hooks").join(name)).expect("a file");
    let before = (kept("post-receive"), kept("tidegate.token"));
    world.good(&["hook", "install", repo]);
    assert_eq!((kept("post-receive"), kept("tidegate.token")), before, "the second time changes nothing");
    world.push("1.0.0", &[]);
    assert!(
        world.read("place/heard").ends_with("refs/heads/main\n"),
        "the hook that was there goes on working"
    );
    world.wait("rebuild_requested", &[]);
    world.good(&["hook", "uninstall", repo]);
    assert_eq!(std::fs::read_to_string(&hook).expect("the hook"), earlier);
    assert!(!world.path("shop.git/hooks/tidegate.token").exists());
    assert_eq!(world.good(&["token", "list"]), "", "its token is gone too");
}

#[test]
fn what_runs_already_is_adopted_and_the_first_rollback_goes_there() {
    let mut world = World::new(&SHOP.replace(
        "upload = [{ artifact = \"out.txt\", to = \"$PLACE/$TIDEGATE_NODE/\" }]",
        "run = \"echo $TIDEGATE_VERSION >> $PLACE/$TIDEGATE_NODE\"",
    ));
    let old = world.commit("0.9.0", &[]);
    world.git("work", &["push", "-q", "origin", "main:refs/heads/old"]);
    let (exit, said) = world.ends(&["adopt", "shop", "prod", "0.9.0", "1234567"]);
    assert_eq!(exit, 2, "no such commit");
    assert!(said.contains("TG-GIT-"), "{said}");
    let (exit, said) = world.ends(&["adopt", "shop", "prod", "new", &old]);
    assert_eq!(exit, 2, "no such label");
    assert!(said.contains("TG-VERSION-001") && said.contains("`new`"), "{said}");
    assert_eq!(world.ends(&["adopt", "shop", "prod", "v0.9", &old[..10], "--why", "it was there"]).0, 0);
    let adopted = world.wait("manual_action", &[("action", "adopt"), ("version", "0.9.0")]);
    assert_eq!((&adopted["sha"], &adopted["why"]), (&old.into(), &"it was there".into()));
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod")]);
    world.good(&["confirm", "shop", "prod"]);
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
    world.good(&["rollback", "shop", "prod"]);
    world.wait("rollback_complete", &[("tier", "prod"), ("version", "0.9.0")]);
    assert_eq!(world.read("place/p1"), "1.0.0\n0.9.0\n");
}

#[test]
fn what_runs_where_artifacts_are_uploaded_is_built_first_and_enters_no_other_tier() {
    let mut world = World::new(SHOP);
    let old = world.commit("0.9.0", &[]);
    world.git("work", &["push", "-q", "origin", "main:refs/heads/old"]);
    world.push("1.0.0", &[]);
    world.wait("promote_blocked", &[("tier", "prod"), ("version", "1.0.0")]);
    let (exit, said) = world.ends(&["adopt", "shop", "prod", "0.9.0", &old, "--why", "it was there"]);
    assert_eq!(exit, 0, "{said}");
    let adopted = world.wait("manual_action", &[("action", "adopt"), ("version", "0.9.0"), ("tier", "prod")]);
    assert_eq!(adopted["pending"], true, "{adopted}");
    world.wait("build_ok", &[("version", "0.9.0")]);
    let adopted = world.wait("manual_action", &[("action", "adopt"), ("version", "0.9.0"), ("tier", "prod")]);
    assert_eq!((&adopted["by"], &adopted["why"]), (&"owner".into(), &"it was there".into()), "{adopted}");
    let status = world.good(&["status", "shop"]);
    assert!(status.contains("1.0.0 waits") || status.contains("waits: 1.0.0"), "{status}");
    world.good(&["confirm", "shop", "prod", "1.0.0"]);
    world.wait("promote_complete", &[("tier", "prod"), ("version", "1.0.0")]);
    world.good(&["rollback", "shop", "prod"]);
    world.wait("rollback_complete", &[("tier", "prod"), ("version", "0.9.0")]);
    let (_, said) = world.says(&["why", "shop", "prod"]);
    for part in [
        "1.0.0 went back out of `prod`",
        "0.9.0 is current there",
        "it went back from 1.0.0 to 0.9.0",
        "rolled back by owner",
        "tidegate retry shop prod 1.0.0",
        "tidegate resume shop prod",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(world.read("place/p1/out.txt").lines().last(), Some("0.9.0"), "what was built of it is there");
    let events = world.good(&["events"]);
    let of_it = |kind: &str| {
        events.lines().filter(|line| line.contains(kind) && line.contains(r#""version":"0.9.0""#)).count()
    };
    assert_eq!((of_it("promote_start"), of_it("superseded")), (0, 0), "it entered no tier");
}

#[test]
fn clients_and_hooks_find_the_controller_by_the_settings_of_its_folder() {
    let mut world = World::new(SHOP);
    let settings = format!("listen = \"{}\"\nstate = \"state\"\n", world.address);
    std::fs::write(world.path("tidegate.toml"), settings).expect("settings");
    let plain = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments).current_dir(world.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").expect("a path")).env("HOME", world.path("home"));
        let output = command.stdin(std::process::Stdio::null()).output().expect("tidegate runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (exit, said) = plain(&["hold", "shop", "prod"]);
    assert_eq!(exit, Some(0), "it has the owner's token: {said}");
    assert_eq!(plain(&["hook", "uninstall", "shop.git"]).0, Some(0));
    let (exit, said) = plain(&["hook", "install", "shop.git"]);
    assert_eq!((exit, said.contains("no controller answers")), (Some(0), false), "{said}");
    assert!(!world.path("home").exists(), "no other state folder is made");
    assert!(world.push("1.0.0", &[]).contains("queued as request"));
    // Where nothing answers, it is said at once.
    let (exit, said) = world.ends(&["hook", "install", "shop.git", "--url", "http://127.0.0.1:9"]);
    assert_eq!((exit, said.contains("no controller answers at http://127.0.0.1:9 now")), (0, true), "{said}");
    world.wait("rebuild_requested", &[]);
}

/// Another program has the controller's port.
#[test]
fn what_is_not_tidegate_is_told_from_a_controller() {
    let world = World::unborn(SHOP);
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", foreign.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let pages = [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnope",
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\nconnection: close\r\n\r\n<hi/>",
        ];
        for (number, stream) in foreign.incoming().enumerate() {
            use std::io::{Read, Write};
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 4096];
            // Who asks may be gone by then.
            let _ = stream.read(&mut asked).and_then(|_| stream.write_all(pages[number % 2].as_bytes()));
        }
    });
    for arguments in [
        &["status"][..],
        &["status"],
        &["hold", "shop"],
        &["events"],
        &["events"],
        &["why", "shop", "prod"],
        &["confirm", "shop", "prod", "1.0.0"],
    ] {
        let (exit, said) = world.ends(&[arguments, &["--url", &url]].concat());
        assert_eq!(exit, 4, "{arguments:?}: {said}");
        assert!(
            said.contains("TG-CLI-021") && said.contains(&format!("what answers at {url} is not tidegate")),
            "{arguments:?}: {said}"
        );
        assert!(said.contains("--url"), "{said}");
    }
}

/// A controller of another release may answer what this one does not know.
#[test]
fn an_answer_of_another_shape_is_told_from_none() {
    let world = World::unborn(SHOP);
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", other.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = other.accept().expect("a client");
        let mut asked = [0; 4096];
        let read = stream.read(&mut asked);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"pipelines\": 7}";
        read.and_then(|_| stream.write_all(answer.as_bytes())).expect("answered");
    });
    let (exit, said) = world.ends(&["status", "--url", &url]);
    assert!(exit == 4 && said.contains("error[TG-CLI-002]"), "{exit} {said}");
}

#[test]
fn which_version_is_meant_must_be_clear_and_something_must_be_there_to_leave() {
    let mut world = World::new(SHOP);
    let (exit, said) = world.ends(&["confirm", "shop", "prod"]);
    assert!(exit == 2 && said.contains("error[TG-CLI-007]") && said.contains("no version fits"), "{said}");
    let (exit, said) = world.ends(&["rollback", "shop", "prod"]);
    assert!(exit == 2 && said.contains("error[TG-CLI-008]"), "{exit} {said}");
    world.edit(&SHOP.replace("confirm = { count = 1 }", "confirm = { count = 1 }\npick = \"every\""));
    world.wait("pipeline_loaded", &[]);
    for version in ["1.0.0", "1.1.0"] {
        world.push(version, &[]);
        world.wait("promote_blocked", &[("tier", "prod"), ("version", version)]);
    }
    let (exit, said) = world.ends(&["confirm", "shop", "prod"]);
    assert!(exit == 2 && said.contains("error[TG-CLI-007]") && said.contains("1.0.0, 1.1.0"), "{said}");
}

/// What people do by hand says what follows, each its own, with an example.
#[test]
fn each_deed_by_hand_explains_itself() {
    let world = World::unborn(SHOP);
    let deeds = [
        "confirm", "deny", "promote", "rollback", "retry", "redeploy", "adopt", "hold", "resume", "cancel",
        "block", "unblock",
    ];
    world.good(&["man", "--write", "man"]);
    let mut seen = std::collections::BTreeSet::new();
    for deed in deeds {
        let said = world.good(&[deed, "--help"]);
        assert!(said.contains(&format!("Example: tidegate {deed} shop")), "{said}");
        let (_, after) = said.split_once("Print help\n").expect("options");
        assert!(seen.insert(after.to_owned()), "{deed} says what another one says");
        let page = world.read(&format!("man/tidegate-{deed}.1"));
        assert!(page.contains("Example: tidegate"), "{page}");
    }
    let said = |deed: &str| world.good(&[deed, "--help"]);
    assert!(said("cancel").contains("none: the build under way"));
    assert!(said("resume").contains("none: the hold of the pipeline"));
    assert!(said("rollback").contains("[default: the one that was current before]"));
}

/// In a folder whose settings name another place for pipelines, that is the one which is checked.
#[test]
fn check_looks_where_the_controller_of_its_folder_would() {
    let world = World::unborn(SHOP);
    std::fs::create_dir(world.path("elsewhere")).expect("a folder");
    std::fs::rename(world.path("pipelines/shop.toml"), world.path("elsewhere/shop.toml")).expect("moved");
    assert_eq!(world.ends(&["check"]).0, 2, "there is nothing in `pipelines`");
    std::fs::write(world.path("tidegate.toml"), "pipelines = \"elsewhere\"\n").expect("settings");
    let (exit, said) = world.ends(&["check"]);
    assert!(exit == 0 && said.contains("1 of 1 pipeline file good"), "{said}");
    std::fs::write(world.path("tidegate.toml"), "piplines = \"elsewhere\"\n").expect("settings");
    let (exit, said) = world.ends(&["check"]);
    assert!(exit == 2 && said.contains("did you mean `pipelines`"), "{said}");
}

#[test]
fn a_run_without_a_commit_says_what_is_missing_and_the_way_out() {
    let world = World::unborn(SHOP);
    let (exit, said) = world.ends(&["run", "pipelines/shop.toml"]);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("TG-CLI-022") && said.contains("has no commit on main yet"), "{said}");
    assert!(said.contains("--dir FOLDER"), "{said}");
    world.edit(&SHOP.replace("refs = [\"main\"]\n", ""));
    let (exit, said) = world.ends(&["run", "pipelines/shop.toml"]);
    assert!(exit == 2 && said.contains("shop.git` has no commit yet"), "{exit} {said}");
    std::fs::remove_dir_all(world.path("shop.git")).expect("removed");
    let (exit, said) = world.ends(&["run", "pipelines/shop.toml"]);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("failed to find a git repository") && said.contains("--dir FOLDER"), "{said}");
}

#[test]
fn the_log_of_what_failed_last_is_a_word_away() {
    let mut world = World::new(&SHOP.replace(
        "run = \"echo making",
        "run = \"test $TIDEGATE_VERSION != 2.0.0 || { echo it is broken; exit 1; }; echo making",
    ));
    let (exit, said) = world.ends(&["logs", "--failed"]);
    assert!(exit == 1 && said.contains("TG-CLI-040"), "{exit} {said}");
    world.push("1.0.0", &[]);
    world.wait("build_ok", &[("version", "1.0.0")]);
    world.push("2.0.0", &[]);
    world.wait("build_failed", &[("version", "2.0.0")]);
    for arguments in [["logs", "--failed"].as_slice(), &["logs", "--failed", "shop"]] {
        let output = world.tidegate(arguments);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "it is broken\n");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("step `make` of shop 2.0.0"), "{said}");
    }
    let (exit, said) = world.ends(&["logs", "--failed", "other"]);
    assert!(exit == 2 && said.contains("there is no pipeline `other`"), "{exit} {said}");
    let listed = world.good(&["logs"]);
    let lines: Vec<&str> = listed.lines().collect();
    // What goes on with 1.0.0 may begin later.
    let failed = |line: &&str| line.contains("  failed      shop 2.0.0  build: make  ");
    assert!(lines.iter().any(failed), "{listed}");
    let first = lines.last().expect("a line").trim_start();
    assert!(first.starts_with("1  passed      shop 1.0.0  build: make  "), "{listed}");
    assert!(world.good(&["logs", "shop"]).lines().count() >= lines.len());
    let (exit, said) = world.ends(&["logs", "shpo"]);
    assert!(exit == 2 && said.contains("neither the number of a run nor a pipeline"), "{exit} {said}");
    let (exit, said) = world.ends(&["logs", "--follow"]);
    assert!(exit == 2 && said.contains("TG-CLI-042"), "{exit} {said}");
}

#[test]
fn a_token_is_kept_in_a_file_that_only_its_owner_may_read() {
    let world = World::unborn(SHOP);
    use std::os::unix::fs::PermissionsExt as _;
    let make = ["token", "create", "ann", "--role", "viewer", "--out", "ann.token"];
    assert_eq!(world.good(&make), "");
    let mode = std::fs::metadata(world.path("ann.token")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = world.read("ann.token");
    assert!(token.trim().len() > 20 && token.ends_with('\n'), "{token}");
    let (exit, said) = world.ends(&["token", "create", "bob", "--role", "viewer", "--out", "ann.token"]);
    assert!(exit == 2 && said.contains("TG-TOKEN-011"), "{exit} {said}");
    assert!(!world.good(&["token", "list"]).contains("bob"), "none is made that nobody has");
    assert_eq!(world.read("ann.token"), token);
    // One that cannot be made leaves no file behind.
    let (exit, _) = world.ends(&["token", "create", "ann", "--role", "viewer", "--out", "again.token"]);
    assert!(exit == 2 && !world.path("again.token").exists());
}

#[test]
fn a_token_is_listed_with_its_limits_its_end_and_its_last_use() {
    let mut world = World::new(SHOP);
    let make = "token create ann --role operator --pipeline sh* --pipeline blog --tier staging --expires 90d";
    let make: Vec<&str> = make.split(' ').chain(["--out", "ann.token"]).collect();
    world.good(&make);
    for (end, code) in
        [("2001-01-01T00:00:00Z", "TG-TOKEN-012"), ("4000d", "TG-TOKEN-012"), ("soon", "TG-TOKEN-012")]
    {
        let (exit, said) = world.ends(&["token", "create", "bob", "--role", "viewer", "--expires", end]);
        assert!(exit == 2 && said.contains(code), "{exit} {said}");
    }
    let (exit, said) = world.ends(&["token", "create", "bob", "--role", "viewer", "--pipeline", "a["]);
    assert!(exit == 2 && said.contains("TG-TOKEN-013"), "{exit} {said}");
    let row = |world: &World| {
        let list = world.good(&["token", "list"]);
        assert!(list.starts_with("NAME"), "{list}");
        list.lines().find(|line| line.starts_with("ann ")).expect("its line").to_owned()
    };
    let made = row(&world);
    assert!(made.ends_with("  -          pipelines sh*, blog; tier staging"), "never used yet: {made}");
    // It acts where it reaches, and not beyond.
    let hold = |world: &World, tier: &[&str]| {
        let arguments = [&["hold", "shop"], tier, &["--token-file", "ann.token"]].concat();
        world.ends(&arguments)
    };
    let (exit, said) = hold(&world, &[]);
    assert!(exit != 0 && said.contains("TG-AUTH-010") && said.contains("tier staging"), "{exit} {said}");
    let refused = world.wait("access_refused", &[("code", "TG-AUTH-010")]);
    assert_eq!(
        (&refused["by"], &refused["route"]),
        (&"ann".into(), &"/api/pipelines/{pipeline}/{action}".into())
    );
    assert_eq!(world.stop(), 0);
    assert_eq!(row(&world).matches(" UTC  ").count(), 2, "{}", row(&world));
    let json: Value = serde_json::from_str(&world.good(&["token", "list", "--json"])).expect("JSON");
    let ann = json.as_array().expect("a list").iter().find(|one| one["name"] == "ann").expect("it");
    assert_eq!((&ann["pipelines"], &ann["expired"]), (&serde_json::json!(["sh*", "blog"]), &false.into()));
    assert!(ann["last_used"].as_str().is_some_and(|at| at.ends_with(":00Z")), "{ann}");
}
