//! Notices: what receivers get, and that a bad one is in nobody's way.

use super::SHOP;
use super::receiver::{Receiver, Request, answer};
use super::world::{World, those_with};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The shop with more at its end, and with a secret that every notice may list.
pub(super) fn shop_with(notices: &str) -> String {
    let shop = SHOP.replace("[build]", "[secrets]\nTOKEN = { file = \"$PLACE/secret\" }\n\n[build]");
    format!("{shop}\n{notices}")
}

/// A world in which that secret is there.
pub(super) fn world_with(notices: &str) -> World {
    let mut world = World::unborn(&shop_with(notices));
    std::fs::write(world.path("place/secret"), "sesame-open-wide\n").expect("a secret");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world
}

pub(super) fn post_to(url: &str, kinds: &str) -> String {
    format!("[[notify]]\nkinds = {kinds}\nurl = \"{url}\"\nsecrets = [\"TOKEN\"]\n")
}

fn id(request: &Request) -> u64 {
    request.body["id"].as_u64().expect("an id")
}

/// Waits until the controller's log says something.
fn log_says(world: &World, words: &str) -> String {
    let begin = Instant::now();
    loop {
        let log = std::fs::read_to_string(world.path("log")).unwrap_or_default();
        if let Some(line) = log.lines().find(|line| line.contains(words)) {
            return line.to_owned();
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{words} is not in {log}");
        std::thread::yield_now();
    }
}

#[test]
fn a_web_hook_gets_the_events_that_it_wants_as_the_stream_has_them() {
    let receiver = Receiver::new();
    let url = receiver.url("/hook/$TOKEN/${TIDEGATE_PIPELINE}");
    let staging = receiver.url("/$TIDEGATE_TIER/$TIDEGATE_VERSION/$TIDEGATE_SHA");
    let tiers = "tiers = [\"staging\"]\n";
    let notices = post_to(&url, r#"["pipeline_loaded", "build_ok"]"#);
    let mut world = world_with(&format!("{notices}\n{}{tiers}", post_to(&staging, r#"["promote_*"]"#)));
    let loaded = receiver.next();
    assert_eq!(loaded.body["kind"], "pipeline_loaded", "it begins with the load that brought it");
    world.push("1.0.0", &[]);
    let built = receiver.next();
    assert_eq!((built.method.as_str(), built.path.as_str()), ("POST", "/hook/sesame-open-wide/shop"));
    assert_eq!(built.header("content-type"), "application/json");
    assert_eq!(built.header("user-agent"), concat!("tidegate/", env!("CARGO_PKG_VERSION")));
    assert_eq!(built.header("x-tidegate-event-id"), id(&built).to_string());
    assert_eq!(built.body, world.wait("build_ok", &[]), "the very object that the stream sends");
    let sha = built.body["sha"].as_str().expect("a commit").to_owned();
    for kind in ["promote_start", "promote_complete"] {
        let request = receiver.next();
        assert_eq!((&request.body["kind"], &request.body["tier"]), (&kind.into(), &"staging".into()));
        assert_eq!(request.path, format!("/staging/1.0.0/{sha}"), "the commit of the version");
    }
    world.wait("promote_blocked", &[("tier", "prod")]);
    let state = world.get("/api/state").to_string();
    assert!(!state.contains("unsupported"), "the tiers are open: {state}");
    assert!(receiver.so_far().is_empty(), "of one tier only");
}

#[test]
fn a_receiver_that_fails_gets_the_same_event_again_and_one_that_refuses_does_not() {
    let receiver = Receiver::answering(|number, request| {
        Some(match (request.path.as_str(), number) {
            ("/refuses", _) => answer(410, "no such hook: sesame-open-wide\u{1b}[31m"),
            (_, 0 | 1) => answer(500, "busy"),
            _ => answer(204, ""),
        })
    });
    let mut world = world_with(&post_to(&receiver.url("/fails"), r#"["build_start", "build_ok"]"#));
    world.push("1.0.0", &[]);
    let got: Vec<Request> = (0..4).map(|_| receiver.next()).collect();
    let ids: Vec<u64> = got.iter().map(id).collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[1], ids[2], "the same event, with the same number");
    assert!(ids[3] > ids[2], "and then the next one");
    let line = log_says(&world, "TG-NOTE-002");
    assert!(line.contains("notice 1 of pipeline `shop`") && line.contains("it answered 500: busy"), "{line}");
    world.edit(&shop_with(&post_to(&receiver.url("/refuses"), r#"["build_start", "build_ok"]"#)));
    world.wait("pipeline_loaded", &[]);
    world.push("1.1.0", &[]);
    assert_eq!(receiver.next().body["kind"], "build_start");
    assert_eq!(receiver.next().body["kind"], "build_ok", "given up at once");
    let line = log_says(&world, "TG-NOTE-001");
    assert!(line.contains("410") && line.contains("build_start") && !line.contains('\u{1b}'), "{line}");
    let log = world.read("log");
    assert!(!log.contains("sesame"), "no secret in the log: {log}");
}

#[test]
fn a_credential_that_is_out_of_date_delays_notices_until_it_is_renewed() {
    let forge = Receiver::answering(|_, request| {
        Some(match request.header("authorization") {
            "Bearer renewed" => answer(201, "{}"),
            _ if request.path.starts_with("/hidden/") => answer(404, "Not Found"),
            _ => answer(401, "Bad credentials"),
        })
    });
    let status = |place: &str| {
        let url = forge.url(place);
        format!(
            "[[notify]]\nforge = \"github\"\nurl = \"{url}\"\nproject = \"acme/shop\"\nsecrets = [\"TOKEN\"]\nkinds = [\"build_ok\"]\n"
        )
    };
    // Who may not see a repository is told that there is none.
    let mut world = world_with(&[status("/seen"), status("/hidden")].join("\n"));
    world.push("1.0.0", &[]);
    let refused = [forge.next(), forge.next()];
    assert!(refused.iter().all(|it| it.header("authorization") == "Bearer sesame-open-wide"), "{refused:?}");
    world.wait("promote_complete", &[("tier", "staging")]);
    std::fs::write(world.path("place/secret"), "renewed\n").expect("a secret");
    let mut taken = Vec::new();
    while taken.len() < 2 {
        let request = forge.next();
        if request.header("authorization") == "Bearer renewed" {
            taken.push(request.path[..5].to_owned());
        }
    }
    taken.sort();
    assert_eq!(taken, ["/hidd", "/seen"], "each gets what it missed");
    assert!(!world.read("log").contains("TG-NOTE-001"), "nothing was given up");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::new();
    let to = elsewhere.url("/stolen");
    let receiver = Receiver::answering(move |_, _| {
        let head = "HTTP/1.1 307 X\r\nContent-Length: 0\r\nConnection: close\r\n";
        Some(format!("{head}Location: {to}\r\n\r\n"))
    });
    let world = world_with(&post_to(&receiver.url("/"), r#"["pipeline_loaded"]"#));
    assert_eq!(receiver.next().body["kind"], "pipeline_loaded");
    assert!(log_says(&world, "TG-NOTE-001").contains("points to"));
    assert!(elsewhere.so_far().is_empty());
}

#[test]
fn one_that_hangs_delays_neither_the_delivery_nor_another_notice_nor_the_stop() {
    let hangs = Receiver::answering(|_, _| None);
    let good = Receiver::new();
    let notices = [&hangs, &good].map(|receiver| post_to(&receiver.url("/"), r#"["*"]"#)).join("\n");
    let mut world = world_with(&notices);
    let first = hangs.next();
    assert_eq!(first.body["kind"], "pipeline_loaded");
    world.push("1.0.0", &[]);
    let done = world.wait("promote_complete", &[("tier", "staging")]);
    loop {
        let request = good.next();
        if request.body["id"] == done["id"] {
            break;
        }
    }
    let begin = Instant::now();
    assert_eq!(world.stop(), 0);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn a_kill_and_a_restart_lose_nothing_and_send_nothing_of_what_was_done() {
    let receiver = Receiver::answering(|number, _| {
        // Down for a while, from the second request on.
        Some(if (1..=2).contains(&number) { answer(503, "") } else { answer(200, "") })
    });
    let good = Receiver::new();
    let kinds = r#"["pipeline_loaded", "promote_complete"]"#;
    let mut world = world_with(&[&receiver, &good].map(|to| post_to(&to.url("/"), kinds)).join("\n"));
    let loaded = id(&receiver.next());
    let kept = |world: &World| -> Value {
        let text = std::fs::read_to_string(world.path("state/notices.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    };
    let wait_for_file = |world: &World, is_there: &dyn Fn(&Value) -> bool| {
        let begin = Instant::now();
        while !is_there(&kept(world)) {
            assert!(begin.elapsed() < Duration::from_secs(60), "{}", kept(world));
            std::thread::yield_now();
        }
    };
    wait_for_file(&world, &|kept| kept["pipelines"]["shop"][0]["done"].as_u64() >= Some(loaded));
    world.push("1.0.0", &[]);
    let staging = world.wait("promote_complete", &[("tier", "staging")]);
    let failed = id(&receiver.next());
    // The other one has gone on meanwhile, and that is written down.
    wait_for_file(&world, &|kept| kept["pipelines"]["shop"][1]["done"].as_u64() >= staging["id"].as_u64());
    world.kill();
    world.start();
    world.wait("controller_started", &[]);
    // The one that failed, and then the other: nothing is lost, and what was taken does not come again.
    let mut ids = vec![failed];
    while ids.iter().collect::<std::collections::BTreeSet<_>>().len() < 2 {
        ids.push(id(&receiver.next()));
    }
    assert!(ids.is_sorted() && !ids.contains(&loaded), "{ids:?} after {loaded}");
    let told: Vec<u64> = {
        world.hear_the_rest_so_far();
        let done = world.heard.iter().filter(|event| event["kind"] == "promote_complete");
        done.filter_map(|event| event["id"].as_u64()).collect()
    };
    ids.dedup();
    assert_eq!(ids, told);
    wait_for_file(&world, &|kept| kept["pipelines"]["shop"][0]["done"].as_u64() >= Some(told[1]));
    receiver.so_far();
    assert_eq!(world.stop(), 0);
    world.start();
    world.wait("controller_started", &[]);
    world.push("1.1.0", &[]);
    assert!(id(&receiver.next()) > told[1], "and a clean restart repeats nothing");
}

#[test]
fn a_removed_notice_is_silent_a_changed_one_goes_on_and_a_new_one_does_not_hear_the_past() {
    let (old, new) = (Receiver::answering(|_, _| Some(answer(500, ""))), Receiver::new());
    let mut world = world_with(&post_to(&old.url("/"), r#"["build_ok"]"#));
    world.push("1.0.0", &[]);
    let built = world.wait("build_ok", &[]);
    assert_eq!(old.next().body["id"], built["id"]);
    world.wait("promote_complete", &[("tier", "staging")]);
    // Its address is mended, and another one is added.
    let another = post_to(&new.url("/another"), r#"["build_*"]"#);
    world.edit(&shop_with(&format!("{}\n{another}", post_to(&new.url("/mended"), r#"["build_ok"]"#))));
    let waiting = new.next();
    assert_eq!(
        (waiting.path.as_str(), &waiting.body["id"]),
        ("/mended", &built["id"]),
        "what waited goes there"
    );
    world.edit(&shop_with(&another));
    world.wait("pipeline_loaded", &[]);
    world.wait("pipeline_loaded", &[]);
    old.so_far();
    world.push("1.1.0", &[]);
    world.wait("promote_complete", &[("tier", "staging"), ("version", "1.1.0")]);
    for kind in ["build_start", "build_ok"] {
        let request = new.next();
        assert_eq!((request.path.as_str(), &request.body["kind"]), ("/another", &kind.into()));
        assert_eq!(request.body["version"], "1.1.0");
    }
    assert!(old.so_far().is_empty() && new.so_far().is_empty());
}

#[test]
fn a_program_gets_the_event_in_a_file_and_ends_with_everything_that_it_started() {
    let run = r#"
[[notify]]
kinds = ["promote_complete"]
secrets = ["TOKEN"]
run = '''
sleep 500 &
cat "$TIDEGATE_EVENT" >> $PLACE/told
env | sort > $PLACE/env
tries=$(cat $PLACE/tries 2>/dev/null; echo x)
echo "$tries" > $PLACE/tries
echo "the word is $TOKEN"
./helper.sh "$tries"
'''
"#;
    let mut world = World::unborn(&shop_with(run));
    std::fs::write(world.path("place/secret"), "sesame-open-wide\n").expect("a secret");
    std::fs::write(world.path("pipelines/helper.sh"), "#!/bin/sh\ntest \"$1\" != x\n").expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.path("pipelines/helper.sh"), mode).expect("a script");
    world.start();
    world.good(&["hook", "install", world.path("shop.git").to_str().expect("text")]);
    world.wait("pipeline_loaded", &[]);
    world.push("1.0.0", &[]);
    let first = world.wait("promote_complete", &[("tier", "host")]);
    let second = world.wait("promote_complete", &[("tier", "staging")]);
    // The first try fails: the helper beside the pipeline file says no.
    let line = log_says(&world, "TG-NOTE-002");
    assert!(line.contains("exit status 1, after it said: the word is ***"), "{line}");
    let begin = Instant::now();
    let told = loop {
        let told = std::fs::read_to_string(world.path("place/told")).unwrap_or_default();
        if told.lines().count() == 3 && told.ends_with('\n') {
            break told;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{told}");
        std::thread::yield_now();
    };
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("the event")).collect();
    assert_eq!(told, [first.clone(), first, second]);
    assert_eq!(world.stop(), 0);
    let env = world.read("place/env");
    let names: Vec<&str> = env.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    for name in
        ["TIDEGATE", "TIDEGATE_PIPELINE", "TIDEGATE_TIER", "TIDEGATE_VERSION", "TIDEGATE_SHA", "TOKEN"]
    {
        assert!(names.contains(&name), "{name} in {env}");
    }
    assert!(!names.contains(&"XDG_CACHE_HOME"), "nothing else of the controller's: {env}");
    let notices = world.path("state/work/shop/notices");
    assert!(those_with(&notices).is_empty(), "nothing is left running");
    assert_eq!(std::fs::read_dir(&notices).expect("its folder").count(), 0, "and nothing is left lying");
}

#[test]
fn a_program_that_a_killed_controller_left_is_ended_and_the_event_is_told_again() {
    let run = r#"
[[notify]]
kinds = ["build_ok"]
run = '''
echo $$ >> $PLACE/pids
test $(wc -l < $PLACE/pids) -gt 1 || exec sleep 500
'''
"#;
    let mut world = world_with(run);
    world.push("1.0.0", &[]);
    let pids = |world: &World, count: usize| -> Vec<String> {
        let begin = Instant::now();
        loop {
            let text = std::fs::read_to_string(world.path("place/pids")).unwrap_or_default();
            if text.ends_with('\n') && text.lines().count() == count {
                return text.lines().map(str::to_owned).collect();
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{text}");
            std::thread::yield_now();
        }
    };
    let first = pids(&world, 1).remove(0);
    world.wait("promote_complete", &[("tier", "staging")]);
    world.kill();
    assert!(std::path::Path::new(&format!("/proc/{first}")).exists(), "it outlived the kill");
    world.start();
    pids(&world, 2);
    assert!(!those_with(world.folder.path()).iter().any(|(pid, _)| pid.to_string() == first));
}

#[test]
fn the_four_forges_are_told_how_a_commit_does_and_no_build_follows() {
    let forges = Receiver::answering(|_, _| Some(answer(201, "{}")));
    let notice = |forge: &str, below: &str| {
        let url = forges.url(below);
        format!(
            "[[notify]]\nforge = \"{forge}\"\nurl = \"{url}\"\nproject = \"acme/shop\"\nsecrets = [\"TOKEN\"]\n"
        )
    };
    let all = [("github", "/hub"), ("gitlab", "/lab"), ("gitea", "/tea"), ("forgejo", "/jo")];
    let mut world = world_with(&all.map(|(forge, below)| notice(forge, below)).join("\n"));
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    world.push("1.1.0", &[("broken", "")]);
    world.wait("promote_failed", &[("tier", "staging"), ("version", "1.1.0")]);
    // Version 1.0.0: build and two tiers, begin and end; 1.1.0 the same, and the way back.
    let requests: Vec<Request> = (0..4 * 14).map(|_| forges.next()).collect();
    let commit = |version: &str| -> String {
        let is_it = |event: &&Value| event["kind"] == "build_ok" && event["version"] == version;
        let built = world.heard.iter().find(is_it).expect("it was built");
        built["sha"].as_str().expect("a commit").to_owned()
    };
    let (sha, bad) = (commit("1.0.0"), commit("1.1.0"));
    let of =
        |below: &str| requests.iter().filter(|request| request.path.starts_with(below)).collect::<Vec<_>>();
    let states = |below: &str, name: &str| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        of(below).iter().map(|r| (text(&r.body[name]), text(&r.body["state"]))).collect()
    };
    let expected = |pending: &str, failure: &str| -> Vec<(String, String)> {
        let (shop, host, staging) = ("tidegate/shop", "tidegate/shop/host", "tidegate/shop/staging");
        let passes = [(shop, pending), (shop, "success"), (host, pending), (host, "success")];
        let way = [(staging, pending), (staging, "success")];
        // The way back says something of both versions.
        let back = [(staging, pending), (staging, failure), (staging, "success"), (staging, failure)];
        let all = passes.iter().chain(&way).chain(&passes).chain(&back);
        all.map(|(context, state)| ((*context).to_owned(), (*state).to_owned())).collect()
    };
    assert_eq!(states("/hub/", "context"), expected("pending", "failure"));
    assert_eq!(states("/lab/", "name"), expected("running", "failed"));
    assert_eq!(states("/tea/", "context"), expected("pending", "failure"));
    assert_eq!(states("/jo/", "context"), expected("pending", "failure"));
    for (below, path, header, token) in [
        ("/hub/", "/hub/repos/acme/shop/statuses/", "authorization", "Bearer sesame-open-wide"),
        ("/lab/", "/lab/api/v4/projects/acme%2Fshop/statuses/", "private-token", "sesame-open-wide"),
        ("/tea/", "/tea/api/v1/repos/acme/shop/statuses/", "authorization", "token sesame-open-wide"),
        ("/jo/", "/jo/api/v1/repos/acme/shop/statuses/", "authorization", "token sesame-open-wide"),
    ] {
        for (at, request) in of(below).into_iter().enumerate() {
            // The last but one is of the version that the tier went back to.
            let commit = if at < 6 || at == 12 { &sha } else { &bad };
            assert_eq!(
                (request.method.as_str(), &request.path),
                ("POST", &format!("{path}{commit}")),
                "{at}"
            );
            assert_eq!(request.header(header), token);
            assert_eq!(request.header("content-type"), "application/json");
            let words = request.body["description"].as_str().expect("words");
            assert!(!words.is_empty() && words.chars().count() <= 140, "{words}");
        }
    }
    let github = of("/hub/")[0];
    assert_eq!(github.header("accept"), "application/vnd.github+json");
    assert!(!github.header("x-github-api-version").is_empty());
    world.hear_the_rest_so_far();
    let builds = world.kinds().iter().filter(|kind| **kind == "rebuild_requested").count();
    assert_eq!(builds, 2, "no status makes a build");
}

#[test]
fn a_new_file_about_notices_begins_now_and_a_damaged_one_is_set_aside() {
    let receiver = Receiver::new();
    let mut world = world_with(&post_to(&receiver.url("/"), r#"["build_ok"]"#));
    world.push("1.0.0", &[]);
    receiver.next();
    world.wait("promote_complete", &[("tier", "staging")]);
    world.stop();
    std::fs::write(world.path("state/notices.json"), "{ damaged").expect("written");
    world.start();
    world.wait("controller_started", &[]);
    log_says(&world, "TG-NOTE-003");
    world.push("1.1.0", &[]);
    assert_eq!(receiver.next().body["version"], "1.1.0", "the past is not sent again");
    assert_eq!(world.read("state/notices.json.damaged"), "{ damaged");
}

#[test]
fn a_notice_that_no_file_knows_begins_with_the_load_that_brought_it() {
    let receiver = Receiver::new();
    let mut world = World::new(SHOP);
    world.push("1.0.0", &[]);
    world.wait("promote_complete", &[("tier", "staging")]);
    let notice = post_to(&receiver.url("/"), r#"["build_ok", "pipeline_loaded"]"#);
    std::fs::write(world.path("place/secret"), "sesame-open-wide\n").expect("a secret");
    world.edit(&shop_with(&notice));
    let loaded = world.wait("pipeline_loaded", &[]);
    assert_eq!(receiver.next().body["id"], loaded["id"]);
    assert_eq!(world.stop(), 0);
    // As if the controller had been killed before it wrote down anything of it, long ago.
    let text = world.read("state/notices.json");
    let mut kept: Value = serde_json::from_str(&text).expect("the file");
    assert_eq!(kept["pipelines"]["shop"][0]["done"], kept["upto"], "nothing waits");
    kept["upto"] = 0.into();
    kept["pipelines"] = serde_json::json!({});
    std::fs::write(world.path("state/notices.json"), kept.to_string()).expect("written");
    world.start();
    assert_eq!(receiver.next().body["id"], loaded["id"], "and not with the version that was built before");
}

#[test]
fn how_far_notices_are_is_lost_aloud_where_it_cannot_be_kept() {
    let receiver = Receiver::new();
    let mut world = world_with(&post_to(&receiver.url("/"), r#"["pipeline_loaded", "build_ok"]"#));
    receiver.next();
    let file = world.path("state/notices.json");
    std::fs::remove_file(&file).or_else(|_| std::fs::metadata(&file).map(drop)).unwrap_or_default();
    std::fs::create_dir_all(file.join("in-the-way")).expect("a folder");
    world.push("1.0.0", &[]);
    world.wait("build_ok", &[]);
    assert_eq!(receiver.next().body["kind"], "build_ok", "it is told all the same");
    assert!(log_says(&world, "TG-NOTE-004").contains("notices.json"));
    std::fs::remove_dir_all(&file).expect("removed");
}

/// A world whose notice did not get its first event told, stopped.
fn behind() -> (Receiver, World) {
    let receiver = Receiver::answering(|number, _| Some(answer(if number == 0 { 500 } else { 204 }, "")));
    let mut world = world_with(&post_to(&receiver.url("/"), r#"["build_start", "promote_complete"]"#));
    world.push("1.0.0", &[]);
    assert_eq!(receiver.next().body["kind"], "build_start");
    world.kill();
    world.hear_the_rest();
    (receiver, world)
}

/// Retention, at once.
#[tokio::main(flavor = "current_thread")]
async fn forget(state: &std::path::Path) {
    use tidegate::journal::{Checkpoint, Journal as _, SqliteJournal};
    let journal = SqliteJournal::open(state).expect("the journal");
    let all = tidegate::engine::replay(&journal).expect("the state");
    let checkpoint = Checkpoint {
        id: all.last,
        at_us: chrono::Utc::now().timestamp_micros(),
        release: env!("CARGO_PKG_VERSION").into(),
        format: 1,
        body: serde_json::to_string(&all).expect("JSON").into(),
    };
    while journal.oldest_id() < all.last {
        journal.forget_before(all.last, checkpoint.clone()).await.expect("forgotten");
    }
    journal.close().await.expect("closed");
}

fn journal(world: &World) -> rusqlite::Connection {
    rusqlite::Connection::open(world.path("state/journal.db")).expect("the journal")
}

#[test]
fn events_that_went_before_they_were_told_are_counted_in_the_log() {
    let (_receiver, mut world) = behind();
    world.start();
    world.wait("promote_blocked", &[("tier", "prod")]);
    assert_eq!(world.stop(), 0);
    let book = world.read("state/notices.json");
    let mut book: Value = serde_json::from_str(&book).expect("JSON");
    // As if it had been away for longer than events are kept.
    book["pipelines"]["shop"][0]["done"] = 1.into();
    std::fs::write(world.path("state/notices.json"), book.to_string()).expect("written");
    forget(&world.path("state"));
    world.start();
    let said = log_says(&world, "TG-NOTE-005");
    assert!(said.contains("the events from 2 to "), "{said}");
}

#[test]
fn a_journal_that_cannot_be_read_delays_notices_and_says_so() {
    let receiver = Receiver::new();
    let mut world = world_with(&post_to(&receiver.url("/"), r#"["pipeline_loaded", "hold_*"]"#));
    receiver.next();
    // What is written of this kind is not what comes to lie on the disk.
    let spoil = "CREATE TRIGGER spoil AFTER INSERT ON events WHEN NEW.kind = 'hold_set' BEGIN
        UPDATE events SET body = CAST(x'ff' AS TEXT) WHERE id = NEW.id; END";
    journal(&world).execute_batch(spoil).expect("a trigger");
    world.good(&["hold", "shop", "--why", "a fair"]);
    let set = world.wait("hold_set", &[]);
    log_says(&world, "TG-NOTE-006");
    assert!(receiver.so_far().is_empty(), "nothing is told that nobody could read");
    let mend = journal(&world);
    mend.execute_batch("DROP TRIGGER spoil").expect("none");
    let id = set["id"].as_i64().expect("a number");
    mend.execute("UPDATE events SET body = ?2 WHERE id = ?1", (id, set.to_string())).expect("mended");
    assert_eq!(receiver.next().body, set, "nothing of it is lost");
}

#[test]
fn what_a_notice_leaves_and_nobody_can_remove_is_named() {
    let mut world = World::unborn(&shop_with("[[notify]]\nkinds = [\"pipeline_loaded\"]\nrun = \"true\"\n"));
    std::fs::write(world.path("place/secret"), "sesame-open-wide\n").expect("a secret");
    let mut program = world.program();
    super::refused::refuse(&mut program, super::refused::REMOVALS);
    world.start_by(program);
    let said = log_says(&world, "TG-NOTE-007");
    assert!(said.contains("failed to remove"), "{said}");
}

#[test]
fn notices_of_a_pipeline_that_was_removed_a_week_ago_are_forgotten_aloud() {
    let receiver = Receiver::new();
    let mut world = world_with(&post_to(&receiver.url("/"), r#"["pipeline_loaded"]"#));
    receiver.next();
    std::fs::remove_file(world.path("pipelines/shop.toml")).expect("removed");
    world.wait("pipeline_removed", &[]);
    assert_eq!(world.stop(), 0);
    let mut book: Value = serde_json::from_str(&world.read("state/notices.json")).expect("JSON");
    let since = &mut book["away"]["shop"]["since"];
    assert!(since.is_string(), "{book}");
    *since = (chrono::Utc::now() - chrono::TimeDelta::days(8)).to_rfc3339().into();
    std::fs::write(world.path("state/notices.json"), book.to_string()).expect("written");
    world.start();
    assert!(log_says(&world, "TG-NOTE-008").contains("`shop`"));
    assert_eq!(world.stop(), 0);
    let book: Value = serde_json::from_str(&world.read("state/notices.json")).expect("JSON");
    assert!(book["away"]["shop"].is_null(), "{book}");
}
